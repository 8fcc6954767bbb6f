use std::convert::Infallible;
use std::sync::Arc;
use std::vec;

use crate::event::RecordedEvent;
use crate::position::Position;
use crate::read::Item;

/// Items of an [`EventStream`](crate::EventStream) that came together: looking at them costs
/// no copy of an event, and no poll for each.
#[derive(Debug, Clone, Default)]
pub struct Chunk {
    pub(crate) before: Option<Mark>,
    pub(crate) events: Found,
    pub(crate) after: Option<Mark>,
}

/// An item that is no event, and so a tenth of the size of one.
pub(crate) type Mark = Item<Infallible>;

/// The same among items with events of any kind.
pub(crate) fn item_of<E>(mark: Mark) -> Item<E> {
    mark.map(|never| match never {})
}

impl Chunk {
    /// The items, in order.
    pub fn iter(&self) -> impl Iterator<Item = Item<&RecordedEvent>> {
        let before = self.before.map(item_of);
        let after = self.after.map(item_of);
        let events = self.events.iter().map(Item::Event);
        before.into_iter().chain(events).chain(after)
    }

    /// The items, in order, with events that can be kept: where the store keeps them in memory,
    /// it is those.
    pub fn into_shared(self) -> impl Iterator<Item = Item<Arc<RecordedEvent>>> {
        let before = self.before.map(item_of);
        let after = self.after.map(item_of);
        let events = self.events.into_shared().map(Item::Event);
        before.into_iter().chain(events).chain(after)
    }
}

impl From<Item> for Chunk {
    fn from(item: Item) -> Self {
        let mark = match item {
            Item::Event(event) => {
                return Self {
                    events: vec![event].into(),
                    ..Self::default()
                };
            }
            Item::Progress(position) => Item::Progress(position),
            Item::Gap {
                after,
                resumed_after,
            } => Item::Gap {
                after,
                resumed_after,
            },
            Item::CaughtUp(position) => Item::CaughtUp(position),
        };
        Self {
            before: Some(mark),
            ..Self::default()
        }
    }
}

/// The events that a [scan](crate::backend::Log::scan) found, in its direction: made for it, or
/// shared with whoever keeps them.
#[derive(Debug, Clone)]
pub struct Found(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Owned(vec::IntoIter<RecordedEvent>),
    Shared(vec::IntoIter<Arc<RecordedEvent>>),
}

impl Found {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Kind::Owned(events) => events.len(),
            Kind::Shared(events) => events.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the last is.
    pub(crate) fn last_position(&self) -> Option<Position> {
        let last = match &self.0 {
            Kind::Owned(events) => events.as_slice().last(),
            Kind::Shared(events) => events.as_slice().last().map(Arc::as_ref),
        };
        last.map(|event| event.position)
    }

    fn into_shared(self) -> impl Iterator<Item = Arc<RecordedEvent>> {
        let (owned, shared) = match self.0 {
            Kind::Owned(events) => (events, Vec::new().into_iter()),
            Kind::Shared(events) => (Vec::new().into_iter(), events),
        };
        owned.map(Arc::new).chain(shared)
    }

    fn iter(&self) -> impl Iterator<Item = &RecordedEvent> {
        let (owned, shared) = match &self.0 {
            Kind::Owned(events) => (events.as_slice(), [].as_slice()),
            Kind::Shared(events) => ([].as_slice(), events.as_slice()),
        };
        owned.iter().chain(shared.iter().map(Arc::as_ref))
    }
}

impl Iterator for Found {
    type Item = RecordedEvent;

    fn next(&mut self) -> Option<RecordedEvent> {
        match &mut self.0 {
            Kind::Owned(events) => events.next(),
            Kind::Shared(events) => events.next().map(Arc::unwrap_or_clone),
        }
    }
}

impl Default for Found {
    fn default() -> Self {
        Vec::<Arc<RecordedEvent>>::new().into()
    }
}

impl From<Vec<RecordedEvent>> for Found {
    fn from(events: Vec<RecordedEvent>) -> Self {
        Self(Kind::Owned(events.into_iter()))
    }
}

impl From<Vec<Arc<RecordedEvent>>> for Found {
    fn from(events: Vec<Arc<RecordedEvent>>) -> Self {
        Self(Kind::Shared(events.into_iter()))
    }
}
