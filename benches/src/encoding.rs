//! Encoders, each given the same event; each makes a `Bytes` of its own unless it says so.

use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use actix_web::body::MessageBody;
use actix_web_lab::sse as actix;
use axum::response::{IntoResponse, sse as axum_sse};
use bytes::Bytes;
use bytestring::ByteString;
use eventwire_sse::{EventId, EventName, EventRef};
use futures_util::stream;
use http_body::Body;

use harness::{Contestant, Kind};

/// An event to encode.
pub struct Payload {
    pub name: &'static str,
    pub event: Option<&'static str>,
    pub id: Option<&'static str>,
    pub data: &'static str,
}

/// How many events a contestant encodes in one go.
pub const BATCH: usize = 100;

impl Payload {
    pub fn all() -> Vec<Self> {
        let bare = |name, data: Vec<u8>| {
            let data = String::from_utf8(data).expect("a corpus is text").leak();
            Self {
                name,
                event: None,
                id: None,
                data,
            }
        };
        let feed = bare("86 B with `event:` and `id:`", crate::corpus::feed_data());
        vec![
            bare("280 B", crate::corpus::openai_data()),
            bare("1 B", b"x".to_vec()),
            Self {
                event: Some("message-posted"),
                id: Some("7f3a.104211"),
                ..feed
            },
            bare("64 KiB of 64 lines", crate::corpus::text(64, 1_023)),
            bare("800 B of 100 lines", crate::corpus::text(100, 7)),
        ]
    }

    pub fn contestants(&self) -> Vec<Contestant<'_>> {
        vec![
            Contestant::new("ours, fresh", Kind::Ours, || self.ours()),
            Contestant::new("ours, into a Vec", Kind::Ours, || self.ours_into()),
            Contestant::new("copy, fresh", Kind::Limit, || self.copy()),
            Contestant::new("sse-stream", Kind::Peer, || self.sse_stream()),
            Contestant::new("actix-web-lab", Kind::Peer, || self.actix()),
            Contestant::new("axum", Kind::Peer, || self.axum()),
        ]
    }

    fn event<'a>(&self, name: Option<&'a EventName>, id: Option<&'a EventId>) -> EventRef<'a>
    where
        Self: 'a,
    {
        let mut event = EventRef::new(self.data.as_bytes());
        if let Some(name) = name {
            event = event.name(name);
        }
        if let Some(id) = id {
            event = event.id(id);
        }
        event
    }

    fn ours(&self) -> usize {
        let name = self.event.map(EventName::from_static);
        let id = self.id.map(EventId::from_static);
        (0..BATCH)
            .map(|_| {
                let event = self.event(name.as_ref(), id.as_ref());
                std::hint::black_box(std::hint::black_box(&event).encode().into_bytes()).len()
            })
            .sum()
    }

    fn ours_into(&self) -> usize {
        let name = self.event.map(EventName::from_static);
        let id = self.id.map(EventId::from_static);
        let mut out = Vec::with_capacity(128 << 10);
        (0..BATCH)
            .map(|_| {
                out.clear();
                let event = self.event(name.as_ref(), id.as_ref());
                std::hint::black_box(&event).encode_into(&mut out);
                std::hint::black_box(&out).len()
            })
            .sum()
    }

    /// A `Bytes` of the data alone: one allocation and one copy.
    fn copy(&self) -> usize {
        (0..BATCH)
            .map(|_| {
                let data = std::hint::black_box(self.data.as_bytes());
                std::hint::black_box(Bytes::copy_from_slice(data)).len()
            })
            .sum()
    }

    /// Its event owns its strings and is used up: making it is part of sending it.
    fn sse_stream(&self) -> usize {
        (0..BATCH)
            .map(|_| {
                let mut event = sse_stream::Sse::default().data(self.data);
                event.event = self.event.map(str::to_owned);
                event.id = self.id.map(str::to_owned);
                let bytes = std::hint::black_box(event).encode().expect("a valid event");
                std::hint::black_box(bytes).len()
            })
            .sum()
    }

    fn actix(&self) -> usize {
        let events = (0..BATCH).map(|_| {
            let mut data = actix::Data::new(ByteString::from_static(self.data));
            if let Some(event) = self.event {
                data.set_event(ByteString::from_static(event));
            }
            if let Some(id) = self.id {
                data.set_id(ByteString::from_static(id));
            }
            Ok::<_, Infallible>(actix::Event::Data(data))
        });
        let mut body = pin!(actix::Sse::from_stream(stream::iter(
            events.collect::<Vec<_>>()
        )));
        let mut context = Context::from_waker(Waker::noop());
        let mut sum = 0;
        while let Poll::Ready(Some(Ok(bytes))) = body.as_mut().poll_next(&mut context) {
            sum += std::hint::black_box(bytes).len();
        }
        sum
    }

    fn axum(&self) -> usize {
        let (event, id, data) = (self.event, self.id, self.data);
        let events = (0..BATCH).map(move |_| {
            let mut made = axum_sse::Event::default();
            if let Some(event) = event {
                made = made.event(event);
            }
            if let Some(id) = id {
                made = made.id(id);
            }
            Ok::<_, Infallible>(made.data(data))
        });
        let response = axum_sse::Sse::new(stream::iter(events)).into_response();
        let mut body = pin!(response.into_body());
        let mut context = Context::from_waker(Waker::noop());
        let mut sum = 0;
        while let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(&mut context) {
            sum += std::hint::black_box(frame).data_ref().map_or(0, Bytes::len);
        }
        sum
    }
}
