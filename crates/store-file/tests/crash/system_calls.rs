//! A system call of a process fails, by `strace`: each kind, at each of its first times on any
//! thread. `EVENTWIRE_CALL_FAILURES` sets at how many of them.

use std::collections::{HashMap, HashSet};
use std::fs;

use crate::ledger::{Ledger, Takes};
use crate::load::{Refusal, Said, Start, writer};
use crate::{machine, number};

/// What fails, and how.
const FAILURES: [(&str, &str); 9] = [
    ("fdatasync", "EIO"),
    ("fdatasync", "ENOSPC"),
    ("pwrite64", "EIO"),
    ("pwrite64", "ENOSPC"),
    ("fsync", "EIO"),
    ("rename", "EIO"),
    ("rename", "ENOSPC"),
    ("unlink", "EIO"),
    ("mkdir", "ENOSPC"),
];

/// Small, so that a short run leaves several.
const SEGMENT_BYTES: u64 = 12 << 10;

const ROUNDS: u64 = 24;

/// Which life of a store it is in which a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Most of the calls make the store.
    First,
    /// Most of the calls are the writer's.
    Second,
}

const LIVES: [Life; 2] = [Life::First, Life::Second];

/// What came of a run, or of several.
#[derive(Debug, Default)]
struct Outcome {
    /// Calls that failed.
    injected: usize,
    /// Answers.
    indeterminate: u64,
    busy: u64,
    poisoned: u64,
}

#[test]
fn a_call_that_fails_is_answered_as_in_doubt_and_never_made_again() {
    if !machine::has(&["strace"]) || !can_trace() {
        return;
    }
    let times = number("EVENTWIRE_CALL_FAILURES", 4);
    for (call, error) in FAILURES {
        let is_of_commits = matches!(call, "fdatasync" | "pwrite64");
        // The first of them open the store; commits come after.
        let apart = if is_of_commits { 4 } else { 1 };
        let mut all = Outcome::default();
        for (time, life) in (0..times).flat_map(|time| LIVES.map(|life| (time, life))) {
            let time = 1 + time * apart;
            let outcome = fails(call, error, time, life);
            all.injected += outcome.injected;
            all.indeterminate += outcome.indeterminate;
            all.busy += outcome.busy;
            all.poisoned += outcome.poisoned;
        }
        println!("{call} with {error}: {all:?}");
        assert!(all.injected > 0, "{call} was never called");
        if is_of_commits {
            assert!(all.indeterminate > 0, "no commit met {error} of {call}");
        }
        if matches!((call, error), ("fsync" | "rename", "EIO")) {
            assert!(all.poisoned > 0, "no new segment met {error} of {call}");
        }
    }
}

/// Whether one process may look at another here, which a sandbox may forbid.
fn can_trace() -> bool {
    let traced = std::process::Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .output();
    let is_possible = traced.is_ok_and(|output| output.status.success());
    if !is_possible {
        machine::not_tested("a process may not trace another here");
    }
    is_possible
}

/// A life in which the call fails at its `time`-th time on each thread, and what it leaves.
fn fails(call: &str, error: &str, time: u64, life: Life) -> Outcome {
    let _run = Run(format!(
        "{call} fails with {error} at time {time}, {life:?} life"
    ));
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    let mut ledger = Ledger::default();
    let start = |rounds, under| Start {
        directory: &store,
        segment_bytes: SEGMENT_BYTES,
        rounds: Some(rounds),
        under,
    };
    if life == Life::Second {
        ledger.enter(&start(2, Vec::new()).start().end());
    }
    let trace = directory.path().join("trace");
    let under = [
        "strace",
        "-f",
        "-y",
        "-qq",
        "-o",
        trace.to_str().unwrap(),
        "-e",
        "trace=pwrite64,fdatasync,fsync,ftruncate,rename,unlink,mkdir",
        "-e",
        &format!("inject={call}:error={error}:when={time}"),
    ];
    let under = under.map(str::to_owned).into();
    let said = start(ROUNDS, under).start().end();

    let trace = joined(&fs::read_to_string(&trace).unwrap());
    let outcome = judge(&said, &trace);
    ledger.enter(&said);
    // The store need not have come to be; then it does now.
    ledger.check(&store, SEGMENT_BYTES, Takes::Nothing);
    outcome
}

/// A trace in which a call has one line, where it ended: another thread's may come in between.
fn joined(trace: &str) -> String {
    let mut begun = HashMap::new();
    let mut joined = String::new();
    for line in trace.lines() {
        let thread = line.split(' ').next().unwrap();
        if let Some(call) = line.strip_suffix("<unfinished ...>") {
            begun.insert(thread, call);
            continue;
        }
        match line.split_once(" resumed>") {
            Some((_, end)) => {
                joined.push_str(begun.remove(thread).unwrap_or(thread));
                joined.push_str(end);
            }
            None => joined.push_str(line),
        }
        joined.push('\n');
    }
    joined
}

/// Holds what was said, and what was done, to the failure.
fn judge(said: &[Said], trace: &str) -> Outcome {
    let mut outcome = Outcome {
        injected: trace.matches("(INJECTED)").count(),
        ..Outcome::default()
    };
    let (mut events, mut read, mut is_open) = (0, None, false);
    let mut stopped = [false; 10];
    for said in said {
        match said {
            Said::Opened => is_open = true,
            Said::Written { number, last } => {
                assert!(!stopped[index(*number)], "{said:?} after a failure");
                events = events.max(*last);
            }
            // That there is nothing to drop is told by what can still be read.
            Said::Dropped { to, number } => {
                let is_written = *to > 0;
                assert!(
                    !is_written || !stopped[index(*number)],
                    "{said:?} after a failure"
                );
            }
            Said::Noted(number) => {
                assert!(!stopped[index(*number)], "{said:?} after a failure");
            }
            Said::Refused { number, how } => {
                let stopped = &mut stopped[index(*number)];
                match how {
                    Refusal::Busy => outcome.busy += 1,
                    Refusal::Indeterminate => {
                        assert!(!*stopped, "in doubt after a failure");
                        outcome.indeterminate += 1;
                        *stopped = true;
                    }
                    Refusal::Poisoned => {
                        outcome.poisoned += 1;
                        *stopped = true;
                    }
                    Refusal::Backend => {}
                }
            }
            Said::Read(head) => read = Some(*head),
            Said::Kept(_) | Said::Forgot(_) | Said::Dropping(_) | Said::Compacted => {}
        }
    }
    if is_open {
        let read = read.expect("reading goes on");
        assert!(read >= events, "read up to {read}, answered up to {events}");
    }
    if stopped.contains(&true) && outcome.busy == 0 {
        nothing_is_tried_again(trace);
    }
    outcome
}

fn index(number: u64) -> usize {
    usize::try_from(writer(number)).unwrap()
}

/// After a call on the log that failed, the threads that write it make none on the log. That any
/// of them writes an older segment again, and may try that again, is another matter; and so is that
/// a file that was half made is removed.
fn nothing_is_tried_again(trace: &str) {
    let is_commit = |line: &&str| line.contains("fdatasync(") && line.contains(".log>");
    let writers: HashSet<_> = trace.lines().filter(is_commit).map(thread).collect();
    let calls = without_rewriting(trace);
    let calls: Vec<_> = calls
        .into_iter()
        .filter(|line| writers.contains(thread(line)))
        .filter(|line| !(line.contains("unlink(") && line.contains(".log.new")))
        .collect();
    let failed = calls.iter().position(|line| line.contains("(INJECTED)"));
    let failed = failed.expect("writing stopped, so a call on the log failed");
    assert_eq!(calls[failed + 1..], [""; 0], "after {}", calls[failed]);
}

/// The calls on the log that do not write an older segment again.
fn without_rewriting(trace: &str) -> Vec<&str> {
    let (mut newest, mut rewriting) = (0, HashSet::new());
    let on_log = |line: &&str| line.contains(".log") || is_sync_of_directory(line);
    let calls = trace.lines().filter(on_log);
    calls
        .filter(|line| {
            // A segment is made under the name in which it is written again, but is the newest.
            if let Some(segment) = segment(line) {
                newest = newest.max(segment);
                if line.contains(".log.new") && segment < newest {
                    rewriting.insert(thread(line));
                } else {
                    rewriting.remove(thread(line));
                }
            }
            !rewriting.contains(thread(line))
        })
        .collect()
}

/// The thread that made a call.
fn thread(line: &str) -> &str {
    line.split(' ').next().unwrap()
}

/// The segment whose file a call is of, if it is of one.
fn segment(line: &str) -> Option<u64> {
    let (before, _) = line.split_once(".log")?;
    let (_, number) = before.rsplit_once('/')?;
    Some(number.parse().expect("a segment's file has its number"))
}

/// Of the store's own directory, not of that of the indexes or snapshots.
fn is_sync_of_directory(line: &str) -> bool {
    line.contains("fsync(") && line.contains("/store>")
}

/// Says which run it was that failed.
struct Run(String);

impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed in: {}", self.0);
        }
    }
}
