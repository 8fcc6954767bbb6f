//! A reader of the lobby that lives through the deaths of its server.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::blocks::Blocks;
use super::http::{Failure, Http, Message};

/// Two heartbeats of the server.
const SILENCE: Duration = Duration::from_secs(30);
const COMES_BACK_AFTER: Duration = Duration::from_millis(20);

/// Follows the lobby from its first message, and comes back with the last id it has seen
/// whenever the stream ends. It keeps all that it is shown, twice what it is shown twice.
#[derive(Debug)]
pub(crate) struct Tail {
    shown: watch::Receiver<Vec<Message>>,
    task: JoinHandle<()>,
}

impl Tail {
    pub(crate) fn of(http: Http) -> Self {
        let (show, shown) = watch::channel(Vec::new());
        let task = tokio::spawn(async move {
            let mut last_id = String::new();
            loop {
                // However it ended, the way back is the same.
                let _ended = read_to_end(&http, &mut last_id, &show).await;
                sleep(COMES_BACK_AFTER).await;
            }
        });
        Self { shown, task }
    }

    /// All that was shown, once it ends with the event `id`.
    pub(crate) async fn until(self, id: &str) -> Vec<Message> {
        let mut shown = self.shown.clone();
        let ends_with = |shown: &Vec<Message>| shown.last().is_some_and(|last| last.id == id);
        let waited = timeout(SILENCE, shown.wait_for(ends_with)).await;
        let shown = match waited {
            Ok(Ok(shown)) => shown.clone(),
            Ok(Err(_closed)) => panic!("the reader failed: {:?}", self.task.await),
            Err(_elapsed) => panic!("{id} was not the last to come: {:#?}", self.shown.borrow()),
        };
        self.task.abort();
        shown
    }
}

async fn read_to_end(
    http: &Http,
    last_id: &mut String,
    show: &watch::Sender<Vec<Message>>,
) -> Result<(), Failure> {
    let response = http.send(from_start(http, last_id)?).await?;
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        return Ok(());
    }
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    let mut blocks = Blocks::default();
    while let Some(frame) = timeout(SILENCE, body.frame()).await? {
        let Ok(bytes) = frame?.into_data() else {
            continue;
        };
        for block in blocks.feed(&bytes) {
            assert_eq!(block.name.as_deref(), Some("message-posted"), "{block:?}");
            let id = block.id.expect("an event of the log has an id");
            let payload = serde_json::from_str(&block.data).expect("a payload is JSON");
            last_id.clone_from(&id);
            show.send_modify(|shown| shown.push(Message::of_payload(id, payload)));
        }
    }
    Ok(())
}

fn from_start(http: &Http, last_id: &str) -> http::Result<Request<Full<Bytes>>> {
    let mut request = http.request("/events?stream=room-lobby&from=start");
    if !last_id.is_empty() {
        request = request.header("last-event-id", last_id);
    }
    request.body(Full::default())
}
