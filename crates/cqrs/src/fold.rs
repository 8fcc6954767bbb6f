use eventwire_store::{
    Actual, EventStore, Item, Position, ReadOptions, RecordedEvent, Start, Version,
};

use crate::boundary::Boundary;
use crate::codec::{self, CodecError};
use crate::decider::{Decider, UnknownEvents};
use crate::error::CommandError;

/// The state a boundary's history makes, and how far that history was read.
pub(crate) struct Folded<D> {
    pub(crate) state: D,
    /// Of the boundary's deciding stream; none where it has no event, or the boundary has none.
    pub(crate) version: Option<Version>,
    pub(crate) looked_to: Position,
    /// Whether retention has dropped a part of the history.
    is_cut: bool,
}

impl<D: Decider> Folded<D> {
    /// Folds from scratch.
    ///
    /// Readers may trail the writer that answers conflicts. So after a conflict the history
    /// is followed until it shows what the conflict was with: deciding again without it
    /// would only lose again.
    pub(crate) async fn read(
        store: &dyn EventStore,
        boundary: &Boundary,
        lost_to: Option<Actual>,
    ) -> Result<Self, CommandError> {
        let mut folded = Self {
            state: D::default(),
            version: None,
            looked_to: Position::ORIGIN,
            is_cut: false,
        };
        let mut items = match lost_to {
            None => store.read(boundary.reads(), ReadOptions::all()),
            // Not from the beginning: what was dropped matters here.
            Some(_) => store.subscribe(boundary.reads(), Start::After(Position::ORIGIN)),
        };
        while let Some(item) = items.next().await {
            match item? {
                Item::Event(event) => folded.take_in(&event, boundary)?,
                Item::CaughtUp(position) => {
                    folded.looked_to = position;
                    if lost_to.is_none_or(|actual| folded.shows(actual)) {
                        break;
                    }
                    if let (true, Some(Actual::Version(version))) = (folded.is_cut, lost_to) {
                        // The events that made this version are gone, and the version is not.
                        folded.version = version;
                        break;
                    }
                }
                Item::Progress(position) => folded.looked_to = position,
                Item::Gap { resumed_after, .. } => {
                    folded.looked_to = resumed_after;
                    folded.is_cut = true;
                }
                _ => {}
            }
        }
        Ok(folded)
    }

    fn take_in(&mut self, event: &RecordedEvent, boundary: &Boundary) -> Result<(), CodecError> {
        self.looked_to = event.position;
        if let Some(place) = &event.stream
            && Some(&place.name) == boundary.decided_by()
        {
            self.version = Some(place.version);
        }
        match codec::decode(event) {
            Ok(event) => self.state.evolve(&event),
            Err(CodecError::UnknownType { .. }) if D::UNKNOWN_EVENTS == UnknownEvents::Ignore => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Whether the history read so far has what a conflict was with.
    fn shows(&self, actual: Actual) -> bool {
        match actual {
            Actual::Version(version) => self.version >= version,
            Actual::Match(position) => self.looked_to >= position,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use eventwire_store::{
        Append, EventType, MemoryStore, NameError, NewEvent, Query, StreamName, Tag,
    };
    use futures_executor::block_on;

    use super::*;

    /// Counts what it is shown.
    #[derive(Debug, Default)]
    struct Count(usize);

    #[derive(serde::Serialize, serde::Deserialize)]
    enum Tick {
        Tick,
    }

    impl Decider for Count {
        type Command = Tick;
        type Event = Tick;
        type Refusal = std::convert::Infallible;

        fn boundary(_: &Tick) -> Result<Boundary, NameError> {
            Ok(Boundary::stream(stream("a")))
        }
        fn evolve(&mut self, _: &Tick) {
            self.0 += 1;
        }
        fn decide(&self, _: &Tick) -> Result<Vec<Tick>, Self::Refusal> {
            Ok(vec![Tick::Tick])
        }
    }

    fn stream(name: &str) -> StreamName {
        StreamName::new(name).unwrap()
    }

    #[test]
    fn what_does_not_match_is_looked_at_and_not_folded() {
        let store = MemoryStore::new();
        let tick = || NewEvent::new(EventType::new("Tick").unwrap(), "null");
        let tag = Tag::new("t").unwrap();
        let ticks = [
            tick().stream(stream("a")),
            tick().stream(stream("a")).tag(tag.clone()),
            tick().stream(stream("b")).tag(tag.clone()),
            tick().stream(stream("b")),
        ];
        let head = block_on(store.append(Append::new().extend(ticks)))
            .unwrap()
            .last();

        let by_tag = Query::tags([tag]);
        let version = |number| Version::new(number);
        for (boundary, count, at) in [
            (Boundary::stream(stream("a")), 2, version(2)),
            (Boundary::stream(stream("c")), 0, None),
            (Boundary::query(by_tag.clone()), 2, None),
            (
                Boundary::stream(stream("a")).and(by_tag.clone()),
                3,
                version(2),
            ),
            (Boundary::stream(stream("c")).and(by_tag), 2, None),
        ] {
            let folded = block_on(Folded::<Count>::read(&store, &boundary, None)).unwrap();
            assert_eq!(folded.state.0, count, "{boundary:?}");
            assert_eq!(folded.version, at, "{boundary:?}");
            assert_eq!(folded.looked_to, head, "{boundary:?}");
        }
    }
}
