use alloc::vec::Vec;
use core::time::Duration;

use bytes::{BufMut, Bytes};

use crate::event_head::EventHead;
use crate::event_id::EventId;
use crate::event_name::EventName;
use crate::field::FieldError;
use crate::frame::Frame;
use crate::lines::Breaks;
use crate::scan::line_end;

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
    #[inline]
    pub const fn new(data: &'a [u8]) -> Self {
        Self {
            head: EventHead::new(),
            data,
        }
    }

    /// Sets the name that a client listens for.
    #[must_use]
    #[inline]
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
    #[inline]
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
        self.with_body(|body| self.head.encoded_len() + body.len())
    }

    /// The block, in a buffer of exactly its length.
    #[must_use]
    pub fn encode(&self) -> Frame {
        self.with_body(|body| {
            let mut out = Vec::with_capacity(self.head.encoded_len() + body.len());
            self.head.put(&mut out);
            body.put(&mut out);
            Frame::from_blocks(Bytes::from(out))
        })
    }

    /// Appends the block; grows the buffer at most once.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        self.with_body(|body| {
            out.reserve(self.head.encoded_len() + body.len());
            self.head.put(out);
            body.put(out);
        });
    }

    /// Appends the block to a buffer of any kind.
    ///
    /// # Panics
    ///
    /// When the buffer cannot grow and has room for less than [`encoded_len`](Self::encoded_len).
    pub fn put_into(&self, out: &mut impl BufMut) {
        self.with_body(|body| {
            self.head.put(out);
            body.put(out);
        });
    }

    /// Finds out once how the data breaks into lines.
    #[inline(always)]
    fn with_body<T>(&self, each: impl FnOnce(Body<'_>) -> T) -> T {
        let breaks;
        let body = match line_end::<2>(self.data, 0) {
            None => Body::Line(self.data),
            Some(_) => {
                breaks = Breaks::find(self.data);
                Body::Lines(self.data, &breaks)
            }
        };
        each(body)
    }
}

impl<'a> EventHead<'a> {
    /// The event with these fields and this data.
    #[must_use]
    #[inline]
    pub fn data(self, data: &'a [u8]) -> EventRef<'a> {
        EventRef { head: self, data }
    }

    /// The event with these fields and `value` as compact JSON, serialized into the frame itself.
    ///
    /// # Errors
    ///
    /// Those of `serde_json`, when `value` cannot be JSON.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn encode_json<T>(self, value: &T) -> serde_json::Result<Frame>
    where
        T: serde::Serialize + ?Sized,
    {
        let mut out = Vec::with_capacity(self.encoded_len() + JSON_GUESS);
        self.put(&mut out);
        out.extend_from_slice(DATA);
        let start = out.len();
        value.serialize(&mut serde_json::Serializer::new(&mut out))?;
        // Raw values are copied as they stand, and JSON allows line breaks between tokens.
        if memchr::memchr2(b'\n', b'\r', &out[start..]).is_some() {
            return Ok(self.data(&out[start..]).encode());
        }
        out.extend_from_slice(b"\n\n");
        Ok(Frame::from_blocks(Bytes::from(out)))
    }
}

/// What a JSON value is reckoned to need; a longer one grows the buffer.
#[cfg(feature = "json")]
const JSON_GUESS: usize = 256;

/// The data lines of a block and the blank line after them.
#[derive(Clone, Copy)]
enum Body<'a> {
    Line(&'a [u8]),
    Lines(&'a [u8], &'a Breaks),
}

const DATA: &[u8; 6] = b"data: ";
const EMPTY_DATA: &[u8] = b"data:";

impl Body<'_> {
    #[inline(always)]
    fn len(self) -> usize {
        match self {
            Self::Line(b"") => EMPTY_DATA.len() + 2,
            Self::Line(line) => DATA.len() + line.len() + 2,
            Self::Lines(_, breaks) => {
                let full = breaks.full_lines() * (DATA.len() + 1);
                let empty = breaks.empty_lines() * (EMPTY_DATA.len() + 1);
                full + empty + breaks.len() + 1
            }
        }
    }

    #[inline(always)]
    fn put(self, out: &mut impl BufMut) {
        match self {
            Self::Line(b"") => out.put_slice(b"data:\n\n"),
            Self::Line(line) => {
                out.put_slice(DATA);
                out.put_slice(line);
                out.put_slice(b"\n\n");
            }
            Self::Lines(data, breaks) => {
                put_line(out, DATA, breaks.first_line(data));
                breaks.each_other_line(data, |line| put_line(out, b"\ndata: ", line));
                out.put_slice(b"\n\n");
            }
        }
    }
}

/// The line after the start of a line of data, which has no space where the line is empty.
#[inline(always)]
fn put_line<const N: usize>(out: &mut impl BufMut, start: &[u8; N], line: &[u8]) {
    if line.is_empty() {
        out.put_slice(&start[..N - 1]);
    } else {
        out.put_slice(start);
        out.put_slice(line);
    }
}
