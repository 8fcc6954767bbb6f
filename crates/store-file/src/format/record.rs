use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use eventwire_store::{
    EventType, NewEventParts, Position, RecordedEvent, StreamName, StreamPlace, Tag, Uuid, Version,
};

use super::checksum::{Part, Seed};
use super::{Fields, u32_of, usize_of};

/// The part of a record whose length does not vary.
pub(crate) const FIXED_BYTES: usize = 52;

/// Where the bytes begin that a record's checksum covers.
const SUMMED_FROM: usize = 8;

/// What the store adds to an event when it takes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placing {
    pub(crate) position: u64,
    pub(crate) version: Option<Version>,
    pub(crate) uuid: Uuid,
    pub(crate) recorded_at: SystemTime,
}

/// The length of an event's record.
pub(crate) fn record_bytes(event: &NewEventParts<'_>) -> usize {
    let tags: usize = event.tags.iter().map(|tag| 1 + tag.as_str().len()).sum();
    let stream = event.stream.map_or(0, |stream| stream.as_str().len());
    [
        FIXED_BYTES,
        event.event_type.as_str().len(),
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
    let event_type = event.event_type.as_str();
    let stream = event.stream.map_or("", StreamName::as_str);
    let tags = u16::try_from(event.tags.len()).expect("the limit on tags fits 16 bits");
    out.extend_from_slice(&u32_of(record_bytes(event)).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(placing.uuid.as_bytes());
    out.extend_from_slice(&nanoseconds(placing.recorded_at).to_le_bytes());
    out.extend_from_slice(&placing.version.map_or(0, Version::get).to_le_bytes());
    out.extend_from_slice(&u32_of(event.data.len()).to_le_bytes());
    out.extend_from_slice(&u32_of(event.metadata.len()).to_le_bytes());
    out.extend_from_slice(&[name_bytes(event_type), name_bytes(stream)]);
    out.extend_from_slice(&tags.to_le_bytes());
    out.extend_from_slice(event_type.as_bytes());
    out.extend_from_slice(stream.as_bytes());
    for tag in event.tags {
        out.push(name_bytes(tag.as_str()));
        out.extend_from_slice(tag.as_str().as_bytes());
    }
    out.extend_from_slice(event.metadata);
    out.extend_from_slice(event.data);
    let sum = seed.checksum(Part::Record, placing.position, &out[begin + SUMMED_FROM..]);
    out[begin + 4..begin + SUMMED_FROM].copy_from_slice(&sum.to_le_bytes());
}

/// The event whose record begins `bytes`, and the record's length. Names, metadata and
/// payload are slices of `bytes`.
///
/// # Errors
/// What is wrong with the record.
pub(crate) fn decode(
    bytes: &Bytes,
    position: u64,
    seed: Seed,
) -> Result<(RecordedEvent, usize), &'static str> {
    let mut head = Fields(bytes);
    let length = head.u32().ok_or(SHORT)?;
    let record = bytes.get(..usize_of(length)).ok_or(SHORT)?;
    let sum = head.u32().ok_or(SHORT)?;
    let summed = record.get(SUMMED_FROM..).ok_or(SHORT)?;
    if seed.checksum(Part::Record, position, summed) != sum {
        return Err("the checksum of an event does not match");
    }
    let event = decode_summed(bytes, summed, position)?;
    Ok((event, record.len()))
}

const SHORT: &str = "an event is shorter than its lengths say";

fn decode_summed(
    bytes: &Bytes,
    summed: &[u8],
    position: u64,
) -> Result<RecordedEvent, &'static str> {
    let mut fields = Fields(summed);
    let uuid = Uuid::from_bytes(fields.array().ok_or(SHORT)?);
    let recorded_at = UNIX_EPOCH + Duration::from_nanos(fields.u64().ok_or(SHORT)?);
    let version = Version::new(fields.u64().ok_or(SHORT)?);
    let data = fields.u32().ok_or(SHORT)?;
    let metadata = fields.u32().ok_or(SHORT)?;
    let event_type = fields.u8().ok_or(SHORT)?;
    let stream = fields.u8().ok_or(SHORT)?;
    let tags = fields.u16().ok_or(SHORT)?;

    let mut slice = |length: usize| fields.take(length).map(|taken| bytes.slice_ref(taken));
    let event_type = slice(event_type.into()).ok_or(SHORT)?;
    let stream = slice(stream.into()).ok_or(SHORT)?;
    let tags = (0..tags)
        .map(|_| {
            let length = slice(1).ok_or(SHORT)?[0];
            let tag = slice(length.into()).ok_or(SHORT)?;
            Tag::from_bytes(tag).map_err(|_| "a tag is not one")
        })
        .collect::<Result<_, _>>()?;
    let metadata = slice(usize_of(metadata)).ok_or(SHORT)?;
    let data = slice(usize_of(data)).ok_or(SHORT)?;
    if !fields.0.is_empty() {
        return Err("an event is longer than its lengths say");
    }
    Ok(RecordedEvent {
        position: Position::from_parts(0, position),
        stream: stream_place(stream, version)?,
        event_type: EventType::from_bytes(event_type).map_err(|_| "an event type is not one")?,
        uuid,
        recorded_at,
        tags,
        metadata,
        data,
    })
}

fn stream_place(
    name: Bytes,
    version: Option<Version>,
) -> Result<Option<StreamPlace>, &'static str> {
    match (name.is_empty(), version) {
        (true, None) => Ok(None),
        (false, Some(version)) => {
            let name = StreamName::from_bytes(name).map_err(|_| "a stream name is not one")?;
            Ok(Some(StreamPlace { name, version }))
        }
        _ => Err("an event has a stream without a version, or a version without a stream"),
    }
}

fn name_bytes(name: &str) -> u8 {
    u8::try_from(name.len()).expect("MAX_NAME_BYTES fits 8 bits")
}

/// Saturates before 1970 and after 2554.
fn nanoseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use eventwire_store::NewEvent;
    use proptest::prelude::*;

    fn seed() -> Seed {
        Seed::new(Uuid::from_u128(7), 1)
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
            recorded_at: UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789),
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
            prop_assert_eq!(decoded.recorded_at, placing.recorded_at);
            prop_assert_eq!(decoded.uuid, placing.uuid);
            prop_assert_eq!(&decoded.metadata[..], &metadata[..]);
            prop_assert_eq!(&decoded.data[..], &data[..]);
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
            drop(decode(&Bytes::from(bytes), 9, seed()));
        }
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
    fn every_part_is_a_slice_of_the_one_buffer() {
        let bytes = encoded(&event(), &placing(Some(Version::FIRST)));
        let (decoded, _) = decode(&bytes, 9, seed()).unwrap();
        let buffer = bytes.as_ptr_range();
        for part in [
            decoded.data.as_ref(),
            decoded.metadata.as_ref(),
            decoded.event_type.as_str().as_bytes(),
            decoded.tags[0].as_str().as_bytes(),
        ] {
            assert!(buffer.contains(&part.as_ptr()));
        }
    }
}
