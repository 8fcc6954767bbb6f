use std::io;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, ThreadId};

use crate::answer::Answer;
use crate::committer::Committer;
use crate::queue::{Commit, Queue};
use crate::request::Request;

/// The thread that commits what the queue holds, where no caller does.
#[derive(Debug)]
pub(crate) struct Writer {
    id: ThreadId,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(crate) fn start(queue: Arc<Queue<Clerk>>) -> io::Result<Self> {
        let thread = thread::Builder::new()
            .name("eventwire-writer".to_owned())
            .spawn(move || {
                if let Some(clerk) = queue.lead_to_the_end() {
                    clerk.finish();
                }
            })?;
        Ok(Self {
            id: thread.thread().id(),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Waits until it has written all that was queued before the queue was closed. Returns at
    /// once on the thread itself, where a waker may have dropped the last handle.
    pub(crate) fn join(&self) {
        if thread::current().id() == self.id {
            return;
        }
        let mut thread = self
            .thread
            .lock()
            .expect("no code panics while it holds the writer's thread");
        if let Some(thread) = thread.take() {
            // Where it panicked, every append it left has its answer.
            drop(thread.join());
        }
    }
}

/// A committer, and who puts indexes into files for it.
#[derive(Debug)]
pub(crate) struct Clerk {
    committer: Committer,
    filer: Filer,
}

impl Clerk {
    pub(crate) fn new(committer: Committer) -> Self {
        let mut filer = Filer::default();
        filer.look(&committer);
        Self { committer, filer }
    }

    /// Leaves behind what makes the next opening fast.
    fn finish(mut self) {
        self.committer.seal_rest();
        self.filer.finish(&self.committer);
    }
}

impl Commit for Clerk {
    /// Boxed, for it is large and changes hands several times.
    type Request = Box<Request>;
    type Answer = Answer;

    fn bytes(request: &Box<Request>) -> usize {
        request.bytes
    }

    fn commit(&mut self, requests: &[Box<Request>]) -> Vec<Answer> {
        let answers = self.committer.commit(requests);
        self.filer.look(&self.committer);
        answers
    }
}

/// Writes indexes to files beside the writer, one at a time.
#[derive(Debug, Default)]
struct Filer {
    thread: Option<JoinHandle<io::Result<()>>>,
    /// After a failure indexes stay in memory until the store is opened again.
    has_failed: bool,
}

impl Filer {
    /// Begins with the next index, unless it is at one.
    fn look(&mut self, committer: &Committer) {
        if let Some(thread) = self.thread.take_if(|thread| thread.is_finished()) {
            self.has_failed |= !matches!(thread.join(), Ok(Ok(())));
        }
        if self.thread.is_some() || self.has_failed {
            return;
        }
        if let Some(filing) = committer.next_filing() {
            let thread = thread::Builder::new().name("eventwire-filer".to_owned());
            match thread.spawn(move || filing.run_all()) {
                Ok(thread) => self.thread = Some(thread),
                Err(_) => self.has_failed = true,
            }
        }
    }

    /// Writes what is left, so that the next opening need not read those segments.
    fn finish(mut self, committer: &Committer) {
        if let Some(thread) = self.thread.take() {
            self.has_failed |= !matches!(thread.join(), Ok(Ok(())));
        }
        while !self.has_failed
            && let Some(filing) = committer.next_filing()
        {
            self.has_failed = filing.run().is_err();
        }
    }
}
