//! Reads an event stream on standard input and prints one JSON object a line:
//!
//! ```text
//! curl -sN https://example.org/events | cargo run --example sse-json | jq .data
//! ```
//!
//! An event is `{"kind":"event","event":"tick","data":"...","id":"7"}`, a comment
//! `{"kind":"comment","comment":"..."}`, a reconnection delay `{"kind":"retry","retry":3000}` in
//! milliseconds, a block over the limit `{"kind":"error","error":"..."}`. The last line is
//! `{"kind":"end","last_event_id":"7"}`.

use std::io::{self, ErrorKind, Read, Write};
use std::num::NonZeroUsize;

use clap::Parser as Arguments;
use eventwire::sse::{Item, Limits, Parser};
use serde::Serialize;

/// Prints an event stream as JSON, one object a line.
#[derive(Debug, Arguments)]
struct Options {
    /// Feed the parser this many bytes at a time, in place of what one read gives.
    #[arg(long, value_name = "N")]
    chunk: Option<NonZeroUsize>,

    /// Leave out blocks with a line, or data, longer than this.
    #[arg(long, value_name = "BYTES")]
    limit: Option<usize>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line<'a> {
    Event {
        event: &'a str,
        data: &'a str,
        id: &'a str,
    },
    Comment {
        comment: &'a str,
    },
    Retry {
        retry: u128,
    },
    Error {
        error: String,
    },
    End {
        last_event_id: &'a str,
    },
}

fn main() -> io::Result<()> {
    match print(&Options::parse(), io::stdin().lock(), io::stdout().lock()) {
        // Whoever reads us has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Prints what the stream tells as soon as it is told.
fn print(options: &Options, mut input: impl Read, mut output: impl Write) -> io::Result<()> {
    let limits = options.limit.map_or(Limits::DEFAULT, |limit| {
        Limits::DEFAULT.line(limit).event(limit)
    });
    let mut parser = Parser::new().limits(limits);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let len = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let size = options.chunk.map_or(len, NonZeroUsize::get);
        for chunk in buffer[..len].chunks(size) {
            let mut items = parser.feed(chunk);
            while let Some(item) = items.next() {
                if let Some(line) = line(item) {
                    write(&line, &mut output)?;
                }
            }
        }
        output.flush()?;
    }
    write(
        &Line::End {
            last_event_id: parser.last_event_id(),
        },
        &mut output,
    )?;
    output.flush()
}

fn line(item: Item<'_>) -> Option<Line<'_>> {
    Some(match item {
        Item::Event(event) => Line::Event {
            event: event.name(),
            data: event.data(),
            id: event.id(),
        },
        Item::Comment(comment) => Line::Comment { comment },
        Item::Retry(delay) => Line::Retry {
            retry: delay.as_millis(),
        },
        Item::TooLarge(limit) => Line::Error {
            error: limit.to_string(),
        },
        _ => return None,
    })
}

fn write(line: &Line<'_>, output: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *output, line)?;
    output.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "retry: 3000\n: hi\nevent: tick\nid: 7\ndata: \"a\"\ndata: b\n\n\
        data: 0123456789012345678901234567890123456789\n\ndata: unfinished";

    fn check(options: &Options, expected: &[&str]) {
        let mut output = Vec::new();
        print(options, STREAM.as_bytes(), &mut output).expect("reading and writing memory");
        let output = String::from_utf8(output).expect("JSON is text");
        assert_eq!(output.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn prints_what_it_is_told_however_it_is_fed() {
        for chunk in [None, NonZeroUsize::new(1), NonZeroUsize::new(7)] {
            check(
                &Options { chunk, limit: None },
                &[
                    r#"{"kind":"retry","retry":3000}"#,
                    r#"{"kind":"comment","comment":" hi"}"#,
                    r#"{"kind":"event","event":"tick","data":"\"a\"\nb","id":"7"}"#,
                    r#"{"kind":"event","event":"message","data":"0123456789012345678901234567890123456789","id":"7"}"#,
                    r#"{"kind":"end","last_event_id":"7"}"#,
                ],
            );
        }
    }

    #[test]
    fn a_block_over_the_limit_is_an_error_line() {
        let limit = Some(32);
        for chunk in [None, NonZeroUsize::new(1)] {
            check(
                &Options { chunk, limit },
                &[
                    r#"{"kind":"retry","retry":3000}"#,
                    r#"{"kind":"comment","comment":" hi"}"#,
                    r#"{"kind":"event","event":"tick","data":"\"a\"\nb","id":"7"}"#,
                    r#"{"kind":"error","error":"a line of the event stream is longer than 32 bytes; its block was left out"}"#,
                    r#"{"kind":"end","last_event_id":"7"}"#,
                ],
            );
        }
    }
}
