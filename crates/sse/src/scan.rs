use memchr::memchr2;

use crate::block::{Block, Place};

/// How far a chunk has been read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    /// The start of a line, or of the rest of one.
    pub(crate) pos: usize,
    /// The start of the first line that lies in this chunk from its beginning.
    pub(crate) first_line: usize,
    pub(crate) block: Block,
}

/// What [`scan`] stopped at.
pub(crate) enum Found {
    /// A whole block with data.
    Event(Block),
    /// A line that needs more than a look, or the end of the chunk.
    Other,
}

/// Reads lines of the common shape: `event`, `id` and the first `data` of a block, a line end
/// of LF or CRLF that lies in the chunk, no longer than `max_line`.
///
/// This is the hot path. It only looks, so that its state stays in registers; whatever it does
/// not know is left, from the start of its line, to the engine.
#[inline(always)]
pub(crate) fn scan(chunk: &[u8], mut at: At, max_line: usize) -> (At, Found) {
    loop {
        let Some(rest) = chunk.get(at.pos..) else {
            return (at, Found::Other);
        };
        if rest.starts_with(b"data:") {
            if at.block.data != Place::Absent {
                return (at, Found::Other);
            }
            let Some(line) = line(chunk, at.pos, 5, max_line) else {
                return (at, Found::Other);
            };
            at.block.data = Place::Chunk {
                start: line.value,
                end: line.end,
            };
            at.pos = line.next;
        } else if rest.starts_with(b"event:") {
            let Some(line) = line(chunk, at.pos, 6, max_line) else {
                return (at, Found::Other);
            };
            at.block.name = Place::Chunk {
                start: line.value,
                end: line.end,
            };
            at.pos = line.next;
            continue;
        } else if rest.starts_with(b"id:") {
            let Some(line) = line(chunk, at.pos, 3, max_line) else {
                return (at, Found::Other);
            };
            if chunk[line.value..line.end].contains(&0) {
                return (at, Found::Other);
            }
            at.block.id = Place::Chunk {
                start: line.value,
                end: line.end,
            };
            at.pos = line.next;
            continue;
        } else if rest.first() != Some(&b'\n') {
            return (at, Found::Other);
        }
        // A blank line is looked for where the data ended, not searched.
        let next = match chunk.get(at.pos) {
            Some(b'\n') => at.pos + 1,
            Some(b'\r') if chunk.get(at.pos + 1) == Some(&b'\n') => at.pos + 2,
            _ => continue,
        };
        if let Place::Chunk { .. } = at.block.data {
            let block = at.block;
            let at = At {
                pos: next,
                block: Block::EMPTY,
                ..at
            };
            return (at, Found::Event(block));
        }
        if !at.block.is_empty() {
            return (at, Found::Other);
        }
        at.pos = next;
    }
}

struct Line {
    value: usize,
    end: usize,
    next: usize,
}

#[inline(always)]
fn line(chunk: &[u8], start: usize, name: usize, max_line: usize) -> Option<Line> {
    let colon = start + name;
    let value = if chunk.get(colon) == Some(&b' ') {
        colon + 1
    } else {
        colon
    };
    let end = line_end(chunk, value)?;
    let next = match chunk[end] {
        b'\n' => end + 1,
        _ if chunk.get(end + 1) == Some(&b'\n') => end + 2,
        _ => return None,
    };
    (end - start <= max_line).then_some(Line { value, end, next })
}

/// The index of the first CR or LF at or after `from`.
///
/// The first eight bytes are looked at as one word: in short lines the call into `memchr2`
/// costs more than the search.
#[inline(always)]
fn line_end(chunk: &[u8], from: usize) -> Option<usize> {
    let rest = chunk.get(from..)?;
    let Some((head, tail)) = rest.split_first_chunk::<8>() else {
        return memchr2(b'\n', b'\r', rest).map(|end| from + end);
    };
    match first_line_end(u64::from_le_bytes(*head)) {
        Some(index) => Some(from + index),
        None => memchr2(b'\n', b'\r', tail).map(|end| from + head.len() + end),
    }
}

/// The index of the first CR or LF among the bytes of a little-endian word.
#[inline(always)]
fn first_line_end(word: u64) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES << 7;
    // A byte's high bit is set where the byte was zero; bits above the first may be wrong.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let hits = zeros(word ^ (ONES * 0x0a)) | zeros(word ^ (ONES * 0x0d));
    (hits != 0).then_some((hits.trailing_zeros() / 8) as usize)
}
