use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use eventwire_store::backend::{self, Log};
use eventwire_store::{
    Append, AppendError, Appended, Capabilities, Epoch, EventStore, EventStream, IdempotencyKey,
    Limits, Position, Query, ReadError, ReadOptions, Recalled, Start, StoreFuture, Survives,
};

use crate::error::OpenError;
use crate::log::SharedLog;
use crate::storage::{Sight, Storage};
use crate::trail::{Step, Trail};

/// How soon it looks again after it has found something.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// How long it waits where nothing happens.
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

/// A store that another process writes, to be read in this one.
///
/// It takes no lock and changes nothing. The writer need not be running; it may start, stop,
/// crash and start again meanwhile. What is read is what the writer shows its own readers, at
/// most some 25 ms later: nothing that is not durable, and so nothing that a writer that comes
/// back does not have. What no writer of this version has shown yet is seen but for its last
/// commit.
///
/// Subscriptions end with [`ReadError::Closed`] when the log gets another epoch, for then it is
/// another log, and when what is shown cannot be read.
///
/// A clone is the same follower. The last one to be dropped closes it.
///
/// ```
/// use eventwire_store::{Append, EventStore, EventType, NewEvent};
/// use eventwire_store_file::{FileFollower, FileStore};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # futures_executor::block_on(async {
/// # let directory = tempfile::tempdir()?;
/// let store = FileStore::open(directory.path())?;
/// let follower = FileFollower::open(directory.path())?;
/// let posted = NewEvent::new(EventType::new("message-posted")?, "hi");
/// let done = store.append(Append::new().event(posted)).await?;
/// follower.wait_for(done.last()).await?;
/// assert_eq!(follower.head().await?, done.last());
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct FileFollower {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    log: Arc<SharedLog>,
    epoch: Epoch,
    closing: Arc<Closing>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Tells the thread that follows the log to end.
#[derive(Debug, Default)]
struct Closing {
    is_closed: Mutex<bool>,
    changed: Condvar,
}

impl FileFollower {
    /// Opens a store to be read, whether a process writes it or not.
    ///
    /// Blocks while it reads what no index has.
    ///
    /// # Errors
    /// [`OpenError`], where there is no store, or one that its writer would not open either.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let storage = Sight::of_open(path).map_err(|source| OpenError::Io {
            doing: "opening",
            path: path.to_owned(),
            source,
        })?;
        let storage: Arc<dyn Storage> = Arc::new(storage);
        let trail = Trail::open(&storage)?;
        let log = Arc::clone(&trail.log);
        let epoch = trail.identity.epoch;
        let closing = Arc::new(Closing::default());
        let thread = thread::Builder::new()
            .name("eventwire-follower".to_owned())
            .spawn({
                let closing = Arc::clone(&closing);
                move || follow(trail, &closing)
            })
            .map_err(|source| OpenError::Io {
                doing: "starting the follower of",
                path: PathBuf::from("."),
                source,
            })?;
        Ok(Self {
            handle: Arc::new(Handle {
                log,
                epoch,
                closing,
                thread: Mutex::new(Some(thread)),
            }),
        })
    }

    /// Ends following: subscriptions end with [`ReadError::Closed`] once they have caught up, and
    /// what was seen can still be read. Closing twice is closing once.
    pub fn close(&self) {
        self.handle.close();
    }
}

impl Handle {
    fn close(&self) {
        self.closing.close();
        let thread = self
            .thread
            .lock()
            .expect("no code panics while it holds the thread")
            .take();
        if let Some(thread) = thread
            && thread.thread().id() != thread::current().id()
        {
            // A panic of that thread was a waker's.
            drop(thread.join());
        }
        self.log.watermark().close();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

impl Closing {
    fn close(&self) {
        let mut is_closed = self.is_closed.lock().expect("no code panics in between");
        *is_closed = true;
        self.changed.notify_all();
    }

    /// Waits; says whether to go on.
    fn pause(&self, pause: Duration) -> bool {
        let is_closed = self.is_closed.lock().expect("no code panics in between");
        let (is_closed, _) = self
            .changed
            .wait_timeout_while(is_closed, pause, |is_closed| !*is_closed)
            .expect("no code panics in between");
        !*is_closed
    }
}

fn follow(mut trail: Trail, closing: &Closing) {
    let mut pause = SHORTEST_PAUSE;
    while closing.pause(pause) {
        match trail.step() {
            Ok(Step::Same) => {
                trail.look_around();
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Ok(Step::Moved) => pause = SHORTEST_PAUSE,
            Ok(Step::Ended) | Err(_) => break,
        }
    }
    trail.log.watermark().close();
}

impl EventStore for FileFollower {
    fn append(&self, _: Append) -> StoreFuture<Result<Appended, AppendError>> {
        let error = AppendError::Unsupported("appends: it follows what another process writes");
        StoreFuture::ready(Err(error))
    }

    fn recall(&self, key: IdempotencyKey) -> StoreFuture<Result<Option<Recalled>, ReadError>> {
        StoreFuture::ready(self.handle.log.recall(&key))
    }

    fn read(&self, query: Query, options: ReadOptions) -> EventStream {
        backend::read(Arc::clone(&self.handle.log), query, options)
    }

    fn subscribe(&self, query: Query, start: Start) -> EventStream {
        backend::subscribe(Arc::clone(&self.handle.log), query, start)
    }

    fn head(&self) -> StoreFuture<Result<Position, ReadError>> {
        StoreFuture::ready(Ok(self.handle.log.watermark().position()))
    }

    fn wait_for(&self, position: Position) -> StoreFuture<Result<(), ReadError>> {
        StoreFuture::new(self.handle.log.watermark().reached(position))
    }

    fn epoch(&self) -> Epoch {
        self.handle.epoch
    }

    /// Those of the store, but that nothing can be appended: every limit is zero.
    fn capabilities(&self) -> Capabilities {
        let limits = Limits {
            event_bytes: 0,
            append_events: 0,
            append_bytes: 0,
            event_tags: 0,
        };
        let mut capabilities = Capabilities::full(Survives::PowerLoss, limits);
        capabilities.query_guards = false;
        capabilities.consumed = false;
        capabilities
    }
}
