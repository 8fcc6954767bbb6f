use bytes::Bytes;
use eventwire_store::{EventRef, EventType, StreamName, Tag, Version};

use super::Record;
use super::record::{NO_NAME, NO_PLACE};

/// The names of one event after the other, for who needs nothing else of them: no event
/// allocates, but for names that are long.
#[derive(Debug, Default)]
pub(crate) struct EventNames {
    stream: Option<StreamName>,
    /// None before the first event.
    event_type: Option<EventType>,
    tags: Vec<Tag>,
}

impl EventNames {
    /// The names of the next event, whose record lies in a buffer, and its version.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn take_in(
        &mut self,
        buffer: &Bytes,
        record: Record<'_>,
    ) -> Result<(EventRef<'_>, Option<Version>), &'static str> {
        let version = record.version();
        self.stream = match (record.stream(), version) {
            ([], None) => None,
            (name @ [_, ..], Some(_)) => {
                Some(StreamName::part_of(buffer, name).map_err(|_| NO_NAME)?)
            }
            _ => return Err(NO_PLACE),
        };
        // Mostly it is that of the event before.
        let name = record.event_type();
        let event_type = match self.event_type.take() {
            Some(last) if last.as_bytes() == name => last,
            _ => EventType::part_of(buffer, name).map_err(|_| NO_NAME)?,
        };
        self.tags.clear();
        for tag in record.tags() {
            let tag = Tag::part_of(buffer, tag).map_err(|_| NO_NAME)?;
            self.tags.push(tag);
        }
        let event = EventRef {
            stream: self.stream.as_ref(),
            event_type: self.event_type.insert(event_type),
            tags: &self.tags,
        };
        Ok((event, version))
    }
}
