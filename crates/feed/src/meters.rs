//! What a feed tells of itself in numbers, through the `metrics` facade; nothing without the
//! feature. The table is in the crate's README.

#[cfg(feature = "metrics")]
pub(crate) use counted::Meters;
#[cfg(not(feature = "metrics"))]
pub(crate) use silent::Meters;

#[cfg(feature = "metrics")]
mod counted {
    use eventwire_sse::Frame;
    use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

    use crate::locate::GapReason;

    /// The numbers of one feed. Looked up once, when it starts: a recorder is to be there by then.
    pub(crate) struct Meters {
        streams: Gauge,
        opened: Counter,
        resumed: Counter,
        catch_ups: Counter,
        missed: Histogram,
        frames: Histogram,
        bytes: Counter,
        published: Counter,
        ring_events: Gauge,
        ring_bytes: Gauge,
        failures: Counter,
    }

    impl Meters {
        pub(crate) fn new() -> Self {
            Self {
                streams: gauge!("eventwire_feed_streams"),
                opened: counter!("eventwire_feed_streams_total"),
                resumed: counter!("eventwire_feed_resumes_total"),
                catch_ups: counter!("eventwire_feed_catch_ups_total"),
                missed: histogram!("eventwire_feed_missed_events"),
                frames: histogram!("eventwire_feed_frame_bytes"),
                bytes: counter!("eventwire_feed_bytes_total"),
                published: counter!("eventwire_feed_published_total"),
                ring_events: gauge!("eventwire_feed_ring_events"),
                ring_bytes: gauge!("eventwire_feed_ring_bytes"),
                failures: counter!("eventwire_feed_read_failures_total"),
            }
        }

        pub(crate) fn opened(&self, is_resumed: bool) {
            self.streams.increment(1);
            self.opened.increment(1);
            self.resumed.increment(u64::from(is_resumed));
        }

        pub(crate) fn ended(&self) {
            self.streams.decrement(1);
        }

        pub(crate) fn sent(&self, frame: &Frame) {
            let bytes = frame.len();
            self.frames.record(bytes as f64);
            let bytes = u64::try_from(bytes).expect("a length in memory fits 64 bits");
            self.bytes.increment(bytes);
        }

        pub(crate) fn told_of(&self, reason: GapReason) {
            counter!("eventwire_feed_gaps_total", "reason" => reason.as_str()).increment(1);
        }

        pub(crate) fn fell_behind(&self, missed: u64) {
            self.catch_ups.increment(1);
            self.missed.record(missed as f64);
        }

        pub(crate) fn published(&self, (events, bytes): (usize, u64)) {
            self.published.increment(1);
            self.ring_events.set(events as f64);
            self.ring_bytes.set(bytes as f64);
        }

        pub(crate) fn failed(&self) {
            self.failures.increment(1);
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod silent {
    use eventwire_sse::Frame;

    use crate::locate::GapReason;

    /// Nobody counts.
    pub(crate) struct Meters;

    impl Meters {
        pub(crate) fn new() -> Self {
            Self
        }

        pub(crate) fn opened(&self, _: bool) {}

        pub(crate) fn ended(&self) {}

        pub(crate) fn sent(&self, _: &Frame) {}

        pub(crate) fn told_of(&self, _: GapReason) {}

        pub(crate) fn fell_behind(&self, _: u64) {}

        pub(crate) fn published(&self, _: (usize, u64)) {}

        pub(crate) fn failed(&self) {}
    }
}
