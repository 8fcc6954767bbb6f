use std::path::Path;
use std::sync::Arc;

use crate::workload::{Append, Workload};

/// What a contestant does. Every append is durable when it returns or its future ends.
pub trait Store: Send + Sync + Sized + 'static {
    const FACE: Face;

    /// Makes what its callers bring along; not measured.
    fn prepare(workload: &Workload) {
        let _ = workload;
    }

    /// Opens the store in a directory that exists, empty or as it was left.
    fn open(directory: &Path, workload: &Arc<Workload>) -> Self;

    /// Writes an append from the thread that calls.
    fn append(&self, append: Append);

    /// Hands an append over at once, whether or not the future is polled; it ends when the append is
    /// written. Called of [`Face::Futures`] only.
    fn append_async(&self, append: Append) -> impl Future<Output = ()> + Send {
        drop(append);
        async { unreachable!("its callers are threads") }
    }

    /// Reads all events in order and looks at each payload; their number.
    fn replay(&self) -> usize;

    /// Reads the events of a stream in order and looks at each payload; their number.
    fn read_stream(&self, stream: usize) -> usize;

    /// Closes the store as it wants to be closed.
    fn close(self) {}
}

/// How many appends come to be under way at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// Futures of one thread, awaited in the order they were made.
    Futures,
    /// A thread for each.
    Threads,
    /// All of them in one call: nobody waits for anybody.
    AtOnce,
}
