use eventwire_store::{
    Append, Capabilities, Direction, Expect, Fingerprint, Guard, NewEvent, Position, Query,
    ReadOptions, Version,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::sample::{category, consumer, event_type, key, stream, tag};

const STREAMS: &[&str] = &["a-1", "a-2", "b-1", "b"];
const CATEGORIES: &[&str] = &["a", "b", "c"];
const TYPES: &[&str] = &["opened", "posted", "closed"];
const TAGS: &[&str] = &["x", "y", "z"];
const CONSUMERS: &[&str] = &["view", "mailer"];
const KEYS: &[&str] = &["k1", "k2", "k3"];

/// Something a client does, said without positions, which each store gives as it likes.
///
/// The names in it are few, so that operations get into each other's way.
#[derive(Debug, Clone)]
pub struct Operation(pub(crate) Step);

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Append(Draft),
    Read(Reading),
    Recall(&'static str),
}

/// An append whose places are still to be found.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    events: Vec<NewEvent>,
    guards: Vec<DraftGuard>,
    key: Option<&'static str>,
    fingerprint: Option<u8>,
    consumed: Option<(&'static str, Place)>,
}

#[derive(Debug, Clone)]
enum DraftGuard {
    Stream(&'static str, Expect),
    NoMatch(Query, Place),
}

#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) query: Query,
    direction: DraftDirection,
    limit: Option<usize>,
}

#[derive(Debug, Clone)]
enum DraftDirection {
    Forward(Place),
    Backward(Option<Place>),
}

/// A place in a log of whatever length it has by then.
#[derive(Debug, Clone, Copy)]
enum Place {
    Origin,
    /// That of an event, counted from the end and round again.
    Event(usize),
    /// Above every event, and not above everything.
    Above,
    Max,
}

impl Operation {
    /// Any operation that asks for nothing a store cannot do.
    pub fn any(capabilities: &Capabilities) -> impl Strategy<Value = Self> + use<> {
        let step = prop_oneof![
            6 => draft(capabilities).prop_map(Step::Append),
            4 => reading().prop_map(Step::Read),
            1 => select(KEYS).prop_map(Step::Recall),
        ];
        step.prop_map(Self)
    }
}

impl Draft {
    /// The append, for a log whose events have these places.
    pub(crate) fn resolve(&self, places: &[Position]) -> Append {
        let append = Append::new().extend(self.events.iter().cloned());
        let guards = self.guards.iter().map(|guard| guard.resolve(places));
        let mut append = guards.fold(append, Append::guard);
        if let Some(name) = self.key {
            append = append.key(key(name));
        }
        if let Some(print) = self.fingerprint {
            append = append.fingerprint(Fingerprint::of([[print].as_slice()]));
        }
        if let Some((name, place)) = self.consumed {
            append = append.consumed(consumer(name), place.resolve(places));
        }
        append
    }
}

impl DraftGuard {
    fn resolve(&self, places: &[Position]) -> Guard {
        match self {
            Self::Stream(name, expect) => Guard::Stream {
                stream: stream(name),
                expect: *expect,
            },
            Self::NoMatch(query, after) => Guard::NoMatch {
                query: query.clone(),
                after: after.resolve(places),
            },
        }
    }
}

impl Reading {
    /// The options, for a log whose events have these places.
    pub(crate) fn resolve(&self, places: &[Position]) -> ReadOptions {
        let options = match self.direction {
            DraftDirection::Forward(after) => ReadOptions::after(after.resolve(places)),
            DraftDirection::Backward(None) => ReadOptions::backward(),
            DraftDirection::Backward(Some(before)) => ReadOptions::before(before.resolve(places)),
        };
        match self.limit {
            Some(limit) => options.limit(limit),
            None => options,
        }
    }

    /// Whether the read is one that ends by saying that it has caught up.
    pub(crate) fn catches_up(&self, options: ReadOptions) -> bool {
        self.limit.is_none() && matches!(options.direction(), Direction::Forward { .. })
    }
}

impl Place {
    fn resolve(self, places: &[Position]) -> Position {
        match self {
            Self::Event(back) if !places.is_empty() => {
                places[places.len() - 1 - back % places.len()]
            }
            Self::Origin | Self::Event(_) => Position::ORIGIN,
            Self::Above => Position::from_parts(u64::MAX, 0),
            Self::Max => Position::MAX,
        }
    }
}

fn draft(capabilities: &Capabilities) -> impl Strategy<Value = Draft> + use<> {
    let events = prop_oneof![1 => Just(Vec::new()), 12 => vec(event(), 1..4)];
    let guards = vec(guard(capabilities), 0..3);
    let key = option::weighted(0.3, select(KEYS));
    let fingerprint = option::weighted(0.2, 0..2_u8);
    let is_consumed = capabilities.consumed;
    let consumed = option::weighted(0.2, (select(CONSUMERS), place()))
        .prop_map(move |consumed| consumed.filter(|_| is_consumed));
    let parts = (events, guards, key, fingerprint, consumed);
    parts.prop_map(|(events, guards, key, fingerprint, consumed)| Draft {
        events,
        guards,
        key,
        fingerprint,
        consumed,
    })
}

fn event() -> impl Strategy<Value = NewEvent> {
    let parts = (
        select(TYPES),
        option::weighted(0.8, select(STREAMS)),
        vec(select(TAGS), 0..3),
        vec(any::<u8>(), 0..4),
        vec(any::<u8>(), 0..2),
    );
    parts.prop_map(|(kind, name, tags, data, metadata)| {
        let event = NewEvent::new(event_type(kind), data).metadata(metadata);
        let event = tags
            .into_iter()
            .fold(event, |event, name| event.tag(tag(name)));
        match name {
            Some(name) => event.stream(stream(name)),
            None => event,
        }
    })
}

fn guard(capabilities: &Capabilities) -> BoxedStrategy<DraftGuard> {
    let expect = prop_oneof![
        Just(Expect::Any),
        Just(Expect::NoStream),
        Just(Expect::Exists),
        (1..6_u64).prop_map(|number| Version::new(number).map_or(Expect::Any, Expect::Exact)),
    ];
    let on_stream =
        (select(STREAMS), expect).prop_map(|(name, expect)| DraftGuard::Stream(name, expect));
    let after = prop_oneof![12 => place(), 1 => Just(Place::Above)];
    let no_match = (query(), after).prop_map(|(query, after)| DraftGuard::NoMatch(query, after));
    if capabilities.query_guards {
        prop_oneof![on_stream, no_match].boxed()
    } else {
        on_stream.boxed()
    }
}

fn reading() -> impl Strategy<Value = Reading> {
    let direction = prop_oneof![
        place().prop_map(DraftDirection::Forward),
        option::of(place()).prop_map(DraftDirection::Backward),
    ];
    (query(), direction, option::of(0..5_usize)).prop_map(|(query, direction, limit)| Reading {
        query,
        direction,
        limit,
    })
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        2 => Just(Place::Origin),
        8 => (0..12_usize).prop_map(Place::Event),
        1 => Just(Place::Max),
    ]
}

/// Any query: one item most of the time.
pub(crate) fn query() -> impl Strategy<Value = Query> {
    vec(item(), 1..3).prop_map(|items| {
        items
            .into_iter()
            .reduce(Query::or)
            .unwrap_or_else(Query::all)
    })
}

fn item() -> impl Strategy<Value = Query> {
    let scope = prop_oneof![
        Just(Query::all()),
        vec(select(STREAMS), 0..3).prop_map(|names| Query::streams(names.into_iter().map(stream))),
        select(CATEGORIES).prop_map(|name| Query::category(category(name))),
    ];
    let types = vec(select(TYPES), 0..2);
    let tags = vec(select(TAGS), 0..3);
    (scope, types, tags).prop_map(|(scope, types, tags)| {
        let types = types.into_iter().map(event_type);
        scope.of_types(types).with_tags(tags.into_iter().map(tag))
    })
}

#[cfg(test)]
mod tests {
    use eventwire_store::{EventStore, MemoryStore};
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    use super::*;

    #[test]
    fn a_store_is_asked_for_nothing_that_it_cannot_do() {
        let mut capabilities = MemoryStore::new().capabilities();
        let asks = |capabilities: &Capabilities| {
            let (mut query_guards, mut consumed) = (0, 0);
            let mut runner = TestRunner::deterministic();
            for _ in 0..500 {
                let operation = Operation::any(capabilities).new_tree(&mut runner).unwrap();
                if let Operation(Step::Append(draft)) = operation.current() {
                    let append = draft.resolve(&[]);
                    let is_query = |guard: &&Guard| matches!(guard, Guard::NoMatch { .. });
                    query_guards += append.guards().iter().filter(is_query).count();
                    consumed += usize::from(append.consumption().is_some());
                }
            }
            (query_guards > 0, consumed > 0)
        };
        assert_eq!(asks(&capabilities), (true, true));
        capabilities.query_guards = false;
        assert_eq!(asks(&capabilities), (false, true));
        capabilities.consumed = false;
        assert_eq!(asks(&capabilities), (false, false));
    }
}
