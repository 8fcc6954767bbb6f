use alloc::vec::Vec;
use core::time::Duration;

use bytes::{BufMut, Bytes};

use crate::event_head::EventHead;
use crate::event_id::EventId;
use crate::event_name::EventName;
use crate::event_ref::EventRef;
use crate::frame::Frame;
use crate::segments::Segments;

/// An event to send, that owns its parts.
///
/// Encoding it cannot fail: the fields that could break the wire are types that cannot hold
/// what would. How data becomes lines is told at [`EventRef`], which is the same event with
/// borrowed parts.
///
/// ```
/// use eventwire_sse::{Event, EventId, EventName};
///
/// let frame = Event::new("2 lines\nof data")
///     .name(EventName::from_static("note"))
///     .id(EventId::new("7f3a.1042")?)
///     .encode();
/// assert_eq!(
///     frame.as_bytes(),
///     b"event: note\nid: 7f3a.1042\ndata: 2 lines\ndata: of data\n\n",
/// );
/// # Ok::<(), eventwire_sse::FieldError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Event {
    name: Option<EventName>,
    id: Option<EventId>,
    retry: Option<Duration>,
    data: Bytes,
}

impl Event {
    /// An event with data only.
    #[must_use]
    pub fn new(data: impl Into<Bytes>) -> Self {
        Self {
            name: None,
            id: None,
            retry: None,
            data: data.into(),
        }
    }

    /// An event whose data is `value` as compact JSON.
    ///
    /// [`EventHead::encode_json`] serializes into the frame itself, one copy less.
    ///
    /// # Errors
    ///
    /// Those of `serde_json`, when `value` cannot be JSON.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> serde_json::Result<Self> {
        serde_json::to_vec(value).map(Self::new)
    }

    /// Sets the name that a client listens for.
    #[must_use]
    pub fn name(self, name: EventName) -> Self {
        Self {
            name: Some(name),
            ..self
        }
    }

    /// Sets the id that a client sends back when it reconnects.
    #[must_use]
    pub fn id(self, id: EventId) -> Self {
        Self {
            id: Some(id),
            ..self
        }
    }

    /// Sets how long a client waits before it reconnects: [`EventHead::retry`].
    #[must_use]
    pub fn retry(self, delay: Duration) -> Self {
        Self {
            retry: Some(delay),
            ..self
        }
    }

    /// How many bytes [`encode`](Self::encode) makes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.borrow().encoded_len()
    }

    /// The block, in a buffer of exactly its length.
    #[must_use]
    pub fn encode(&self) -> Frame {
        self.borrow().encode()
    }

    /// Appends the block; grows the buffer at most once.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        self.borrow().encode_into(out);
    }

    /// Appends the block to a buffer of any kind.
    ///
    /// # Panics
    ///
    /// When the buffer cannot grow and has room for less than [`encoded_len`](Self::encoded_len).
    pub fn put_into(&self, out: &mut impl BufMut) {
        self.borrow().put_into(out);
    }

    /// The block as slices for one vectored write, which share the data.
    ///
    /// Together they are the bytes of [`encode`](Self::encode).
    #[must_use]
    pub fn segments(&self) -> Segments {
        Segments::new(&self.head(), self.data.clone())
    }

    fn borrow(&self) -> EventRef<'_> {
        self.head().data(&self.data)
    }

    fn head(&self) -> EventHead<'_> {
        let mut head = EventHead::new();
        if let Some(name) = &self.name {
            head = head.name(name);
        }
        if let Some(id) = &self.id {
            head = head.id(id);
        }
        if let Some(delay) = self.retry {
            head = head.retry(delay);
        }
        head
    }
}

impl From<Event> for Frame {
    fn from(event: Event) -> Self {
        event.encode()
    }
}

impl From<&Event> for Frame {
    fn from(event: &Event) -> Self {
        event.encode()
    }
}
