//! Event streams byte by byte: what else a client sends, how they end, and who does not read.

mod support {
    pub(crate) mod blocks;
    pub(crate) mod mode;
    pub(crate) mod wire;
}

use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use clap::Parser as _;
use eventwire::feed::{Feed, FeedOptions};
use eventwire::gateway::{Gateway, GatewayBuilder};
use eventwire::store::{Append, EventStore, EventType, MemoryStore, NewEvent, Tag};
use eventwire_examples::{ListenOptions, Server};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

use support::mode::{Mode, in_both_modes};
use support::wire::Wire;

in_both_modes! {
    answers_before_a_stream_come_before_it,
    what_is_sent_after_the_request_changes_nothing,
    who_closes_its_side_is_let_go,
    a_stream_ends_at_its_age_with_the_last_chunk,
    closing_says_farewell_to_all_within_a_second,
    one_of_a_thousand_stops_reading_and_lacks_nothing_in_the_end,
    who_does_not_read_takes_no_memory,
    what_is_no_stream_is_answered_as_ever,
}

/// Held by tests that take much of the machine, or measure what they take.
static ALONE: Mutex<()> = Mutex::const_new(());

const ASK: &str =
    "GET /events?from=start HTTP/1.1\r\nhost: here\r\naccept: text/event-stream\r\n\r\n";

/// A server in this process over a store in memory.
struct Served {
    address: SocketAddr,
    store: MemoryStore,
    gateway: Gateway,
}

impl Served {
    async fn new(mode: Mode, options: FeedOptions) -> Self {
        Self::with(mode, options, |gateway| gateway).await
    }

    async fn with(
        mode: Mode,
        options: FeedOptions,
        change: impl FnOnce(GatewayBuilder) -> GatewayBuilder,
    ) -> Self {
        // Nobody is cut off for taking nothing, however slow this machine is.
        let flags = ["test", "--listen", "127.0.0.1:0", "--stalled-after", "1h"];
        let flags = flags.iter().chain(mode.flags());
        let server = Server::bind(ListenOptions::parse_from(flags)).await;
        let server = server.expect("a port is free");
        let address = server.address().expect("it listens");
        let store = MemoryStore::new();
        let feed = Feed::start(store.clone(), options).await;
        let gateway = Gateway::builder(feed.expect("a store in memory can be read"));
        let gateway = change(gateway.raw_log()).build();
        tokio::spawn(server.run(gateway.clone()));
        Self {
            address,
            store,
            gateway,
        }
    }

    async fn append(&self, data: impl Into<bytes::Bytes>) {
        let event = NewEvent::new(EventType::new("t").expect("a type"), data);
        let appended = self.store.append(Append::new().event(event)).await;
        appended.expect("memory takes it");
    }

    async fn stream(&self) -> Wire {
        let wire = Wire::ask(self.address, "/events?from=start").await;
        wire.expect("a connection")
    }
}

async fn answers_before_a_stream_come_before_it(mode: Mode) {
    let served = Served::new(mode, FeedOptions::default()).await;
    // A page of a megabyte is not written at once to a client that does not read yet.
    for _ in 0..4 {
        served.append(format!("\"{}\"", "x".repeat(250_000))).await;
    }
    let page = "GET /events HTTP/1.1\r\nhost: here\r\naccept: application/json\r\n\r\n";
    let requests = format!("{page}{page}{ASK}");
    let wire = Wire::send(served.address, &requests).await;
    let mut wire = wire.expect("a connection");
    sleep(Duration::from_millis(300)).await;
    let mut pages = Vec::new();
    for _ in 0..2 {
        wire.read_head().await.expect("a head");
        assert!(wire.head.starts_with("HTTP/1.1 200 OK\r\n"));
        pages.push(wire.read_body().await.expect("a page"));
    }
    assert_eq!(pages[0], pages[1]);
    assert!(pages[0].len() > 1_000_000);
    wire.read_head().await.expect("a head");
    let head = wire.head.to_ascii_lowercase();
    assert_eq!(
        head.matches("\r\ntransfer-encoding: chunked\r\n").count(),
        1
    );
    assert_eq!(
        head.matches("\r\ncontent-type: text/event-stream\r\n")
            .count(),
        1
    );
    assert_eq!(head.matches("\r\ndate: ").count(), 1);
    assert_eq!(head.matches("\r\nx-request-id: ").count(), 1);
    for event in 0..4 {
        let data = wire.events(1).await.expect("the stream goes on");
        assert_eq!(data[0].len(), 250_002, "event {event}");
    }
}

async fn what_is_sent_after_the_request_changes_nothing(mode: Mode) {
    let served = Served::new(mode, FeedOptions::default()).await;
    served.append("1").await;
    // In the same segment as the request, and later.
    let wire = Wire::send(served.address, &format!("{ASK}{ASK}")).await;
    let mut wire = wire.expect("a connection");
    assert_eq!(wire.events(1).await.expect("an event"), ["1"]);
    wire.socket.write_all(ASK.as_bytes()).await.expect("room");
    sleep(Duration::from_millis(100)).await;
    served.append("2").await;
    assert_eq!(wire.events(1).await.expect("an event"), ["2"]);
}

async fn who_closes_its_side_is_let_go(mode: Mode) {
    let limits = |gateway: GatewayBuilder| gateway.max_streams(1);
    let served = Served::with(mode, FeedOptions::default(), limits).await;
    served.append("1").await;
    let mut wire = served.stream().await;
    wire.events(1).await.expect("an event");
    wire.socket.shutdown().await.expect("half of it is closed");
    assert!(wire.is_closed().await, "the other half is closed as well");
    let begun = Instant::now();
    loop {
        let mut next = served.stream().await;
        next.read_head().await.expect("a head");
        if next.head.starts_with("HTTP/1.1 200 ") {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "its place is held"
        );
        sleep(Duration::from_millis(10)).await;
    }
}

async fn a_stream_ends_at_its_age_with_the_last_chunk(mode: Mode) {
    let limits = |gateway: GatewayBuilder| gateway.max_age(Duration::from_millis(1500));
    let served = Served::with(mode, FeedOptions::default(), limits).await;
    served.append("1").await;
    let mut wire = served.stream().await;
    let blocks = wire.rest().await.expect("it ends as a stream ends");
    let data: Vec<_> = blocks.iter().map(|block| &*block.data).collect();
    assert_eq!(data, ["1"], "and nobody is told to stay away");
}

async fn closing_says_farewell_to_all_within_a_second(mode: Mode) {
    let options = FeedOptions::default().return_within(Duration::from_secs(60));
    let served = Served::new(mode, options).await;
    served.append("1").await;
    let mut wires = Vec::new();
    for _ in 0..50 {
        let mut wire = served.stream().await;
        assert_eq!(wire.events(1).await.expect("an event"), ["1"]);
        wires.push(wire);
    }
    served.append("2").await;
    let begun = Instant::now();
    served.gateway.close().await;
    for wire in &mut wires {
        let blocks = wire.rest().await.expect("it ends as a stream ends");
        let names: Vec<_> = blocks.iter().map(|block| block.name.as_deref()).collect();
        assert_eq!(names, [Some("t"), Some("eventwire.busy")]);
        if mode == Mode::TakenOver {
            assert!(wire.is_closed().await, "hyper would wait for a request");
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(1));
}

async fn one_of_a_thousand_stops_reading_and_lacks_nothing_in_the_end(mode: Mode) {
    const EVENTS: usize = 100;
    let _alone = ALONE.lock().await;
    allow_files(4096);
    // The rest is in the log alone.
    let ring = NonZeroUsize::new(16).expect("not zero");
    let served = Served::new(mode, FeedOptions::default().ring(ring)).await;
    let stopped = Wire::ask_with_little_room(served.address, "/events?from=start").await;
    let mut stopped = stopped.expect("a connection");
    let mut readers = JoinSet::new();
    for number in 0..999 {
        // A few read as much as the one who stops, the others what is small.
        let (path, is_small) = match number {
            0..5 => ("/events?from=start", false),
            _ => ("/events?from=start&tag=small", true),
        };
        let mut wire = Wire::ask(served.address, path).await.expect("a connection");
        readers.spawn(async move { (is_small, read(&mut wire, EVENTS, is_small).await) });
    }
    let expected: Vec<String> = (0..EVENTS).map(payload).collect();
    for (number, data) in expected.iter().enumerate() {
        let event = NewEvent::new(EventType::new("t").expect("a type"), data.clone());
        let event = match is_small(number) {
            true => event.tag(Tag::new("small").expect("a tag")),
            false => event,
        };
        let appended = served.store.append(Append::new().event(event)).await;
        appended.expect("memory takes it");
    }
    let small: Vec<_> = (0..EVENTS).filter(|n| is_small(*n)).map(payload).collect();
    while let Some(events) = readers.join_next().await {
        let (reads_small, events) = events.expect("a reader");
        let wanted = if reads_small { &small } else { &expected };
        assert!(events == *wanted, "a reader lacks something");
    }
    // Nobody waited for the one that has read nothing. It catches up, and is then told what is new.
    let caught_up = read(&mut stopped, EVENTS, false).await;
    assert!(caught_up == expected, "who stopped lacks something");
    served.append("new").await;
    assert_eq!(stopped.events(1).await.expect("an event"), ["new"]);
}

/// The events up to the last of so many, or the last small one.
async fn read(wire: &mut Wire, of: usize, reads_small: bool) -> Vec<String> {
    let count = (0..of).filter(|n| !reads_small || is_small(*n)).count();
    let mut events = Vec::new();
    while events.len() < count {
        let blocks = wire.chunk().await.expect("the stream goes on");
        let named = blocks
            .into_iter()
            .filter(|block| block.name.as_deref() == Some("t"));
        events.extend(named.map(|block| block.data));
    }
    events
}

fn is_small(number: usize) -> bool {
    number % 2 == 1
}

/// What is large is more in all than the sockets hold of a client that does not read.
fn payload(number: usize) -> String {
    let length = if is_small(number) { 10 } else { 200_000 };
    format!("{number} {}", "x".repeat(length))
}

/// Has the system let this process open so many files: a client and a server are two.
fn allow_files(least: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < least) {
        limit.current = Some(least);
        setrlimit(Resource::Nofile, limit).expect("the system allows more");
    }
}

async fn who_does_not_read_takes_no_memory(mode: Mode) {
    const EVENTS: usize = 1500;
    const BYTES: usize = 64 << 10;
    const STOPPED: usize = 100;
    // A piece of a body, what the server may take ahead, and what the stream has in hand.
    const MOST_EACH: usize = 256 << 10;
    // The last events, and what is joined of them.
    const RING: usize = 8 << 20;
    let _alone = ALONE.lock().await;
    let ring = NonZeroUsize::new(64).expect("not zero");
    let served = Served::new(mode, FeedOptions::default().ring(ring)).await;
    let mut stopped = Vec::new();
    for _ in 0..STOPPED {
        stopped.push(served.stream().await);
    }
    let mut reader = served.stream().await;
    let data = bytes::Bytes::from("x".repeat(BYTES));
    let before = resident();
    for _ in 0..EVENTS {
        // The store shares the payload: what grows is what the server keeps for its clients.
        served.append(data.clone()).await;
        reader.events(1).await.expect("the stream goes on");
    }
    let grown = resident().saturating_sub(before);
    // Each of them kept, it would be 94 MiB for each client.
    assert!(
        grown < RING + STOPPED * MOST_EACH,
        "{} KiB more",
        grown >> 10
    );
    // One of them does as well as all, and sooner.
    let mut wire = stopped.pop().expect("there are many");
    let mut count = 0;
    while count < EVENTS {
        for block in wire.chunk().await.expect("the stream goes on") {
            if block.name.as_deref() == Some("t") {
                assert_eq!(block.data.len(), BYTES);
                count += 1;
            }
        }
    }
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<usize>().ok())
        .expect("a number of KiB")
        * 1024
}

async fn what_is_no_stream_is_answered_as_ever(mode: Mode) {
    let served = Served::new(mode, FeedOptions::default()).await;
    served.append("1").await;
    let head = ASK.replace("GET", "HEAD");
    let wrong = ASK.replace("/events", "/nowhere");
    let wire = Wire::send(served.address, &format!("{head}{wrong}{ASK}")).await;
    let mut wire = wire.expect("a connection");
    wire.read_head().await.expect("a head");
    assert!(
        wire.head.starts_with("HTTP/1.1 200 OK\r\n"),
        "{}",
        wire.head
    );
    wire.read_head().await.expect("a head");
    assert!(wire.head.starts_with("HTTP/1.1 404 "), "{}", wire.head);
    wire.read_body().await.expect("a problem");
    wire.read_head().await.expect("a head");
    assert_eq!(wire.events(1).await.expect("an event"), ["1"]);

    // HTTP/1.0 knows no chunks: the stream ends with the connection.
    let old = ASK.replace("HTTP/1.1", "HTTP/1.0");
    let mut wire = Wire::send(served.address, &old)
        .await
        .expect("a connection");
    wire.read_head().await.expect("a head");
    assert!(
        !wire.head.to_ascii_lowercase().contains("chunked"),
        "{}",
        wire.head
    );
}
