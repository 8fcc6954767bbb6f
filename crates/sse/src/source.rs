use alloc::string::String;
use core::str::{self, Utf8Error};

use crate::block::Place;
use crate::scan::Span;

/// A chunk and the part of it that is known to be UTF-8: found out once, when first asked for.
///
/// An event stream is cut anywhere, so a chunk may begin and end within a character. Its text
/// starts at the first line that starts in it, and ends before the first byte that is wrong
/// or that lacks what would follow it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) chunk: &'a [u8],
    pub(crate) first_line: usize,
    known: Option<&'a str>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(chunk: &'a [u8], first_line: usize) -> Self {
        Self {
            chunk,
            first_line,
            known: None,
        }
    }

    /// The value at `place` as text. `held` is the buffer it would be held in, and `spare` is
    /// where it goes when it has to be repaired.
    pub(crate) fn text<'b>(
        &mut self,
        place: Place,
        held: &'b [u8],
        spare: &'b mut String,
    ) -> &'b str
    where
        'a: 'b,
    {
        match place {
            Place::Absent => "",
            Place::Chunk(span) => self.slice(span, spare),
            Place::Held => decode(held, spare),
        }
    }

    /// The value at `span` as text.
    #[inline(always)]
    pub(crate) fn slice<'b>(&mut self, span: Span, spare: &'b mut String) -> &'b str
    where
        'a: 'b,
    {
        let text = match self.known {
            Some(text) => text,
            None => self.validate(),
        };
        let first = self.first_line;
        match text.get(span.start.wrapping_sub(first)..span.end.wrapping_sub(first)) {
            Some(text) => text,
            None => decode(span.of(self.chunk), spare),
        }
    }

    #[inline(never)]
    fn validate(&mut self) -> &'a str {
        let bytes = &self.chunk[self.first_line..];
        let text = from_utf8(bytes).unwrap_or_else(|error| {
            str::from_utf8(&bytes[..error.valid_up_to()]).expect("valid up to there")
        });
        self.known = Some(text);
        text
    }
}

/// Where the text ends that starts at `start`: before the first byte that is not UTF-8.
pub(crate) fn valid_up_to(chunk: &[u8], start: usize) -> usize {
    let bytes = &chunk[start..];
    let len = from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
    start + len
}

/// The bytes as text; `spare` is where the text goes when it has to be repaired.
#[inline(never)]
pub(crate) fn decode<'a>(bytes: &'a [u8], spare: &'a mut String) -> &'a str {
    match from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => {
            spare.clear();
            push_decoded(spare, bytes);
            spare
        }
    }
}

/// Appends the bytes as text, each maximal invalid part replaced by U+FFFD as the Encoding
/// standard's decoder does.
pub(crate) fn push_decoded(text: &mut String, bytes: &[u8]) {
    for part in bytes.utf8_chunks() {
        text.push_str(part.valid());
        if !part.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// Checks long texts with the widest instructions there are; for short ones the call is dearer
/// than the check.
fn from_utf8(bytes: &[u8]) -> Result<&str, Utf8Error> {
    #[cfg(feature = "std")]
    if bytes.len() >= 128
        && let Ok(text) = simdutf8::basic::from_utf8(bytes)
    {
        return Ok(text);
    }
    str::from_utf8(bytes)
}
