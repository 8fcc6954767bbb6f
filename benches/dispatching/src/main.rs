//! `cargo run --release -p dispatching -- [part of a row's name] [part of a contestant's]`: what
//! commands, questions and views cost above what they have to do, beside peers and beside the
//! same by hand. See ../../README.md.

mod account;
mod asking;
mod deciding;
mod dropping;
mod peers;
mod projecting;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.next().unwrap_or_default();
    let who = arguments.next().unwrap_or_default();
    let mut rows = vec![asking::row()];
    rows.extend([0, 10, 100, 10_000].map(deciding::row));
    rows.push(projecting::row());
    harness::table("Dispatching", rows, &wanted, &who);
}
