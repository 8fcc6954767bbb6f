use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use eventwire_store::backend::{self, Log, Watermark};
use eventwire_store::{
    Append, AppendError, Appended, Capabilities, Epoch, EventStore, EventStream, IdempotencyKey,
    Limits, Position, Query, ReadError, ReadOptions, Recalled, Start, StoreFuture, Survives,
};

use crate::error::OpenError;
use crate::log::SharedLog;
use crate::patience::Patience;
use crate::shown::SHOWN;
use crate::storage::{Seen, Sight, Storage, Watch};
use crate::trail::{Step, Trail};

/// How soon it looks again after it has found something.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// How often it tries again once it has told of an error that may pass.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(2);

/// How long it tells of damage before it closes.
const LAST_WORD: Duration = Duration::from_secs(30);

/// How long it waits where nothing happens, and nobody says when something does.
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

/// How long it waits where the system says when something happens, should it not.
const LONGEST_WATCH: Duration = Duration::from_secs(1);

/// A store that another process writes, to be read in this one.
///
/// It takes no lock and changes nothing. The writer need not be running; it may start, stop,
/// crash and start again meanwhile. What is read is what the writer shows its own readers, a
/// moment later: nothing that is not durable, and so nothing that a writer that comes
/// back does not have. What no writer of this version has shown yet is seen but for its last
/// commit.
///
/// On Linux the system tells it that there is more (inotify), and it does nothing meanwhile. Where
/// there is no such thing it looks every 25 ms, and every millisecond while there is more.
///
/// Subscriptions end with [`ReadError::Closed`] when the log gets another epoch, for then it is
/// another log. Where what is shown next is not as it was written, they end with
/// [`ReadError::Backend`], once they have caught up with what is shown before: its cause is the
/// [`Damage`](crate::Damage), which has file and offset; half a minute later it is closed. Errors of the
/// system may pass, and it tries again: after a minute subscriptions end with what the system says,
/// an [`OpenError`] in an [`Arc`], and so do others until there is more to be shown.
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
    waiting: Arc<Waiting>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Tells the thread that follows the log when to look, and when to end.
#[derive(Debug, Default)]
struct Waiting {
    is_closed: Mutex<bool>,
    changed: Condvar,
    watch: Option<Watch>,
    /// How long nothing is done where the watch has nothing to say.
    at_most: Option<Duration>,
}

impl FileFollower {
    /// Opens a store to be read, whether a process writes it or not.
    ///
    /// Blocks while it reads what no index has.
    ///
    /// # Errors
    /// [`OpenError`], where there is no store, or one that its writer would not open either.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_watching(path.as_ref(), Some(LONGEST_WATCH))
    }

    /// Opens a store, and looks again after so long although nobody says that it has changed.
    fn open_watching(path: &Path, at_most: Option<Duration>) -> Result<Self, OpenError> {
        let storage = Sight::of_open(path).map_err(|source| OpenError::Io {
            doing: "opening",
            path: path.to_owned(),
            source,
        })?;
        let storage: Arc<dyn Storage> = Arc::new(storage);
        let trail = Trail::open(&storage)?;
        let log = Arc::clone(&trail.log);
        let epoch = trail.identity.epoch;
        let waiting = Arc::new(Waiting {
            watch: Watch::of(path, SHOWN).ok(),
            at_most,
            ..Waiting::default()
        });
        let thread = thread::Builder::new()
            .name("eventwire-follower".to_owned())
            .spawn({
                let waiting = Arc::clone(&waiting);
                move || follow(trail, &waiting)
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
                waiting,
                thread: Mutex::new(Some(thread)),
            }),
        })
    }

    /// Ends following: subscriptions end with [`ReadError::Closed`] once they have caught up, unless
    /// they have ended before, and what was seen can still be read. Closing twice is closing once.
    pub fn close(&self) {
        self.handle.close();
    }
}

impl Handle {
    fn close(&self) {
        self.waiting.close();
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

impl Waiting {
    fn close(&self) {
        let mut is_closed = self.is_closed.lock().expect("no code panics in between");
        *is_closed = true;
        self.changed.notify_all();
        if let Some(watch) = &self.watch {
            watch.wake();
        }
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

    /// Waits until something has changed; none where there is nobody to say so.
    fn watch(&self) -> Option<Seen> {
        self.watch.as_ref()?.wait(self.at_most).ok()
    }
}

fn follow(mut trail: Trail, waiting: &Waiting) {
    let mut pause = SHORTEST_PAUSE;
    let mut patience = Patience::default();
    while waiting.pause(pause) {
        let stepped = trail.step();
        if stepped.is_ok() {
            patience = Patience::default();
        }
        match stepped {
            Ok(Step::Same) => match waiting.watch() {
                Some(seen) => {
                    pause = Duration::ZERO;
                    if seen.names {
                        trail.look_everywhere();
                    }
                }
                None => {
                    trail.look_around();
                    pause = (pause * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
                }
            },
            Ok(Step::Moved) => pause = SHORTEST_PAUSE,
            Ok(Step::Ended) => break,
            Err(error) => match patience.with(&error) {
                Some(again) => pause = again,
                None => {
                    let may_pass = matches!(error, OpenError::Io { .. });
                    tell(trail.log.watermark(), error);
                    pause = PAUSE_AFTER_ERROR;
                    if !may_pass {
                        waiting.pause(LAST_WORD);
                        break;
                    }
                }
            },
        }
    }
    trail.log.watermark().close();
}

/// Tells all who wait for more why there is none.
fn tell(watermark: &Watermark, error: OpenError) {
    match error {
        OpenError::Damaged(damage) => watermark.fail(damage),
        error => watermark.fail(Arc::new(error)),
    }
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::store::FileStore;
    use eventwire_store::{EventType, NewEvent};
    use futures_executor::block_on;

    /// One that never looks by itself: what it is not told of, it waits for for ever.
    #[test]
    fn a_follower_is_told_of_each_commit() {
        let directory = tempfile::tempdir().unwrap();
        let append = || {
            let event = NewEvent::new(EventType::new("posted").unwrap(), "hi");
            Append::new().event(event)
        };
        FileStore::open(directory.path()).unwrap().close();
        let follower = FileFollower::open_watching(directory.path(), None).unwrap();
        for _ in 0..3 {
            // The writer comes and goes.
            let store = FileStore::open(directory.path()).unwrap();
            for _ in 0..10 {
                let done = block_on(store.append(append())).unwrap();
                block_on(follower.wait_for(done.last())).unwrap();
            }
        }
        follower.close();
        assert!(follower.handle.waiting.watch.is_some());
    }
}
