use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use eventwire_store::{NewEventParts, StreamName, StreamPlace, Uuid, Version};

use super::checksum::{Part, Seed};
use super::{u32_of, usize_of};

/// The part of a record whose length does not vary.
pub(crate) const FIXED_BYTES: usize = 52;

/// Where the bytes begin that a record's checksum covers.
const SUMMED_FROM: usize = 8;

const VERSION_AT: usize = 32;
const TYPE_LENGTH_AT: usize = 48;

/// What the store adds to an event when it takes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placing {
    pub(crate) position: u64,
    pub(crate) version: Option<Version>,
    pub(crate) uuid: Uuid,
    /// In [`nanoseconds`].
    pub(crate) recorded_at: u64,
}

/// The length of an event's record.
pub(crate) fn record_bytes(event: &NewEventParts<'_>) -> usize {
    let tags: usize = event.tags.iter().map(|tag| 1 + tag.as_bytes().len()).sum();
    let stream = event.stream.map_or(0, |stream| stream.as_bytes().len());
    [
        FIXED_BYTES,
        event.event_type.as_bytes().len(),
        stream,
        tags,
        event.metadata.len(),
        event.data.len(),
    ]
    .into_iter()
    .fold(0, usize::saturating_add)
}

/// Writes an event's record at the end of `out`.
pub(super) fn encode(event: &NewEventParts<'_>, placing: &Placing, seed: Seed, out: &mut Vec<u8>) {
    let begin = out.len();
    let event_type = event.event_type.as_bytes();
    let stream = event.stream.map_or(&[][..], StreamName::as_bytes);
    let tags = u16::try_from(event.tags.len()).expect("the limit on tags fits 16 bits");
    let length = record_bytes(event);
    let mut fixed = [0; FIXED_BYTES];
    fixed[..4].copy_from_slice(&u32_of(length).to_le_bytes());
    fixed[8..24].copy_from_slice(placing.uuid.as_bytes());
    fixed[24..32].copy_from_slice(&placing.recorded_at.to_le_bytes());
    fixed[VERSION_AT..40].copy_from_slice(&placing.version.map_or(0, Version::get).to_le_bytes());
    fixed[40..44].copy_from_slice(&u32_of(event.data.len()).to_le_bytes());
    fixed[44..TYPE_LENGTH_AT].copy_from_slice(&u32_of(event.metadata.len()).to_le_bytes());
    fixed[TYPE_LENGTH_AT] = name_bytes(event_type);
    fixed[TYPE_LENGTH_AT + 1] = name_bytes(stream);
    fixed[50..].copy_from_slice(&tags.to_le_bytes());
    out.reserve(length);
    out.extend_from_slice(&fixed);
    out.extend_from_slice(event_type);
    out.extend_from_slice(stream);
    for tag in event.tags {
        out.push(name_bytes(tag.as_bytes()));
        out.extend_from_slice(tag.as_bytes());
    }
    out.extend_from_slice(event.metadata);
    out.extend_from_slice(event.data);
    let sum = seed.checksum(Part::Record, placing.position, &out[begin + SUMMED_FROM..]);
    out[begin + 4..begin + SUMMED_FROM].copy_from_slice(&sum.to_le_bytes());
}

/// One event as it lies in the log.
///
/// Invariant: it is as long as its lengths say, tags included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    bytes: &'a [u8],
}

const SHORT: &str = "an event is shorter than its lengths say";
const LONG: &str = "an event is longer than its lengths say";

impl<'a> Record<'a> {
    /// The record that begins `bytes`. Its checksum and its names are still to be checked.
    ///
    /// # Errors
    /// What is wrong with its lengths.
    #[inline]
    pub(crate) fn first_in(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let length: &[u8; 4] = bytes.first_chunk().ok_or(SHORT)?;
        let length = usize_of(u32::from_le_bytes(*length));
        let bytes = bytes.get(..length).ok_or(SHORT)?;
        if length < FIXED_BYTES {
            return Err(SHORT);
        }
        let record = Self { bytes };
        let names = FIXED_BYTES + record.type_bytes() + record.stream_bytes();
        let parts = record.data_bytes().saturating_add(record.metadata_bytes());
        let tags_end = length.checked_sub(parts).ok_or(SHORT)?;
        let mut tags = bytes.get(names..tags_end).ok_or(SHORT)?;
        for _ in 0..record.tag_count() {
            let (&length, more) = tags.split_first().ok_or(SHORT)?;
            tags = more.get(length.into()..).ok_or(SHORT)?;
        }
        if tags.is_empty() {
            Ok(record)
        } else {
            Err(LONG)
        }
    }

    /// Whether the event is as it was written, at this position.
    ///
    /// # Errors
    /// Where it is not.
    pub(crate) fn check(&self, position: u64, seed: Seed) -> Result<(), &'static str> {
        let (_, summed) = self.bytes.split_at(SUMMED_FROM);
        if seed.checksum(Part::Record, position, summed) == u32::from_le_bytes(self.array(4)) {
            Ok(())
        } else {
            Err("the checksum of an event does not match")
        }
    }

    /// Whether names are names, and a stream has a version.
    ///
    /// # Errors
    /// What is wrong.
    #[inline]
    pub(crate) fn check_names(&self) -> Result<(), &'static str> {
        let (event_type, stream) = (self.event_type(), self.stream());
        let both = &self.bytes[FIXED_BYTES..][..event_type.len() + stream.len()];
        // Mostly one look at both is enough.
        let are_names = is_plain(both) || (is_name(event_type) && is_name(stream));
        if !are_names {
            return Err(NO_NAME);
        }
        let has_empty = event_type.is_empty() || self.tags().any(<[u8]>::is_empty);
        if has_empty || !self.tags().all(is_name) {
            return Err(NO_NAME);
        }
        if stream.is_empty() == self.version().is_none() {
            Ok(())
        } else {
            Err(NO_PLACE)
        }
    }

    /// The record that begins bytes in which one was found before.
    #[inline]
    pub(crate) fn known(bytes: &'a [u8]) -> Self {
        let length = bytes.first_chunk().expect("a record was found here");
        let bytes = &bytes[..usize_of(u32::from_le_bytes(*length))];
        Self { bytes }
    }

    /// Whether it is the stub that a dropped event has left: it has no type.
    #[inline]
    pub(crate) fn is_stub(&self) -> bool {
        self.type_bytes() == 0
    }

    /// The event's place in its stream, which a stub has too.
    ///
    /// # Errors
    /// Where it is none.
    pub(crate) fn place(&self) -> Result<Option<StreamPlace>, &'static str> {
        match (self.stream(), self.version()) {
            ([], None) => Ok(None),
            ([_, ..], Some(version)) => {
                let name = StreamName::from_bytes(Bytes::copy_from_slice(self.stream()))
                    .map_err(|_| NO_NAME)?;
                Ok(Some(StreamPlace { name, version }))
            }
            _ => Err(NO_PLACE),
        }
    }

    /// All of it.
    pub(crate) fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn uuid(&self) -> Uuid {
        Uuid::from_bytes(self.array(8))
    }

    pub(crate) fn recorded_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(u64::from_le_bytes(self.array(24)))
    }

    #[inline]
    pub(crate) fn version(&self) -> Option<Version> {
        Version::new(u64::from_le_bytes(self.array(32)))
    }

    #[inline]
    pub(crate) fn event_type(&self) -> &'a [u8] {
        &self.bytes[FIXED_BYTES..][..self.type_bytes()]
    }

    #[inline]
    pub(crate) fn stream(&self) -> &'a [u8] {
        &self.bytes[FIXED_BYTES + self.type_bytes()..][..self.stream_bytes()]
    }

    #[inline]
    pub(crate) fn tags(&self) -> Tags<'a> {
        Tags {
            left: self.tag_count(),
            bytes: &self.bytes[FIXED_BYTES + self.type_bytes() + self.stream_bytes()..],
        }
    }

    #[inline]
    pub(crate) fn metadata(&self) -> &'a [u8] {
        let end = self.bytes.len() - self.data_bytes();
        &self.bytes[end - self.metadata_bytes()..end]
    }

    #[inline]
    pub(crate) fn data(&self) -> &'a [u8] {
        &self.bytes[self.bytes.len() - self.data_bytes()..]
    }

    fn data_bytes(&self) -> usize {
        usize_of(u32::from_le_bytes(self.array(40)))
    }

    fn metadata_bytes(&self) -> usize {
        usize_of(u32::from_le_bytes(self.array(44)))
    }

    fn type_bytes(&self) -> usize {
        self.bytes[48].into()
    }

    fn stream_bytes(&self) -> usize {
        self.bytes[49].into()
    }

    /// The tags, each after its length.
    #[inline]
    pub(super) fn tag_bytes(&self) -> &'a [u8] {
        let end = self.bytes.len() - self.data_bytes() - self.metadata_bytes();
        &self.bytes[FIXED_BYTES + self.type_bytes() + self.stream_bytes()..end]
    }

    #[inline]
    pub(super) fn tag_count(&self) -> u16 {
        u16::from_le_bytes(self.array(50))
    }

    #[inline]
    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let field = self.bytes[at..].first_chunk();
        *field.expect("a field lies within the fixed part")
    }
}

/// The tags of a record, as they lie there.
#[derive(Debug, Clone)]
pub(crate) struct Tags<'a> {
    left: u16,
    bytes: &'a [u8],
}

impl<'a> Iterator for Tags<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let (&length, rest) = self.bytes.split_first()?;
        let (tag, rest) = rest.split_at_checked(length.into())?;
        self.bytes = rest;
        Some(tag)
    }
}

/// Whether bytes are UTF-8 without control characters.
#[inline]
fn is_name(bytes: &[u8]) -> bool {
    is_plain(bytes) || std::str::from_utf8(bytes).is_ok_and(|text| !text.contains(char::is_control))
}

/// Whether all bytes are ASCII and no control characters; eight at a time.
#[inline]
fn is_plain(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let is_odd = |&byte: &u8| byte.wrapping_sub(b' ') >= 0x7f - b' ';
    let has_odd = |bytes: &[u8; 8]| {
        let word = u64::from_le_bytes(*bytes);
        let deletes = word ^ (ONES * 0x7f);
        let below = word.wrapping_sub(ONES * 0x20);
        let zero = deletes.wrapping_sub(ONES) & !deletes;
        (word | below | zero) & (ONES * 0x80) != 0
    };
    let Some(last) = bytes.last_chunk() else {
        return !bytes.iter().any(is_odd);
    };
    let (words, _) = bytes.as_chunks();
    !(words.iter().any(has_odd) || has_odd(last))
}

pub(super) const NO_NAME: &str = "a name of an event is not one";
pub(super) const NO_PLACE: &str =
    "an event has a stream without a version, or a version without a stream";

/// Writes the stub of an event at the end of `out`.
pub(crate) fn encode_stub(
    place: Option<&StreamPlace>,
    position: u64,
    seed: Seed,
    out: &mut Vec<u8>,
) {
    let begin = out.len();
    let stream = place.map_or(&[][..], |place| place.name.as_bytes());
    let version = place.map_or(0, |place| place.version.get());
    out.extend_from_slice(&u32_of(FIXED_BYTES + stream.len()).to_le_bytes());
    out.resize(begin + VERSION_AT, 0);
    out.extend_from_slice(&version.to_le_bytes());
    out.resize(begin + TYPE_LENGTH_AT + 1, 0);
    out.push(name_bytes(stream));
    out.resize(begin + FIXED_BYTES, 0);
    out.extend_from_slice(stream);
    let sum = seed.checksum(Part::Record, position, &out[begin + SUMMED_FROM..]);
    out[begin + 4..begin + SUMMED_FROM].copy_from_slice(&sum.to_le_bytes());
}

fn name_bytes(name: &[u8]) -> u8 {
    u8::try_from(name.len()).expect("MAX_NAME_BYTES fits 8 bits")
}

/// A time as records have it, in nanoseconds since 1970. Saturates before 1970 and after 2554.
pub(crate) fn nanoseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Decoder, EventNames};
    use eventwire_store::{EventType, NewEvent, Position, RecordedEvent, Tag};
    use proptest::prelude::*;

    fn seed() -> Seed {
        Seed::new(Uuid::from_u128(7), 1)
    }

    /// The event whose record begins `bytes`, and the record's length. Its names are read in both
    /// ways.
    fn decode(
        bytes: &Bytes,
        position: u64,
        seed: Seed,
    ) -> Result<(RecordedEvent, usize), &'static str> {
        let record = Record::first_in(bytes)?;
        record.check(position, seed)?;
        let event = Decoder::new(bytes).event(record, position);
        let mut names = EventNames::default();
        match (names.take_in(bytes, record), &event) {
            (Ok((names, version)), Ok(event)) => {
                assert_eq!(version, event.version());
                assert_eq!(names.stream, event.stream_name());
                assert_eq!(names.event_type, &event.event_type);
                assert_eq!(names.tags, &event.tags[..]);
            }
            (names, event) => assert!(names.is_err() && event.is_err()),
        }
        Ok((event?, record.as_bytes().len()))
    }

    fn encoded(event: &NewEvent, placing: &Placing) -> Bytes {
        let mut out = Vec::new();
        encode(&event.as_parts(), placing, seed(), &mut out);
        assert_eq!(out.len(), record_bytes(&event.as_parts()));
        Bytes::from(out)
    }

    fn placing(version: Option<Version>) -> Placing {
        Placing {
            position: 9,
            version,
            uuid: Uuid::from_u128(0xabc),
            recorded_at: 1_700_000_000_123_456_789,
        }
    }

    fn event() -> NewEvent {
        NewEvent::new(EventType::new("posted").unwrap(), "data")
            .stream(StreamName::new("room-1").unwrap())
            .tag(Tag::new("a").unwrap())
            .metadata("about")
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(
            stream in proptest::option::of("[a-zé-]{1,20}"),
            tags in proptest::collection::vec("[a-z:]{1,9}", 0..5),
            metadata in proptest::collection::vec(any::<u8>(), 0..40),
            data in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            let mut event = NewEvent::new(EventType::new("t").unwrap(), data.clone()).metadata(metadata.clone());
            if let Some(stream) = &stream {
                event = event.stream(StreamName::new(stream.as_str()).unwrap());
            }
            for tag in &tags {
                event = event.tag(Tag::new(tag.as_str()).unwrap());
            }
            let placing = placing(stream.as_ref().map(|_| Version::FIRST));
            let bytes = encoded(&event, &placing);
            let (decoded, length) = decode(&bytes, 9, seed()).unwrap();
            prop_assert_eq!(length, bytes.len());
            prop_assert_eq!(decoded.position, Position::from_parts(0, 9));
            prop_assert_eq!(decoded.stream_name(), event.as_parts().stream);
            prop_assert_eq!(decoded.version(), placing.version);
            prop_assert_eq!(&decoded.tags[..], event.as_parts().tags);
            prop_assert_eq!(nanoseconds(decoded.recorded_at), placing.recorded_at);
            prop_assert_eq!(decoded.uuid, placing.uuid);
            prop_assert_eq!(&decoded.metadata[..], &metadata[..]);
            prop_assert_eq!(&decoded.data[..], &data[..]);
            let record = Record::first_in(&bytes).unwrap();
            prop_assert_eq!(record.check_names(), Ok(()));
            prop_assert_eq!(record.as_bytes().len(), length);
        }

        #[test]
        fn no_bytes_panic_even_where_the_checksum_is_right(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
            length in 0u32..220,
        ) {
            if bytes.len() >= SUMMED_FROM {
                bytes[..4].copy_from_slice(&length.to_le_bytes());
                if let Some(summed) = bytes.get(SUMMED_FROM..usize_of(length)) {
                    let sum = seed().checksum(Part::Record, 9, summed);
                    bytes[4..8].copy_from_slice(&sum.to_le_bytes());
                }
            }
            let bytes = Bytes::from(bytes);
            let decoded = decode(&bytes, 9, seed());
            if let Ok(record) = Record::first_in(&bytes)
                && record.check(9, seed()).is_ok()
            {
                prop_assert_eq!(record.check_names().is_ok(), decoded.is_ok());
            }
        }
    }

    #[test]
    fn names_are_checked_alike_wherever_they_are_read() {
        for text in [
            "a",
            "posted",
            "12345678",
            "123456789",
            "12345678901234567890123456",
            "posted-\u{7f}",
            "\u{1f}posted-2",
            "posted 2\n",
            "nachgef\u{fc}llt",
            "\u{85}posted",
            "~~~~~~~~~~",
            "\u{7f}234567",
            "1234567\u{7f}",
            "\u{80}",
            "12345678\u{9f}",
        ] {
            assert_eq!(
                is_name(text.as_bytes()),
                EventType::new(text).is_ok(),
                "{text:?}"
            );
        }
        assert!(!is_name(b"abc\xff"));
        assert!(!is_name(b"abcdefgh\xff"));
    }

    #[test]
    fn a_record_with_a_flipped_bit_or_at_another_position_is_refused() {
        let bytes = encoded(&event(), &placing(Some(Version::FIRST)));
        assert!(decode(&bytes, 9, seed()).is_ok());
        assert!(decode(&bytes, 10, seed()).is_err());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(
                decode(&Bytes::from(flipped), 9, seed()).is_err(),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_stub_has_the_place_of_an_event_and_nothing_else() {
        for version in [Some(Version::FIRST), None] {
            let event = if version.is_some() {
                event()
            } else {
                NewEvent::new(EventType::new("posted").unwrap(), "data")
            };
            let whole = encoded(&event, &placing(version));
            let record = Record::first_in(&whole).unwrap();
            assert!(!record.is_stub());
            let place = record.place().unwrap();
            assert_eq!(place.as_ref().map(|place| place.version), version);
            let mut stub = Vec::new();
            encode_stub(place.as_ref(), 9, seed(), &mut stub);
            let name = place.as_ref().map_or("", |place| place.name.as_str());
            assert_eq!(stub.len(), FIXED_BYTES + name.len());
            assert!(stub.ends_with(name.as_bytes()));
            assert!(!stub.windows(4).any(|bytes| bytes == b"data"));
            let stub = Bytes::from(stub);
            let record = Record::first_in(&stub).unwrap();
            assert!(record.is_stub());
            assert_eq!(record.place(), Ok(place));
            assert!(record.check(9, seed()).is_ok());
            assert!(record.check(10, seed()).is_err());
            assert!(decode(&stub, 9, seed()).is_err());
        }
    }

    #[test]
    fn payload_metadata_and_long_names_are_slices_of_the_one_buffer() {
        let long = "long".repeat(9);
        let event = event().tag(Tag::new(long).unwrap());
        let bytes = encoded(&event, &placing(Some(Version::FIRST)));
        let (decoded, _) = decode(&bytes, 9, seed()).unwrap();
        let buffer = bytes.as_ptr_range();
        let is_within = |part: &[u8]| buffer.contains(&part.as_ptr());
        assert!(is_within(&decoded.data));
        assert!(is_within(&decoded.metadata));
        assert!(is_within(decoded.tags[1].as_str().as_bytes()));
        for name in [decoded.event_type.as_str(), decoded.tags[0].as_str()] {
            assert!(!is_within(name.as_bytes()), "{name} keeps nothing");
        }
    }
}
