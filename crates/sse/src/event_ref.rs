use alloc::vec::Vec;
use core::time::Duration;

use bytes::{BufMut, Bytes};

use crate::event_head::EventHead;
use crate::event_id::EventId;
use crate::event_name::EventName;
use crate::field::FieldError;
use crate::frame::Frame;
use crate::lines::Lines;

/// An event whose parts are borrowed: encoding it allocates nothing but the output.
///
/// The data should be UTF-8, since a client replaces what is not. Any bytes are encoded:
/// CR, LF and CRLF each become one line break, which a client reads as LF; everything else,
/// a leading space included, arrives as it is. Empty data is sent, as an event with empty data.
///
/// The fields are written in the order event, id, retry, data, with LF line ends.
#[derive(Debug, Clone, Copy)]
pub struct EventRef<'a> {
    head: EventHead<'a>,
    data: &'a [u8],
}

impl<'a> EventRef<'a> {
    /// An event with data only.
    #[must_use]
    pub const fn new(data: &'a [u8]) -> Self {
        Self {
            head: EventHead::new(),
            data,
        }
    }

    pub(crate) const fn with_head(head: EventHead<'a>, data: &'a [u8]) -> Self {
        Self { head, data }
    }

    /// Sets the name that a client listens for.
    #[must_use]
    pub fn name(self, name: &'a EventName) -> Self {
        Self {
            head: self.head.name(name),
            ..self
        }
    }

    /// Sets a name that is not an [`EventName`] yet; checked without an allocation.
    ///
    /// # Errors
    ///
    /// Those of [`EventName::new`].
    pub fn try_name(self, name: &'a str) -> Result<Self, FieldError> {
        Ok(Self {
            head: self.head.try_name(name)?,
            ..self
        })
    }

    /// Sets the id that a client sends back when it reconnects.
    #[must_use]
    pub fn id(self, id: &'a EventId) -> Self {
        Self {
            head: self.head.id(id),
            ..self
        }
    }

    /// Sets an id that is not an [`EventId`] yet; checked without an allocation.
    ///
    /// # Errors
    ///
    /// Those of [`EventId::new`].
    pub fn try_id(self, id: &'a str) -> Result<Self, FieldError> {
        Ok(Self {
            head: self.head.try_id(id)?,
            ..self
        })
    }

    /// Sets how long a client waits before it reconnects: [`EventHead::retry`].
    #[must_use]
    pub fn retry(self, delay: Duration) -> Self {
        Self {
            head: self.head.retry(delay),
            ..self
        }
    }

    /// How many bytes [`encode`](Self::encode) makes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let data: usize = Lines::new(self.data).map(data_line_len).sum();
        self.head.encoded_len() + data + 1
    }

    /// The block, in a buffer of exactly its length.
    #[must_use]
    pub fn encode(&self) -> Frame {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.put(&mut out);
        Frame::from_blocks(Bytes::from(out))
    }

    /// Appends the block; grows the buffer at most once.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        self.put(out);
    }

    /// Appends the block to a buffer of any kind.
    ///
    /// # Panics
    ///
    /// When the buffer cannot grow and has room for less than [`encoded_len`](Self::encoded_len).
    pub fn put_into(&self, out: &mut impl BufMut) {
        self.put(out);
    }

    fn put(&self, out: &mut impl BufMut) {
        self.head.put(out);
        for line in Lines::new(self.data) {
            put_data_line(out, line);
        }
        out.put_u8(b'\n');
    }
}

pub(crate) const DATA: &[u8] = b"data: ";
const EMPTY_DATA: &[u8] = b"data:\n";

fn data_line_len(line: &[u8]) -> usize {
    match line.len() {
        0 => EMPTY_DATA.len(),
        len => DATA.len() + len + 1,
    }
}

fn put_data_line(out: &mut impl BufMut, line: &[u8]) {
    if line.is_empty() {
        out.put_slice(EMPTY_DATA);
    } else {
        out.put_slice(DATA);
        out.put_slice(line);
        out.put_u8(b'\n');
    }
}
