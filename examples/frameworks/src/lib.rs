//! What the examples of this package share: a clock to tell the time of, and a command line.

mod options;
mod ticks;

pub use options::{Options, stopped};
pub use ticks::Ticks;
