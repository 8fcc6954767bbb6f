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
