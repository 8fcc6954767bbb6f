use std::num::NonZeroUsize;
use std::pin::pin;

use eventwire::sse::{Event, EventName};
use eventwire::sse_body::{Encoded, FrameReceiver, FrameSender, SseResponse, channel};
use eventwire_examples::Stopping;
use futures_util::StreamExt;

use crate::model::Model;

/// How many tokens wait for a reader that is slower than the model; then the model waits.
const AHEAD: NonZeroUsize = NonZeroUsize::new(16).expect("not zero");

/// An answer for one reader, of which nothing is kept.
pub(crate) fn answer(
    model: Model,
    prompt: String,
    stopping: Stopping,
) -> SseResponse<Encoded<FrameReceiver>> {
    let (reader, frames) = channel(AHEAD);
    tokio::spawn(async move {
        let said = tokio::select! {
            said = reader.while_connected(say(&reader, &model, &prompt)) => said,
            () = stopping => return,
        };
        if said.is_err() {
            tracing::info!("the reader has left; the model stops");
        }
    });
    SseResponse::from_stream(frames)
}

async fn say(reader: &FrameSender, model: &Model, prompt: &str) {
    let mut tokens = pin!(model.answer(prompt, 0));
    while let Some(token) = tokens.next().await {
        // Whoever has left is told of above, where this is dropped.
        let _left = reader.send(Event::new(token)).await;
    }
    let done = Event::new("{}").name(EventName::from_static("done"));
    let _left = reader.send(done).await;
}
