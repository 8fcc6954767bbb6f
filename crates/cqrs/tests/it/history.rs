//! What a decision rests on: boundaries by query, and histories that are not understood.

use std::marker::PhantomData;

use eventwire_cqrs::{
    Boundary, CommandError, CommandOptions, Decider, Dispatcher, DomainEvent, UnknownEvents,
    codec::CodecError,
};
use eventwire_store::{
    Append, EventStore, EventType, Expect, Keep, MemoryStore, NameError, NewEvent, Query,
    Retention, StreamName, Tag, Version,
};
use futures_executor::block_on;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::room::{Room, RoomEvent, lobby, open, post, posted};
use crate::stores::events;

#[derive(Debug, Deserialize)]
pub(crate) enum Register {
    Register { user: String, name: String },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Registered {
    Registered { name: String },
}

impl DomainEvent for Registered {
    fn tags(&self) -> Result<Vec<Tag>, NameError> {
        let Self::Registered { name } = self;
        Ok(vec![by_name(name)?])
    }
}

#[derive(Debug, PartialEq, Error)]
pub(crate) enum NoName {
    #[error("the name is taken")]
    Taken,
}

pub(crate) fn register(user: &str, name: &str) -> Register {
    Register::Register {
        user: user.to_owned(),
        name: name.to_owned(),
    }
}

fn by_name(name: &str) -> Result<Tag, NameError> {
    Tag::new(format!("name:{name}"))
}

/// Names are unique: decided by a query alone.
#[derive(Debug, Default)]
pub(crate) struct Name {
    is_taken: bool,
}

impl Decider for Name {
    type Command = Register;
    type Event = Registered;
    type Refusal = NoName;

    fn boundary(command: &Register) -> Result<Boundary, NameError> {
        let Register::Register { name, .. } = command;
        Ok(Boundary::query(Query::tags([by_name(name)?])))
    }

    fn evolve(&mut self, _: &Registered) {
        self.is_taken = true;
    }

    fn decide(&self, command: &Register) -> Result<Vec<Registered>, NoName> {
        let Register::Register { name, .. } = command;
        if self.is_taken {
            return Err(NoName::Taken);
        }
        Ok(vec![Registered::Registered { name: name.clone() }])
    }
}

/// The same rule, with what happened in the user's stream.
#[derive(Debug, Default)]
pub(crate) struct Account(Name);

impl Decider for Account {
    type Command = Register;
    type Event = Registered;
    type Refusal = NoName;

    fn boundary(command: &Register) -> Result<Boundary, NameError> {
        let Register::Register { user, name } = command;
        let user = StreamName::new(user.as_str())?;
        Ok(Boundary::stream(user).and(Query::tags([by_name(name)?])))
    }

    fn evolve(&mut self, event: &Registered) {
        Decider::evolve(&mut self.0, event);
    }

    fn decide(&self, command: &Register) -> Result<Vec<Registered>, NoName> {
        Decider::decide(&self.0, command)
    }
}

#[test]
fn events_of_a_query_are_written_with_their_tags_and_without_a_stream() {
    let store = MemoryStore::new();
    let dispatcher = Dispatcher::builder(store.clone()).build();
    block_on(dispatcher.execute::<Name>(register("user-1", "ada"))).unwrap();
    let written = block_on(events(&store)).remove(0);
    assert_eq!(written.stream, None);
    assert_eq!(*written.tags, [by_name("ada").unwrap()]);

    for (user, name, is_written) in [
        ("user-1", "ada", false),
        ("user-2", "ada", false),
        ("user-2", "bob", true),
    ] {
        let outcome = block_on(dispatcher.execute::<Name>(register(user, name)));
        assert_eq!(outcome.is_ok(), is_written, "{user} {name}");
    }
}

#[test]
fn a_stream_and_a_query_decide_together_and_the_stream_is_written_to() {
    let store = MemoryStore::new();
    let dispatcher = Dispatcher::builder(store.clone()).build();
    let done = block_on(dispatcher.execute::<Account>(register("user-1", "ada"))).unwrap();
    let user = StreamName::new("user-1").unwrap();
    let appended = done.appended.unwrap();
    assert_eq!(appended.version_of(&user), Some(Version::FIRST));

    for (user, name, is_written) in [
        ("user-1", "bob", false), // its stream says that it has a name
        ("user-2", "ada", false), // the query says that the name is taken
        ("user-2", "bob", true),
    ] {
        let outcome = block_on(dispatcher.execute::<Account>(register(user, name)));
        assert_eq!(outcome.is_ok(), is_written, "{user} {name}");
    }
}

/// The same rule once more, with what happened in the user's stream, which does not decide.
#[derive(Debug, Default)]
struct Badge(Name);

impl Decider for Badge {
    type Command = Register;
    type Event = Registered;
    type Refusal = NoName;

    fn boundary(command: &Register) -> Result<Boundary, NameError> {
        let Register::Register { user, name } = command;
        let user = StreamName::new(user.as_str())?;
        Ok(Boundary::query(Query::tags([by_name(name)?])).to(user))
    }

    fn evolve(&mut self, event: &Registered) {
        Decider::evolve(&mut self.0, event);
    }

    fn decide(&self, command: &Register) -> Result<Vec<Registered>, NoName> {
        Decider::decide(&self.0, command)
    }
}

#[test]
fn a_stream_that_is_only_written_to_does_not_decide() {
    let store = MemoryStore::new();
    let dispatcher = Dispatcher::builder(store.clone()).build();
    let user = StreamName::new("user-1").unwrap();
    let foreign = NewEvent::new(EventType::new("Foreign").unwrap(), "not even JSON");
    block_on(store.append(Append::to(user.clone()).event(foreign))).unwrap();
    for (name, version) in [("ada", Some(2)), ("ada", None), ("bob", Some(3))] {
        let outcome = block_on(dispatcher.execute::<Badge>(register("user-1", name)));
        let written = outcome.ok().and_then(|receipt| receipt.appended);
        let at = written.and_then(|appended| appended.version_of(&user));
        assert_eq!(at.map(Version::get), version, "{name}");
    }
}

#[test]
fn a_stream_whose_events_were_dropped_can_still_be_decided_on() {
    let store = MemoryStore::new();
    let dispatcher = Dispatcher::builder(store.clone()).build();
    let user = StreamName::new("user-1").unwrap();
    block_on(dispatcher.execute::<Account>(register("user-1", "ada"))).unwrap();
    let nothing = Keep::all().max_events(0);
    block_on(store.trim_stream(user.clone(), nothing)).unwrap();

    // What it rests on is gone, so the name is free again; the version goes on.
    let receipt = block_on(dispatcher.execute::<Account>(register("user-1", "ada"))).unwrap();
    let version = receipt.appended.unwrap().version_of(&user);
    assert_eq!(version.map(Version::get), Some(2));
    block_on(store.delete_stream(user)).unwrap();
    let deleted = block_on(dispatcher.execute::<Account>(register("user-1", "bob")));
    assert!(
        matches!(deleted, Err(CommandError::Conflict(_))),
        "{deleted:?}"
    );
}

#[test]
fn an_expectation_needs_a_stream_it_can_be_about() {
    let dispatcher = Dispatcher::builder(MemoryStore::new()).build();
    let options = || CommandOptions::default().expect(Expect::NoStream);
    let named = dispatcher.execute_with::<Name>(register("user-1", "ada"), options());
    assert_eq!(
        block_on(named).unwrap_err().to_string(),
        "invalid command: no whole stream decides it, so none can be expected; \
         leave the expectation out"
    );
    let account = dispatcher.execute_with::<Account>(register("user-1", "ada"), options());
    assert!(block_on(account).is_ok());
}

#[test]
fn a_tag_that_cannot_be_is_the_commands_fault() {
    let dispatcher = Dispatcher::builder(MemoryStore::new()).build();
    let error = block_on(dispatcher.execute::<Name>(register("user-1", "a\nb"))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid command: tag contains the control character U+000A at byte 6; remove it"
    );
}

/// A lobby that was opened by this program and archived by another.
fn archived(event_type: &str, payload: &'static str) -> MemoryStore {
    let store = MemoryStore::new();
    let dispatcher = Dispatcher::builder(store.clone()).build();
    block_on(dispatcher.execute::<Room>(open())).unwrap();
    let event = NewEvent::new(EventType::new(event_type).unwrap(), payload);
    block_on(store.append(Append::to(lobby()).event(event))).unwrap();
    store
}

#[test]
fn a_history_that_is_not_understood_ends_the_decision() {
    for (event_type, payload, message) in [
        (
            "room-archived",
            "{}",
            "event type \"room-archived\" at position 2 is no variant of it::room::RoomEvent; \
             add it, or choose to ignore unknown events",
        ),
        (
            "message-posted",
            r#"{"body":"hi"}"#,
            "event of type \"message-posted\" at position 2 cannot be read: \
             missing field `text` at line 1 column 13",
        ),
        (
            "message-posted",
            "\u{fffd}",
            "event of type \"message-posted\" at position 2 cannot be read: \
             expected value at line 1 column 1",
        ),
    ] {
        let store = archived(event_type, payload);
        let dispatcher = Dispatcher::builder(store.clone()).build();
        let error = block_on(dispatcher.execute::<Room>(post("hi"))).unwrap_err();
        assert!(matches!(error, CommandError::Codec(_)), "{error:?}");
        assert_eq!(error.to_string(), message);
        assert_eq!(block_on(events(&store)).len(), 2);
    }
}

/// A room that was opened, decided by the events of `E`, and by nothing where it was not.
#[derive(Debug)]
struct Tolerant<E> {
    seen: Vec<String>,
    reads: PhantomData<fn() -> E>,
}

impl<E> Default for Tolerant<E> {
    fn default() -> Self {
        Self {
            seen: Vec::new(),
            reads: PhantomData,
        }
    }
}

#[derive(Debug, Deserialize)]
enum Note {
    Seen,
}

/// What a tolerant room reads, and can write down.
trait Noted: DomainEvent + std::fmt::Debug {
    const UNKNOWN: UnknownEvents;
    fn note(text: &str) -> Self;
}

impl<E: Noted> Decider for Tolerant<E> {
    type Command = Note;
    type Event = E;
    type Refusal = std::convert::Infallible;

    const UNKNOWN_EVENTS: UnknownEvents = E::UNKNOWN;

    fn boundary(Note::Seen: &Note) -> Result<Boundary, NameError> {
        Ok(Boundary::stream(lobby()))
    }

    fn evolve(&mut self, event: &E) {
        self.seen.push(format!("{event:?}"));
    }

    fn decide(&self, Note::Seen: &Note) -> Result<Vec<E>, Self::Refusal> {
        Ok(vec![E::note(&self.seen.join(", "))])
    }
}

impl Noted for RoomEvent {
    const UNKNOWN: UnknownEvents = UnknownEvents::Ignore;

    fn note(text: &str) -> Self {
        posted(text)
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum AnyEvent {
    RoomOpened,
    MessagePosted {
        text: String,
    },
    #[serde(other)]
    Else,
}

impl DomainEvent for AnyEvent {}

impl Noted for AnyEvent {
    const UNKNOWN: UnknownEvents = UnknownEvents::Fail;

    fn note(text: &str) -> Self {
        Self::MessagePosted {
            text: text.to_owned(),
        }
    }
}

/// What is noted about an archived lobby.
fn note<E: Noted>() -> String {
    let store = archived("room-archived", r#"{"why":["old",1]}"#);
    let dispatcher = Dispatcher::builder(store.clone()).build();
    let receipt = block_on(dispatcher.execute::<Tolerant<E>>(Note::Seen)).unwrap();
    assert_eq!(receipt.attempts, 1);
    let last = block_on(events(&store)).pop().unwrap();
    assert_eq!(last.version(), Version::new(3));
    String::from_utf8(last.data.to_vec()).unwrap()
}

#[test]
fn unknown_events_are_passed_over_where_the_decider_says_so() {
    assert_eq!(note::<RoomEvent>(), r#"{"text":"RoomOpened"}"#);
}

#[test]
fn unknown_events_are_the_other_variant_where_there_is_one() {
    assert_eq!(note::<AnyEvent>(), r#"{"text":"RoomOpened, Else"}"#);
}

#[test]
fn a_known_event_that_reads_badly_is_never_passed_over() {
    let store = archived("message-posted", "{}");
    let dispatcher = Dispatcher::builder(store).build();
    let outcome = block_on(dispatcher.execute::<Tolerant<RoomEvent>>(Note::Seen));
    assert!(matches!(
        outcome,
        Err(CommandError::Codec(CodecError::Unreadable { .. }))
    ));
}
