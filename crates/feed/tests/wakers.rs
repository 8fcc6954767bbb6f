//! Who is woken, where a stream is polled by one task and then by another.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use eventwire_feed::{Feed, FeedOptions, Follow, FrameStream, From};
use eventwire_store::{Append, EventStore, EventType, MemoryStore, NewEvent, Query, StreamName};
use futures_util::StreamExt;

/// How often a task was woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct Task {
    wakes: Arc<Wakes>,
    waker: Waker,
}

impl Task {
    fn new() -> Self {
        let wakes = Arc::<Wakes>::default();
        let waker = Waker::from(Arc::clone(&wakes));
        Self { wakes, waker }
    }

    fn woken(&self) -> usize {
        self.wakes.0.load(Ordering::Relaxed)
    }

    /// The next frame, where there is one.
    fn poll(&self, frames: &mut FrameStream) -> Option<String> {
        match frames.poll_next_unpin(&mut Context::from_waker(&self.waker)) {
            Poll::Ready(frame) => {
                let frame = frame.expect("the stream goes on").unwrap();
                Some(String::from_utf8(frame.as_bytes().to_vec()).unwrap())
            }
            Poll::Pending => None,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_task_that_polled_last_is_woken_by_events_and_by_the_timer() {
    const PROGRESS: Duration = Duration::from_secs(15);
    let store = MemoryStore::new();
    let options = FeedOptions::default().progress(PROGRESS);
    let feed = Feed::start(store.clone(), options).await.unwrap();
    let append = async |data: &'static str| {
        let stream = StreamName::new("room").unwrap();
        let event = NewEvent::new(EventType::new("said").unwrap(), data);
        let appended = store.append(Append::to(stream).event(event)).await.unwrap();
        // The feed's own task has its turn.
        tokio::time::sleep(Duration::from_millis(1)).await;
        appended.last()
    };
    append("first").await;
    let follow = Follow::new(Query::all()).from(From::Beginning).signals();
    let mut frames = feed.follow(follow);
    let [first, second] = [Task::new(), Task::new()];

    let history = first.poll(&mut frames).unwrap();
    assert!(history.contains("data: first\n"), "{history}");
    let caught_up = first.poll(&mut frames).unwrap();
    assert!(caught_up.contains("eventwire.caught-up"), "{caught_up}");
    assert_eq!(first.poll(&mut frames), None);

    // An event is taken by another task, which does not ask again.
    append("second").await;
    assert_eq!((first.woken(), second.woken()), (1, 0));
    let event = second.poll(&mut frames).unwrap();
    assert!(event.contains("data: second\n"), "{event}");
    append("third").await;
    assert_eq!((first.woken(), second.woken()), (1, 1));
    let event = second.poll(&mut frames).unwrap();
    assert!(event.contains("data: third\n"), "{event}");

    // Once it has asked again, the timer is its own as well.
    assert_eq!(second.poll(&mut frames), None);
    for interval in 1..=2 {
        tokio::time::sleep(PROGRESS).await;
        assert_eq!((first.woken(), second.woken()), (1, 1 + interval));
        let beat = second.poll(&mut frames);
        if let Some(beat) = beat {
            assert!(beat.contains("eventwire.heartbeat"), "{beat}");
            assert_eq!(second.poll(&mut frames), None);
        }
    }
}
