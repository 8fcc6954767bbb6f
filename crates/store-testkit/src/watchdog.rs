use std::convert::Infallible;
use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Does the work on a thread of its own, and panics where it takes longer than `patience`.
///
/// The thread of work that hangs is left behind; it ends with the process.
pub(crate) fn watched(patience: Duration, work: impl FnOnce() + Send + 'static) {
    let (done, waiting) = channel::<Infallible>();
    let worker = thread::Builder::new()
        .name(thread::current().name().unwrap_or("store test").to_owned())
        .spawn(move || {
            // Dropped at the end, by a panic as well.
            let _done = done;
            work();
        })
        .expect("the system has a thread left for a test");
    match waiting.recv_timeout(patience) {
        Err(RecvTimeoutError::Timeout) => {
            panic!("the store hangs: no end after {patience:?}")
        }
        Err(RecvTimeoutError::Disconnected) => {
            if let Err(panic) = worker.join() {
                resume_unwind(panic);
            }
        }
        Ok(never) => match never {},
    }
}
