mod broken;
mod check;

use std::collections::HashMap;
use std::fmt;

use eventwire_store::{Append, AppendError, Appended, Item, Position, Query, RecordedEvent, Uuid};

pub use broken::Broken;

/// What clients did and saw of one log, to be checked against the contract.
///
/// For chaos tests: it does not care how the clients ran, what crashed in between or which
/// server they spoke to, so long as everything they asked for and saw of one epoch is in it.
/// It keeps all of it in memory.
///
/// An attempt is recorded before the append is called, what is seen after it was seen; between
/// threads, behind one mutex. It ends best with a reader that has read the whole log: what
/// nobody looked at, nobody can miss.
///
/// ```
/// use eventwire_store::*;
/// use eventwire_store_testkit::History;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # futures_executor::block_on(async {
/// let store = MemoryStore::new();
/// let mut history = History::new();
///
/// let event = NewEvent::new(EventType::new("posted")?, "hi").uuid(Uuid::from_u128(1));
/// let append = Append::new().event(event);
/// let attempt = history.attempt(&append);
/// history.answer(attempt, &store.append(append).await);
///
/// let reader = history.reader(Query::all(), Position::ORIGIN);
/// let mut events = store.read(Query::all(), ReadOptions::all());
/// while let Some(item) = events.next().await {
///     history.see(reader, &item?);
/// }
/// history.check()?;
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct History {
    attempts: Vec<Attempted>,
    readers: Vec<Looked>,
    /// The attempts that tried to write an event.
    writers: HashMap<Uuid, Vec<usize>>,
    /// The greatest position of an event that any reader was shown so far.
    shown: Position,
}

/// An append that a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attempt(usize);

/// A read or a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reader(usize);

#[derive(Debug, Clone)]
struct Attempted {
    append: Append,
    /// What had been shown to some reader before it began.
    floor: Position,
    outcome: Outcome,
}

/// What a client knows about an append.
#[derive(Debug, Clone)]
enum Outcome {
    /// No answer, or `Indeterminate`: it may have happened.
    Unknown,
    Written(Appended),
    Conflict(eventwire_store::Conflict),
    Refused,
}

#[derive(Debug, Clone)]
struct Looked {
    query: Query,
    after: Position,
    seen: Vec<Seen>,
}

#[derive(Debug, Clone)]
enum Seen {
    Event(RecordedEvent),
    Mark(Position),
}

impl History {
    /// Nothing was done and nothing seen.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A client is about to ask for an append.
    ///
    /// # Panics
    /// Where an event has no UUID of its own, by which it is known again, or one that another
    /// append has had: an append that is repeated has the same key, and the same events.
    pub fn attempt(&mut self, append: &Append) -> Attempt {
        let index = self.attempts.len();
        for event in append.events() {
            let uuid = event.as_parts().uuid;
            let uuid = uuid.expect("a history knows events by the UUIDs their writers gave them");
            let writers = self.writers.entry(uuid).or_default();
            if let Some(&first) = writers.first() {
                let key = |append: &Append| append.identity().map(|(key, _)| key.clone());
                let known = key(&self.attempts[first].append);
                assert!(
                    known.is_some() && known == key(append),
                    "event {uuid} is in two appends that do not share a key"
                );
            }
            writers.push(index);
        }
        self.attempts.push(Attempted {
            append: append.clone(),
            floor: self.shown,
            outcome: Outcome::Unknown,
        });
        Attempt(index)
    }

    /// What the store answered. An attempt without an answer may have happened.
    pub fn answer(&mut self, attempt: Attempt, answer: &Result<Appended, AppendError>) {
        self.attempts[attempt.0].outcome = match answer {
            Ok(appended) => Outcome::Written(appended.clone()),
            Err(AppendError::Indeterminate { .. }) => Outcome::Unknown,
            Err(AppendError::Conflict(conflict)) => Outcome::Conflict(conflict.clone()),
            Err(_) => Outcome::Refused,
        };
    }

    /// A forward read or a subscription begins after a position. One that begins at the end
    /// begins after the head that its client has seen.
    pub fn reader(&mut self, query: Query, after: Position) -> Reader {
        self.readers.push(Looked {
            query,
            after,
            seen: Vec::new(),
        });
        Reader(self.readers.len() - 1)
    }

    /// A reader was shown an item.
    pub fn see(&mut self, reader: Reader, item: &Item) {
        let seen = match item {
            Item::Event(event) => {
                self.shown = self.shown.max(event.position);
                Seen::Event(event.clone())
            }
            Item::Progress(at) | Item::CaughtUp(at) => Seen::Mark(*at),
            _ => return,
        };
        self.readers[reader.0].seen.push(seen);
    }

    /// Whether all of it can be, in a store that keeps its promises.
    ///
    /// # Errors
    /// [`Broken`] where it cannot.
    pub fn check(&self) -> Result<(), Broken> {
        check::check(self)
    }
}

impl Looked {
    fn events(&self) -> impl DoubleEndedIterator<Item = &RecordedEvent> {
        self.seen.iter().filter_map(|seen| match seen {
            Seen::Event(event) => Some(event),
            Seen::Mark(_) => None,
        })
    }

    /// How far it got.
    fn furthest(&self) -> Position {
        let position = |seen: &Seen| match seen {
            Seen::Event(event) => event.position,
            Seen::Mark(at) => *at,
        };
        self.seen
            .iter()
            .map(position)
            .fold(self.after, Position::max)
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "append #{}", self.0)
    }
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reader #{}", self.0)
    }
}
