use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::workload::Layout;

/// A process that has a store open.
pub struct Process {
    child: Child,
    stdin: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    /// Milliseconds the store took to open.
    pub opened: f64,
}

/// Who is at rest has used no processor time for so long.
const REST: Duration = Duration::from_millis(20);
/// Who is not at rest by then is measured beside.
const PATIENCE: Duration = Duration::from_secs(1);

impl Process {
    pub fn start(contestant: &str, directory: &Path, layout: Layout) -> Self {
        let program = std::env::current_exe().expect("it runs");
        let mut child = Command::new(program)
            .arg("--serve")
            .arg(contestant)
            .arg(directory)
            .arg(layout.events.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        let mut process = Self {
            child,
            stdin,
            answers: BufReader::new(stdout).lines(),
            opened: 0.0,
        };
        process.opened = process.answer()[0];
        process
    }

    /// Has it do something, and answers what it measured.
    pub fn ask(&mut self, command: &str) -> Vec<f64> {
        writeln!(self.stdin, "{command}").expect("it listens");
        self.answer()
    }

    fn answer(&mut self) -> Vec<f64> {
        for line in &mut self.answers {
            let line = line.expect("lines are text");
            if let Some(numbers) = line.strip_prefix('=') {
                let numbers = numbers.split_whitespace().map(str::parse);
                return numbers.collect::<Result<_, _>>().expect("numbers");
            }
        }
        panic!("it ended before it answered");
    }

    /// Closes the store and ends.
    pub fn close(mut self) {
        self.ask("close");
        self.child.wait().expect("it ends");
    }

    /// Ends it with `SIGKILL`.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// MiB of memory it has that are not pages of files.
    pub fn resident(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        kib.and_then(|kib| kib.parse::<f64>().ok())
            .expect("a number")
            / 1024.0
    }

    /// Waits until what it does behind its callers' backs is done.
    pub fn rest(&self) {
        let begin = Instant::now();
        let mut before = self.processor_time();
        while begin.elapsed() < PATIENCE {
            thread::sleep(REST);
            let now = self.processor_time();
            if now == before {
                return;
            }
            before = now;
        }
    }

    fn processor_time(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.expect("it runs");
        let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
        let times = fields.split_whitespace().skip(11).take(2);
        times
            .map(|ticks| ticks.parse::<u64>().expect("ticks"))
            .sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, unless somebody panics.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
