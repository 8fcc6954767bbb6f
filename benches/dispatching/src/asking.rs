use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use eventwire_cqrs::{Dispatcher, QueryError, Question};
use eventwire_store::MemoryStore;
use futures_executor::block_on;
use harness::{Contestant, Kind, Row};
use serde::Deserialize;

const CALLS: usize = 1_000;

#[derive(Debug, Deserialize)]
struct Twice(u64);

impl Question for Twice {
    type Answer = u64;
}

type Boxed = Pin<Box<dyn Future<Output = Result<u64, QueryError>> + Send>>;

async fn twice(Twice(number): Twice) -> Result<u64, QueryError> {
    Ok(number * 2)
}

fn times(mut call: impl FnMut() -> usize) -> impl FnMut() -> usize {
    move || (0..CALLS).map(|_| call()).sum()
}

/// A question that has its answer at once.
pub fn row() -> Row<'static> {
    let dispatcher = Dispatcher::builder(MemoryStore::new())
        .answer("twice", twice)
        .build();
    let by_name = dispatcher.clone();
    let body = bytes::Bytes::from_static(b"21");
    let mut map: HashMap<TypeId, Box<dyn Any>> = HashMap::new();
    let handler: Arc<dyn Fn(Twice) -> Boxed> = Arc::new(|question| Box::pin(twice(question)));
    map.insert(TypeId::of::<Twice>(), Box::new(handler));
    let number = |answer: Result<u64, QueryError>| {
        usize::try_from(answer.expect("an answer")).expect("small")
    };
    Row {
        name: "answer a question".to_owned(),
        events: CALLS,
        contestants: vec![
            Contestant::new(
                "ours, by type",
                Kind::Ours,
                times(move || number(block_on(dispatcher.ask(Twice(21))))),
            ),
            Contestant::new(
                "ours, by name",
                Kind::Ours,
                times(move || {
                    block_on(by_name.query("twice", body.clone()))
                        .expect("an answer")
                        .len()
                }),
            ),
            Contestant::new(
                "a map of types",
                Kind::Limit,
                times(move || {
                    let handler =
                        map[&TypeId::of::<Twice>()].downcast_ref::<Arc<dyn Fn(Twice) -> Boxed>>();
                    number(block_on(handler.expect("it is there")(Twice(21))))
                }),
            ),
            Contestant::new(
                "a boxed future",
                Kind::Limit,
                times(move || {
                    let answer: Boxed = Box::pin(twice(std::hint::black_box(Twice(21))));
                    number(block_on(answer))
                }),
            ),
            Contestant::new(
                "block on nothing",
                Kind::Limit,
                times(move || block_on(ready(std::hint::black_box(21)))),
            ),
        ],
    }
}
