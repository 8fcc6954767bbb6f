use eventwire_store::IdempotencyKey;

use crate::error::CommandError;
use crate::process::agenda::Open;
use crate::process::occurrence::Occurrence;
use crate::process::processor::{Processor, Work};
use crate::process::record::Cause;
use crate::process::{Happened, Process, ProcessError};
use crate::request::CommandRequest;

impl<P: Process> Processor<P> {
    /// Has a command carried out, and writes down the answer.
    pub(super) async fn carry_out(
        &self,
        work: &mut Work,
        open: &Open,
    ) -> Result<bool, ProcessError> {
        let refusal = self.ask(open).await?;
        let command = &*open.asked.name;
        let answered = Occurrence {
            instance: &open.instance,
            cause: Cause::Answer {
                version: open.version.get(),
                index: open.index,
            },
            happened: match &refusal {
                None => Happened::Done { command },
                Some(reason) => Happened::Refused { command, reason },
            },
            at: self.worker.clock.now(),
            event: None,
        };
        self.advance(work, answered).await
    }

    /// Asks until there is an answer: none where it was carried out, else why it never will be.
    async fn ask(&self, open: &Open) -> Result<Option<String>, ProcessError> {
        let Open {
            instance,
            version,
            index,
            asked,
            ..
        } = open;
        let key = format!("process/{}/{instance}/{version}/{index}", P::NAME);
        let body = asked.body.to_string();
        let request = CommandRequest::new(&*asked.name, body).key(IdempotencyKey::new(key)?);
        let mut waits = self.worker.retries.waits();
        loop {
            let Err(error) = self.dispatcher.dispatch(request.clone()).await else {
                return Ok(None);
            };
            let waits_at_least = match &error {
                CommandError::Busy { retry_after, .. } => *retry_after,
                CommandError::Conflict(_) | CommandError::Indeterminate { .. } => None,
                CommandError::Codec(_) | CommandError::Store(_) => {
                    return Err(unanswered(open, error));
                }
                refusal => return Ok(Some(refusal.to_string())),
            };
            let Some(wait) = waits.next() else {
                return Err(unanswered(open, error));
            };
            self.worker
                .clock
                .sleep(wait.max(waits_at_least.unwrap_or_default()))
                .await;
        }
    }
}

fn unanswered(open: &Open, cause: CommandError) -> ProcessError {
    ProcessError::Command {
        name: open.asked.name.clone(),
        instance: open.instance.clone(),
        cause,
    }
}
