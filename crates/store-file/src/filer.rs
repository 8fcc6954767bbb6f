use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::meters::WorkMeters;
use crate::shift::Shift;
use crate::work::{Place, Work, catch_up};

/// Has the files worked on beside the writer: filing by one thread, upkeep by another, so that
/// filing does not wait for it. They end where nothing is left to be done.
///
/// What fails is tried again, a pause later by who looks then, or when the store is closed. Until then
/// indexes stay in memory, and files that might go stay.
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
        if !self.upkeep.has_stopped() {
            self.filing.look();
        }
        self.upkeep.look();
    }

    /// Waits until indexes that wait for their files have them, unless something fails.
    pub(crate) fn wait(&self) {
        if !self.upkeep.has_stopped() {
            self.filing.look();
        }
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
    rest: Mutex<Rest>,
    meters: WorkMeters,
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
            rest: Mutex::default(),
            meters: WorkMeters::new(),
            thread: Mutex::new(None),
            next,
        })
    }

    /// Begins, where there is anything to do, nobody is at it, and no failure was just now.
    fn look(self: &Arc<Self>) {
        self.reap();
        if !self.work.is_due(&self.place) || self.rest().is_on() {
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
            Err(_) => self.fail(),
        }
    }

    fn has_stopped(&self) -> bool {
        self.shift.is_over() || self.rest().is_on()
    }

    fn fail(&self) {
        self.meters.failed();
        self.rest().begin();
        self.shift.leave();
    }

    fn run(&self) {
        loop {
            if self.do_all().is_err() {
                return self.fail();
            }
            if !self.shift.goes_on() {
                return;
            }
        }
    }

    fn do_all(&self) -> io::Result<()> {
        while self.work.step(&self.place)? {
            *self.rest() = Rest::default();
            if let Some(next) = &self.next {
                next.look();
            }
        }
        Ok(())
    }

    /// Waits until the thread has ended, where there is one.
    fn join(&self) {
        let thread = self.thread().take();
        self.end_with(thread);
    }

    /// Takes note of how the thread has ended, where it has.
    fn reap(&self) {
        let ended = self.thread().take_if(|thread| thread.is_finished());
        self.end_with(ended);
    }

    fn end_with(&self, thread: Option<JoinHandle<()>>) {
        if thread.is_some_and(|thread| thread.join().is_err()) {
            // It panicked.
            self.shift.end();
        }
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest
            .lock()
            .expect("no code panics while it holds the rest")
    }

    fn thread(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.thread
            .lock()
            .expect("no code panics while it holds the thread")
    }
}

/// The pause after a failure, the longer the more of them there were.
#[derive(Debug, Default)]
struct Rest {
    failures: u32,
    until: Option<Instant>,
}

impl Rest {
    const FIRST: Duration = Duration::from_secs(if cfg!(test) { 0 } else { 1 });
    /// So often a pause is twice the one before: up to some minute.
    const DOUBLINGS: u32 = 6;

    fn begin(&mut self) {
        let pause = Self::FIRST * 2_u32.pow(self.failures.min(Self::DOUBLINGS));
        self.failures = self.failures.saturating_add(1);
        self.until = Some(Instant::now() + pause);
    }

    fn is_on(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }
}
