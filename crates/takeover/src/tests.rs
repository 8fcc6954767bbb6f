//! A shard over sockets in memory: whoever is held up, lags, comes and goes, each client gets
//! what it is to get, once, in order, in whole chunks.

use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use eventwire_feed::{Feed, FeedOptions, Follow, From, Look, Present, Views};
use eventwire_store::{
    Append, EventStore, EventType, MemoryStore, NewEvent, Query, RecordedEvent, StreamName,
};
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::sync::watch;
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, sleep};

use crate::shard::Arrival;
use crate::task::ShardTask;
use crate::wakes::Wakes;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
const STALLED_AFTER: Duration = Duration::from_secs(30);

/// A shard, the feed it writes and the store behind.
struct World {
    store: MemoryStore,
    feed: Feed,
    wakes: Arc<Wakes<Arrival<DuplexStream>>>,
    open: watch::Sender<usize>,
    appended: u32,
}

impl World {
    async fn new(options: FeedOptions) -> Self {
        let store = MemoryStore::new();
        let feed = Feed::start(store.clone(), options).await.unwrap();
        let wakes = Arc::<Wakes<_>>::default();
        let open = watch::Sender::new(0);
        let shard = ShardTask::new(Arc::clone(&wakes), STALLED_AFTER, open.clone());
        tokio::spawn(unconstrained(shard));
        Self {
            store,
            feed,
            wakes,
            open,
            appended: 0,
        }
    }

    /// Appends events of one of two streams, numbered over both.
    async fn append(&mut self, stream: &str, count: usize) {
        for _ in 0..count {
            self.appended += 1;
            let data = self.appended.to_string();
            let event = NewEvent::new(EventType::new("t").unwrap(), data);
            let to = Append::to(StreamName::new(stream).unwrap());
            self.store.append(to.event(event)).await.unwrap();
        }
    }

    /// A client with so much room in its socket.
    fn connect(&self, follow: Follow, room: usize, heartbeat: Duration) -> Client {
        let (socket, client) = duplex(room);
        self.open.send_modify(|open| *open += 1);
        self.wakes.arrive(Arrival {
            socket,
            head: Bytes::from_static(HEAD),
            frames: self.feed.follow(follow),
            heartbeat,
            held: None,
        });
        Client {
            socket: Some(client),
            received: Vec::new(),
            is_ended: false,
        }
    }

    fn open(&self) -> usize {
        *self.open.borrow()
    }
}

/// Everyone has a few turns.
async fn settle() {
    sleep(Duration::from_millis(2)).await;
}

struct Client {
    socket: Option<DuplexStream>,
    received: Vec<u8>,
    is_ended: bool,
}

impl Client {
    /// Reads what is there, so many bytes at most; how many there were.
    fn read(&mut self, most: usize) -> usize {
        let Some(socket) = &mut self.socket else {
            return 0;
        };
        let mut bytes = vec![0; most];
        let mut buffer = ReadBuf::new(&mut bytes);
        let mut context = Context::from_waker(Waker::noop());
        let read = Pin::new(socket).poll_read(&mut context, &mut buffer);
        self.is_ended |= read.is_ready() && buffer.filled().is_empty();
        self.received.extend_from_slice(buffer.filled());
        buffer.filled().len()
    }

    /// Reads until nothing comes any more.
    async fn read_all(&mut self) {
        loop {
            settle().await;
            if self.read(1 << 20) == 0 {
                return;
            }
        }
    }

    /// The blocks so far, and whether the last chunk has come.
    fn blocks(&self) -> (Vec<String>, bool) {
        let mut rest = self.received.strip_prefix(HEAD).expect("a head");
        let mut text = Vec::new();
        let is_whole = loop {
            let Some(line) = rest.windows(2).position(|two| two == b"\r\n") else {
                break false;
            };
            let length = std::str::from_utf8(&rest[..line]).expect("a length in ASCII");
            let length = usize::from_str_radix(length, 16).expect("a length in hex");
            if rest.len() < line + 2 + length + 2 {
                break false;
            }
            let chunk = &rest[line + 2..][..length];
            assert_eq!(&rest[line + 2 + length..][..2], b"\r\n");
            rest = &rest[line + 2 + length + 2..];
            if length == 0 {
                assert!(rest.is_empty(), "something comes after the end");
                break true;
            }
            assert!(chunk.ends_with(b"\n\n"), "a chunk is of whole blocks");
            text.extend_from_slice(chunk);
        };
        let text = String::from_utf8(text).unwrap();
        let blocks = text.split_terminator("\n\n").map(str::to_owned);
        (blocks.collect(), is_whole)
    }

    /// The numbers of the events so far.
    fn numbers(&self) -> Vec<u32> {
        let (blocks, _) = self.blocks();
        let events = blocks
            .iter()
            .filter(|block| block.starts_with("event: t\n"));
        events
            .map(|block| {
                let data = block.lines().find_map(|line| line.strip_prefix("data: "));
                data.expect("an event has data").parse().unwrap()
            })
            .collect()
    }

    fn count(&self, beginning: &str) -> usize {
        let (blocks, _) = self.blocks();
        blocks.iter().filter(|b| b.starts_with(beginning)).count()
    }
}

fn of_stream(name: &str) -> Query {
    Query::stream(StreamName::new(name).unwrap())
}

fn beginning(query: Query) -> Follow {
    Follow::new(query).from(From::Beginning)
}

const NO_HEARTBEAT: Duration = Duration::MAX;

#[derive(Debug, Clone)]
enum Step {
    Append {
        is_of_a: bool,
        count: usize,
    },
    Connect {
        wants: usize,
        is_live: bool,
        room: usize,
    },
    Read {
        who: prop::sample::Index,
        most: usize,
    },
    Leave {
        who: prop::sample::Index,
    },
    Settle,
    Pass {
        seconds: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let who = any::<prop::sample::Index>;
    prop_oneof![
        6 => (any::<bool>(), 1..20_usize)
            .prop_map(|(is_of_a, count)| Step::Append { is_of_a, count }),
        3 => (0..3_usize, any::<bool>(), prop_oneof![1..200_usize, 2000..9000_usize])
            .prop_map(|(wants, is_live, room)| Step::Connect { wants, is_live, room }),
        6 => (who(), 1..3000_usize).prop_map(|(who, most)| Step::Read { who, most }),
        1 => who().prop_map(|who| Step::Leave { who }),
        6 => Just(Step::Settle),
        1 => (1..4_u64).prop_map(|seconds| Step::Pass { seconds }),
    ]
}

/// What one client is to get.
struct Expected {
    client: Client,
    wants: usize,
    /// Only events after so many are to come; those up to then may.
    after: u32,
    is_live: bool,
}

async fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let ring = NonZeroUsize::new(16).unwrap();
    let mut world = World::new(FeedOptions::default().ring(ring)).await;
    let queries = [
        Query::all(),
        of_stream("a"),
        of_stream("b").of_types([EventType::new("t").unwrap()]),
    ];
    let mut of_streams = [Vec::new(), Vec::new()];
    let mut clients: Vec<Expected> = Vec::new();
    for step in steps {
        match step {
            Step::Append { is_of_a, count } => {
                let first = world.appended + 1;
                world.append(if is_of_a { "a" } else { "b" }, count).await;
                of_streams[usize::from(!is_of_a)].extend(first..=world.appended);
            }
            Step::Connect {
                wants,
                is_live,
                room,
            } => {
                let from = if is_live { From::End } else { From::Beginning };
                let follow = Follow::new(queries[wants].clone()).from(from);
                let client = world.connect(follow, room, Duration::from_millis(1500));
                // Where a live stream begins is not left to chance.
                settle().await;
                clients.push(Expected {
                    client,
                    wants,
                    after: world.appended,
                    is_live,
                });
            }
            Step::Read { who, most } if !clients.is_empty() => {
                who.get_mut_in(&mut clients).client.read(most);
            }
            Step::Leave { who } if !clients.is_empty() => {
                let at = who.index(clients.len());
                clients.swap_remove(at);
            }
            Step::Settle => settle().await,
            Step::Pass { seconds } => sleep(Duration::from_secs(seconds)).await,
            _ => {}
        }
    }
    let everything: Vec<u32> = (1..=world.appended).collect();
    for expected in &mut clients {
        let Expected {
            client,
            wants,
            after,
            is_live,
        } = expected;
        client.read_all().await;
        let all = [&everything, &of_streams[0], &of_streams[1]][*wants];
        let after = if *is_live { *after } else { 0 };
        let wanted: Vec<u32> = all
            .iter()
            .copied()
            .filter(|number| *number > after)
            .collect();
        prop_assert_eq!(client.numbers(), wanted);
    }
    settle().await;
    prop_assert_eq!(world.open(), clients.len());
    world.feed.close().await;
    for expected in &mut clients {
        expected.client.read_all().await;
        prop_assert!(expected.client.blocks().1, "it ends with the last chunk");
        prop_assert!(expected.client.is_ended, "nothing more is written");
    }
    // Those who do not close their side are not waited for.
    sleep(Duration::from_secs(1)).await;
    prop_assert_eq!(world.open(), 0);
    Ok(())
}

trait GetMutIn {
    fn get_mut_in<'a, T>(&self, of: &'a mut [T]) -> &'a mut T;
}

impl GetMutIn for prop::sample::Index {
    fn get_mut_in<'a, T>(&self, of: &'a mut [T]) -> &'a mut T {
        let at = self.index(of.len());
        &mut of[at]
    }
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn each_client_gets_what_it_wants_once_and_in_order(steps in prop::collection::vec(step(), 0..60)) {
        paused().block_on(run(steps))?;
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_holds_one_chunk_and_nobody_up() {
    let ring = NonZeroUsize::new(64).unwrap();
    let mut world = World::new(FeedOptions::default().ring(ring)).await;
    let connect = |room| world.connect(beginning(Query::all()), room, NO_HEARTBEAT);
    let mut stalled = connect(100);
    let mut others: Vec<_> = (0..50).map(|_| connect(1 << 20)).collect();
    settle().await;
    for _ in 0..40 {
        world.append("a", 50).await;
        settle().await;
        for other in &mut others {
            other.read(1 << 20);
        }
    }
    for other in &mut others {
        other.read_all().await;
        assert_eq!(other.numbers(), (1..=2000).collect::<Vec<_>>());
    }
    assert!(stalled.received.is_empty());
    // From the log, long after what it lacks has left the ring.
    stalled.read_all().await;
    assert_eq!(stalled.numbers(), (1..=2000).collect::<Vec<_>>());
    world.append("a", 1).await;
    stalled.read_all().await;
    assert_eq!(stalled.numbers().last(), Some(&2001));
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_for_too_long_is_closed() {
    let mut world = World::new(FeedOptions::default()).await;
    let mut stalled = world.connect(beginning(Query::all()), 40, Duration::from_secs(1));
    let mut slow = world.connect(beginning(Query::all()), 40, Duration::from_secs(1));
    settle().await;
    world.append("a", 3).await;
    for _ in 0..7 {
        sleep(Duration::from_secs(5)).await;
        slow.read(4);
    }
    assert_eq!(world.open(), 1, "one has moved, the other has not");
    stalled.read_all().await;
    assert!(stalled.is_ended && !stalled.blocks().1, "it is cut off");
    slow.read_all().await;
    assert_eq!(slow.numbers(), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn an_idle_stream_is_told_that_it_lives_and_where_it_is() {
    let mut world = World::new(FeedOptions::default()).await;
    let heartbeat = Duration::from_secs(4);
    let connect = || world.connect(Follow::new(of_stream("a")), 1 << 16, heartbeat);
    let mut clients = [connect(), connect(), connect()];
    sleep(Duration::from_millis(1100)).await;
    for client in &mut clients {
        client.read(1 << 16);
        assert_eq!(
            client.count("event: eventwire.progress\nid: "),
            1,
            "within a second"
        );
    }
    // The next is 4 s after that.
    sleep(Duration::from_secs(3)).await;
    for client in &mut clients {
        client.read(1 << 16);
        assert_eq!(client.count(":"), 1, "the first comment");
    }
    world.append("b", 10).await;
    sleep(Duration::from_secs(40)).await;
    for client in &mut clients {
        client.read(1 << 16);
        assert_eq!(
            client.count("event: eventwire.progress\nid: "),
            2,
            "told once, of b"
        );
        let comments = client.count(":");
        assert!((9..=11).contains(&comments), "{comments} comments in 44 s");
    }
    world.append("a", 1).await;
    settle().await;
    for client in &mut clients {
        client.read(1 << 16);
        assert_eq!(client.numbers(), [11]);
    }
}

#[tokio::test(start_paused = true)]
async fn streams_end_at_their_age_each_at_its_own() {
    let mut world = World::new(FeedOptions::default()).await;
    let mut clients: Vec<_> = (1..=3)
        .map(|seconds| {
            let follow = beginning(Query::all()).max_age(Duration::from_secs(10 * seconds));
            world.connect(follow, 1 << 16, NO_HEARTBEAT)
        })
        .collect();
    world.append("a", 1).await;
    sleep(Duration::from_secs(15)).await;
    for (number, client) in clients.iter_mut().enumerate() {
        client.read_all().await;
        assert_eq!(client.blocks().1, number == 0, "client {number}");
        assert_eq!(client.is_ended, number == 0, "client {number}");
    }
    world.append("a", 1).await;
    sleep(Duration::from_secs(20)).await;
    for (number, client) in clients.iter_mut().enumerate() {
        client.read_all().await;
        assert!(client.blocks().1);
        assert_eq!(client.numbers().len(), 1 + usize::from(number > 0));
    }
    assert_eq!(world.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn farewells_differ_and_follow_what_was_acknowledged() {
    let spread = Duration::from_secs(600);
    let mut world = World::new(FeedOptions::default().return_within(spread)).await;
    let connect = || world.connect(beginning(Query::all()), 1 << 16, NO_HEARTBEAT);
    let mut clients: Vec<_> = (0..9).map(|_| connect()).collect();
    world.append("a", 1).await;
    settle().await;
    world.append("a", 1).await;
    let begun = Instant::now();
    world.feed.close().await;
    let mut farewells = std::collections::BTreeSet::new();
    for client in &mut clients {
        client.read_all().await;
        let (blocks, is_whole) = client.blocks();
        assert!(is_whole);
        assert_eq!(client.numbers(), [1, 2]);
        let last = blocks.last().unwrap().clone();
        assert!(last.starts_with("event: eventwire.busy\nretry: "), "{last}");
        farewells.insert(last);
    }
    assert!(begun.elapsed() < Duration::from_millis(500));
    assert!(farewells.len() > 6, "they come back one after the other");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_or_talks_too_much_is_let_go() {
    let mut world = World::new(FeedOptions::default()).await;
    let connect = || world.connect(beginning(Query::all()), 1 << 16, NO_HEARTBEAT);
    let mut talkative = connect();
    let mut polite = connect();
    let mut resetting: Vec<_> = (0..100).map(|_| connect()).collect();
    world.append("a", 1).await;
    settle().await;
    resetting.clear();
    settle().await;
    assert_eq!(world.open(), 2);
    let mut context = Context::from_waker(Waker::noop());
    for (client, times) in [(&mut polite, 10), (&mut talkative, 100)] {
        for _ in 0..times {
            let socket = client.socket.as_mut().unwrap();
            let written = Pin::new(socket).poll_write(&mut context, &[b'x'; 1000]);
            assert!(matches!(written, Poll::Ready(Ok(1000) | Err(_))));
            settle().await;
        }
    }
    assert_eq!(world.open(), 1);
    world.append("a", 1).await;
    polite.read_all().await;
    assert_eq!(polite.numbers(), [1, 2]);
}

/// A hook that cannot look at the second event.
struct Fragile;

impl Present for Fragile {
    type View = ();

    fn present(&self, (): &(), event: &RecordedEvent) -> Look {
        assert_ne!(&event.data[..], b"2", "this hook cannot look at it");
        Look::AsWritten
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_ends_the_streams_it_was_asked_for() {
    let mut world = World::new(FeedOptions::default()).await;
    let views = Views::new(Fragile);
    let watched = || beginning(Query::all()).view(views.of(()));
    let connect = |follow| world.connect(follow, 1 << 16, NO_HEARTBEAT);
    let mut shown = [connect(watched()), connect(watched())];
    let mut plain = connect(beginning(Query::all()));
    world.append("a", 1).await;
    settle().await;
    world.append("a", 1).await;
    settle().await;
    let mut late = world.connect(watched(), 1 << 16, NO_HEARTBEAT);
    world.append("a", 1).await;
    plain.read_all().await;
    assert_eq!(plain.numbers(), [1, 2, 3]);
    for client in shown.iter_mut().chain([&mut late]) {
        client.read_all().await;
        assert!(client.is_ended && !client.blocks().1, "it is cut off");
        assert_eq!(client.numbers(), [1]);
    }
    assert_eq!(world.open(), 1);
}
