//! Answers that are kept for a while, in a store in memory that lets go of the oldest.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

use std::num::NonZeroUsize;
use std::time::Duration;

use eventwire_feed::{Feed, FeedOptions, Follow, FrameStream, From};
use eventwire_store::{
    Append, Cursor, EventStore, EventType, Keep, MemoryStore, NewEvent, Query, Tag,
};
use futures_util::{FutureExt, StreamExt};

fn answer(number: usize) -> Tag {
    Tag::new(format!("answer:{number}")).unwrap()
}

async fn say(store: &MemoryStore, number: usize, token: usize) {
    let event = NewEvent::new(EventType::new("token").unwrap(), token.to_string());
    let append = Append::new().event(event.tag(answer(number)));
    store.append(append).await.unwrap();
}

fn small_ring() -> FeedOptions {
    FeedOptions::default().ring(NonZeroUsize::new(8).unwrap())
}

/// What a page knows of an answer.
#[derive(Debug, Default)]
struct Page {
    /// The last id that it was sent.
    place: Option<Cursor>,
    tokens: Vec<usize>,
    gaps: usize,
}

impl Page {
    fn load(&self, feed: &Feed, number: usize) -> FrameStream {
        let from = self.place.map_or(From::Beginning, From::Cursor);
        feed.follow(Follow::new(Query::tags([answer(number)])).from(from))
    }

    /// Takes what is there.
    async fn read(&mut self, frames: &mut FrameStream) {
        // What was appended is published once the feed has had its turns.
        tokio::time::sleep(Duration::from_millis(1)).await;
        while let Some(Some(frame)) = frames.next().now_or_never() {
            let text = String::from_utf8(frame.unwrap().as_bytes().to_vec()).unwrap();
            // Those that are there together are one frame.
            for block in text.split_terminator("\n\n") {
                let field = |name| block.lines().find_map(|line| line.strip_prefix(name));
                self.place = field("id: ").map(|id| id.parse().unwrap()).or(self.place);
                match field("event: ").unwrap() {
                    "token" => self.tokens.push(field("data: ").unwrap().parse().unwrap()),
                    "eventwire.gap" => self.gaps += 1,
                    other => panic!("{other} was not sent"),
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_loaded_again_anywhere_in_an_answer_goes_on_there() {
    const TOKENS: usize = 30;
    for reloaded_after in 0..TOKENS {
        for missed in [0, 1, 20] {
            let store = MemoryStore::new().keeping(Keep::all().max_events(100));
            let feed = Feed::start(store.clone(), small_ring()).await.unwrap();
            let mut page = Page::default();
            let mut frames = page.load(&feed, 7);
            for token in 0..TOKENS {
                // Others are answered as well.
                say(&store, 8, token).await;
                say(&store, 7, token).await;
                if token < reloaded_after || token > reloaded_after + missed {
                    page.read(&mut frames).await;
                } else if token == reloaded_after {
                    frames = page.load(&feed, 7);
                }
            }
            page.read(&mut frames).await;
            assert_eq!(page.tokens, (0..TOKENS).collect::<Vec<_>>());
            assert_eq!(page.gaps, 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_too_late_is_told() {
    let store = MemoryStore::new().keeping(Keep::all().max_events(10));
    let feed = Feed::start(store.clone(), small_ring()).await.unwrap();
    let mut page = Page::default();
    let mut frames = page.load(&feed, 7);
    for token in 0..5 {
        say(&store, 7, token).await;
    }
    page.read(&mut frames).await;
    drop(frames);
    for token in 5..25 {
        say(&store, 7, token).await;
    }
    let mut frames = page.load(&feed, 7);
    page.read(&mut frames).await;
    assert_eq!(page.gaps, 1);
    assert_eq!(page.tokens, (0..5).chain(15..25).collect::<Vec<_>>());
}

#[test]
fn however_many_answers_there_were_memory_is_what_is_kept_and_the_ring() {
    const KEPT: usize = 1000;
    let held_after = |answers: usize| {
        let counted = allocation_counter::measure(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            let feed = runtime.block_on(async {
                let store = MemoryStore::new().keeping(Keep::all().max_events(KEPT));
                let feed = Feed::start(store.clone(), small_ring()).await.unwrap();
                for number in 0..answers {
                    let mut page = Page::default();
                    let mut frames = page.load(&feed, number);
                    for token in 0..20 {
                        say(&store, number, token).await;
                    }
                    page.read(&mut frames).await;
                    assert_eq!(page.tokens.len(), 20);
                }
                feed
            });
            // What it and its store hold is not given back before the end of the measure.
            std::mem::forget(feed);
        });
        counted.bytes_current
    };
    let (few, many) = (held_after(100), held_after(2000));
    // A byte for each answer more would be 1,900.
    assert!(
        many < few + 1900,
        "{few} bytes after 100, {many} after 2,000"
    );
    assert!(few < 1000 * i64::try_from(KEPT).unwrap(), "{few} bytes");
}
