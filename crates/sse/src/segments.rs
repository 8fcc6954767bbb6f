use alloc::vec::Vec;

use bytes::Bytes;

use crate::event_head::EventHead;
use crate::lines::break_at;

/// A block as slices for one vectored write: the data is shared, line by line, not copied.
///
/// [`Event::segments`](crate::Event::segments) makes it. Worth it where the data is long and of
/// few lines; a short event is sooner copied than divided.
#[derive(Debug, Clone)]
pub struct Segments {
    data: Bytes,
    next: Next,
}

#[derive(Debug, Clone)]
enum Next {
    /// What comes before the line at this index.
    Before(Bytes, usize),
    /// The line at this index.
    Line(usize),
    BlankLine,
    Nothing,
}

impl Segments {
    pub(crate) fn new(head: &EventHead<'_>, data: Bytes) -> Self {
        let start = start(&data, 0);
        // The first start of a line has no line before it to end.
        let start = &start[1..];
        let mut before = Vec::with_capacity(head.encoded_len() + start.len());
        head.put(&mut before);
        before.extend_from_slice(start);
        Self {
            data,
            next: Next::Before(Bytes::from(before), 0),
        }
    }
}

/// What ends a line of data and starts the one at `line`.
fn start(data: &[u8], line: usize) -> &'static [u8] {
    match data.get(line) {
        None | Some(b'\r' | b'\n') => b"\ndata:",
        Some(_) => b"\ndata: ",
    }
}

impl Iterator for Segments {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        loop {
            match core::mem::replace(&mut self.next, Next::Nothing) {
                Next::Before(before, line) => {
                    self.next = Next::Line(line);
                    return Some(before);
                }
                Next::Line(start_at) => {
                    let line = match break_at(&self.data, start_at) {
                        None => {
                            self.next = Next::BlankLine;
                            start_at..self.data.len()
                        }
                        Some((end, after)) => {
                            let before = Bytes::from_static(start(&self.data, after));
                            self.next = Next::Before(before, after);
                            start_at..end
                        }
                    };
                    if !line.is_empty() {
                        return Some(self.data.slice(line));
                    }
                }
                Next::BlankLine => return Some(Bytes::from_static(b"\n\n")),
                Next::Nothing => return None,
            }
        }
    }
}
