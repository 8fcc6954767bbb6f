use memchr::memchr2;

/// A value in a chunk. Values follow a field name, so that none starts at zero: zero says that
/// there is no such field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) const ABSENT: Self = Self { start: 0, end: 0 };

    pub(crate) fn is_absent(self) -> bool {
        self.start == 0
    }

    pub(crate) fn of(self, chunk: &[u8]) -> &[u8] {
        &chunk[self.start..self.end]
    }
}

/// The beginning of a block, or all of it, or a comment before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scan {
    pub(crate) name: Span,
    pub(crate) id: Span,
    /// The value of `data`, or the comment.
    pub(crate) data: Span,
    /// The start of the first line that was not read.
    pub(crate) next: usize,
    pub(crate) found: Found,
}

/// What a [`Scan`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A block with data, and its blank line.
    Event,
    /// A comment that is the first line of a block.
    Comment,
    /// As much of a block as has the common shape.
    Part,
}

/// Reads a block of the common shape from `start`, the start of its first line: `event`, `id`
/// and one `data`, the data last, each on a line that ends in the chunk by LF or CRLF and is
/// no longer than `max_line`.
///
/// This is the hot path. It only looks, so that all it knows stays in registers; where the
/// shape is another it stops, and the engine goes on from there.
#[inline(always)]
pub(crate) fn scan(chunk: &[u8], start: usize, max_line: usize) -> Scan {
    let mut scan = Scan {
        name: Span::ABSENT,
        id: Span::ABSENT,
        data: Span::ABSENT,
        next: start,
        found: Found::Part,
    };
    loop {
        let Some(rest) = chunk.get(scan.next..) else {
            return scan;
        };
        if rest.starts_with(b"data:") {
            let Some((data, next)) = line::<1>(chunk, scan.next, 5, max_line) else {
                return scan;
            };
            scan.data = data;
            scan.next = next;
            // The blank line is looked for where it would be, not searched.
            if let Some(after) = blank(chunk, next) {
                scan.next = after;
                scan.found = Found::Event;
            }
            return scan;
        } else if rest.starts_with(b"event:") {
            let Some((name, next)) = line::<4>(chunk, scan.next, 6, max_line) else {
                return scan;
            };
            scan.name = name;
            scan.next = next;
        } else if rest.starts_with(b"id:") && scan.id.is_absent() {
            let Some((id, next)) = line::<4>(chunk, scan.next, 3, max_line) else {
                return scan;
            };
            scan.id = id;
            scan.next = next;
        } else if !(scan.name.is_absent() && scan.id.is_absent()) {
            return scan;
        } else if let Some(after) = blank(chunk, scan.next) {
            scan.next = after;
        } else if rest.first() == Some(&b':') {
            let Some((comment, next)) = comment(chunk, scan.next, max_line) else {
                return scan;
            };
            scan.data = comment;
            scan.next = next;
            scan.found = Found::Comment;
            return scan;
        } else {
            return scan;
        }
    }
}

/// The value of the line at `start`, whose field name is `colon` bytes with its colon, and the
/// start of the line after it.
#[inline(always)]
fn line<const WORDS: usize>(
    chunk: &[u8],
    start: usize,
    colon: usize,
    max_line: usize,
) -> Option<(Span, usize)> {
    let colon = start + colon;
    let value = if chunk.get(colon) == Some(&b' ') {
        colon + 1
    } else {
        colon
    };
    rest_of_line::<WORDS>(chunk, start, value, max_line)
}

/// The comment on the line at `start`, and the start of the line after it.
#[inline(always)]
fn comment(chunk: &[u8], start: usize, max_line: usize) -> Option<(Span, usize)> {
    rest_of_line::<1>(chunk, start, start + 1, max_line)
}

#[inline(always)]
fn rest_of_line<const WORDS: usize>(
    chunk: &[u8],
    start: usize,
    value: usize,
    max_line: usize,
) -> Option<(Span, usize)> {
    let end = line_end::<WORDS>(chunk, value)?;
    let next = blank(chunk, end)?;
    (end - start <= max_line).then_some((Span { start: value, end }, next))
}

/// Past the LF or CRLF at `at`, if there is one.
#[inline(always)]
pub(crate) fn blank(chunk: &[u8], at: usize) -> Option<usize> {
    match chunk.get(at)? {
        b'\n' => Some(at + 1),
        b'\r' if chunk.get(at + 1) == Some(&b'\n') => Some(at + 2),
        _ => None,
    }
}

/// The index of the first CR or LF at or after `from`.
///
/// The first `WORDS` times eight bytes are looked at word by word: in short values the call
/// into `memchr2` costs more than the search.
#[inline(always)]
pub(crate) fn line_end<const WORDS: usize>(chunk: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    for _ in 0..WORDS {
        let Some(word) = chunk.get(at..).and_then(<[u8]>::first_chunk::<8>) else {
            break;
        };
        match first_control(u64::from_le_bytes(*word)) {
            None => at += word.len(),
            Some(index) => {
                at += index;
                if matches!(chunk[at], b'\n' | b'\r') {
                    return Some(at);
                }
                break;
            }
        }
    }
    let rest = chunk.get(at..)?;
    if rest.len() < 8 {
        return rest
            .iter()
            .position(|byte| matches!(byte, b'\n' | b'\r'))
            .map(|end| at + end);
    }
    memchr2(b'\n', b'\r', rest).map(|end| at + end)
}

/// The index of the first byte up to CR in a little-endian word.
#[inline(always)]
fn first_control(word: u64) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    // A byte's high bit is set where the byte was small; bits above the first may be wrong.
    let hits = word.wrapping_sub(ONES * 0x0e) & !word & (ONES << 7);
    (hits != 0).then_some((hits.trailing_zeros() / 8) as usize)
}
