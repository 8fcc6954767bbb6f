//! What a feed tells of itself in numbers, through the `metrics` facade; nothing without the
//! feature. The table is `docs/metrics.md`.

#[cfg(feature = "metrics")]
pub(crate) use counted::{Behind, Meters, Watch};
#[cfg(not(feature = "metrics"))]
pub(crate) use silent::{Behind, Meters, Watch};

/// How a stream ended, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The feed or its time was over, and it has said so.
    Ended,
    /// The store could not be read.
    Failed,
    /// Whoever read it has gone, with all that there was.
    Left,
    /// Whoever read it has gone, or did not take what there was for so long that it was let go.
    LeftBehind,
}

#[cfg(feature = "metrics")]
mod counted {
    use std::sync::Arc;
    use std::time::Duration;

    use eventwire_sse::Frame;
    use metrics::{
        Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge,
        describe_histogram, gauge, histogram,
    };

    use tokio::task::JoinHandle;

    use super::Ending;
    use crate::locate::GapReason;
    use crate::ring::Ring;

    /// How often it is looked how far behind streams are.
    const LOOK_EVERY: Duration = Duration::from_secs(1);

    const STREAMS: &str = "eventwire_feed_streams";
    const BEHIND: &str = "eventwire_feed_streams_behind";
    const OPENED: &str = "eventwire_feed_opened_total";
    const RESUMED: &str = "eventwire_feed_resumed_total";
    const ENDED: &str = "eventwire_feed_ended_total";
    const GAPS: &str = "eventwire_feed_gaps_total";
    const CATCH_UPS: &str = "eventwire_feed_catch_ups_total";
    const MISSED: &str = "eventwire_feed_missed_events";
    const WAITED: &str = "eventwire_feed_waited_events";
    const UNREAD: &str = "eventwire_feed_unread_events";
    const FRAMES: &str = "eventwire_feed_frame_bytes";
    const SENT: &str = "eventwire_feed_sent_bytes_total";
    const PUBLISHED: &str = "eventwire_feed_published_total";
    const RING_EVENTS: &str = "eventwire_feed_ring_events";
    const RING_BYTES: &str = "eventwire_feed_ring_bytes";
    const FAILURES: &str = "eventwire_feed_read_failures_total";

    /// The numbers of one feed. Looked up once, when it starts: a recorder is to be there by then.
    pub(crate) struct Meters {
        streams: Gauge,
        behind: Gauge,
        opened: Counter,
        resumed: Counter,
        catch_ups: Counter,
        missed: Histogram,
        waited: Histogram,
        frames: Histogram,
        sent: Counter,
        published: Counter,
        ring_events: Gauge,
        ring_bytes: Gauge,
        failures: Counter,
    }

    /// So many clients for whom the log is read, as long as it is.
    pub(crate) struct Behind {
        gauge: Gauge,
        clients: u32,
    }

    impl Behind {
        pub(crate) fn set(&mut self, clients: u32) {
            self.gauge
                .increment(f64::from(clients) - f64::from(self.clients));
            self.clients = clients;
        }
    }

    impl Drop for Behind {
        fn drop(&mut self) {
            self.set(0);
        }
    }

    /// Looks now and then how far behind streams are, those that nobody reads as well.
    pub(crate) struct Watch(JoinHandle<()>);

    impl Watch {
        /// On the tokio runtime this is called in.
        pub(crate) fn over(ring: Arc<Ring>) -> Self {
            let unread = Unread(gauge!(UNREAD));
            Self(tokio::spawn(async move {
                loop {
                    tokio::time::sleep(LOOK_EVERY).await;
                    unread.0.set(ring.most_unread() as f64);
                }
            }))
        }
    }

    impl Drop for Watch {
        fn drop(&mut self) {
            self.0.abort();
        }
    }

    /// How far behind the last stream is: nothing once the feed is gone.
    struct Unread(Gauge);

    impl Drop for Unread {
        fn drop(&mut self) {
            self.0.set(0.0);
        }
    }

    fn describe() {
        use Unit::{Bytes, Count};

        describe_gauge!(STREAMS, Count, "Streams that are open.");
        describe_gauge!(
            BEHIND,
            Count,
            "Those of them that read the log and do not follow what is new."
        );
        describe_counter!(OPENED, Count, "Streams that were opened.");
        describe_counter!(
            RESUMED,
            Count,
            "Those of them that were opened after a cursor."
        );
        describe_counter!(ENDED, Count, "Streams that ended.");
        describe_counter!(
            GAPS,
            Count,
            "Times a stream was told that it does not go on where it was."
        );
        describe_counter!(
            CATCH_UPS,
            Count,
            "Times a stream fell behind the ring and went back to the log."
        );
        describe_histogram!(
            MISSED,
            Count,
            "How many events it was behind the ring then, at least."
        );
        describe_histogram!(
            WAITED,
            Count,
            "How many new events were handed to a stream together."
        );
        describe_gauge!(
            UNREAD,
            Count,
            "How many new events wait for the stream that is furthest behind."
        );
        describe_histogram!(
            FRAMES,
            Bytes,
            "The length of each frame that was handed out."
        );
        describe_counter!(SENT, Bytes, "What all frames have together.");
        describe_counter!(PUBLISHED, Count, "Events that came into the ring.");
        describe_gauge!(RING_EVENTS, Count, "Events that the ring holds.");
        describe_gauge!(RING_BYTES, Bytes, "What they take, about.");
        describe_counter!(FAILURES, Count, "Times the store could not be followed.");
    }

    impl Meters {
        pub(crate) fn new() -> Self {
            describe();
            Self {
                streams: gauge!(STREAMS),
                behind: gauge!(BEHIND),
                opened: counter!(OPENED),
                resumed: counter!(RESUMED),
                catch_ups: counter!(CATCH_UPS),
                missed: histogram!(MISSED),
                waited: histogram!(WAITED),
                frames: histogram!(FRAMES),
                sent: counter!(SENT),
                published: counter!(PUBLISHED),
                ring_events: gauge!(RING_EVENTS),
                ring_bytes: gauge!(RING_BYTES),
                failures: counter!(FAILURES),
            }
        }

        pub(crate) fn opened(&self, is_resumed: bool) {
            self.streams.increment(1);
            self.opened.increment(1);
            self.resumed.increment(u64::from(is_resumed));
        }

        pub(crate) fn ended(&self, ending: Ending) {
            self.streams.decrement(1);
            let how = match ending {
                Ending::Ended => "ended",
                Ending::Failed => "failed",
                Ending::Left => "left",
                Ending::LeftBehind => "left_behind",
            };
            counter!(ENDED, "how" => how).increment(1);
        }

        pub(crate) fn behind(&self, clients: u32) -> Behind {
            let gauge = self.behind.clone();
            let mut behind = Behind { gauge, clients: 0 };
            behind.set(clients);
            behind
        }

        /// So many events of the ring were taken together.
        pub(crate) fn took(&self, events: usize, clients: u32) {
            record(&self.waited, events as f64, clients);
        }

        pub(crate) fn sent(&self, frame: &Frame, clients: u32) {
            let bytes = frame.len();
            record(&self.frames, bytes as f64, clients);
            let bytes = u64::try_from(bytes).expect("a length in memory fits 64 bits");
            self.sent.increment(bytes * u64::from(clients));
        }

        pub(crate) fn told_of(&self, reason: GapReason, clients: u32) {
            counter!(GAPS, "reason" => reason.as_str()).increment(clients.into());
        }

        pub(crate) fn fell_behind(&self, missed: u64, clients: u32) {
            self.catch_ups.increment(clients.into());
            record(&self.missed, missed as f64, clients);
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

    /// The same for each client.
    fn record(histogram: &Histogram, value: f64, clients: u32) {
        let clients = usize::try_from(clients).expect("who is counted is in memory");
        histogram.record_many(value, clients);
    }
}

#[cfg(not(feature = "metrics"))]
mod silent {
    use std::sync::Arc;

    use eventwire_sse::Frame;

    use super::Ending;
    use crate::locate::GapReason;
    use crate::ring::Ring;

    /// Nobody looks.
    pub(crate) struct Watch;

    impl Watch {
        pub(crate) fn over(_: Arc<Ring>) -> Self {
            Self
        }
    }

    /// Nobody counts.
    pub(crate) struct Meters;

    /// Nobody is told.
    pub(crate) struct Behind;

    impl Behind {
        pub(crate) fn set(&mut self, _: u32) {}
    }

    impl Meters {
        pub(crate) fn new() -> Self {
            Self
        }

        pub(crate) fn opened(&self, _: bool) {}

        pub(crate) fn ended(&self, _: Ending) {}

        pub(crate) fn behind(&self, _: u32) -> Behind {
            Behind
        }

        pub(crate) fn took(&self, _: usize, _: u32) {}

        pub(crate) fn sent(&self, _: &Frame, _: u32) {}

        pub(crate) fn told_of(&self, _: GapReason, _: u32) {}

        pub(crate) fn fell_behind(&self, _: u64, _: u32) {}

        pub(crate) fn published(&self, _: (usize, u64)) {}

        pub(crate) fn failed(&self) {}
    }
}
