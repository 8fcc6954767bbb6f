use crate::scan::line_end;

/// The lines of a text: split at CR, LF and CRLF, never empty of lines.
///
/// A text that ends with a line break has an empty last line, as the text it becomes again on
/// the other side does.
#[derive(Debug, Clone)]
pub(crate) struct Lines<'a> {
    text: &'a [u8],
    /// The start of the next line; none after the last one.
    next: Option<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            next: Some(0),
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.next?;
        let end = line_end::<1>(self.text, start);
        self.next = end.map(|end| after(self.text, end));
        Some(&self.text[start..end.unwrap_or(self.text.len())])
    }
}

/// The first line break at or after `start`, and what comes after it.
pub(crate) fn break_at(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let end = line_end::<1>(text, start)?;
    Some((end, after(text, end)))
}

/// Past the line break at `end`.
fn after(text: &[u8], end: usize) -> usize {
    if text[end..].starts_with(b"\r\n") {
        end + 2
    } else {
        end + 1
    }
}

/// Where a text breaks into lines: searched once, for the length of what is made of it and
/// again for the bytes.
///
/// The breaks that do not fit are searched again.
#[derive(Debug)]
pub(crate) struct Breaks {
    ends: [usize; Self::KEPT],
    /// How many of `ends` there are.
    kept: usize,
    count: usize,
    empty_lines: usize,
    /// The length of all lines.
    len: usize,
}

impl Breaks {
    const KEPT: usize = 128;

    #[inline(never)]
    pub(crate) fn find(text: &[u8]) -> Self {
        let mut breaks = Self {
            ends: [0; Self::KEPT],
            kept: 0,
            count: 0,
            empty_lines: 0,
            len: 0,
        };
        let mut start = 0;
        while let Some(end) = line_end::<1>(text, start) {
            if let Some(kept) = breaks.ends.get_mut(breaks.count) {
                *kept = end;
                breaks.kept += 1;
            }
            breaks.count += 1;
            breaks.add(end - start);
            start = after(text, end);
        }
        breaks.add(text.len() - start);
        breaks
    }

    fn add(&mut self, len: usize) {
        self.len += len;
        self.empty_lines += usize::from(len == 0);
    }

    /// How many lines are not empty.
    pub(crate) fn full_lines(&self) -> usize {
        self.count + 1 - self.empty_lines
    }

    pub(crate) fn empty_lines(&self) -> usize {
        self.empty_lines
    }

    /// The length of all lines, without what broke them.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The first line of the text.
    pub(crate) fn first_line<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        match self.ends[..self.kept].first() {
            Some(end) => &text[..*end],
            None => text,
        }
    }

    /// Hands each line of the text but the first to `each`.
    #[inline]
    pub(crate) fn each_other_line<'a>(&self, text: &'a [u8], mut each: impl FnMut(&'a [u8])) {
        let Some((first, others)) = self.ends[..self.kept].split_first() else {
            return;
        };
        let mut start = after(text, *first);
        for end in others {
            each(&text[start..*end]);
            start = after(text, *end);
        }
        if self.kept == self.count {
            each(&text[start..]);
        } else {
            Lines {
                text,
                next: Some(start),
            }
            .for_each(each);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let expected: Vec<_> = expected.iter().map(|line| line.as_bytes()).collect();
        let lines: Vec<_> = Lines::new(text.as_bytes()).collect();
        assert_eq!(lines, expected, "{text:?}");

        let breaks = Breaks::find(text.as_bytes());
        let mut lines = Vec::from([breaks.first_line(text.as_bytes())]);
        breaks.each_other_line(text.as_bytes(), |line| lines.push(line));
        assert_eq!(lines, expected, "{text:?}");
        assert_eq!(breaks.len(), lines.concat().len());
        assert_eq!(breaks.full_lines() + breaks.empty_lines(), lines.len());
        assert_eq!(
            breaks.empty_lines(),
            lines.iter().filter(|line| line.is_empty()).count()
        );
    }

    #[test]
    fn splits_at_every_line_break_once() {
        check("", &[""]);
        check("a", &["a"]);
        check("a\n", &["a", ""]);
        check("a\rb\nc\r\nd", &["a", "b", "c", "d"]);
        check("\n\r", &["", "", ""]);
        check("\r\r\n\n", &["", "", "", ""]);
    }

    #[test]
    fn remembers_some_breaks_and_finds_the_others_again() {
        for count in [
            Breaks::KEPT - 1,
            Breaks::KEPT,
            Breaks::KEPT + 1,
            3 * Breaks::KEPT,
        ] {
            let lines: Vec<String> = (0..=count).map(|line| "x".repeat(line % 30)).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            check(&lines.join("\r\n"), &lines);
        }
    }
}
