use std::sync::{Mutex, MutexGuard};

use eventwire_store::{
    Append, AppendError, Appended, Item, Position, Query, ReadOptions, RecordedEvent, Start,
};

use crate::history::{Broken, History, Reader};
use crate::subject::{Follower, Subject};

/// Records into one [`History`] what many threads do and see, at the moment they do.
///
/// It holds no handle on the store: the subject is given to each call, so that a store can be
/// reopened in between.
#[derive(Debug, Default)]
pub struct Recorder {
    history: Mutex<History>,
}

impl Recorder {
    /// Nothing was done and nothing seen.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends, and waits for the answer.
    ///
    /// # Errors
    /// What the store refuses it with.
    ///
    /// # Panics
    /// As [`History::attempt`].
    pub fn append(&self, subject: &Subject, append: Append) -> Result<Appended, AppendError> {
        let attempt = self.lock().attempt(&append);
        let answer = subject.append(append);
        self.lock().answer(attempt, &answer);
        answer
    }

    /// Appends, polls `polls` times and drops the future, whatever has become of it.
    ///
    /// # Panics
    /// As [`History::attempt`].
    pub fn abandon(&self, subject: &Subject, append: Append, polls: usize) {
        let attempt = self.lock().attempt(&append);
        let mut append = subject.begin(append);
        for _ in 0..polls {
            if let std::task::Poll::Ready(answer) = subject.poll(&mut append) {
                self.lock().answer(attempt, &answer);
                return;
            }
        }
    }

    /// Reads to the head.
    pub fn read(&self, subject: &Subject, query: Query, after: Position) -> Vec<RecordedEvent> {
        let reader = self.lock().reader(query.clone(), after);
        let mut reading = subject.start_reading(query, ReadOptions::after(after));
        let mut events = Vec::new();
        while let Some(item) = reading.try_next() {
            self.lock().see(reader, &item);
            if let Item::Event(event) = item {
                events.push(event);
            }
        }
        events
    }

    /// Subscribes from a position on.
    pub fn subscribe(&self, subject: &Subject, query: Query, after: Position) -> Recorded<'_> {
        let reader = self.lock().reader(query.clone(), after);
        Recorded {
            recorder: self,
            reader,
            follower: subject.subscribe(query, Start::After(after)),
        }
    }

    /// Whether everything that was recorded can be, in a store that keeps its promises.
    ///
    /// # Errors
    /// [`Broken`] where it cannot.
    pub fn check(&self) -> Result<(), Broken> {
        self.lock().check()
    }

    fn lock(&self) -> MutexGuard<'_, History> {
        self.history
            .lock()
            .expect("no thread panics while it holds the history")
    }
}

/// A subscription whose items are recorded as they are taken.
#[derive(Debug)]
pub struct Recorded<'a> {
    recorder: &'a Recorder,
    reader: Reader,
    follower: Follower,
}

impl Recorded<'_> {
    /// The next item.
    ///
    /// # Panics
    /// Where the subscription ends.
    #[track_caller]
    pub fn next_item(&mut self) -> Item {
        let item = self.follower.next_item();
        self.recorder.lock().see(self.reader, &item);
        item
    }
}
