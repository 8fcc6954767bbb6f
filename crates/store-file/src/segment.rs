use std::io;
use std::sync::{Arc, OnceLock};

use crate::format::{Kind, Label, Seed, u64_of};
use crate::number;
use crate::storage::{Mapping, Storage, StorageFile, Unpublished, shortage, write_zeros};

/// Where the first frame of a segment begins.
pub(crate) const FRAMES_FROM: u64 = 64;

/// How files of the log grow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Growth {
    /// How long a file gets, unless one frame has more.
    pub(crate) limit: u64,
    /// Space is made ready for as much again as is in use, within these bounds: small stores
    /// stay small, and large ones seldom stop for it.
    pub(crate) least_ahead: u64,
    pub(crate) most_ahead: u64,
    /// Beside that, what is kept for commits that give room back: on a full disk events can be
    /// dropped.
    pub(crate) reserve: u64,
    /// What the index in memory holds before it goes to a file. As much may be on its way there,
    /// and all of it is read when the store is opened after the process was killed.
    pub(crate) index_events: usize,
    pub(crate) index_bytes: u64,
    /// Indexes of one segment that are merged at a time while it is written to.
    pub(crate) index_fan: usize,
}

impl Growth {
    /// Up to where space is made ready when `needed` bytes at `end` ask for it, the reserve with
    /// them.
    fn ready_for(&self, end: u64, needed: u64) -> u64 {
        let ahead = end + end.clamp(self.least_ahead, self.most_ahead);
        ahead.min(self.limit).max(end + needed) + self.reserve
    }
}

/// One file of the log, to be read.
#[derive(Debug)]
pub(crate) struct Segment {
    /// The position of its first event.
    pub(crate) first: u64,
    pub(crate) name: String,
    pub(crate) label: Label,
    pub(crate) file: Arc<dyn StorageFile>,
    pub(crate) seed: Seed,
    /// Made when it is first read after it was left.
    mapping: OnceLock<Option<Mapping>>,
}

impl Segment {
    pub(crate) fn new(label: &Label, file: Arc<dyn StorageFile>) -> Self {
        Self {
            first: label.first,
            name: name(label.first),
            label: *label,
            file,
            seed: Seed::new(label.store, label.first),
            mapping: OnceLock::new(),
        }
    }

    /// The whole file, as memory of the system's; none where the store is not opened so, or the
    /// system has no room for it. The segment must have been left: nothing writes to it.
    pub(crate) fn mapping(&self) -> Option<&Mapping> {
        self.mapping.get_or_init(|| self.file.map()).as_ref()
    }
}

/// The name of the segment whose first event has this position.
pub(crate) fn name(first: u64) -> String {
    format!("{first:020}.log")
}

/// The position in a segment's name; none for a file that is not a segment.
pub(crate) fn first_in(name: &str) -> Option<u64> {
    // Positions begin at 1.
    number::in_name(name, ".log").filter(|&first| first > 0)
}

/// The end of the log: the one segment that is written to.
///
/// Invariant: `end <= ready`, and everything from `end` to `ready` is zero, durably so.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) segment: Arc<Segment>,
    /// Where the next frame begins.
    pub(crate) end: u64,
    /// Where the last one begins, where there is one.
    pub(crate) last_frame: Option<u64>,
    ready: u64,
    growth: Growth,
}

/// What asking for space came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    Ready,
    /// What has run out. Nothing has changed.
    Short(&'static str),
}

impl Tail {
    /// The end of a segment that was recovered: zeros from `end` to the length of its file.
    pub(crate) fn of_recovered(
        segment: Arc<Segment>,
        end: u64,
        last_frame: Option<u64>,
        length: u64,
        growth: Growth,
    ) -> Self {
        Self {
            segment,
            end,
            last_frame,
            ready: length.max(end),
            growth,
        }
    }

    /// Makes a segment, with space for `needed` bytes.
    ///
    /// # Errors
    /// Of the medium. Where it is a [`shortage`], there is no such segment.
    ///
    /// # Durability
    /// The file, its name and its space are durable on return.
    pub(crate) fn create(
        storage: &dyn Storage,
        identity: &Label,
        first: u64,
        needed: u64,
        growth: Growth,
    ) -> io::Result<Self> {
        let label = Label {
            kind: Kind::Segment,
            first,
            ..*identity
        };
        let ready = growth.ready_for(FRAMES_FROM, needed);
        let file = publish(storage, &label, ready)?;
        // From here on the segment is there, and the one before it must not go on, whatever fails.
        storage.sync().map_err(io::Error::other)?;
        Ok(Self {
            segment: Arc::new(Segment::new(&label, file)),
            end: FRAMES_FROM,
            last_frame: None,
            ready,
            growth,
        })
    }

    /// Makes sure that the next `needed` bytes can be written without changing anything but
    /// bytes that are there: that is what one sync makes durable at the least cost.
    ///
    /// # Durability
    /// The space is durable on return.
    pub(crate) fn make_room(&mut self, needed: u64) -> io::Result<Room> {
        if self.end + needed + self.growth.reserve <= self.ready {
            return Ok(Room::Ready);
        }
        let ready = self.growth.ready_for(self.end, needed);
        let file = &*self.segment.file;
        if let Err(error) = write_zeros(file, self.ready, ready) {
            let Some(what) = shortage(&error) else {
                return Err(error);
            };
            // What was taken is given back where that works; zeros do no harm where not.
            drop(file.set_length(self.ready));
            return Ok(Room::Short(what));
        }
        // A sync that fails is never tried again, whatever it says has run out.
        file.sync()?;
        self.ready = ready;
        Ok(Room::Ready)
    }

    /// Whether so many bytes can be written to what is ready, the reserve included.
    pub(crate) fn has_in_reserve(&self, needed: u64) -> bool {
        self.end + needed <= self.ready
    }

    /// The segment after this one, which begins with position `first`.
    ///
    /// # Errors, durability
    /// As for [`create`](Self::create).
    pub(crate) fn next(
        &self,
        storage: &dyn Storage,
        identity: &Label,
        first: u64,
        needed: u64,
    ) -> io::Result<Self> {
        Self::create(storage, identity, first, needed, self.growth)
    }

    pub(crate) fn growth(&self) -> Growth {
        self.growth
    }

    /// Whether the next frame, of this length, belongs into the next segment.
    pub(crate) fn is_full_for(&self, needed: u64) -> bool {
        self.end > FRAMES_FROM && self.end.saturating_add(needed) > self.growth.limit
    }

    /// Writes a frame at the end, durably.
    pub(crate) fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        debug_assert!(self.end + u64_of(frame.len()) <= self.ready);
        self.segment.file.write_at(frame, self.end)?;
        self.segment.file.sync()?;
        self.last_frame = Some(self.end);
        self.end += u64_of(frame.len());
        Ok(())
    }
}

/// Makes the file of a segment, with space up to `ready`.
fn publish(storage: &dyn Storage, label: &Label, ready: u64) -> io::Result<Arc<dyn StorageFile>> {
    let name = name(label.first);
    let made = Unpublished::create(storage, &name)?;
    made.file.write_at(&label.encode(), 0)?;
    write_zeros(&*made.file, FRAMES_FROM, ready)?;
    made.publish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{FrameBuffer, LABEL_BYTES};
    use crate::storage::simulated::Simulated;
    use eventwire_store::{Epoch, Uuid};

    impl Segment {
        /// A segment with one frame, which holds nothing one could read, to be indexed.
        pub(crate) fn for_index(medium: &Simulated, first: u64) -> Self {
            let label = Label {
                kind: Kind::Segment,
                store: Uuid::from_u128(7),
                epoch: Epoch::new(7),
                first,
                generation: 0,
            };
            let file = medium.create(&name(first)).expect("nothing fails");
            let segment = Self::new(&label, file);
            let mut frame = FrameBuffer::default();
            frame.clear();
            let frame = frame.finish(first, FRAMES_FROM, segment.seed);
            let bytes = [&label.encode(), frame].concat();
            segment.file.write_at(&bytes, 0).expect("nothing fails");
            segment
        }
    }

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
            "00000000000000000000.log",
            "00000000000000000001.log.new",
            "+0000000000000000001.log",
            "99999999999999999999.log",
        ] {
            assert_eq!(first_in(other), None, "{other}");
        }
    }
}
