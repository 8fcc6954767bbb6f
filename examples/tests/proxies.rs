//! Event streams through proxies that people have in front of their servers.
//!
//! Nothing is timed: an event has come through when it is there before the next one is made, and
//! nothing else is sent meanwhile that could push it.

mod support {
    pub(crate) mod blocks;
    pub(crate) mod follower;
    pub(crate) mod installed;
    pub(crate) mod port;
    pub(crate) mod proxy;
    pub(crate) mod upstream;
}

use std::time::Duration;

use tokio::time::sleep;

use support::follower::Follower;
use support::proxy::{Kind, Proxy, Setup};
use support::upstream::{SetUp, Upstream};

/// No heartbeat comes while a test runs.
const SILENT: SetUp = SetUp {
    gateway: |gateway| gateway.heartbeat(Duration::from_secs(3600)),
    is_compressing: false,
};

const BEATING: SetUp = SetUp {
    gateway: |gateway| gateway.heartbeat(Duration::from_millis(200)),
    is_compressing: false,
};

/// For each proxy its own tests, so that one that fails does not hide the others.
macro_rules! through {
    ($($name:ident: $kind:expr),* $(,)?) => {$(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn each_event_comes_before_the_next_is_made() {
                each_event_before_the_next($kind, false).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn each_event_comes_before_the_next_by_http2() {
                each_event_before_the_next($kind, true).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_stream_goes_on_after_the_upstream_was_away() {
                resumes_after_the_upstream_was_away($kind).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn heartbeats_outlast_its_patience() {
                heartbeats_keep_a_stream_open($kind).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn no_stream_is_recorded_for_the_next_client() {
                nothing_is_cached($kind).await;
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

async fn each_event_before_the_next(kind: Kind, is_http2: bool) {
    let upstream = Upstream::start(SILENT).await;
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
    for number in 0..20 {
        upstream.publish(number.to_string()).await;
        let event = stream.next().await.expect("the stream goes on");
        assert_eq!(event.data, number.to_string());
    }
    // Larger than any buffer on the way, and then a small one again.
    for data in ["x".repeat(2_000_000), "small".to_owned()] {
        upstream.publish(data.clone()).await;
        let event = stream.next().await.expect("the stream goes on");
        assert!(event.data == data, "{} bytes", event.data.len());
    }
}

async fn resumes_after_the_upstream_was_away(kind: Kind) {
    let mut upstream = Upstream::start(SILENT).await;
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

async fn heartbeats_keep_a_stream_open(kind: Kind) {
    let setup = Setup {
        patience: Some(1),
        ..Setup::default()
    };
    let upstream = Upstream::start(BEATING).await;
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
    let upstream = Upstream::start(SILENT).await;
    let proxy = Proxy::start(kind, setup, upstream.address()).expect("it was there");
    let mut stream = open(&proxy, "/events").await;
    assert_eq!(stream.next().await, None);
}

async fn nothing_is_cached(kind: Kind) {
    let mut upstream = Upstream::start(SILENT).await;
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
