use eventwire_store::{AppendError, Appended, Version};

use crate::number;
use crate::request::Request;

/// What came of a request, as short as it can be said: whoever asked has the request, and makes
/// the rest of it. What was asked for a note alone has no positions.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Its events were written, neighbours from this position on. All of them are in one stream,
    /// whose last has this version, or none is in any.
    Written {
        first: u64,
        version: Option<Version>,
    },
    /// Anything else.
    Told(Box<Result<Appended, AppendError>>),
}

impl Answer {
    /// The answer to whoever asked.
    pub(crate) fn of(self, request: &Request) -> Result<Appended, AppendError> {
        let (first, version) = match self {
            Self::Told(answer) => return *answer,
            Self::Written { first, version } => (first, version),
        };
        let events = request.append.events();
        let stream = events.first().and_then(|event| event.as_parts().stream);
        let streams = stream.cloned().zip(version);
        Ok(Appended {
            before: number::position(first - 1),
            positions: (first..).map(number::position).take(events.len()).collect(),
            streams: streams.into_iter().collect(),
            duplicate: false,
        })
    }
}

impl From<AppendError> for Answer {
    fn from(error: AppendError) -> Self {
        Self::Told(Box::new(Err(error)))
    }
}

impl From<Appended> for Answer {
    fn from(appended: Appended) -> Self {
        Self::Told(Box::new(Ok(appended)))
    }
}
