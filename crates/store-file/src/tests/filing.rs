use std::sync::Arc;
use std::thread;

use eventwire_store::{Append, AppendError, Appended, EventType, NewEvent, StreamName};

use super::workload::{GROWTH, open};
use crate::committer::MOST_UNFILED;
use crate::engine::Engine;
use crate::filing::MOST_UNMERGED;
use crate::log::SharedLog;
use crate::queue::Queue;
use crate::request::Request;
use crate::storage::Storage;
use crate::storage::simulated::{Lack, Simulated};
use crate::work::{Place, Work};
use crate::writer::Clerk;

/// Events that are read when the store is opened after a kill, at most: appends here have one, so
/// that no index has more than is enough for one.
const MOST_READ: usize = (MOST_UNFILED + 1) * GROWTH.index_events;

struct Store {
    place: Place,
    queue: Arc<Queue<Clerk>>,
}

impl Store {
    fn open(medium: &Simulated) -> Self {
        let engine = open(medium).expect("nothing fails");
        let Engine {
            committer, place, ..
        } = engine;
        let clerk = Clerk::new(committer, &place);
        Self {
            queue: Arc::new(Queue::new(clerk)),
            place,
        }
    }

    /// Appends events, one at a time; after each of them no more would be read than may.
    fn append(&self, events: usize) {
        for number in 0..events {
            self.try_append(number).expect("nothing fails");
            let in_no_file = in_no_file(&self.place.log);
            assert!(
                in_no_file <= MOST_READ,
                "{in_no_file} events are in no file"
            );
        }
    }

    fn try_append(&self, number: usize) -> Result<Appended, AppendError> {
        let stream = StreamName::new(format!("room-{}", number % 7)).expect("a name");
        let posted = EventType::new("posted").expect("a name");
        let append = Append::to(stream).event(NewEvent::new(posted, "hi"));
        let request = Request::new(append).expect("it is small");
        let answered = self.queue.push_and_wait(Box::new(request));
        let (request, answer) = answered.expect("it is open").expect("it is answered");
        answer.of(&request)
    }

    fn close(self) {
        self.queue.close();
        let clerk = self.queue.lead_to_the_end().expect("nobody else leads");
        clerk.finish();
    }
}

fn in_no_file(log: &SharedLog) -> usize {
    let state = log.read();
    let unfiled = state.unfiled().map(|sealed| sealed.index.events());
    unfiled.sum::<usize>() + state.open.events()
}

/// What a kill leaves to be read does not depend on how long merging, removing and rewriting take.
#[test]
fn filing_does_not_wait_for_upkeep() {
    let medium = Simulated::new(7);
    let store = Store::open(&medium);
    let at_work = store.place.turns.take(Work::Upkeep);
    store.append(5 * MOST_READ);
    assert!(Work::Upkeep.is_due(&store.place), "nothing to be merged");
    let reopened = open(&medium.copy()).expect("nothing fails");
    let read = usize::try_from(reopened.recovery.events_read).expect("few");
    assert!(read <= MOST_READ, "{read} events were read");
    assert_eq!(reopened.log.read().last(), store.place.log.shown());
    drop(at_work);
}

/// Nor on how long a file takes: then appends wait.
#[test]
fn appends_wait_for_filing() {
    let medium = Simulated::new(7);
    let store = Store::open(&medium);
    let at_work = store.place.turns.take(Work::Filing);
    thread::scope(|scope| {
        let appended = scope.spawn(|| store.append(20 * MOST_READ));
        while !appended.is_finished() && in_no_file(&store.place.log) < MOST_READ {
            thread::yield_now();
        }
        assert!(!appended.is_finished(), "nobody waited");
        drop(at_work);
        appended.join().expect("no more was kept than may be");
    });
    let events = store.place.log.shown();
    assert_eq!(usize::try_from(events).expect("few"), 20 * MOST_READ);
}

/// What could not be put into files is, once there is again what that takes: while the store is open,
/// and at the latest when it is closed.
#[test]
fn filing_goes_on_after_a_shortage() {
    for closes_at_once in [false, true] {
        let medium = Simulated::new(7);
        let store = Store::open(&medium);
        store.append(1);
        medium.set_lack(Some(Lack::Descriptors));
        let mut refused = 0;
        while refused < 3 {
            refused += usize::from(store.try_append(0).is_err());
        }
        let kept = in_no_file(&store.place.log);
        assert!(kept > MOST_READ, "{kept} events are few enough");
        medium.set_lack(None);
        if !closes_at_once {
            for number in 0..MOST_READ {
                store.try_append(number).expect("there is what was lacking");
            }
            store.append(MOST_READ);
        }
        let held = store.place.log.shown();
        store.close();
        let reopened = open(&medium.copy()).expect("nothing fails");
        assert_eq!(reopened.recovery.events_read, 0);
        assert_eq!(reopened.log.read().last(), held);
    }
}

/// Nor are there more files than a process can have open.
#[test]
fn what_nobody_merges_is_filed_no_more() {
    let medium = Simulated::new(7);
    let store = Store::open(&medium);
    let at_work = store.place.turns.take(Work::Upkeep);
    for number in 0..100 * MOST_READ {
        store.try_append(number).expect("nothing fails");
    }
    let files = medium
        .within("indexes")
        .list()
        .expect("nothing fails")
        .len();
    let segments = store.place.log.read().segments.len();
    assert!(
        files > MOST_UNMERGED && files <= segments + MOST_UNMERGED,
        "{files} files"
    );
    drop(at_work);
    store.close();
    let reopened = open(&medium.copy()).expect("nothing fails");
    assert_eq!(reopened.recovery.events_read, 0);
}
