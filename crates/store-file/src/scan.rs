use bytes::Bytes;

use crate::error::{Damage, OpenError};
use crate::format::{
    ALIGNMENT, AppendHead, BodyReader, Entry, EventNames, FRAME_HEADER_BYTES, FrameHeader, Record,
    could_be_torn, u64_of,
};
use crate::index::{Kept, MemoryIndex, Sealed};
use crate::notes::Notes;
use crate::segment::{FRAMES_FROM, Segment};
use crate::window::Window;

/// A place in a segment between two frames.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frontier {
    /// Where the next frame begins.
    pub(crate) at: u64,
    /// The position of the next event.
    pub(crate) position: u64,
}

impl Frontier {
    /// Where the frames begin that are not in an index of this segment; the first frame where
    /// there is none.
    pub(crate) fn after(index: Option<&Sealed>, segment: &Segment) -> Self {
        match index {
            Some(index) => Self {
                at: index.end(),
                position: index.last() + 1,
            },
            None => Self {
                at: FRAMES_FROM,
                position: segment.first,
            },
        }
    }
}

/// How a segment ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// In zeros, or with its last frame.
    Clean,
    /// In a frame that was not written to its end.
    Torn { at: u64, bytes: u64 },
}

/// A frame as it was read: whole.
#[derive(Debug)]
pub(crate) struct WholeFrame {
    pub(crate) at: u64,
    pub(crate) bytes: Bytes,
}

/// What scanning a segment, or the rest of one, came to.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub(crate) index: MemoryIndex,
    pub(crate) end: End,
    /// Where the last whole frame ends.
    pub(crate) at: u64,
    /// The length of the file.
    pub(crate) length: u64,
    pub(crate) last_frame: Option<WholeFrame>,
}

/// Reads a segment, frame by frame from a place on, into an index.
///
/// Invariant: everything from that place to `at` is whole and in the index.
pub(crate) struct Scan<'a> {
    segment: &'a Segment,
    window: Window<'a>,
    index: MemoryIndex,
    names: EventNames,
    notes: &'a mut Notes,
    at: u64,
    last_frame: Option<WholeFrame>,
}

impl<'a> Scan<'a> {
    /// A scan from a place on, that takes the notes in that the segment has.
    pub(crate) fn new(
        segment: &'a Segment,
        from: Frontier,
        notes: &'a mut Notes,
    ) -> Result<Self, OpenError> {
        let window =
            Window::new(&*segment.file).map_err(OpenError::io("reading", &segment.name))?;
        Ok(Self {
            segment,
            window,
            index: MemoryIndex::new(from.position),
            names: EventNames::default(),
            notes,
            at: from.at,
            last_frame: None,
        })
    }

    /// Exchanges the index that events are taken into for one that has all that lies before.
    pub(crate) fn exchange(&mut self, index: &mut MemoryIndex) {
        std::mem::swap(&mut self.index, index);
    }

    /// Scans up to the end.
    pub(crate) fn run(self) -> Result<Scanned, OpenError> {
        self.run_to(u64::MAX)
    }

    /// Scans up to a place, or the end where that comes first.
    pub(crate) fn run_to(mut self, to: u64) -> Result<Scanned, OpenError> {
        let mut end = End::Clean;
        while self.at < to {
            if let Some(found) = self.step()? {
                end = found;
                break;
            }
        }
        Ok(Scanned {
            index: self.index,
            end,
            at: self.at,
            length: self.window.length(),
            last_frame: self.last_frame,
        })
    }

    /// The place of the next frame.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// The segment that is scanned.
    pub(crate) fn segment(&self) -> &Segment {
        self.segment
    }

    /// The index of what was taken in.
    pub(crate) fn index(&self) -> &MemoryIndex {
        &self.index
    }

    /// Goes on behind a frame that is not whole: with the first one after it that has a whole
    /// header and a position from `position` on. What was taken in before is let go. Says which
    /// position that is; none where there is no such frame.
    pub(crate) fn resume(&mut self, position: u64) -> Result<Option<u64>, OpenError> {
        let bytes = self.get_up_to(self.at, FRAME_HEADER_BYTES)?;
        let mut from = match FrameHeader::decode(&bytes, self.at, self.segment.seed) {
            Ok(header) => self.at + u64_of(header.frame_bytes()),
            Err(_) => self.at + ALIGNMENT,
        };
        while let Some(at) = self.frame_from(from)? {
            let bytes = self.get_up_to(at, FRAME_HEADER_BYTES)?;
            if let Ok(header) = FrameHeader::decode(&bytes, at, self.segment.seed)
                && header.first >= position
            {
                self.at = at;
                self.index = MemoryIndex::new(header.first);
                return Ok(Some(header.first));
            }
            from = at + ALIGNMENT;
        }
        Ok(None)
    }

    /// Takes in the next frame, or says how the segment ends. After an error it stands before
    /// the frame that is wrong.
    pub(crate) fn step(&mut self) -> Result<Option<End>, OpenError> {
        let used_to = self.used_to_if_unwritten()?;
        if used_to == Some(self.at) {
            return Ok(Some(End::Clean));
        }
        let bytes = self.get_up_to(self.at, FRAME_HEADER_BYTES)?;
        let header = match FrameHeader::decode(&bytes, self.at, self.segment.seed) {
            Ok(header) => header,
            Err(what) => return self.judge(&bytes, self.at + ALIGNMENT, what).map(Some),
        };
        let end = self.at + u64_of(header.frame_bytes());
        if end > self.window.length() {
            return Err(self.damage("the file ends within a commit"));
        }
        let frame = self.get_up_to(self.at, header.frame_bytes())?;
        if !header.is_whole(&frame, self.at, self.segment.seed) {
            let what = "the checksum of a commit does not match";
            return self.judge(&frame, end, what).map(Some);
        }
        self.take_in(&header, &frame)
            .map_err(|what| self.damage(what))?;
        self.last_frame = Some(WholeFrame {
            at: self.at,
            bytes: frame,
        });
        self.at = end;
        Ok(None)
    }

    /// Decides what bytes are that should be a frame or its header and are not.
    fn judge(&mut self, bytes: &[u8], search_from: u64, what: &str) -> Result<End, OpenError> {
        if let Some(later) = self.frame_from(search_from)? {
            let what = format!("{what}, but a later commit at byte {later} is whole");
            return Err(self.damage(&what));
        }
        if !could_be_torn(bytes, self.at) {
            let what = format!("{what}, and it was written to its end");
            return Err(self.damage(&what));
        }
        let used_to = self
            .window
            .used_to(self.at)
            .map_err(|error| self.io(error))?;
        Ok(End::Torn {
            at: self.at,
            bytes: used_to - self.at,
        })
    }

    /// Where what was written ends, if no frame begins here.
    ///
    /// Looks at the whole rest only where it begins with zeros, which a frame never does.
    fn used_to_if_unwritten(&mut self) -> Result<Option<u64>, OpenError> {
        let begin = self.get_up_to(self.at, FRAME_HEADER_BYTES)?;
        if begin.iter().any(|&byte| byte != 0) {
            return Ok(None);
        }
        self.window
            .used_to(self.at)
            .map(Some)
            .map_err(|error| self.io(error))
    }

    /// The first whole frame header at or after a place.
    fn frame_from(&mut self, from: u64) -> Result<Option<u64>, OpenError> {
        let mut at = from.next_multiple_of(ALIGNMENT);
        while at < self.window.length() {
            let bytes = self.get_up_to(at, FRAME_HEADER_BYTES)?;
            if FrameHeader::decode(&bytes, at, self.segment.seed).is_ok() {
                return Ok(Some(at));
            }
            at += ALIGNMENT;
        }
        Ok(None)
    }

    fn take_in(&mut self, header: &FrameHeader, frame: &Bytes) -> Result<(), &'static str> {
        if header.first != self.index.last() + 1 {
            return Err("a commit does not follow the one before it");
        }
        let body = frame.slice(FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + header.body_bytes());
        let mut reader = BodyReader::new(body);
        for _ in 0..header.entries {
            match reader.entry()? {
                Entry::Append(head) => self.take_in_append(head, &mut reader)?,
                Entry::Note(note) => self.notes.replay(note, self.index.last()),
            }
        }
        let events = self.index.last() + 1 - header.first;
        if !reader.is_at_end() || events != u64::from(header.events) || header.entries == 0 {
            return Err("a commit does not hold what its header says");
        }
        Ok(())
    }

    fn take_in_append(
        &mut self,
        head: AppendHead,
        reader: &mut BodyReader,
    ) -> Result<(), &'static str> {
        let first = self.index.last() + 1;
        for position in first..first + u64::from(head.events) {
            let record = Record::first_in(reader.rest())?;
            record.check(position, self.segment.seed)?;
            let length = record.as_bytes().len();
            let offset = self.at + u64_of(FRAME_HEADER_BYTES + reader.at());
            let is_next = if record.is_stub() {
                let place = record.place()?;
                let version = place.as_ref().map(|place| place.version);
                let before = version.map_or(0, |version| version.get() - 1);
                let stream = place.as_ref().map(|place| &place.name);
                self.index.push_stub(stream, before, offset) == version
            } else {
                let (event, version) = self.names.take_in(reader.body(), record)?;
                let before = version.map_or(0, |version| version.get() - 1);
                let bytes = u32::try_from(length).map_err(|_| "an event is too long")?;
                self.index.push(event, before, offset, bytes) == version
            };
            if !is_next {
                return Err("an event does not follow the one before it in its stream");
            }
            reader.skip(length);
        }
        let Some((key, fingerprint)) = head.identity else {
            return Ok(());
        };
        let kept = Kept {
            fingerprint,
            first,
            events: head.events,
        };
        if self.index.keys.insert(key, kept) {
            return Err("an idempotency key stands for two appends");
        }
        Ok(())
    }

    /// Bytes from a place on; fewer only where the file ends.
    fn get_up_to(&mut self, at: u64, length: usize) -> Result<Bytes, OpenError> {
        self.window
            .get_up_to(at, length)
            .map_err(|error| self.io(error))
    }

    fn damage(&self, what: &str) -> OpenError {
        OpenError::Damaged(Damage::new(&self.segment.name, self.at, what))
    }

    fn io(&self, error: std::io::Error) -> OpenError {
        OpenError::io("reading", &self.segment.name)(error)
    }
}
