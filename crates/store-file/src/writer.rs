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
    while let Some(group) = queue.next_group() {
        let answers = committer.commit(&group.requests);
        let wakers: Vec<Waker> = group
            .replies
            .into_iter()
            .zip(answers)
            .filter_map(|(reply, answer)| reply.put(answer))
            .collect();
        wakers.into_iter().for_each(Waker::wake);
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
