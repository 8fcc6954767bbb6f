//! One of a thousand clients stops reading for ten minutes of simulated time, with the memory
//! counted: where a shard writes, and where hyper does.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use allocation_counter::measure;
use eventwire_feed::FeedOptions;
use eventwire_sse_body::SseResponse;
use eventwire_store::Query;
use futures_util::FutureExt as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex};
use tokio::runtime::Runtime;
use tokio::task::coop::unconstrained;
use tokio::time::sleep;

use super::world::{World, beginning, paused};

const CLIENTS: usize = 1000;

/// Bytes of an event. A socket has room for a few.
const LENGTH: usize = 10_000;
const ROOM: usize = 32 << 10;

const EVERY: Duration = Duration::from_secs(5);
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Events in so many minutes.
const fn minutes(minutes: usize) -> usize {
    minutes * 12
}

/// A client that counts the events and throws them away.
struct Reader {
    socket: DuplexStream,
    read: u32,
    /// What may be the beginning of an event.
    tail: Vec<u8>,
}

impl Reader {
    fn new(socket: DuplexStream) -> Self {
        let tail = Vec::with_capacity(2 * ROOM);
        Self {
            socket,
            read: 0,
            tail,
        }
    }

    /// Reads what is there.
    fn read(&mut self, bytes: &mut [u8]) {
        let mut context = Context::from_waker(Waker::noop());
        loop {
            let mut buffer = ReadBuf::new(bytes);
            let polled = Pin::new(&mut self.socket).poll_read(&mut context, &mut buffer);
            if !matches!(polled, Poll::Ready(Ok(()))) || buffer.filled().is_empty() {
                return;
            }
            self.tail.extend_from_slice(buffer.filled());
            self.count();
        }
    }

    /// Each event is the next.
    fn count(&mut self) {
        const NAME: &[u8] = b"event: t\n";
        const DATA: &[u8] = b"data: ";
        let mut from = 0;
        while let Some(at) = find(&self.tail[from..], NAME) {
            let Some(data) = find(&self.tail[from + at..], DATA) else {
                break;
            };
            let begin = from + at + data + DATA.len();
            // Zeros and a number.
            let Some(number) = self.tail.get(begin + LENGTH - 9..begin + LENGTH) else {
                break;
            };
            let number: u32 = std::str::from_utf8(number).unwrap().parse().unwrap();
            self.read += 1;
            assert_eq!(number, self.read, "each event once and in order");
            from = begin + LENGTH;
        }
        // Of what is no event a part that could begin one is kept.
        let rest = &self.tail[from..];
        let keep = find(rest, NAME).unwrap_or(rest.len().saturating_sub(NAME.len()));
        self.tail.drain(..from + keep);
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|part| part == wanted)
}

/// A thousand clients of a world, and what a shard or hyper writes to them.
struct Thousand {
    runtime: Runtime,
    world: World,
    readers: Vec<Reader>,
    buffer: Vec<u8>,
}

impl Thousand {
    fn new(connect: impl Fn(&World) -> DuplexStream) -> Self {
        let runtime = paused();
        let ring = NonZeroUsize::new(16).unwrap();
        let options = FeedOptions::default().ring(ring);
        let (world, readers) = runtime.block_on(unconstrained(async {
            // It is waited for longer than it takes.
            let world = World::patient(options, Duration::from_secs(3600)).await;
            let readers = (0..CLIENTS).map(|_| Reader::new(connect(&world)));
            let readers: Vec<_> = readers.collect();
            (world, readers)
        }));
        Self {
            runtime,
            world,
            readers,
            buffer: vec![0; ROOM],
        }
    }

    /// So many events come, one after the other, and all but the first so many clients read; by
    /// how many bytes memory has grown.
    fn pass(&mut self, events: usize, stopped: usize) -> i64 {
        let Self {
            runtime,
            world,
            readers,
            buffer,
        } = self;
        let counted = measure(|| {
            runtime.block_on(unconstrained(async {
                for _ in 0..events {
                    world.append_long("a", 1, LENGTH).await;
                    sleep(EVERY).await;
                    for reader in &mut readers[stopped..] {
                        reader.read(buffer);
                        assert_eq!(reader.read, world.appended, "nobody waits");
                    }
                }
            }));
        });
        counted.bytes_current
    }

    fn check(mut self) {
        // The ring is full, and buffers have their size.
        self.pass(minutes(2), 0);
        let of_all = self.pass(minutes(5), 0);
        let of_one_less = self.pass(minutes(10), 1);
        // The log is as long as what it holds. What is kept for the one who has stopped is a chunk,
        // or what hyper takes ahead; all that was sent meanwhile would be 1.2 MB.
        let kept = of_one_less - 2 * of_all;
        assert!(kept < 200_000, "{kept} bytes more than for all: {of_all}");
        let stopped = &mut self.readers[0];
        assert_eq!(stopped.read, u32::try_from(minutes(7)).unwrap());
        // It lacks nothing: it reads on from the log, and is then told what is new.
        self.runtime.block_on(async {
            for _ in 0..minutes(10) {
                self.readers[0].read(&mut self.buffer);
                sleep(Duration::from_millis(2)).await;
            }
        });
        assert_eq!(self.readers[0].read, self.world.appended);
        self.pass(2, 0);
    }
}

#[test]
fn who_stops_reading_a_shard_for_minutes_holds_one_chunk() {
    Thousand::new(|world| {
        let client = world.connect(beginning(Query::all()), ROOM, HEARTBEAT);
        client.socket.unwrap()
    })
    .check();
}

#[test]
fn who_stops_reading_hyper_for_minutes_holds_what_it_takes_ahead() {
    Thousand::new(|world| {
        let (server, mut client) = duplex(ROOM);
        let feed = world.feed.clone();
        tokio::spawn(async move {
            let service = service_fn(|_request| {
                let frames = feed.follow(beginning(Query::all()));
                let answer = SseResponse::new(frames).heartbeat(HEARTBEAT);
                async move { Ok::<_, Infallible>(answer.into_response()) }
            });
            let http = http1::Builder::new();
            let connection = http.serve_connection(TokioIo::new(server), service);
            connection.await
        });
        let request = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n";
        let asked = client.write_all(request).now_or_never();
        asked.expect("there is room").unwrap();
        client
    })
    .check();
}
