use std::collections::HashMap;
use std::ops::{Index, IndexMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use eventwire_feed::{Common, FrameStream};
use eventwire_sse::Frame;
use futures_core::Stream as _;
use slab::Slab;

use crate::roll::Roll;

/// Bytes that are written at once, unless one frame has more.
const LIMIT: usize = 64 << 10;

/// What there is after the frames that were gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// More, perhaps.
    More,
    /// Nothing yet; the waker is woken.
    Pending,
    /// The end.
    Ended,
    /// Nobody knows: the log cannot be read.
    Failed,
}

/// Takes the frames that are ready, up to the limit, and says what there is after them.
pub(crate) fn gather(frames: &mut FrameStream, waker: &Waker, into: &mut Vec<Frame>) -> Then {
    let mut context = Context::from_waker(waker);
    let mut bytes = 0;
    while bytes < LIMIT {
        // A hook of the feed's that panics ends the streams it was asked for, and not the shard.
        let poll = || Pin::new(&mut *frames).poll_next(&mut context);
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(Poll::Ready(Some(Ok(frame)))) => {
                bytes += frame.len();
                into.push(frame);
            }
            Ok(Poll::Ready(Some(Err(error)))) => {
                tracing::warn!(%error, "an event stream is cut off");
                return Then::Failed;
            }
            Ok(Poll::Ready(None)) => return Then::Ended,
            Ok(Poll::Pending) => return Then::Pending,
            Err(_panic) => {
                tracing::error!("an event stream has panicked");
                return Then::Failed;
            }
        }
    }
    Then::More
}

/// Connections that are sent the same, and the one stream that is polled for them.
///
/// Invariant: all whose turn is over have been handed everything up to the stream's cursor.
pub(crate) struct Group {
    pub(crate) frames: FrameStream,
    pub(crate) waker: Waker,
    /// Whether it waits for its turn to be polled.
    pub(crate) is_queued: bool,
    pub(crate) common: Common,
    pub(crate) roll: Roll,
}

/// The groups, each found by what all in it are sent.
#[derive(Default)]
pub(crate) struct Groups {
    groups: Slab<Group>,
    /// Invariant: one for each group.
    by_common: HashMap<Common, usize, foldhash::fast::RandomState>,
}

impl Groups {
    /// Where the group is of those who are sent this.
    pub(crate) fn of(&self, common: &Common) -> Option<usize> {
        self.by_common.get(common).copied()
    }

    /// Where the next group will be.
    pub(crate) fn vacant(&self) -> usize {
        self.groups.vacant_key()
    }

    /// Adds a group, where [`vacant`](Self::vacant) has said.
    pub(crate) fn insert(&mut self, group: Group) {
        let common = group.common.clone();
        let at = self.groups.insert(group);
        self.by_common.insert(common, at);
    }

    pub(crate) fn get_mut(&mut self, at: usize) -> Option<&mut Group> {
        self.groups.get_mut(at)
    }

    /// Removes one; the last leaves no memory behind.
    pub(crate) fn remove(&mut self, at: usize) {
        let group = self.groups.remove(at);
        self.by_common.remove(&group.common);
        if self.groups.is_empty() {
            *self = Self::default();
        }
    }
}

impl Index<usize> for Groups {
    type Output = Group;

    fn index(&self, at: usize) -> &Group {
        &self.groups[at]
    }
}

impl IndexMut<usize> for Groups {
    fn index_mut(&mut self, at: usize) -> &mut Group {
        &mut self.groups[at]
    }
}
