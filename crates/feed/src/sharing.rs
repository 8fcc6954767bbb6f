use std::fmt;
use std::sync::Arc;

use eventwire_sse::Frame;
use eventwire_store::{Position, Query};
use tokio::time::Instant;

use crate::control;
use crate::feed::Shared;
use crate::frames::{Audience, FrameStream, Stage};
use crate::meters::Ending;

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

/// What is of one client alone while it is sent what others are: when its time is over, and that
/// it counts as a stream that is open.
///
/// Dropped, it counts as one whose client has gone, with all that there was.
#[must_use = "dropped, its client counts as gone"]
pub struct Part {
    feed: Arc<Shared>,
    ends_at: Option<Instant>,
    /// How it ends where it is dropped now; none where its stream counts it again.
    ending: Option<Ending>,
}

impl Part {
    /// When its time is over, if ever: who writes to the client sees to it.
    #[must_use]
    pub fn ends_at(&self) -> Option<Instant> {
        self.ends_at
    }

    /// Its stream is over.
    pub fn end(mut self, ending: Ending) {
        self.ending = Some(ending);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(ending) = self.ending {
            self.feed.meters.ended(ending);
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("ends_at", &self.ends_at)
            .finish_non_exhaustive()
    }
}

/// For servers that write the same bytes to many sockets, and poll one stream for all of them.
impl FrameStream {
    /// What this stream has in common with others, once nothing that is its own is left to be
    /// sent: it follows the ring, and its client knows a place and when to come back.
    #[must_use]
    pub fn common(&self) -> Option<Common> {
        let is_common = matches!(self.stage, Stage::Live(_))
            && self.ready.is_none()
            && self.retry.is_none()
            && self.told.is_some();
        is_common.then(|| Common {
            feed: Arc::as_ptr(&self.feed).addr(),
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

    /// Takes from it what is of one client alone; the farewell is, too, which
    /// [`farewell`](Self::farewell) makes for each. What is left is sent to nobody until
    /// [`send_to`](Self::send_to) says to how many.
    ///
    /// # Panics
    /// In debug builds, where nobody has polled it, or its client's part was taken before.
    pub fn part(&mut self) -> Part {
        debug_assert_eq!(self.audience, Audience::One, "a client has one part");
        self.audience = Audience::Many(0);
        self.takes_leave = false;
        Part {
            feed: Arc::clone(&self.feed),
            ends_at: self.ends_at.take(),
            ending: Some(Ending::Left),
        }
    }

    /// To how many clients what it yields from now on is sent: their parts were taken.
    pub fn send_to(&mut self, clients: u32) {
        self.audience = Audience::Many(clients);
        if let Stage::History { behind, .. } = &mut self.stage {
            behind.set(clients);
        }
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
        let untold = untold.map(|told| control::progress(self.cursor_at(told), None));
        Merge::Level(untold.inspect(|frame| self.feed.meters.sent(frame, 1)))
    }

    /// The stream for one of its clients who has been sent everything up to `after`, and goes on
    /// alone.
    pub fn fork(&self, after: Position, mut part: Part) -> Self {
        part.ending = None;
        Self::after(self, after, part.ends_at)
    }

    /// What one client is told last, drawn for each: none unless the feed has closed and
    /// [takes leave](crate::FeedOptions::return_within).
    #[must_use]
    pub fn farewell(&self) -> Option<Frame> {
        let farewell = control::farewell(&self.feed.options);
        let farewell = farewell.filter(|_| self.feed.ring.is_closed());
        farewell.inspect(|frame| self.feed.meters.sent(frame, 1))
    }
}
