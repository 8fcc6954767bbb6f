//! What stands around commands, by name and by type.

use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use eventwire_cqrs::layers::{self, Outcome, Taken};
use eventwire_cqrs::projection::{Inline, MemoryView, Projector};
use eventwire_cqrs::testing::SimulatedClock;
use eventwire_cqrs::{
    Backoff, Caller, Clock, Command, CommandError, CommandOptions, CommandRequest, Dispatcher,
    Fold, Receipt,
};
use eventwire_store::{Cause, Fingerprint, IdempotencyKey, MemoryStore};
use futures_executor::block_on;
use futures_util::future::join_all;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::room::{Room, RoomCommand, RoomEvent, lobby, open, post};
use crate::stores::{Interposed, events};
use crate::traced::traced;

const HI: &str = r#"{"room":"lobby","text":"hi"}"#;

fn key() -> IdempotencyKey {
    IdempotencyKey::new("7c9e").unwrap()
}

fn request() -> CommandRequest {
    CommandRequest::new("post-message", HI)
}

fn opened() -> MemoryStore {
    let store = MemoryStore::new();
    let dispatcher = Dispatcher::builder(store.clone()).build();
    block_on(dispatcher.execute::<Room>(open())).unwrap();
    store
}

fn nothing() -> Receipt {
    let dispatcher = Dispatcher::builder(opened()).build();
    let mut receipt = block_on(dispatcher.execute::<Room>(post("hi"))).unwrap();
    receipt.appended = None;
    receipt
}

/// What a layer makes of a request around a service that answers so.
fn around<L, F, Fut>(layer: L, request: CommandRequest, answer: F) -> Result<Receipt, CommandError>
where
    F: FnMut(CommandRequest) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Receipt, CommandError>> + Send,
    L: Layer<tower::util::ServiceFn<F>>,
    L::Service: Service<CommandRequest, Response = Receipt, Error = CommandError>,
{
    block_on(layer.layer(service_fn(answer)).oneshot(request))
}

#[test]
fn what_is_not_let_through_is_answered_and_never_carried_out() {
    struct Ada;
    let store = opened();
    let dispatcher = Dispatcher::builder(store.clone())
        .commands::<Room>()
        .layer(
            ServiceBuilder::new()
                .layer(layers::authorize(|request: &CommandRequest| match request
                    .caller()
                    .as_ref::<Ada>()
                {
                    Some(Ada) => Ok(()),
                    None => Err("only Ada may".to_owned()),
                }))
                .layer(layers::require_key())
                .layer(layers::validate(|request: &CommandRequest| {
                    match request.body().len() {
                        ..64 => Ok(()),
                        length => Err(format!("{length} bytes are too many")),
                    }
                })),
        )
        .build();
    let ada = || Caller::new(Ada);
    let long = format!(r#"{{"room":"lobby","text":"{}"}}"#, "x".repeat(80));
    for (request, message) in [
        (request().key(key()), "denied: only Ada may"),
        (
            request().from_caller(Caller::new("Ada")),
            "denied: only Ada may",
        ),
        (
            request().from_caller(ada()),
            "invalid command: it has no idempotency key; choose one",
        ),
        (
            CommandRequest::new("post-message", long)
                .from_caller(ada())
                .key(key()),
            "invalid command: 106 bytes are too many",
        ),
    ] {
        let error = block_on(dispatcher.dispatch(request)).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    assert_eq!(block_on(events(&store)).len(), 1);
    let good = request().from_caller(ada()).key(key());
    let as_service = dispatcher.clone().oneshot(good.clone());
    assert!(block_on(as_service).unwrap().appended.is_some());
    assert!(block_on(dispatcher.dispatch(good)).unwrap().is_duplicate());
    // By type the program itself asks.
    assert!(block_on(dispatcher.execute::<Room>(post("ho"))).is_ok());
}

#[test]
fn layers_go_around_commands_by_type_as_well() {
    let dispatcher = Dispatcher::builder(opened()).build();
    let checked = ServiceBuilder::new()
        .layer(layers::validate(|call: &Command<Room>| {
            match &call.command {
                RoomCommand::PostMessage { text, .. } if text.is_empty() => {
                    Err("the message is empty".to_owned())
                }
                _ => Ok(()),
            }
        }))
        .layer(layers::require_key())
        .service(dispatcher.service::<Room>());
    let options = || CommandOptions::default().key(key(), Fingerprint::of([b"x".as_slice()]));
    for (command, message) in [
        (
            Command::with(post(""), options()),
            Some("invalid command: the message is empty"),
        ),
        (
            Command::new(post("hi")),
            Some("invalid command: it has no idempotency key; choose one"),
        ),
        (Command::with(post("hi"), options()), None),
    ] {
        let outcome = block_on(checked.clone().oneshot(command));
        let error = outcome.err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), message);
    }
}

#[test]
fn a_layer_put_there_first_is_the_outermost() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let told = |name: &'static str| {
        let order = Arc::clone(&order);
        layers::validate(move |_: &CommandRequest| {
            order.lock().unwrap().push(name);
            Ok(())
        })
    };
    let dispatcher = Dispatcher::builder(opened())
        .commands::<Room>()
        .layer(told("first"))
        .layer(
            ServiceBuilder::new()
                .layer(told("second"))
                .layer(told("third")),
        )
        .build();
    block_on(dispatcher.dispatch(request())).unwrap();
    assert_eq!(*order.lock().unwrap(), ["first", "second", "third"]);
}

#[test]
fn what_is_not_answered_in_time_may_have_happened() {
    let timeout = || layers::timeout(Duration::from_secs(5)).clock(SimulatedClock::hasty());
    let late = around(timeout(), request().key(key()), |_| pending());
    let Err(CommandError::Indeterminate {
        key: Some(told),
        cause,
    }) = late
    else {
        panic!("{late:?}");
    };
    assert_eq!(
        (told, cause.to_string().as_str()),
        (key(), "no answer within 5s")
    );
    let receipt = nothing();
    let in_time = around(timeout(), request(), move |_| {
        std::future::ready(Ok(receipt.clone()))
    });
    assert!(in_time.is_ok());
}

fn busy(retry_after: Option<Duration>) -> CommandError {
    CommandError::Busy {
        reason: "the queue is full",
        retry_after,
    }
}

fn indeterminate(key: Option<IdempotencyKey>) -> CommandError {
    CommandError::Indeterminate {
        key,
        cause: Cause::from("disk on fire"),
    }
}

#[test]
fn only_what_asking_again_may_help_is_asked_again() {
    let denied = || CommandError::Denied {
        reason: "no".to_owned(),
    };
    let in_an_hour = Some(Duration::from_secs(3_600));
    type Failing = Box<dyn Fn() -> CommandError + Send + Sync>;
    let cases: [(Failing, u32, u32, bool); 5] = [
        (Box::new(|| busy(None)), 3, 4, true),
        (Box::new(move || busy(in_an_hour)), 3, 4, true),
        (Box::new(|| indeterminate(Some(key()))), 2, 3, true),
        (Box::new(|| indeterminate(None)), 2, 1, false),
        (Box::new(denied), 2, 1, false),
    ];
    for (error, failures, asked, is_done) in cases {
        let clock = SimulatedClock::hasty();
        let retry = layers::retry(Backoff::retries(3)).clock(clock.clone());
        let count = Arc::new(AtomicU32::new(0));
        let (counted, error) = (Arc::clone(&count), Arc::new(error));
        let receipt = nothing();
        let told_when = matches!(
            error(),
            CommandError::Busy {
                retry_after: Some(_),
                ..
            }
        );
        let outcome = around(retry, request(), move |_| {
            let fails = counted.fetch_add(1, Ordering::Relaxed) < failures;
            std::future::ready(if fails {
                Err(error())
            } else {
                Ok(receipt.clone())
            })
        });
        assert_eq!(outcome.is_ok(), is_done, "{outcome:?}");
        assert_eq!(count.load(Ordering::Relaxed), asked, "{outcome:?}");
        let waited = clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(
            waited >= Duration::from_secs(3 * 3_600),
            told_when,
            "{waited:?}"
        );
    }
    let always = around(
        layers::retry(Backoff::at_once(3)).clock(SimulatedClock::hasty()),
        request(),
        |_| async { Err(busy(None)) },
    );
    assert!(matches!(always, Err(CommandError::Busy { .. })));
}

#[test]
fn commands_about_one_thing_do_not_race_and_about_others_do() {
    for (about, races) in [("one room", false), ("nothing", true)] {
        let store = opened();
        let dispatcher = Dispatcher::builder(Interposed::new(store.clone()))
            .conflict_retries(Backoff::at_once(99))
            .commands::<Room>()
            .layer(layers::one_at_a_time(move |_: &CommandRequest| {
                (about != "nothing").then(|| about.to_owned())
            }))
            .build();
        let posts = (0..50).map(|_| dispatcher.dispatch(request()));
        let receipts = block_on(join_all(posts));
        let decided = receipts
            .into_iter()
            .map(|receipt| receipt.unwrap().attempts);
        assert_eq!(decided.max() > Some(1), races, "{about}");
        assert_eq!(block_on(events(&store)).len(), 51);
    }
}

#[test]
fn a_queue_goes_with_the_last_who_stands_in_it() {
    let store = opened();
    let dispatcher = Dispatcher::builder(store).commands::<Room>().build();
    let mut queued =
        layers::one_at_a_time(|request: &CommandRequest| Some(request.name().to_owned()))
            .layer(dispatcher);
    let (first, second) = (queued.call(request()), queued.call(request()));
    assert!(format!("{queued:?}").contains("queues: 1"));
    block_on(first).unwrap();
    assert!(format!("{queued:?}").contains("queues: 1"));
    drop(second);
    assert!(format!("{queued:?}").contains("queues: 0"));
}

#[test]
fn every_end_is_told_in_one_word() {
    let store = opened();
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let dispatcher = Dispatcher::builder(store.clone())
        .commands::<Room>()
        .layer(layers::measure::<CommandRequest, _>(move |taken: Taken| {
            telling
                .lock()
                .unwrap()
                .push((taken.name, taken.outcome.as_str(), taken.attempts));
        }))
        .build();
    for request in [
        request().key(key()),
        request().key(key()),
        CommandRequest::new("post-once", HI),
        CommandRequest::new("open-room", r#"{"room":"lobby"}"#),
        CommandRequest::new("post-message", "{}"),
        CommandRequest::new("close-room", "{}"),
        request().expect(eventwire_store::Expect::NoStream),
    ] {
        let _answer = block_on(dispatcher.dispatch(request));
    }
    store.close();
    let _answer = block_on(dispatcher.dispatch(request()));
    let expected = [
        ("post-message", "done", 1),
        ("post-message", "duplicate", 0),
        ("post-once", "nothing", 1),
        ("open-room", "refused", 0),
        ("post-message", "invalid", 0),
        ("close-room", "invalid", 0),
        ("post-message", "precondition", 0),
        ("post-message", "failed", 0),
    ]
    .map(|(name, outcome, attempts)| (name.to_owned(), outcome, attempts));
    assert_eq!(*told.lock().unwrap(), expected);
    for (error, outcome) in [
        (busy(None), Outcome::Busy),
        (indeterminate(None), Outcome::Indeterminate),
    ] {
        assert_eq!(Outcome::of(&Err(error)), outcome);
    }
}

#[test]
fn a_span_says_what_was_asked_and_how_it_ended() {
    let store = opened();
    let dispatcher = Dispatcher::builder(store.clone())
        .commands::<Room>()
        .layer(layers::trace())
        .build();
    let text = traced(|| {
        block_on(dispatcher.dispatch(request().key(key()))).unwrap();
        store.close();
        block_on(dispatcher.dispatch(request())).unwrap_err();
    });
    for part in [
        r#"command{name="post-message" key="7c9e" outcome="done" attempts=1 position=2}"#,
        r#"command{name="post-message" outcome="failed"}"#,
        "ERROR",
        "error=store is closed",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[derive(Debug, Default)]
struct Texts(Vec<String>);

impl Fold for Texts {
    type Event = RoomEvent;

    fn evolve(&mut self, event: &RoomEvent) {
        if let RoomEvent::MessagePosted { text } = event {
            self.0.push(text.clone());
        }
    }
}

#[test]
fn a_receipt_is_held_back_until_the_view_shows_it() {
    let store = opened();
    let view = MemoryView::<Texts>::new();
    let inline = Inline::new(Projector::new(store.clone(), "texts", view.clone()).unwrap());
    let dispatcher = Dispatcher::builder(store)
        .commands::<Room>()
        .layer(layers::consistent_with(inline))
        .build();
    block_on(dispatcher.execute::<Room>(post("unseen"))).unwrap();
    assert_eq!(view.read(|texts| texts.0.len()), 0);
    block_on(dispatcher.dispatch(request())).unwrap();
    assert_eq!(view.read(|texts| texts.0.clone()), ["unseen", "hi"]);
    assert_eq!(lobby().as_str(), "room-lobby");
}

#[tokio::test]
async fn a_view_kept_beside_is_waited_for() {
    let store = opened();
    let view = MemoryView::<Texts>::new();
    let projector = Projector::new(store.clone(), "texts", view.clone()).unwrap();
    let (progress, steering) = (projector.progress(), projector.steering());
    let dispatcher = Dispatcher::builder(store)
        .commands::<Room>()
        .layer(layers::consistent_with(progress))
        .build();
    let running = tokio::spawn(projector.run());
    for count in 1..20 {
        dispatcher.dispatch(request()).await.unwrap();
        assert_eq!(view.read(|texts| texts.0.len()), count);
    }
    steering.stop().await;
    running.await.unwrap().unwrap();
    // What was done is told although nobody keeps the view any more.
    dispatcher.dispatch(request()).await.unwrap();
    assert_eq!(view.read(|texts| texts.0.len()), 19);
}
