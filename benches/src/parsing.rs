//! Parsers, each fed the same chunks; each touches the name and the data of every event.

use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use eventwire_sse::{BytesParser, Item, OwnedItem, Parser};
use futures_util::Stream;
use futures_util::stream;

use harness::{Contestant, Kind};

pub fn contestants(chunks: &[Bytes]) -> Vec<Contestant<'_>> {
    vec![
        Contestant::new("ours, each", Kind::Ours, || ours_each(chunks)),
        Contestant::new("ours, lent", Kind::Ours, || ours_lent(chunks)),
        Contestant::new("ours, owned", Kind::Ours, || ours_owned(chunks)),
        Contestant::new("memchr only", Kind::Limit, || memchr_only(chunks)),
        Contestant::new("sse-stream", Kind::Peer, || sse_stream(chunks)),
        Contestant::new("sse-core", Kind::Peer, || sse_core(chunks)),
        Contestant::new("sse-parse", Kind::Peer, || sse_parse(chunks)),
        Contestant::new("sseer", Kind::Peer, || sseer(chunks)),
        Contestant::new("eventsource-stream", Kind::Peer, || {
            eventsource_stream(chunks)
        }),
    ]
}

fn ours_each(chunks: &[Bytes]) -> usize {
    let mut parser = Parser::new();
    let mut sum = 0;
    for chunk in chunks {
        parser.feed_each(chunk, |item| {
            if let Item::Event(event) = item {
                sum += event.name().len() + event.data().len();
            }
        });
    }
    sum
}

fn ours_lent(chunks: &[Bytes]) -> usize {
    let mut parser = Parser::new();
    let mut sum = 0;
    for chunk in chunks {
        let mut items = parser.feed(chunk);
        while let Some(item) = items.next() {
            if let Item::Event(event) = item {
                sum += event.name().len() + event.data().len();
            }
        }
    }
    sum
}

fn ours_owned(chunks: &[Bytes]) -> usize {
    let mut parser = BytesParser::new();
    let mut sum = 0;
    for chunk in chunks {
        parser.feed(chunk.clone());
        for item in parser.by_ref() {
            if let OwnedItem::Event(event) = item {
                sum += event.name().len() + event.data().len();
            }
        }
    }
    sum
}

/// Finds the line ends and nothing else.
fn memchr_only(chunks: &[Bytes]) -> usize {
    chunks
        .iter()
        .map(|chunk| {
            memchr::memchr_iter(b'\n', chunk)
                .map(|at| at & 1)
                .sum::<usize>()
        })
        .sum()
}

fn sse_stream(chunks: &[Bytes]) -> usize {
    let parser = sse_stream::SseByteStream::new(source(chunks));
    drain(parser, |event| {
        let event = event.expect("the corpus is well-formed");
        event.event.map_or(7, |name| name.len()) + event.data.map_or(0, |data| data.len())
    })
}

fn sse_core(chunks: &[Bytes]) -> usize {
    let mut decoder = sse_core::SseDecoder::with_limit(std::num::NonZeroUsize::MAX);
    let mut sum = 0;
    for chunk in chunks {
        let mut chunk = &chunk[..];
        while let Some(event) = decoder.next(&mut chunk) {
            if let Ok(sse_core::SseEvent::Message(event)) = event {
                sum += event.event.len() + event.data.len();
            }
        }
    }
    sum
}

fn sse_parse(chunks: &[Bytes]) -> usize {
    let mut parser = sse_parse::SseParser::new();
    let mut sum = 0;
    for chunk in chunks {
        parser.feed(chunk);
        while let Some(event) = parser.next_event() {
            sum += event.event.len() + event.data.len();
        }
    }
    sum
}

fn sseer(chunks: &[Bytes]) -> usize {
    drain(
        sseer::event_stream::EventStream::new(source(chunks)),
        |event| {
            let event = event.expect("the corpus is well-formed");
            event.event.len() + event.data.len()
        },
    )
}

fn eventsource_stream(chunks: &[Bytes]) -> usize {
    drain(
        eventsource_stream::EventStream::new(source(chunks)),
        |event| {
            let event = event.expect("the corpus is well-formed");
            event.event.len() + event.data.len()
        },
    )
}

fn source(chunks: &[Bytes]) -> impl Stream<Item = Result<Bytes, Infallible>> + '_ {
    stream::iter(chunks.iter().cloned().map(Ok))
}

fn drain<T>(items: impl Stream<Item = T>, mut len: impl FnMut(T) -> usize) -> usize {
    let mut items = pin!(items);
    let mut context = Context::from_waker(Waker::noop());
    let mut sum = 0;
    while let Poll::Ready(Some(item)) = items.as_mut().poll_next(&mut context) {
        sum += len(item);
    }
    sum
}
