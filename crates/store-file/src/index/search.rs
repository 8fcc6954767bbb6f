use eventwire_store::Query;

use super::View;
use super::file::BadIndex;
use super::hidden::Hidden;
use super::item::Item;
use super::list::{FileList, List};
use super::memory::Slot;
use super::section::Column;

/// A query in one index, resolved to the lists of positions that decide it: no event is
/// looked at.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    items: Vec<Item<'a>>,
    view: View<'a>,
    first: u64,
    slots: Option<Column<'a>>,
    hidden: Hidden,
}

/// What a search came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The nearest match.
    At(u64),
    /// It has looked as often as it was allowed to. There is no match before this position,
    /// which is still to be looked at.
    LookedTo(u64),
    /// There is no match.
    Nothing,
}

impl<'a> Search<'a> {
    pub(crate) fn new(view: View<'a>, query: &Query) -> Result<Self, BadIndex> {
        let items = query.items().iter();
        let (first, slots) = match view {
            View::Memory(index) => (index.first(), None),
            View::File(index) => (index.first(), Some(index.slots())),
        };
        Ok(Self {
            items: items
                .map(|item| Item::new(view, first, item))
                .collect::<Result<_, _>>()?,
            view,
            first,
            slots,
            hidden: Hidden::default(),
        })
    }

    /// The same search, which does not see what is hidden.
    pub(crate) fn without(self, hidden: Hidden) -> Self {
        Self { hidden, ..self }
    }

    /// The place of the event at a position, which is in the segment.
    pub(crate) fn slot(&self, position: u64) -> Result<Slot, BadIndex> {
        match (self.view, &self.slots) {
            (View::File(_), Some(slots)) => match self.listed_slot(position) {
                Some(slot) => Ok(slot),
                None => slots.slot(position - self.first),
            },
            (View::File(index), None) => index.slots().slot(position - self.first),
            (View::Memory(index), _) => Ok(index.slot(position)),
        }
    }

    /// The same, where a list has it that was looked at last.
    fn listed_slot(&self, position: u64) -> Option<Slot> {
        for clause in self.items.iter().flat_map(|item| &item.clauses) {
            for list in &clause.lists {
                if let Some(slot) = list.slot(position) {
                    return Some(slot);
                }
            }
        }
        None
    }

    /// The first match above a position, however far.
    pub(crate) fn first_after(&self, position: u64) -> Result<Option<u64>, BadIndex> {
        let from = position.saturating_add(1);
        let mut looks = usize::MAX;
        Ok(match self.forward(from, self.view.last(), &mut looks)? {
            Next::At(found) => Some(found),
            Next::LookedTo(_) | Next::Nothing => None,
        })
    }

    /// Visits the matches from `from` to `to`, both included, by rising positions, in at most
    /// `looks` looks. Stops with the first that is refused, which is the nearest then.
    pub(crate) fn each_forward(
        &self,
        mut from: u64,
        to: u64,
        looks: &mut usize,
        mut take: impl FnMut(u64, Slot) -> bool,
    ) -> Result<Next, BadIndex> {
        if let Some(list) = self.only_list() {
            let refused = list.each_from(from, to, take)?;
            return Ok(refused.map_or(Next::Nothing, Next::At));
        }
        loop {
            match self.forward(from, to, looks)? {
                Next::At(position) if take(position, self.slot(position)?) => from = position + 1,
                next => return Ok(next),
            }
        }
    }

    /// The list that has just what matches, where there is one.
    fn only_list(&self) -> Option<&FileList<'a>> {
        let [item] = &self.items[..] else {
            return None;
        };
        let [clause] = &item.clauses[..] else {
            return None;
        };
        match &clause.lists[..] {
            [List::File(list)] if self.hidden.is_empty() => Some(list),
            _ => None,
        }
    }

    /// The first match from `from` to `to`, both included, in at most `looks` looks.
    pub(crate) fn forward(
        &self,
        mut from: u64,
        to: u64,
        looks: &mut usize,
    ) -> Result<Next, BadIndex> {
        loop {
            let next = self.nearest_forward(from, to, looks)?;
            let Next::At(position) = next else {
                return Ok(next);
            };
            from = self.hidden.shown_from(position);
            match looks.checked_sub(1) {
                _ if from == position => return Ok(next),
                _ if from > to => return Ok(Next::Nothing),
                Some(left) => *looks = left,
                None => return Ok(Next::LookedTo(from)),
            }
        }
    }

    fn nearest_forward(&self, from: u64, to: u64, looks: &mut usize) -> Result<Next, BadIndex> {
        let mut nearest = Next::Nothing;
        for item in &self.items {
            let next = item.forward(from, to, looks)?;
            nearest = match (nearest, next) {
                (Next::Nothing, next) => next,
                (nearest, Next::Nothing) => nearest,
                (nearest, next) if next.place() < nearest.place() => next,
                // A match at the same place counts, whoever else has yet to look there.
                (Next::LookedTo(tired), Next::At(found)) if tired == found => next,
                (nearest, _) => nearest,
            };
        }
        Ok(nearest)
    }

    /// The last match from `from` down to the segment's first, in at most `looks` looks.
    pub(crate) fn backward(&self, mut from: u64, looks: &mut usize) -> Result<Next, BadIndex> {
        loop {
            let next = self.nearest_backward(from, looks)?;
            let Next::At(position) = next else {
                return Ok(next);
            };
            from = self.hidden.shown_to(position);
            match looks.checked_sub(1) {
                _ if from == position => return Ok(next),
                _ if from < self.first => return Ok(Next::Nothing),
                Some(left) => *looks = left,
                None => return Ok(Next::LookedTo(from)),
            }
        }
    }

    fn nearest_backward(&self, from: u64, looks: &mut usize) -> Result<Next, BadIndex> {
        let mut nearest = Next::Nothing;
        for item in &self.items {
            let next = item.backward(from, looks)?;
            nearest = match (nearest, next) {
                (Next::Nothing, next) => next,
                (nearest, Next::Nothing) => nearest,
                (nearest, next) if next.place() > nearest.place() => next,
                (Next::LookedTo(tired), Next::At(found)) if tired == found => next,
                (nearest, _) => nearest,
            };
        }
        Ok(nearest)
    }
}

impl Next {
    /// Meaningless for `Nothing`, which is matched before.
    fn place(self) -> u64 {
        match self {
            Self::At(place) | Self::LookedTo(place) => place,
            Self::Nothing => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Noted;
    use crate::index::{FileIndex, MemoryIndex, Origin, PageCache, SealedIndex, write};
    use crate::segment::{FRAMES_FROM, Segment};
    use crate::storage::simulated::Simulated;
    use eventwire_store::{Category, EventRef, EventType, StreamName, Tag};
    use proptest::prelude::*;
    use std::sync::Arc;

    #[derive(Debug, Clone)]
    struct Event {
        stream: Option<StreamName>,
        event_type: EventType,
        tags: Vec<Tag>,
    }

    impl Event {
        fn as_ref(&self) -> EventRef<'_> {
            EventRef {
                stream: self.stream.as_ref(),
                event_type: &self.event_type,
                tags: &self.tags,
            }
        }
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = (
            proptest::option::of(proptest::sample::select(vec!["a-1", "a-2", "b-1", "c"])),
            proptest::sample::select(vec!["x", "y", "z"]),
            proptest::sample::subsequence(vec!["t", "u", "v"], 0..=3),
        )
            .prop_map(|(stream, event_type, tags)| Event {
                stream: stream.map(|name| StreamName::new(name).unwrap()),
                event_type: EventType::new(event_type).unwrap(),
                tags: tags.into_iter().map(|tag| Tag::new(tag).unwrap()).collect(),
            });
        proptest::collection::vec(event, 1..40)
    }

    fn item() -> impl Strategy<Value = Query> {
        let streams = proptest::sample::subsequence(vec!["a-1", "b-1", "absent"], 0..=3);
        let scope = prop_oneof![
            Just(Query::all()),
            streams.prop_map(|names| Query::streams(
                names.into_iter().map(|name| StreamName::new(name).unwrap())
            )),
            Just(Query::category(Category::new("a").unwrap())),
        ];
        let types = proptest::sample::subsequence(vec!["x", "y"], 0..=2);
        let tags = proptest::sample::subsequence(vec!["t", "u"], 0..=2);
        (scope, types, tags).prop_map(|(scope, types, tags)| {
            scope
                .of_types(types.into_iter().map(|name| EventType::new(name).unwrap()))
                .with_tags(tags.into_iter().map(|tag| Tag::new(tag).unwrap()))
        })
    }

    /// The index of a segment of these events, as a file.
    fn filed(medium: &Simulated, index: MemoryIndex) -> FileIndex {
        let segment = Arc::new(Segment::for_index(medium, index.first()));
        let sealed = SealedIndex {
            segment: Arc::clone(&segment),
            end: 0,
            origin: Origin::Appended,
            index,
            noted: Noted::default(),
            last_frame: FRAMES_FROM,
        };
        write(medium, &sealed).unwrap();
        FileIndex::open(
            medium,
            &segment,
            segment.first,
            &Arc::new(PageCache::default()),
        )
        .unwrap()
    }

    proptest! {
        /// Looking at every event is the definition; the search must agree with it from
        /// every place, in both directions, however often it has to come back, in memory and
        /// in a file.
        #[test]
        fn a_search_finds_what_looking_at_every_event_finds(
            events in events(),
            query in (item(), item()).prop_map(|(one, other)| one.or(other)),
            looks in 0usize..3,
            first in 1u64..4,
            dropped in proptest::collection::vec(1u64..40, 0..20),
        ) {
            let mut index = MemoryIndex::new(first);
            for (offset, event) in (64..).step_by(8).zip(&events) {
                index.push(event.as_ref(), 3, offset, 7);
            }
            let matches: Vec<u64> = (first..)
                .zip(&events)
                .filter(|(_, event)| query.matches(event.as_ref()))
                .map(|(position, _)| position)
                .filter(|position| !dropped.contains(position))
                .collect();
            let hidden = Hidden::default().with(dropped);
            agrees(View::Memory(&index), &query, &hidden, looks, &matches)?;
            let medium = Simulated::new(0);
            let file = filed(&medium, index);
            agrees(View::File(&file), &query, &hidden, looks, &matches)?;
        }
    }

    fn agrees(
        view: View<'_>,
        query: &Query,
        hidden: &Hidden,
        looks: usize,
        matches: &[u64],
    ) -> Result<(), TestCaseError> {
        let search = Search::new(view, query).unwrap().without(hidden.clone());
        let (first, last) = (search.first, view.last());
        for position in first..=last {
            prop_assert_eq!(
                search.slot(position).unwrap().offset,
                64 + 8 * (position - first)
            );
        }

        let mut found = Vec::new();
        let mut from = first;
        loop {
            match search.forward(from, last, &mut looks.clone()).unwrap() {
                Next::At(position) => {
                    found.push(position);
                    from = position + 1;
                }
                Next::LookedTo(position) => {
                    prop_assert!(position > from);
                    from = position;
                }
                Next::Nothing => break,
            }
        }
        prop_assert_eq!(&found, matches);

        // By visiting, with a refusal now and then.
        let mut found = Vec::new();
        let mut from = first;
        loop {
            let mut left = looks + 1;
            let take = |position, slot: Slot| {
                let is_taken = left > 0;
                left = left.saturating_sub(1);
                if is_taken {
                    assert_eq!(slot.offset, 64 + 8 * (position - first));
                    found.push(position);
                }
                is_taken
            };
            match search
                .each_forward(from, last, &mut looks.clone(), take)
                .unwrap()
            {
                Next::At(position) | Next::LookedTo(position) => {
                    prop_assert!(position > from);
                    from = position;
                }
                Next::Nothing => break,
            }
        }
        prop_assert_eq!(&found, matches);

        let mut found = Vec::new();
        let mut from = last;
        loop {
            match search.backward(from, &mut looks.clone()).unwrap() {
                Next::At(position) => {
                    found.push(position);
                    from = position - 1;
                }
                Next::LookedTo(position) => {
                    prop_assert!(position < from);
                    from = position;
                }
                Next::Nothing => break,
            }
        }
        found.reverse();
        prop_assert_eq!(&found, matches);

        for after in first - 1..=last {
            let expected = matches.iter().copied().find(|&position| position > after);
            prop_assert_eq!(search.first_after(after).unwrap(), expected);
        }
        Ok(())
    }
}
