//! What a workload asks for next, by its seed.

use eventwire_store::{
    Append, Consumer, EventType, IdempotencyKey, NewEvent, Position, StreamName, Tag,
};

use super::{Workload, consumers, passing};
use crate::format::{Checkpoint, Trim};

impl Workload {
    pub(super) fn append(&mut self) -> Append {
        if self.random.u8(..) < 20
            && let Some((append, _)) = self.keyed.first()
        {
            return append.clone();
        }
        let number = self.next;
        self.next += 1;
        let name = match self.random.u8(..5) {
            room @ 0..3 => format!("room-{room}"),
            3 => format!("passing-{}", self.passing),
            _ => format!("passing-{}", self.random.u64(..=self.passing)),
        };
        let mut append = Append::to(StreamName::new(name).expect("a name"));
        for event in 0..self.random.usize(1..4) {
            append = append.event(self.event(number, event));
        }
        if self.random.u8(..) < 80 {
            append = append.key(IdempotencyKey::new(format!("key-{number}")).expect("a key"));
        }
        if self.random.u8(..) < 80 {
            let (consumer, position) = self.move_forward();
            append = append.consumed(consumer, position);
        }
        append
    }

    /// A consumer and a place; not always forward for one that was in doubt, or in a group.
    fn move_forward(&mut self) -> (Consumer, Position) {
        let consumer = consumers()
            .nth(self.random.usize(..3))
            .expect("there are three");
        let at = self.certain.checkpoints.get(&consumer);
        let at = at.copied().unwrap_or_default();
        let forward = self.random.u64(1..9);
        let position = Position::from_parts(0, at.to_parts().1 + forward);
        (consumer, position)
    }

    /// Of the log, of a stream, or of a stream that is there no more from then on.
    pub(super) fn trim(&mut self) -> Trim {
        let last = self.certain.last();
        let room = format!("room-{}", self.random.u8(..3));
        let stream = StreamName::new(room).expect("a name");
        match self.random.u8(..4) {
            0 => Trim::Log {
                to: self.random.u64(..=last),
            },
            1 if self.certain.versions.contains_key(&self.passing()) => {
                let stream = self.passing();
                self.passing += 1;
                Trim::Deletion { stream, to: 0 }
            }
            _ => Trim::Stream {
                stream,
                to: self.random.u64(..=last),
            },
        }
    }

    pub(super) fn passing(&self) -> StreamName {
        passing(self.passing)
    }

    pub(super) fn checkpoint(&mut self) -> Checkpoint {
        let (consumer, position) = self.move_forward();
        let at = (self.random.u8(..4) > 0).then_some(position);
        Checkpoint { consumer, at }
    }

    pub(super) fn event(&mut self, append: u64, event: usize) -> NewEvent {
        // Mostly within one sector, sometimes over several.
        let length = match self.random.u8(..8) {
            0 => self.random.usize(500..2500),
            _ => self.random.usize(..90),
        };
        let payload = format!("{append}.{event} {}", "x".repeat(length));
        let event_type = EventType::new("posted").expect("a type");
        let tag = Tag::new(format!("by:{}", self.random.u8(..4))).expect("a tag");
        NewEvent::new(event_type, payload).tag(tag)
    }
}
