use std::iter;

use bytes::Bytes;
use eventwire_sse::Frame;

/// Frames that leave together, as one piece of data.
///
/// Invariant: `rest` is empty where `first` is none, and no frame is empty.
#[derive(Default)]
pub(crate) struct Batch {
    first: Option<Frame>,
    rest: Vec<Frame>,
    len: usize,
    /// Whether `first` leaves alone.
    is_alone: bool,
}

/// From this length on a frame leaves alone: sharing its bytes is worth more than a write saved.
const ALONE_BYTES: usize = 4 << 10;

impl Batch {
    /// Adds a frame; gives it back where the batch would become longer than `limit`, or where one
    /// of the two leaves alone. The first is taken however long it is.
    pub(crate) fn push(&mut self, frame: Frame, limit: usize) -> Result<(), Frame> {
        if frame.is_empty() {
            return Ok(());
        }
        let len = self.len.saturating_add(frame.len());
        if self.first.is_none() {
            self.is_alone = frame.len() >= ALONE_BYTES;
            self.first = Some(frame);
        } else if len <= limit && !self.is_alone && frame.len() < ALONE_BYTES {
            self.rest.push(frame);
        } else {
            return Err(frame);
        }
        self.len = len;
        Ok(())
    }

    /// The bytes of all frames, in order: those of the only one as they are, those of several
    /// copied once.
    pub(crate) fn into_bytes(self) -> Option<Bytes> {
        let first = self.first?;
        if self.rest.is_empty() {
            return Some(first.into_bytes());
        }
        Some(Frame::concat(iter::once(&first).chain(&self.rest)).into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> Frame {
        Frame::comment(text)
    }

    #[test]
    fn one_frame_is_not_copied() {
        let frame = frame("only");
        let place = frame.as_bytes().as_ptr();
        let mut batch = Batch::default();
        assert_eq!(batch.push(frame, 0), Ok(()));
        assert_eq!(batch.into_bytes().map(|bytes| bytes.as_ptr()), Some(place));
    }

    #[test]
    fn frames_are_taken_up_to_the_limit() {
        // Each is `: a\n\n`, 5 bytes.
        let cases = [(0, 1), (9, 1), (10, 2), (14, 2), (15, 3)];
        for (limit, taken) in cases {
            let mut batch = Batch::default();
            let pushed = (0..3)
                .take_while(|_| batch.push(frame("a"), limit).is_ok())
                .count();
            assert_eq!(pushed, taken, "limit {limit}");
            let bytes = batch.into_bytes().expect("the first is always taken");
            assert_eq!(bytes, ": a\n\n".repeat(taken));
        }
    }

    #[test]
    fn a_long_frame_leaves_alone() {
        let long = || frame(&"x".repeat(ALONE_BYTES));
        let mut batch = Batch::default();
        assert_eq!(batch.push(frame("a"), usize::MAX), Ok(()));
        assert_eq!(batch.push(long(), usize::MAX), Err(long()));
        let mut batch = Batch::default();
        assert_eq!(batch.push(long(), 0), Ok(()));
        assert_eq!(batch.push(frame("a"), usize::MAX), Err(frame("a")));
    }

    #[test]
    fn what_is_empty_takes_no_part() {
        let mut batch = Batch::default();
        assert_eq!(batch.push(Frame::default(), 9), Ok(()));
        assert_eq!(batch.into_bytes(), None);
    }
}
