//! Commands that tell how far they are, and questions by type.

use eventwire_cqrs::{CommandError, CommandRequest, Dispatcher, QueryError, Question, Step, Steps};
use eventwire_store::{IdempotencyKey, MemoryStore};
use futures_executor::block_on;
use futures_util::FutureExt;
use serde::Deserialize;

use crate::room::{Room, open, post};
use crate::stores::events;

/// Posts each text, and stops where the text is `stop`.
fn importing(store: &MemoryStore) -> Dispatcher {
    Dispatcher::builder(store.clone())
        .streamed("import", |texts: Vec<String>, run| async move {
            let opening = run.part("open")?;
            let dispatcher = run.dispatcher();
            let mut last = dispatcher.execute_with::<Room>(open(), opening).await?;
            for (index, text) in texts.iter().enumerate() {
                if text == "stop" {
                    return Err(CommandError::Denied {
                        reason: "told to stop".to_owned(),
                    });
                }
                let part = run.part(&index.to_string())?;
                last = dispatcher.execute_with::<Room>(post(text), part).await?;
                run.tell(&index).await?;
            }
            Ok(last)
        })
        .build()
}

fn import(texts: &str) -> CommandRequest {
    let key = IdempotencyKey::new("k").unwrap();
    CommandRequest::new("import", texts.to_owned()).key(key)
}

/// All that was told, and how it ended.
fn listen(mut steps: Steps) -> (Vec<String>, Result<bool, String>) {
    block_on(async {
        let mut told = Vec::new();
        loop {
            match steps.next().await {
                Some(Step::Progress(json)) => {
                    told.push(String::from_utf8(json.to_vec()).unwrap());
                }
                Some(Step::Done(outcome)) => {
                    assert!(steps.next().await.is_none());
                    let outcome = outcome.map(|receipt| receipt.is_duplicate());
                    return (told, outcome.map_err(|error| error.to_string()));
                }
                other => panic!("{other:?}"),
            }
        }
    })
}

#[test]
fn it_tells_how_far_it_is_and_then_how_it_ended() {
    let store = MemoryStore::new();
    let dispatcher = importing(&store);
    let (told, outcome) = listen(dispatcher.steps(import(r#"["a","b"]"#)));
    assert_eq!((told.join(" "), outcome), ("0 1".to_owned(), Ok(false)));
    assert_eq!(block_on(events(&store)).len(), 3);
    assert!(dispatcher.streamed_names().eq(["import"]));

    for (request, message) in [
        (
            CommandRequest::new("export", "[]"),
            "no command is named \"export\"",
        ),
        (
            import("{}"),
            "malformed command: invalid type: map, expected a sequence at line 1 column 0",
        ),
    ] {
        assert_eq!(
            listen(dispatcher.steps(request)),
            (vec![], Err(message.to_owned()))
        );
    }
}

#[test]
fn repeating_it_repeats_no_part_that_has_happened() {
    let store = MemoryStore::new();
    let dispatcher = importing(&store);
    let texts = r#"["a","b","c"]"#;
    for steps_taken in 0..3 {
        let mut steps = dispatcher.steps(import(texts));
        for _ in 0..steps_taken {
            block_on(steps.next());
        }
        // Dropped where it is.
    }
    let (told, outcome) = listen(dispatcher.steps(import(texts)));
    assert_eq!(
        (told.join(" "), outcome.is_ok()),
        ("0 1 2".to_owned(), true)
    );
    assert_eq!(block_on(events(&store)).len(), 4);
    let (_, again) = listen(dispatcher.steps(import(texts)));
    assert_eq!(again, Ok(true));
    let (_, other) = listen(dispatcher.steps(import(r#"["d"]"#)));
    assert!(other.unwrap_err().contains("was used for another request"));
}

#[test]
fn one_that_is_stopped_has_done_what_it_told_of() {
    let store = MemoryStore::new();
    let (told, outcome) = listen(importing(&store).steps(import(r#"["a","stop","b"]"#)));
    assert_eq!(told, ["0"]);
    assert_eq!(outcome, Err("denied: told to stop".to_owned()));
    assert_eq!(block_on(events(&store)).len(), 2);
}

#[test]
fn one_that_nobody_listens_to_waits() {
    let store = MemoryStore::new();
    let texts: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    let texts = serde_json::to_string(&texts).unwrap();
    let mut steps = importing(&store).steps(import(&texts));
    assert!(matches!(
        steps.next().now_or_never(),
        Some(Some(Step::Progress(_)))
    ));
    // The opening, what was told, what lies ready, and the one that waits to be told.
    let done = block_on(events(&store)).len();
    assert!((3..=19).contains(&done), "{done}");
    assert_eq!(listen(steps).0.len(), 99);
    assert_eq!(block_on(events(&store)).len(), 101);
}

#[derive(Debug, Deserialize)]
struct Half {
    of: u32,
}

impl Question for Half {
    type Answer = u32;
}

#[derive(Debug, Deserialize)]
struct Unheard;

impl Question for Unheard {
    type Answer = ();
}

#[test]
fn a_question_is_answered_by_type_and_by_name() {
    let half = |half: Half| async move {
        match half.of % 2 {
            0 => Ok(half.of / 2),
            _ => Err(QueryError::refused("it is odd")),
        }
    };
    let dispatcher = Dispatcher::builder(MemoryStore::new())
        .answer("half", half)
        .build();
    assert_eq!(block_on(dispatcher.ask(Half { of: 8 })).unwrap(), 4);
    assert_eq!(
        block_on(dispatcher.query("half", r#"{"of":8}"#)).unwrap(),
        "4"
    );
    let odd = block_on(dispatcher.ask(Half { of: 7 })).unwrap_err();
    assert_eq!(odd.to_string(), "refused: it is odd");
    let unheard = block_on(dispatcher.ask(Unheard)).unwrap_err();
    assert_eq!(
        unheard.to_string(),
        "no query is named \"it::steps::Unheard\""
    );
    let twice = Dispatcher::builder(MemoryStore::new())
        .answer("half", half)
        .answer("again", half);
    assert_eq!(
        twice.try_build().unwrap_err().to_string(),
        "question \"again\" is registered twice; give one of them another name"
    );
}
