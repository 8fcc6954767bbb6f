use eventwire_store::{Query, QueryItem, Scope};

use super::Index;

/// A query, resolved to the lists of positions that decide it: no event is looked at.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    items: Vec<Item<'a>>,
    last: u64,
}

/// One alternative: a position matches where it is in every clause.
#[derive(Debug)]
struct Item<'a> {
    clauses: Vec<Clause<'a>>,
}

/// A position is in it where any of its lists holds it.
#[derive(Debug)]
struct Clause<'a> {
    lists: Vec<&'a [u64]>,
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
    pub(crate) fn new(index: &'a Index, query: &'a Query) -> Self {
        Self {
            items: query
                .items()
                .iter()
                .map(|item| Item::new(index, item))
                .collect(),
            last: index.last(),
        }
    }

    /// The first match above a position, however far.
    pub(crate) fn first_after(&self, position: u64) -> Option<u64> {
        let from = position.checked_add(1)?;
        let mut looks = usize::MAX;
        match self.forward(from, self.last, &mut looks) {
            Next::At(found) => Some(found),
            Next::LookedTo(_) | Next::Nothing => None,
        }
    }

    /// The first match from `from` to `to`, both included, in at most `looks` looks.
    pub(crate) fn forward(&self, from: u64, to: u64, looks: &mut usize) -> Next {
        let mut nearest = Next::Nothing;
        for item in &self.items {
            let next = item.forward(from, to, looks);
            nearest = match (nearest, next) {
                (Next::Nothing, next) => next,
                (nearest, Next::Nothing) => nearest,
                (nearest, next) if next.place() < nearest.place() => next,
                // A match at the same place counts, whoever else has yet to look there.
                (Next::LookedTo(tired), Next::At(found)) if tired == found => next,
                (nearest, _) => nearest,
            };
        }
        nearest
    }

    /// The last match from `from` down to position 1, in at most `looks` looks.
    pub(crate) fn backward(&self, from: u64, looks: &mut usize) -> Next {
        let mut nearest = Next::Nothing;
        for item in &self.items {
            let next = item.backward(from, looks);
            nearest = match (nearest, next) {
                (Next::Nothing, next) => next,
                (nearest, Next::Nothing) => nearest,
                (nearest, next) if next.place() > nearest.place() => next,
                (Next::LookedTo(tired), Next::At(found)) if tired == found => next,
                (nearest, _) => nearest,
            };
        }
        nearest
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

impl<'a> Item<'a> {
    fn new(index: &'a Index, item: &'a QueryItem) -> Self {
        let scope = match item.scope() {
            Scope::Log => None,
            Scope::Streams(names) => Some(Clause {
                lists: names.iter().map(|name| index.streams.list(name)).collect(),
            }),
            Scope::Category(name) => Some(Clause {
                lists: vec![index.categories.list(name)],
            }),
            // A kind of scope that has no index yet finds nothing.
            _ => Some(Clause { lists: Vec::new() }),
        };
        let types = (!item.types().is_empty()).then(|| Clause {
            lists: item
                .types()
                .iter()
                .map(|name| index.types.list(name))
                .collect(),
        });
        let tags = item.tags().iter().map(|tag| Clause {
            lists: vec![index.tags.list(tag)],
        });
        Self {
            clauses: scope.into_iter().chain(types).chain(tags).collect(),
        }
    }

    /// Leaps from clause to clause until all of them hold the same position.
    fn forward(&self, from: u64, to: u64, looks: &mut usize) -> Next {
        let mut at = from;
        while at <= to {
            let mut highest = at;
            for clause in &self.clauses {
                match clause.first_from(at) {
                    Some(position) => highest = highest.max(position),
                    None => return Next::Nothing,
                }
            }
            if highest == at {
                return Next::At(at);
            }
            at = highest;
            match looks.checked_sub(1) {
                Some(left) => *looks = left,
                None if at <= to => return Next::LookedTo(at),
                None => break,
            }
        }
        Next::Nothing
    }

    fn backward(&self, from: u64, looks: &mut usize) -> Next {
        let mut at = from;
        while at > 0 {
            let mut lowest = at;
            for clause in &self.clauses {
                match clause.last_to(at) {
                    Some(position) => lowest = lowest.min(position),
                    None => return Next::Nothing,
                }
            }
            if lowest == at {
                return Next::At(at);
            }
            at = lowest;
            match looks.checked_sub(1) {
                Some(left) => *looks = left,
                None => return Next::LookedTo(at),
            }
        }
        Next::Nothing
    }
}

impl Clause<'_> {
    /// The lowest position at or above `from`.
    fn first_from(&self, from: u64) -> Option<u64> {
        let first = |list: &&[u64]| list.get(list.partition_point(|&at| at < from)).copied();
        self.lists.iter().filter_map(first).min()
    }

    /// The highest position at or below `to`.
    fn last_to(&self, to: u64) -> Option<u64> {
        let last = |list: &&[u64]| {
            let count = list.partition_point(|&at| at <= to);
            count.checked_sub(1).map(|index| list[index])
        };
        self.lists.iter().filter_map(last).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eventwire_store::{Category, EventRef, EventType, StreamName, Tag};
    use proptest::prelude::*;

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
        proptest::collection::vec(event, 0..40)
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

    proptest! {
        /// Looking at every event is the definition; the search must agree with it from
        /// every place, in both directions, however often it has to come back.
        #[test]
        fn a_search_finds_what_looking_at_every_event_finds(
            events in events(),
            query in (item(), item()).prop_map(|(one, other)| one.or(other)),
            looks in 0usize..3,
        ) {
            let mut index = Index::default();
            for event in &events {
                index.push(event.as_ref(), 0, 0);
            }
            let last = index.last();
            let matches: Vec<u64> = (1..=last)
                .zip(&events)
                .filter(|(_, event)| query.matches(event.as_ref()))
                .map(|(position, _)| position)
                .collect();
            let search = Search::new(&index, &query);

            let mut found = Vec::new();
            let mut from = 1;
            loop {
                match search.forward(from, last, &mut looks.clone()) {
                    Next::At(position) => { found.push(position); from = position + 1; }
                    Next::LookedTo(position) => { prop_assert!(position > from); from = position; }
                    Next::Nothing => break,
                }
            }
            prop_assert_eq!(&found, &matches);

            let mut found = Vec::new();
            let mut from = last;
            loop {
                match search.backward(from, &mut looks.clone()) {
                    Next::At(position) => { found.push(position); from = position - 1; }
                    Next::LookedTo(position) => { prop_assert!(position < from); from = position; }
                    Next::Nothing => break,
                }
            }
            found.reverse();
            prop_assert_eq!(&found, &matches);

            for after in 0..=last {
                let expected = matches.iter().copied().find(|&position| position > after);
                prop_assert_eq!(search.first_after(after), expected);
            }
        }
    }
}
