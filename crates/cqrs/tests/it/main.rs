//! The crate as its users see it, over the store in memory.

#![cfg(test)]

mod dispatch;
mod room;
