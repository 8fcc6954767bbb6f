use alloc::string::String;
use core::str;

use crate::block::Place;

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
    #[inline(always)]
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
            Place::Chunk { start, end } => match self.slice(start, end) {
                Some(text) => text,
                None => decode(&self.chunk[start..end], spare),
            },
            Place::Held => decode(held, spare),
        }
    }

    #[inline(always)]
    fn slice(&mut self, start: usize, end: usize) -> Option<&'a str> {
        let text = match self.known {
            Some(text) => text,
            None => self.validate(),
        };
        text.get(start.checked_sub(self.first_line)?..end.checked_sub(self.first_line)?)
    }

    #[cold]
    fn validate(&mut self) -> &'a str {
        let bytes = &self.chunk[self.first_line..];
        let text = str::from_utf8(bytes).unwrap_or_else(|error| {
            str::from_utf8(&bytes[..error.valid_up_to()]).expect("valid up to there")
        });
        self.known = Some(text);
        text
    }
}

/// The bytes as text, each maximal invalid part replaced by U+FFFD as the Encoding standard's
/// decoder does; `spare` is where the text goes in that case.
#[inline]
pub(crate) fn decode<'a>(bytes: &'a [u8], spare: &'a mut String) -> &'a str {
    match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => {
            spare.clear();
            for part in bytes.utf8_chunks() {
                spare.push_str(part.valid());
                if !part.invalid().is_empty() {
                    spare.push(char::REPLACEMENT_CHARACTER);
                }
            }
            spare
        }
    }
}
