//! Group commit by hand, for engines that have none: appends that come while one commit is under
//! way make up the next.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use futures_channel::oneshot;

use crate::workload::Append;

/// An engine that makes appends durable together.
pub trait Engine: Send + 'static {
    fn commit(&mut self, appends: &[Append]);
}

pub struct Grouped<E> {
    shared: Arc<Shared<E>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared<E> {
    engine: Mutex<E>,
    queue: Mutex<Queue>,
    arrived: Condvar,
}

#[derive(Default)]
struct Queue {
    appends: Vec<Append>,
    callers: Vec<oneshot::Sender<()>>,
    is_closed: bool,
}

impl<E: Engine> Grouped<E> {
    pub fn new(engine: E) -> Self {
        let shared = Arc::new(Shared {
            engine: Mutex::new(engine),
            queue: Mutex::default(),
            arrived: Condvar::new(),
        });
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.run()
        });
        Self {
            shared,
            thread: Some(thread),
        }
    }

    /// Commits on the thread that calls: one writer needs no other.
    pub fn append(&self, append: Append) {
        lock(&self.shared.engine).commit(&[append]);
    }

    pub fn append_async(&self, append: Append) -> impl Future<Output = ()> + Send + use<E> {
        let (sender, receiver) = oneshot::channel();
        let mut queue = lock(&self.shared.queue);
        queue.appends.push(append);
        queue.callers.push(sender);
        let was_empty = queue.appends.len() == 1;
        drop(queue);
        if was_empty {
            self.shared.arrived.notify_one();
        }
        async { receiver.await.expect("the engine commits") }
    }
}

impl<E: Engine> Shared<E> {
    fn run(&self) {
        loop {
            let queue = lock(&self.queue);
            let idle = |queue: &mut Queue| queue.appends.is_empty() && !queue.is_closed;
            let mut queue = self
                .arrived
                .wait_while(queue, idle)
                .unwrap_or_else(PoisonError::into_inner);
            let appends = std::mem::take(&mut queue.appends);
            let callers = std::mem::take(&mut queue.callers);
            drop(queue);
            if appends.is_empty() {
                return;
            }
            lock(&self.engine).commit(&appends);
            for caller in callers {
                let _ = caller.send(());
            }
        }
    }
}

impl<E> Drop for Grouped<E> {
    fn drop(&mut self) {
        lock(&self.shared.queue).is_closed = true;
        self.shared.arrived.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
