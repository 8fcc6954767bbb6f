use std::sync::Arc;

use bytes::Bytes;
use eventwire_store::{EventType, RecordedEvent, StreamName, StreamPlace, Tag};

use super::Record;
use super::record::{NO_NAME, NO_PLACE};
use crate::number;

/// Makes events of records that lie in one buffer.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    buffer: &'a Bytes,
    /// The tags of the last event that had any, as they lie there: neighbours and the events of
    /// one stream often have the same.
    tags: (&'a [u8], Arc<[Tag]>),
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(buffer: &'a Bytes) -> Self {
        Self {
            buffer,
            tags: (&[], Arc::default()),
        }
    }

    /// The event of a record in the buffer. Metadata and payload are slices of the buffer, and so
    /// are long names.
    ///
    /// # Errors
    /// What is wrong with its names.
    pub(crate) fn event(
        &mut self,
        record: Record<'a>,
        position: u64,
    ) -> Result<RecordedEvent, &'static str> {
        let buffer = self.buffer;
        let stream = match (record.stream(), record.version()) {
            ([], None) => None,
            (name @ [_, ..], Some(version)) => Some(StreamPlace {
                name: StreamName::part_of(buffer, name).map_err(|_| NO_NAME)?,
                version,
            }),
            _ => return Err(NO_PLACE),
        };
        Ok(RecordedEvent {
            position: number::position(position),
            stream,
            event_type: EventType::part_of(buffer, record.event_type()).map_err(|_| NO_NAME)?,
            uuid: record.uuid(),
            recorded_at: record.recorded_at(),
            tags: self.tags(record)?,
            metadata: part(buffer, record.metadata()),
            data: part(buffer, record.data()),
        })
    }

    fn tags(&mut self, record: Record<'a>) -> Result<Arc<[Tag]>, &'static str> {
        let (last, tags) = &self.tags;
        if record.tag_bytes() == *last && tags.len() == usize::from(record.tag_count()) {
            return Ok(Arc::clone(tags));
        }
        let tags = shared_tags(self.buffer, record)?;
        self.tags = (record.tag_bytes(), Arc::clone(&tags));
        Ok(tags)
    }
}

/// Their number is known, so that one allocation holds them.
fn shared_tags(buffer: &Bytes, record: Record<'_>) -> Result<Arc<[Tag]>, &'static str> {
    let mut tags = record.tags();
    let mut next = || Tag::part_of(buffer, tags.next()?).ok();
    let Some(first) = next() else {
        let is_none = record.tag_count() == 0;
        return is_none.then(Arc::default).ok_or(NO_NAME);
    };
    let mut are_names = true;
    let tag = |number| match number {
        0 => first.clone(),
        _ => next().unwrap_or_else(|| {
            are_names = false;
            first.clone()
        }),
    };
    let tags = (0..record.tag_count()).map(tag).collect();
    are_names.then_some(tags).ok_or(NO_NAME)
}

/// A slice of a buffer; an empty one keeps nothing of it.
fn part(buffer: &Bytes, part: &[u8]) -> Bytes {
    match part {
        [] => Bytes::new(),
        part => buffer.slice_ref(part),
    }
}
