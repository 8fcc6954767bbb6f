//! An epoch names one life of one log, so that a place in another is recognised.

use eventwire_store::Position;

use crate::sample::{one, several};
use crate::subject::Subject;

/// Another log has another epoch.
pub fn another_log_has_another_epoch(subject: &Subject) {
    let epochs = [
        subject.store().epoch(),
        subject.another().store().epoch(),
        subject.another().store().epoch(),
    ];
    assert_ne!(epochs[0], epochs[1]);
    assert_ne!(epochs[1], epochs[2]);
    assert_ne!(epochs[2], epochs[0]);
}

/// A log keeps its epoch, whatever is appended.
pub fn a_log_keeps_its_epoch(subject: &Subject) {
    let epoch = subject.store().epoch();
    for n in 0..5 {
        subject.put(several("room-1", n + 1));
        assert_eq!(subject.store().epoch(), epoch);
    }
}

/// Logs are apart: what is appended to one is in that one.
pub fn logs_are_apart(subject: &Subject) {
    let other = subject.another();
    subject.put(one("room-1", "here"));
    assert_eq!(other.log(), []);
    assert_eq!(other.head(), Position::ORIGIN);
    other.put(several("room-1", 2).expect(eventwire_store::Expect::NoStream));
    assert_eq!(subject.log().len(), 1);
}

/// What a store says it can do does not change while it is open.
pub fn capabilities_do_not_change(subject: &Subject) {
    let capabilities = subject.store().capabilities();
    subject.put(several("room-1", 50));
    assert_eq!(subject.store().capabilities(), capabilities);
}
