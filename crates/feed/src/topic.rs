use eventwire_sse_hub::{Interest, Topic};
use eventwire_store::{EventRef, Query, QueryItem, Scope};

/// The topics under which an event is published: its stream, its category, its type and its
/// tags, so that whatever a query names can be listened for.
pub(crate) fn of_event(event: EventRef<'_>) -> Vec<Topic> {
    let mut topics = vec![event_type(event.event_type.as_str())];
    if let Some(name) = event.stream {
        topics.push(stream(name.as_str()));
        topics.push(category(name.category().as_str()));
    }
    topics.extend(event.tags.iter().map(|name| tag(name.as_str())));
    topics
}

/// What a query listens for.
#[derive(Debug)]
pub(crate) struct Listening {
    /// Every event that matches has one of these topics.
    pub(crate) interest: Interest,
    /// Whether every event that has one matches, so that nothing more is to be asked.
    pub(crate) is_exact: bool,
}

/// What a query listens for: the narrowest of each item's conditions.
pub(crate) fn of_query(query: &Query) -> Listening {
    let mut topics = Vec::new();
    for item in query.items() {
        match of_item(item) {
            Some(more) => topics.extend(more),
            None => {
                return Listening {
                    interest: Interest::All,
                    is_exact: true,
                };
            }
        }
    }
    Listening {
        interest: Interest::any(topics),
        is_exact: query.items().iter().all(has_one_condition),
    }
}

fn has_one_condition(item: &QueryItem) -> bool {
    let is_of_scope = usize::from(!matches!(item.scope(), Scope::Log));
    let is_of_types = usize::from(!item.types().is_empty());
    is_of_scope + is_of_types + item.tags().len() == 1
}

/// The narrowest of an item's conditions; none where it has no condition at all.
fn of_item(item: &QueryItem) -> Option<Vec<Topic>> {
    match item.scope() {
        Scope::Streams(streams) => {
            return Some(streams.iter().map(|name| stream(name.as_str())).collect());
        }
        Scope::Category(name) if item.tags().is_empty() => {
            return Some(vec![category(name.as_str())]);
        }
        _ => {}
    }
    if let Some(name) = item.tags().first() {
        return Some(vec![tag(name.as_str())]);
    }
    let types = item.types();
    (!types.is_empty()).then(|| types.iter().map(|name| event_type(name.as_str())).collect())
}

fn stream(name: &str) -> Topic {
    Topic::of(&("stream", name))
}

fn category(name: &str) -> Topic {
    Topic::of(&("category", name))
}

fn event_type(name: &str) -> Topic {
    Topic::of(&("type", name))
}

fn tag(name: &str) -> Topic {
    Topic::of(&("tag", name))
}
