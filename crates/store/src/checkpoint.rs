use crate::error::{KeepError, ReadError};
use crate::future::StoreFuture;
use crate::name::Consumer;
use crate::position::Position;

/// How far consumers have come, kept beside the log.
///
/// For a consumer whose effects are events, [`Append::consumed`](crate::Append::consumed)
/// moves the checkpoint together with the effect; this trait is for those whose effects are
/// elsewhere and can be repeated. One whose view has transactions of its own keeps its
/// checkpoint there, as a [`Cursor`](crate::Cursor).
///
/// What `eventwire-store-testkit` holds a store to: consumers do not share a checkpoint, it only
/// moves forward, a forgotten consumer starts over, and an append moves the same one.
/// (`checkpoints::checkpoints_are_apart`, `checkpoints::a_checkpoint_only_moves_forward`,
/// `checkpoints::a_forgotten_consumer_starts_over`,
/// `checkpoints::an_append_moves_the_same_checkpoint`)
pub trait CheckpointStore: Send + Sync {
    /// How far a consumer has come; [`Position::ORIGIN`] for one that was never heard of.
    ///
    /// # Errors
    /// [`ReadError`] where the store cannot be read.
    fn checkpoint(&self, consumer: Consumer) -> StoreFuture<Result<Position, ReadError>>;

    /// Says that a consumer has come to `position`. As durable as an append.
    ///
    /// # Errors
    /// [`KeepError::Behind`] where it is there already or further: another instance of the
    /// consumer is at work.
    ///
    /// # Cancel safety
    /// Dropping the future does not cancel it.
    fn save_checkpoint(
        &self,
        consumer: Consumer,
        position: Position,
    ) -> StoreFuture<Result<(), KeepError>>;

    /// Forgets a consumer, so that it starts over. Forgetting one that is not known is no error.
    ///
    /// # Errors
    /// [`KeepError`] where the store cannot be written.
    fn remove_checkpoint(&self, consumer: Consumer) -> StoreFuture<Result<(), KeepError>>;
}
