use memchr::memchr2;

/// The lines of a text: split at CR, LF and CRLF, never empty of lines.
///
/// A text that ends with a line break has an empty last line, as the text it becomes again on
/// the other side does.
#[derive(Debug, Clone)]
pub(crate) struct Lines<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { rest: Some(text) }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let Some(end) = memchr2(b'\n', b'\r', rest) else {
            self.rest = None;
            return Some(rest);
        };
        let (line, tail) = rest.split_at(end);
        let width = if tail.starts_with(b"\r\n") { 2 } else { 1 };
        self.rest = Some(&tail[width..]);
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn splits_at_every_line_break_once() {
        for (text, expected) in [
            ("", &[""][..]),
            ("a", &["a"]),
            ("a\n", &["a", ""]),
            ("a\rb\nc\r\nd", &["a", "b", "c", "d"]),
            ("\n\r", &["", "", ""]),
            ("\r\r\n\n", &["", "", "", ""]),
        ] {
            let lines: Vec<_> = Lines::new(text.as_bytes()).collect();
            let expected: Vec<_> = expected.iter().map(|line| line.as_bytes()).collect();
            assert_eq!(lines, expected, "{text:?}");
        }
    }
}
