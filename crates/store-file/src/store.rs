use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::SystemTime;

use eventwire_store::backend::{self, Log};
use eventwire_store::{
    Actual, Append, AppendError, Appended, Capabilities, CheckpointStore, Conflict, Consumer,
    Epoch, EventStore, EventStream, IdempotencyKey, Keep, KeepError, Position, Query, ReadError,
    ReadOptions, Recalled, Retention, Snapshot, SnapshotName, SnapshotStore, Start, StoreFuture,
    StreamName, Survives, Trimmed,
};
use thiserror::Error;

use crate::backup::{self, Backup, CopyError};
use crate::boundary::Boundary;
use crate::compaction::{Compacted, Compaction, is_last_concerned};
use crate::copy::Copy;
use crate::engine::Engine;
use crate::error::OpenError;
use crate::format::{Checkpoint, Label, Trim};
use crate::log::SharedLog;
use crate::number;
use crate::options::FileOptions;
use crate::queue::{Queue, TicketOf};
use crate::reader::LogReader;
use crate::recovery::Recovery;
use crate::report::Progress;
use crate::request::Request;
use crate::shown::SHOWN;
use crate::snapshots::Snapshots;
use crate::storage::{Disk, LockError, Storage};
use crate::sweep::Sweep;
use crate::trimming::Trimming;
use crate::work::Place;
use crate::writer::{Clerk, Writer};

/// The store in a directory.
///
/// A clone is the same store. The last one to be dropped closes it, and blocks as
/// [`close`](Self::close) does.
///
/// # Blocking
/// Appends are handed to a thread of the store's own and never block their caller, but for
/// [`append_blocking`](Self::append_blocking), which blocks and needs no other thread. Reads and
/// `recall` look into the indexes and the files on the thread that polls them: a page the system
/// has in memory costs microseconds, one it must fetch what the disk takes. A scan reads at most 1 MiB, or
/// one event. Snapshots are read and written, though not synced, on the thread that calls.
/// `trim_log` and `trim_stream` look for what is to be dropped when they are called, and not when
/// their future is polled: by numbers of events and by bytes they go back from the newest event over what
/// indexes have of each that is kept, and by age they read events. While they look into the latest
/// index, which is in memory (16,384 events or so), appends wait to be shown.
#[derive(Debug, Clone)]
pub struct FileStore {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    log: Arc<SharedLog>,
    snapshots: Snapshots,
    queue: Arc<Queue<Clerk>>,
    writer: Writer,
    /// None once the store is closed.
    files: Mutex<Option<Place>>,
    identity: Label,
    indexes: Arc<dyn Storage>,
    sweep: Option<Arc<Sweep>>,
    capabilities: Capabilities,
    recovery: Recovery,
}

impl FileStore {
    /// Opens the store in a directory, which is made where it does not exist.
    ///
    /// Blocks while it reads what no index has: after a kill the last 12 MiB of the log at most or so,
    /// and segments whose index is missing; and while another process opens it, which then has it.
    /// [`FileOptions`] has more to set.
    ///
    /// # Errors
    /// [`OpenError`], named for what to do next.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        FileOptions::new().open(path)
    }

    pub(crate) fn open_with(path: &Path, options: &FileOptions) -> Result<Self, OpenError> {
        let opened = Disk::open_to_say(path, options.reads, SHOWN);
        let (disk, unsaid) = opened.map_err(|error| match error {
            LockError::Held(holder) => OpenError::Locked {
                path: path.to_owned(),
                holder,
            },
            LockError::Io(source) => OpenError::Io {
                doing: "opening",
                path: path.to_owned(),
                source,
            },
        })?;
        let engine = Engine::open(
            Box::new(disk),
            options.growth,
            options.compact_at.map(Sweep::new),
        )?;
        // It has said now how far the log is shown.
        drop(unsaid);
        let queue = Arc::new(Queue::new(Clerk::new(engine.committer, &engine.place)));
        let writer = Writer::start(Arc::clone(&queue))
            .map_err(OpenError::io("starting the writer of", "."))?;
        Ok(Self {
            handle: Arc::new(Handle {
                log: engine.log,
                snapshots: engine.snapshots,
                queue,
                writer,
                sweep: engine.place.sweep.clone(),
                files: Mutex::new(Some(engine.place)),
                identity: engine.identity,
                indexes: engine.indexes,
                capabilities: Capabilities::full(Survives::PowerLoss, options.limits),
                recovery: engine.recovery,
            }),
        })
    }

    /// Appends, and blocks until it is answered.
    ///
    /// For callers that have no async runtime, and the shortest way there is: where nobody else
    /// writes just then, this thread writes and syncs by itself, and other appends that wait
    /// along with its own; else it waits to be woken together with them. Both ways to append go
    /// through one queue, in one order.
    ///
    /// Blocks for as long as the disk takes, so call it outside of async tasks, and never from a
    /// waker, which may run on the thread that is writing.
    ///
    /// ```
    /// use eventwire_store::{Append, EventType, NewEvent, StreamName};
    /// use eventwire_store_file::FileStore;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// let store = FileStore::open(directory.path())?;
    /// let posted = NewEvent::new(EventType::new("posted")?, "hi");
    /// let appended = store.append_blocking(Append::to(StreamName::new("room-1")?).event(posted))?;
    /// assert_eq!(appended.positions.len(), 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Those of [`EventStore::append`].
    ///
    /// # Durability, ordering
    /// As for [`EventStore::append`].
    pub fn append_blocking(&self, append: Append) -> Result<Appended, AppendError> {
        let handle = &self.handle;
        backend::check(&append, &handle.capabilities)?;
        handle.carry_out(Request::new(append)?)
    }

    /// What opening the store found.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.handle.recovery
    }

    /// A reader of the events that match, from the first above a position on, that lends what it
    /// reads. [`Position::ORIGIN`] is before the first.
    #[must_use]
    pub fn reader(&self, query: Query, after: Position) -> LogReader {
        LogReader::new(Arc::clone(&self.handle.log), query, after)
    }

    /// Takes what was dropped out of the files: removes those of which nothing is held, and writes
    /// those again that hold anything that was dropped, without it. Where the last one does, the
    /// log goes on in another first. Of a dropped event nothing is left afterwards but its place
    /// and the name of its stream.
    ///
    /// Nothing else changes: positions, versions and keys stay, and readers and writers go on
    /// meanwhile. It needs space for one file of the log at a time.
    ///
    /// Blocks until it is done: it reads and writes every file that is concerned. Files are
    /// removed without it; the rest is left for it, so that you choose when. `progress` counts the
    /// bytes of all files of the log but the last, whether they are concerned or not. It may do
    /// anything with the store: where it panics or [closes](Self::close) it, what is left can be
    /// done later.
    ///
    /// ```
    /// # use eventwire_store_file::FileStore;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// let store = FileStore::open(directory.path())?;
    /// let compacted = store.compact(|progress| {
    ///     println!("{} of {} bytes", progress.bytes, progress.of);
    /// })?;
    /// assert!(compacted.is_complete);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`KeepError::Backend`], also where the disk is full: what was done before stays done, and
    /// the rest can be done later. [`KeepError::Busy`] where not even the next file of the log can be made. [`KeepError::Closed`] and [`KeepError::Poisoned`], as for an
    /// append.
    ///
    /// # Durability
    /// What was dropped is gone from the medium's files on return. The medium may keep copies of
    /// its own, and so do backups.
    pub fn compact(&self, mut progress: impl FnMut(Progress)) -> Result<Compacted, KeepError> {
        self.handle.compact(&mut progress)
    }

    /// Copies the log as it is shown now into a directory that is empty or does not exist, while
    /// appends go on.
    ///
    /// Every commit is held against its checksums on its way, so that a backup is whole or there
    /// is none. It is made a store by its last step: what an interruption leaves will not open,
    /// and a second backup into it goes on. So does one into an earlier backup of this store: it
    /// copies the segments that are new or longer. Until it is done, that is a backup of something
    /// in between, or, where segments were dropped, none. Snapshots are not copied; whoever keeps
    /// them makes them again.
    ///
    /// Opening a backup makes it a store of its own, under the same epoch:
    /// [`restore`](crate::restore) it, and say what became of this one.
    ///
    /// Blocks until the copy is durable; appends and reads do not wait for it.
    ///
    /// # Errors
    /// [`CopyError`], named for what to do next.
    pub fn backup(
        &self,
        to: impl AsRef<Path>,
        mut progress: impl FnMut(Progress),
    ) -> Result<Backup, CopyError> {
        let to = backup::target(to.as_ref())?;
        self.handle.copy().make(&to, None, &mut progress)
    }

    /// Closes the store: writes what was appended before, answers it, and lets others open
    /// the directory. Later appends answer [`AppendError::Closed`], subscriptions end with
    /// [`ReadError::Closed`] once they have caught up, and what is there can still be read.
    ///
    /// Blocks until that is done. Closing twice is closing once.
    pub fn close(&self) {
        self.handle.close();
    }
}

impl Handle {
    /// What is shown now, to be copied.
    fn copy(&self) -> Copy {
        let state = self.log.read();
        let indexes = Arc::clone(&self.indexes);
        Copy::of_open(self.identity, &state, indexes)
    }

    fn close(&self) {
        self.snapshots.close();
        if let Some(sweep) = &self.sweep {
            sweep.end();
        }
        self.queue.close();
        // A waker may call this on the thread that leads, which cannot wait for itself.
        if !self.queue.is_led_here() {
            self.writer.join();
        }
        // Waits for a file that is being compacted, and lets go of the directory.
        *self.files() = None;
        self.log.watermark().close();
    }

    fn files(&self) -> MutexGuard<'_, Option<Place>> {
        self.files
            .lock()
            .expect("no code panics while it works on the files")
    }

    fn compact(&self, progress: &mut dyn FnMut(Progress)) -> Result<Compacted, KeepError> {
        if let Some(failure) = self.log.failure() {
            let cause = Box::new(failure.clone());
            return Err(KeepError::Poisoned { cause });
        }
        let is_concerned = self.log.mending(is_last_concerned);
        if is_concerned.map_err(|error| KeepError::Backend(Box::new(error)))? {
            self.carry_out(Request::of_leaving()).map_err(not_kept)?;
        }
        let mut compaction = self.at_files(Compaction::begin)?;
        progress(compaction.progress());
        while self.at_files(|place| compaction.step(place))? {
            progress(compaction.progress());
        }
        self.at_files(|place| compaction.end(place))
    }

    /// Works on the files, unless the store is closed; whoever closes it waits for the work. No code
    /// of a caller's is part of it: that may panic, or close the store.
    fn at_files<T>(&self, work: impl FnOnce(&Place) -> io::Result<T>) -> Result<T, KeepError> {
        let files = self.files();
        let place = files.as_ref().ok_or(KeepError::Closed)?;
        work(place).map_err(|error| KeepError::Backend(Box::new(error)))
    }

    fn submit(
        &self,
        append: Append,
    ) -> Result<StoreFuture<Result<Appended, AppendError>>, AppendError> {
        backend::check(&append, &self.capabilities)?;
        Ok(StoreFuture::new(self.hand_over(Request::new(append)?)?))
    }

    /// Moves a checkpoint: an append without events.
    fn move_checkpoint(&self, checkpoint: Checkpoint) -> StoreFuture<Result<(), KeepError>> {
        match self.hand_over(Request::of_checkpoint(checkpoint)) {
            Ok(answer) => StoreFuture::new(async { answer.await.map(drop).map_err(not_kept) }),
            Err(error) => StoreFuture::ready(Err(not_kept(error))),
        }
    }

    /// Drops what lies at or below a boundary that was found in the log.
    fn trim(&self, trim: Result<Trim, KeepError>) -> StoreFuture<Result<Trimmed, KeepError>> {
        let handed_over = trim.and_then(|trim| {
            let trimming = Trimming::new(trim);
            let request = Request::of_trimming(trimming.clone());
            let answer = self.hand_over(request).map_err(not_kept)?;
            Ok((trimming, answer))
        });
        match handed_over {
            Ok((trimming, answer)) => StoreFuture::new(async move {
                answer.await.map_err(not_kept)?;
                let trimmed = trimming.trimmed();
                Ok(trimmed.expect("what was answered with success is settled"))
            }),
            Err(error) => StoreFuture::ready(Err(error)),
        }
    }

    /// Refuses what is to be done to a stream that was never there.
    fn refuse_unknown(&self, stream: &StreamName) -> Result<(), KeepError> {
        let version = self.log.mending(|state| state.version(stream));
        match version.map_err(|error| KeepError::Backend(Box::new(error)))? {
            Some(_) => Ok(()),
            None => Err(KeepError::NoStream),
        }
    }

    /// Hands a request to the writer: from here on it may happen, whoever waits for it.
    fn hand_over(&self, request: Request) -> Result<Asked, AppendError> {
        let key = request.key().cloned();
        let ticket = self.queue.push(Box::new(request))?;
        Ok(Asked { ticket, key })
    }

    /// Writes a request on this thread, or waits for the thread that does.
    fn carry_out(&self, request: Request) -> Result<Appended, AppendError> {
        let key = request.key().cloned();
        match self.queue.push_and_wait(Box::new(request))? {
            Some((request, answer)) => answer.of(&request),
            None => Err(unanswered(key)),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

/// Why a checkpoint was not moved, from why an append was not written.
fn not_kept(error: AppendError) -> KeepError {
    match error {
        AppendError::Conflict(Conflict {
            actual: Actual::Consumed(at),
            ..
        }) => KeepError::Behind { at },
        AppendError::Poisoned { cause } => KeepError::Poisoned { cause },
        AppendError::Closed => KeepError::Closed,
        AppendError::Busy {
            reason,
            retry_after,
        } => KeepError::Busy {
            reason,
            retry_after,
        },
        error => KeepError::Backend(Box::new(error)),
    }
}

/// Why nothing is dropped where the boundary cannot be found.
fn not_found(error: ReadError) -> KeepError {
    KeepError::Backend(Box::new(error))
}

/// What the writer was asked for, until it has answered. Smaller than the same as an async block,
/// of which there is one for each append in flight.
struct Asked {
    ticket: TicketOf<Clerk>,
    key: Option<IdempotencyKey>,
}

impl Future for Asked {
    type Output = Result<Appended, AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.ticket)
            .poll(context)
            .map(|answered| match answered {
                Some((request, answer)) => answer.of(&request),
                None => Err(unanswered(self.key.take())),
            })
    }
}

fn unanswered(key: Option<IdempotencyKey>) -> AppendError {
    let cause = Box::new(WriterGone);
    AppendError::Indeterminate { key, cause }
}

/// Nobody is left to answer.
#[derive(Debug, Error)]
#[error("the writer of the store ended before it answered")]
struct WriterGone;

impl EventStore for FileStore {
    fn append(&self, append: Append) -> StoreFuture<Result<Appended, AppendError>> {
        self.handle
            .submit(append)
            .unwrap_or_else(|error| StoreFuture::ready(Err(error)))
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
        self.handle.identity.epoch
    }

    fn capabilities(&self) -> Capabilities {
        self.handle.capabilities.clone()
    }
}

impl CheckpointStore for FileStore {
    fn checkpoint(&self, consumer: Consumer) -> StoreFuture<Result<Position, ReadError>> {
        StoreFuture::ready(Ok(self.handle.log.checkpoint(&consumer)))
    }

    fn save_checkpoint(
        &self,
        consumer: Consumer,
        position: Position,
    ) -> StoreFuture<Result<(), KeepError>> {
        self.handle.move_checkpoint(Checkpoint {
            consumer,
            at: Some(position),
        })
    }

    fn remove_checkpoint(&self, consumer: Consumer) -> StoreFuture<Result<(), KeepError>> {
        let at = None;
        self.handle.move_checkpoint(Checkpoint { consumer, at })
    }
}

impl SnapshotStore for FileStore {
    fn snapshot(&self, name: SnapshotName) -> StoreFuture<Result<Option<Snapshot>, ReadError>> {
        StoreFuture::ready(self.handle.snapshots.read(&name))
    }

    fn save_snapshot(
        &self,
        name: SnapshotName,
        snapshot: Snapshot,
    ) -> StoreFuture<Result<(), KeepError>> {
        StoreFuture::ready(self.handle.snapshots.save(&name, &snapshot))
    }

    fn remove_snapshot(&self, name: SnapshotName) -> StoreFuture<Result<(), KeepError>> {
        StoreFuture::ready(self.handle.snapshots.remove(&name))
    }
}

impl Retention for FileStore {
    fn trim_log(&self, keep: Keep) -> StoreFuture<Result<Trimmed, KeepError>> {
        let boundary = Boundary::new(&self.handle.log, keep, SystemTime::now());
        let trim = boundary.of_log().map(|to| Trim::Log { to });
        self.handle.trim(trim.map_err(not_found))
    }

    fn trim_stream(
        &self,
        stream: StreamName,
        keep: Keep,
    ) -> StoreFuture<Result<Trimmed, KeepError>> {
        let trim = self.handle.refuse_unknown(&stream).and_then(|()| {
            let boundary = Boundary::new(&self.handle.log, keep, SystemTime::now());
            let to = boundary.of_stream(&stream).map_err(not_found)?;
            Ok(Trim::Stream { stream, to })
        });
        self.handle.trim(trim)
    }

    fn delete_stream(&self, stream: StreamName) -> StoreFuture<Result<Trimmed, KeepError>> {
        let trim = self.handle.refuse_unknown(&stream);
        self.handle
            .trim(trim.map(|()| Trim::Deletion { stream, to: 0 }))
    }

    fn dropped_to(&self) -> StoreFuture<Result<Position, ReadError>> {
        let log_to = self.handle.log.read().notes.dropped.log_to();
        StoreFuture::ready(Ok(number::position(log_to)))
    }
}
