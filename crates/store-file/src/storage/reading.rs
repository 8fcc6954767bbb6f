//! Reading a file of the operating system in the ways that the standard library does not have.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use rustix::buffer::spare_capacity;

use crate::format::u64_of;

/// Adds bytes to a buffer, which is not filled with zeros before.
pub(super) fn read_more(
    file: &File,
    buffer: &mut Vec<u8>,
    length: usize,
    offset: u64,
) -> io::Result<()> {
    let end = buffer.len() + length;
    buffer.reserve_exact(length);
    let mut at = offset;
    while buffer.len() < end {
        match rustix::io::pread(file, spare_capacity(buffer), at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => at += u64_of(read),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // There may have been more room than was asked for.
    buffer.truncate(end);
    Ok(())
}

/// Fills a buffer from the memory of the system, and says whether all of it was there.
#[cfg(target_os = "linux")]
pub(super) fn read_ready(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    let length = buffer.len();
    let mut parts = [io::IoSliceMut::new(buffer)];
    match preadv2(file, &mut parts, offset, ReadWriteFlags::NOWAIT) {
        Ok(read) => Ok(read == length),
        Err(Errno::AGAIN | Errno::INTR) => Ok(false),
        // Not every file system can tell.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
            file.read_exact_at(buffer, offset).map(|()| true)
        }
        Err(error) => Err(error.into()),
    }
}

/// Fills a buffer, whatever has to be waited for.
#[cfg(not(target_os = "linux"))]
pub(super) fn read_ready(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
    file.read_exact_at(buffer, offset).map(|()| true)
}

/// Has the system bring some bytes of a file, without waiting for them. Where it cannot, they are
/// waited for when they are read.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub(super) fn expect(file: &File, bytes: &Range<u64>) {
    use rustix::fs::{Advice, fadvise};
    use std::num::NonZeroU64;

    let length = NonZeroU64::new(bytes.end.saturating_sub(bytes.start));
    if length.is_some() {
        _ = fadvise(file, bytes.start, length, Advice::WillNeed);
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub(super) fn expect(_: &File, _: &Range<u64>) {}
