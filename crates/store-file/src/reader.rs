use std::fmt;
use std::sync::Arc;

use eventwire_store::{Position, Query, QueryItem, ReadError};

use crate::block::Block;
use crate::log::SharedLog;
use crate::number;
use crate::selection::Selection;
use crate::view::{EventBatch, Head};
use crate::walk::Walk;

/// Reads events without making any: nothing is copied out of what was read, and nothing is
/// allocated for an event.
///
/// Made by [`FileStore::reader`](crate::FileStore::reader). Where
/// [`read`](eventwire_store::EventStore::read) makes each event one that can be kept, this checks
/// them where they lie, and lends them. Of all events, it goes through the files from commit to commit and looks
/// nothing up: for projections that are built anew, for exports. Of the events a query asks for, it
/// finds in the indexes where they lie: for streams that are folded, often and many of them.
///
/// ```
/// # use eventwire_store::{Append, EventStore, EventType, NewEvent, Position, Query, StreamName};
/// # use eventwire_store_file::FileStore;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let store = FileStore::open(directory.path())?;
/// # let posted = |text: &'static str| NewEvent::new(EventType::new("posted").unwrap(), text);
/// let room = StreamName::new("room-1")?;
/// # let append = Append::to(room.clone()).event(posted("hi")).event(posted("there"));
/// # futures_executor::block_on(store.append(append))?;
/// # let append = Append::to(StreamName::new("room-2")?).event(posted("elsewhere"));
/// # futures_executor::block_on(store.append(append))?;
/// let mut reader = store.reader(Query::stream(room), Position::ORIGIN);
/// let mut letters = 0;
/// while let Some(events) = reader.next_batch()? {
///     for event in events {
///         letters += event.data().len();
///     }
/// }
/// assert_eq!(letters, "hi".len() + "there".len());
/// // What is appended later is read when it is asked for again.
/// assert!(reader.next_batch()?.is_none());
/// # Ok(()) }
/// ```
///
/// # What is read
/// Every event that matches above the place it began at, up to what readers are shown when it is
/// asked, once and by rising positions. Events that were dropped are left out, and it does not say so:
/// [`dropped_to`](eventwire_store::Retention::dropped_to) does.
///
/// # Memory
/// One buffer of some 256 KiB, or of the length of one commit or event where that is longer; none
/// for files that are [mapped](crate::FileOptions::mapped). No lock of the store is held between two calls, nor
/// while a file of the log is read.
///
/// # Blocking
/// It reads files on the thread that calls it. Reading goes on where the store was closed.
pub struct LogReader {
    way: Way,
    position: u64,
    left: usize,
    block: Block,
    heads: Vec<Head>,
}

/// How events are come by.
enum Way {
    Whole(Walk),
    Selected(Selection),
}

impl LogReader {
    pub(crate) fn new(log: Arc<SharedLog>, query: Query, after: Position) -> Self {
        let every = QueryItem::default();
        let way = if query.items().contains(&every) {
            Way::Whole(Walk::new(log, after))
        } else {
            Way::Selected(Selection::new(log, query, after))
        };
        Self {
            way,
            position: number::of(after),
            left: usize::MAX,
            block: Block::default(),
            heads: Vec::new(),
        }
    }

    /// Lends so many events from now on, and no more.
    #[must_use]
    pub fn limit(self, events: usize) -> Self {
        Self {
            left: events,
            ..self
        }
    }

    /// What matches at or below this position has been lent: where a later reader goes on.
    #[must_use]
    pub fn position(&self) -> Position {
        number::position(self.position)
    }

    /// The next events; none where there are no more now. Asked again later, it goes on with
    /// what was appended meanwhile; a subscription or
    /// [`wait_for`](eventwire_store::EventStore::wait_for) says when.
    ///
    /// # Errors
    /// [`ReadError::Backend`] where a file cannot be read, or is not as it was written, with file
    /// and byte. What was lent before is as it was written, nothing from there on is lent, and
    /// asking again gives the same error.
    pub fn next_batch(&mut self) -> Result<Option<EventBatch<'_>>, ReadError> {
        self.heads.clear();
        if self.left == 0 {
            return Ok(None);
        }
        let (block, heads) = (&mut self.block, &mut self.heads);
        self.position = match &mut self.way {
            Way::Whole(walk) => {
                walk.next(block, heads)?;
                walk.position()
            }
            Way::Selected(selection) => {
                selection.next(self.left, block, heads)?;
                selection.position()
            }
        };
        heads.truncate(self.left);
        self.left -= heads.len();
        let Some(last) = heads.last() else {
            return Ok(None);
        };
        if self.left == 0 {
            self.position = last.position;
        }
        Ok(Some(EventBatch::new(self.block.bytes(), &self.heads)))
    }
}

impl fmt::Debug for LogReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogReader")
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}
