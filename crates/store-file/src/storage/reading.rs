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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(length: usize) -> (File, Vec<u8>) {
        let bytes: Vec<u8> = (0..=250).cycle().take(length).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (file, bytes)
    }

    #[test]
    fn bytes_are_added_to_those_that_are_there() {
        let (file, bytes) = file(10_000);
        let mut buffer = b"before".to_vec();
        for (offset, length) in [(0, 10), (9_000, 1_000), (17, 0), (3, 9_997)] {
            let before = buffer.len();
            read_more(&file, &mut buffer, length, offset).unwrap();
            let from = usize::try_from(offset).unwrap();
            assert_eq!(buffer[before..], bytes[from..from + length]);
        }
        assert!(buffer.starts_with(b"before"));
        let error = read_more(&file, &mut buffer, 2, 9_999).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_ready_is_all_that_was_asked_for() {
        let (file, bytes) = file(10_000);
        expect(&file, &(0..10_000));
        let mut buffer = [0; 100];
        if read_ready(&file, &mut buffer, 700).unwrap() {
            assert_eq!(buffer[..], bytes[700..800]);
        }
        assert!(!read_ready(&file, &mut buffer, 9_950).is_ok_and(|is_ready| is_ready));
    }
}
