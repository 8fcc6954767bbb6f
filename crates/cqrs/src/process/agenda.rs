use std::collections::BTreeMap;
use std::time::SystemTime;

use eventwire_store::{Position, Version};

use crate::process::Asked;
use crate::process::record::{Advanced, Cause};

/// What the records of a process say is still to be done.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    /// In the order in which they were asked for.
    commands: BTreeMap<(Position, usize), Open>,
    /// By instance and name.
    reminders: BTreeMap<(String, String), Waiting>,
    /// The last record.
    at: Position,
}

/// A command that has no answer yet.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) instance: String,
    /// Of the record that asked for it.
    pub(super) version: Version,
    /// Which of that record's commands it is.
    pub(super) index: usize,
    pub(super) asked: Asked,
    /// The record before the one that asked for it.
    before: Position,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    due: SystemTime,
    /// The record before the one that set it.
    before: Position,
}

impl Agenda {
    /// From a place on below which there is nothing to do.
    pub(super) fn after(position: Position) -> Self {
        Self {
            at: position,
            ..Self::default()
        }
    }

    pub(super) fn take_in(&mut self, record: &Advanced, position: Position, version: Version) {
        let before = std::mem::replace(&mut self.at, position);
        let instance = &record.instance;
        match &record.cause {
            Cause::Event(_) => {}
            Cause::Due(name) => {
                self.reminders.remove(&(instance.clone(), name.clone()));
            }
            Cause::Answer { version, index } => {
                let of = |open: &Open| {
                    open.instance == *instance
                        && open.version.get() == *version
                        && open.index == *index
                };
                self.commands.retain(|_, open| !of(open));
            }
        }
        for name in &record.forgotten {
            self.reminders.remove(&(instance.clone(), name.clone()));
        }
        for reminder in &record.reminders {
            let waiting = Waiting {
                due: reminder.due(),
                before,
            };
            let name = (instance.clone(), reminder.name.clone());
            self.reminders.insert(name, waiting);
        }
        if record.has_ended {
            self.reminders.retain(|(of, _), _| of != instance);
        }
        for (index, asked) in record.commands.iter().enumerate() {
            let open = Open {
                instance: instance.clone(),
                version,
                index,
                asked: asked.clone(),
                before,
            };
            self.commands.insert((position, index), open);
        }
    }

    /// The command that was asked for first.
    pub(super) fn next_command(&self) -> Option<&Open> {
        self.commands.values().next()
    }

    /// The reminder whose time comes first: instance, name and time.
    pub(super) fn next_reminder(&self) -> Option<(&str, &str, SystemTime)> {
        self.reminders
            .iter()
            .min_by_key(|(_, waiting)| waiting.due)
            .map(|((instance, name), waiting)| (&**instance, &**name, waiting.due))
    }

    /// A place below which there is nothing to do.
    pub(super) fn done_up_to(&self) -> Position {
        let commands = self.commands.values().map(|open| open.before);
        let reminders = self.reminders.values().map(|waiting| waiting.before);
        commands.chain(reminders).min().unwrap_or(self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::Value;

    use super::*;
    use crate::process::record::Reminder;

    fn at(position: u64) -> Position {
        Position::from_parts(0, position)
    }

    fn advanced(instance: &str, cause: Cause) -> Advanced {
        Advanced {
            process: "p".to_owned(),
            instance: instance.to_owned(),
            cause,
            state: Value::Null,
            commands: Vec::new(),
            reminders: Vec::new(),
            forgotten: Vec::new(),
            has_ended: false,
        }
    }

    fn event() -> Cause {
        Cause::Event("1".to_owned())
    }

    fn asked(name: &str) -> Asked {
        Asked {
            name: name.to_owned(),
            body: Value::Null,
        }
    }

    fn remind(name: &str, seconds: u64) -> Reminder {
        Reminder::new(name.to_owned(), UNIX_EPOCH + Duration::from_secs(seconds))
    }

    /// The next command, the next reminder, and up to where all is done.
    fn told(agenda: &Agenda) -> (Option<&str>, Option<(&str, &str)>, u64) {
        let command = agenda.next_command().map(|open| &*open.asked.name);
        let reminder = agenda
            .next_reminder()
            .map(|(instance, name, _)| (instance, name));
        (command, reminder, agenda.done_up_to().to_parts().1)
    }

    #[test]
    fn what_is_asked_for_stays_until_it_is_answered_and_reminders_until_they_come() {
        let mut agenda = Agenda::after(at(3));
        assert_eq!(told(&agenda), (None, None, 3));
        let mut record = |instance, cause, position, version, change: fn(&mut Advanced)| {
            let mut record = advanced(instance, cause);
            change(&mut record);
            agenda.take_in(&record, at(position), Version::new(version).unwrap());
            let (command, reminder, done) = told(&agenda);
            let reminder = reminder.map(|(instance, name)| format!("{instance} {name}"));
            (command.map(str::to_owned), reminder, done)
        };
        let some = |text: &str| Some(text.to_owned());
        let answer = |version, index| Cause::Answer { version, index };

        let two = record("a", event(), 5, 1, |r| {
            r.commands = vec![asked("x"), asked("y")];
        });
        assert_eq!(two, (some("x"), None, 3));
        let late = record("b", event(), 6, 1, |r| {
            r.reminders = vec![remind("late", 9)];
        });
        assert_eq!(late, (some("x"), some("b late"), 3));
        let second = record("a", answer(1, 0), 7, 2, |_| {});
        assert_eq!(second, (some("y"), some("b late"), 3));
        // Another instance's answer is not this one's.
        let other = record("b", answer(1, 1), 8, 2, |_| {});
        assert_eq!(other, (some("y"), some("b late"), 3));
        let soon = record("a", answer(1, 1), 9, 3, |r| {
            r.reminders = vec![remind("soon", 5)];
        });
        assert_eq!(soon, (None, some("a soon"), 5));
        let due = record("a", Cause::Due("soon".to_owned()), 10, 4, |r| {
            r.reminders = vec![remind("again", 20)];
        });
        assert_eq!(due, (None, some("b late"), 5));
        let moved = record("b", event(), 11, 3, |r| {
            r.reminders = vec![remind("late", 30)];
        });
        assert_eq!(moved, (None, some("a again"), 9));
        let ended = record("a", event(), 12, 5, |r| {
            r.has_ended = true;
        });
        assert_eq!(ended, (None, some("b late"), 10));
        let forgotten = record("b", event(), 13, 4, |r| {
            r.forgotten = vec!["late".to_owned()];
        });
        assert_eq!(forgotten, (None, None, 13));
    }
}
