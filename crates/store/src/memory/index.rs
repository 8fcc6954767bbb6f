use std::collections::VecDeque;
use std::hash::Hash;

use foldhash::HashMap;

use crate::event::RecordedEvent;
use crate::memory::candidates::Candidates;
use crate::memory::held::{Held, place_of, position_at};
use crate::name::{Category, EventType, StreamName, Tag};
use crate::position::{Position, Version};
use crate::query::{Query, QueryItem, Scope};

/// Where the events of each stream, category, type and tag are.
///
/// Invariant: each list holds the rising places of exactly the held events of its key. A
/// stream stays when its events go.
#[derive(Debug, Default)]
pub(super) struct Index {
    streams: HashMap<StreamName, Stream>,
    categories: HashMap<Category, VecDeque<u64>>,
    types: HashMap<EventType, VecDeque<u64>>,
    tags: HashMap<Tag, VecDeque<u64>>,
}

/// What is known of a stream.
#[derive(Debug)]
pub(super) struct Stream {
    category: Category,
    pub(super) places: VecDeque<u64>,
    /// Of the last event ever appended to it.
    pub(super) version: Version,
    /// The last place at which an event of it was dropped.
    pub(super) dropped_to: Position,
    pub(super) is_deleted: bool,
}

/// What an item asks for that there are lists of.
#[derive(Clone, Copy)]
enum Condition<'q> {
    Scope,
    Types,
    Tag(&'q Tag),
}

impl Index {
    pub(super) fn stream(&self, name: &StreamName) -> Option<&Stream> {
        self.streams.get(name)
    }

    pub(super) fn stream_mut(&mut self, name: &StreamName) -> Option<&mut Stream> {
        self.streams.get_mut(name)
    }

    pub(super) fn insert(&mut self, event: &RecordedEvent) {
        let place = place_of(event.position);
        if let Some(at) = &event.stream {
            let stream = self.streams.entry(at.name.clone());
            let stream = stream.or_insert_with(|| Stream::new(at.name.category()));
            stream.places.push_back(place);
            stream.version = at.version;
            list_of(&mut self.categories, &stream.category).push_back(place);
        }
        list_of(&mut self.types, &event.event_type).push_back(place);
        for tag in event.tags.iter() {
            list_of(&mut self.tags, tag).push_back(place);
        }
    }

    /// Forgets an event that was dropped.
    pub(super) fn remove(&mut self, event: &RecordedEvent) {
        let place = place_of(event.position);
        if let Some(name) = event.stream_name() {
            let stream = self
                .streams
                .get_mut(name)
                .expect("an event's stream is known");
            remove(&mut stream.places, place);
            stream.dropped_to = stream.dropped_to.max(event.position);
            remove_from(&mut self.categories, &stream.category, place);
        }
        remove_from(&mut self.types, &event.event_type, place);
        for tag in event.tags.iter() {
            remove_from(&mut self.tags, tag, place);
        }
    }

    /// The last place at which something was dropped that readers of this query are told of.
    pub(super) fn dropped_to(&self, held: &Held, query: &Query) -> Position {
        let of_item = |item: &QueryItem| match item.scope() {
            Scope::Streams(names) => {
                let streams = names.iter().filter_map(|name| self.streams.get(name));
                streams
                    .map(|stream| stream.dropped_to)
                    .max()
                    .unwrap_or_default()
            }
            Scope::Log | Scope::Category(_) => position_at(held.dropped()),
        };
        query.items().iter().map(of_item).max().unwrap_or_default()
    }

    /// Where the indexes say that a query's matches can be: for each item, the narrowest of its
    /// lists.
    pub(super) fn candidates<'a>(&'a self, held: &'a Held, query: &Query) -> Candidates<'a> {
        let mut candidates = Candidates::none(held);
        for item in query.items() {
            let conditions = conditions(item);
            candidates.are_matches &= conditions.clone().count() <= 1;
            let narrowest = conditions.min_by_key(|&condition| {
                let mut places = 0;
                self.each_list(item, condition, |list| places += list.len());
                places
            });
            match narrowest {
                Some(condition) => self.each_list(item, condition, |list| candidates.add(list)),
                None => return Candidates::log(held, true),
            }
        }
        candidates
    }

    fn each_list<'a>(
        &'a self,
        item: &QueryItem,
        condition: Condition<'_>,
        mut show: impl FnMut(&'a VecDeque<u64>),
    ) {
        match (condition, item.scope()) {
            (Condition::Scope, Scope::Streams(names)) => {
                let streams = names.iter().filter_map(|name| self.streams.get(name));
                streams.for_each(|stream| show(&stream.places));
            }
            (Condition::Scope, Scope::Category(category)) => {
                self.categories.get(category).into_iter().for_each(show);
            }
            (Condition::Scope, Scope::Log) => {}
            (Condition::Types, _) => {
                let types = item.types().iter();
                types.filter_map(|name| self.types.get(name)).for_each(show);
            }
            (Condition::Tag(tag), _) => self.tags.get(tag).into_iter().for_each(show),
        }
    }
}

/// All of an item's conditions; none where it asks for the whole log.
fn conditions(item: &QueryItem) -> impl Iterator<Item = Condition<'_>> + Clone {
    let scope = (*item.scope() != Scope::Log).then_some(Condition::Scope);
    let types = (!item.types().is_empty()).then_some(Condition::Types);
    let tags = item.tags().iter().map(Condition::Tag);
    tags.chain(types).chain(scope)
}

impl Stream {
    fn new(category: Category) -> Self {
        Self {
            category,
            places: VecDeque::new(),
            version: Version::FIRST,
            dropped_to: Position::ORIGIN,
            is_deleted: false,
        }
    }
}

fn list_of<'a, K: Hash + Eq + Clone>(
    lists: &'a mut HashMap<K, VecDeque<u64>>,
    key: &K,
) -> &'a mut VecDeque<u64> {
    if !lists.contains_key(key) {
        lists.insert(key.clone(), VecDeque::new());
    }
    lists.get_mut(key).expect("inserted where it was missing")
}

fn remove_from<K: Hash + Eq>(lists: &mut HashMap<K, VecDeque<u64>>, key: &K, place: u64) {
    let list = lists
        .get_mut(key)
        .expect("an event is in the lists of its keys");
    remove(list, place);
    if list.is_empty() {
        lists.remove(key);
    }
}

fn remove(list: &mut VecDeque<u64>, place: u64) {
    let index = list
        .binary_search(&place)
        .expect("an event is in the lists of its keys");
    list.remove(index);
}
