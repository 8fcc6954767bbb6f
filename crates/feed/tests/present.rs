//! What subscribers with a view are shown, and how often it is made.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eventwire_feed::{Feed, FeedOptions, Follow, Format, FrameStream, From, Look, Present, Views};
use eventwire_store::{
    Append, Cursor, EventStore, EventType, MemoryStore, NewEvent, Query, RecordedEvent, StreamName,
};
use futures_util::{FutureExt, StreamExt};
use tokio::time::Instant;

/// Events of type `n` are shown to views that divide their payload, `whole` as written, the
/// payload divided by the view otherwise; others to nobody.
#[derive(Default)]
struct Divided {
    asked: Arc<AtomicUsize>,
}

impl Present for Divided {
    type View = u64;

    fn present(&self, by: &u64, event: &RecordedEvent) -> Look {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let number: u64 = std::str::from_utf8(&event.data).unwrap().parse().unwrap();
        match event.event_type.as_str() {
            "whole" => Look::AsWritten,
            "n" if number.is_multiple_of(*by) => Look::As(RecordedEvent {
                event_type: EventType::new("part").unwrap(),
                data: (number / by).to_string().into(),
                ..event.clone()
            }),
            _ => Look::Hidden,
        }
    }
}

async fn append(store: &MemoryStore, event_type: &str, number: usize) {
    let event = NewEvent::new(EventType::new(event_type).unwrap(), number.to_string());
    let to = StreamName::new("s").unwrap();
    store.append(Append::to(to).event(event)).await.unwrap();
}

fn all() -> Follow {
    Follow::new(Query::all()).from(From::Beginning)
}

/// What is there now: name and data of each block, and the last id.
fn shown(frames: &mut FrameStream) -> (Vec<String>, Option<String>) {
    let (mut blocks, mut last) = (Vec::new(), None);
    while let Some(Some(frame)) = frames.next().now_or_never() {
        let text = String::from_utf8(frame.unwrap().as_bytes().to_vec()).unwrap();
        for block in text.split_terminator("\n\n") {
            let field = |name: &str| {
                let mut lines = block.lines();
                lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(": ")?.to_owned()))
            };
            blocks.push(format!(
                "{} {}",
                field("event").unwrap(),
                field("data").unwrap()
            ));
            last = field("id");
        }
    }
    (blocks, last)
}

async fn settle() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn each_view_is_shown_its_own_in_history_and_live() {
    let store = MemoryStore::new();
    let feed = Feed::start(store.clone(), FeedOptions::default())
        .await
        .unwrap();
    let views = Views::new(Divided::default());
    let mut by = [1, 2, 3].map(|by| feed.follow(all().view(views.of(by))));
    let mut live = by.each_mut().map(|_| Vec::new());
    let write = async || {
        for number in 0..7 {
            append(&store, "n", number).await;
        }
        append(&store, "whole", 5).await;
        append(&store, "secret", 5).await;
    };
    write().await;
    for (frames, live) in by.iter_mut().zip(&mut live) {
        live.extend(shown(frames).0);
    }
    write().await;
    settle().await;
    for (frames, live) in by.iter_mut().zip(&mut live) {
        live.extend(shown(frames).0);
    }
    let once: [&[&str]; 3] = [
        &[
            "part 0", "part 1", "part 2", "part 3", "part 4", "part 5", "part 6", "whole 5",
        ],
        &["part 0", "part 1", "part 2", "part 3", "whole 5"],
        &["part 0", "part 1", "part 2", "whole 5"],
    ];
    for (by, once) in once.into_iter().enumerate() {
        assert_eq!(live[by], [once, once].concat(), "by {}", by + 1);
    }
}

#[tokio::test]
async fn a_look_is_encoded_once_for_its_view_and_what_is_as_written_once_for_all() {
    let store = MemoryStore::new();
    let feed = Feed::start(store.clone(), FeedOptions::default())
        .await
        .unwrap();
    let hook = Divided::default();
    let asked = Arc::clone(&hook.asked);
    let views = Views::new(hook);
    // Two plain, a hundred by two, a hundred by three.
    let mut streams: Vec<_> = (0..202)
        .map(|which| match which {
            0 | 1 => feed.follow(all()),
            which => feed.follow(all().view(views.of(2 + which % 2))),
        })
        .collect();
    for frames in &mut streams {
        assert!(frames.next().now_or_never().is_none());
    }
    let places = async |streams: &mut Vec<FrameStream>| {
        settle().await;
        let mut places = Vec::new();
        for frames in streams {
            let frame = frames.next().now_or_never().unwrap().unwrap().unwrap();
            places.push(frame.as_bytes().as_ptr());
        }
        places.sort_unstable();
        places.dedup();
        places.len()
    };
    append(&store, "whole", 6).await;
    assert_eq!(
        places(&mut streams).await,
        1,
        "all share what is as it was written"
    );
    assert_eq!(asked.swap(0, Ordering::Relaxed), 2, "once a view");
    append(&store, "n", 6).await;
    assert_eq!(places(&mut streams).await, 3);
    assert_eq!(asked.swap(0, Ordering::Relaxed), 2);
    // What came together is joined once for a view.
    append(&store, "n", 12).await;
    append(&store, "n", 18).await;
    assert_eq!(places(&mut streams).await, 3);
    assert_eq!(asked.swap(0, Ordering::Relaxed), 4);
}

#[tokio::test(start_paused = true)]
async fn what_is_hidden_moves_the_place_without_an_event() {
    let store = MemoryStore::new();
    let feed = Feed::start(store.clone(), FeedOptions::default())
        .await
        .unwrap();
    let views = Views::new(Divided::default());
    let mut frames = feed.follow(all().view(views.of(2)));
    append(&store, "n", 2).await;
    assert_eq!(shown(&mut frames).0, ["part 1"]);
    for live in [false, true] {
        for number in [1, 3, 5] {
            append(&store, "n", number).await;
        }
        let position = store.head().await.unwrap();
        let progress = frames.next().await.unwrap().unwrap();
        let epoch = store.epoch();
        let id = Cursor { epoch, position };
        let expected = format!("event: eventwire.progress\nid: {id}\ndata: {{}}\n\n");
        assert_eq!(progress.as_bytes(), expected.as_bytes(), "live: {live}");
        let mut resumed = feed.follow(all().from(From::Cursor(id)).view(views.of(1)));
        assert_eq!(shown(&mut resumed).0, [""; 0], "nothing is shown again");
    }
    // A run that ends with what is hidden has told its client of the last that was shown.
    for number in [4, 1, 1] {
        append(&store, "n", number).await;
    }
    settle().await;
    let (blocks, last) = shown(&mut frames);
    assert_eq!(blocks, ["part 2"]);
    assert!(last.unwrap().ends_with(".8"));
    let progress = frames.next().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(progress.as_bytes()).contains(".10\n"));
}

#[tokio::test]
async fn the_reconnection_time_waits_for_an_event_that_is_shown() {
    let store = MemoryStore::new();
    let feed = Feed::start(store.clone(), FeedOptions::default())
        .await
        .unwrap();
    let views = Views::new(Divided::default());
    let follow = all().view(views.of(2)).retry(Duration::from_millis(7));
    append(&store, "n", 1).await;
    append(&store, "n", 2).await;
    append(&store, "n", 4).await;
    let mut frames = feed.follow(follow);
    for retry in [true, false] {
        let frame = frames.next().await.unwrap().unwrap();
        let text = String::from_utf8_lossy(frame.as_bytes()).into_owned();
        assert_eq!(text.contains("\nretry: 7\n"), retry, "{text}");
    }
}

#[tokio::test]
async fn a_history_in_which_all_is_hidden_leaves_others_their_turn() {
    let store = MemoryStore::new();
    for number in 0..5_000 {
        append(&store, "secret", number).await;
    }
    let feed = Feed::start(store.clone(), FeedOptions::default())
        .await
        .unwrap();
    let views = Views::new(Divided::default());
    let mut frames = feed.follow(all().view(views.of(1)));
    append(&store, "whole", 1).await;
    let mut turns = 0;
    let first = loop {
        match frames.next().now_or_never() {
            Some(frame) => break frame.unwrap().unwrap(),
            None => turns += 1,
        }
        tokio::task::yield_now().await;
    };
    assert!(first.as_bytes().starts_with(b"event: whole\n"));
    assert!(turns >= 3, "{turns}");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_others_their_turn_goes_on_by_itself() {
    let store = MemoryStore::new();
    for number in 0..5_000 {
        append(&store, "secret", number).await;
    }
    append(&store, "whole", 1).await;
    let feed = Feed::start(store.clone(), FeedOptions::default())
        .await
        .unwrap();
    let views = Views::new(Divided::default());
    let mut frames = feed.follow(all().view(views.of(1)));
    let begun = Instant::now();
    let first = frames.next().await.unwrap().unwrap();
    assert!(first.as_bytes().starts_with(b"event: whole\n"));
    assert!(
        begun.elapsed() < Duration::from_millis(100),
        "nobody had to wake it"
    );
}

#[tokio::test]
async fn cloud_events_are_a_form_for_every_view() {
    let store = MemoryStore::new();
    let options = FeedOptions::default().source("https://log.example/");
    let feed = Feed::start(store.clone(), options).await.unwrap();
    let views = Views::new(Divided::default());
    let form = || all().format(Format::CloudEvents);
    let mut streams = [
        feed.follow(form()),
        feed.follow(form()),
        feed.follow(form().view(views.of(2))),
        feed.follow(form().view(views.of(2))),
        feed.follow(all()),
    ];
    for live in [false, true] {
        append(&store, "n", 4).await;
        settle().await;
        let frames = streams
            .each_mut()
            .map(|frames| frames.next().now_or_never().unwrap().unwrap().unwrap());
        let texts = frames
            .each_ref()
            .map(|frame| String::from_utf8_lossy(frame.as_bytes()));
        assert!(texts[0].starts_with("event: n\nid: "), "{}", texts[0]);
        assert!(texts[2].starts_with("event: part\nid: "), "{}", texts[2]);
        let json = texts.each_ref().map(|text| {
            let data = text
                .lines()
                .find_map(|line| line.strip_prefix("data: "))
                .unwrap();
            serde_json::from_str::<serde_json::Value>(data).unwrap()
        });
        for (json, name, data) in [(&json[0], "n", 4), (&json[2], "part", 2)] {
            assert_eq!(json["specversion"], "1.0");
            assert_eq!(json["type"], name);
            assert_eq!(json["source"], "https://log.example/");
            assert_eq!(json["subject"], "s");
            assert_eq!(json["data"], data);
        }
        assert_eq!(json[4], 4);
        assert_eq!(texts[0], texts[1]);
        let places = frames.each_ref().map(|frame| frame.as_bytes().as_ptr());
        assert_eq!(places[0] == places[1], live, "live frames are shared");
        assert_eq!(places[2] == places[3], live);
    }
    append(&store, "whole", 4).await;
    settle().await;
    let frames = streams
        .each_mut()
        .map(|frames| frames.next().now_or_never().unwrap().unwrap().unwrap());
    let places = frames.each_ref().map(|frame| frame.as_bytes().as_ptr());
    assert_eq!(
        places[0], places[2],
        "one encoding for all who see it as written"
    );
}

#[tokio::test]
async fn a_ring_of_one_event_shows_each_view_all_of_its_own() {
    const EVENTS: usize = 600;
    let store = MemoryStore::new();
    let options = FeedOptions::default().ring(NonZeroUsize::MIN);
    let feed = Feed::start(store.clone(), options).await.unwrap();
    let views = Views::new(Divided::default());
    let mut readers = Vec::new();
    for by in 1..5 {
        let mut frames = feed.follow(all().view(views.of(by)));
        readers.push(tokio::spawn(async move {
            let mut text = String::new();
            while !text.contains("event: whole\n") {
                let frame = frames.next().await.unwrap().unwrap();
                text.push_str(std::str::from_utf8(frame.as_bytes()).unwrap());
                tokio::task::yield_now().await;
            }
            let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
            data.map(|data| data.parse().unwrap())
                .collect::<Vec<usize>>()
        }));
    }
    for number in 0..EVENTS {
        append(&store, "n", number).await;
        if number % 5 == 0 {
            tokio::task::yield_now().await;
        }
    }
    append(&store, "whole", EVENTS).await;
    for (reader, by) in readers.into_iter().zip(1..) {
        let expected = (0..EVENTS.div_ceil(by)).chain([EVENTS]);
        assert_eq!(
            reader.await.unwrap(),
            expected.collect::<Vec<_>>(),
            "by {by}"
        );
    }
}

#[tokio::test]
async fn streams_of_different_views_have_nothing_in_common_and_a_fork_keeps_its_view() {
    let store = MemoryStore::new();
    let feed = Feed::start(store.clone(), FeedOptions::default())
        .await
        .unwrap();
    let views = Views::new(Divided::default());
    append(&store, "whole", 1).await;
    let by = |by| all().view(views.of(by));
    let follows = [
        by(1),
        by(2),
        all(),
        by(1).format(Format::CloudEvents),
        all().format(Format::CloudEvents),
    ];
    let mut streams = follows.clone().map(|follow| feed.follow(follow));
    let mut again = follows.map(|follow| feed.follow(follow));
    for frames in streams.iter_mut().chain(&mut again) {
        shown(frames);
    }
    for (which, frames) in streams.iter().enumerate() {
        for (other_which, other) in again.iter().enumerate() {
            let is_equal = frames.common() == other.common();
            assert_eq!(is_equal, which == other_which, "{which} {other_which}");
        }
    }
    let after = streams[1].cursor();
    append(&store, "n", 4).await;
    append(&store, "secret", 4).await;
    settle().await;
    let mut fork = streams[1].fork(after, again[1].part());
    assert_eq!(shown(&mut fork).0, ["part 2"]);
    assert_eq!(shown(&mut streams[1]).0, ["part 2"]);
}
