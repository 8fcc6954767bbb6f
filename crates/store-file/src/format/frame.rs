use eventwire_store::{Fingerprint, IdempotencyKey, NewEvent};

use super::checksum::{Part, Seed};
use super::record::{self, Placing};
use super::{ALIGNMENT, Fields, MAX_BODY_BYTES, Note, body, u32_of, u64_of, usize_of};

/// The length of a frame's header.
pub(crate) const FRAME_HEADER_BYTES: usize = 40;

/// Ends a frame's header. No byte of it is zero: where it is whole, the header was written whole
/// or was damaged afterwards, but not torn within its sector.
pub(super) const HEADER_MARK: [u8; 8] = *b"EVWFRAME";

/// Ends a frame, for the same reason.
pub(super) const END_MARK: [u8; 8] = *b"EVWFREND";

const SUMMED_HEADER_BYTES: usize = 28;

/// What the medium writes wholly or not at all.
const SECTOR_BYTES: u64 = 512;

/// One commit, as its header describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// The position of its first event.
    pub(crate) first: u64,
    pub(crate) events: u32,
    /// Appends and notes.
    pub(crate) entries: u32,
    body_bytes: u32,
    body_sum: u32,
}

impl FrameHeader {
    /// The header at `offset`; an error says what is wrong with it.
    pub(crate) fn decode(bytes: &[u8], offset: u64, seed: Seed) -> Result<Self, &'static str> {
        const SHORT: &str = "a frame header is cut short";
        let bytes: &[u8; FRAME_HEADER_BYTES] = bytes.first_chunk().ok_or(SHORT)?;
        let mut fields = Fields(bytes);
        let header = Self {
            first: fields.u64().ok_or(SHORT)?,
            events: fields.u32().ok_or(SHORT)?,
            entries: fields.u32().ok_or(SHORT)?,
            body_bytes: fields.u32().ok_or(SHORT)?,
            body_sum: fields.u32().ok_or(SHORT)?,
        };
        let _reserved = fields.u32();
        let sum = fields.u32().ok_or(SHORT)?;
        if fields.0 != HEADER_MARK {
            return Err("no frame header where one should be");
        }
        if seed.checksum(Part::FrameHeader, offset, &bytes[..SUMMED_HEADER_BYTES]) != sum {
            return Err("the checksum of a frame header does not match");
        }
        if usize_of(header.body_bytes) > MAX_BODY_BYTES {
            return Err("a frame is longer than the format allows");
        }
        Ok(header)
    }

    fn encode(&self, offset: u64, seed: Seed) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        bytes[..8].copy_from_slice(&self.first.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.events.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.entries.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.body_sum.to_le_bytes());
        let sum = seed.checksum(Part::FrameHeader, offset, &bytes[..SUMMED_HEADER_BYTES]);
        bytes[28..32].copy_from_slice(&sum.to_le_bytes());
        bytes[32..].copy_from_slice(&HEADER_MARK);
        bytes
    }

    /// The length of the body.
    pub(crate) fn body_bytes(&self) -> usize {
        usize_of(self.body_bytes)
    }

    /// The length of the whole frame.
    pub(crate) fn frame_bytes(&self) -> usize {
        frame_bytes(self.body_bytes())
    }

    /// Whether a frame that lies at `offset` is as it was written, its header aside.
    pub(crate) fn is_whole(&self, frame: &[u8], offset: u64, seed: Seed) -> bool {
        frame.ends_with(&END_MARK)
            && seed.checksum(Part::FrameBody, offset, &frame[FRAME_HEADER_BYTES..]) == self.body_sum
    }
}

/// The length of a frame with a body of this length: header, body, zeros up to the alignment,
/// end mark.
pub(crate) fn frame_bytes(body: usize) -> usize {
    let alignment = usize::try_from(ALIGNMENT).expect("the alignment is small");
    FRAME_HEADER_BYTES + body.next_multiple_of(alignment) + END_MARK.len()
}

/// The header of the frame whose first event is at position `first`, and where it lies: the last
/// there is in bytes that begin at `offset` and end where the event's record begins.
pub(crate) fn frame_before(
    bytes: &[u8],
    offset: u64,
    first: u64,
    seed: Seed,
) -> Option<(u64, FrameHeader)> {
    let end = offset + u64_of(bytes.len());
    let mut at = end.checked_sub(u64_of(FRAME_HEADER_BYTES))? / ALIGNMENT * ALIGNMENT;
    while at >= offset {
        let within = usize::try_from(at - offset).ok()?;
        let header = &bytes[within..within + FRAME_HEADER_BYTES];
        if header.ends_with(&HEADER_MARK)
            && let Ok(header) = FrameHeader::decode(header, at, seed)
            && header.first == first
            && header.events > 0
        {
            return Some((at, header));
        }
        at = at.checked_sub(ALIGNMENT)?;
    }
    None
}

/// How far the file goes at least, where a record ends at `end`: its frame ends no earlier.
pub(crate) fn record_end(end: u64) -> u64 {
    let aligned = end.checked_next_multiple_of(ALIGNMENT);
    aligned.map_or(u64::MAX, |end| end.saturating_add(u64_of(END_MARK.len())))
}

/// Whether bytes at `offset`, which should end in a mark, can be what a write leaves that
/// power loss or the end of the process cut short.
///
/// The space was zero before and the medium writes whole sectors: what was not written leaves
/// a sector zero, or, where the end of the process cut a copy short, the mark incomplete.
/// Anything else was whole once and has been damaged since.
pub(crate) fn could_be_torn(bytes: &[u8], offset: u64) -> bool {
    let ends_in_zero = bytes.last().is_none_or(|&last| last == 0);
    ends_in_zero || pieces(bytes, offset).any(|piece| piece.iter().all(|&byte| byte == 0))
}

/// Bytes at `offset`, cut where sectors end.
fn pieces(mut bytes: &[u8], mut offset: u64) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let to_border = SECTOR_BYTES - offset % SECTOR_BYTES;
        let length = bytes.len().min(usize::try_from(to_border).ok()?);
        if length == 0 {
            return None;
        }
        let (piece, rest) = bytes.split_at(length);
        bytes = rest;
        offset += u64_of(length);
        Some(piece)
    })
}

/// Builds one frame, entry by entry, in a buffer that is used again for the next.
#[derive(Debug, Default)]
pub(crate) struct FrameBuffer {
    bytes: Vec<u8>,
    events: u32,
    entries: u32,
}

/// A buffer that grew past this for one large append is given back.
const KEPT_BYTES: usize = 8 << 20;

impl FrameBuffer {
    /// Begins a frame.
    pub(crate) fn clear(&mut self) {
        if self.bytes.capacity() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        self.bytes.resize(FRAME_HEADER_BYTES, 0);
        self.events = 0;
        self.entries = 0;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// How far into the frame the next append's first record will lie.
    pub(crate) fn next_record(&self, key: Option<&IdempotencyKey>) -> usize {
        self.bytes.len() + body::head_bytes(key)
    }

    /// Adds an append whose events were given these places.
    pub(crate) fn push(
        &mut self,
        events: &[NewEvent],
        identity: Option<&(IdempotencyKey, Fingerprint)>,
        placings: impl IntoIterator<Item = Placing>,
        seed: Seed,
    ) {
        body::encode_head(events.len(), identity, &mut self.bytes);
        for (event, placing) in events.iter().zip(placings) {
            record::encode(&event.as_parts(), &placing, seed, &mut self.bytes);
        }
        self.events += u32_of(events.len());
        self.entries += 1;
    }

    /// Begins an append whose records are to follow one by one.
    pub(crate) fn begin_append(
        &mut self,
        events: u32,
        identity: Option<&(IdempotencyKey, Fingerprint)>,
    ) {
        body::encode_head(usize_of(events), identity, &mut self.bytes);
        self.events += events;
        self.entries += 1;
    }

    /// Adds a record to an append that was begun.
    pub(crate) fn push_record(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
    }

    /// Adds a note.
    pub(crate) fn push_note(&mut self, note: &Note) {
        note.encode(&mut self.bytes);
        self.entries += 1;
    }

    /// Ends the frame, which begins with position `first` and will lie at `offset`.
    pub(crate) fn finish(&mut self, first: u64, offset: u64, seed: Seed) -> &[u8] {
        let body_bytes = self.bytes.len() - FRAME_HEADER_BYTES;
        let frame_bytes = frame_bytes(body_bytes);
        self.bytes.resize(frame_bytes - END_MARK.len(), 0);
        self.bytes.extend_from_slice(&END_MARK);
        let header = FrameHeader {
            first,
            events: self.events,
            entries: self.entries,
            body_bytes: u32_of(body_bytes),
            body_sum: seed.checksum(Part::FrameBody, offset, &self.bytes[FRAME_HEADER_BYTES..]),
        };
        self.bytes[..FRAME_HEADER_BYTES].copy_from_slice(&header.encode(offset, seed));
        &self.bytes
    }
}

/// The bytes an append takes in a body.
pub(crate) fn append_bytes(events: &[NewEvent], key: Option<&IdempotencyKey>) -> usize {
    let head = body::head_bytes(key);
    events
        .iter()
        .map(|event| record::record_bytes(&event.as_parts()))
        .fold(head, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{BodyReader, Checkpoint, Entry, Trim};
    use bytes::Bytes;
    use eventwire_store::{Consumer, EventType, Position, StreamName, Tag, Uuid, Version};

    fn seed() -> Seed {
        Seed::new(Uuid::from_u128(7), 1)
    }

    /// One frame with one append of one event, as `docs/segment-format.md` shows it.
    fn frame() -> Vec<u8> {
        let event = NewEvent::new(EventType::new("posted").unwrap(), "hi")
            .stream(StreamName::new("room-1").unwrap())
            .tag(Tag::new("by:ada").unwrap())
            .metadata("web");
        let key = IdempotencyKey::new("k7").unwrap();
        let identity = (key, Fingerprint::from_bits(0x0102_0304_0506_0708));
        let placing = Placing {
            position: 1,
            version: Some(Version::FIRST),
            uuid: Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff),
            recorded_at: 0x1112_1314_1516_1718,
        };
        let mut buffer = FrameBuffer::default();
        buffer.clear();
        buffer.push(&[event], Some(&identity), [placing], seed());
        buffer.finish(1, 64, seed()).to_vec()
    }

    #[test]
    fn the_bytes_of_a_frame_are_the_documented_ones() {
        let mut expected = Vec::new();
        for part in [
            // Header: first position, events, entries, body length, two checksums, mark.
            &[1, 0, 0, 0, 0, 0, 0, 0][..],
            &[1, 0, 0, 0],
            &[1, 0, 0, 0],
            &[91, 0, 0, 0],
            &BODY_SUM,
            &[0, 0, 0, 0],
            &HEADER_SUM,
            b"EVWFRAME",
            // Append: events, key, fingerprint.
            &[1, 0, 0, 0],
            &[2],
            b"k7",
            &[8, 7, 6, 5, 4, 3, 2, 1],
            // Record: length, checksum, UUID, time, version, four lengths and a count, names, bytes.
            &[76, 0, 0, 0],
            &RECORD_SUM,
            &[0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77],
            &[0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff],
            &[0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11],
            &[1, 0, 0, 0, 0, 0, 0, 0],
            &[2, 0, 0, 0],
            &[3, 0, 0, 0],
            &[6, 6, 1, 0],
            b"posted",
            b"room-1",
            b"\x06by:ada",
            b"web",
            b"hi",
            // Zeros up to a multiple of 8, and the mark that ends it.
            &[0, 0, 0, 0, 0],
            b"EVWFREND",
        ] {
            expected.extend_from_slice(part);
        }
        assert_eq!(frame(), expected);
    }

    #[test]
    fn the_bytes_of_notes_are_the_documented_ones() {
        let consumer = Consumer::new("view").unwrap();
        let stream = StreamName::new("room-1").unwrap();
        let notes = [
            Note::Checkpoint(Checkpoint {
                consumer: consumer.clone(),
                at: Some(Position::from_parts(2, 7)),
            }),
            Note::Checkpoint(Checkpoint { consumer, at: None }),
            Note::Trim(Trim::Log { to: 5 }),
            Note::Trim(Trim::Stream {
                stream: stream.clone(),
                to: 6,
            }),
            Note::Trim(Trim::Deletion { stream, to: 8 }),
        ];
        let mut buffer = FrameBuffer::default();
        buffer.clear();
        notes.iter().for_each(|note| buffer.push_note(note));
        let frame = buffer.finish(9, 64, seed());
        let body = [
            &[0, 0, 0, 0, 1, 4][..],
            b"view",
            &[2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0],
            &[0, 0, 0, 0, 2, 4],
            b"view",
            &[0, 0, 0, 0, 3, 5, 0, 0, 0, 0, 0, 0, 0],
            &[0, 0, 0, 0, 4, 6],
            b"room-1",
            &[6, 0, 0, 0, 0, 0, 0, 0],
            &[0, 0, 0, 0, 5, 6],
            b"room-1",
            &[8, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        assert_eq!(&frame[FRAME_HEADER_BYTES..][..body.len()], body);
        let header = FrameHeader::decode(frame, 64, seed()).unwrap();
        assert_eq!((header.first, header.events, header.entries), (9, 0, 5));

        let mut reader = BodyReader::new(Bytes::from(body));
        let lengths: usize = notes.iter().map(Note::bytes).sum();
        for note in notes {
            assert_eq!(reader.entry(), Ok(Entry::Note(note)));
        }
        assert!(reader.is_at_end());
        assert_eq!(lengths, reader.at());
    }

    const BODY_SUM: [u8; 4] = 0x729e_68be_u32.to_le_bytes();
    const HEADER_SUM: [u8; 4] = 0x14e5_f80a_u32.to_le_bytes();
    const RECORD_SUM: [u8; 4] = 0x7178_a2ed_u32.to_le_bytes();

    #[test]
    fn a_frame_is_whole_only_where_it_was_written() {
        let frame = frame();
        let header = FrameHeader::decode(&frame, 64, seed()).unwrap();
        assert_eq!(header.frame_bytes(), frame.len());
        assert!(header.is_whole(&frame, 64, seed()));
        assert!(FrameHeader::decode(&frame, 72, seed()).is_err());
        assert!(FrameHeader::decode(&frame, 64, Seed::new(Uuid::from_u128(7), 2)).is_err());
        assert!(FrameHeader::decode(&frame, 64, Seed::new(Uuid::from_u128(8), 1)).is_err());
        for bit in 0..frame.len() * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let is_whole = FrameHeader::decode(&flipped, 64, seed())
                .is_ok_and(|header| header.is_whole(&flipped, 64, seed()));
            assert!(!is_whole, "bit {bit}");
        }
    }

    #[test]
    fn a_tear_leaves_a_zero_sector_or_a_zero_end() {
        let whole = vec![7; 1500];
        assert!(!could_be_torn(&whole, 64));
        let lost = |range: std::ops::Range<usize>| {
            let mut bytes = whole.clone();
            bytes[range].fill(0);
            could_be_torn(&bytes, 64)
        };
        // Sectors end at 448, 960 and 1472 from here.
        for torn in [
            0..448,
            448..960,
            960..1472,
            1472..1500,
            1499..1500,
            30..1500,
        ] {
            assert!(lost(torn.clone()), "{torn:?}");
        }
        for damaged in [0..447, 449..960, 448..959, 1000..1490] {
            assert!(!lost(damaged.clone()), "{damaged:?}");
        }
    }
}
