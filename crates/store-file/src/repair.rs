use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use eventwire_store::{Epoch, Position};
use thiserror::Error;

use crate::engine::INDEXES;
use crate::error::OpenError;
use crate::format::{FrameBuffer, Kind, Label, Note, in_memory, u64_of};
use crate::identity::{self, IDENTITY, UNFINISHED_BACKUP, read_label};
use crate::index;
use crate::inspection::inspect;
use crate::notes::Notes;
use crate::options::FileOptions;
use crate::parts::Parts;
use crate::report::{Break, Meaning, Progress, Report};
use crate::scan::{Frontier, Scan};
use crate::segment::{self, Segment, Tail};
use crate::snapshots;
use crate::storage::{Disk, Reads, Storage, Unpublished, names_in};
use crate::verify::VerifyError;

/// What the directories of that which was given up are called, before a number.
const SALVAGE: &str = "salvage-";

/// What says in them how they came about.
const TEXT: &str = "GIVEN-UP.txt";

/// Bytes copied at a time.
const CHUNK_BYTES: u64 = 1 << 20;

/// Notes written in one frame.
const FRAME_NOTES: usize = 1 << 16;

/// What may be given up, so that a store opens again. [`verify`](crate::verify) says what it
/// would have to be: [`Report::gives_up_from`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUp {
    /// No event: only what is made again without loss.
    Nothing,
    /// Every event from this position on, if it must be. What lies before the first damage is
    /// kept in any case.
    EverythingFrom(Position),
}

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repaired {
    /// Nothing: every event is there as it was.
    Nothing,
    /// The log ends before its first damage, if there was any, and has a new epoch.
    Mended {
        /// The first position that was given up; none where nothing was.
        gave_up_from: Option<Position>,
        /// The epoch the log has now. Cursors of the old one are recognised as such.
        epoch: Epoch,
        /// The directory within the store's that has everything that was given up, as it was.
        salvage: String,
    },
}

/// Makes a store open again that has damage in it, at the price that is named.
///
/// The log is cut before its first damage. What lies behind it, whole or not, is moved into a
/// directory `salvage-1` (or the next that is free) within the store's, as it was, with a text
/// that says what it is: nothing is deleted. The log gets a new epoch, for its positions will be
/// given to other events, and a cursor that a reader saved must not be resumed from. Snapshots
/// are moved away too: they may be made of what is given up.
///
/// It does not invent and does not hide: no byte of an event is written or changed, and whole
/// events behind the damage are given up rather than shown with a hole before them. Restoring a
/// backup is better than this.
///
/// Blocks while it reads the store, as [`verify`](crate::verify) does, and again while it copies
/// what is kept of the damaged segment. A repair that was interrupted is done again.
///
/// # Errors
/// [`RepairError`]. Nothing was changed, but for [`VerifyError::Io`]: then repair again.
pub fn repair(
    path: impl AsRef<Path>,
    give_up: GiveUp,
    mut progress: impl FnMut(Progress),
) -> Result<Repaired, RepairError> {
    let path = path.as_ref();
    if !has_store(path) {
        let path = path.to_owned();
        return Err(VerifyError::NoStore { path }.into());
    }
    let storage =
        Disk::open(path, Reads::Copied).map_err(|error| VerifyError::of_lock(path, error))?;
    let report = inspect(&storage, &mut progress).map_err(VerifyError::of_open)?;
    mend(&storage, &report, give_up)
}

/// Whether a directory has anything of a store, so that it is not made one by being locked.
fn has_store(path: &Path) -> bool {
    let is_of_store = |name: &String| name == IDENTITY || segment::first_in(name).is_some();
    names_in(path).is_ok_and(|names| names.iter().any(is_of_store))
}

/// Why a store was not repaired, by what to do next.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RepairError {
    /// More would be given up than was allowed. Look for a backup, or allow it.
    #[error("repairing gives up everything from position {from} on; allow it to do it")]
    TooMuch {
        /// The first position that would be given up.
        from: Position,
    },
    /// Written by a later version of this crate. Use that one.
    #[error("{file} was written by a later version; repair with that one")]
    UnknownVersion {
        /// The file, within the store's directory.
        file: String,
    },
    /// A backup that was not finished is not a damaged store. Make it again, or remove it.
    #[error("this is a backup that was not finished; make it again")]
    UnfinishedBackup,
    /// What is kept of events that were dropped is damaged, and nothing makes it again. Restore a
    /// backup.
    #[error("{file}, which keeps what must stay of dropped events, is damaged; restore a backup")]
    Remainder {
        /// The file, within the store's directory.
        file: String,
    },
    /// No file says which store this is, so nothing can be said to belong to it. Restore a backup.
    #[error("no file says which store this is; restore a backup")]
    Nameless,
    /// The store could not be looked at, or not be changed.
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

impl From<OpenError> for RepairError {
    fn from(error: OpenError) -> Self {
        Self::Verify(VerifyError::of_open(error))
    }
}

/// Whether a directory holds what a repair gave up.
pub(crate) fn is_salvage(name: &str) -> bool {
    let number = name.strip_prefix(SALVAGE);
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}

/// Repairs what a report of the store says is damaged.
pub(crate) fn mend(
    storage: &dyn Storage,
    report: &Report,
    give_up: GiveUp,
) -> Result<Repaired, RepairError> {
    if report.is_whole() {
        return Ok(Repaired::Nothing);
    }
    let names = storage.list().map_err(OpenError::io("listing", "."))?;
    refuse(report, &names, give_up)?;
    let mut parts = Parts::of(&names);
    let old = identity::read(storage).ok();
    let old = old.or_else(|| identity::of_segments(storage, &parts.segments));
    let old = old.ok_or(RepairError::Nameless)?;
    let identity = Label {
        epoch: another(old.epoch),
        ..old
    };
    let salvage = Salvage::new(storage, &names)?;
    salvage.write_text(report)?;
    salvage.link(&names, IDENTITY)?;
    // From here on no cursor of the old log is believed, whatever comes of the rest.
    identity::publish(storage, &identity).map_err(OpenError::io("writing", IDENTITY))?;
    if let Some(damage) = report.first_damage {
        salvage.move_all(snapshots::DIRECTORY, |_| true)?;
        // Without its indexes the damaged segment is read, and refused, until it is cut.
        let is_of_what_goes = |name: &str| index::first_in(name) >= Some(damage.segment);
        salvage.move_all(INDEXES, is_of_what_goes)?;
        let trims = report.stubs.trims(damage.position);
        let trims: Vec<Note> = trims.map(Note::Trim).collect();
        // What has departed is no part of the log, and opening removes it.
        parts.take_departed(report.log_begins_at);
        salvage.cut(&identity, &parts.segments, damage, &trims)?;
    }
    storage.sync().map_err(OpenError::io("syncing", "."))?;
    Ok(Repaired::Mended {
        gave_up_from: report.gives_up_from(),
        epoch: identity.epoch,
        salvage: salvage.name,
    })
}

fn refuse(report: &Report, names: &[String], give_up: GiveUp) -> Result<(), RepairError> {
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    if has(UNFINISHED_BACKUP) && !has(IDENTITY) {
        return Err(RepairError::UnfinishedBackup);
    }
    let mut findings = report.findings.iter();
    if let Some(newer) = findings.find(|finding| finding.meaning == Meaning::Version) {
        let file = newer.file.clone();
        return Err(RepairError::UnknownVersion { file });
    }
    let mut findings = report.findings.iter();
    if let Some(lost) = findings.find(|finding| finding.meaning == Meaning::Remainder) {
        let file = lost.file.clone();
        return Err(RepairError::Remainder { file });
    }
    match (report.gives_up_from(), give_up) {
        (Some(from), GiveUp::Nothing) => Err(RepairError::TooMuch { from }),
        (Some(from), GiveUp::EverythingFrom(allowed)) if from < allowed => {
            Err(RepairError::TooMuch { from })
        }
        _ => Ok(()),
    }
}

fn another(epoch: Epoch) -> Epoch {
    std::iter::repeat_with(Epoch::random)
        .find(|other| *other != epoch)
        .expect("it is repeated without end")
}

/// Where that which is given up goes.
struct Salvage<'a> {
    storage: &'a dyn Storage,
    name: String,
}

impl<'a> Salvage<'a> {
    fn new(storage: &'a dyn Storage, names: &[String]) -> Result<Self, OpenError> {
        let is_free = |name: &String| !names.contains(name);
        let mut possible = (1..).map(|number: u32| format!("{SALVAGE}{number}"));
        let name = possible.find(is_free).expect("numbers do not run out");
        let made = storage.directory(&name).and_then(|_| storage.sync());
        made.map_err(OpenError::io("creating", &name))?;
        Ok(Self { storage, name })
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }

    fn write_text(&self, report: &Report) -> Result<(), OpenError> {
        let mut text = String::from(
            "This directory was made by a repair. It holds what the log was before: each file \
             that was\nmoved away or cut, as it was. The store does not need it.\n\n",
        );
        match report.gives_up_from() {
            Some(from) => writeln!(text, "Given up: every event from position {from} on."),
            None => writeln!(text, "No event was given up."),
        }
        .expect("a text takes what is written");
        writeln!(text, "\nWhat was found:\n").expect("a text takes what is written");
        for finding in &report.findings {
            writeln!(text, "* {finding}").expect("a text takes what is written");
        }
        let directory = self.directory()?;
        let written = directory.create(TEXT).and_then(|file| {
            file.write_at(text.as_bytes(), 0)?;
            file.sync()
        });
        written.map_err(OpenError::io("writing", &self.path(TEXT)))
    }

    fn directory(&self) -> Result<Arc<dyn Storage>, OpenError> {
        let opened = self.storage.directory(&self.name);
        opened.map_err(OpenError::io("opening", &self.name))
    }

    /// Keeps a file that is about to be replaced, if it is there.
    fn link(&self, names: &[String], name: &str) -> Result<(), OpenError> {
        if !names.iter().any(|found| found == name) {
            return Ok(());
        }
        self.storage
            .link(name, &self.path(name))
            .and_then(|()| self.storage.directory(&self.name)?.sync())
            .map_err(OpenError::io("keeping", name))
    }

    /// Moves files of a directory.
    fn move_all(&self, name: &str, which: impl Fn(&str) -> bool) -> Result<(), OpenError> {
        let from = self.storage.directory(name);
        let from = from.map_err(OpenError::io("opening", name))?;
        let moved = self.storage.directory(&self.name).and_then(|salvage| {
            let to = salvage.directory(name)?;
            for file in from.list()?.iter().filter(|file| which(file)) {
                let to = format!("{}/{name}/{file}", self.name);
                self.storage.rename(&format!("{name}/{file}"), &to)?;
            }
            to.sync()?;
            salvage.sync()?;
            from.sync()
        });
        moved.map_err(OpenError::io("moving", name))
    }

    /// Ends the log before its damage. The later segments go first, the last before the others,
    /// so that at any time what is there is either refused or the log that is kept, which ends
    /// with these notes.
    fn cut(
        &self,
        identity: &Label,
        firsts: &[u64],
        damage: Break,
        notes: &[Note],
    ) -> Result<(), OpenError> {
        for (number, &first) in firsts.iter().enumerate().rev() {
            let name = segment::name(first);
            if first > damage.segment || (first == damage.segment && damage.offset == 0) {
                let before = number.checked_sub(1).map(|before| firsts[before]);
                if let (Some(before), true) = (before, first == damage.segment && !notes.is_empty())
                {
                    self.end(before, None, damage.position, notes)?;
                }
                self.storage
                    .rename(&name, &self.path(&name))
                    .and_then(|()| self.storage.directory(&self.name)?.sync())
                    .and_then(|()| self.storage.sync())
                    .map_err(OpenError::io("moving", &name))?;
            } else if first == damage.segment {
                self.storage
                    .link(&name, &self.path(&name))
                    .and_then(|()| self.storage.directory(&self.name)?.sync())
                    .map_err(OpenError::io("keeping", &name))?;
                self.end(first, Some(damage.offset), damage.position, notes)?;
            }
        }
        if firsts.first().is_none_or(|&first| first == damage.segment) && damage.offset == 0 {
            let growth = FileOptions::new().growth;
            let first = damage.position;
            let name = segment::name(first);
            Tail::create(self.storage, identity, first, 0, growth)
                .map_err(OpenError::io("creating", &name))?;
        }
        Ok(())
    }

    /// Puts a segment in its own place that ends at an offset, or where its frames end, and
    /// there has notes. The log goes on with position `next`.
    fn end(&self, first: u64, at: Option<u64>, next: u64, notes: &[Note]) -> Result<(), OpenError> {
        let name = segment::name(first);
        let file = self.storage.open(&name);
        let file = file.map_err(OpenError::io("opening", &name))?;
        let label = read_label(&*file, Kind::Segment, &name)?;
        let segment = Segment::new(&label, file);
        let at = match at {
            Some(at) => at,
            None => {
                let from = Frontier::after(None, &segment);
                Scan::new(&segment, from, &mut Notes::default())?.run()?.at
            }
        };
        self.write_end(&segment, at, next, notes)
            .map_err(OpenError::io("cutting", &name))
    }

    fn write_end(
        &self,
        segment: &Segment,
        end: u64,
        next: u64,
        notes: &[Note],
    ) -> std::io::Result<()> {
        let made = Unpublished::create(self.storage, &segment.name)?;
        let mut at = 0;
        while at < end {
            let count = in_memory(CHUNK_BYTES.min(end - at)).map_err(std::io::Error::other)?;
            let mut bytes = vec![0; count];
            segment.file.read_at(&mut bytes, at)?;
            made.file.write_at(&bytes, at)?;
            at += u64_of(count);
        }
        let mut frame = FrameBuffer::default();
        for notes in notes.chunks(FRAME_NOTES) {
            frame.clear();
            notes.iter().for_each(|note| frame.push_note(note));
            let bytes = frame.finish(next, at, segment.seed);
            made.file.write_at(bytes, at)?;
            at += u64_of(bytes.len());
        }
        made.publish()?;
        self.storage.sync()
    }
}
