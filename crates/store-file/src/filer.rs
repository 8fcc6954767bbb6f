use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use crate::shift::Shift;
use crate::work::{Place, Work, catch_up};

/// Has the files worked on beside the writer: filing by one thread, upkeep by another, so that
/// filing does not wait for it. They end where nothing is left to be done.
///
/// After a failure indexes stay in memory until the store is opened again.
#[derive(Debug)]
pub(crate) struct Filer {
    filing: Arc<Worker>,
    upkeep: Arc<Worker>,
}

impl Filer {
    pub(crate) fn new(place: &Place) -> Self {
        let upkeep = Worker::new(Work::Upkeep, place, None);
        Self {
            filing: Worker::new(Work::Filing, place, Some(Arc::clone(&upkeep))),
            upkeep,
        }
    }

    /// Has done what is due.
    pub(crate) fn look(&self) {
        // Files that nobody merges would come to more than a process may have open.
        if self.upkeep.shift.is_over() {
            self.filing.shift.end();
        }
        self.filing.look();
        self.upkeep.look();
    }

    /// Waits until indexes that wait for their files have them, where that is not given up.
    pub(crate) fn wait(&self) {
        self.filing.look();
        self.filing.join();
    }

    /// Has all done that is left, on this thread, so that the next opening has less to do.
    pub(crate) fn finish(&self) {
        self.filing.join();
        self.upkeep.join();
        if !self.filing.shift.is_over() && !self.upkeep.shift.is_over() {
            drop(catch_up(&self.filing.place));
        }
    }
}

/// Does one kind of work.
#[derive(Debug)]
struct Worker {
    work: Work,
    place: Place,
    shift: Shift,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Who may have something to do when anything was done here.
    next: Option<Arc<Self>>,
}

impl Worker {
    fn new(work: Work, place: &Place, next: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self {
            work,
            place: place.clone(),
            shift: Shift::default(),
            thread: Mutex::new(None),
            next,
        })
    }

    /// Begins, where there is anything to do and nobody is at it.
    fn look(self: &Arc<Self>) {
        if !self.work.is_due(&self.place) {
            return;
        }
        // Held until the thread is in its place, so that no other one takes that.
        let mut place = self.thread();
        if !self.shift.ask() {
            return;
        }
        let name = match self.work {
            Work::Filing => "eventwire-filer",
            Work::Upkeep => "eventwire-upkeep",
        };
        let worker = Arc::clone(self);
        let thread = thread::Builder::new().name(name.to_owned());
        match thread.spawn(move || worker.run()) {
            Ok(thread) => *place = Some(thread),
            Err(_) => self.shift.end(),
        }
    }

    fn run(&self) {
        loop {
            if self.do_all().is_err() {
                return self.shift.end();
            }
            if !self.shift.goes_on() {
                return;
            }
        }
    }

    fn do_all(&self) -> io::Result<()> {
        while self.work.step(&self.place)? {
            if let Some(next) = &self.next {
                next.look();
            }
        }
        Ok(())
    }

    /// Waits until the thread has ended, where there is one.
    fn join(&self) {
        let thread = self.thread().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            // It panicked.
            self.shift.end();
        }
    }

    fn thread(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.thread
            .lock()
            .expect("no code panics while it holds the thread")
    }
}
