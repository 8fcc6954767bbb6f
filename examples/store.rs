//! Looks after the directory of a file store: `cargo run --release --example store -- verify DIR`.
//!
//! Ends with status 0 where all is well, 1 where it could not be done, and 3 where the store is
//! damaged.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use eventwire::store::Position;
use eventwire::store_file::{
    Backup, Compacted, FileStore, GiveUp, Original, Progress, RepairError, Repaired, Report, Stat,
    backup, repair, restore, stat, verify,
};
use eventwire_examples::{Failure, allow_all_open_files};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

/// The status of a store that is damaged.
const DAMAGED: u8 = 3;

#[derive(Debug, Parser)]
#[command(about = "Looks after the directory of a file store")]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read every byte of a closed store, and say what is not as it was written
    Verify {
        /// The directory of the store
        directory: PathBuf,
    },
    /// Make a damaged store open again: keep what lies before the damage, move the rest aside
    Repair {
        /// The directory of the store
        directory: PathBuf,
        /// The first position that may be given up, as `verify` tells it
        #[arg(long, value_name = "POSITION")]
        give_up_from: Option<Position>,
    },
    /// Say what is in a store, whether a process has it open or not
    Stat {
        /// The directory of the store
        directory: PathBuf,
        /// Say it as one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Take what was dropped out of the files of a closed store
    Compact {
        /// The directory of the store
        directory: PathBuf,
    },
    /// Copy a store, also one that a process has open; again into the same directory, only what
    /// is new
    Backup {
        /// The directory of the store
        from: PathBuf,
        /// A directory that is empty, does not exist, or has an earlier backup
        to: PathBuf,
    },
    /// Make a store of a backup
    Restore {
        /// The directory of the backup
        from: PathBuf,
        /// A directory that is empty or does not exist
        to: PathBuf,
        /// What became of the store since the backup was made
        #[arg(long, value_enum)]
        original: Fate,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Fate {
    /// Nothing was appended to it afterwards: cursors that clients saved stay valid
    Ended,
    /// It went on, or may have: the copy gets a new epoch, and clients begin anew
    WentOn,
}

fn main() -> Result<ExitCode, Failure> {
    let options = Options::parse();
    allow_all_open_files();
    let bar = bar()?;
    let on_progress = |progress: Progress| {
        bar.set_length(progress.of);
        bar.set_position(progress.bytes);
    };
    let mut out = io::stdout();
    match options.command {
        Command::Verify { directory } => {
            let report = verify(directory, on_progress)?;
            bar.finish_and_clear();
            return say_report(&report);
        }
        Command::Repair {
            directory,
            give_up_from,
        } => {
            let give_up = give_up_from.map_or(GiveUp::Nothing, GiveUp::EverythingFrom);
            let done = repair(directory, give_up, on_progress);
            bar.finish_and_clear();
            return say_repaired(done);
        }
        Command::Stat { directory, json } => {
            bar.set_style(ProgressStyle::with_template(
                "{bar:40} {pos} of {len} indexes",
            )?);
            let found = stat(directory, on_progress)?;
            bar.finish_and_clear();
            if json {
                writeln!(out, "{}", json_of(&found))?;
            } else {
                say_stat(&found)?;
            }
        }
        Command::Compact { directory } => {
            // Opening would make a store where there is none.
            stat(&directory, |_| {})?;
            let store = FileStore::open(directory)?;
            let done = store.compact(on_progress)?;
            store.close();
            bar.finish_and_clear();
            say_compacted(&done)?;
        }
        Command::Backup { from, to } => {
            let done = backup(from, &to, on_progress)?;
            bar.finish_and_clear();
            say_copied(&done)?;
        }
        Command::Restore { from, to, original } => {
            let original = match original {
                Fate::Ended => Original::EndedThere,
                Fate::WentOn => Original::MayHaveGoneOn,
            };
            let done = restore(from, &to, original, on_progress)?;
            bar.finish_and_clear();
            say_copied(&done)?;
            writeln!(out, "the epoch of its log is {}", done.epoch)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Shown on a terminal alone.
fn bar() -> Result<ProgressBar, Failure> {
    let style = ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {eta} left")?;
    Ok(ProgressBar::no_length().with_style(style))
}

fn say_report(report: &Report) -> Result<ExitCode, Failure> {
    let mut out = io::stdout();
    for finding in &report.findings {
        writeln!(out, "{finding}")?;
    }
    writeln!(
        out,
        "{} events in {} streams and {} segments; {} read",
        HumanCount(report.events),
        report.streams,
        report.segments,
        HumanBytes(report.bytes)
    )?;
    if report.is_whole() {
        writeln!(out, "whole: everything that was written is there")?;
        return Ok(ExitCode::SUCCESS);
    }
    match report.gives_up_from() {
        Some(from) => writeln!(
            out,
            "damaged: restore a backup, or give up every event from position {from} on with \
             `repair --give-up-from {from}`"
        )?,
        None => writeln!(out, "damaged: `repair` mends it and gives up no event")?,
    }
    Ok(ExitCode::from(DAMAGED))
}

fn say_repaired(done: Result<Repaired, RepairError>) -> Result<ExitCode, Failure> {
    let mut out = io::stdout();
    match done {
        Ok(Repaired::Mended {
            gave_up_from,
            epoch,
            salvage,
            ..
        }) => {
            match gave_up_from {
                Some(from) => writeln!(
                    out,
                    "repaired: every event from position {from} on was moved into {salvage}"
                )?,
                None => writeln!(out, "repaired: no event was given up")?,
            }
            writeln!(
                out,
                "the epoch of the log is {epoch} now; clients begin anew"
            )?;
        }
        Err(RepairError::TooMuch { from }) => {
            writeln!(
                out,
                "nothing was changed: repairing gives up every event from position {from} on; \
                 where there is no backup, say `--give-up-from {from}`"
            )?;
            return Ok(ExitCode::from(DAMAGED));
        }
        Err(error) => return Err(error.into()),
        Ok(_) => writeln!(out, "whole: there is nothing to repair")?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What there is to be said of a store: what it is called in JSON and to people, and its value.
fn entries(stat: &Stat) -> Vec<(&'static str, &'static str, Value)> {
    let bytes = |bytes: u64| Value::Bytes(bytes);
    let count = |count: u64| Value::Count(count);
    let files = |files: usize| Value::Count(files.try_into().unwrap_or(u64::MAX));
    let text = |text: &dyn Display| Value::Text(text.to_string());
    vec![
        ("store", "store", text(&stat.store)),
        ("epoch", "epoch", text(&stat.epoch)),
        ("format", "format version", count(stat.format.into())),
        ("head", "last position", text(&stat.head)),
        (
            "dropped_to",
            "dropped up to position",
            text(&stat.dropped_to),
        ),
        ("events", "events", count(stat.events)),
        (
            "events_dropped",
            "events that were dropped",
            count(stat.events_dropped),
        ),
        ("streams", "streams", count(stat.streams)),
        (
            "streams_trimmed",
            "streams that were trimmed",
            count(stat.streams_trimmed),
        ),
        (
            "streams_deleted",
            "streams that were deleted",
            count(stat.streams_deleted),
        ),
        ("types", "types", count(stat.types)),
        ("tags", "tags", count(stat.tags)),
        ("keys", "idempotency keys", count(stat.keys)),
        (
            "consumers",
            "consumers with a checkpoint",
            count(stat.consumers),
        ),
        ("segments", "segments", files(stat.segments)),
        (
            "segment_bytes",
            "size of the segments",
            bytes(stat.segment_bytes),
        ),
        ("indexes", "indexes", files(stat.indexes)),
        (
            "index_bytes",
            "size of the indexes",
            bytes(stat.index_bytes),
        ),
        ("remainders", "remainders", files(stat.remainders)),
        (
            "remainder_bytes",
            "size of the remainders",
            bytes(stat.remainder_bytes),
        ),
        (
            "segments_to_compact",
            "segments to compact",
            files(stat.segments_to_compact),
        ),
        (
            "bytes_to_compact",
            "given back by compacting",
            bytes(stat.bytes_to_compact),
        ),
    ]
}

enum Value {
    Count(u64),
    Bytes(u64),
    /// Of letters, digits and hyphens.
    Text(String),
}

fn json_of(stat: &Stat) -> String {
    let entries = entries(stat)
        .into_iter()
        .map(|(name, _, value)| match value {
            Value::Count(number) | Value::Bytes(number) => format!("\"{name}\":{number}"),
            Value::Text(text) => format!("\"{name}\":\"{text}\""),
        });
    format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
}

fn say_stat(stat: &Stat) -> Result<(), Failure> {
    let mut out = io::stdout();
    for (_, name, value) in entries(stat) {
        match value {
            Value::Count(number) => writeln!(out, "{name:<28}{}", HumanCount(number))?,
            Value::Bytes(bytes) => writeln!(out, "{name:<28}{}", HumanBytes(bytes))?,
            Value::Text(text) => writeln!(out, "{name:<28}{text}")?,
        }
    }
    Ok(())
}

fn say_compacted(done: &Compacted) -> Result<(), Failure> {
    let mut out = io::stdout();
    writeln!(
        out,
        "compacted: {} segments written again, {} removed, {} given back",
        done.segments_rewritten,
        done.segments_removed,
        HumanBytes(done.bytes)
    )?;
    if !done.is_complete {
        writeln!(
            out,
            "the last segment holds dropped events still: compact again after the next append"
        )?;
    }
    Ok(())
}

fn say_copied(done: &Backup) -> Result<(), Failure> {
    writeln!(
        io::stdout(),
        "copied up to position {}: {} of {} segments, the others were there",
        done.head,
        done.segments_copied,
        done.segments
    )?;
    Ok(())
}
