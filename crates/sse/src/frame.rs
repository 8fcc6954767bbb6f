use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::event_id::EventId;
use crate::lines::Lines;

/// One or more whole blocks as they go over the wire, encoded once.
///
/// A clone shares the bytes, so one frame serves any number of subscribers. Frames can follow
/// each other in any order; each starts and ends at the border of a block.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Frame(Bytes);

impl Frame {
    /// A comment and a blank line: a sign of life that every client ignores.
    pub const HEARTBEAT: Self = Self(Bytes::from_static(b":\n\n"));

    /// The comment alone, one byte less, for clients that take a blank line for an event.
    pub const HEARTBEAT_LINE: Self = Self(Bytes::from_static(b":\n"));

    pub(crate) fn from_blocks(blocks: Bytes) -> Self {
        Self(blocks)
    }

    /// A block of comments, one for each line of the text. Clients ignore it; people who watch
    /// the wire do not.
    #[must_use]
    pub fn comment(text: &str) -> Self {
        let mut out = Vec::with_capacity(text.len() + 4);
        for line in Lines::new(text.as_bytes()) {
            out.extend_from_slice(if line.is_empty() { b":" } else { b": " });
            out.extend_from_slice(line);
            out.push(b'\n');
        }
        out.push(b'\n');
        Self(Bytes::from(out))
    }

    /// A block with an id and no data: moves the place a client would resume from, without an
    /// event.
    ///
    /// The standard has it so, but Firefox and WebKit do not take the id, and the SDKs written
    /// in Python show an empty event. Send it only to clients that are known to follow the
    /// standard; others are better served by an event of their own name with `{}` as data.
    #[must_use]
    pub fn id_only(id: &EventId) -> Self {
        let id = id.as_str();
        let mut out = Vec::with_capacity(id.len() + 6);
        out.extend_from_slice(b"id: ");
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(b"\n\n");
        Self(Bytes::from(out))
    }

    /// The frames one after the other, as one.
    ///
    /// Copies each once into a buffer of the exact length; a single frame is not copied.
    #[must_use]
    pub fn concat<'a, I>(frames: I) -> Self
    where
        I: IntoIterator<Item = &'a Self, IntoIter: Clone>,
    {
        let frames = frames.into_iter();
        let mut probe = frames.clone();
        if let (Some(only), None) = (probe.next(), probe.next()) {
            return only.clone();
        }
        let mut out = Vec::with_capacity(frames.clone().map(Self::len).sum());
        for frame in frames {
            out.extend_from_slice(frame.as_bytes());
        }
        Self(Bytes::from(out))
    }

    /// The bytes to send.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes to send, shared and not copied.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// How many bytes there are to send.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing to send: only a concatenation of no frames has nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({:?})", self.0)
    }
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl From<Frame> for Bytes {
    fn from(frame: Frame) -> Self {
        frame.0
    }
}
