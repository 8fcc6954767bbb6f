use std::fmt;
use std::sync::PoisonError;
use std::task::Waker;

use crate::ring::{Capacity, Entry, Ring};
use crate::roster::Roster;
use crate::subscription::{Lagged, Subscription};
use crate::sync::{Arc, AtomicU64, Mutex, MutexGuard, Ordering};
use crate::topic::{Interest, Topic};

/// One in-process stream of entries, for any number of subscribers.
///
/// `K` orders the entries, `T` is what is fanned out: something cheap to clone, such as an
/// `Arc` or `Bytes`. The last entries are held, once, in a ring of a [`Capacity`]; a subscriber
/// has a place in it and no buffer of its own.
///
/// A clone is the same hub. When the last clone is dropped, the hub closes.
///
/// `K`'s comparison and `T`'s clone run while the hub is locked: they must not call it.
pub struct Hub<K, T> {
    handle: Arc<Handle<K, T>>,
}

/// What all clones of a hub hold, and no subscription does.
struct Handle<K, T> {
    shared: Arc<Shared<K, T>>,
}

/// What the clones of a hub and its subscriptions meet at.
///
/// Wakers, values that left the ring and whatever else runs foreign code when it is woken or
/// dropped is moved out and let go after the lock.
pub(crate) struct Shared<K, T> {
    state: Mutex<State<K, T>>,
    /// Counts what was done to the ring: changed under the lock, before anyone is woken.
    changes: AtomicU64,
}

pub(crate) struct State<K, T> {
    pub(crate) ring: Ring<K, T>,
    pub(crate) roster: Roster<K>,
    pub(crate) is_closed: bool,
    /// What the ring's floor was before any entry left.
    began_at: K,
}

impl<K, T> Shared<K, T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<K, T>> {
        // Foreign code that can panic under the lock, a comparison or a clone, does so before
        // anything was changed; but for the comparison with the places of seats when an entry is
        // announced, which the contract of `publish` names.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Equal for as long as nothing is published and the hub is not closed. Who is woken by
    /// either finds another number.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    fn count_change(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    fn close(&self) {
        let woken = {
            let mut state = self.lock();
            self.count_change();
            state.is_closed = true;
            state.roster.wake_all()
        };
        woken.into_iter().for_each(Waker::wake);
    }
}

impl<K, T> Hub<K, T> {
    /// Ends the stream: subscriptions are shown what was published, then end. What is
    /// published later is dropped.
    pub fn close(&self) {
        self.handle.shared.close();
    }

    /// How many subscriptions follow the ring: those that have neither ended nor been dropped.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.handle.shared.lock().roster.len()
    }

    /// How many entries wait for the subscription that is furthest behind, those that have left the
    /// ring included. Takes time in proportion to the number of subscriptions.
    #[must_use]
    pub fn most_unread(&self) -> u64 {
        self.handle.shared.lock().roster.most_unread()
    }

    /// The key of the newest entry, or the floor where there is none: who subscribes after it is
    /// shown only what comes.
    #[must_use]
    pub fn head(&self) -> K
    where
        K: Copy + Ord,
    {
        self.handle.shared.lock().ring.head()
    }

    /// How many entries are held, and what they weigh.
    #[must_use]
    pub fn held(&self) -> (usize, u64)
    where
        K: Copy + Ord,
    {
        self.handle.shared.lock().ring.held()
    }
}

impl<K: Copy + Ord, T: Clone> Hub<K, T> {
    /// A hub that holds the last entries, as many as `capacity` says, and for whom everything up
    /// to `floor` was before its time.
    #[must_use]
    pub fn new(capacity: impl Into<Capacity>, floor: K) -> Self {
        let state = State {
            ring: Ring::new(capacity.into(), floor),
            roster: Roster::default(),
            is_closed: false,
            began_at: floor,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changes: AtomicU64::new(0),
        });
        Self {
            handle: Arc::new(Handle { shared }),
        }
    }

    /// Shows an entry to those who listen for one of its topics, or for all, and wakes those
    /// among them who wait.
    ///
    /// Takes time in proportion to the subscribers that match, whatever the number of others.
    /// On a closed hub it does nothing.
    ///
    /// # Panics
    /// Where `key` is not above the floor and every key published before. Where comparing keys
    /// panics, subscribers may miss this entry, and those that wait may sleep until something
    /// else polls them.
    ///
    /// # Ordering
    /// Keys rise strictly, so several publishers have to agree on who is next.
    pub fn publish(&self, key: K, topics: &[Topic], value: T) {
        self.publish_weighing(0, key, topics, value);
    }

    /// As [`publish`](Self::publish), an entry that takes so much of what the hub may hold
    /// ([`Capacity::weight`]).
    ///
    /// # Panics
    /// As `publish`.
    pub fn publish_weighing(&self, weight: u64, key: K, topics: &[Topic], value: T) {
        let entry = Entry {
            key,
            topics: topics.into(),
            weight,
            value,
        };
        let (departed, woken) = {
            let mut state = self.handle.shared.lock();
            if state.is_closed {
                return;
            }
            let State { ring, roster, .. } = &mut *state;
            let (oldest, number) = (ring.first(), ring.end());
            let departed = ring.push(entry);
            self.handle.shared.count_change();
            for (number, entry) in (oldest..).zip(&departed) {
                roster.forget(number, &entry.topics);
            }
            (departed, roster.announce(number, key, topics))
        };
        woken.into_iter().for_each(Waker::wake);
        drop(departed);
    }

    /// The entries above `after` that meet the interest: those held, then those to come.
    ///
    /// `after` may be ahead of the hub: entries up to it are passed over when they are
    /// published. Where it is so far behind that entries above it are not held, all that the
    /// subscription yields is [`Lagged`].
    pub fn subscribe(&self, after: K, interest: Interest) -> Subscription<K, T> {
        let shared = Arc::clone(&self.handle.shared);
        let mut state = shared.lock();
        if after < state.ring.floor() {
            let missed = state.missed_after(after, &interest);
            drop(state);
            return Subscription::behind(shared, after, interest, Lagged { missed });
        }
        let State { ring, roster, .. } = &mut *state;
        let seat = roster.enter(after, &interest, ring);
        drop(state);
        Subscription::seated(shared, after, interest, seat)
    }
}

impl<K: Copy + Ord, T> State<K, T> {
    /// At least how many entries above a key below the floor have left that an interest meets.
    ///
    /// Their keys and topics are not known any more.
    fn missed_after(&self, after: K, interest: &Interest) -> u64 {
        match interest {
            Interest::Any(_) => 0,
            Interest::All if after > self.began_at => 1,
            Interest::All => self.ring.departed(),
        }
    }
}

impl<K, T> Drop for Handle<K, T> {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl<K, T> Clone for Hub<K, T> {
    fn clone(&self) -> Self {
        Self {
            handle: Arc::clone(&self.handle),
        }
    }
}

impl<K: Copy + Ord + fmt::Debug, T> fmt::Debug for Hub<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.handle.shared.lock();
        f.debug_struct("Hub")
            .field("capacity", &state.ring.capacity())
            .field("floor", &state.ring.floor())
            .field("head", &state.ring.head())
            .field("subscribers", &state.roster.len())
            .field("is_closed", &state.is_closed)
            .finish()
    }
}
