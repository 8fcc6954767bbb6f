use eventwire_store::{Append, Expect, Position, Query, StreamName, Version};

/// Which events a decision rests on, and so whose coming makes it be taken again.
///
/// With a stream, the new events are written to that stream. With a query alone they lie in
/// the log without a stream, found by type and tags
/// ([`Decider::tags`](crate::Decider::tags)).
///
/// ```
/// use eventwire_cqrs::Boundary;
/// use eventwire_store::{Query, StreamName, Tag};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let user = StreamName::new("user-7")?;
/// let ada = Query::tags([Tag::new("username:ada")?]);
/// // Written to the user's stream, and only while nobody else has taken the name.
/// let boundary = Boundary::stream(user).and(ada);
/// # assert!(boundary.writes_to().is_some());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundary(Parts);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Parts {
    Stream(StreamName),
    Query(Query),
    Both(StreamName, Query),
}

impl Boundary {
    /// The events of one stream decide, and the new ones follow them there.
    #[must_use]
    pub fn stream(stream: StreamName) -> Self {
        Self(Parts::Stream(stream))
    }

    /// The events of a query decide, wherever they are: a Dynamic Consistency Boundary
    /// (dcb.events).
    ///
    /// Needs a store whose [`Capabilities`](eventwire_store::Capabilities) have
    /// `query_guards`.
    #[must_use]
    pub fn query(query: Query) -> Self {
        Self(Parts::Query(query))
    }

    /// The events of this query decide as well. An event that is in several parts of the
    /// boundary is folded once.
    #[must_use]
    pub fn and(self, query: Query) -> Self {
        Self(match self.0 {
            Parts::Stream(stream) => Parts::Both(stream, query),
            Parts::Query(before) => Parts::Query(before.or(query)),
            Parts::Both(stream, before) => Parts::Both(stream, before.or(query)),
        })
    }

    /// The stream the new events go to, if any.
    #[must_use]
    pub fn writes_to(&self) -> Option<&StreamName> {
        match &self.0 {
            Parts::Stream(stream) | Parts::Both(stream, _) => Some(stream),
            Parts::Query(_) => None,
        }
    }

    /// All events that decide.
    #[must_use]
    pub fn reads(&self) -> Query {
        match &self.0 {
            Parts::Stream(stream) => Query::stream(stream.clone()),
            Parts::Query(query) => query.clone(),
            Parts::Both(stream, query) => Query::stream(stream.clone()).or(query.clone()),
        }
    }

    /// An append that happens only where nothing has come since the boundary was read: up
    /// to `looked_to`, with the stream at `version`.
    pub(crate) fn append_after(&self, version: Option<Version>, looked_to: Position) -> Append {
        let unmoved = version.map_or(Expect::NoStream, Expect::Exact);
        let follow = |stream: &StreamName| Append::to(stream.clone()).expect(unmoved);
        match &self.0 {
            Parts::Stream(stream) => follow(stream),
            Parts::Query(query) => Append::new().no_match(query.clone(), looked_to),
            Parts::Both(stream, query) => follow(stream).no_match(query.clone(), looked_to),
        }
    }
}
