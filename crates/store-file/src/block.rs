use std::io;
use std::ops::Range;

use crate::format::in_memory;
use crate::segment::Segment;
use crate::storage::Mapping;

/// Bytes looked at for one batch, unless one commit or one event has more: as much as stays in the
/// second cache of a processor.
pub(crate) const BLOCK_BYTES: usize = 256 << 10;

/// A buffer that has got longer than this is not used again.
const KEPT_BYTES: usize = 2 * BLOCK_BYTES;

/// The bytes that are looked at.
#[derive(Default)]
pub(crate) struct Block {
    /// Where they are in a file that is mapped; in the buffer otherwise.
    mapped: Option<(Mapping, Range<usize>)>,
    buffer: Vec<u8>,
    length: usize,
}

impl Block {
    /// Makes them those from a place in a file on.
    pub(crate) fn load(
        &mut self,
        mapping: Option<&Mapping>,
        segment: &Segment,
        at: u64,
        length: usize,
    ) -> io::Result<()> {
        match mapping {
            Some(mapping) => self.map_part(mapping, at, length),
            None => self.fill(|buffer| {
                if buffer.len() < length {
                    buffer.resize(length, 0);
                }
                segment.file.read_at(&mut buffer[..length], at)?;
                Ok(length)
            }),
        }
    }

    fn map_part(&mut self, mapping: &Mapping, at: u64, length: usize) -> io::Result<()> {
        let begin = in_memory(at).map_err(io::Error::other)?;
        let range = begin..begin.saturating_add(length);
        if mapping.as_ref().get(range.clone()).is_none() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.mapped = Some((mapping.clone(), range));
        self.buffer = Vec::new();
        Ok(())
    }

    /// Makes them all of a file that is mapped.
    pub(crate) fn map(&mut self, mapping: &Mapping) {
        self.mapped = Some((mapping.clone(), 0..mapping.as_ref().len()));
        self.buffer = Vec::new();
    }

    /// Makes them the first bytes of the buffer, as many as its filling says.
    pub(crate) fn fill<E>(
        &mut self,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<usize, E>,
    ) -> Result<(), E> {
        self.mapped = None;
        if self.buffer.len() > KEPT_BYTES {
            self.buffer = Vec::new();
        }
        self.length = fill(&mut self.buffer)?;
        Ok(())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.mapped {
            Some((mapping, range)) => &mapping.as_ref()[range.clone()],
            None => &self.buffer[..self.length],
        }
    }
}
