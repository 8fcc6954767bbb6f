//! The bytes of an event, for stores that keep bytes: lengths, names, payload.

use crate::workload::{Event, PAYLOAD, Workload};

/// Bytes of [`put`] without the names.
const FIXED: usize = 8 + 3 + PAYLOAD;

/// Appends the record of an event.
pub fn put(bytes: &mut Vec<u8>, workload: &Workload, event: &Event) {
    bytes.extend_from_slice(&event.version.to_le_bytes());
    for name in [
        workload.stream(event),
        workload.event_type(event),
        workload.tag(event),
    ] {
        bytes.push(u8::try_from(name.len()).expect("a short name"));
        bytes.extend_from_slice(name.as_bytes());
    }
    bytes.extend_from_slice(workload.payload(event));
}

pub fn record(workload: &Workload, event: &Event) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FIXED + 64);
    put(&mut bytes, workload, event);
    bytes
}

/// The payload of a record.
pub fn payload(record: &[u8]) -> &[u8] {
    let mut rest = &record[8..];
    for _ in 0..3 {
        rest = &rest[1 + usize::from(rest[0])..];
    }
    rest
}

/// Reads every byte of a payload, as whoever decodes it does, and fails for one that is not whole.
pub fn look(payload: &[u8]) {
    assert_eq!(payload.len(), PAYLOAD, "a whole payload");
    let (words, _) = payload.as_chunks();
    let words = words.iter().copied().map(u64::from_le_bytes);
    std::hint::black_box(words.fold(0, |sum, word| sum ^ word));
}
