use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::chunk::Chunk;
use crate::error::ReadError;
use crate::read::Item;

/// A stream of [`Item`]s, boxed so that it has a name.
///
/// It owns all it needs: it can be spawned, stored in a struct, outlive the handle it was
/// made from. Dropping it at any moment loses nothing. After an error it ends.
#[must_use = "a stream does nothing until it is polled"]
pub struct EventStream(Pin<Box<dyn Source>>);

/// What a stream can be asked for.
pub(crate) trait Source: Stream<Item = Result<Item, ReadError>> + Send {
    /// The next items that are there together, at least one.
    fn poll_chunk(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Chunk, ReadError>>>;
}

impl EventStream {
    /// Boxes a stream.
    pub fn new(stream: impl Stream<Item = Result<Item, ReadError>> + Send + 'static) -> Self {
        Self(Box::pin(OneByOne(Box::pin(stream))))
    }

    pub(crate) fn of(source: impl Source + 'static) -> Self {
        Self(Box::pin(source))
    }

    /// The next item; `None` once the stream has ended.
    ///
    /// # Errors
    /// [`ReadError`], after which the stream has ended.
    ///
    /// # Cancel safety
    /// Safe: an item is taken only when it is returned.
    pub async fn next(&mut self) -> Option<Result<Item, ReadError>> {
        poll_fn(|context| self.0.as_mut().poll_next(context)).await
    }

    /// The next items, as many as are there together and at least one; `None` once the stream
    /// has ended. The same items that [`next`](Self::next) would give one after the other, for
    /// those who only look at them: their events are not copied where the store need not.
    ///
    /// ```
    /// # use eventwire_store::{EventStore, Item, MemoryStore, Query, ReadError, ReadOptions};
    /// # async fn count(store: MemoryStore) -> Result<usize, ReadError> {
    /// let mut events = 0;
    /// let mut items = store.read(Query::all(), ReadOptions::all());
    /// while let Some(chunk) = items.next_chunk().await {
    ///     for item in chunk?.iter() {
    ///         if let Item::Event(_) = item {
    ///             events += 1;
    ///         }
    ///     }
    /// }
    /// # Ok(events) }
    /// ```
    ///
    /// # Errors
    /// [`ReadError`], after which the stream has ended.
    ///
    /// # Cancel safety
    /// Safe: items are taken only when they are returned.
    pub async fn next_chunk(&mut self) -> Option<Result<Chunk, ReadError>> {
        poll_fn(|context| self.0.as_mut().poll_chunk(context)).await
    }
}

impl Stream for EventStream {
    type Item = Result<Item, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

/// A stream that knows of no chunks: each has one item.
struct OneByOne<S>(Pin<Box<S>>);

impl<S: Stream> Stream for OneByOne<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

impl<S: Stream<Item = Result<Item, ReadError>> + Send> Source for OneByOne<S> {
    fn poll_chunk(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Chunk, ReadError>>> {
        let item = self.0.as_mut().poll_next(context);
        item.map(|item| item.map(|item| item.map(Chunk::from)))
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").finish_non_exhaustive()
    }
}
