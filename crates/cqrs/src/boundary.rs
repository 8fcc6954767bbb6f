use eventwire_store::{Append, Expect, Guard, Position, Query, StreamName, Version};

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
pub struct Boundary {
    // Invariant: at least one of the two.
    stream: Option<StreamName>,
    query: Option<Query>,
}

impl Boundary {
    /// The events of one stream decide, and the new ones follow them there.
    #[must_use]
    pub fn stream(stream: StreamName) -> Self {
        Self {
            stream: Some(stream),
            query: None,
        }
    }

    /// The events of a query decide, wherever they are: a Dynamic Consistency Boundary
    /// (dcb.events).
    ///
    /// Needs a store whose [`Capabilities`](eventwire_store::Capabilities) have
    /// `query_guards`.
    #[must_use]
    pub fn query(query: Query) -> Self {
        Self {
            stream: None,
            query: Some(query),
        }
    }

    /// The events of this query decide as well. An event that is in several parts of the
    /// boundary is folded once.
    #[must_use]
    pub fn and(mut self, query: Query) -> Self {
        self.query = Some(match self.query {
            Some(before) => before.or(query),
            None => query,
        });
        self
    }

    /// The stream the new events go to, if any.
    #[must_use]
    pub fn writes_to(&self) -> Option<&StreamName> {
        self.stream.as_ref()
    }

    /// All events that decide.
    #[must_use]
    pub fn reads(&self) -> Query {
        match (&self.stream, &self.query) {
            (Some(stream), Some(query)) => Query::stream(stream.clone()).or(query.clone()),
            (Some(stream), None) => Query::stream(stream.clone()),
            (None, Some(query)) => query.clone(),
            (None, None) => unreachable!("a boundary has a stream or a query"),
        }
    }

    /// An append that happens only where nothing has come since the boundary was read: up
    /// to `looked_to`, with the stream at `version`.
    pub(crate) fn append_after(&self, version: Option<Version>, looked_to: Position) -> Append {
        let append = match &self.stream {
            Some(stream) => Append::to(stream.clone()).guard(Guard::Stream {
                stream: stream.clone(),
                expect: version.map_or(Expect::NoStream, Expect::Exact),
            }),
            None => Append::new(),
        };
        match &self.query {
            Some(query) => append.no_match(query.clone(), looked_to),
            None => append,
        }
    }
}
