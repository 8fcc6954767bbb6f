//! A shard over sockets in memory, and its clients.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use eventwire_feed::{Feed, FeedOptions, Follow, From, Offer};
use eventwire_store::{Append, EventStore, EventType, MemoryStore, NewEvent, Query, StreamName};
use tokio::io::{AsyncRead, DuplexStream, ReadBuf, duplex};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::coop::unconstrained;
use tokio::time::sleep;

use crate::inbox::Inbox;
use crate::shard::Arrival;
use crate::task::ShardTask;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
const STALLED_AFTER: Duration = Duration::from_secs(30);

/// A shard, the feed it writes and the store behind.
pub(super) struct World {
    pub(super) store: MemoryStore,
    pub(super) feed: Feed,
    inbox: Arc<Inbox<Arrival<DuplexStream>>>,
    open: watch::Sender<usize>,
    pub(super) appended: u32,
}

impl World {
    pub(super) async fn new(options: FeedOptions) -> Self {
        Self::patient(options, STALLED_AFTER).await
    }

    /// One whose shard waits for so long for a client that takes nothing.
    pub(super) async fn patient(options: FeedOptions, stalled_after: Duration) -> Self {
        let store = MemoryStore::new();
        let feed = Feed::start(store.clone(), options).await.unwrap();
        let inbox = Arc::<Inbox<_>>::default();
        let open = watch::Sender::new(0);
        let shard = ShardTask::new(Arc::clone(&inbox), stalled_after, open.clone());
        tokio::spawn(unconstrained(shard));
        Self {
            store,
            feed,
            inbox,
            open,
            appended: 0,
        }
    }

    /// Appends events of one of two streams, numbered over both.
    pub(super) async fn append(&mut self, stream: &str, count: usize) {
        self.append_long(stream, count, 1).await;
    }

    /// The same, of so many bytes at least: zeros in front.
    pub(super) async fn append_long(&mut self, stream: &str, count: usize, length: usize) {
        for _ in 0..count {
            self.appended += 1;
            let data = format!("{:0length$}", self.appended);
            let event = NewEvent::new(EventType::new("t").unwrap(), data);
            let to = Append::to(StreamName::new(stream).unwrap());
            self.store.append(to.event(event)).await.unwrap();
        }
    }

    /// A client with so much room in its socket.
    pub(super) fn connect(&self, follow: Follow, room: usize, heartbeat: Duration) -> Client {
        let offer = Offer::new(self.feed.follow(follow), heartbeat);
        self.connect_to(&offer, room)
    }

    /// A client who is sent what is offered.
    pub(super) fn connect_to(&self, offer: &Offer, room: usize) -> Client {
        let (socket, client) = duplex(room);
        self.open.send_modify(|open| *open += 1);
        self.inbox.arrive(Arrival {
            socket,
            head: Bytes::from_static(HEAD),
            offered: offer.take().expect("nobody has taken it"),
        });
        Client {
            socket: Some(client),
            received: Vec::new(),
            is_ended: false,
        }
    }

    pub(super) fn open(&self) -> usize {
        *self.open.borrow()
    }
}

/// Time passes only where there is nothing else to do; a test has its turn after each of a shard's.
pub(super) fn paused() -> Runtime {
    Builder::new_current_thread()
        .event_interval(1)
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

/// Everyone has a few turns.
pub(super) async fn settle() {
    sleep(Duration::from_millis(2)).await;
}

pub(super) struct Client {
    pub(super) socket: Option<DuplexStream>,
    pub(super) received: Vec<u8>,
    pub(super) is_ended: bool,
}

impl Client {
    /// Reads what is there, so many bytes at most; how many there were.
    pub(super) fn read(&mut self, most: usize) -> usize {
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
    pub(super) async fn read_all(&mut self) {
        loop {
            settle().await;
            if self.read(1 << 20) == 0 {
                return;
            }
        }
    }

    /// The blocks so far, and whether the last chunk has come.
    pub(super) fn blocks(&self) -> (Vec<String>, bool) {
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
    pub(super) fn numbers(&self) -> Vec<u32> {
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

    pub(super) fn count(&self, beginning: &str) -> usize {
        let (blocks, _) = self.blocks();
        blocks.iter().filter(|b| b.starts_with(beginning)).count()
    }
}

pub(super) fn of_stream(name: &str) -> Query {
    Query::stream(StreamName::new(name).unwrap())
}

pub(super) fn beginning(query: Query) -> Follow {
    Follow::new(query).from(From::Beginning)
}

pub(super) const NO_HEARTBEAT: Duration = Duration::MAX;
