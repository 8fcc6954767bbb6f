use std::io;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::thread::{self, JoinHandle, ThreadId};

use crate::committer::Committer;
use crate::queue::Queue;

/// The thread that commits what the queue holds.
#[derive(Debug)]
pub(crate) struct Writer {
    id: ThreadId,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(crate) fn start(queue: Arc<Queue>, committer: Committer) -> io::Result<Self> {
        let thread = thread::Builder::new()
            .name("eventwire-writer".to_owned())
            .spawn(move || run(&queue, committer))?;
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
            // A panic of that thread was a waker's; every append it left has its answer.
            drop(thread.join());
        }
    }
}

fn run(queue: &Queue, mut committer: Committer) {
    let _closed = ClosedOnDrop(queue);
    let mut filer = Filer::default();
    filer.look(&committer);
    while let Some(group) = queue.next_group() {
        let answers = committer.commit(&group.requests);
        let wakers: Vec<Waker> = group
            .replies
            .into_iter()
            .zip(answers)
            .filter_map(|(reply, answer)| reply.put(answer))
            .collect();
        wakers.into_iter().for_each(Waker::wake);
        filer.look(&committer);
    }
    committer.seal_rest();
    filer.finish(&committer);
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
            match thread.spawn(move || filing.run()) {
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

/// Sees to it that nothing waits for a writer that has gone.
struct ClosedOnDrop<'a>(&'a Queue);

impl Drop for ClosedOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
        while self.0.next_group().is_some() {}
    }
}
