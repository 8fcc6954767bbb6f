use alloc::vec::Vec;
use core::mem;

use crate::scan::Span;

/// Where the value of a field lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The block has no such field.
    Absent,
    /// In the chunk that is being read.
    Chunk(Span),
    /// In the buffer of [`Held`] that has the field's name.
    Held,
}

impl From<Span> for Place {
    fn from(span: Span) -> Self {
        if span.is_absent() {
            Self::Absent
        } else {
            Self::Chunk(span)
        }
    }
}

/// The fields that a block has so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) name: Place,
    pub(crate) id: Place,
    pub(crate) data: Place,
}

impl Block {
    pub(crate) const EMPTY: Self = Self {
        name: Place::Absent,
        id: Place::Absent,
        data: Place::Absent,
    };
}

/// Values that had to be copied: because their chunk is gone, or their lines had to be joined.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) name: Vec<u8>,
    pub(crate) id: Vec<u8>,
    pub(crate) data: Vec<u8>,
    /// How long the data was that was last given away.
    last_data_len: usize,
    /// The beginning of a line whose end has not arrived.
    pub(crate) line: Vec<u8>,
}

impl Held {
    pub(crate) const EMPTY: Self = Self {
        name: Vec::new(),
        id: Vec::new(),
        data: Vec::new(),
        last_data_len: 0,
        line: Vec::new(),
    };

    /// Copies what lies in the chunk, so that the block outlives it.
    pub(crate) fn keep(&mut self, chunk: &[u8], block: &mut Block) {
        keep(&mut self.name, chunk, &mut block.name);
        keep(&mut self.id, chunk, &mut block.id);
        self.keep_data(chunk, &mut block.data);
    }

    /// Copies the data if it lies in the chunk.
    #[inline(always)]
    pub(crate) fn keep_data(&mut self, chunk: &[u8], data: &mut Place) {
        if let Place::Chunk(span) = *data {
            clear(&mut self.data);
            self.push_data(span.of(chunk));
            *data = Place::Held;
        }
    }

    /// Makes the data of the block ready for one more line to be appended to it.
    pub(crate) fn open_data(&mut self, chunk: &[u8], data: &mut Place) {
        self.keep_data(chunk, data);
        if *data == Place::Absent {
            clear(&mut self.data);
            *data = Place::Held;
        } else {
            self.data.push(b'\n');
        }
    }

    /// Appends to the data.
    #[inline]
    pub(crate) fn push_data(&mut self, part: &[u8]) {
        if part.len() > self.data.capacity() - self.data.len() {
            self.make_room(part.len());
        }
        self.data.extend_from_slice(part);
    }

    /// Gives the data away; the next is held in a buffer of its own.
    pub(crate) fn take_data(&mut self) -> Vec<u8> {
        self.last_data_len = self.data.len();
        mem::take(&mut self.data)
    }

    /// Events are often as long as the one before. Once there is a quarter of that, there is room
    /// for all of it at once, and a little more: what is given away has at most 4.5 times the
    /// room it needs.
    #[cold]
    fn make_room(&mut self, more: usize) {
        let len = self.data.len() + more;
        let likely = self.last_data_len + self.last_data_len / 8;
        if (len..=4 * len).contains(&likely) {
            self.data.reserve_exact(likely - self.data.len());
        }
    }

    /// The held line, which is a comment, without its colon.
    pub(crate) fn comment(&self) -> &[u8] {
        self.line.get(1..).unwrap_or_default()
    }
}

/// Called for each chunk, however short, and seldom with something to copy.
#[inline(always)]
fn keep(buffer: &mut Vec<u8>, chunk: &[u8], place: &mut Place) {
    if let Place::Chunk(span) = *place {
        clear(buffer);
        buffer.extend_from_slice(span.of(chunk));
        *place = Place::Held;
    }
}

/// Empties the buffer, and gives it back after a value of a rare size.
pub(crate) fn clear(buffer: &mut Vec<u8>) {
    const KEPT: usize = 1 << 20;
    if buffer.len() > KEPT {
        *buffer = Vec::new();
    }
    buffer.clear();
}
