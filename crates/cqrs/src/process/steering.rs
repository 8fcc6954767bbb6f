use tokio::sync::mpsc;

/// Stops a processor that runs. A clone stops the same one.
#[derive(Debug, Clone)]
pub struct Steering(pub(super) mpsc::Sender<()>);

impl Steering {
    /// Stops it after what it is at. One that has stopped already is no error.
    pub async fn stop(&self) {
        let _stopped = self.0.send(()).await.is_err();
    }
}
