use eventwire_store::{Append, Expect, Guard, Position, Query, StreamName, Version};

/// Which events a decision rests on, and so whose coming makes it be taken again.
///
/// With a stream, the new events are written to that stream, unless [`to`](Self::to) names
/// another. With a query alone they lie in the log without a stream, found by type and tags
/// ([`DomainEvent::tags`](crate::DomainEvent::tags)).
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
    deciding: Deciding,
    to: Option<StreamName>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Deciding {
    Stream(StreamName),
    Query(Query),
    Both(StreamName, Query),
}

impl Boundary {
    /// The events of one stream decide, and the new ones follow them there.
    #[must_use]
    pub fn stream(stream: StreamName) -> Self {
        Self::of(Deciding::Stream(stream))
    }

    /// The events of a query decide, wherever they are: a Dynamic Consistency Boundary
    /// (dcb.events).
    ///
    /// Needs a store whose [`Capabilities`](eventwire_store::Capabilities) have
    /// `query_guards`.
    #[must_use]
    pub fn query(query: Query) -> Self {
        Self::of(Deciding::Query(query))
    }

    /// The events of this query decide as well. An event that is in several parts of the
    /// boundary is folded once.
    #[must_use]
    pub fn and(self, query: Query) -> Self {
        let deciding = match self.deciding {
            Deciding::Stream(stream) => Deciding::Both(stream, query),
            Deciding::Query(before) => Deciding::Query(before.or(query)),
            Deciding::Both(stream, before) => Deciding::Both(stream, before.or(query)),
        };
        Self { deciding, ..self }
    }

    /// The new events go to this stream, which need not decide: those who only write to it
    /// do not get into each other's way, and its history is not read.
    #[must_use]
    pub fn to(self, stream: StreamName) -> Self {
        Self {
            to: Some(stream),
            ..self
        }
    }

    /// The stream the new events go to, if any.
    #[must_use]
    pub fn writes_to(&self) -> Option<&StreamName> {
        self.to.as_ref().or(self.decided_by())
    }

    /// The stream all of whose events decide, if any: the one whose version can be expected.
    #[must_use]
    pub fn decided_by(&self) -> Option<&StreamName> {
        match &self.deciding {
            Deciding::Stream(stream) | Deciding::Both(stream, _) => Some(stream),
            Deciding::Query(_) => None,
        }
    }

    /// All events that decide.
    #[must_use]
    pub fn reads(&self) -> Query {
        match &self.deciding {
            Deciding::Stream(stream) => Query::stream(stream.clone()),
            Deciding::Query(query) => query.clone(),
            Deciding::Both(stream, query) => Query::stream(stream.clone()).or(query.clone()),
        }
    }

    /// How many guards the boundary is.
    pub(crate) const fn guards(&self) -> usize {
        match self.deciding {
            Deciding::Stream(_) | Deciding::Query(_) => 1,
            Deciding::Both(..) => 2,
        }
    }

    /// Lets an append happen only where nothing has come since the boundary was read: up to
    /// `looked_to`, with the deciding stream at `version`.
    pub(crate) fn guard(
        &self,
        append: Append,
        version: Option<Version>,
        looked_to: Position,
    ) -> Append {
        let append = match self.decided_by() {
            Some(stream) => append.guard(Guard::Stream {
                stream: stream.clone(),
                expect: version.map_or(Expect::NoStream, Expect::Exact),
            }),
            None => append,
        };
        match &self.deciding {
            Deciding::Stream(_) => append,
            Deciding::Query(query) | Deciding::Both(_, query) => {
                append.no_match(query.clone(), looked_to)
            }
        }
    }

    fn of(deciding: Deciding) -> Self {
        Self { deciding, to: None }
    }
}
