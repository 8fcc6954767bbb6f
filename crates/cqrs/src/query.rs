use std::error::Error;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use eventwire_store::ReadError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::codec::CodecError;
use crate::reply::ReplyFuture;

/// Why a query was not answered, by what the caller does next.
///
/// A handler's own error says which of these it is by `Into<QueryError>`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum QueryError {
    /// No query has this name: use another.
    #[error("no query is named {name:?}")]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// The body is not the query's JSON: mend it.
    #[error("malformed query: {detail}")]
    Malformed {
        /// What is wrong, and at which line and column.
        detail: String,
    },
    /// What was asked for is not there.
    #[error("{what} was not found")]
    NotFound {
        /// What was looked for.
        what: String,
    },
    /// The domain does not answer this.
    #[error("refused: {0}")]
    Refused(Box<dyn Error + Send + Sync>),
    /// The answer could not be had. For the operator.
    #[error("query failed")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

impl QueryError {
    /// What was asked for is not there.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::NotFound { what: what.into() }
    }

    /// The domain does not answer this.
    pub fn refused(refusal: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Refused(refusal.into())
    }

    /// The answer could not be had.
    pub fn failed(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(cause.into())
    }
}

impl From<ReadError> for QueryError {
    fn from(error: ReadError) -> Self {
        Self::failed(error)
    }
}

impl From<CodecError> for QueryError {
    fn from(error: CodecError) -> Self {
        Self::failed(error)
    }
}

/// What can be asked by its type, besides by a name.
///
/// ```
/// use eventwire_cqrs::{Dispatcher, QueryError, Question};
/// use eventwire_store::MemoryStore;
///
/// #[derive(serde::Deserialize)]
/// struct Sum {
///     left: u32,
///     right: u32,
/// }
/// impl Question for Sum {
///     type Answer = u32;
/// }
///
/// # futures_executor::block_on(async {
/// let dispatcher = Dispatcher::builder(MemoryStore::new())
///     .answer("sum", |sum: Sum| async move { Ok::<_, QueryError>(sum.left + sum.right) })
///     .build();
/// assert_eq!(dispatcher.ask(Sum { left: 1, right: 2 }).await.unwrap(), 3);
/// assert_eq!(dispatcher.query("sum", r#"{"left":1,"right":2}"#).await.unwrap(), "3");
/// # });
/// ```
pub trait Question: DeserializeOwned + Send + 'static {
    /// What it is answered with.
    type Answer: Serialize + Send + 'static;
}

/// Answers one type of question.
pub(crate) type Answerer<Q> = Arc<dyn Fn(Q) -> AnswerFuture<<Q as Question>::Answer> + Send + Sync>;

/// The answer to a question asked by its type.
pub type AnswerFuture<A> = ReplyFuture<Result<A, QueryError>>;

/// The answer to a query called by name: JSON.
pub type QueryFuture = ReplyFuture<Result<Bytes, QueryError>>;

pub(crate) type QueryHandler = Box<dyn Fn(&[u8]) -> QueryFuture + Send + Sync>;

/// Hides what a handler takes and gives behind JSON.
pub(crate) fn erase<I, O, E, F, Fut>(handler: F) -> QueryHandler
where
    I: DeserializeOwned,
    O: Serialize,
    E: Into<QueryError>,
    F: Fn(I) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, E>> + Send + 'static,
{
    Box::new(move |body| match read(body) {
        Ok(input) => {
            let answer = handler(input);
            ReplyFuture::new(async move { write(&answer.await.map_err(Into::into)?) })
        }
        Err(error) => ReplyFuture::ready(Err(error)),
    })
}

/// An empty body is `null`, so that a query without input needs none.
fn read<I: DeserializeOwned>(body: &[u8]) -> Result<I, QueryError> {
    let json = if body.is_empty() { b"null" } else { body };
    serde_json::from_slice(json).map_err(|error| QueryError::Malformed {
        detail: error.to_string(),
    })
}

fn write<O: Serialize>(answer: &O) -> Result<Bytes, QueryError> {
    serde_json::to_vec(answer)
        .map(Bytes::from)
        .map_err(QueryError::failed)
}
