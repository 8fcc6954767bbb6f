use std::io;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, ThreadId};

use crate::answer::Answer;
use crate::committer::Committer;
use crate::filer::Filer;
use crate::queue::{Commit, Queue};
use crate::request::Request;
use crate::work::Place;

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

/// A committer, and who works on the files beside it.
#[derive(Debug)]
pub(crate) struct Clerk {
    committer: Committer,
    filer: Filer,
}

impl Clerk {
    pub(crate) fn new(committer: Committer, place: &Place) -> Self {
        let filer = Filer::new(place);
        filer.look();
        Self { committer, filer }
    }

    /// Leaves behind what makes the next opening fast.
    pub(crate) fn finish(mut self) {
        self.committer.seal_rest();
        self.filer.finish();
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
        // What has no file is read when the store is opened after a kill, and that is bounded.
        if self.committer.is_ahead_of_filing() {
            self.filer.wait();
        }
        let answers = self.committer.commit(requests);
        self.filer.look();
        answers
    }
}
