use core::time::Duration;

use memchr::memchr;

/// What a line that is not blank says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    Data,
    Event,
    Id,
    Retry(Duration),
    Comment,
    /// A field with another name, or a `retry` that is not a number.
    Unknown,
}

/// What the line says, and the offset of its value: past the colon and one space.
pub(crate) fn split(line: &[u8]) -> (Line, usize) {
    let colon = memchr(b':', line).unwrap_or(line.len());
    let value = match line.get(colon + 1) {
        Some(b' ') => colon + 2,
        Some(_) => colon + 1,
        None => line.len(),
    };
    match &line[..colon] {
        b"" => (Line::Comment, 1),
        b"data" => (Line::Data, value),
        b"event" => (Line::Event, value),
        b"id" => (Line::Id, value),
        b"retry" => (
            millis(&line[value..]).map_or(Line::Unknown, Line::Retry),
            value,
        ),
        _ => (Line::Unknown, value),
    }
}

/// ASCII digits and nothing else, as milliseconds; at most `u64::MAX` of them.
fn millis(digits: &[u8]) -> Option<Duration> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let millis = digits.iter().fold(0_u64, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    });
    Some(Duration::from_millis(millis))
}
