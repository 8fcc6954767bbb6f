use std::ops::{Index, IndexMut};
use std::time::Duration;

use slab::Slab;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::alarms::Alarms;
use crate::member::{Due, Member};

/// The connections of a shard, and when each is to be looked after.
pub(crate) struct Members<S> {
    members: Slab<Member<S>>,
    alarms: Alarms,
    stalled_after: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Members<S> {
    pub(crate) fn new(stalled_after: Duration) -> Self {
        Self {
            members: Slab::new(),
            alarms: Alarms::default(),
            stalled_after,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn contains(&self, key: usize) -> bool {
        self.members.contains(key)
    }

    pub(crate) fn get_mut(&mut self, key: usize) -> Option<&mut Member<S>> {
        self.members.get_mut(key)
    }

    /// The key of the next one.
    pub(crate) fn vacant(&self) -> usize {
        self.members.vacant_key()
    }

    /// Adds one, whose key [`vacant`](Self::vacant) has said.
    pub(crate) fn insert(&mut self, member: Member<S>) {
        let key = self.members.insert(member);
        self.set_alarm(key);
    }

    /// Takes one out; the last leaves no memory behind.
    pub(crate) fn remove(&mut self, key: usize) -> Member<S> {
        let member = self.members.remove(key);
        if self.members.is_empty() {
            self.members = Slab::new();
            self.alarms.clear();
        }
        member
    }

    /// When there is something to be done about time.
    pub(crate) fn next_alarm(&self) -> Option<Instant> {
        self.alarms.next()
    }

    /// The next one whose alarm has come, and what is due for it. It has none until the next is
    /// [set](Self::set_alarm).
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<(usize, Due)> {
        loop {
            let (alarm, key) = self.alarms.take(now)?;
            let member = self.members.get(key).filter(|held| held.alarm == alarm);
            if let Some(member) = member {
                return Some((key, member.due(now, self.stalled_after)));
            }
        }
    }

    /// Has one looked after when something is due for it next.
    pub(crate) fn set_alarm(&mut self, key: usize) {
        let member = &mut self.members[key];
        let at = member.due_at(self.stalled_after);
        member.alarm = self.alarms.set(key, at);
        if self.alarms.are_crowded(self.members.len()) {
            let members = &self.members;
            let is_set = |alarm, key| members.get(key).is_some_and(|held| held.alarm == alarm);
            self.alarms.forget_void(is_set);
        }
    }

    /// The same, where that is earlier than it would be.
    pub(crate) fn hasten_alarm(&mut self, key: usize) {
        let member = &self.members[key];
        if member.due_at(self.stalled_after) < member.alarm.at {
            self.set_alarm(key);
        }
    }
}

impl<S> Index<usize> for Members<S> {
    type Output = Member<S>;

    fn index(&self, key: usize) -> &Member<S> {
        &self.members[key]
    }
}

impl<S> IndexMut<usize> for Members<S> {
    fn index_mut(&mut self, key: usize) -> &mut Member<S> {
        &mut self.members[key]
    }
}
