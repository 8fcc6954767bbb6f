//! Every parser of the crate behind one function, so that a test is written once.

use eventwire_sse::{BytesParser, Item, Limits, OwnedItem, Parser, TooLarge};

use crate::literal::Told;

/// A stream as it arrives.
pub(crate) struct Reading<'a> {
    pub(crate) chunks: &'a [&'a [u8]],
    pub(crate) limits: Limits,
    pub(crate) start: &'a str,
}

/// Everything that a parser tells of a stream, and its last event id after it.
pub(crate) type Read = fn(&Reading<'_>) -> (Vec<Told>, String);

pub(crate) const PARSERS: [(&str, Read); 5] = [
    ("lent", lent),
    ("lent, begun anew at every item", begun_anew),
    ("each", each),
    ("owned", owned),
    ("owned, fed ahead", fed_ahead),
];

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

/// The items of a chunk are dropped after each of them, and what they left is fed again.
fn begun_anew(reading: &Reading<'_>) -> (Vec<Told>, String) {
    let mut parser = Parser::resume(reading.start).limits(reading.limits);
    let mut all = Vec::new();
    for chunk in reading.chunks {
        let mut rest = *chunk;
        loop {
            let mut items = parser.feed(rest);
            let Some(item) = items.next() else { break };
            all.push(told(item));
            rest = items.rest();
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

fn owned(reading: &Reading<'_>) -> (Vec<Told>, String) {
    let mut parser = BytesParser::resume(reading.start).limits(reading.limits);
    let mut all = Vec::new();
    for chunk in reading.chunks {
        parser.feed(chunk.to_vec());
        all.extend(parser.by_ref().map(told_owned));
    }
    (all, parser.last_event_id().to_owned())
}

/// One item at most is taken before the next chunk is fed.
fn fed_ahead(reading: &Reading<'_>) -> (Vec<Told>, String) {
    let mut parser = BytesParser::resume(reading.start).limits(reading.limits);
    let mut all = Vec::new();
    for chunk in reading.chunks {
        parser.feed(chunk.to_vec());
        all.extend(parser.next().map(told_owned));
    }
    all.extend(parser.by_ref().map(told_owned));
    (all, parser.last_event_id().to_owned())
}

fn told_owned(item: OwnedItem) -> Told {
    match item {
        OwnedItem::Event(event) => Told::Event {
            name: event.name().to_string(),
            data: event.data().to_string(),
            id: event.id().to_string(),
        },
        OwnedItem::Comment(text) => Told::Comment(text.to_string()),
        OwnedItem::Retry(delay) => Told::Retry(delay),
        OwnedItem::TooLarge(limit) => told(Item::TooLarge(limit)),
        other => unreachable!("an item of a kind that no test knows: {other:?}"),
    }
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
