use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::thread::{self, ThreadId};

use eventwire_store::AppendError;

use crate::batch::{Batch, Ticket, Wakers};
use crate::sync::{Arc, Condvar, Mutex, MutexGuard};

/// Bytes of one commit, unless one append has more.
const GROUP_BYTES: usize = 4 << 20;

/// Bytes that may wait to be written. Past it appends are refused instead of kept.
const WAITING_BYTES: usize = 256 << 20;

/// What a request costs in memory beside its bytes, roughly.
const REQUEST_BYTES: usize = 512;

/// The one who commits what waits in a queue.
pub(crate) trait Commit {
    /// What it is asked for.
    type Request;
    type Answer;

    /// The bytes a request has in a commit.
    fn bytes(request: &Self::Request) -> usize;

    /// One answer for each request, in their order.
    fn commit(&mut self, requests: &[Self::Request]) -> Vec<Self::Answer>;
}

/// The claim to the answer of a request.
pub(crate) type TicketOf<C> = Ticket<<C as Commit>::Request, <C as Commit>::Answer>;

/// A request and its answer, where somebody answered.
pub(crate) type AnsweredBy<C> = Option<(<C as Commit>::Request, <C as Commit>::Answer)>;

/// Why a request was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Closed,
    /// Too much is waiting already.
    Full,
}

impl From<Refused> for AppendError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Closed => Self::Closed,
            Refused::Full => Self::Busy {
                reason: "too many appends are waiting to be written",
                retry_after: None,
            },
        }
    }
}

/// The requests that wait to be committed, and who commits them: one at a time leads.
///
/// The writer thread leads whenever requests wait and nobody else does. A caller that blocks
/// leads where nobody does when it comes, until its own request is answered, and so it is
/// answered without a change of threads.
pub(crate) struct Queue<C: Commit> {
    state: Mutex<State<C>>,
    /// There may be something to do for the writer thread.
    roused: Condvar,
}

/// Invariant: `bytes` is the sum of the costs of `waiting`. Where something waits, somebody leads
/// or the writer thread is awake or being woken.
struct State<C: Commit> {
    waiting: VecDeque<Group<C>>,
    bytes: usize,
    is_closed: bool,
    is_writer_asleep: bool,
    lead: Lead<C>,
    /// The requests of the last commit: as many may well come again.
    last_requests: usize,
}

/// Who leads.
enum Lead<C> {
    /// Nobody: whoever comes may.
    Free(C),
    By(ThreadId),
    /// Nobody will any more: the writer thread has ended, or a commit has panicked.
    Gone,
}

/// Requests that are committed together, and answered; abandoned where it is dropped before.
struct Group<C: Commit> {
    requests: Vec<C::Request>,
    bytes: usize,
    batch: Arc<Batch<C::Request, C::Answer>>,
}

impl<C: Commit> Queue<C> {
    pub(crate) fn new(committer: C) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                bytes: 0,
                is_closed: false,
                is_writer_asleep: false,
                lead: Lead::Free(committer),
                last_requests: 1,
            }),
            roused: Condvar::new(),
        }
    }

    /// Puts a request at the end, for others to commit.
    ///
    /// # Errors
    /// [`Refused`], and nothing has happened.
    pub(crate) fn push(&self, request: C::Request) -> Result<TicketOf<C>, Refused> {
        let mut state = self.lock();
        let ticket = state.push(request)?;
        // Whoever leads looks for more when it is done.
        if matches!(state.lead, Lead::Free(_)) {
            self.rouse(state);
        }
        Ok(ticket)
    }

    /// Puts a request at the end, and blocks until it is answered; gives it back with its answer.
    /// Leads where nobody does. `None` where nobody is left to answer.
    ///
    /// # Errors
    /// [`Refused`], and nothing has happened.
    pub(crate) fn push_and_wait(&self, request: C::Request) -> Result<AnsweredBy<C>, Refused> {
        let mut state = self.lock();
        let ticket = state.push(request)?;
        loop {
            match self.lead(state) {
                Ok(()) => {}
                Err(state) => {
                    drop(state);
                    return Ok(ticket.wait());
                }
            }
            if let Some(answer) = ticket.take() {
                return Ok(answer);
            }
            state = self.lock();
        }
    }

    /// Leads whenever something waits; returns with the committer once the queue is closed and
    /// everything is answered. `None` where a commit has panicked.
    pub(crate) fn lead_to_the_end(&self) -> Option<C> {
        let mut state = self.lock();
        loop {
            let is_at_end = state.is_closed && state.waiting.is_empty();
            match mem::replace(&mut state.lead, Lead::Gone) {
                Lead::Gone => return None,
                Lead::Free(committer) if is_at_end => return Some(committer),
                lead => state.lead = lead,
            }
            state = match self.lead(state) {
                Ok(()) => self.lock(),
                Err(mut state) => {
                    state.is_writer_asleep = true;
                    self.roused.wait(state).expect(HOLDS)
                }
            };
            state.is_writer_asleep = false;
        }
    }

    /// Commits the group that has waited longest and answers it; gives the lock back where nothing
    /// waits or somebody else leads.
    fn lead<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<C>>,
    ) -> Result<(), MutexGuard<'a, State<C>>> {
        let committer = match mem::replace(&mut state.lead, Lead::By(thread::current().id())) {
            Lead::Free(committer) if !state.waiting.is_empty() => committer,
            lead => {
                state.lead = lead;
                return Err(state);
            }
        };
        let group = state.pop().expect("something waits");
        drop(state);
        let mut committer = committer;
        let mut leader = Leader {
            queue: self,
            returned: None,
        };
        let wakers = group.commit(&mut committer);
        leader.returned = Some(committer);
        drop(leader);
        wakers.wake();
        Ok(())
    }

    /// Takes no more; what waits is still to be committed.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        self.rouse(state);
    }

    /// Whether it is this thread that leads.
    pub(crate) fn is_led_here(&self) -> bool {
        matches!(self.lock().lead, Lead::By(leader) if leader == thread::current().id())
    }

    /// Wakes the writer thread, if it sleeps.
    fn rouse(&self, mut state: MutexGuard<'_, State<C>>) {
        let is_asleep = mem::take(&mut state.is_writer_asleep);
        drop(state);
        if is_asleep {
            self.roused.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().expect(HOLDS)
    }
}

const HOLDS: &str = "no code panics while it holds the queue";

impl<C: Commit> State<C> {
    fn push(&mut self, request: C::Request) -> Result<TicketOf<C>, Refused> {
        if self.is_closed {
            return Err(Refused::Closed);
        }
        let bytes = C::bytes(&request);
        let cost = bytes + REQUEST_BYTES;
        if self.bytes > 0 && self.bytes + cost > WAITING_BYTES {
            return Err(Refused::Full);
        }
        self.bytes += cost;
        let group = match self.waiting.back_mut() {
            Some(group) if group.bytes + bytes <= GROUP_BYTES => group,
            _ => {
                self.waiting.push_back(Group::new(self.last_requests));
                self.waiting.back_mut().expect("it was put there")
            }
        };
        group.bytes += bytes;
        group.requests.push(request);
        let number = group.requests.len() - 1;
        Ok(Ticket::new(Arc::clone(&group.batch), number))
    }

    fn pop(&mut self) -> Option<Group<C>> {
        let group = self.waiting.pop_front()?;
        self.last_requests = group.requests.len();
        self.bytes -= group.bytes + group.requests.len() * REQUEST_BYTES;
        Some(group)
    }
}

impl<C: Commit> Group<C> {
    fn new(requests: usize) -> Self {
        Self {
            requests: Vec::with_capacity(requests),
            bytes: 0,
            batch: Arc::new(Batch::new()),
        }
    }

    /// Those who wait have their answers on return, but tasks are still to be woken.
    fn commit(mut self, committer: &mut C) -> Wakers {
        let answers = committer.commit(&self.requests);
        self.batch.answer(mem::take(&mut self.requests), answers)
    }
}

impl<C: Commit> Drop for Group<C> {
    fn drop(&mut self) {
        self.batch.abandon().wake();
    }
}

/// Leads until it is dropped. A commit that panicked, and so returned no committer, was the last.
struct Leader<'a, C: Commit> {
    queue: &'a Queue<C>,
    returned: Option<C>,
}

impl<C: Commit> Drop for Leader<'_, C> {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        let mut abandoned = VecDeque::new();
        match self.returned.take() {
            Some(committer) => state.lead = Lead::Free(committer),
            None => {
                state.lead = Lead::Gone;
                state.is_closed = true;
                state.bytes = 0;
                abandoned = mem::take(&mut state.waiting);
            }
        }
        if !state.waiting.is_empty() || state.is_closed {
            self.queue.rouse(state);
        } else {
            drop(state);
        }
        drop(abandoned);
    }
}

impl<C: Commit> fmt::Debug for Queue<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        let mut debug = f.debug_struct("Queue");
        let debug = debug.field("bytes", &state.bytes);
        debug
            .field("is_closed", &state.is_closed)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// Answers with what it was asked, and panics where it is asked for this.
    struct Echo;

    const PANIC: u32 = 13;

    impl Commit for Echo {
        type Request = u32;
        type Answer = u32;

        fn bytes(request: &u32) -> usize {
            if *request == LARGE { GROUP_BYTES } else { 4 }
        }

        fn commit(&mut self, requests: &[u32]) -> Vec<u32> {
            assert!(!requests.contains(&PANIC), "a commit of the test panics");
            requests.to_vec()
        }
    }

    const LARGE: u32 = 99;

    #[test]
    fn who_blocks_leads_and_takes_along_what_waits() {
        let queue = Queue::new(Echo);
        let tickets: Vec<_> = [1, LARGE, 2].map(|request| queue.push(request)).into();
        assert_eq!(queue.push_and_wait(3), Ok(Some((3, 3))));
        let answers = tickets.into_iter().map(|ticket| ticket.unwrap().take());
        assert!(answers.eq([1, LARGE, 2].map(|request| Some(Some((request, request))))));
        queue.close();
        assert!(queue.lead_to_the_end().is_some());
        assert_eq!(queue.push_and_wait(4), Err(Refused::Closed));
        assert!(queue.push(4).is_err());
    }

    #[test]
    fn a_commit_that_panics_leaves_nobody_waiting() {
        let queue = Queue::new(Echo);
        let tickets: Vec<_> = [1, PANIC, LARGE, 2]
            .map(|request| queue.push(request))
            .into();
        let led = catch_unwind(AssertUnwindSafe(|| queue.push_and_wait(3)));
        assert!(led.is_err());
        for ticket in tickets {
            assert_eq!(ticket.unwrap().wait(), None);
        }
        assert_eq!(queue.push_and_wait(4), Err(Refused::Closed));
        assert!(queue.lead_to_the_end().is_none());
    }

    #[test]
    fn too_much_is_refused_and_taken_again_once_there_is_room() {
        let queue = Queue::new(Echo);
        let taken = (0..1000).take_while(|_| queue.push(LARGE).is_ok()).count();
        assert_eq!(taken, WAITING_BYTES / (GROUP_BYTES + REQUEST_BYTES));
        assert_eq!(queue.push_and_wait(LARGE), Err(Refused::Full));
        queue.close();
        assert!(queue.lead_to_the_end().is_some());
        assert_eq!(queue.lock().bytes, 0);
    }
}
