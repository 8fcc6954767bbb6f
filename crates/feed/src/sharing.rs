use eventwire_sse::Frame;
use eventwire_store::{Position, Query};
use tokio::time::Instant;

use crate::control;
use crate::frames::{FrameStream, Stage};

/// What streams have in common that can go on as one.
///
/// Two streams with equal ones, at the same place, are sent the same from there on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Common {
    /// The feed, by its place in memory, which the stream keeps.
    feed: usize,
    query: Query,
    /// What is seen of events, and in which form.
    class: u64,
    is_signalling: bool,
}

/// How a stream can go on as another one does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merge {
    /// The two are not at the same place: poll the one that is behind, and ask again.
    Apart,
    /// From here on the other has what this one would have; the frame, if any, is sent before.
    Level(Option<Frame>),
}

/// For servers that write the same bytes to many sockets, and poll one stream for all of them.
impl FrameStream {
    /// What this stream has in common with others, once nothing that is its own is left to be
    /// sent: it follows the ring, and its client knows a place and when to come back.
    #[must_use]
    pub fn common(&self) -> Option<Common> {
        let is_common = matches!(self.stage, Stage::Live(_))
            && self.ready.is_empty()
            && self.retry.is_none()
            && self.told.is_some();
        is_common.then(|| Common {
            feed: std::sync::Arc::as_ptr(&self.feed).addr(),
            query: self.query.clone(),
            class: self.presentation.class(),
            is_signalling: self.is_signalling,
        })
    }

    /// How far it has come: every event up to here that matches was handed out.
    #[must_use]
    pub fn cursor(&self) -> Position {
        self.cursor
    }

    /// Takes from it what is of one client alone: when its time is over, if ever, and the
    /// farewell, which [`farewell`](Self::farewell) makes for each. What is left can be sent to
    /// many.
    pub fn part(&mut self) -> Option<Instant> {
        self.farewell = None;
        self.ends_at.take()
    }

    /// Whether `other`, which has the same in common, can be dropped and its client be sent what
    /// this stream yields. Both were polled until they had nothing more.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Merge {
        if !matches!(self.stage, Stage::Live(_)) || self.cursor != other.cursor {
            return Merge::Apart;
        }
        // Nobody is told again of a place that the clients of this stream know.
        let untold = self.told.filter(|told| other.told < Some(*told));
        Merge::Level(untold.map(|told| control::progress(self.cursor_at(told), None)))
    }

    /// The stream for one of its clients who has been sent everything up to `after`, and goes on
    /// alone until `ends_at`.
    pub fn fork(&self, after: Position, ends_at: Option<Instant>) -> Self {
        Self::resumed_after(self, after, ends_at)
    }

    /// What one client is told last, drawn for each: none unless the feed has closed and
    /// [takes leave](crate::FeedOptions::return_within).
    #[must_use]
    pub fn farewell(&self) -> Option<Frame> {
        control::farewell(&self.feed.options).filter(|_| self.feed.ring.is_closed())
    }
}
