use std::sync::{Arc, LazyLock};

use crate::name::{Category, EventType, StreamName, Tag};

/// Which events: a disjunction of [`QueryItem`]s.
///
/// Owned, and cloning it is a reference count. An event matches where at least one item
/// matches it; it is shown once however many do.
///
/// ```
/// use eventwire_store::{Query, StreamName, Tag};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let room = Query::stream(StreamName::new("room-1")?);
/// let ada = Query::tags([Tag::new("user:ada")?]);
/// let either = room.or(ada);
/// # assert_eq!(either.items().len(), 2);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Query {
    items: Arc<[QueryItem]>,
}

/// One alternative of a [`Query`]: all three of its conditions hold together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct QueryItem {
    scope: Scope,
    types: Vec<EventType>,
    tags: Vec<Tag>,
}

/// Where an item looks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Scope {
    /// The whole log, events without a stream included.
    #[default]
    Log,
    /// Any of these streams.
    Streams(Vec<StreamName>),
    /// Every stream of a category.
    Category(Category),
}

/// What a query looks at in an event.
#[derive(Debug, Clone, Copy)]
pub struct EventRef<'a> {
    /// The stream it is in, or is going to.
    pub stream: Option<&'a StreamName>,
    /// What happened.
    pub event_type: &'a EventType,
    /// Its tags.
    pub tags: &'a [Tag],
}

impl Query {
    /// Every event.
    #[must_use]
    pub fn all() -> Self {
        /// One for all of them: those who follow everything are many.
        static ALL: LazyLock<Query> = LazyLock::new(|| Query::from(QueryItem::default()));
        ALL.clone()
    }

    /// The events of one stream.
    #[must_use]
    pub fn stream(stream: StreamName) -> Self {
        Self::streams([stream])
    }

    /// The events of any of these streams; of none, where there are none.
    #[must_use]
    pub fn streams(streams: impl IntoIterator<Item = StreamName>) -> Self {
        let scope = Scope::Streams(streams.into_iter().collect());
        Self::from(QueryItem {
            scope,
            ..QueryItem::default()
        })
    }

    /// The events of every stream of a category.
    #[must_use]
    pub fn category(category: Category) -> Self {
        Self::from(QueryItem {
            scope: Scope::Category(category),
            ..QueryItem::default()
        })
    }

    /// The events of any of these types.
    #[must_use]
    pub fn types(types: impl IntoIterator<Item = EventType>) -> Self {
        Self::all().of_types(types)
    }

    /// The events that carry all of these tags.
    #[must_use]
    pub fn tags(tags: impl IntoIterator<Item = Tag>) -> Self {
        Self::all().with_tags(tags)
    }

    /// Narrows every item to events of any of these types; no types leave it as it is.
    #[must_use]
    pub fn of_types(self, types: impl IntoIterator<Item = EventType>) -> Self {
        let types: Vec<_> = types.into_iter().collect();
        self.each(|item| item.types.extend_from_slice(&types))
    }

    /// Narrows every item to events that also carry all of these tags.
    #[must_use]
    pub fn with_tags(self, tags: impl IntoIterator<Item = Tag>) -> Self {
        let tags: Vec<_> = tags.into_iter().collect();
        self.each(|item| item.tags.extend_from_slice(&tags))
    }

    /// The events of this query and those of the other.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "reads as a sum of two queries, and both are reference counts"
    )]
    pub fn or(self, other: Self) -> Self {
        Self {
            items: self
                .items
                .iter()
                .chain(other.items.iter())
                .cloned()
                .collect(),
        }
    }

    /// The alternatives. An empty list matches nothing.
    #[must_use]
    pub fn items(&self) -> &[QueryItem] {
        &self.items
    }

    /// Whether an event is one of those asked for.
    #[must_use]
    pub fn matches(&self, event: EventRef<'_>) -> bool {
        self.items.iter().any(|item| item.matches(event))
    }

    fn each(self, narrow: impl Fn(&mut QueryItem)) -> Self {
        let mut items = self.items.to_vec();
        items.iter_mut().for_each(narrow);
        Self {
            items: items.into(),
        }
    }
}

impl From<QueryItem> for Query {
    fn from(item: QueryItem) -> Self {
        Self {
            items: Arc::new([item]),
        }
    }
}

impl QueryItem {
    /// Where it looks.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The event's type is any of these; any type, where there are none.
    #[must_use]
    pub fn types(&self) -> &[EventType] {
        &self.types
    }

    /// The event carries all of these.
    #[must_use]
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// Whether all conditions hold for an event.
    #[must_use]
    pub fn matches(&self, event: EventRef<'_>) -> bool {
        self.scope.contains(event.stream)
            && (self.types.is_empty() || self.types.contains(event.event_type))
            && self.tags.iter().all(|tag| event.tags.contains(tag))
    }
}

impl Scope {
    fn contains(&self, stream: Option<&StreamName>) -> bool {
        match self {
            Self::Log => true,
            Self::Streams(streams) => stream.is_some_and(|stream| streams.contains(stream)),
            Self::Category(category) => stream.is_some_and(|stream| stream.is_in(category)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(query: &Query, stream: Option<&str>, event_type: &str, tags: &[&str]) -> bool {
        let stream = stream.map(|name| StreamName::new(name).unwrap());
        let tags: Vec<_> = tags.iter().map(|tag| Tag::new(*tag).unwrap()).collect();
        let event_type = EventType::new(event_type).unwrap();
        query.matches(EventRef {
            stream: stream.as_ref(),
            event_type: &event_type,
            tags: &tags,
        })
    }

    #[test]
    fn conditions_of_an_item_hold_together_and_items_are_alternatives() {
        let room = Query::stream(StreamName::new("room-1").unwrap())
            .of_types([
                EventType::new("posted").unwrap(),
                EventType::new("edited").unwrap(),
            ])
            .with_tags([Tag::new("a").unwrap(), Tag::new("b").unwrap()]);
        let both = room
            .clone()
            .or(Query::category(Category::new("user").unwrap()));
        for (query, stream, event_type, tags, expected) in [
            (&room, Some("room-1"), "posted", &["b", "a", "c"][..], true),
            (&room, Some("room-1"), "edited", &["a", "b"], true),
            (&room, Some("room-1"), "posted", &["a"], false),
            (&room, Some("room-1"), "closed", &["a", "b"], false),
            (&room, Some("room-2"), "posted", &["a", "b"], false),
            (&room, None, "posted", &["a", "b"], false),
            (&both, Some("user-7"), "joined", &[], true),
            (&both, Some("room-1"), "joined", &[], false),
            (&Query::all(), None, "x", &[], true),
            (&Query::streams([]), Some("room-1"), "x", &[], false),
        ] {
            assert_eq!(
                matches(query, stream, event_type, tags),
                expected,
                "{query:?} {stream:?} {event_type} {tags:?}"
            );
        }
    }
}
