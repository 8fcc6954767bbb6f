//! Positions as this store counts them: 1, 2, 3, none left out.

use eventwire_store::Position;

/// The position with this number.
pub(crate) fn position(number: u64) -> Position {
    Position::from_parts(0, number)
}

/// The number of a position; the greatest there is for one that another kind of store gave.
pub(crate) fn of(position: Position) -> u64 {
    match position.to_parts() {
        (0, number) => number,
        _ => u64::MAX,
    }
}

/// The number that a file's name of 20 digits has before its ending; none for any other name.
pub(crate) fn in_name(name: &str, ending: &str) -> Option<u64> {
    let digits = name.strip_suffix(ending)?;
    let is_number = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}
