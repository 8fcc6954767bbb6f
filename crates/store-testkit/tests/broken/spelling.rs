//! Stores that change names and payloads.

use std::collections::HashSet;

use eventwire_store::{EventType, NewEvent, StreamName};

use crate::Fault;
use crate::faulty::Faulty;

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "names are kept in lower case",
        caught_by: &[
            "hostile::any_name_is_a_stream_of_its_own",
            "hostile::any_name_is_a_tag_of_its_own",
            "hostile::any_name_is_a_type_of_its_own",
            "hostile::any_name_is_in_its_category",
        ],
        hangs: &[],
        store: || names_become(str::to_lowercase),
    },
    Fault {
        name: "names are trimmed",
        caught_by: &["hostile::any_name_is_a_stream_of_its_own"],
        hangs: &[],
        store: || {
            names_become(|name| {
                let name = name.trim();
                if name.is_empty() {
                    "_".to_owned()
                } else {
                    name.to_owned()
                }
            })
        },
    },
    Fault {
        name: "names are cut at 250 bytes",
        caught_by: &["hostile::the_longest_names_are_taken"],
        hangs: &[],
        store: || {
            names_become(|name| {
                let end = (0..=250.min(name.len()))
                    .rev()
                    .find(|&end| name.is_char_boundary(end))
                    .unwrap();
                name[..end].to_owned()
            })
        },
    },
    Fault {
        name: "long payloads are cut",
        caught_by: &[
            "hostile::payloads_of_one_append_do_not_run_into_each_other",
            "hostile::payloads_of_any_length_come_back",
        ],
        hangs: &[],
        store: || payloads_become(|data| data[..data.len().min(60_000)].to_vec()),
    },
    Fault {
        name: "payloads end at NUL",
        caught_by: &["hostile::payload_and_metadata_come_back_byte_for_byte"],
        hangs: &[],
        store: || payloads_become(|data| data.split(|byte| *byte == 0).next().unwrap().to_vec()),
    },
    Fault {
        name: "payloads are made UTF-8",
        caught_by: &["hostile::payload_and_metadata_come_back_byte_for_byte"],
        hangs: &[],
        store: || payloads_become(|data| String::from_utf8_lossy(data).into_owned().into_bytes()),
    },
    Fault {
        name: "events with nothing in them are left out",
        caught_by: &["hostile::an_event_with_nothing_in_it_is_an_event"],
        hangs: &[],
        store: || {
            Faulty::new().request(|request| {
                let is_nothing = |event: &NewEvent| {
                    event.as_parts().data.is_empty()
                        && event.as_parts().event_type.as_str() == "empty"
                };
                if request.events.iter().any(|event| !is_nothing(event)) || request.events.len() > 1
                {
                    let first = request.events[0].clone();
                    request.events.retain(|event| !is_nothing(event));
                    if request.events.is_empty() {
                        request.events.push(first);
                    }
                }
            })
        },
    },
];

fn names_become(change: fn(&str) -> String) -> Faulty {
    Faulty::new().request(move |request| {
        for event in &mut request.events {
            let parts = event.as_parts();
            let kind = EventType::new(change(parts.event_type.as_str())).unwrap();
            let mut renamed =
                NewEvent::new(kind, parts.data.clone()).metadata(parts.metadata.clone());
            let mut seen = HashSet::new();
            for tag in parts.tags {
                let tag = eventwire_store::Tag::new(change(tag.as_str())).unwrap();
                if seen.insert(tag.clone()) {
                    renamed = renamed.tag(tag);
                }
            }
            if let Some(name) = parts.stream {
                renamed = renamed.stream(StreamName::new(change(name.as_str())).unwrap());
            }
            *event = match parts.uuid {
                Some(uuid) => renamed.uuid(uuid),
                None => renamed,
            };
        }
    })
}

fn payloads_become(change: fn(&[u8]) -> Vec<u8>) -> Faulty {
    Faulty::new().event(move |event| {
        event.data = change(&event.data).into();
        event.metadata = change(&event.metadata).into();
    })
}
