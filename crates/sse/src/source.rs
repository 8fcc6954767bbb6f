use alloc::string::String;
use core::str::{self, Utf8Error};

use crate::block::Place;
use crate::scan::Span;

/// A chunk, and a window of it that is known to be UTF-8.
///
/// An event stream is cut anywhere, so a chunk may begin and end within a character; a value
/// begins where a character does. The window moves to a value that is not in it, and reaches
/// past it: to check much text at once is cheap, to call for every value is not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) chunk: &'a [u8],
    window: &'a str,
    /// Where in the chunk the window starts.
    start: usize,
}

impl<'a> Source<'a> {
    pub(crate) fn new(chunk: &'a [u8]) -> Self {
        Self {
            chunk,
            window: "",
            start: 0,
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
        // A value before the window wraps around to an index past it.
        let start = span.start.wrapping_sub(self.start);
        let end = span.end.wrapping_sub(self.start);
        match self.window.get(start..end) {
            Some(text) => text,
            None => self.move_to(span, spare),
        }
    }

    #[inline(never)]
    fn move_to<'b>(&mut self, span: Span, spare: &'b mut String) -> &'b str
    where
        'a: 'b,
    {
        self.window = window(self.chunk, span);
        self.start = span.start;
        match self.window.get(..span.end - span.start) {
            Some(text) => text,
            None => decode(span.of(self.chunk), spare),
        }
    }
}

/// The text that starts with the value at `span` and reaches past it, up to the first byte that
/// is not UTF-8, which may be in the value.
pub(crate) fn window(chunk: &[u8], span: Span) -> &str {
    const REACH: usize = 4 << 10;
    let end = span.end.max(chunk.len().min(span.start + REACH));
    let bytes = &chunk[span.start..end];
    from_utf8(bytes).unwrap_or_else(|error| {
        str::from_utf8(&bytes[..error.valid_up_to()]).expect("valid up to there")
    })
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
