use eventwire_store::{
    Actual, Chunk, Conflict, EventRef, EventStore, EventStream, Item, Position, Query, ReadOptions,
    RecordedEvent, Snapshot, SnapshotStore, Start, Version,
};

use crate::boundary::Boundary;
use crate::error::CommandError;
use crate::snapshot::Shelf;
use crate::states::States;

/// The states that the histories of some boundaries make, and how far they were read.
pub(crate) struct Folded<S: States> {
    pub(crate) states: S,
    /// Of each boundary's deciding stream; none where it has no event, or the boundary has none.
    versions: S::Each<Option<Version>>,
    pub(crate) looked_to: Position,
    /// How many events each state was shown, those of a snapshot aside.
    shown: S::Each<u64>,
    /// Whether retention has dropped a part of the history.
    is_cut: bool,
}

/// What is read, and where from.
pub(crate) struct Reading<'a, S: States> {
    pub(crate) store: &'a dyn EventStore,
    pub(crate) boundaries: &'a S::Each<Boundary>,
    queries: S::Each<Query>,
    /// Where each state is kept that is.
    shelves: S::Each<Option<Shelf<'a>>>,
}

impl<'a, S: States> Reading<'a, S> {
    pub(crate) fn new(
        store: &'a dyn EventStore,
        snapshots: Option<&'a dyn SnapshotStore>,
        boundaries: &'a S::Each<Boundary>,
    ) -> Self {
        let keeping = S::keeping();
        let mut keeping = keeping.as_ref().iter();
        let shelves = S::each(boundaries, |boundary| {
            let (keeping, snapshots) = (keeping.next().copied()??, snapshots?);
            Shelf::new(keeping, snapshots, store, boundary)
        });
        Self {
            store,
            boundaries,
            queries: S::each(boundaries, Boundary::reads),
            shelves,
        }
    }

    /// Folds, from a snapshot where there is one and else from scratch.
    ///
    /// Readers may trail the writer that answers conflicts. So after a conflict the history
    /// is followed until it shows what the conflict was with: deciding again without it
    /// would only lose again.
    pub(crate) async fn fold(&self, lost_to: Option<&Conflict>) -> Result<Folded<S>, CommandError> {
        let mut folded = Folded {
            states: S::blank(),
            versions: S::each(self.boundaries, |_| None),
            looked_to: Position::ORIGIN,
            shown: S::each(self.boundaries, |_| 0),
            is_cut: false,
        };
        if self.keeps_states() {
            self.begin(&mut folded).await?;
        }
        let mut items = self.items(folded.looked_to, lost_to.is_some());
        while let Some(chunk) = items.next_chunk().await {
            if self.take_in_all(&mut folded, &chunk?, lost_to)? {
                break;
            }
        }
        Ok(folded)
    }

    /// Keeps each state that enough has come to since it was kept last. Takes the states for
    /// itself, since a shared reference to them may not go from thread to thread.
    pub(crate) async fn keep(&self, folded: &mut Folded<S>) {
        for (part, shelf) in self.shelves.as_ref().iter().enumerate() {
            if let Some(shelf) = shelf
                && let Some(snapshot) = folded.snapshot(part, shelf)
            {
                shelf.keep(snapshot).await;
            }
        }
    }

    /// Whether any state is kept.
    pub(crate) fn keeps_states(&self) -> bool {
        self.shelves.as_ref().iter().any(Option::is_some)
    }

    /// Begins with what was kept: all states as of one place.
    async fn begin(&self, folded: &mut Folded<S>) -> Result<(), CommandError> {
        let mut kept_at = S::each(self.boundaries, |_| Position::ORIGIN);
        for (part, shelf) in self.shelves.as_ref().iter().enumerate() {
            let Some(shelf) = shelf else { continue };
            if let Some(kept) = shelf.find().await?
                && folded.states.read(part, &kept.state).is_ok()
            {
                folded.versions.as_mut()[part] = kept.version;
                kept_at.as_mut()[part] = kept.position;
                folded.looked_to = folded.looked_to.max(kept.position);
            }
        }
        for (part, &after) in kept_at.as_ref().iter().enumerate() {
            if after < folded.looked_to {
                self.catch_up(folded, part, after).await?;
            }
        }
        Ok(())
    }

    /// Brings one state as far as the furthest: a state of several places is one that never was.
    async fn catch_up(
        &self,
        folded: &mut Folded<S>,
        part: usize,
        after: Position,
    ) -> Result<(), CommandError> {
        // Another may have kept what readers are not shown here yet.
        self.store.wait_for(folded.looked_to).await?;
        let query = self.queries.as_ref()[part].clone();
        let mut items = self.store.read(query, reading_after(after));
        while let Some(chunk) = items.next_chunk().await {
            for item in chunk?.iter() {
                match item {
                    Item::Event(event) if event.position > folded.looked_to => return Ok(()),
                    Item::Event(event) => self.show(folded, part, event)?,
                    Item::Gap { .. } => folded.is_cut = true,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn items(&self, after: Position, follows: bool) -> EventStream {
        let queries = self.queries.as_ref().iter().cloned();
        let all = queries
            .reduce(Query::or)
            .expect("a decision has a boundary");
        match follows {
            false => self.store.read(all, reading_after(after)),
            // Not from the beginning: what was dropped matters here.
            true => self.store.subscribe(all, Start::After(after)),
        }
    }

    /// Whether that is enough to decide on.
    fn take_in_all(
        &self,
        folded: &mut Folded<S>,
        chunk: &Chunk,
        lost_to: Option<&Conflict>,
    ) -> Result<bool, CommandError> {
        for item in chunk.iter() {
            match item {
                Item::Event(event) => self.take_in(folded, event)?,
                Item::CaughtUp(position) => {
                    folded.looked_to = position;
                    if self.is_enough(folded, lost_to) {
                        return Ok(true);
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
        Ok(false)
    }

    fn take_in(&self, folded: &mut Folded<S>, event: &RecordedEvent) -> Result<(), CommandError> {
        folded.looked_to = event.position;
        let queries = self.queries.as_ref();
        // What was read for one state alone is that state's.
        if queries.len() == 1 {
            return self.show(folded, 0, event);
        }
        let matched = EventRef {
            stream: event.stream_name(),
            event_type: &event.event_type,
            tags: &event.tags,
        };
        for (part, query) in queries.iter().enumerate() {
            if query.matches(matched) {
                self.show(folded, part, event)?;
            }
        }
        Ok(())
    }

    fn show(
        &self,
        folded: &mut Folded<S>,
        part: usize,
        event: &RecordedEvent,
    ) -> Result<(), CommandError> {
        if let Some(place) = &event.stream
            && self.boundaries.as_ref()[part].decided_by() == Some(&place.name)
        {
            folded.versions.as_mut()[part] = Some(place.version);
        }
        folded.shown.as_mut()[part] += 1;
        Ok(folded.states.take_in(part, event)?)
    }

    /// Whether the history read so far has what a conflict was with.
    fn is_enough(&self, folded: &mut Folded<S>, lost_to: Option<&Conflict>) -> bool {
        match lost_to.map(|conflict| (conflict.actual, self.part(conflict))) {
            Some((Actual::Version(version), part)) => {
                if folded.version(part) < version && folded.is_cut {
                    // The events that made this version are gone, and the version is not.
                    folded.versions.as_mut()[part] = version;
                }
                folded.version(part) >= version
            }
            Some((Actual::Match(position), _)) => folded.looked_to >= position,
            _ => true,
        }
    }

    /// The boundary whose guard did not hold.
    pub(crate) fn part(&self, conflict: &Conflict) -> usize {
        let mut guards = 0;
        let parts = self.boundaries.as_ref().iter();
        let failed = parts.map(Boundary::guards).position(|count| {
            guards += count;
            conflict.guard < guards
        });
        // Past all guards is the stream that was to be written.
        failed.unwrap_or_default()
    }
}

impl<S: States> Folded<S> {
    /// The version of the deciding stream of a boundary.
    pub(crate) fn version(&self, part: usize) -> Option<Version> {
        self.versions.as_ref()[part]
    }

    /// The snapshot of a state to keep, where enough has come since the last.
    fn snapshot(&self, part: usize, shelf: &Shelf<'_>) -> Option<Snapshot> {
        if !shelf.is_due(self.shown.as_ref()[part]) {
            return None;
        }
        let write = |data: &mut Vec<u8>| self.states.write(part, data);
        shelf.take(write, self.looked_to, self.version(part))
    }
}

fn reading_after(position: Position) -> ReadOptions {
    match position {
        Position::ORIGIN => ReadOptions::all(),
        after => ReadOptions::after(after),
    }
}

#[cfg(test)]
mod tests {
    use eventwire_store::{Append, EventType, MemoryStore, NewEvent, StreamName, Tag};
    use futures_executor::block_on;

    use super::*;
    use crate::event::DomainEvent;
    use crate::fold::Fold;

    /// Counts what it is shown.
    #[derive(Debug, Default)]
    struct Count(usize);

    #[derive(serde::Serialize, serde::Deserialize)]
    enum Tick {
        Tick,
    }

    impl DomainEvent for Tick {}

    impl Fold for Count {
        type Event = Tick;

        fn evolve(&mut self, _: &Tick) {
            self.0 += 1;
        }
    }

    fn stream(name: &str) -> StreamName {
        StreamName::new(name).unwrap()
    }

    fn tag() -> Tag {
        Tag::new("t").unwrap()
    }

    fn ticks() -> (MemoryStore, Position) {
        let store = MemoryStore::new();
        let tick = || NewEvent::new(EventType::new("Tick").unwrap(), "null");
        let ticks = [
            tick().stream(stream("a")),
            tick().stream(stream("a")).tag(tag()),
            tick().stream(stream("b")).tag(tag()),
            tick().stream(stream("b")),
        ];
        let appended = block_on(store.append(Append::new().extend(ticks))).unwrap();
        (store, appended.last())
    }

    #[test]
    fn what_does_not_match_is_looked_at_and_not_folded() {
        let (store, head) = ticks();
        let by_tag = Query::tags([tag()]);
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
            let boundaries = [boundary];
            let reading = Reading::<Count>::new(&store, None, &boundaries);
            let folded = block_on(reading.fold(None)).unwrap();
            assert_eq!(folded.states.0, count, "{boundaries:?}");
            assert_eq!(folded.version(0), at, "{boundaries:?}");
            assert_eq!(folded.looked_to, head, "{boundaries:?}");
        }
    }

    #[test]
    fn each_state_is_shown_its_own_boundary() {
        let (store, head) = ticks();
        let boundaries = [
            Boundary::stream(stream("a")),
            Boundary::query(Query::tags([tag()])),
            Boundary::stream(stream("b")),
        ];
        let reading = Reading::<(Count, Count, Count)>::new(&store, None, &boundaries);
        let folded = block_on(reading.fold(None)).unwrap();
        let (a, tagged, b) = &folded.states;
        assert_eq!((a.0, tagged.0, b.0), (2, 2, 2));
        let versions = [0, 1, 2].map(|part| folded.version(part).map(Version::get));
        assert_eq!(versions, [Some(2), None, Some(2)]);
        assert_eq!(folded.looked_to, head);
    }

    #[test]
    fn a_conflict_is_with_the_boundary_whose_guard_it_names() {
        let store = MemoryStore::new();
        let query = || Query::tags([tag()]);
        let boundaries = [
            Boundary::stream(stream("a")).and(query()),
            Boundary::query(query()),
            Boundary::stream(stream("b")),
        ];
        let reading = Reading::<(Count, Count, Count)>::new(&store, None, &boundaries);
        for (guard, part) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 0)] {
            let actual = Actual::Version(None);
            assert_eq!(reading.part(&Conflict { guard, actual }), part, "{guard}");
        }
    }
}
