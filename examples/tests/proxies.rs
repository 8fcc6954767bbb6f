//! Event streams through proxies that people have in front of their servers.
//!
//! An event has come through when it is there before the next one is made, and nothing else is sent
//! meanwhile that could push it. How long that takes is compared with a connection that has no proxy.

mod support {
    pub(crate) mod blocks;
    pub(crate) mod follower;
    pub(crate) mod installed;
    pub(crate) mod port;
    pub(crate) mod proxy;
    pub(crate) mod upstream;
}

use std::time::{Duration, Instant};

use tokio::time::sleep;

use support::follower::Follower;
use support::proxy::{Kind, Proxy, Setup};
use support::upstream::{SetUp, Upstream};

/// No heartbeat comes while a test runs.
const SILENT: SetUp = SetUp {
    gateway: |gateway| gateway.heartbeat(Duration::from_secs(3600)),
    is_compressing: false,
    is_taken_over: false,
};

const BEATING: SetUp = SetUp {
    gateway: |gateway| gateway.heartbeat(Duration::from_millis(200)),
    is_compressing: false,
    is_taken_over: false,
};

/// Both ways of writing streams.
fn both(set_up: SetUp) -> [SetUp; 2] {
    [false, true].map(|is_taken_over| SetUp {
        is_taken_over,
        ..set_up
    })
}

/// For each proxy its own tests, so that one that fails does not hide the others.
macro_rules! through {
    ($($name:ident: $kind:expr),* $(,)?) => {$(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn each_event_comes_before_the_next_is_made() {
                for set_up in both(SILENT) {
                    each_event_before_the_next($kind, set_up, false).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn each_event_comes_before_the_next_by_http2() {
                for set_up in both(SILENT) {
                    each_event_before_the_next($kind, set_up, true).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_stream_goes_on_after_the_upstream_was_away() {
                for set_up in both(SILENT) {
                    resumes_after_the_upstream_was_away($kind, set_up).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn heartbeats_outlast_its_patience() {
                for set_up in both(BEATING) {
                    heartbeats_keep_a_stream_open($kind, set_up).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn no_stream_is_recorded_for_the_next_client() {
                for set_up in both(SILENT) {
                    nothing_is_cached($kind, set_up).await;
                }
            }
        }
    )*};
}

through! {
    nginx: Kind::Nginx,
    haproxy: Kind::Haproxy,
    caddy: Kind::Caddy,
    varnish: Kind::Varnish,
    apache: Kind::Apache,
}

async fn open(proxy: &Proxy, path: &str) -> Follower {
    let opened = Follower::open(proxy.address(), false, path, None).await;
    opened.expect("the upstream is there")
}

/// How much longer an event may take through a proxy, in the middle of twenty. A machine that does
/// much else needs less, and those that hold events back hold them longer: HAProxy 200 ms.
const LONGER: Duration = Duration::from_millis(150);

async fn each_event_before_the_next(kind: Kind, set_up: SetUp, is_http2: bool) {
    let upstream = Upstream::start(set_up).await;
    let setup = Setup {
        is_http2,
        ..Setup::default()
    };
    let Some(proxy) = Proxy::start(kind, setup, upstream.address()) else {
        return;
    };
    let opened = Follower::open(proxy.address(), is_http2, "/events", None).await;
    let mut stream = opened.expect("the upstream is there");
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    assert!(!stream.headers.contains_key("content-encoding"));
    stream.opening().await;
    let direct = Follower::open(upstream.address(), false, "/events", None).await;
    let mut direct = direct.expect("the upstream is there");
    direct.opening().await;
    let (mut through, mut beside) = (Vec::new(), Vec::new());
    for number in 0..21 {
        let begun = Instant::now();
        upstream.publish(number.to_string()).await;
        let came = async |stream: &mut Follower| {
            let event = stream.next().await.expect("the stream goes on");
            assert_eq!(event.data, number.to_string());
            begun.elapsed()
        };
        let (this, that) = tokio::join!(came(&mut stream), came(&mut direct));
        through.push(this);
        beside.push(that);
    }
    let [through, beside] = [through, beside].map(median);
    assert!(
        through < beside + LONGER,
        "{through:?}, and {beside:?} without"
    );
    // Larger than any buffer on the way, and then a small one again.
    for data in ["x".repeat(2_000_000), "small".to_owned()] {
        upstream.publish(data.clone()).await;
        let event = stream.next().await.expect("the stream goes on");
        assert!(event.data == data, "{} bytes", event.data.len());
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

async fn resumes_after_the_upstream_was_away(kind: Kind, set_up: SetUp) {
    let mut upstream = Upstream::start(set_up).await;
    let Some(proxy) = Proxy::start(kind, Setup::default(), upstream.address()) else {
        return;
    };
    let mut stream = open(&proxy, "/events?from=start").await;
    upstream.publish("1").await;
    let seen = stream.next().await.expect("the stream goes on");
    assert_eq!(seen.data, "1");
    upstream.stop().await;
    assert_eq!(stream.next().await, None, "the end comes through");
    upstream.publish("2").await;

    let address = proxy.address();
    let again = Follower::open(address, false, "/events", seen.id.as_deref()).await;
    assert!(again.is_err_and(|status| status.is_server_error()));
    upstream.start_again().await;
    let mut stream = loop {
        // Some leave an upstream alone for a while once it has failed.
        match Follower::open(address, false, "/events", seen.id.as_deref()).await {
            Ok(stream) => break stream,
            Err(status) => assert!(status.is_server_error(), "{status}"),
        }
        sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(stream.next().await.expect("what was missed").data, "2");
    upstream.publish("3").await;
    assert_eq!(stream.next().await.expect("what is new").data, "3");
}

async fn heartbeats_keep_a_stream_open(kind: Kind, beating: SetUp) {
    let setup = Setup {
        patience: Some(1),
        ..Setup::default()
    };
    let upstream = Upstream::start(beating).await;
    let Some(proxy) = Proxy::start(kind, setup, upstream.address()) else {
        return;
    };
    let mut stream = open(&proxy, "/events").await;
    sleep(Duration::from_secs(4)).await;
    upstream.publish("after a while").await;
    let event = stream.next().await.expect("heartbeats keep it open");
    assert_eq!(event.data, "after a while");
    drop(proxy);

    // Without them it is cut, or the proxy had more patience than the test believes.
    let silent = SetUp {
        is_taken_over: beating.is_taken_over,
        ..SILENT
    };
    let upstream = Upstream::start(silent).await;
    let proxy = Proxy::start(kind, setup, upstream.address()).expect("it was there");
    let mut stream = open(&proxy, "/events").await;
    assert_eq!(stream.next().await, None);
}

async fn nothing_is_cached(kind: Kind, set_up: SetUp) {
    let mut upstream = Upstream::start(set_up).await;
    let setup = Setup {
        is_caching: true,
        ..Setup::default()
    };
    let Some(proxy) = Proxy::start(kind, setup, upstream.address()) else {
        return;
    };
    let mut first = open(&proxy, "/events").await;
    first.opening().await;
    upstream.publish("for the first").await;
    let event = first.next().await.expect("the stream goes on");
    assert_eq!(event.data, "for the first");

    let mut second = open(&proxy, "/events").await;
    second.opening().await;
    upstream.publish("for both").await;
    for stream in [&mut first, &mut second] {
        let event = stream.next().await.expect("the stream goes on");
        assert_eq!(event.data, "for both");
    }

    // A response is stored where it has come to a good end.
    upstream.end_streams().await;
    for mut stream in [first, second] {
        while stream.next().await.is_some() {}
    }
    let mut third = open(&proxy, "/events").await;
    third.opening().await;
    upstream.publish("for the third").await;
    let event = third.next().await.expect("the stream goes on");
    assert_eq!(event.data, "for the third");
}
