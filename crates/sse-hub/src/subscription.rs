use std::error::Error;
use std::fmt;
use std::iter;
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll, Waker};

use futures_core::{FusedStream, Stream};

use crate::hub::{Shared, State};
use crate::roster::{Seat, SeatId};
use crate::sync::Arc;
use crate::topic::Interest;

/// Entries the subscription was to show have left the ring: it ends here, and its holder goes
/// back to where the entries came from and subscribes again after the last one it saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lagged {
    /// How many entries that meet the interest were lost. Exact for a subscription that began
    /// within the ring; the least it can be, down to zero, for one that began below it.
    pub missed: u64,
}

impl fmt::Display for Lagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { missed } = self;
        write!(
            f,
            "fell behind the ring by {missed} entries or more; read them where they are kept"
        )
    }
}

impl Error for Lagged {}

/// The entries of a [`Hub`](crate::Hub) that meet one subscriber's interest, in order.
///
/// Yields each entry once. A poll that yields the newest has the task woken by the next already, so that
/// it need not be polled again before. Ends after [`Lagged`], and once the hub has closed and all that was
/// published was shown. Entries that do not match never make it lag, and cost it nothing while
/// it waits.
///
/// # Cancel safety
/// An entry is taken from the ring in the poll that yields it, so dropping a future that waits
/// for the next one loses nothing.
#[must_use = "a stream does nothing until it is polled"]
pub struct Subscription<K, T> {
    shared: Arc<Shared<K, T>>,
    interest: Interest,
    cursor: K,
    place: Place,
    /// What was so when it was last polled, where there is nothing more.
    waiting: Option<Waiting>,
}

/// That there is nothing more, and who is to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Waiting {
    /// What the hub had [counted](Shared::changes).
    changes: u64,
    waker: WakerId,
}

impl Waiting {
    fn of<K, T>(shared: &Shared<K, T>, context: &Context<'_>) -> Self {
        Self {
            changes: shared.changes(),
            waker: WakerId::of(context.waker()),
        }
    }
}

/// Tells a waker from all others that live. Nothing is kept alive by it: while the hub is unchanged
/// the waker is in the subscription's seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct WakerId {
    data: usize,
    vtable: usize,
}

impl WakerId {
    fn of(waker: &Waker) -> Self {
        Self {
            data: waker.data().addr(),
            vtable: ptr::from_ref(waker.vtable()).addr(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Seated(SeatId),
    /// It began below the ring, and has yet to say so.
    Behind(Lagged),
    Ended,
}

impl<K: Copy, T> Subscription<K, T> {
    pub(crate) fn seated(
        shared: Arc<Shared<K, T>>,
        after: K,
        interest: Interest,
        seat: SeatId,
    ) -> Self {
        Self {
            shared,
            interest,
            cursor: after,
            place: Place::Seated(seat),
            waiting: None,
        }
    }

    pub(crate) fn behind(
        shared: Arc<Shared<K, T>>,
        after: K,
        interest: Interest,
        lagged: Lagged,
    ) -> Self {
        Self {
            shared,
            interest,
            cursor: after,
            place: Place::Behind(lagged),
            waiting: None,
        }
    }

    /// How far it has looked: it has yielded every matching entry up to here.
    ///
    /// Moves when it is polled; past entries that do not match, when it has nothing to yield.
    #[must_use]
    pub fn cursor(&self) -> K {
        self.cursor
    }

    /// How far it is behind the newest entry: how many that meet its interest were published since it
    /// began and not yielded, those that have left the ring included. None once it has ended.
    #[must_use]
    pub fn unread(&self) -> u64 {
        match self.place {
            Place::Seated(seat) => self.shared.lock().roster.seat(seat).unread,
            Place::Behind(lagged) => lagged.missed,
            Place::Ended => 0,
        }
    }
}

impl<K, T> Subscription<K, T> {
    /// Whether polling it would only say that there is nothing: the last poll has said so or yielded
    /// the newest entry, nothing was published since, and it is the task of `context` that is woken when
    /// something is. Takes no lock.
    ///
    /// For whoever is polled more often than it is woken, as the bodies of HTTP responses are.
    #[must_use]
    pub fn is_waiting(&self, context: &Context<'_>) -> bool {
        self.waiting.is_some_and(|waiting| {
            waiting.changes == self.shared.changes()
                && waiting.waker == WakerId::of(context.waker())
        })
    }

    /// Gives the seat back.
    fn end(&mut self) {
        if let Place::Seated(seat) = std::mem::replace(&mut self.place, Place::Ended) {
            let left = self.shared.lock().roster.leave(seat, &self.interest);
            drop(left);
        }
    }
}

/// What a subscription has not shown, taken from the ring at once.
#[derive(Debug)]
pub(crate) enum Run<K, T, V> {
    /// One entry.
    One(K, T),
    /// Several: the number of the first, what comes after them, and their values.
    Several {
        first: u64,
        end: RunEnd<K>,
        values: Vec<T>,
    },
    /// Several, which somebody knows already as one.
    Known(K, V),
}

/// What polling for a run comes to.
pub(crate) type PolledRun<K, T, V> = Poll<Option<Result<Run<K, T, V>, Lagged>>>;

/// Where a run ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunEnd<K> {
    /// The key of its last entry.
    pub(crate) key: K,
    /// The number after that of its last entry.
    pub(crate) number: u64,
    /// How many entries it has.
    pub(crate) count: u64,
    /// Whether it ends for its length, rather than with what there was.
    pub(crate) is_full: bool,
}

/// What a seat finds in the ring.
enum Taken<K, T> {
    Entry(K, T),
    Lagged(Lagged),
    Nothing,
}

impl<K: Copy + Ord, T: Clone> State<K, T> {
    /// Takes the next entry that waits for a seat.
    fn take(&mut self, seat: SeatId, interest: &Interest) -> Taken<K, T> {
        let Seat { unread, next, .. } = *self.roster.seat(seat);
        if unread == 0 {
            return Taken::Nothing;
        }
        let Some(entry) = self.ring.entry(next) else {
            let missed = unread - self.roster.count(next, interest, &self.ring);
            return Taken::Lagged(Lagged { missed });
        };
        let taken = Taken::Entry(entry.key, entry.value.clone());
        self.pass(seat, interest, next + 1, 1);
        taken
    }

    /// Has one who has taken the newest entry, whose key this is, woken by the next, as it would be
    /// once it had asked again. None where there is more to be had; else what comes back is the
    /// caller's to drop, outside the lock.
    fn wait_past(&mut self, seat: SeatId, key: K, context: &Context<'_>) -> Option<Option<Waker>> {
        let is_level = !self.is_closed && key == self.ring.head();
        is_level.then(|| self.roster.seat(seat).wait(context))
    }

    /// Goes on to the first entry from `number` on, past so many.
    fn pass(&mut self, seat: SeatId, interest: &Interest, number: u64, count: u64) {
        let Seat { unread, .. } = *self.roster.seat(seat);
        if unread > count {
            let next = self.roster.next(number, interest, &self.ring);
            self.roster.seat(seat).next =
                next.expect("what comes after an entry held is held as well");
        }
        self.roster.seat(seat).unread = unread - count;
    }
}

impl<K: Copy + Ord, T: Clone + AsRef<[u8]>> State<K, T> {
    /// The entries that wait for a seat, up to `limit` bytes but at least one.
    fn collect(&mut self, seat: SeatId, interest: &Interest, limit: usize) -> (RunEnd<K>, Vec<T>) {
        let Seat { unread, next, .. } = *self.roster.seat(seat);
        let mut bytes = 0;
        let mut end: Option<RunEnd<K>> = None;
        let mut values = Vec::new();
        let (ring, roster) = (&self.ring, &self.roster);
        let numbers =
            iter::successors(Some(next), |number| roster.next(number + 1, interest, ring));
        for number in numbers.take(usize::try_from(unread).unwrap_or(usize::MAX)) {
            let entry = self.ring.entry(number).expect("it was found in the ring");
            bytes += entry.value.as_ref().len();
            if bytes > limit
                && let Some(end) = &mut end
            {
                end.is_full = true;
                break;
            }
            values.push(entry.value.clone());
            end = Some(RunEnd {
                key: entry.key,
                number: number + 1,
                count: end.map_or(1, |end| end.count + 1),
                is_full: false,
            });
        }
        (end.expect("what is unread and held is found"), values)
    }
}

impl<K: Copy + Ord, T: Clone + AsRef<[u8]>> Subscription<K, T> {
    /// All that is unread, up to `limit` bytes but at least one entry. `known` is asked for the
    /// run that begins with a number, told how many entries are unread.
    pub(crate) fn poll_run<V>(
        &mut self,
        context: &mut Context<'_>,
        limit: usize,
        known: impl FnOnce(&Interest, u64, u64) -> Option<(RunEnd<K>, V)>,
    ) -> PolledRun<K, T, V> {
        let Place::Seated(id) = self.place else {
            return self.poll_one(context);
        };
        let mut state = self.shared.lock();
        let seat = state.roster.seat(id);
        let (unread, first) = (seat.unread, seat.next);
        if unread == 1
            && let Taken::Entry(key, value) = state.take(id, &self.interest)
        {
            self.cursor = key;
            let replaced = state.wait_past(id, key, context);
            self.waiting = replaced
                .is_some()
                .then(|| Waiting::of(&self.shared, context));
            drop(state);
            drop(replaced);
            return Poll::Ready(Some(Ok(Run::One(key, value))));
        }
        if unread < 2 || state.ring.entry(first).is_none() {
            drop(state);
            return self.poll_one(context);
        }
        let (end, run) = match known(&self.interest, first, unread) {
            Some((end, value)) => (end, Run::Known(end.key, value)),
            None => {
                let (end, values) = state.collect(id, &self.interest, limit);
                (end, Run::Several { first, end, values })
            }
        };
        state.pass(id, &self.interest, end.number, end.count);
        self.cursor = end.key;
        let replaced = state.wait_past(id, end.key, context);
        self.waiting = replaced
            .is_some()
            .then(|| Waiting::of(&self.shared, context));
        drop(state);
        drop(replaced);
        Poll::Ready(Some(Ok(run)))
    }

    /// The interest it was made with.
    pub(crate) fn interest(&self) -> &Interest {
        &self.interest
    }
}

impl<K: Copy + Ord, T: Clone> Subscription<K, T> {
    fn poll_one<V>(&mut self, context: &mut Context<'_>) -> PolledRun<K, T, V> {
        let next = Pin::new(self).poll_next(context);
        next.map(|item| item.map(|taken| taken.map(|(key, value)| Run::One(key, value))))
    }
}

impl<K: Copy + Ord, T: Clone> Stream for Subscription<K, T> {
    type Item = Result<(K, T), Lagged>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let seat = match this.place {
            Place::Seated(seat) => seat,
            Place::Behind(lagged) => {
                this.place = Place::Ended;
                return Poll::Ready(Some(Err(lagged)));
            }
            Place::Ended => return Poll::Ready(None),
        };
        let mut state = this.shared.lock();
        match state.take(seat, &this.interest) {
            Taken::Entry(key, value) => {
                this.cursor = key;
                let replaced = state.wait_past(seat, key, context);
                this.waiting = replaced
                    .is_some()
                    .then(|| Waiting::of(&this.shared, context));
                drop(state);
                drop(replaced);
                Poll::Ready(Some(Ok((key, value))))
            }
            Taken::Lagged(lagged) => {
                drop(state);
                this.end();
                Poll::Ready(Some(Err(lagged)))
            }
            Taken::Nothing => {
                this.cursor = this.cursor.max(state.ring.head());
                if state.is_closed {
                    drop(state);
                    this.end();
                    return Poll::Ready(None);
                }
                let replaced = state.roster.seat(seat).wait(context);
                this.waiting = Some(Waiting::of(&this.shared, context));
                drop(state);
                drop(replaced);
                Poll::Pending
            }
        }
    }
}

impl<K: Copy + Ord, T: Clone> FusedStream for Subscription<K, T> {
    fn is_terminated(&self) -> bool {
        matches!(self.place, Place::Ended)
    }
}

/// Nothing in it is pinned, whatever `K` and `T` are.
impl<K, T> Unpin for Subscription<K, T> {}

impl<K, T> Drop for Subscription<K, T> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<K: fmt::Debug, T> fmt::Debug for Subscription<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("interest", &self.interest)
            .field("cursor", &self.cursor)
            .field("place", &self.place)
            .finish()
    }
}
