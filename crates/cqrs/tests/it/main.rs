//! The crate as its users see it, over the store in memory.

#![cfg(test)]

mod bank;
mod chapter;
mod codec;
mod dispatch;
mod examples;
mod history;
mod idempotency;
mod killed;
mod layers;
mod processes;
mod projections;
mod races;
mod room;
mod shop;
mod snapshots;
mod sqlite;
mod steps;
mod stores;
mod traced;
mod yielding;
