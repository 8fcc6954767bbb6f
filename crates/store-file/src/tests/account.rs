use std::collections::{BTreeMap, BTreeSet};

use eventwire_store::{Append, Consumer, NewEvent, Position, StreamName};

use super::reading::Payloads;
use crate::format::{Checkpoint, Trim};

/// How far consumers have come; those that were never heard of are not in it.
pub(super) type Checkpoints = BTreeMap<Consumer, Position>;

/// What is in a log, kept in the most obvious way.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Account {
    /// Every event there ever was: the first is at position 1.
    entries: Vec<Entry>,
    /// The last version of each stream.
    pub(super) versions: BTreeMap<StreamName, u64>,
    pub(super) log_to: u64,
    pub(super) deleted: BTreeSet<StreamName>,
    pub(super) checkpoints: Checkpoints,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    payload: String,
    stream: Option<StreamName>,
    is_held: bool,
}

impl Account {
    /// The position of the last event.
    pub(super) fn last(&self) -> u64 {
        u64::try_from(self.entries.len()).expect("it is short")
    }

    /// The positions of events in streams that are held, and the streams.
    pub(super) fn places(&self) -> impl Iterator<Item = (u64, Option<&StreamName>)> {
        let held = (1..).zip(&self.entries).filter(|(_, entry)| entry.is_held);
        let places = held.map(|(position, entry)| (position, entry.stream.as_ref()));
        places.filter(|(_, stream)| stream.is_some())
    }

    /// The payloads that are held.
    pub(super) fn held(&self) -> Payloads {
        self.held_between(0, u64::MAX)
    }

    /// The payloads of positions above one and below another that are held.
    pub(super) fn held_between(&self, above: u64, below: u64) -> Payloads {
        let within = (1..).zip(&self.entries);
        let within = within.filter(|&(at, entry)| entry.is_held && at > above && at < below);
        within.map(|(_, entry)| entry.payload.clone()).collect()
    }

    /// The payloads that were dropped, of those that are not a part of others.
    pub(super) fn dropped(&self) -> Payloads {
        let held = self.held();
        let dropped = self.entries.iter().filter(|entry| !entry.is_held);
        let payloads = dropped.map(|entry| entry.payload.clone());
        payloads
            .filter(|payload| !held.iter().any(|held| held.contains(payload)))
            .collect()
    }

    pub(super) fn has(&self, payload: &str) -> bool {
        self.entries.iter().any(|entry| entry.payload == payload)
    }

    pub(super) fn append(&mut self, append: &Append) {
        for event in append.events() {
            let stream = event.as_parts().stream.cloned();
            if let Some(stream) = stream.clone() {
                *self.versions.entry(stream).or_default() += 1;
            }
            self.entries.push(Entry {
                payload: payload_of(event),
                stream,
                is_held: true,
            });
        }
    }

    /// An event at a position, of which nothing else is known; those before it are dropped.
    pub(super) fn fill(&mut self, position: u64, payload: &str) {
        for at in self.last() + 1..=position {
            self.entries.push(Entry {
                payload: payload.to_owned(),
                stream: None,
                is_held: at == position,
            });
        }
    }

    /// Events up to a position, of which nothing is known but that they were dropped.
    pub(super) fn fill_dropped(&mut self, to: u64) {
        for _ in self.last()..to {
            self.entries.push(Entry {
                payload: String::new(),
                stream: None,
                is_held: false,
            });
        }
    }

    /// Carries out a move of a checkpoint.
    pub(super) fn follow(&mut self, moved: Option<Checkpoint>) {
        if let Some(Checkpoint { consumer, at }) = moved {
            match at {
                Some(at) => self.checkpoints.insert(consumer, at),
                None => self.checkpoints.remove(&consumer),
            };
        }
    }

    /// Drops what a trim says; returns how many events that are.
    pub(super) fn trim(&mut self, trim: &Trim) -> u64 {
        let last = self.last();
        let to = match trim {
            Trim::Log { to } => {
                self.log_to = self.log_to.max(*to);
                *to
            }
            Trim::Stream { to, .. } => *to,
            Trim::Deletion { stream, .. } => {
                self.deleted.insert(stream.clone());
                last
            }
        };
        let mut dropped = 0;
        for (position, entry) in (1..=to).zip(&mut self.entries) {
            debug_assert!(position <= last);
            if entry.is_held && (trim.stream().is_none() || trim.stream() == entry.stream.as_ref())
            {
                entry.is_held = false;
                dropped += 1;
            }
        }
        dropped
    }
}

fn payload_of(event: &NewEvent) -> String {
    String::from_utf8(event.as_parts().data.to_vec()).expect("payloads are text")
}
