use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;

/// UTF-8 text that is cheap to clone: a short one is copied, a longer one shares its bytes.
///
/// A short text that was read from a log keeps nothing of the buffer it was read into.
///
/// Invariant: the bytes are valid UTF-8, and shared only where there are more than
/// `INLINE_BYTES`.
#[derive(Clone)]
pub(crate) enum Text {
    Inline(Inline),
    Shared(Bytes),
}

/// What fits beside the tag of a `Text` in the size of a `Bytes`.
const INLINE_BYTES: usize = 23;

const _: () = assert!(size_of::<Text>() == size_of::<Bytes>());

/// Invariant: `length <= INLINE_BYTES`, and spaces follow the text, so that equal texts are equal
/// in all bytes.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Inline {
    length: u8,
    bytes: [u8; INLINE_BYTES],
}

impl Inline {
    /// None where the bytes are too many.
    fn new(text: &[u8]) -> Option<Self> {
        let length = u8::try_from(text.len()).ok()?;
        let mut bytes = [b' '; INLINE_BYTES];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { length, bytes })
    }

    /// The text of so many bytes that others follow, if it is short and plain: word by word, without
    /// a copy of a length that varies.
    #[inline]
    fn plain_begin(window: &[u8; INLINE_BYTES + 1], length: usize) -> Option<Self> {
        const SPACES: u64 = u64::from_le_bytes([b' '; 8]);
        let mut bytes = [b' '; INLINE_BYTES + 1];
        let mut is_plain = length <= INLINE_BYTES;
        let mut left = length;
        let (from, _) = window.as_chunks();
        let (to, _) = bytes.as_chunks_mut();
        for (from, to) in from.iter().zip(to) {
            // Which bits of the word are of the text.
            let mask = match left {
                0 => 0,
                1..8 => u64::MAX >> (64 - 8 * left),
                _ => u64::MAX,
            };
            let word = (u64::from_le_bytes(*from) & mask) | (SPACES & !mask);
            is_plain &= is_plain_word(word);
            *to = word.to_le_bytes();
            left = left.saturating_sub(8);
        }
        let text = Self {
            length: u8::try_from(length).ok()?,
            bytes: *bytes.first_chunk()?,
        };
        is_plain.then_some(text)
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length.into()]
    }

    /// Whether all of it is ASCII without control characters, eight bytes at a time. The spaces
    /// that follow the text are, so that the length does not matter.
    fn is_plain(&self) -> bool {
        let is_plain = |word: &[u8; 8]| is_plain_word(u64::from_le_bytes(*word));
        let (words, _) = self.bytes.as_chunks();
        let last = self.bytes.last_chunk();
        words.iter().chain(last).all(is_plain)
    }
}

/// Whether eight bytes are ASCII without control characters.
#[inline]
fn is_plain_word(word: u64) -> bool {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let is_control = word.wrapping_sub(ONES * 0x20);
    let delete = word ^ (ONES * 0x7f);
    let is_delete = delete.wrapping_sub(ONES) & !delete;
    (word | is_control | is_delete) & (ONES * 0x80) == 0
}

impl Text {
    /// The text of bytes; long ones are shared.
    pub(crate) fn from_utf8(bytes: Bytes) -> Result<Self, std::str::Utf8Error> {
        std::str::from_utf8(&bytes)?;
        Ok(match Inline::new(&bytes) {
            Some(inline) => Self::Inline(inline),
            None => Self::Shared(bytes),
        })
    }

    /// A short text of ASCII without control characters; none where it is not known to be one.
    pub(crate) fn plain(bytes: &[u8]) -> Option<Self> {
        let inline = Inline::new(bytes)?;
        inline.is_plain().then_some(Self::Inline(inline))
    }

    /// The same of a part of a buffer.
    #[inline]
    pub(crate) fn plain_in(buffer: &[u8], part: &[u8]) -> Option<Self> {
        let at = part.as_ptr().addr().checked_sub(buffer.as_ptr().addr());
        let window = at.and_then(|at| buffer.get(at..)?.first_chunk());
        let Some(window) = window else {
            return Self::plain(part);
        };
        Inline::plain_begin(window, part.len()).map(Self::Inline)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes())
            .expect("a Text holds UTF-8: every constructor checks it")
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// The same text, which keeps no more than its own bytes.
    pub(crate) fn detached(&self) -> Self {
        match self {
            Self::Inline(inline) => Self::Inline(*inline),
            Self::Shared(bytes) => Self::Shared(Bytes::copy_from_slice(bytes)),
        }
    }

    /// The beginning of the text, up to a border of characters.
    pub(crate) fn up_to(&self, end: usize) -> Self {
        debug_assert!(self.as_str().is_char_boundary(end));
        match (Inline::new(&self.as_bytes()[..end]), self) {
            (Some(inline), _) => Self::Inline(inline),
            (None, Self::Shared(bytes)) => Self::Shared(bytes.slice(..end)),
            (None, Self::Inline(_)) => unreachable!("a part of a short text is short"),
        }
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline(inline) => inline.as_bytes(),
            Self::Shared(bytes) => bytes,
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        match Inline::new(text.as_bytes()) {
            Some(inline) => Self::Inline(inline),
            None => Self::Shared(Bytes::copy_from_slice(text.as_bytes())),
        }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        match Inline::new(text.as_bytes()) {
            Some(inline) => Self::Inline(inline),
            None => Self::Shared(Bytes::from(text)),
        }
    }
}

impl PartialEq for Text {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Inline(one), Self::Inline(other)) => one == other,
            (Self::Shared(one), Self::Shared(other)) => one == other,
            // One is short, and the other is not.
            _ => false,
        }
    }
}

impl Eq for Text {}

impl Hash for Text {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_the_same_however_it_was_made() {
        for length in [0, 1, 22, 23, 24, 25, 200] {
            let text = "é".repeat(length / 2) + &"x".repeat(length % 2);
            let bytes = Bytes::copy_from_slice(text.as_bytes());
            let made = [
                Text::from(text.as_str()),
                Text::from(text.clone()),
                Text::from_utf8(bytes).unwrap(),
                Text::from(format!("{text}-x").as_str()).up_to(length),
            ];
            for one in &made {
                assert_eq!(one.as_str(), text);
                assert_eq!(one, &made[0]);
                assert_eq!(one.cmp(&made[0]), Ordering::Equal);
                assert_eq!(one.len(), length);
            }
        }
    }

    #[test]
    fn a_long_text_shares_its_bytes_and_a_short_one_does_not() {
        for (length, is_shared) in [(INLINE_BYTES, false), (INLINE_BYTES + 1, true)] {
            let bytes = Bytes::from("x".repeat(length));
            let text = Text::from_utf8(bytes.clone()).unwrap();
            assert_eq!(text.as_str().as_ptr() == bytes.as_ptr(), is_shared);
        }
    }

    #[test]
    fn a_detached_text_is_the_same_on_bytes_of_its_own() {
        for length in [0, 1, INLINE_BYTES, INLINE_BYTES + 1, 200] {
            let text = Text::from_utf8(Bytes::from("x".repeat(length))).unwrap();
            let detached = text.detached();
            assert_eq!(detached, text);
            assert_eq!(detached.as_bytes(), text.as_bytes());
            assert_ne!(detached.as_str().as_ptr(), text.as_str().as_ptr());
        }
    }

    #[test]
    fn only_short_printable_ascii_is_plain() {
        for (text, is_plain) in [
            ("", true),
            ("room-1 ~", true),
            ("12345678901234567890123", true),
            ("123456789012345678901234", false),
            ("a\u{7f}", false),
            ("\u{1f}", false),
            ("é", false),
            ("\0", false),
        ] {
            let plain = Text::plain(text.as_bytes());
            assert_eq!(plain.is_some(), is_plain, "{text:?}");
            // At the end of a buffer, and within one.
            for after in ["", "12345678", "\u{7f}12345678901234567890123456789"] {
                let buffer = format!("before{text}{after}");
                let part = &buffer.as_bytes()[6..][..text.len()];
                assert_eq!(Text::plain_in(buffer.as_bytes(), part), plain, "{text:?}");
            }
        }
    }
}
