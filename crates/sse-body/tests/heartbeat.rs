//! When heartbeats are sent, on a clock that is moved by hand.
#![cfg(feature = "tokio")]

use std::convert::Infallible;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use eventwire_sse::Frame;
use eventwire_sse_body::{SseBody, SseResponse};
use futures_util::{Stream, StreamExt, stream};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::task::coop::poll_proceed;
use tokio::time::{Instant, sleep, timeout};

/// Data and the second, since the start, at which it was yielded.
type Sent<'a> = (u64, &'a str);

const HEARTBEAT: &str = ":\n\n";
const EVENT: &str = ": event\n\n";

/// A stream that has an event at each of these seconds, and never ends.
fn events_at(seconds: &'static [u64]) -> impl Stream<Item = Result<Frame, Infallible>> {
    let start = Instant::now();
    let timed = stream::iter(seconds).then(move |second| async move {
        tokio::time::sleep_until(start + Duration::from_secs(*second)).await;
        Ok(Frame::comment("event"))
    });
    timed.chain(stream::pending())
}

/// What a body yields in the first 100 seconds.
async fn sent<S>(body: SseBody<S>) -> Vec<(u64, String)>
where
    S: Stream<Item = Result<Frame, Infallible>>,
{
    let mut body = std::pin::pin!(body);
    let start = Instant::now();
    let mut sent = Vec::new();
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            let data = frame.into_data().expect("there are no trailers");
            let text = String::from_utf8(data.to_vec()).expect("text");
            sent.push((start.elapsed().as_secs(), text));
        }
    };
    timeout(Duration::from_secs(100), reading)
        .await
        .expect_err("a stream that never ends");
    sent
}

async fn check(events: &'static [u64], interval: Option<Duration>, expected: &[Sent<'_>]) {
    let response = SseResponse::new(events_at(events));
    let response = match interval {
        Some(interval) => response.heartbeat(interval),
        None => response,
    };
    let sent = sent(response.into_body()).await;
    let sent: Vec<_> = sent
        .iter()
        .map(|(second, text)| (*second, text.as_str()))
        .collect();
    assert_eq!(sent, expected, "{events:?} {interval:?}");
}

#[tokio::test(start_paused = true)]
async fn silence_is_broken_every_interval() {
    let every = |seconds: u64| -> Vec<Sent<'static>> {
        (0..100 / seconds + 1)
            .map(|nth| (nth * seconds, HEARTBEAT))
            .collect()
    };
    let seconds = Duration::from_secs;
    check(&[], None, &every(15)).await;
    check(&[], Some(seconds(30)), &every(30)).await;
    check(&[], Some(seconds(101)), &[(0, HEARTBEAT)]).await;
    check(&[], Some(Duration::MAX), &[(0, HEARTBEAT)]).await;
}

#[tokio::test(start_paused = true)]
async fn the_interval_begins_anew_with_everything_that_is_sent() {
    let some = Some(Duration::from_secs(40));
    check(
        &[10],
        some,
        &[
            (0, HEARTBEAT),
            (10, EVENT),
            (50, HEARTBEAT),
            (90, HEARTBEAT),
        ],
    )
    .await;
    check(&[39, 78], some, &[(0, HEARTBEAT), (39, EVENT), (78, EVENT)]).await;
    check(
        &[41, 80],
        some,
        &[(0, HEARTBEAT), (40, HEARTBEAT), (41, EVENT), (80, EVENT)],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn heartbeats_can_be_left_out_or_be_another_frame() {
    let none = SseResponse::new(events_at(&[])).without_heartbeat();
    assert_eq!(sent(none.into_body()).await, [(0, HEARTBEAT.into())]);
    let line = SseResponse::new(events_at(&[]))
        .heartbeat(Duration::from_secs(60))
        .heartbeat_frame(Frame::HEARTBEAT_LINE);
    assert_eq!(
        sent(line.into_body()).await,
        [(0, HEARTBEAT.into()), (60, ":\n".into())]
    );
}

#[tokio::test(start_paused = true)]
async fn an_interval_of_nothing_does_not_spin() {
    let response = SseResponse::new(events_at(&[])).heartbeat(Duration::ZERO);
    let mut body = std::pin::pin!(response.into_body());
    let start = Instant::now();
    for _ in 0..=10 {
        drop(body.frame().await);
    }
    assert!(
        start.elapsed() >= Duration::from_millis(10),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn silence_is_counted_from_the_first_poll() {
    let response = SseResponse::new(events_at(&[])).without_opening();
    let body = response.into_body();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(sent(body).await[0], (15, HEARTBEAT.into()));
}

/// Uses up what a task may do in one turn, so that timers are not even asked in the rest of it.
fn use_up_the_turn(context: &mut Context<'_>) {
    while let Poll::Ready(turn) = poll_proceed(context) {
        turn.made_progress();
    }
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_comes_after_a_turn_that_was_used_up() {
    let silent = SseResponse::new(events_at(&[])).without_opening();
    let mut body = Box::pin(silent.into_body());
    let start = Instant::now();
    let mut turns = 0;
    let beat = poll_fn(|context| {
        turns += 1;
        if turns == 1 {
            use_up_the_turn(context);
        }
        // As a server does: again, for more that could leave at once.
        match body.as_mut().poll_frame(context) {
            Poll::Pending => body.as_mut().poll_frame(context),
            ready => ready,
        }
    });
    let beat = timeout(Duration::from_secs(100), beat);
    beat.await
        .expect("it is not forgotten")
        .expect("no end")
        .expect("no error");
    assert_eq!(start.elapsed().as_secs(), 15);
}

#[tokio::test(start_paused = true)]
async fn the_task_that_polled_last_is_woken_for_a_heartbeat() {
    let silent = SseResponse::new(events_at(&[])).without_opening();
    let mut body = Box::pin(silent.into_body());
    // Another task has polled it, and has gone.
    let elsewhere = &mut Context::from_waker(Waker::noop());
    assert!(body.as_mut().poll_frame(elsewhere).is_pending());
    let beat = timeout(Duration::from_secs(100), body.frame());
    beat.await
        .expect("in time")
        .expect("no end")
        .expect("no error");
}
