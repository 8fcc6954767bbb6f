use std::sync::{Arc, OnceLock};

use eventwire_store::{StreamName, Trimmed};

use crate::format::Trim;
use crate::index::BadIndex;
use crate::number;
use crate::state::State;

/// A wish to drop events, and what comes of it once the writer has looked at it. A clone is the
/// same wish.
#[derive(Debug, Clone)]
pub(crate) struct Trimming {
    pub(crate) trim: Trim,
    outcome: Arc<OnceLock<Outcome>>,
}

#[derive(Debug)]
struct Outcome {
    /// What is to be noted, if anything is dropped.
    trim: Option<Trim>,
    trimmed: Trimmed,
}

impl Trimming {
    pub(crate) fn new(trim: Trim) -> Self {
        Self {
            trim,
            outcome: Arc::default(),
        }
    }

    /// Settles what is dropped by what the log holds now; says whether that is anything.
    pub(crate) fn settle(&self, state: &State) -> Result<bool, BadIndex> {
        let outcome = match &self.trim {
            Trim::Log { to } => Outcome::of_log(state, *to)?,
            Trim::Stream { stream, to } => Outcome::of_stream(state, stream, *to)?,
            Trim::Deletion { stream, .. } => Outcome::of_deletion(state, stream)?,
        };
        Ok(self.outcome.get_or_init(|| outcome).trim.is_some())
    }

    /// What is to be noted, once it is settled.
    pub(crate) fn settled(&self) -> Option<Trim> {
        self.outcome.get()?.trim.clone()
    }

    /// What was dropped, once it is settled and durable.
    pub(crate) fn trimmed(&self) -> Option<Trimmed> {
        self.outcome.get().map(|outcome| outcome.trimmed)
    }
}

impl Outcome {
    fn of_log(state: &State, to: u64) -> Result<Self, BadIndex> {
        let before = state.notes.dropped.log_to();
        let to = to.max(before);
        let mut events = to - before;
        for view in state.views() {
            events -= state.hidden(view)?.count(before, to);
        }
        Ok(Self::new(
            (to > before).then_some(Trim::Log { to }),
            events,
            to,
        ))
    }

    fn of_stream(state: &State, stream: &StreamName, to: u64) -> Result<Self, BadIndex> {
        let before = state.notes.dropped.stream_to(stream);
        let to = to.max(before);
        let events = count(state, stream, before, to)?;
        let trim = (events > 0).then(|| Trim::Stream {
            stream: stream.clone(),
            to,
        });
        let dropped_to = if trim.is_some() { to } else { before };
        Ok(Self::new(trim, events, dropped_to))
    }

    fn of_deletion(state: &State, stream: &StreamName) -> Result<Self, BadIndex> {
        let before = state.notes.dropped.stream_to(stream);
        if state.notes.dropped.is_deleted(stream) {
            return Ok(Self::new(None, 0, before));
        }
        let to = last(state, stream)?.map_or(before, |last| last.max(before));
        let events = count(state, stream, before, to)?;
        let trim = Trim::Deletion {
            stream: stream.clone(),
            to,
        };
        Ok(Self::new(Some(trim), events, to))
    }

    fn new(trim: Option<Trim>, events: u64, dropped_to: u64) -> Self {
        Self {
            trim,
            trimmed: Trimmed {
                events,
                dropped_to: number::position(dropped_to),
            },
        }
    }
}

/// How many events of a stream are in the log above `after`, up to `to`.
fn count(state: &State, stream: &StreamName, after: u64, to: u64) -> Result<u64, BadIndex> {
    let counts = state.views().map(|view| view.count_of(stream, after, to));
    counts.sum()
}

/// The position of a stream's last event.
fn last(state: &State, stream: &StreamName) -> Result<Option<u64>, BadIndex> {
    for view in state.views().rev() {
        if let Some(last) = view.last_of(stream)? {
            return Ok(Some(last));
        }
    }
    Ok(None)
}
