use std::io;

use bytes::Bytes;

use crate::format::{in_memory, u64_of};
use crate::storage::StorageFile;

/// Bytes read at a time.
const WINDOW_BYTES: u64 = 256 << 10;

/// Bytes read at a time where zeros are looked for, and looked at before anything is decided.
const ZEROS_BYTES: usize = 64 << 10;
const ZERO_BLOCK_BYTES: usize = 4 << 10;

/// A file that does not change, read through a window that moves along.
#[derive(Debug)]
pub(crate) struct Window<'a> {
    file: &'a dyn StorageFile,
    length: u64,
    begin: u64,
    bytes: Bytes,
}

impl<'a> Window<'a> {
    pub(crate) fn new(file: &'a dyn StorageFile) -> io::Result<Self> {
        Ok(Self {
            file,
            length: file.length()?,
            begin: 0,
            bytes: Bytes::new(),
        })
    }

    /// The length of the file.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// `length` bytes from `at` on, or those up to the end of the file.
    pub(crate) fn get_up_to(&mut self, at: u64, length: usize) -> io::Result<Bytes> {
        let end = at.saturating_add(u64_of(length)).min(self.length).max(at);
        if at < self.begin || end > self.begin + u64_of(self.bytes.len()) {
            self.move_to(at, end)?;
        }
        let from = in_memory(at - self.begin).map_err(io::Error::other)?;
        let to = in_memory(end - self.begin).map_err(io::Error::other)?;
        Ok(self.bytes.slice(from..to))
    }

    fn move_to(&mut self, at: u64, end: u64) -> io::Result<()> {
        let end = end.max(at.saturating_add(WINDOW_BYTES)).min(self.length);
        let length = in_memory(end.saturating_sub(at)).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(length);
        self.file.read_more(&mut bytes, length, at)?;
        self.begin = at;
        self.bytes = bytes.into();
        Ok(())
    }

    /// Where the zeros begin that the file ends with; `from` where there is nothing else.
    pub(crate) fn used_to(&self, from: u64) -> io::Result<u64> {
        let mut used_to = from;
        let mut at = from;
        // There is mostly nothing, and much of it: it goes through a buffer that stays near.
        let mut bytes = Vec::with_capacity(ZEROS_BYTES);
        while at < self.length {
            let length = in_memory(self.length - at).map_err(io::Error::other)?;
            bytes.clear();
            self.file
                .read_more(&mut bytes, length.min(ZEROS_BYTES), at)?;
            if !is_zero(&bytes)
                && let Some(last) = bytes.iter().rposition(|&byte| byte != 0)
            {
                used_to = at + u64_of(last) + 1;
            }
            at += u64_of(bytes.len());
        }
        Ok(used_to)
    }
}

/// Whether all bytes are zero, many at a time.
fn is_zero(bytes: &[u8]) -> bool {
    let mut blocks = bytes.chunks(ZERO_BLOCK_BYTES);
    blocks.all(|block| block.iter().fold(0, |all, &byte| all | byte) == 0)
}
