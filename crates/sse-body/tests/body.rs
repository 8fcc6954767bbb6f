//! What a body yields for what its stream has, poll by poll.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use eventwire_sse::{Event, Frame};
use eventwire_sse_body::{SseBody, SseResponse};
use futures_util::{Stream, stream};
use http_body::Body;

/// What a stream has when it is polled.
#[derive(Debug, Clone, Copy)]
enum Has {
    /// A comment of this text: `: text\n\n`.
    Frame(&'static str),
    Nothing,
    Failure,
}
use Has::{Failure, Frame as Has_, Nothing};

/// What a body yields.
#[derive(Debug, PartialEq, Eq)]
enum Yields {
    Data(String),
    Pending,
    Error,
    End,
}
use Yields::{Data, End, Error, Pending};

fn data(text: &str) -> Yields {
    Data(text.into())
}

/// The stream of a script, that panics when it is polled after its end.
fn scripted(script: &[Has]) -> impl Stream<Item = Result<Frame, &'static str>> + use<> {
    let mut script: VecDeque<_> = script.iter().copied().collect();
    let mut has_ended = false;
    stream::poll_fn(move |_| {
        assert!(!has_ended, "polled after its end");
        match script.pop_front() {
            Some(Has_(text)) => Poll::Ready(Some(Ok(Frame::comment(text)))),
            Some(Nothing) => Poll::Pending,
            Some(Failure) => Poll::Ready(Some(Err("failed"))),
            None => {
                has_ended = true;
                Poll::Ready(None)
            }
        }
    })
}

fn poll<B: Body<Data: AsRef<[u8]>>>(body: Pin<&mut B>) -> Yields {
    match body.poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Ok(frame))) => {
            let data = frame.into_data().ok().expect("there are no trailers");
            data_of(data.as_ref())
        }
        Poll::Ready(Some(Err(_))) => Error,
        Poll::Ready(None) => End,
        Poll::Pending => Pending,
    }
}

fn poll_stream<E>(body: Pin<&mut impl Stream<Item = Result<Bytes, E>>>) -> Yields {
    match body.poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Ok(data))) => data_of(&data),
        Poll::Ready(Some(Err(_))) => Error,
        Poll::Ready(None) => End,
        Poll::Pending => Pending,
    }
}

fn data_of(bytes: &[u8]) -> Yields {
    Data(String::from_utf8(bytes.to_vec()).expect("text"))
}

/// As many polls as there are yields expected, of a body without heartbeats, and so without a
/// runtime.
fn check(limit: usize, script: &[Has], expected: &[Yields]) {
    let response = SseResponse::new(scripted(script)).coalesce(limit);
    let mut body = Box::pin(response.without_heartbeat().into_body());
    let yielded: Vec<_> = expected.iter().map(|_| poll(body.as_mut())).collect();
    assert_eq!(yielded, expected, "{limit} {script:?}");

    // As a stream of bytes it is the same.
    let response = SseResponse::new(scripted(script)).coalesce(limit);
    let mut body = Box::pin(response.without_heartbeat().into_byte_stream());
    let yielded: Vec<_> = expected
        .iter()
        .map(|_| poll_stream(body.as_mut()))
        .collect();
    assert_eq!(yielded, expected, "{limit} {script:?}");
}

const AMPLE: usize = 1024;

#[test]
fn the_opening_goes_out_at_once() {
    check(
        AMPLE,
        &[Nothing, Nothing],
        &[data(":\n\n"), Pending, End, End],
    );
    check(AMPLE, &[Has_("a")], &[data(":\n\n: a\n\n"), End]);
    check(AMPLE, &[], &[data(":\n\n"), End, End]);
}

#[test]
fn what_is_ready_together_leaves_together() {
    let script = [
        Nothing,
        Has_("a"),
        Has_("b"),
        Nothing,
        Has_("c"),
        Nothing,
        Nothing,
    ];
    let expected = [
        data(":\n\n"),
        data(": a\n\n: b\n\n"),
        data(": c\n\n"),
        Pending,
        End,
    ];
    check(AMPLE, &script, &expected);
}

#[test]
fn a_piece_is_no_longer_than_the_limit_unless_it_is_one_frame() {
    let script = [
        Nothing,
        Has_("a"),
        Has_("b"),
        Has_("c"),
        Has_("long enough"),
    ];
    let long = || data(": long enough\n\n");
    let alone = [
        data(":\n\n"),
        data(": a\n\n"),
        data(": b\n\n"),
        data(": c\n\n"),
        long(),
        End,
    ];
    check(0, &script, &alone);
    check(9, &script, &alone);
    let pairs = [
        data(":\n\n"),
        data(": a\n\n: b\n\n"),
        data(": c\n\n"),
        long(),
        End,
        End,
    ];
    check(10, &script, &pairs);
}

#[test]
fn an_error_comes_after_all_that_was_before_it_and_a_turn_to_send_that() {
    let script = [Has_("a"), Has_("b"), Failure, Has_("never")];
    check(
        AMPLE,
        &script,
        &[data(":\n\n: a\n\n: b\n\n"), Pending, Error, End, End],
    );
    let alone = [
        data(":\n\n"),
        data(": a\n\n"),
        data(": b\n\n"),
        Pending,
        Error,
        End,
    ];
    check(0, &script, &alone);
    check(AMPLE, &[Failure], &[data(":\n\n"), Pending, Error, End]);
    check(
        AMPLE,
        &[Nothing, Nothing, Failure],
        &[data(":\n\n"), Pending, Pending, Error, End],
    );
}

#[test]
fn the_task_is_woken_for_an_error_that_waited() {
    #[derive(Default)]
    struct Wakes(AtomicUsize);
    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let response = SseResponse::new(scripted(&[Failure])).without_opening();
    let mut body = Box::pin(response.without_heartbeat().into_body());
    let polled = body.as_mut().poll_frame(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    assert_eq!(poll(body.as_mut()), Error);
}

#[test]
fn the_end_and_the_length_are_told_as_soon_as_they_are_known() {
    let script = [Has_("a"), Has_("b")];
    let response = SseResponse::new(scripted(&script))
        .coalesce(5)
        .without_heartbeat();
    let mut body = Box::pin(response.into_body());
    let mut told = Vec::new();
    for _ in 0..4 {
        let hint = body.size_hint();
        told.push((body.is_end_stream(), hint.lower(), hint.upper()));
        poll(body.as_mut());
    }
    let ended = (true, 0, Some(0));
    // The opening is in hand, then the frame that found no place beside it, then the next.
    assert_eq!(
        told,
        [(false, 3, None), (false, 5, None), (false, 5, None), ended]
    );
}

#[test]
fn a_frame_alone_is_passed_on_without_a_copy() {
    let frame = Frame::comment("shared");
    let frames = stream::iter([Ok::<_, Infallible>(frame.clone())]);
    let response = SseResponse::new(frames)
        .without_opening()
        .without_heartbeat();
    let mut body = Box::pin(response.into_body());
    let polled = body
        .as_mut()
        .poll_frame(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Some(Ok(sent))) = polled else {
        panic!("a frame is ready")
    };
    let sent = sent.into_data().expect("there are no trailers");
    assert_eq!(sent.as_ptr(), frame.as_bytes().as_ptr());
}

#[test]
fn the_stream_is_dropped_when_it_has_ended() {
    let (held, watched) = tokio::sync::mpsc::channel::<()>(1);
    let mut steps = VecDeque::from([Some(Ok::<_, Infallible>(Frame::HEARTBEAT)), None]);
    let frames = stream::poll_fn(move |_| {
        let _held = &held;
        Poll::Ready(steps.pop_front().expect("not polled after its end"))
    });
    let mut body = Box::pin(SseResponse::new(frames).without_heartbeat().into_body());
    assert!(!watched.is_closed());
    poll(body.as_mut());
    assert!(watched.is_closed());
}

#[test]
fn events_become_frames_in_the_order_they_come() {
    let events = [Event::new("1"), Event::new("2")];
    let expected = data(":\n\ndata: 1\n\ndata: 2\n\n");
    let borrowed = SseResponse::from_stream(stream::iter(&events)).without_heartbeat();
    assert_eq!(poll(Box::pin(borrowed.into_body()).as_mut()), expected);
    let owned = SseResponse::from_stream(stream::iter(events)).without_heartbeat();
    assert_eq!(poll(Box::pin(owned.into_body()).as_mut()), expected);
}

#[test]
fn the_opening_is_what_was_asked_for() {
    let none = || SseResponse::from_stream(stream::pending::<Event>()).without_heartbeat();
    let cases = [
        (none(), data(":\n\n")),
        (none().opening(Frame::HEARTBEAT_LINE), data(":\n")),
        (none().padding(4), data(":     \n\n")),
        (none().without_opening(), Pending),
        (none().opening(Frame::default()), Pending),
    ];
    for (response, expected) in cases {
        let shown = format!("{response:?}");
        assert_eq!(
            poll(Box::pin(response.into_body()).as_mut()),
            expected,
            "{shown}"
        );
    }
}

#[test]
fn a_body_crosses_threads() {
    fn crosses<B: Send + Sync + 'static>(_: B) {}
    crosses(SseResponse::from_stream(stream::pending::<Event>()).into_body());
    fn shown<S>(body: &SseBody<S>) -> String
    where
        S: Stream<Item = Result<Frame, Infallible>> + std::fmt::Debug,
    {
        format!("{body:?}")
    }
    let body = SseResponse::from_stream(stream::empty::<Event>()).into_body();
    assert!(shown(&body).starts_with("SseBody"));
}
