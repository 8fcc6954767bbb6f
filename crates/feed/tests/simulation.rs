//! Readers that are slow, cut off, moved to another server or to another log, and told to begin
//! anew, while events are appended and dropped: each has seen exactly what matches, in order, or was
//! told of a gap.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use eventwire_feed::{Feed, FeedOptions, Follow, Format, FrameStream, From, Look, Present, Views};
use eventwire_store::{
    Append, Category, Cursor, EventStore, EventType, Keep, MemoryStore, NewEvent, Position, Query,
    RecordedEvent, Retention, StreamName, Tag,
};
use futures_util::{FutureExt, StreamExt};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    /// Appends an event, of one of the streams and one of the types.
    Append { stream: usize, kind: usize },
    /// The feed has so many turns.
    Turn(usize),
    /// A reader takes so many frames, if they are there.
    Read { reader: usize, frames: usize },
    /// A reader's frames are sent and do not arrive; its connection breaks.
    Lose { reader: usize, frames: usize },
    /// The server ends and another one takes over, of the same log or of the other.
    Restart { is_other_log: bool },
    /// The log drops all but its last events.
    Trim { keep: usize },
    /// Time passes.
    Wait { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..3_usize, 0..3_usize).prop_map(|(stream, kind)| Step::Append { stream, kind }),
        4 => (1..6_usize).prop_map(Step::Turn),
        8 => (0..8_usize, 1..6_usize).prop_map(|(reader, frames)| Step::Read { reader, frames }),
        2 => (0..8_usize, 0..4_usize).prop_map(|(reader, frames)| Step::Lose { reader, frames }),
        1 => any::<bool>().prop_map(|is_other_log| Step::Restart { is_other_log }),
        1 => (1..6_usize).prop_map(|keep| Step::Trim { keep }),
        2 => (1..20_u64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

fn stream(number: usize) -> StreamName {
    StreamName::new(format!("room-{number}")).unwrap()
}

fn kind(number: usize) -> EventType {
    EventType::new(format!("kind-{number}")).unwrap()
}

fn tag(number: usize) -> Tag {
    Tag::new(format!("tag-{}", number % 2)).unwrap()
}

/// What readers ask for.
fn queries() -> [Query; 8] {
    [
        Query::all(),
        Query::stream(stream(1)),
        Query::streams([stream(0), stream(2)]),
        Query::types([kind(1)]),
        Query::category(Category::new("room").unwrap()).with_tags([tag(1)]),
        Query::stream(stream(0)).of_types([kind(0), kind(2)]),
        Query::stream(stream(1)).or(Query::types([kind(2)])),
        Query::stream(stream(0))
            .of_types([kind(0)])
            .or(Query::tags([tag(1)])),
    ]
}

/// Hides what the number of its type is, and dresses up the rest.
struct Hides;

impl Present for Hides {
    type View = usize;

    fn present(&self, hidden: &usize, event: &RecordedEvent) -> Look {
        if event.event_type == kind(*hidden) {
            Look::Hidden
        } else if event.event_type == kind((*hidden + 1) % 3) {
            Look::AsWritten
        } else {
            Look::As(RecordedEvent {
                event_type: EventType::new("dressed-up").unwrap(),
                ..event.clone()
            })
        }
    }
}

/// One who reads, and what it knows.
struct Reader {
    query: Query,
    /// What it is not shown.
    hidden: Option<usize>,
    format: Format,
    frames: Option<FrameStream>,
    /// The last id that arrived.
    place: Option<Cursor>,
    /// Whether it is to be told first that its place is of another log.
    is_elsewhere: bool,
    /// Whether what comes next is the first that is held.
    is_at_beginning: bool,
    /// The payloads that arrived, of the log that its place is in.
    seen: Vec<u64>,
    /// Places after which, and up to which, events may be missing.
    gaps: Vec<(u64, u64)>,
}

/// A store, and what it is to hold.
struct Log {
    store: MemoryStore,
    /// How far it was dropped.
    dropped_to: u64,
    /// The stream and the type of each event that was appended; the first is at place 1.
    events: Vec<(usize, usize)>,
}

/// Everything, in one place.
struct World {
    logs: [Log; 2],
    /// Which of them is served.
    served: usize,
    options: FeedOptions,
    feed: Feed,
    views: Arc<Views<Hides>>,
    readers: Vec<Reader>,
}

fn place_of(cursor: Cursor) -> u64 {
    cursor.position.to_string().parse().unwrap()
}

impl Log {
    fn new() -> Self {
        Self {
            store: MemoryStore::new(),
            dropped_to: 0,
            events: Vec::new(),
        }
    }

    fn beginning(&self) -> Cursor {
        Cursor {
            epoch: self.store.epoch(),
            position: Position::ORIGIN,
        }
    }
}

impl Reader {
    /// One block of a log arrives.
    fn take(&mut self, block: &str, log: &Log) {
        let field = |name: &str| {
            let mut lines = block.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let id: Cursor = field("id")
            .expect("every block has a place")
            .parse()
            .unwrap();
        if std::mem::take(&mut self.is_elsewhere) {
            let (asked, beginning) = (self.place.unwrap(), log.beginning());
            let data =
                format!(r#"{{"requested":"{asked}","resumed_at":"{beginning}","reason":"epoch"}}"#);
            assert_eq!(field("event"), Some("eventwire.gap"));
            assert_eq!((field("data"), id), (Some(&*data), beginning));
            self.place = Some(id);
            self.is_at_beginning = true;
            self.seen.clear();
            self.gaps.clear();
            return;
        }
        assert!(
            self.place
                .is_none_or(|place| place.epoch == id.epoch && place.position <= id.position),
            "from {:?} to {id}",
            self.place
        );
        if std::mem::take(&mut self.is_at_beginning) {
            // It asked for what is held, and that is what is held by now.
            self.gaps.push((0, log.dropped_to));
        }
        let before = self.place.map_or(0, place_of);
        self.place = Some(id);
        match field("event").unwrap() {
            "eventwire.gap" => {
                let data = field("data").unwrap();
                assert!(data.ends_with(r#""reason":"retention"}"#), "{data}");
                self.gaps.push((before, place_of(id)));
            }
            "eventwire.progress" => {}
            _ => {
                let data = field("data").unwrap();
                let number = match self.format {
                    Format::CloudEvents => {
                        let json: serde_json::Value = serde_json::from_str(data).unwrap();
                        json["data"].as_u64().unwrap()
                    }
                    _ => data.parse().unwrap(),
                };
                assert_eq!(number, place_of(id), "it says where it is");
                self.seen.push(number);
            }
        }
    }
}

impl World {
    async fn new(ring: usize, ring_bytes: u64, readers: &[(usize, usize, bool)]) -> Self {
        let logs = [Log::new(), Log::new()];
        let options = FeedOptions::default()
            .ring(NonZeroUsize::new(ring).unwrap())
            .ring_bytes(ring_bytes);
        let feed = Feed::start(logs[0].store.clone(), options.clone());
        let feed = feed.await.unwrap();
        let reader = |(query, hidden, is_cloud): &(usize, usize, bool)| Reader {
            query: queries()[*query].clone(),
            hidden: (*hidden < 3).then_some(*hidden),
            format: if *is_cloud {
                Format::CloudEvents
            } else {
                Format::Payload
            },
            frames: None,
            place: None,
            is_elsewhere: false,
            is_at_beginning: true,
            seen: Vec::new(),
            gaps: Vec::new(),
        };
        Self {
            logs,
            served: 0,
            options,
            feed,
            views: Arc::new(Views::new(Hides)),
            readers: readers.iter().map(reader).collect(),
        }
    }

    async fn take(&mut self, step: &Step) {
        let log = &mut self.logs[self.served];
        match *step {
            Step::Append {
                stream: to,
                kind: of,
            } => {
                log.events.push((to, of));
                let number = log.events.len();
                let event = NewEvent::new(kind(of), number.to_string()).tag(tag(number));
                let append = Append::to(stream(to)).event(event);
                log.store.append(append).await.unwrap();
            }
            Step::Turn(turns) => turn(turns).await,
            Step::Read { reader, frames } => self.read(reader, frames, true),
            Step::Lose { reader, frames } => {
                self.read(reader, frames, false);
                let index = reader % self.readers.len();
                self.readers[index].frames = None;
            }
            Step::Restart { is_other_log } => {
                for reader in &mut self.readers {
                    reader.frames = None;
                }
                if is_other_log {
                    self.served = 1 - self.served;
                }
                let store = self.logs[self.served].store.clone();
                self.feed = Feed::start(store, self.options.clone()).await.unwrap();
            }
            Step::Trim { keep } => {
                let kept = Keep::all().max_events(keep);
                let trimmed = log.store.trim_log(kept).await.unwrap();
                log.dropped_to = trimmed.dropped_to.to_string().parse().unwrap();
            }
            Step::Wait { seconds } => tokio::time::sleep(Duration::from_secs(seconds)).await,
        }
    }

    /// What is there, up to so many frames.
    fn read(&mut self, reader: usize, frames: usize, arrives: bool) {
        let index = reader % self.readers.len();
        let reader = &mut self.readers[index];
        let log = &self.logs[self.served];
        let stream = reader.frames.get_or_insert_with(|| {
            let from = reader.place.map_or(From::Beginning, From::Cursor);
            let epoch = log.store.epoch();
            reader.is_elsewhere = reader.place.is_some_and(|place| place.epoch != epoch);
            reader.is_at_beginning = reader.place.is_none();
            let follow = Follow::new(reader.query.clone())
                .from(from)
                .format(reader.format);
            self.feed.follow(match reader.hidden {
                Some(hidden) => follow.view(self.views.of(hidden)),
                None => follow,
            })
        });
        let mut taken = Vec::new();
        while taken.len() < frames
            && let Some(frame) = stream.next().now_or_never()
        {
            taken.push(frame.expect("the feed is open").expect("the store is, too"));
        }
        for frame in taken.iter().filter(|_| arrives) {
            let text = std::str::from_utf8(frame.as_bytes()).unwrap();
            for block in text.split_terminator("\n\n") {
                reader.take(block, log);
            }
        }
    }

    /// Whether an event is for a reader.
    fn is_for(reader: &Reader, place: u64, (to, of): (usize, usize)) -> bool {
        let number = usize::try_from(place).unwrap();
        let matches = [
            true,
            to == 1,
            to != 1,
            of == 1,
            number % 2 == 1,
            to == 0 && of != 1,
            to == 1 || of == 2,
            (to == 0 && of == 0) || number % 2 == 1,
        ];
        let query = queries()
            .iter()
            .position(|query| *query == reader.query)
            .unwrap();
        matches[query] && reader.hidden != Some(of)
    }

    /// Nobody has seen what it should not have, or out of order, or too little.
    fn check(&self) {
        for (which, reader) in self.readers.iter().enumerate() {
            let Some(place) = reader.place else {
                assert!(reader.seen.is_empty());
                continue;
            };
            let mut logs = self.logs.iter();
            let log = logs.find(|log| log.store.epoch() == place.epoch).unwrap();
            let wanted = (1..=place_of(place))
                .zip(&log.events)
                .filter(|(place, event)| Self::is_for(reader, *place, **event))
                .map(|(place, _)| place);
            let mut seen = reader.seen.iter().copied().peekable();
            for place in wanted {
                if seen.next_if_eq(&place).is_none() {
                    let is_told = |(after, to): &(u64, u64)| *after < place && place <= *to;
                    assert!(
                        reader.gaps.iter().any(is_told),
                        "{which} has not seen {place}, nor was it told: {:?} {:?}",
                        reader.seen,
                        reader.gaps
                    );
                }
            }
            assert_eq!(seen.next(), None, "{which} has seen {:?}", reader.seen);
        }
    }
}

async fn turn(turns: usize) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

fn simulate(ring: usize, ring_bytes: u64, readers: &[(usize, usize, bool)], steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut world = World::new(ring, ring_bytes, readers).await;
        for step in steps {
            world.take(step).await;
            world.check();
        }
        // Everyone comes to the end: past what matches by progress.
        for reader in 0..readers.len() {
            world.read(reader, 1, true);
        }
        for _ in 0..4 {
            for reader in 0..readers.len() {
                world.read(reader, usize::MAX, true);
            }
            tokio::time::sleep(Duration::from_secs(16)).await;
            turn(20).await;
        }
        world.check();
        let log = &world.logs[world.served];
        let end = Cursor {
            epoch: log.store.epoch(),
            position: log.store.head().await.unwrap(),
        };
        for reader in &world.readers {
            let place = reader.place.unwrap_or(log.beginning());
            assert_eq!(place, end, "it is not told the end");
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn each_reader_sees_what_matches_once_in_order_or_is_told_of_a_gap(
        ring in 1..9_usize,
        ring_bytes in prop_oneof![Just(u64::MAX), 1..6_000_u64],
        readers in vec((0..8_usize, 0..5_usize, any::<bool>()), 1..6),
        steps in vec(step(), 0..120),
    ) {
        simulate(ring, ring_bytes, &readers, &steps);
    }
}
