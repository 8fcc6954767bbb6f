use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};

use eventwire_store::AppendError;

use crate::committer::Answer;
use crate::reply::Reply;
use crate::request::Request;

/// Bytes of one commit, unless one append has more.
const GROUP_BYTES: usize = 4 << 20;

/// Bytes that may wait for the writer. Past it appends are refused instead of kept.
const WAITING_BYTES: usize = 256 << 20;

/// What a request costs in memory beside its bytes, roughly.
const REQUEST_BYTES: usize = 512;

/// The appends that wait for the writer.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

/// Invariant: `bytes` is the sum of the costs of `waiting`.
#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<(Request, Reply<Answer>)>,
    bytes: usize,
    is_closed: bool,
    is_writer_idle: bool,
}

/// Requests that are committed together.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) requests: Vec<Request>,
    pub(crate) replies: Vec<Reply<Answer>>,
}

impl Queue {
    /// Puts a request at the end.
    ///
    /// # Errors
    /// [`AppendError::Closed`], and [`AppendError::Busy`] where too much is waiting already.
    pub(crate) fn push(&self, request: Request, reply: Reply<Answer>) -> Result<(), AppendError> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(AppendError::Closed);
        }
        let cost = cost(&request);
        if state.bytes > 0 && state.bytes + cost > WAITING_BYTES {
            return Err(AppendError::Busy {
                reason: "too many appends are waiting to be written",
                retry_after: None,
            });
        }
        state.bytes += cost;
        state.waiting.push_back((request, reply));
        let wake = std::mem::take(&mut state.is_writer_idle);
        drop(state);
        if wake {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Everything that waits, up to the size of a commit; waits for something. `None` once the
    /// queue is closed and empty.
    pub(crate) fn next_group(&self) -> Option<Group> {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.is_closed {
                return None;
            }
            state.is_writer_idle = true;
            state = self.filled.wait(state).expect(HOLDS);
        }
        state.is_writer_idle = false;
        let mut group = Group::default();
        let mut bytes = 0;
        while let Some((request, _)) = state.waiting.front() {
            bytes += request.bytes;
            if bytes > GROUP_BYTES && !group.requests.is_empty() {
                break;
            }
            let (request, reply) = state.waiting.pop_front().expect("it has a front");
            state.bytes -= cost(&request);
            group.requests.push(request);
            group.replies.push(reply);
        }
        Some(group)
    }

    /// Takes no more; what waits is still to be written.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.filled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(HOLDS)
    }
}

const HOLDS: &str = "no code panics while it holds the queue";

fn cost(request: &Request) -> usize {
    request.bytes + REQUEST_BYTES
}
