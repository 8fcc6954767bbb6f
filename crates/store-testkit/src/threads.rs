use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Condvar, Mutex};
use std::thread;

/// Does the work on `count` threads that begin together; what each returned, in their order.
pub(crate) fn together<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(count);
    thread::scope(|scope| {
        let begin = |index| {
            let (start, work) = (&start, &work);
            scope.spawn(move || {
                start.wait();
                work(index)
            })
        };
        let threads: Vec<_> = (0..count).map(begin).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

/// Lets `workers` threads work, and `lookers` others look again and again until the work is
/// done, and twice more: on a busy machine it may be done before anyone has looked. Work that
/// panics is done as well, so that nobody looks for ever.
pub(crate) fn beside(
    workers: usize,
    work: impl Fn(usize) + Sync,
    lookers: usize,
    look: impl Fn(usize) + Sync,
) {
    let working = AtomicUsize::new(workers);
    together(workers + lookers, |index| {
        if index < workers {
            let _done = Leaves(&working);
            work(index);
            return;
        }
        while working.load(Ordering::Acquire) > 0 {
            look(index - workers);
        }
        look(index - workers);
        look(index - workers);
    });
}

struct Leaves<'a>(&'a AtomicUsize);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// A count that threads wait for, without spinning.
#[derive(Default)]
pub(crate) struct Count {
    count: Mutex<usize>,
    raised: Condvar,
}

impl Count {
    pub(crate) fn raise(&self) {
        *self.count.lock().expect(UNPOISONED) += 1;
        self.raised.notify_all();
    }

    pub(crate) fn wait_until(&self, least: usize) {
        let mut count = self.count.lock().expect(UNPOISONED);
        while *count < least {
            count = self.raised.wait(count).expect(UNPOISONED);
        }
    }
}

const UNPOISONED: &str = "no thread panics while it counts";
