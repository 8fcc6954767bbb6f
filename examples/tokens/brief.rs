use std::pin::pin;
use std::time::{Duration, SystemTime};

use eventwire::store::backend::assign_uuid;
use eventwire::store::{
    Append, AppendError, EventStore, EventType, Keep, MemoryStore, NewEvent, Tag,
};
use futures_util::StreamExt;

use crate::model::Model;

/// How long a page may take to come back for the rest of its answer.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// How many tokens are kept of all answers.
const MOST: usize = 100_000;

/// Answers that are kept for a while: they go on over a reload, and not over the end of the server.
/// Each is a tag, `answer:` and an id, of any number of `token`, and `done`.
#[derive(Debug, Clone)]
pub(crate) struct BriefAnswers {
    pub(crate) store: MemoryStore,
    model: Model,
}

impl BriefAnswers {
    pub(crate) fn new(model: Model) -> Self {
        let keep = Keep::all().max_events(MOST).max_age(KEPT_FOR);
        Self {
            store: MemoryStore::new().keeping(keep),
            model,
        }
    }

    /// Begins an answer, and says which tag it has.
    pub(crate) fn start(&self, prompt: String) -> Tag {
        let tag = format!("answer:{}", assign_uuid(SystemTime::now()));
        let tag = Tag::new(tag).expect("a UUID makes a name");
        let (answers, answer) = (self.clone(), tag.clone());
        tokio::spawn(async move {
            if let Err(error) = answers.say(&prompt, &answer).await {
                tracing::error!(?error, %answer, "cannot go on with an answer");
            }
        });
        tag
    }

    async fn say(&self, prompt: &str, answer: &Tag) -> Result<(), AppendError> {
        let mut tokens = pin!(self.model.answer(prompt, 0));
        while let Some(token) = tokens.next().await {
            self.append("token", token, answer).await?;
        }
        self.append("done", "{}".to_owned(), answer).await
    }

    async fn append(&self, name: &str, data: String, answer: &Tag) -> Result<(), AppendError> {
        let event_type = EventType::new(name).expect("a name of an event");
        let event = NewEvent::new(event_type, data).tag(answer.clone());
        self.store.append(Append::new().event(event)).await?;
        Ok(())
    }
}
