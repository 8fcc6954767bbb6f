//! Every parser of the crate behind one function, so that a test is written once.

use eventwire_sse::{Item, Limits, Parser, TooLarge};

use crate::literal::Told;

/// A stream as it arrives.
pub(crate) struct Reading<'a> {
    pub(crate) chunks: &'a [&'a [u8]],
    pub(crate) limits: Limits,
    pub(crate) start: &'a str,
}

/// Everything that a parser tells of a stream, and its last event id after it.
pub(crate) type Read = fn(&Reading<'_>) -> (Vec<Told>, String);

pub(crate) const PARSERS: [(&str, Read); 2] = [("lent", lent), ("each", each)];

fn lent(reading: &Reading<'_>) -> (Vec<Told>, String) {
    let mut parser = Parser::resume(reading.start).limits(reading.limits);
    let mut all = Vec::new();
    for chunk in reading.chunks {
        let mut items = parser.feed(chunk);
        while let Some(item) = items.next() {
            all.push(told(item));
        }
    }
    (all, parser.last_event_id().to_owned())
}

fn each(reading: &Reading<'_>) -> (Vec<Told>, String) {
    let mut parser = Parser::resume(reading.start).limits(reading.limits);
    let mut all = Vec::new();
    for chunk in reading.chunks {
        parser.feed_each(chunk, |item| all.push(told(item)));
    }
    (all, parser.last_event_id().to_owned())
}

fn told(item: Item<'_>) -> Told {
    match item {
        Item::Event(event) => Told::Event {
            name: event.name().to_owned(),
            data: event.data().to_owned(),
            id: event.id().to_owned(),
        },
        Item::Comment(text) => Told::Comment(text.to_owned()),
        Item::Retry(delay) => Told::Retry(delay),
        Item::TooLarge(TooLarge::Line { .. }) => Told::LineTooLong,
        Item::TooLarge(TooLarge::Event { .. }) => Told::EventTooLarge,
        other => unreachable!("an item of a kind that no test knows: {other:?}"),
    }
}
