//! A command with a key: one effect, one answer, whatever it races with.

use eventwire_cqrs::{CommandError, CommandOptions, CommandRequest, Dispatcher, Receipt};
use eventwire_store::{Expect, Fingerprint, IdempotencyKey, MemoryStore, Version};
use futures_executor::block_on;
use futures_util::future::join_all;

use crate::room::{Room, RoomCommand, open, post, post_once};
use crate::stores::{Before, Interposed, events};

type Outcome = Result<Receipt, CommandError>;

const HI: &str = r#"{"room":"lobby","text":"hi"}"#;

fn key() -> IdempotencyKey {
    IdempotencyKey::new("7c9e").unwrap()
}

fn keyed() -> CommandOptions {
    CommandOptions::default().key(key(), Fingerprint::of([b"the same".as_slice()]))
}

fn dispatcher(store: &MemoryStore) -> Dispatcher {
    Dispatcher::builder(store.clone())
        .commands::<Room>()
        .build()
}

fn opened() -> (MemoryStore, Dispatcher) {
    let store = MemoryStore::new();
    let dispatcher = dispatcher(&store);
    block_on(dispatcher.execute::<Room>(open())).unwrap();
    (store, dispatcher)
}

#[test]
fn a_repetition_gets_the_first_receipt() {
    let (store, dispatcher) = opened();
    let request = || CommandRequest::new("post-message", HI).key(key());
    let first = block_on(dispatcher.dispatch(request())).unwrap();
    block_on(dispatcher.execute::<Room>(post("between"))).unwrap();
    let again = block_on(dispatcher.dispatch(request())).unwrap();

    assert_eq!((first.attempts, again.attempts), (1, 0));
    assert_eq!((first.is_duplicate(), again.is_duplicate()), (false, true));
    let (first, again) = (first.appended.unwrap(), again.appended.unwrap());
    assert_eq!(first.positions, again.positions);
    assert_eq!(first.streams, again.streams);
    assert_eq!(block_on(events(&store)).len(), 3);
}

#[test]
fn a_repetition_is_answered_before_its_expectation_is_looked_at() {
    let (_, dispatcher) = opened();
    let version = Version::new(1).unwrap();
    let request = || {
        CommandRequest::new("post-message", HI)
            .expect(Expect::Exact(version))
            .key(key())
    };
    block_on(dispatcher.dispatch(request())).unwrap();
    assert!(
        block_on(dispatcher.dispatch(request()))
            .unwrap()
            .is_duplicate()
    );
}

#[test]
fn a_key_stands_for_the_name_and_the_body_as_sent() {
    let (store, dispatcher) = opened();
    let first = CommandRequest::new("post-message", HI).key(key());
    block_on(dispatcher.dispatch(first)).unwrap();
    for (name, body) in [
        ("post-message", r#"{"room":"lobby","text":"ho"}"#),
        ("post-message", r#"{"room":"lobby", "text":"hi"}"#),
        ("post-once", HI),
    ] {
        let request = CommandRequest::new(name, body).key(key());
        let error = block_on(dispatcher.dispatch(request)).unwrap_err();
        assert!(matches!(&error, CommandError::KeyReused(reused) if *reused == key()));
        assert_eq!(
            error.to_string(),
            "idempotency key \"7c9e\" was used for another request; choose a new key"
        );
    }
    assert_eq!(block_on(events(&store)).len(), 2);
}

#[test]
fn a_refusal_is_not_remembered() {
    let store = MemoryStore::new();
    let dispatcher = dispatcher(&store);
    let attempt = || block_on(dispatcher.execute_with::<Room>(post("hi"), keyed()));
    assert!(matches!(attempt(), Err(CommandError::Refused(_))));
    block_on(dispatcher.execute::<Room>(open())).unwrap();
    assert!(!attempt().unwrap().is_duplicate());
}

#[test]
fn a_hundred_at_once_with_one_key_have_one_effect_and_one_answer() {
    let (store, _) = opened();
    let dispatcher = Dispatcher::builder(Interposed::new(store.clone())).build();
    let posts = (0..100).map(|_| dispatcher.execute_with::<Room>(post("hi"), keyed()));
    let receipts: Vec<_> = block_on(join_all(posts))
        .into_iter()
        .map(Result::unwrap)
        .collect();

    let place = |receipt: &Receipt| receipt.appended.as_ref().unwrap().last();
    assert!(
        receipts
            .windows(2)
            .all(|two| place(&two[0]) == place(&two[1]))
    );
    let firsts = receipts.iter().filter(|receipt| !receipt.is_duplicate());
    assert_eq!(firsts.count(), 1);
    assert_eq!(block_on(events(&store)).len(), 2);
}

#[test]
fn a_race_between_two_requests_with_one_key_is_settled_by_the_store() {
    let (store, other) = opened();
    let overtaken = Interposed::once(store.clone(), Before::Append, async move {
        let options =
            CommandOptions::default().key(key(), Fingerprint::of([b"another".as_slice()]));
        other
            .execute_with::<Room>(post("ho"), options)
            .await
            .unwrap();
    });
    let dispatcher = Dispatcher::builder(overtaken).build();
    let outcome = block_on(dispatcher.execute_with::<Room>(post("hi"), keyed()));
    assert!(matches!(outcome, Err(CommandError::KeyReused(_))));
    assert_eq!(block_on(events(&store)).len(), 2);
}

/// A command whose twin, with the same key, is carried out between the command's look at
/// the key and its look at the history.
fn with_a_twin(store: &MemoryStore, command: fn() -> RoomCommand, expect: Expect) -> Outcome {
    let options = move || keyed().expect(expect);
    let twin = dispatcher(store);
    let overtaken = Interposed::once(store.clone(), Before::Read, async move {
        twin.execute_with::<Room>(command(), options())
            .await
            .unwrap();
    });
    let dispatcher = Dispatcher::builder(overtaken).build();
    block_on(dispatcher.execute_with::<Room>(command(), options()))
}

#[test]
fn a_command_is_never_answered_with_what_its_own_effect_makes_of_it() {
    let version = Version::new(1).unwrap();
    let would_be_refused = with_a_twin(&MemoryStore::new(), open, Expect::Any);
    let would_be_nothing = with_a_twin(&opened().0, || post_once("hi"), Expect::Any);
    let would_be_unexpected = with_a_twin(&opened().0, || post("hi"), Expect::Exact(version));
    for outcome in [would_be_refused, would_be_nothing, would_be_unexpected] {
        let receipt = outcome.unwrap();
        assert!(receipt.is_duplicate());
        assert_eq!(receipt.attempts, 1);
    }
}
