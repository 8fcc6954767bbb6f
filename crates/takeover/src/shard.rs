use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eventwire_feed::{Common, Ending, Merge, Offered};
use eventwire_sse::Frame;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::chunk;
use crate::group::{Group, Groups, Then, gather};
use crate::inbox::{Inbox, Target, waker};
use crate::member::{Due, Gone, Member, Stage};
use crate::members::Members;
use crate::roll::Roll;

/// A connection that comes to a shard.
pub(crate) struct Arrival<S> {
    pub(crate) socket: S,
    pub(crate) head: Bytes,
    pub(crate) offered: Offered,
}

/// Some connections, and all that is written to them: no sockets of its own, no task and no clock.
///
/// A connection begins with a stream of its own. Once nothing in that is its own any more it joins
/// those who are sent the same: one stream is polled for the whole group, and the same bytes are
/// written to one after the other. Who cannot take them at once keeps what was not taken, leaves
/// the group, and goes on from its place with a stream of its own.
///
/// ```text
///             nothing of its own left, at the place of the group
///      own  ------------------------------------------------------>  shared
///           <------------------------------------------------------
///             no room in its socket
/// ```
///
/// Invariants: a group has a member; only a member with a stream of its own, or at its end, has
/// something kept; streams and groups that may have something are in `queue` once, or their
/// wakers are with whoever has it.
pub(crate) struct Shard<S> {
    members: Members<S>,
    groups: Groups,
    queue: VecDeque<Target>,
    /// Invariant: `queue` has as many of them.
    arrivals: VecDeque<Arrival<S>>,
    /// The group that is being written to. Nothing is polled meanwhile, so nobody joins it.
    round: Option<Round>,
    inbox: Arc<Inbox<Arrival<S>>>,
    /// Used again and again.
    frames: Vec<Frame>,
    chunk: Vec<u8>,
}

/// A chunk on its way to all of a group, or the end.
struct Round {
    group: usize,
    /// What is written; a round of farewells makes its own.
    chunk: Vec<u8>,
    /// The same, once someone had no room for it.
    copy: Option<Bytes>,
    then: Then,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Shard<S> {
    pub(crate) fn new(inbox: Arc<Inbox<Arrival<S>>>, stalled_after: Duration) -> Self {
        Self {
            members: Members::new(stalled_after),
            groups: Groups::default(),
            queue: VecDeque::new(),
            arrivals: VecDeque::new(),
            round: None,
            inbox,
            frames: Vec::new(),
            chunk: Vec::new(),
        }
    }

    /// How many connections there are.
    pub(crate) fn len(&self) -> usize {
        self.members.len() + self.arrivals.len()
    }

    /// Takes a connection in.
    pub(crate) fn admit(&mut self, arrival: Arrival<S>) {
        self.arrivals.push_back(arrival);
        self.queue.push_back(Target::Arrival);
    }

    /// A stream or a socket may have something.
    pub(crate) fn woken(&mut self, target: Target) {
        self.enqueue(target);
    }

    /// When there is something to be done about time.
    pub(crate) fn next_alarm(&self) -> Option<Instant> {
        self.members.next_alarm()
    }

    /// Does what there is to be done, at most so many steps, each a write or a poll of a stream;
    /// whether there is more.
    pub(crate) fn work(&mut self, now: Instant, steps: usize) -> bool {
        for step in 0..steps {
            // What is due and what is new take turns: neither waits for all of the other, as when
            // thousands fell silent together.
            let is_done = if step % 2 == 0 {
                self.look_after(now) || self.write_round(now) || self.poll_next(now)
            } else {
                self.write_round(now) || self.poll_next(now) || self.look_after(now)
            };
            if !is_done {
                return false;
            }
        }
        true
    }

    /// Polls the next stream that may have something, if any.
    fn poll_next(&mut self, now: Instant) -> bool {
        match self.queue.pop_front() {
            Some(Target::Member(key)) => self.poll_member(key, now),
            Some(Target::Group(key)) => self.poll_group(key),
            Some(Target::Arrival) => self.begin_next(now),
            None => return false,
        }
        true
    }

    /// Begins the stream of the next connection that has come. Its stream is polled before the head
    /// leaves: what its client causes once it has seen the head is live for it.
    fn begin_next(&mut self, now: Instant) {
        let Some(arrival) = self.arrivals.pop_front() else {
            return;
        };
        if self.arrivals.is_empty() {
            // Many come at once at times; they are not to be paid for ever.
            self.arrivals = VecDeque::new();
        }
        let key = self.members.vacant();
        let waker = waker(&self.inbox, Target::Member(key));
        let Arrival {
            socket,
            head,
            mut offered,
        } = arrival;
        self.frames.push(std::mem::take(&mut offered.opening));
        self.members
            .insert(Member::new(socket, offered, waker, now));
        self.poll_own(key, &head, now);
        // Has the socket tell of what comes.
        self.enqueue(Target::Member(key));
    }

    /// Looks at its socket, and at its stream if it has one of its own and there is room.
    fn poll_member(&mut self, key: usize, now: Instant) {
        let Some(member) = self.members.get_mut(key) else {
            return;
        };
        member.is_queued = false;
        let mut polled = member.receive();
        if member.is_held_up() && polled.is_ok() {
            polled = member.go_on(now);
        }
        if polled.and_then(|()| member.close_if_ended(now)).is_err() {
            self.remove(key);
        } else if member.is_held_up() || !matches!(member.stage, Stage::Own(_)) {
            self.members.hasten_alarm(key);
        } else {
            self.poll_own(key, &[], now);
        }
    }

    /// Writes what its own stream has, after what is there already.
    fn poll_own(&mut self, key: usize, head: &[u8], now: Instant) {
        let member = &mut self.members[key];
        let Stage::Own(frames) = &mut member.stage else {
            return;
        };
        let then = gather(frames, &member.waker, &mut self.frames);
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.extend_from_slice(head);
        chunk::put(&mut chunk, &self.frames);
        self.frames.clear();
        if then == Then::Ended {
            chunk.extend_from_slice(chunk::LAST);
            member.stage = Stage::Ending;
        }
        let sent = if chunk.is_empty() {
            Some(())
        } else {
            self.send(key, &chunk, now)
        };
        self.keep_chunk(chunk);
        match (sent, then) {
            (None, _) | (_, Then::Ended) => {}
            (Some(()), Then::Failed) => self.cut_off(key, Ending::Failed),
            (Some(()), Then::More) => self.enqueue(Target::Member(key)),
            (Some(()), Then::Pending) => self.join(key, now),
        }
    }

    /// Joins those who are sent the same, where that is so.
    fn join(&mut self, key: usize, now: Instant) {
        let member = &mut self.members[key];
        let is_held_up = member.is_held_up();
        let Stage::Own(frames) = &mut member.stage else {
            return;
        };
        let Some(common) = frames.common().filter(|_| !is_held_up) else {
            return;
        };
        let Some(at) = self.groups.of(&common) else {
            return self.found(key, common);
        };
        let group = &mut self.groups[at];
        match group.frames.merge(frames) {
            Merge::Apart => {
                // Something came between the polls of the two. While the group reads the log, the
                // member waits for the next event.
                if group.frames.common().is_some() {
                    self.enqueue(Target::Group(at));
                    self.enqueue(Target::Member(key));
                }
            }
            Merge::Level(untold) => {
                let part = frames.part();
                let place = group.roll.add(key);
                member.stage = Stage::Shared {
                    group: at,
                    place,
                    part,
                };
                if let Some(frame) = untold {
                    self.send_frame(key, frame, now);
                }
                self.members.hasten_alarm(key);
            }
        }
    }

    /// Makes a group of one, whose stream is the member's.
    fn found(&mut self, key: usize, common: Common) {
        let at = self.groups.vacant();
        let member = &mut self.members[key];
        let Stage::Own(mut frames) = std::mem::replace(&mut member.stage, Stage::Ending) else {
            unreachable!("who joins has a stream of its own");
        };
        let mut roll = Roll::default();
        member.stage = Stage::Shared {
            group: at,
            place: roll.add(key),
            part: frames.part(),
        };
        self.groups.insert(Group {
            frames: *frames,
            waker: waker(&self.inbox, Target::Group(at)),
            is_queued: false,
            common,
            roll,
        });
        self.members.hasten_alarm(key);
        // The stream would wake the member.
        self.enqueue(Target::Group(at));
    }

    fn poll_group(&mut self, at: usize) {
        let Some(group) = self.groups.get_mut(at) else {
            return;
        };
        group.is_queued = false;
        group.frames.send_to(group.roll.len());
        let then = gather(&mut group.frames, &group.waker, &mut self.frames);
        if self.frames.is_empty() && then == Then::Pending {
            return;
        }
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk::put(&mut chunk, &self.frames);
        self.frames.clear();
        if !chunk.is_empty() {
            group.roll.begin();
        }
        self.round = Some(Round {
            group: at,
            chunk,
            copy: None,
            then,
        });
    }

    /// Writes to the next of the group that is being written to, if any.
    fn write_round(&mut self, now: Instant) -> bool {
        let Some(mut round) = self.round.take() else {
            return false;
        };
        let Some(group) = self.groups.get_mut(round.group) else {
            // Its last member has left.
            self.keep_chunk(round.chunk);
            return true;
        };
        let Some(key) = group.roll.due() else {
            self.end_round(round);
            return true;
        };
        let member = &mut self.members[key];
        if round.then == Then::Failed && round.chunk.is_empty() {
            self.cut_off(key, Ending::Failed);
        } else if round.then == Then::Ended && round.chunk.is_empty() {
            let farewell = group.frames.farewell();
            self.end(key, farewell, now);
        } else {
            // Before it is written to, so that who is held up leaves as one who has it.
            group.roll.pass();
            match member.send(&round.chunk, &mut round.copy, now) {
                // It goes without what there is for it.
                Err(Gone) => self.cut_off(key, Ending::LeftBehind),
                sent => drop(self.settle(key, sent)),
            }
        }
        self.round = Some(round);
        true
    }

    /// Everyone has the chunk.
    fn end_round(&mut self, round: Round) {
        let Round {
            group: at,
            mut chunk,
            then,
            ..
        } = round;
        match then {
            Then::Pending => {}
            Then::More => self.enqueue(Target::Group(at)),
            Then::Ended | Then::Failed => {
                // Another round, in which everyone is told, or cut off.
                chunk.clear();
                self.groups[at].roll.begin();
                self.round = Some(Round {
                    group: at,
                    chunk,
                    copy: None,
                    then,
                });
                return;
            }
        }
        self.keep_chunk(chunk);
    }

    /// Does the next thing that is due about time, if any.
    fn look_after(&mut self, now: Instant) -> bool {
        let Some((key, due)) = self.members.take_due(now) else {
            return false;
        };
        match due {
            Due::Nothing => {}
            // What is on its way to the group is a sign of life as well.
            Due::Heartbeat if self.is_due_in_round(key) => self.members[key].touch(now),
            Due::Heartbeat => self.send_frame(key, Frame::HEARTBEAT, now),
            Due::End => self.end(key, None, now),
            Due::Cut => {
                self.remove(key);
                return true;
            }
        }
        if self.members.contains(key) {
            self.members.set_alarm(key);
        }
        true
    }

    fn is_due_in_round(&self, key: usize) -> bool {
        match self.members[key].stage {
            Stage::Shared { group, place, .. } => self.groups[group].roll.is_due(place),
            _ => false,
        }
    }

    /// Ends a member's stream, after a last frame.
    fn end(&mut self, key: usize, last: Option<Frame>, now: Instant) {
        self.leave_group(key);
        let member = &mut self.members[key];
        std::mem::replace(&mut member.stage, Stage::Ending).end(Ending::Ended);
        let mut chunk = Vec::new();
        if let Some(frame) = last {
            chunk::put(&mut chunk, &[frame]);
        }
        chunk.extend_from_slice(chunk::LAST);
        self.send(key, &chunk, now);
    }

    fn send_frame(&mut self, key: usize, frame: Frame, now: Instant) {
        let mut chunk = Vec::new();
        chunk::put(&mut chunk, &[frame]);
        self.send(key, &chunk, now);
    }

    /// Writes to one member; none where that was its end.
    fn send(&mut self, key: usize, bytes: &[u8], now: Instant) -> Option<()> {
        let member = &mut self.members[key];
        let sent = member
            .send(bytes, &mut None, now)
            .and_then(|()| member.close_if_ended(now));
        self.settle(key, sent)
    }

    /// What follows from a write: who is gone is removed, and who is held up goes on alone.
    fn settle(&mut self, key: usize, sent: Result<(), Gone>) -> Option<()> {
        let member = &mut self.members[key];
        if sent.is_err() {
            self.remove(key);
            return None;
        }
        if member.is_held_up() {
            self.go_alone(key);
        }
        if matches!(self.members[key].stage, Stage::Closing | Stage::Ending)
            || self.members[key].is_held_up()
        {
            self.members.hasten_alarm(key);
        }
        Some(())
    }

    /// Gives a member of a group a stream of its own, from the place of the group on.
    fn go_alone(&mut self, key: usize) {
        let stage = &mut self.members[key].stage;
        match std::mem::replace(stage, Stage::Ending) {
            Stage::Shared { group, place, part } => {
                let shared = &self.groups[group].frames;
                *stage = Stage::Own(Box::new(shared.fork(shared.cursor(), part)));
                self.strike(group, place);
            }
            other => *stage = other,
        }
    }

    /// Takes a member off its group's roll; its stage is the caller's to set.
    fn leave_group(&mut self, key: usize) {
        if let Stage::Shared { group, place, .. } = self.members[key].stage {
            self.strike(group, place);
        }
    }

    /// Takes whoever is at a place off a group's roll.
    fn strike(&mut self, at: usize, place: usize) {
        let group = &mut self.groups[at];
        let members = &mut self.members;
        group.roll.remove(place, |key, moved_to| {
            if let Stage::Shared { place, .. } = &mut members[key].stage {
                *place = moved_to;
            }
        });
        if group.roll.is_empty() {
            self.groups.remove(at);
        }
    }

    /// Lets go of a connection whose client has gone, or is as good as gone.
    fn remove(&mut self, key: usize) {
        if self.is_due_in_round(key) || self.members[key].is_held_up() {
            return self.cut_off(key, Ending::LeftBehind);
        }
        self.leave_group(key);
        drop(self.members.remove(key));
    }

    /// Lets go of a connection, whose stream counts as one that ended so.
    fn cut_off(&mut self, key: usize, ending: Ending) {
        self.leave_group(key);
        self.members.remove(key).end(ending);
    }

    fn enqueue(&mut self, target: Target) {
        let is_queued = match target {
            Target::Member(key) => self.members.get_mut(key).map(|held| &mut held.is_queued),
            Target::Group(key) => self.groups.get_mut(key).map(|held| &mut held.is_queued),
            Target::Arrival => None,
        };
        if is_queued.is_some_and(|is_queued| !std::mem::replace(is_queued, true)) {
            self.queue.push_back(target);
        }
    }

    /// Keeps the room for the next chunk, unless it is more than one needs.
    fn keep_chunk(&mut self, mut chunk: Vec<u8>) {
        if chunk.capacity() <= 256 << 10 {
            chunk.clear();
            self.chunk = chunk;
        }
    }
}
