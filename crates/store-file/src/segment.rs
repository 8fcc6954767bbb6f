use std::io;
use std::sync::Arc;

use crate::format::{Kind, Label, Seed, u64_of};
use crate::storage::{Storage, StorageFile, is_full, publish, write_zeros};

/// Where the first frame of a segment begins.
pub(crate) const FRAMES_FROM: u64 = 64;

/// Space is made ready for as much again as is in use, within these bounds: small stores stay
/// small, and large ones seldom stop for it.
const LEAST_AHEAD: u64 = 256 << 10;
const MOST_AHEAD: u64 = 8 << 20;

/// One file of the log, to be read.
#[derive(Debug)]
pub(crate) struct Segment {
    /// The position of its first event.
    pub(crate) first: u64,
    pub(crate) name: String,
    pub(crate) file: Arc<dyn StorageFile>,
    pub(crate) seed: Seed,
}

impl Segment {
    pub(crate) fn new(label: &Label, file: Arc<dyn StorageFile>) -> Self {
        Self {
            first: label.first,
            name: name(label.first),
            file,
            seed: Seed::new(label.store, label.first),
        }
    }
}

/// The name of the segment whose first event has this position.
pub(crate) fn name(first: u64) -> String {
    format!("{first:020}.log")
}

/// The position in a segment's name; none for a file that is not a segment.
pub(crate) fn first_in(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    let is_number = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

/// The end of the log: the one segment that is written to.
///
/// Invariant: `end <= ready`, and everything from `end` to `ready` is zero, durably so.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) segment: Arc<Segment>,
    /// Where the next frame begins.
    pub(crate) end: u64,
    ready: u64,
}

/// What asking for space came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    Ready,
    /// The disk is full. Nothing has changed.
    Full,
}

impl Tail {
    /// The end of a segment that was recovered: zeros from `end` to the length of its file.
    pub(crate) fn of_recovered(segment: Arc<Segment>, end: u64, length: u64) -> Self {
        Self {
            segment,
            end,
            ready: length.max(end),
        }
    }

    /// Makes the next segment, with space for `needed` bytes; `None` where the disk is full.
    ///
    /// # Durability
    /// The file, its name and its space are durable on return.
    pub(crate) fn create(
        storage: &dyn Storage,
        identity: &Label,
        first: u64,
        needed: u64,
    ) -> io::Result<Option<Self>> {
        let label = Label {
            kind: Kind::Segment,
            first,
            ..*identity
        };
        let ready = FRAMES_FROM + needed.max(LEAST_AHEAD);
        let made = publish(storage, &name(first), |file| {
            file.write_at(&label.encode(), 0)?;
            write_zeros(file, FRAMES_FROM, ready)
        });
        match made {
            Ok(file) => Ok(Some(Self {
                segment: Arc::new(Segment::new(&label, file)),
                end: FRAMES_FROM,
                ready,
            })),
            Err(error) if is_full(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes sure that the next `needed` bytes can be written without changing anything but
    /// bytes that are there: that is what one sync makes durable at the least cost.
    ///
    /// # Durability
    /// The space is durable on return.
    pub(crate) fn make_room(&mut self, needed: u64) -> io::Result<Room> {
        if self.end + needed <= self.ready {
            return Ok(Room::Ready);
        }
        let ahead = self.end.clamp(LEAST_AHEAD, MOST_AHEAD);
        let ready = self.end + needed.max(ahead);
        let file = &*self.segment.file;
        match write_zeros(file, self.ready, ready).and_then(|()| file.sync()) {
            Ok(()) => {
                self.ready = ready;
                Ok(Room::Ready)
            }
            Err(error) if is_full(&error) => {
                // What was taken is given back where that works; zeros do no harm where not.
                drop(file.set_length(self.ready));
                Ok(Room::Full)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes a frame at the end, durably.
    pub(crate) fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        debug_assert!(self.end + u64_of(frame.len()) <= self.ready);
        self.segment.file.write_at(frame, self.end)?;
        self.segment.file.sync()?;
        self.end += u64_of(frame.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::LABEL_BYTES;

    #[test]
    fn frames_begin_where_the_label_ends() {
        assert_eq!(FRAMES_FROM, u64_of(LABEL_BYTES));
    }

    #[test]
    fn only_the_names_of_segments_are_taken_for_segments() {
        assert_eq!(first_in(&name(1042)), Some(1042));
        assert_eq!(first_in(&name(u64::MAX)), Some(u64::MAX));
        for other in [
            "IDENTITY",
            "1.log",
            "00000000000000000001.log.new",
            "+0000000000000000001.log",
            "99999999999999999999.log",
        ] {
            assert_eq!(first_in(other), None, "{other}");
        }
    }
}
