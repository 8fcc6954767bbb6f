use std::fmt;
use std::slice;
use std::time::SystemTime;

use bytes::Bytes;
use eventwire_store::{Position, RecordedEvent, Uuid, Version};

use crate::format::{Decoder, Record, Tags};
use crate::number;

/// Events, lent by a [`LogReader`](crate::LogReader) until it is asked for more.
///
/// All of them were checked: nothing that is done with them fails.
#[derive(Clone, Copy)]
pub struct EventBatch<'a> {
    bytes: &'a [u8],
    heads: &'a [Head],
}

/// Where an event lies in the bytes of its batch, which were found to hold a record there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) position: u64,
    pub(crate) at: usize,
}

impl<'a> EventBatch<'a> {
    pub(crate) fn new(bytes: &'a [u8], heads: &'a [Head]) -> Self {
        Self { bytes, heads }
    }

    /// How many events there are; at least one.
    #[must_use]
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "none is ever empty")]
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// The event with an index, in the order of positions.
    #[must_use]
    #[inline]
    pub fn get(&self, index: usize) -> Option<EventView<'a>> {
        self.heads.get(index).map(|head| head.view(self.bytes))
    }

    /// The events, by rising positions.
    #[must_use]
    #[inline]
    pub fn iter(&self) -> Events<'a> {
        Events {
            bytes: self.bytes,
            heads: self.heads.iter(),
        }
    }
}

impl Head {
    #[inline]
    fn view<'a>(&self, bytes: &'a [u8]) -> EventView<'a> {
        EventView {
            position: self.position,
            record: Record::known(&bytes[self.at..]),
        }
    }
}

impl<'a> IntoIterator for EventBatch<'a> {
    type Item = EventView<'a>;
    type IntoIter = Events<'a>;

    fn into_iter(self) -> Events<'a> {
        self.iter()
    }
}

impl fmt::Debug for EventBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The events of an [`EventBatch`].
#[derive(Clone)]
pub struct Events<'a> {
    bytes: &'a [u8],
    heads: slice::Iter<'a, Head>,
}

impl<'a> Iterator for Events<'a> {
    type Item = EventView<'a>;

    #[inline]
    fn next(&mut self) -> Option<EventView<'a>> {
        self.heads.next().map(|head| head.view(self.bytes))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.heads.size_hint()
    }
}

impl DoubleEndedIterator for Events<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.heads.next_back().map(|head| head.view(self.bytes))
    }
}

impl ExactSizeIterator for Events<'_> {}

impl fmt::Debug for Events<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// An event as it lies in the log: what [`RecordedEvent`] has, borrowed.
///
/// Names are text as the names of the contract are: UTF-8, not empty, without control characters.
#[derive(Clone, Copy)]
pub struct EventView<'a> {
    position: u64,
    record: Record<'a>,
}

impl<'a> EventView<'a> {
    /// Its place in the log.
    #[must_use]
    #[inline]
    pub fn position(&self) -> Position {
        number::position(self.position)
    }

    /// The stream it is in, if any.
    #[must_use]
    #[inline]
    pub fn stream_name(&self) -> Option<&'a str> {
        match self.record.stream() {
            [] => None,
            name => Some(text(name)),
        }
    }

    /// Its place in its stream, if it is in one.
    #[must_use]
    #[inline]
    pub fn version(&self) -> Option<Version> {
        self.record.version()
    }

    /// What happened.
    #[must_use]
    #[inline]
    pub fn event_type(&self) -> &'a str {
        text(self.record.event_type())
    }

    /// Its tags, in the order they were given.
    #[must_use]
    #[inline]
    pub fn tags(&self) -> TagViews<'a> {
        TagViews(self.record.tags())
    }

    /// Its identity.
    #[must_use]
    #[inline]
    pub fn uuid(&self) -> Uuid {
        self.record.uuid()
    }

    /// When the store took it, by the store's clock; never an order.
    #[must_use]
    #[inline]
    pub fn recorded_at(&self) -> SystemTime {
        self.record.recorded_at()
    }

    /// What is about it.
    #[must_use]
    #[inline]
    pub fn metadata(&self) -> &'a [u8] {
        self.record.metadata()
    }

    /// What is in it.
    #[must_use]
    #[inline]
    pub fn data(&self) -> &'a [u8] {
        self.record.data()
    }

    /// The event on bytes of its own, to be kept.
    #[must_use]
    #[inline]
    pub fn to_event(&self) -> RecordedEvent {
        let bytes = Bytes::copy_from_slice(self.record.as_bytes());
        let event = Decoder::new(&bytes).event(Record::known(&bytes), self.position);
        event.expect("its names were checked when it was read")
    }
}

impl fmt::Debug for EventView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventView")
            .field("position", &self.position())
            .field("stream_name", &self.stream_name())
            .field("version", &self.version())
            .field("event_type", &self.event_type())
            .finish_non_exhaustive()
    }
}

/// The tags of an [`EventView`].
#[derive(Debug, Clone)]
pub struct TagViews<'a>(Tags<'a>);

impl<'a> Iterator for TagViews<'a> {
    type Item = &'a str;

    #[inline]
    fn next(&mut self) -> Option<&'a str> {
        self.0.next().map(text)
    }
}

fn text(name: &[u8]) -> &str {
    std::str::from_utf8(name).expect("names were checked when they were read")
}
