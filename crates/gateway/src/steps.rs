use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use eventwire_cqrs::{CommandError, Receipt, Step, Steps};
use eventwire_sse::{Event, EventName, Frame};
use eventwire_store::EventStore;
use futures_core::Stream;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::problem::{Kind, Problem};
use crate::receipt;
use crate::streaming::{Profile, Streaming};

/// Frames that nobody has taken yet: what the steps hold ahead is enough.
const AHEAD: usize = 1;

/// The frames of a command at work.
///
/// Invariant: one that says how it ended is the last, and is never missing.
#[derive(Debug)]
pub(crate) struct StepFrames {
    frames: mpsc::Receiver<Told>,
    profile: Profile,
    has_ended: bool,
    _work: Work,
}

#[derive(Debug)]
enum Told {
    Progress(Frame),
    /// How it ended; no frame where the end of the stream says so.
    End(Option<Frame>),
}

/// A task that carries a command out; where it is not to go on unheard, it ends with this.
#[derive(Debug)]
struct Work {
    task: AbortHandle,
    goes_on_unheard: bool,
}

impl Drop for Work {
    fn drop(&mut self) {
        if !self.goes_on_unheard {
            self.task.abort();
        }
    }
}

/// Has a command carried out beside the answer, whose body these frames are.
pub(crate) fn carry_out(
    steps: Steps,
    streaming: &Streaming,
    store: Arc<dyn EventStore>,
    is_closing: watch::Receiver<bool>,
) -> StepFrames {
    let (told, frames) = mpsc::channel(AHEAD);
    let Streaming {
        goes_on_unheard,
        profile,
    } = streaming.clone();
    let teller = Teller {
        store,
        profile: profile.clone(),
        told,
        goes_on_unheard,
    };
    let task = tokio::spawn(teller.tell(steps, is_closing)).abort_handle();
    StepFrames {
        frames,
        profile,
        has_ended: false,
        _work: Work {
            task,
            goes_on_unheard,
        },
    }
}

/// How a command ended that tells more than that, its steps unheard. Closing does not wait for it.
pub(crate) async fn outcome(
    steps: Steps,
    goes_on_unheard: bool,
    mut is_closing: watch::Receiver<bool>,
) -> Result<Receipt, Problem> {
    let ended = async {
        if !goes_on_unheard {
            return Ok(end_of(steps).await?);
        }
        let work = tokio::spawn(end_of(steps));
        let outcome = work.await.map_err(|_panicked| died())?;
        Ok(outcome?)
    };
    tokio::select! {
        biased;
        outcome = ended => outcome,
        _ = is_closing.wait_for(|is_closing| *is_closing) => Err(cut_short()),
    }
}

async fn end_of(mut steps: Steps) -> Result<Receipt, CommandError> {
    loop {
        match steps.next().await {
            Some(Step::Done(outcome)) => return outcome,
            Some(_) => {}
            None => unreachable!("steps end by saying how"),
        }
    }
}

struct Teller {
    store: Arc<dyn EventStore>,
    profile: Profile,
    told: mpsc::Sender<Told>,
    goes_on_unheard: bool,
}

impl Teller {
    async fn tell(self, mut steps: Steps, mut is_closing: watch::Receiver<bool>) {
        loop {
            let step = tokio::select! {
                step = steps.next() => step,
                _ = is_closing.wait_for(|is_closing| *is_closing) => break,
            };
            let told = match step {
                Some(Step::Progress(json)) => Told::Progress(Event::new(json).encode()),
                Some(Step::Done(outcome)) => {
                    let end = Told::End(self.end(outcome).await);
                    let _unheard = self.told.send(end).await;
                    return;
                }
                _ => return,
            };
            // Who goes on unheard need not know that nobody listens; else this task is over.
            let _unheard = self.told.send(told).await;
        }
        let end = Told::End(Some(failed(&self.profile, &cut_short())));
        let _unheard = self.told.send(end).await;
        if self.goes_on_unheard {
            let _unheard = end_of(steps).await;
        }
    }

    async fn end(&self, outcome: Result<Receipt, CommandError>) -> Option<Frame> {
        let receipt = match outcome {
            Ok(receipt) => receipt::of_command(&receipt, &*self.store).await,
            Err(error) => Err(error.into()),
        };
        match (receipt, &self.profile) {
            (Ok(receipt), Profile::Full) => Some(named("done", receipt.to_json())),
            (Ok(_), Profile::Strict { closed_by }) => {
                closed_by.clone().map(|data| Event::new(data).encode())
            }
            (Err(problem), profile) => Some(failed(profile, &problem)),
        }
    }
}

fn failed(profile: &Profile, problem: &Problem) -> Frame {
    match profile {
        Profile::Full => named("failed", problem.to_json()),
        Profile::Strict { .. } => Event::new(problem.to_strict_json()).encode(),
    }
}

fn named(name: &'static str, json: Vec<u8>) -> Frame {
    let name = EventName::from_static(name);
    Event::new(json).name(name).encode()
}

fn cut_short() -> Problem {
    Problem::new(
        Kind::Indeterminate,
        "the server is shutting down; repeat the command with the same Idempotency-Key",
    )
}

fn died() -> Problem {
    Problem::new(Kind::Internal, "the command's handler failed")
}

impl Stream for StepFrames {
    type Item = Result<Frame, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let frame = match ready!(self.frames.poll_recv(context)) {
            Some(Told::Progress(frame)) => Some(frame),
            Some(Told::End(frame)) => {
                self.has_ended = true;
                frame
            }
            // The handler has panicked.
            None => {
                self.has_ended = true;
                Some(failed(&self.profile, &died()))
            }
        };
        Poll::Ready(frame.map(Ok))
    }
}
