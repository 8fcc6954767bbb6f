use std::time::{Duration, SystemTime, UNIX_EPOCH};

use eventwire_store::{NameError, StreamName, Tag};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::DomainEvent;
use crate::process::Asked;

/// What an instance has come to by one thing that happened to it, and what is to be done about
/// it. The last in the instance's stream has its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Record {
    ProcessAdvanced(Advanced),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Advanced {
    pub(super) process: String,
    pub(super) instance: String,
    pub(super) cause: Cause,
    pub(super) state: Value,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) commands: Vec<Asked>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) reminders: Vec<Reminder>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) forgotten: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) has_ended: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Cause {
    /// An event, by its position.
    Event(String),
    /// A reminder, by its name.
    Due(String),
    /// The answer to a command: the version of the record that asked for it, and which of that
    /// record's commands it is.
    Answer { version: u64, index: usize },
}

impl Cause {
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Event(_) => "event",
            Self::Due(_) => "reminder",
            Self::Answer { .. } => "answer",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reminder {
    pub(super) name: String,
    pub(super) due_millis: u64,
}

impl Reminder {
    pub(super) fn new(name: String, due: SystemTime) -> Self {
        let due = due.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            name,
            due_millis: u64::try_from(due.as_millis()).unwrap_or(u64::MAX),
        }
    }

    pub(super) fn due(&self) -> SystemTime {
        // Past what the machine's time can say, it never comes.
        let due = Duration::from_millis(self.due_millis);
        UNIX_EPOCH.checked_add(due).unwrap_or(UNIX_EPOCH + FAR)
    }
}

/// Some thousand years.
const FAR: Duration = Duration::from_secs(1 << 36);

/// The tag that all records of a process carry.
pub(super) fn tag(process: &str) -> Result<Tag, NameError> {
    Tag::new(format!("process:{process}"))
}

pub(super) fn stream(process: &str, instance: &str) -> Result<StreamName, NameError> {
    StreamName::new(format!("process.{process}-{instance}"))
}

impl DomainEvent for Record {
    fn tags(&self) -> Result<Vec<Tag>, NameError> {
        let Self::ProcessAdvanced(advanced) = self;
        Ok(vec![tag(&advanced.process)?])
    }
}
