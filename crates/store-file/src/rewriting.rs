use std::io;

use bytes::Bytes;

use crate::error::{Damage, OpenError};
use crate::format::{
    BodyReader, Entry, FRAME_HEADER_BYTES, FrameBuffer, FrameHeader, Label, Record, encode_stub,
    u64_of,
};
use crate::index::Hidden;
use crate::segment::{FRAMES_FROM, Segment};
use crate::storage::{Storage, StorageFile, Unpublished};
use crate::window::Window;

/// Bytes written at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Writes a segment again without what was dropped of it.
///
/// Every frame and every entry stays, and so does the place of every event. An event that was
/// dropped leaves a stub, which has its stream and version.
pub(crate) struct Rewriting<'a> {
    segment: &'a Segment,
    /// Where the frames end.
    end: u64,
    /// Up to where the log was dropped.
    log_to: u64,
    /// What streams have dropped beside.
    hidden: &'a Hidden,
}

impl<'a> Rewriting<'a> {
    /// Of a segment that was left, whose frames end at a place.
    pub(crate) fn new(segment: &'a Segment, end: u64, log_to: u64, hidden: &'a Hidden) -> Self {
        Self {
            segment,
            end,
            log_to,
            hidden,
        }
    }

    /// Puts the new segment in the place of the old one, which goes on for those who have it open.
    ///
    /// # Errors
    /// Of the medium, and damage in the segment, which stays as it is.
    ///
    /// # Durability
    /// The file is durable on return, its name only once the storage has been synced. Each of the
    /// two that may be there then is the segment.
    pub(crate) fn run(&self, storage: &dyn Storage) -> io::Result<Segment> {
        let label = Label {
            generation: self.segment.label.generation + 1,
            ..self.segment.label
        };
        let made = Unpublished::create(storage, &self.segment.name)?;
        self.write(&label, &*made.file)?;
        Ok(Segment::new(&label, made.publish()?))
    }

    fn write(&self, label: &Label, file: &dyn StorageFile) -> io::Result<()> {
        let mut out = Output {
            file,
            chunk: label.encode().to_vec(),
            written: 0,
        };
        let mut window = Window::new(&*self.segment.file)?;
        let mut at = FRAMES_FROM;
        while at < self.end {
            at = self.rewrite_frame(&mut window, at, &mut out)?;
        }
        out.flush()
    }

    /// Returns where the next frame begins.
    fn rewrite_frame(
        &self,
        window: &mut Window<'_>,
        at: u64,
        out: &mut Output<'_>,
    ) -> io::Result<u64> {
        let damaged = |what| self.damaged(at, what);
        let seed = self.segment.seed;
        let header = window.get_up_to(at, FRAME_HEADER_BYTES)?;
        let header = FrameHeader::decode(&header, at, seed).map_err(damaged)?;
        let frame = window.get_up_to(at, header.frame_bytes())?;
        if !header.is_whole(&frame, at, seed) {
            return Err(damaged("the checksum of a commit does not match"));
        }
        let body = frame.slice(FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + header.body_bytes());
        let mut buffer = FrameBuffer::default();
        buffer.clear();
        self.rewrite_body(&header, body, &mut buffer)
            .map_err(damaged)?;
        out.write(buffer.finish(header.first, out.at(), seed))?;
        Ok(at + u64_of(header.frame_bytes()))
    }

    fn rewrite_body(
        &self,
        header: &FrameHeader,
        body: Bytes,
        buffer: &mut FrameBuffer,
    ) -> Result<(), &'static str> {
        let mut reader = BodyReader::new(body);
        let mut position = header.first;
        for _ in 0..header.entries {
            match reader.entry()? {
                Entry::Note(note) => buffer.push_note(&note),
                Entry::Append(head) => {
                    buffer.begin_append(head.events, head.identity.as_ref());
                    for _ in 0..head.events {
                        let record = Record::first_in(reader.rest())?;
                        self.rewrite_record(record, position, buffer)?;
                        let length = record.as_bytes().len();
                        reader.skip(length);
                        position += 1;
                    }
                }
            }
        }
        Ok(())
    }

    fn rewrite_record(
        &self,
        record: Record<'_>,
        position: u64,
        buffer: &mut FrameBuffer,
    ) -> Result<(), &'static str> {
        let seed = self.segment.seed;
        record.check(position, seed)?;
        let is_held = position > self.log_to && self.hidden.shown_from(position) == position;
        if is_held || record.is_stub() {
            buffer.push_record(record.as_bytes());
            return Ok(());
        }
        let place = record.place()?;
        let mut stub = Vec::new();
        encode_stub(place.as_ref(), position, seed, &mut stub);
        buffer.push_record(&stub);
        Ok(())
    }

    fn damaged(&self, at: u64, what: &str) -> io::Error {
        let damage = Damage::new(&self.segment.name, at, what);
        io::Error::other(OpenError::Damaged(damage))
    }
}

/// A file that grows.
struct Output<'a> {
    file: &'a dyn StorageFile,
    /// What is still to be written.
    chunk: Vec<u8>,
    written: u64,
}

impl Output<'_> {
    /// Where the next byte goes.
    fn at(&self) -> u64 {
        self.written + u64_of(self.chunk.len())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() < CHUNK_BYTES {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(&self.chunk, self.written)?;
        self.written = self.at();
        self.chunk.clear();
        Ok(())
    }
}
