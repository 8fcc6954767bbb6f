use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use eventwire_store::{StreamName, Version};

use crate::engine::INDEXES;
use crate::error::OpenError;
use crate::format::{Kind, Label, snapshot_name, u64_of};
use crate::identity::{self, IDENTITY, UNFINISHED_BACKUP, read_label};
use crate::index::{self, FileIndex, PageCache, Remainder, remainder_name};
use crate::notes::Notes;
use crate::number;
use crate::parts::{Parts, is_part};
use crate::repair;
use crate::report::{Break, Finding, Meaning, Progress, Report};
use crate::scan::{End, Frontier, Scan};
use crate::segment::{self, Segment};
use crate::shown::SHOWN;
use crate::snapshots;
use crate::storage::{Disk, Storage, UNFINISHED};

/// Looks at every byte of a store, and changes none.
pub(crate) struct Inspection<'a> {
    storage: &'a dyn Storage,
    on_progress: &'a mut dyn FnMut(Progress),
    report: Report,
    identity: Option<Label>,
    /// Segments whose labels are good.
    segments: Vec<Arc<Segment>>,
    /// What is kept of segments that are gone.
    remainders: Vec<Arc<Remainder>>,
    /// The last version of each stream, as far as it is known.
    versions: HashMap<StreamName, u64>,
    /// The position of the event that comes next.
    next: u64,
    progress: Progress,
}

/// Inspects the store that is on a storage.
///
/// # Errors
/// Of listing it, and of the files beside the log. What cannot be read of the log is a finding.
pub(crate) fn inspect(
    storage: &dyn Storage,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Report, OpenError> {
    let mut inspection = Inspection {
        storage,
        on_progress,
        report: Report::default(),
        identity: None,
        segments: Vec::new(),
        remainders: Vec::new(),
        versions: HashMap::new(),
        next: 1,
        progress: Progress { bytes: 0, of: 0 },
    };
    inspection.run()?;
    Ok(inspection.report)
}

impl Inspection<'_> {
    fn run(&mut self) -> Result<(), OpenError> {
        let names = list(self.storage, ".")?;
        let indexes = directory(self.storage, INDEXES)?;
        let snapshots = directory(self.storage, snapshots::DIRECTORY)?;
        let index_names = list(&*indexes, INDEXES)?;
        let snapshot_names = list(&*snapshots, snapshots::DIRECTORY)?;
        let mut parts = Parts::of(&names);
        self.progress.of = bytes_of(
            self.storage,
            parts.segments.iter().map(|&first| segment::name(first)),
        ) + bytes_of(&*indexes, index_names.iter().cloned())
            + bytes_of(&*snapshots, snapshot_names.iter().cloned());

        self.look_at_identity(&names, &parts.segments);
        self.look_at_remainders(&parts.remainders);
        self.report.log_begins_at = self.next;
        for first in parts.take_departed(self.next) {
            let what = "its events were dropped, and what must stay of it is kept";
            let finding = Finding::new(segment::name(first), 0, what, Meaning::Unfinished);
            self.find(finding);
        }
        self.look_at_log(&parts.segments)?;
        self.look_at_indexes(&*indexes, index_names)?;
        self.look_at_snapshots(&*snapshots, snapshot_names)?;
        self.look_at_others(names);
        self.report.segments = parts.segments.len();
        self.report.streams = self.versions.len();
        self.report.bytes = self.progress.bytes;
        Ok(())
    }

    fn look_at_identity(&mut self, names: &[String], firsts: &[u64]) {
        let found = match names.iter().any(|name| name == IDENTITY) {
            true => identity::read(self.storage),
            false => {
                let what = match names.iter().any(|name| name == UNFINISHED_BACKUP) {
                    true => "there is no such file, but a backup that was not finished",
                    false => "there is no such file",
                };
                self.find(Finding::new(IDENTITY, 0, what, Meaning::Identity));
                self.identity = identity::of_segments(self.storage, firsts);
                return;
            }
        };
        match found {
            Ok(label) => {
                self.report.store = Some(label.store);
                self.report.epoch = Some(label.epoch);
                self.identity = Some(label);
            }
            Err(error) => {
                self.find(finding(IDENTITY, error, Meaning::Identity));
                self.identity = identity::of_segments(self.storage, firsts);
            }
        }
    }

    /// Each must begin where the one before it ends; one that begins earlier was merged into it.
    fn look_at_remainders(&mut self, firsts: &[u64]) {
        let Some(identity) = self.identity else {
            return;
        };
        let cache = Arc::new(PageCache::default());
        for &first in firsts {
            let name = remainder_name(first);
            let remainder = Remainder::open(self.storage, &identity, first, &cache);
            match remainder {
                _ if first < self.next => {
                    let what = "it was merged into the one before it";
                    self.find(Finding::new(name, 0, what, Meaning::Unfinished));
                }
                Err(error) => self.find(finding(&name, error, Meaning::Remainder)),
                Ok(remainder) => {
                    if first > self.next {
                        let what = format!("position {} comes next", self.next);
                        self.find(Finding::new(&name, 0, what, Meaning::Remainder));
                    }
                    if !remainder.is_whole() {
                        let what = "a page of it is not as it was written";
                        self.find(Finding::new(&name, 0, what, Meaning::Remainder));
                    }
                    self.next = remainder.last() + 1;
                    self.remainders.push(Arc::new(remainder));
                }
            }
        }
    }

    /// The last version a stream had in segments that are gone.
    fn version_of_the_gone(&self, stream: &StreamName) -> u64 {
        let mut remainders = self.remainders.iter().rev();
        let version = remainders.find_map(|remainder| remainder.version(stream).ok().flatten());
        version.map_or(0, Version::get)
    }

    fn look_at_log(&mut self, firsts: &[u64]) -> Result<(), OpenError> {
        if firsts.is_empty() {
            let what = "there is no such file, and so no log";
            let next = self.next;
            let finding = Finding::new(segment::name(next), 0, what, Meaning::Damage);
            self.lose(finding, next, 0, next, None);
        }
        let mut notes = Notes::of(&self.remainders, &[]).unwrap_or_default();
        for (number, &first) in firsts.iter().enumerate() {
            let following = firsts.get(number + 1).copied();
            self.refuse_gap(first);
            let before = self.progress.bytes;
            match self.open_segment(first) {
                Ok(segment) => {
                    self.look_at_segment(&segment, following, &mut notes)?;
                    let length = segment.file.length().unwrap_or_default();
                    self.done_to(before + length);
                    self.segments.push(segment);
                }
                Err(found) => {
                    let last = following.map(|following| following - 1);
                    self.lose(found, first, 0, first, last);
                    self.next = following.unwrap_or(first);
                }
            }
        }
        Ok(())
    }

    /// Events between the segment before and this one may be missing, or there twice.
    fn refuse_gap(&mut self, first: u64) {
        if first == self.next {
            return;
        }
        let expected = self.next;
        let what = format!("it begins with position {first}, but position {expected} comes next");
        let name = segment::name(first);
        let finding = Finding::new(&name, 0, what, Meaning::Damage);
        let missing = (first > expected).then(|| first - 1);
        self.lose(finding, first, 0, expected, missing);
        self.next = first;
    }

    fn open_segment(&self, first: u64) -> Result<Arc<Segment>, Finding> {
        let name = segment::name(first);
        let file = self
            .storage
            .open(&name)
            .map_err(OpenError::io("opening", &name));
        let file = file.map_err(|error| finding(&name, error, Meaning::Damage))?;
        let label = read_label(&*file, Kind::Segment, &name);
        let label = label.map_err(|error| finding(&name, error, Meaning::Damage))?;
        let is_ours = |identity: Label| (label.store, label.first) == (identity.store, first);
        if self.identity.is_some_and(is_ours) {
            return Ok(Arc::new(Segment::new(&label, file)));
        }
        let what = "its label is of another store or another place in the log";
        Err(Finding::new(&name, 0, what, Meaning::Damage))
    }

    /// Looks at every frame; the next segment begins with position `following`.
    fn look_at_segment(
        &mut self,
        segment: &Arc<Segment>,
        following: Option<u64>,
        notes: &mut Notes,
    ) -> Result<(), OpenError> {
        let begun_at = self.progress.bytes;
        let mut scan = Scan::new(segment, Frontier::after(None, segment), notes)?;
        loop {
            let at = scan.at();
            let position = self.next;
            match scan.step() {
                Ok(None) => {
                    self.next = scan.index().last() + 1;
                    self.done_to(begun_at + scan.at());
                }
                Ok(Some(End::Clean)) => break,
                Ok(Some(End::Torn { at, bytes })) => {
                    self.take_in(&scan, position);
                    self.find_torn(segment, at, bytes, following);
                    return Ok(());
                }
                Err(error) => {
                    let can_go_on = matches!(error, OpenError::Damaged(_));
                    let found = finding(&segment.name, error, Meaning::Damage);
                    self.take_in(&scan, position);
                    let resumed = if can_go_on {
                        scan.resume(position)
                    } else {
                        Ok(None)
                    };
                    let resumed = resumed.unwrap_or(None);
                    let last = resumed.or(following).map(|next| next - 1);
                    self.lose(found, segment.first, at, position, last);
                    match resumed {
                        Some(next) => self.next = next,
                        None => {
                            self.next = following.unwrap_or(position);
                            return Ok(());
                        }
                    }
                }
            }
        }
        self.take_in(&scan, self.next);
        Ok(())
    }

    /// Only the last commit of the log can be unfinished, and only one that no index has: an
    /// index is of what was durable.
    fn find_torn(&mut self, segment: &Arc<Segment>, at: u64, bytes: u64, following: Option<u64>) {
        let what = format!("a commit of {bytes} bytes is incomplete");
        let what = match following {
            Some(_) => format!("{what}, but there is a later segment"),
            None if self.is_indexed(segment, at) => format!("{what}, but it is in an index"),
            None => return self.find(Finding::new(&segment.name, at, what, Meaning::Torn)),
        };
        let found = Finding::new(&segment.name, at, what, Meaning::Damage);
        let last = following.map(|following| following - 1);
        self.lose(found, segment.first, at, self.next, last);
        self.next = following.unwrap_or(self.next);
    }

    /// Whether an index has the frame of a segment that begins at a place.
    fn is_indexed(&self, segment: &Arc<Segment>, at: u64) -> bool {
        let Ok(indexes) = self.storage.directory(INDEXES) else {
            return false;
        };
        let cache = Arc::new(PageCache::default());
        let names = indexes.list().unwrap_or_default();
        let firsts = names.iter().filter_map(|name| index::first_in(name));
        let mut of_segment = firsts.filter(|&first| first >= segment.first);
        of_segment.any(|first| {
            let found = FileIndex::open(&*indexes, segment, first, &cache);
            found.is_some_and(|index| index.end() > at)
        })
    }

    /// Takes the streams of what was scanned into account, up to a position.
    fn take_in(&mut self, scan: &Scan<'_>, to: u64) {
        let index = scan.index();
        if self.report.first_damage.is_none() {
            self.report.stubs.take_in(index, to);
        }
        let events = to.saturating_sub(index.first());
        self.report.events += events;
        if events > 0 {
            self.report.head = number::position(to - 1);
        }
        let mut found = Vec::new();
        for (stream, before, count) in index.stretches() {
            let last = before + u64::try_from(count).expect("a length fits 64 bits");
            let known = self.versions.get(stream).copied();
            let known = known.unwrap_or_else(|| self.version_of_the_gone(stream));
            // Behind damage nobody can say what is missing.
            let follows = match self.report.first_damage {
                None => known == before,
                Some(_) => known <= before,
            };
            if !follows {
                found.push(format!(
                    "stream {stream} goes on after version {before}, but has {known} events before"
                ));
            }
            self.versions.insert(stream.clone(), last);
        }
        for what in found {
            let name = segment::name(scan.segment().first);
            let found = Finding::new(name, scan.at(), what, Meaning::Damage);
            self.lose(found, scan.segment().first, 0, index.first(), Some(to - 1));
        }
    }

    fn look_at_indexes(
        &mut self,
        indexes: &dyn Storage,
        mut names: Vec<String>,
    ) -> Result<(), OpenError> {
        names.sort_unstable();
        for name in names {
            let file = format!("{INDEXES}/{name}");
            let length = length_of(indexes, &name);
            let what = match index::first_in(&name) {
                Some(first) => self.what_is_wrong_with_index(indexes, first),
                None => {
                    self.find_other(&file, name.strip_suffix(UNFINISHED).is_some());
                    None
                }
            };
            if let Some(what) = what {
                self.find(Finding::new(file, 0, what, Meaning::Index));
            }
            self.done_to(self.progress.bytes + length);
        }
        Ok(())
    }

    fn what_is_wrong_with_index(&self, indexes: &dyn Storage, first: u64) -> Option<&'static str> {
        let number = self
            .segments
            .partition_point(|segment| segment.first <= first);
        let Some(segment) = number.checked_sub(1).map(|number| &self.segments[number]) else {
            return Some("there is no segment it could be of");
        };
        let cache = Arc::new(PageCache::default());
        match FileIndex::open(indexes, segment, first, &cache) {
            None => Some("it does not belong to what its segment holds"),
            Some(index) if !index.is_whole() => Some("a page of it is not as it was written"),
            Some(_) => None,
        }
    }

    fn look_at_snapshots(
        &mut self,
        snapshots: &dyn Storage,
        mut names: Vec<String>,
    ) -> Result<(), OpenError> {
        names.sort_unstable();
        for name in names {
            let file = format!("{}/{name}", snapshots::DIRECTORY);
            if name == snapshots::UNFINISHED {
                self.find_other(&file, true);
            } else if name.ends_with(".snapshot") {
                let bytes = snapshots
                    .open(&name)
                    .and_then(|file| snapshots::read_all(&*file));
                let bytes = bytes.map_err(OpenError::io("reading", &file))?;
                self.look_at_snapshot(&name, file, &bytes);
                self.done_to(self.progress.bytes + u64_of(bytes.len()));
            } else {
                self.find_other(&file, false);
            }
        }
        Ok(())
    }

    fn look_at_snapshot(&mut self, name: &str, file: String, bytes: &Bytes) {
        let Some(identity) = self.identity else {
            return;
        };
        let label = Label {
            kind: Kind::Snapshot,
            ..identity
        };
        match snapshot_name(&label, bytes) {
            Some(found) if snapshots::file_name(&found) == name => {}
            Some(_) => {
                let what = "it is of a name that belongs into another file";
                self.find(Finding::new(file, 0, what, Meaning::Snapshot));
            }
            None => {
                let what = "it is not as it was written, or of another life of the log";
                self.find(Finding::new(file, 0, what, Meaning::Snapshot));
            }
        }
    }

    fn look_at_others(&mut self, mut names: Vec<String>) {
        const DIRECTORIES: [&str; 2] = [INDEXES, snapshots::DIRECTORY];
        names.sort_unstable();
        let is_store = names.iter().any(|name| name == IDENTITY);
        for name in names {
            let is_ours = |name: &str| name == IDENTITY || is_part(name);
            if name == UNFINISHED_BACKUP && is_store {
                let what = "it marks what was not finished, and the store is";
                self.find(Finding::new(name, 0, what, Meaning::Unfinished));
                continue;
            }
            let is_known = is_ours(&name)
                || DIRECTORIES.contains(&name.as_str())
                || name == Disk::LOCK
                || name == UNFINISHED_BACKUP
                || name == SHOWN
                || repair::is_salvage(&name);
            if !is_known {
                let made = name.strip_suffix(UNFINISHED);
                self.find_other(&name, made.is_some_and(is_ours));
            }
        }
    }

    fn find_other(&mut self, file: &str, is_unfinished: bool) {
        let (what, meaning) = match is_unfinished {
            true => ("it was being made", Meaning::Unfinished),
            false => ("it is of no kind that is known", Meaning::Unknown),
        };
        self.find(Finding::new(file, 0, what, meaning));
    }

    fn find(&mut self, finding: Finding) {
        self.report.findings.push(finding);
    }

    /// Notes that events are lost, from `position` on, in a segment from `offset` on.
    fn lose(
        &mut self,
        found: Finding,
        segment: u64,
        offset: u64,
        position: u64,
        last: Option<u64>,
    ) {
        let lost = Break {
            segment,
            offset,
            position,
        };
        self.report.first_damage.get_or_insert(lost);
        self.find(Finding {
            first: Some(number::position(position)),
            last: last.map(number::position),
            ..found
        });
    }

    fn done_to(&mut self, bytes: u64) {
        self.progress.bytes = bytes;
        self.progress.of = self.progress.of.max(bytes);
        (self.on_progress)(self.progress);
    }
}

/// What an error says about a file, as a finding.
fn finding(file: &str, error: OpenError, meaning: Meaning) -> Finding {
    match error {
        OpenError::Damaged(damage) => {
            Finding::new(damage.file(), damage.offset(), damage.what(), meaning)
        }
        OpenError::UnknownVersion { file, version } => {
            let what = format!("it has format version {version}");
            Finding::new(file, 0, what, Meaning::Version)
        }
        OpenError::Io { source, .. } => {
            let what = format!("it cannot be read: {source}");
            Finding::new(file, 0, what, meaning)
        }
        error @ OpenError::Locked { .. } => Finding::new(file, 0, error, meaning),
    }
}

fn list(storage: &dyn Storage, name: &str) -> Result<Vec<String>, OpenError> {
    storage.list().map_err(OpenError::io("listing", name))
}

fn directory(storage: &dyn Storage, name: &str) -> Result<Arc<dyn Storage>, OpenError> {
    storage
        .directory(name)
        .map_err(OpenError::io("opening", name))
}

fn bytes_of(storage: &dyn Storage, names: impl Iterator<Item = String>) -> u64 {
    names.map(|name| length_of(storage, &name)).sum()
}

fn length_of(storage: &dyn Storage, name: &str) -> u64 {
    let length = storage.open(name).and_then(|file| file.length());
    length.unwrap_or_default()
}
