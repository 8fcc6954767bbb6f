use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use rustix::fs::statfs;
use tempfile::TempDir;

use crate::{CONTESTANTS, Contestant};

/// What is measured, and how long.
pub struct Options {
    part: Option<Part>,
    name: String,
    directory: PathBuf,
    keeps: bool,
    pub scale: Scale,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Appending,
    Reading,
    Opening,
}

/// How much of everything.
#[derive(Clone, Copy)]
pub struct Scale {
    pub rounds: usize,
    /// After so long no round begins, on a machine that is busy.
    pub patience: Duration,
    /// Of what goes by time, in milliseconds.
    pub window: usize,
    /// Streams that have an event before appending is measured.
    pub seed: usize,
    /// Events of a store that is read.
    pub events: usize,
    /// Events of a store that is only opened.
    pub many: usize,
    /// Whether everything is done that takes minutes: reading from the slowest, and opening peers
    /// with so many events too.
    pub is_full: bool,
}

const DEFAULT: Scale = Scale {
    rounds: 7,
    patience: Duration::from_secs(40),
    window: 240,
    seed: 100_000,
    events: 1_000_000,
    many: 10_000_000,
    is_full: false,
};

const QUICK: Scale = Scale {
    rounds: 1,
    patience: Duration::from_secs(20),
    window: 60,
    seed: 10_000,
    events: 20_000,
    many: 40_000,
    is_full: false,
};

/// How the names of directories begin, before the id of the process.
const PREFIX: &str = "persisting-";
/// What Linux says of a file system that is memory.
const TMPFS: i64 = 0x0102_1994;

impl Options {
    pub fn parse(arguments: &[String]) -> Result<Self, String> {
        let beside = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut options = Self {
            part: None,
            name: String::new(),
            directory: beside.parent().expect("a file").to_owned(),
            keeps: false,
            scale: DEFAULT,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.scale = QUICK,
                "--full" => options.scale.is_full = true,
                "--keep" => options.keeps = true,
                "--events" => {
                    let events = arguments.next().and_then(|events| events.parse().ok());
                    options.scale.events = events.ok_or("--events needs a number")?;
                    options.scale.many = 10 * options.scale.events;
                }
                "--dir" => {
                    let directory = arguments.next().ok_or("--dir needs a directory")?;
                    options.directory = PathBuf::from(directory);
                }
                "appending" => options.part = Some(Part::Appending),
                "reading" => options.part = Some(Part::Reading),
                "opening" => options.part = Some(Part::Opening),
                flag if flag.starts_with('-') => return Err(format!("no such option: {flag}")),
                name => options.name = name.to_owned(),
            }
        }
        let directory = &options.directory;
        let kind =
            statfs(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        if kind.f_type == TMPFS {
            return Err(format!("{}: memory, not a disk", directory.display()));
        }
        options
            .sweep()
            .map_err(|error| format!("{}: {error}", directory.display()))?;
        Ok(options)
    }

    pub fn does(&self, part: Part) -> bool {
        self.part.is_none_or(|wanted| wanted == part)
    }

    /// The limit, and those whose name has the wanted part.
    pub fn contestants(&self) -> impl Iterator<Item = &'static Contestant> {
        let wanted = |contestant: &&Contestant| contestant.name.contains(&self.name);
        let (limit, others) = CONTESTANTS.split_first().expect("there are some");
        [limit].into_iter().chain(others.iter().filter(wanted))
    }

    /// A directory that goes when it is dropped.
    pub fn directory(&self) -> TempDir {
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let directory = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir_in(&self.directory);
        directory.expect("it is made")
    }

    /// Where a filled store is kept for the next run; none where it is to go with this one.
    pub fn kept(&self, contestant: &Contestant, events: usize) -> Option<PathBuf> {
        let name = format!("kept-{}-{events}", contestant.name.replace([' ', ','], ""));
        self.keeps.then(|| self.directory.join(name))
    }

    /// Removes what runs that were ended from outside have left.
    fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let run = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
            let process = run.and_then(|run| run.split_once('-'));
            let is_left = process
                .and_then(|(id, _)| id.parse::<u32>().ok())
                .is_some_and(|id| !Path::new("/proc").join(id.to_string()).exists());
            if is_left {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}
