use std::sync::Arc;

use eventwire_store::Position;
use tokio::sync::Mutex;

use crate::projection::progress::Reach;
use crate::projection::{Progress, Projection, ProjectionError, Projector};

/// A projection without a task of its own: whoever needs the view brings it up to date.
/// A clone is the same one.
///
/// With [`layers::consistent_with`](crate::layers::consistent_with) that is the command
/// itself, before its receipt. What it could not do, because the process ended or the view
/// could not be written, the next one does: the log is what happened, and the view's
/// checkpoint says where to go on.
#[derive(Debug)]
pub struct Inline<P: Projection> {
    projector: Arc<Mutex<Projector<P>>>,
    progress: Progress,
}

impl<P: Projection> Inline<P> {
    /// Brings a view up to date when asked to.
    #[must_use]
    pub fn new(projector: Projector<P>) -> Self {
        Self {
            progress: projector.progress(),
            projector: Arc::new(Mutex::new(projector)),
        }
    }

    /// Takes in all there is.
    ///
    /// # Errors
    /// [`ProjectionError`]; the next call tries again.
    ///
    /// # Cancel safety
    /// As the view's: what was taken in stays.
    pub async fn catch_up(&self) -> Result<(), ProjectionError> {
        self.projector.lock().await.catch_up().await.map(|_| ())
    }

    /// How far it is.
    #[must_use]
    pub const fn progress(&self) -> &Progress {
        &self.progress
    }
}

impl<P: Projection> Reach for Inline<P> {
    async fn reach(&self, position: Position) {
        if self.progress.position() >= position {
            return;
        }
        if let Err(error) = self.catch_up().await {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "view was not brought up to date");
        }
    }
}

impl<P: Projection> Clone for Inline<P> {
    fn clone(&self) -> Self {
        Self {
            projector: Arc::clone(&self.projector),
            progress: self.progress.clone(),
        }
    }
}
