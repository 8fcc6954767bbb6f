//! Files as memory.
//!
//! This is the one place of the crate with `unsafe` code. A mapping is shared memory: where the
//! file changes, so do bytes that Rust was told do not, and where the file gets shorter, looking
//! at what was cut off ends the process (`SIGBUS`). So a file is mapped only once it is one that
//! nothing changes:
//!
//! * Only segments that were left are mapped (`Segment::mapping`). A segment is left when the next
//!   one has been made, and from then on the writer has no way to it: it writes to `Tail`, which is
//!   another segment then. Opening cuts and writes to the last segment alone, before anything is
//!   mapped.
//! * Of indexes, only those are mapped that have their name (`FileIndex`). They are written under
//!   another, and never again once they were renamed.
//! * The directory is locked, so that no other process has the store open. Repair is of a closed
//!   store, and maps nothing.
//! * A file is replaced or removed by its name. The bytes that are mapped live on until the mapping
//!   goes.
//!
//! What remains is outside of this program: someone who truncates or overwrites a file of an
//! open store, and a medium that fails when a page is fetched, which is `SIGBUS` too where reading
//! has an error. That is why mapping is asked for, and not the default.
#![allow(
    unsafe_code,
    reason = "mapping a file has no safe form; the proof is above"
)]

use std::fs::File;
use std::io;
use std::sync::Arc;

use memmap2::Mmap;

/// All of a file, as memory. A clone is the same memory.
#[derive(Debug, Clone)]
pub(crate) struct Mapping(Arc<Mmap>);

impl Mapping {
    /// Maps a file that nothing changes from here on.
    pub(super) fn new(file: &File) -> io::Result<Self> {
        // SAFETY: nothing writes to the file or cuts it while it is mapped; see above.
        let mapped = unsafe { Mmap::map(file) }?;
        Ok(Self(Arc::new(mapped)))
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
