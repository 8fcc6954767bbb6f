use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasherDefault;
use std::task::{Context, Waker};

use crate::listing::Listing;
use crate::ring::{Ring, length};
use crate::topic::{AlreadyHashed, Interest, Topic, Topics};

/// Below this many places a map is not worth giving memory back.
const WORTH_SHRINKING: usize = 64;

/// Where a subscription sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SeatId(usize);

/// What a subscription has not been shown yet.
#[derive(Debug)]
pub(crate) struct Seat<K> {
    /// Entries up to here are not for it, also those that are published later.
    after: K,
    /// How many matching entries were published and not taken.
    pub(crate) unread: u64,
    /// The number of the first of them; means nothing where there is none.
    pub(crate) next: u64,
    /// The last entry counted, so that one with two topics of its interest counts once.
    newest: u64,
    waker: Option<Waker>,
}

impl<K: Copy + Ord> Seat<K> {
    /// A seat for entries above `after`; those up to `newest` are still to be counted.
    fn new(after: K, newest: u64) -> Self {
        Self {
            after,
            unread: 0,
            next: 0,
            newest,
            waker: None,
        }
    }

    /// Counts an entry; the waker where it is the first to wait for.
    fn count(&mut self, number: u64, key: K) -> Option<Waker> {
        if number == self.newest || key <= self.after {
            return None;
        }
        self.newest = number;
        if self.unread == 0 {
            self.next = number;
        }
        self.unread += 1;
        self.waker.take()
    }

    /// Has the task of `context` woken by the next entry. The waker that was there before
    /// is the caller's to drop, outside the lock.
    pub(crate) fn wait(&mut self, context: &Context<'_>) -> Option<Waker> {
        match &self.waker {
            Some(waker) if waker.will_wake(context.waker()) => None,
            _ => self.waker.replace(context.waker().clone()),
        }
    }
}

/// Who sits in the hub and what each listens for.
///
/// Invariants: a seat is listed under the topics of its interest (`to_all`, or each in
/// `by_topic`) and nowhere else; no list is without a seat; `vacant` names the seats without one.
#[derive(Debug)]
pub(crate) struct Roster<K> {
    seats: Vec<Option<Seat<K>>>,
    vacant: Vec<SeatId>,
    to_all: BTreeSet<SeatId>,
    by_topic: HashMap<Topic, Listing, BuildHasherDefault<AlreadyHashed>>,
}

impl<K> Default for Roster<K> {
    fn default() -> Self {
        Self {
            seats: Vec::new(),
            vacant: Vec::new(),
            to_all: BTreeSet::new(),
            by_topic: HashMap::default(),
        }
    }
}

impl<K> Roster<K> {
    /// How many sit here.
    pub(crate) fn len(&self) -> usize {
        self.seats.len() - self.vacant.len()
    }

    /// How many entries wait for who is furthest behind.
    pub(crate) fn most_unread(&self) -> u64 {
        let unread = self.seats.iter().flatten().map(|seat| seat.unread);
        unread.max().unwrap_or(0)
    }

    pub(crate) fn seat(&mut self, id: SeatId) -> &mut Seat<K> {
        taken(&mut self.seats, id)
    }

    /// Takes a seat back. What comes back is the caller's to drop, outside the lock.
    pub(crate) fn leave(&mut self, id: SeatId, interest: &Interest) -> Option<Seat<K>> {
        match interest {
            Interest::All => {
                self.to_all.remove(&id);
            }
            Interest::Any(topics) => {
                for topic in topics.iter() {
                    self.unlist(topic, id);
                }
                self.shrink_topics();
            }
        }
        let seat = self.seats[id.0].take();
        self.vacant.push(id);
        if self.len() == 0 {
            self.seats = Vec::new();
            self.vacant = Vec::new();
        }
        seat
    }

    fn unlist(&mut self, topic: Topic, id: SeatId) {
        if let Some(listing) = self.by_topic.get_mut(&topic) {
            listing.seats.remove(&id);
            if listing.seats.is_empty() {
                self.by_topic.remove(&topic);
            }
        }
    }

    fn shrink_topics(&mut self) {
        let used = self.by_topic.len();
        if self.by_topic.capacity() > WORTH_SHRINKING.max(used.saturating_mul(8)) {
            self.by_topic.shrink_to(used * 2);
        }
    }

    /// Takes the wakers of all who wait.
    pub(crate) fn wake_all(&mut self) -> Vec<Waker> {
        self.seats
            .iter_mut()
            .flatten()
            .filter_map(|seat| seat.waker.take())
            .collect()
    }
}

impl<K: Copy + Ord> Roster<K> {
    /// Gives a seat to one who has this interest in what is above `after`, which is not below
    /// the ring.
    pub(crate) fn enter<T>(&mut self, after: K, interest: &Interest, ring: &Ring<K, T>) -> SeatId {
        let id = self.vacant.pop().unwrap_or_else(|| {
            self.seats.push(None);
            SeatId(self.seats.len() - 1)
        });
        let first = ring.first_above(after);
        match interest {
            Interest::All => {
                self.to_all.insert(id);
            }
            Interest::Any(topics) => {
                for topic in topics.iter() {
                    let end = || Listing::from(ring.end());
                    let listing = self.by_topic.entry(topic).or_insert_with(end);
                    listing.seats.insert(id);
                    listing.reach_back(first, topic, ring);
                }
            }
        }
        let mut seat = Seat::new(after, ring.end() - 1);
        seat.unread = self.count(first, interest, ring);
        seat.next = self.next(first, interest, ring).unwrap_or(first);
        self.seats[id.0] = Some(seat);
        id
    }

    /// Counts a new entry for those who listen for one of its topics, and takes the wakers
    /// of those among them who wait.
    pub(crate) fn announce(&mut self, number: u64, key: K, topics: &[Topic]) -> Vec<Waker> {
        let Self {
            seats,
            to_all,
            by_topic,
            ..
        } = self;
        let to_all = to_all.iter();
        let mut woken: Vec<Waker> = to_all
            .filter_map(|id| taken(seats, *id).count(number, key))
            .collect();
        for topic in topics {
            if let Some(listing) = by_topic.get_mut(topic) {
                listing.push(number);
                let listed = listing.seats.iter();
                woken.extend(listed.filter_map(|id| taken(seats, *id).count(number, key)));
            }
        }
        woken
    }

    /// Forgets an entry that has left the ring.
    pub(crate) fn forget(&mut self, number: u64, topics: &[Topic]) {
        for topic in topics {
            if let Some(listing) = self.by_topic.get_mut(topic) {
                listing.depart(number);
            }
        }
    }

    /// The first entry held from `number` on that meets the interest of one who sits here, and
    /// whose place is not above.
    ///
    /// Takes no longer than a look at each topic of the interest, and at as many entries.
    pub(crate) fn next<T>(
        &self,
        number: u64,
        interest: &Interest,
        ring: &Ring<K, T>,
    ) -> Option<u64> {
        let Interest::Any(topics) = interest else {
            let next = number.max(ring.first());
            return (next < ring.end()).then_some(next);
        };
        // Often the next of all is the next; and then no list is asked, however many there are.
        let number = number.max(ring.first());
        let far = number.saturating_add(length(topics.len()));
        ring.find(number..far, interest).or_else(|| {
            self.listings(topics)
                .filter_map(|listing| listing.next(far))
                .min()
        })
    }

    /// How many entries from `number` on meet the interest of one who sits here, and whose place
    /// is not above.
    pub(crate) fn count<T>(&self, number: u64, interest: &Interest, ring: &Ring<K, T>) -> u64 {
        let Interest::Any(topics) = interest else {
            return ring.end() - number.clamp(ring.first(), ring.end());
        };
        if topics.len() == 1 {
            return self
                .listings(topics)
                .map(|listing| listing.count(number))
                .sum();
        }
        let listings = self.listings(topics);
        let mut numbers: Vec<u64> = listings
            .flat_map(|listing| listing.at_least(number))
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        length(numbers.len())
    }

    fn listings(&self, topics: &Topics) -> impl Iterator<Item = &Listing> {
        topics.iter().filter_map(|topic| self.by_topic.get(&topic))
    }
}

fn taken<K>(seats: &mut [Option<Seat<K>>], id: SeatId) -> &mut Seat<K> {
    seats[id.0]
        .as_mut()
        .expect("a seat is taken for as long as it is listed or held")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    fn ring() -> Ring<u32, ()> {
        Ring::new(NonZeroUsize::MIN.into(), 0)
    }

    #[test]
    fn an_entry_with_two_wanted_topics_counts_once() {
        let [a, b] = ["a", "b"].map(Topic::of);
        let mut roster = Roster::default();
        let id = roster.enter(0, &Interest::any([a, b]), &ring());
        assert!(roster.announce(7, 70, &[a, b]).is_empty());
        assert!(roster.announce(8, 80, &[b]).is_empty());
        assert_eq!((roster.seat(id).unread, roster.seat(id).next), (2, 7));
    }

    #[test]
    fn an_entry_up_to_its_start_does_not_count() {
        let mut roster = Roster::default();
        let id = roster.enter(70, &Interest::All, &ring());
        roster.announce(7, 70, &[]);
        assert_eq!(roster.seat(id).unread, 0);
        roster.announce(8, 71, &[]);
        assert_eq!((roster.seat(id).unread, roster.seat(id).next), (1, 8));
    }

    #[test]
    fn those_who_left_leave_nothing_behind() {
        let mut roster = Roster::default();
        for round in 0..3 {
            let seated: Vec<_> = (0..5_000)
                .map(|user| {
                    let own = Topic::of(&("user", round, user));
                    let interest = Interest::any([own, Topic::of("everyone")]);
                    (roster.enter(0, &interest, &ring()), interest)
                })
                .collect();
            assert_eq!(roster.len(), 5_000);
            for (id, interest) in seated {
                roster.leave(id, &interest);
            }
            assert_eq!(roster.len(), 0);
            assert_eq!(roster.seats.capacity(), 0);
            assert!(roster.by_topic.is_empty());
            assert!(roster.by_topic.capacity() <= 2 * WORTH_SHRINKING);
        }
    }

    #[test]
    fn a_seat_is_used_again() {
        let mut roster = Roster::default();
        let first = roster.enter(0, &Interest::All, &ring());
        let second = roster.enter(0, &Interest::All, &ring());
        roster.leave(first, &Interest::All);
        assert_eq!(roster.enter(0, &Interest::All, &ring()), first);
        assert_ne!(first, second);
        assert_eq!(roster.len(), 2);
    }
}
