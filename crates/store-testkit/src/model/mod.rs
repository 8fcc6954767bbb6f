mod store;

use std::time::SystemTime;

use eventwire_store::{
    Actual, Append, AppendError, Appended, Conflict, Consumer, Direction, Expect, Fingerprint,
    Guard, IdempotencyKey, InvalidAppend, NewEvent, Position, Query, QueryItem, ReadOptions,
    Recalled, RecordedEvent, Scope, StreamName, StreamPlace, Uuid, Version,
};

pub use store::ModelStore;

/// The contract said the simplest way: one list, looked through from its beginning.
///
/// It shares no code with any store, nor the contract's own [`Query::matches`] or
/// [`Expect::is_met_by`]: where it and a store differ, one of them is wrong. An event lies at
/// the position of its number, from 1 on; a UUID its writer did not give holds the number as
/// well, and the time is always the same. It has no limits.
#[derive(Debug, Clone, Default)]
pub struct Model {
    events: Vec<RecordedEvent>,
    answers: Vec<(IdempotencyKey, Fingerprint, Appended)>,
    checkpoints: Vec<(Consumer, Position)>,
}

impl Model {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes events, all or none.
    ///
    /// # Errors
    /// `Invalid` and `Conflict`, by the rules of the contract. The conflict is the first of
    /// [`conflicts`](Self::conflicts); a store may name another of them.
    pub fn append(&mut self, append: &Append) -> Result<Appended, AppendError> {
        if append.events().is_empty() {
            return Err(InvalidAppend::Empty.into());
        }
        if let Some((key, fingerprint)) = append.identity()
            && let Some(known) = self.recall(key)
        {
            return if known.fingerprint == fingerprint {
                Ok(known.appended)
            } else {
                Err(InvalidAppend::KeyReused(key.clone()).into())
            };
        }
        if let Some(conflict) = self.unmet(append)?.into_iter().next() {
            return Err(AppendError::Conflict(conflict));
        }
        let appended = self.push(append.events());
        if let Some((consumer, position)) = append.consumption() {
            self.checkpoints.push((consumer.clone(), position));
        }
        if let Some((key, fingerprint)) = append.identity() {
            self.answers
                .push((key.clone(), fingerprint, appended.clone()));
        }
        Ok(appended)
    }

    /// Every conflict a store may name for an append: of the first guard that does not hold the
    /// version there is, or each match there is; and where all of them hold the consumer's
    /// checkpoint. None where a guard before it begins above every event.
    #[must_use]
    pub fn conflicts(&self, append: &Append) -> Vec<Conflict> {
        self.unmet(append).unwrap_or_default()
    }

    /// What the first guard that does not hold is in conflict with, unless one before it is invalid.
    fn unmet(&self, append: &Append) -> Result<Vec<Conflict>, InvalidAppend> {
        let guards = append.guards();
        for (guard, condition) in guards.iter().enumerate() {
            let found = self.found_against(guard, condition)?;
            if !found.is_empty() {
                let conflict = |actual| Conflict { guard, actual };
                return Ok(found.into_iter().map(conflict).collect());
            }
        }
        let consumed = append.consumption().and_then(|(consumer, position)| {
            let at = self.checkpoint(consumer);
            (at >= position).then_some(Conflict {
                guard: guards.len(),
                actual: Actual::Consumed(at),
            })
        });
        Ok(consumed.into_iter().collect())
    }

    /// What there is that a guard says there is not; nothing where it holds.
    fn found_against(&self, guard: usize, condition: &Guard) -> Result<Vec<Actual>, InvalidAppend> {
        match condition {
            Guard::Stream { stream, expect } => {
                let actual = self.version(stream);
                let broken = (!is_met(*expect, actual)).then_some(Actual::Version(actual));
                Ok(broken.into_iter().collect())
            }
            Guard::NoMatch { after, .. } if *after > self.head() && *after != Position::MAX => {
                let after = *after;
                Err(InvalidAppend::BeyondHead { guard, after })
            }
            Guard::NoMatch { query, after } => {
                let found = self.read(query, ReadOptions::after(*after));
                let actual = |event: RecordedEvent| Actual::Match(event.position);
                Ok(found.into_iter().map(actual).collect())
            }
            _ => unreachable!("the model knows every guard of its version of the contract"),
        }
    }

    /// What matches, in the direction and as far as the options say.
    #[must_use]
    pub fn read(&self, query: &Query, options: ReadOptions) -> Vec<RecordedEvent> {
        let limit = options.max_events().unwrap_or(usize::MAX);
        let matching = self.events.iter().filter(|event| is_found(query, event));
        let found: Vec<_> = match options.direction() {
            Direction::Forward { after } => matching
                .filter(|event| event.position > after)
                .take(limit)
                .collect(),
            Direction::Backward { before } => matching
                .rev()
                .filter(|event| before.is_none_or(|before| event.position < before))
                .take(limit)
                .collect(),
        };
        found.into_iter().cloned().collect()
    }

    /// What a key stands for.
    #[must_use]
    pub fn recall(&self, key: &IdempotencyKey) -> Option<Recalled> {
        let (_, fingerprint, first) = self.answers.iter().find(|(known, ..)| known == key)?;
        Some(Recalled {
            fingerprint: *fingerprint,
            appended: Appended {
                duplicate: true,
                ..first.clone()
            },
        })
    }

    /// How far a consumer has come by its appends.
    #[must_use]
    pub fn checkpoint(&self, consumer: &Consumer) -> Position {
        let of_consumer = self
            .checkpoints
            .iter()
            .filter(|(known, _)| known == consumer);
        of_consumer
            .map(|(_, position)| *position)
            .max()
            .unwrap_or_default()
    }

    /// The last position.
    #[must_use]
    pub fn head(&self) -> Position {
        position(self.events.len())
    }

    /// The version of a stream's last event.
    #[must_use]
    pub fn version(&self, stream: &StreamName) -> Option<Version> {
        let in_stream = |event: &&RecordedEvent| event.stream_name() == Some(stream);
        Version::new(self.events.iter().filter(in_stream).map(|_| 1).sum())
    }

    fn push(&mut self, new: &[NewEvent]) -> Appended {
        let before = self.head();
        let mut positions = Vec::new();
        let mut streams: Vec<(StreamName, Version)> = Vec::new();
        for event in new {
            let parts = event.as_parts();
            let stream = parts.stream.map(|name| StreamPlace {
                name: name.clone(),
                version: self.version(name).map_or(Version::FIRST, Version::next),
            });
            if let Some(StreamPlace { name, version }) = stream.clone() {
                streams.retain(|(written, _)| *written != name);
                streams.push((name, version));
            }
            let position = position(self.events.len() + 1);
            positions.push(position);
            self.events.push(RecordedEvent {
                position,
                stream,
                event_type: parts.event_type.clone(),
                uuid: parts.uuid.unwrap_or_else(|| numbered(self.events.len())),
                recorded_at: SystemTime::UNIX_EPOCH,
                tags: parts.tags.into(),
                metadata: parts.metadata.clone(),
                data: parts.data.clone(),
            });
        }
        Appended {
            before,
            positions,
            streams,
            duplicate: false,
        }
    }
}

/// The position of the event with this number, from 1 on.
fn position(number: usize) -> Position {
    Position::from_parts(
        0,
        u64::try_from(number).expect("a list has fewer than 2^64 events"),
    )
}

/// A UUID of version 7 (RFC 9562, section 5.7) for the beginning of time and a number.
fn numbered(number: usize) -> Uuid {
    const VERSION_AND_VARIANT: u128 = (0x7 << 76) | (0b10 << 62);
    Uuid::from_u128(VERSION_AND_VARIANT | number as u128)
}

fn is_met(expect: Expect, actual: Option<Version>) -> bool {
    match (expect, actual) {
        (Expect::Any, _) | (Expect::NoStream, None) | (Expect::Exists, Some(_)) => true,
        (Expect::Exact(expected), Some(actual)) => expected == actual,
        (Expect::NoStream, Some(_)) | (Expect::Exists | Expect::Exact(_), None) => false,
    }
}

fn is_found(query: &Query, event: &RecordedEvent) -> bool {
    query.items().iter().any(|item| is_matched(item, event))
}

fn is_matched(item: &QueryItem, event: &RecordedEvent) -> bool {
    let name = event.stream_name().map(StreamName::as_str);
    let in_scope = match item.scope() {
        Scope::Log => true,
        Scope::Streams(streams) => streams.iter().any(|stream| Some(stream.as_str()) == name),
        Scope::Category(category) => {
            name.is_some_and(|name| category_of(name) == category.as_str())
        }
        _ => unreachable!("the model knows every scope of its version of the contract"),
    };
    let of_type = item.types().is_empty() || item.types().contains(&event.event_type);
    let carries = |wanted| event.tags.iter().any(|tag| tag == wanted);
    in_scope && of_type && item.tags().iter().all(carries)
}

/// What stands before the first dash; all of it, where nothing does.
fn category_of(name: &str) -> &str {
    match name.split_once('-') {
        None | Some(("", _)) => name,
        Some((category, _)) => category,
    }
}
