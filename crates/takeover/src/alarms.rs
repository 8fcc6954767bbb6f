use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tokio::time::Instant;

/// When a member is to be looked after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Alarm {
    pub(crate) at: Instant,
    number: u64,
}

impl Alarm {
    /// One that is nobody's.
    pub(crate) const fn void(at: Instant) -> Self {
        Self { at, number: 0 }
    }
}

/// What is to be done about time, the earliest first. Whoever sets a second alarm keeps the last:
/// the one before still comes, and is void, unless it was [forgotten](Self::forget_void).
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    alarms: BinaryHeap<Reverse<(Alarm, usize)>>,
    last: u64,
}

impl Alarms {
    /// Sets one for a member.
    pub(crate) fn set(&mut self, key: usize, at: Instant) -> Alarm {
        self.last += 1;
        let number = self.last;
        let alarm = Alarm { at, number };
        self.alarms.push(Reverse((alarm, key)));
        alarm
    }

    /// When the next one comes.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.alarms.peek().map(|Reverse((alarm, _))| alarm.at)
    }

    /// The next one that has come, and whose it was.
    pub(crate) fn take(&mut self, now: Instant) -> Option<(Alarm, usize)> {
        if self.next()? > now {
            return None;
        }
        self.alarms.pop().map(|Reverse(due)| due)
    }

    /// Whether they are many more than the members, of whom each has one: they are void then.
    pub(crate) fn are_crowded(&self, members: usize) -> bool {
        const FEW: usize = 64;
        self.alarms.len() > 2 * members + FEW
    }

    /// Forgets those that are void.
    pub(crate) fn forget_void(&mut self, is_set: impl Fn(Alarm, usize) -> bool) {
        self.alarms
            .retain(|&Reverse((alarm, key))| is_set(alarm, key));
        if self.alarms.capacity() > 4 * self.alarms.len() {
            self.alarms.shrink_to(2 * self.alarms.len());
        }
    }

    /// Forgets them all, and gives their memory back.
    pub(crate) fn clear(&mut self) {
        self.alarms = BinaryHeap::new();
    }
}
