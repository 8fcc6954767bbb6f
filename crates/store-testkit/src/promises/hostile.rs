//! Names and payloads are what the caller says, byte for byte: no text in them is a command
//! to the store, and no two of them are the same for looking alike.

use bytes::Bytes;
use eventwire_store::{Append, Category, MAX_NAME_BYTES, NewEvent, Query, ReadOptions, Uuid};

use crate::sample::{event, event_type, labelled, stream, tag};
use crate::subject::Subject;

/// Texts that are names, and that a careless store takes for something else.
const NAMES: &[&str] = &[
    // Paths.
    ".",
    "..",
    "../../etc/passwd",
    "/",
    "\\",
    "a/b",
    "a\\b",
    "C:",
    "con",
    "nul",
    "~",
    "LOCK",
    // Patterns and subjects.
    "*",
    ">",
    "room.*",
    "room.>",
    "%",
    "_",
    "?",
    "[a-z]",
    "room%",
    "$all",
    "$ce-room",
    "@",
    "#",
    // Quoting.
    "'",
    "\"",
    "`",
    "'; DROP TABLE events; --",
    "{}",
    "{{}}",
    "%s",
    "%00",
    "\\0",
    "$1",
    "&amp;",
    // Separators.
    "-",
    "--",
    "-a",
    "a-",
    "a--b",
    ":",
    "::",
    "a:b",
    ",",
    ";",
    "=",
    "|",
    "a b",
    // Numbers and words that mean something elsewhere.
    "0",
    "-1",
    "18446744073709551615",
    "null",
    "true",
    "undefined",
    "NaN",
    // Text that looks alike.
    "room",
    "Room",
    "ROOM",
    "ro\u{43e}m",
    "é",
    "e\u{301}",
    "ﬁ",
    "fi",
    "ß",
    "ss",
    "I",
    "ı",
    "İ",
    " room",
    "room ",
    "ro om",
    "room\u{a0}",
    "room\u{200b}",
    "\u{feff}room",
    "\u{202e}moor",
    // Beyond the first plane, and at the ends of what UTF-8 encodes in 1, 2, 3 and 4 bytes.
    "\u{1f980}",
    "\u{1f469}\u{200d}\u{1f4bb}",
    "~",
    "\u{a0}",
    "\u{7ff}",
    "\u{800}",
    "\u{ffff}",
    "\u{10000}",
    "\u{10ffff}",
    "\u{2028}",
    "\u{2029}",
    "\u{fffd}",
];

/// Any name will do for a stream, and each is a stream of its own.
pub fn any_name_is_a_stream_of_its_own(subject: &Subject) {
    each_finds_its_own(
        subject,
        |event, name| event.stream(stream(name)),
        |name| Query::stream(stream(name)),
    );
}

/// Any name will do for a tag, and each is a tag of its own.
pub fn any_name_is_a_tag_of_its_own(subject: &Subject) {
    each_finds_its_own(
        subject,
        |event, name| event.tag(tag(name)),
        |name| Query::tags([tag(name)]),
    );
}

/// Any name will do for a type, and each is a type of its own.
pub fn any_name_is_a_type_of_its_own(subject: &Subject) {
    let retyped = |event: NewEvent, name: &str| {
        NewEvent::new(event_type(name), event.as_parts().data.clone())
    };
    each_finds_its_own(subject, retyped, |name| Query::types([event_type(name)]));
}

/// The category of any name finds the streams that are in it, and no other.
pub fn any_name_is_in_its_category(subject: &Subject) {
    let names = distinct();
    for name in &names {
        subject.put(Append::to(stream(name)).event(labelled(*name)));
    }
    for name in &names {
        let category = stream(name).category();
        let events = subject.events(Query::category(category.clone()), ReadOptions::all());
        let expected: Vec<_> = names
            .iter()
            .filter(|name| stream(name).is_in(&category))
            .collect();
        let found: Vec<_> = events
            .iter()
            .filter_map(|event| event.stream_name())
            .collect();
        assert!(
            found
                .iter()
                .map(|found| found.as_str())
                .eq(expected.iter().map(|name| **name)),
            "category {category:?} of {name:?}: {found:?}"
        );
    }
}

/// The longest names are taken, and those that differ in the last byte are apart.
pub fn the_longest_names_are_taken(subject: &Subject) {
    let ascii = "n".repeat(MAX_NAME_BYTES);
    let almost = format!("{}m", &ascii[1..]);
    let shorter = ascii[1..].to_owned();
    let wide = "\u{1f980}".repeat(MAX_NAME_BYTES / 4) + "wid";
    let names = [ascii, almost, shorter, wide];
    for name in &names {
        let event = NewEvent::new(event_type(name), name.clone()).tag(tag(name));
        subject.put(Append::to(stream(name)).event(event));
    }
    for name in &names {
        for query in [
            Query::stream(stream(name)),
            Query::category(Category::new(name.as_str()).expect("a name as long as allowed")),
            Query::types([event_type(name)]),
            Query::tags([tag(name)]),
        ] {
            let events = subject.events(query, ReadOptions::all());
            let found: Vec<_> = events.iter().map(|event| event.data.clone()).collect();
            assert_eq!(found, [Bytes::from(name.clone())]);
        }
    }
}

/// One text can be a stream, a category, a type and a tag, and they are not confused.
pub fn one_text_in_many_places_is_not_confused(subject: &Subject) {
    for event in [
        labelled("stream").stream(stream("same")),
        labelled("tag").tag(tag("same")),
        NewEvent::new(event_type("same"), "type"),
        labelled("same").metadata("same"),
    ] {
        subject.put(Append::new().event(event));
    }
    for (query, expected) in [
        (Query::stream(stream("same")), "stream"),
        (Query::tags([tag("same")]), "tag"),
        (Query::types([event_type("same")]), "type"),
    ] {
        let events = subject.events(query.clone(), ReadOptions::all());
        let found: Vec<_> = events.iter().map(|event| event.data.clone()).collect();
        assert_eq!(found, [expected], "{query:?}");
    }
}

/// Payload and metadata come back byte for byte, whatever they hold.
pub fn payload_and_metadata_come_back_byte_for_byte(subject: &Subject) {
    let payloads = payloads();
    for payload in &payloads {
        let event = NewEvent::new(event_type("bytes"), payload.clone());
        subject.put(Append::new().event(event.metadata(reversed(payload))));
    }
    let log = subject.log();
    assert_eq!(log.len(), payloads.len());
    for (event, payload) in log.iter().zip(&payloads) {
        assert_eq!(event.data, payload);
        assert_eq!(event.metadata, reversed(payload));
    }
}

/// Payloads of one append do not run into each other.
pub fn payloads_of_one_append_do_not_run_into_each_other(subject: &Subject) {
    let payloads = payloads();
    let event = |payload: &Bytes| NewEvent::new(event_type("bytes"), payload.clone());
    subject.put(Append::to(stream("room-1")).extend(payloads.iter().map(event)));
    let found: Vec<_> = subject.log().into_iter().map(|event| event.data).collect();
    assert_eq!(found, payloads);
}

/// An event with nothing in it is an event.
pub fn an_event_with_nothing_in_it_is_an_event(subject: &Subject) {
    subject.put(Append::new().extend([event("empty"), event("empty"), event("empty")]));
    let log = subject.log();
    assert_eq!(log.len(), 3);
    assert!(
        log.iter()
            .all(|event| event.data.is_empty() && event.metadata.is_empty())
    );
}

/// Payloads of any length come back, also around the sizes in which stores keep them.
pub fn payloads_of_any_length_come_back(subject: &Subject) {
    let most = subject.store().capabilities().limits.event_bytes;
    let around = |size: usize| size.saturating_sub(1)..=size + 1;
    let sizes = [0, 8, 64, 128, 256, 512, 4_096, 8_192, 65_536, 1 << 20].map(around);
    let sizes: Vec<_> = sizes
        .into_iter()
        .flatten()
        .filter(|size| size + 5 <= most)
        .collect();
    let data = |size: usize| -> Bytes {
        (0..size)
            .map(|n| u8::try_from(n % 253).expect("below 253"))
            .collect()
    };
    for &size in &sizes {
        subject.put(Append::new().event(NewEvent::new(event_type("sized"), data(size))));
    }
    for (event, &size) in subject.log().iter().zip(&sizes) {
        assert!(
            event.data == data(size),
            "a payload of {size} bytes came back as another"
        );
    }
    assert_eq!(subject.log().len(), sizes.len());
}

/// Any UUID a writer gives is kept, nil and all ones included.
pub fn any_uuid_is_kept(subject: &Subject) {
    let uuids = [
        Uuid::nil(),
        Uuid::max(),
        Uuid::from_u128(1),
        Uuid::from_u128(1 << 127),
    ];
    let event = |uuid: &Uuid| event("identified").uuid(*uuid);
    subject.put(Append::new().extend(uuids.iter().map(event)));
    let found: Vec<_> = subject.log().iter().map(|event| event.uuid).collect();
    assert_eq!(found, uuids);
}

fn distinct() -> Vec<&'static str> {
    let mut names = NAMES.to_vec();
    names.sort_unstable();
    names.dedup();
    names
}

/// Puts an event under each name and sees to it that the name finds that one alone.
fn each_finds_its_own(
    subject: &Subject,
    named: impl Fn(NewEvent, &str) -> NewEvent,
    query: impl Fn(&str) -> Query,
) {
    let names = distinct();
    for chunk in names.chunks(10) {
        let event = |name: &&str| named(labelled(*name), name);
        subject.put(Append::new().extend(chunk.iter().map(event)));
    }
    for name in names {
        let events = subject.events(query(name), ReadOptions::all());
        let found: Vec<_> = events.iter().map(|event| event.data.clone()).collect();
        assert_eq!(found, [name], "found by the name {name:?}");
    }
}

fn payloads() -> Vec<Bytes> {
    let all_bytes: Vec<u8> = (0..=255).collect();
    [
        &b""[..],
        b"\0",
        b"\0\0\0\0",
        b"\n",
        b"\r\n",
        b"\n\n",
        b"data: x\n\nid: 1\n\n",
        b"\xff",
        b"\xff\xfe",
        b"\xc3",
        b"\xed\xa0\x80",
        b"\xf5\x80\x80\x80",
        b"{",
        b"null",
        b"\"",
        b"'; DROP TABLE events; --",
        b"\x1a",
        b"\x1b[2J",
        b"\xef\xbb\xbf",
        &all_bytes,
    ]
    .map(Bytes::copy_from_slice)
    .into_iter()
    .chain([
        Bytes::from(vec![0; 100_000]),
        Bytes::from(all_bytes.repeat(300)),
    ])
    .collect()
}

fn reversed(payload: &Bytes) -> Bytes {
    payload.iter().rev().copied().collect()
}
