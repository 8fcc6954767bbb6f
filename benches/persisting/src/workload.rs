//! What is written and read: the same events for every store.

/// Streams and tags there are.
pub const NAMES: usize = 100_000;
/// Bytes of an event's payload.
pub const PAYLOAD: usize = 256;
/// Events of a stream that is read as a whole.
pub const STREAM_EVENTS: usize = 100;
/// Events of a block of the layout.
pub const BLOCK: usize = 1_000;
const TYPES: usize = 8;

/// The names and the payloads events are made of.
pub struct Workload {
    pub streams: Vec<String>,
    pub tags: Vec<String>,
    pub types: Vec<String>,
    /// Bytes that no compression makes shorter; a payload is a piece of them.
    pub bytes: Vec<u8>,
}

/// An event, by the numbers of its names.
#[derive(Clone, Copy)]
pub struct Event {
    pub stream: usize,
    /// Its place in the stream, from one.
    pub version: u64,
    pub event_type: usize,
    pub tag: usize,
    /// Where its payload begins in [`Workload::bytes`].
    pub payload: usize,
}

/// Events that are written together or not at all.
pub struct Append {
    pub events: Vec<Event>,
    pub guard: Guard,
}

/// What has to hold for an append to be written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Nothing: the store is being filled.
    None,
    /// The stream of the first event, which is that of all, has come to where that event goes on.
    Stream,
}

impl Workload {
    pub fn new() -> Self {
        let bytes = (0..1 << 20).map(|number: u64| mix(number).to_le_bytes()[0]);
        Self {
            streams: (0..NAMES).map(|n| format!("account-{n:06}")).collect(),
            tags: (0..NAMES).map(|n| format!("user:{n:06}")).collect(),
            types: (0..TYPES).map(|n| format!("message-posted-{n}")).collect(),
            bytes: bytes.collect(),
        }
    }

    /// An event with a tag and a payload that go by its number.
    pub fn event(&self, number: usize, stream: usize, version: u64) -> Event {
        let random = usize::try_from(mix(number as u64)).expect("64 bits");
        Event {
            stream,
            version,
            event_type: number % TYPES,
            tag: random % NAMES,
            payload: number * PAYLOAD % (self.bytes.len() - PAYLOAD),
        }
    }

    pub fn payload(&self, event: &Event) -> &[u8] {
        &self.bytes[event.payload..event.payload + PAYLOAD]
    }

    pub fn stream(&self, event: &Event) -> &str {
        &self.streams[event.stream]
    }

    pub fn tag(&self, event: &Event) -> &str {
        &self.tags[event.tag]
    }

    pub fn event_type(&self, event: &Event) -> &str {
        &self.types[event.event_type]
    }
}

/// Where the events of a filled store go: of each block of 1,000, a hundred to a stream that has
/// its events side by side, a hundred to streams that have theirs all over the log, and the rest
/// anywhere.
#[derive(Clone, Copy)]
pub struct Layout {
    pub events: usize,
}

impl Layout {
    pub fn new(events: usize) -> Self {
        assert!(events.is_multiple_of(BLOCK), "whole blocks");
        assert!(events / BLOCK * 4 <= NAMES, "streams for the rest");
        Self { events }
    }

    fn blocks(self) -> usize {
        self.events / BLOCK
    }

    pub fn stream_of(self, number: usize) -> usize {
        let (block, place) = (number / BLOCK, number % BLOCK);
        let Some(place) = place.checked_sub(STREAM_EVENTS) else {
            return self.blocks() + block;
        };
        if place.is_multiple_of(9) {
            (block * STREAM_EVENTS + place / 9) % self.blocks()
        } else {
            let random = usize::try_from(mix(!(number as u64))).expect("64 bits");
            2 * self.blocks() + random % (NAMES - 2 * self.blocks())
        }
    }

    /// One of the streams whose events lie all over the log.
    pub fn scattered(self, number: usize) -> usize {
        number % self.blocks()
    }

    /// One of the streams whose events lie side by side.
    pub fn neighbours(self, number: usize) -> usize {
        self.blocks() + number % self.blocks()
    }
}

/// A number that looks like chance, for each number another (the finalizer of `SplitMix64`).
pub fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
