mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::io::Errno;

use super::{Storage, StorageFile};
use file::File;

/// How seldom the system does something of its own accord: in one operation of so many.
const SELDOM: u8 = 8;

/// A medium in memory that loses power, and says no.
///
/// What a program is shown and what is durable are kept apart.
///
/// * A sync of a file makes its bytes and its length durable, and no name.
/// * A sync of a directory makes its own names durable, and none of those in directories within
///   it. A directory is a name in the one that holds it, and takes what is in it along.
/// * A sync that fails drops what it did not write: the program goes on seeing bytes that nothing
///   will ever write, until the system gives their memory away and reads the old ones again.
/// * The system makes sectors and names durable whenever it likes, so what is overwritten before
///   it is synced may be what survives.
/// * A power cut spares any of the sectors that were not synced, any length on the way from the
///   durable one to the last, and of the names either the first so many changes, as a journal has
///   it, or any of them, which is less than any journal promises.
#[derive(Debug, Clone)]
pub(crate) struct Simulated {
    medium: Arc<Mutex<Medium>>,
    /// What the names of this directory's files begin with on the medium.
    prefix: String,
}

#[derive(Debug, Clone, Default)]
struct Medium {
    files: Vec<File>,
    names: Names,
    durable_names: Names,
    /// What makes of the durable names those that are shown, in order.
    renamed: Vec<Renamed>,
    operations: u64,
    fault: Option<(u64, Fault)>,
    lack: Option<Lack>,
    is_off: bool,
    random: fastrand::Rng,
    /// Whether the system does something of its own accord at all.
    is_busy: bool,
}

/// The file of each name, by its whole path; that of a directory ends with a slash.
type Names = BTreeMap<String, usize>;

/// A name that was made, taken away, or both.
#[derive(Debug, Clone)]
struct Renamed {
    /// The directory it happened in: what its names begin with.
    directory: String,
    from: Option<String>,
    to: Option<(String, usize)>,
}

/// What a power cut spares of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spares {
    Nothing,
    Everything,
    /// Any of it; the number decides, beside the seed.
    Some(u64),
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The power fails while the operation is under way.
    PowerCut,
    /// The process ends while the operation is under way; the system lives on.
    Kill,
    /// The operation fails, once.
    Error(io::ErrorKind),
    /// Just before the operation, which then goes well, the system gives the memory away in which
    /// it had what a sync failed to write.
    Forgetting,
}

/// What a medium has no more of, until it has again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lack {
    /// No file gets longer.
    Room,
    /// No file is opened, and none is made.
    Descriptors,
}

impl Simulated {
    /// An empty medium. The seed decides what a power cut spares.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let medium = Medium {
            is_busy: random.bool(),
            random,
            ..Medium::default()
        };
        Self {
            medium: Arc::new(Mutex::new(medium)),
            prefix: String::new(),
        }
    }

    /// Lets something go wrong at an operation, counted from now on and from zero.
    pub(crate) fn fail_at(&self, operation: u64, fault: Fault) {
        let mut medium = self.lock();
        medium.fault = Some((medium.operations + operation, fault));
    }

    /// Lets something run out, or be there again.
    pub(crate) fn set_lack(&self, lack: Option<Lack>) {
        self.lock().lack = lack;
    }

    /// Whether what was to go wrong has gone wrong.
    pub(crate) fn has_failed(&self) -> bool {
        let medium = self.lock();
        medium.fault.is_some_and(|(at, _)| at < medium.operations)
    }

    /// Operations so far.
    pub(crate) fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// The same medium after the power was cut, or had been: what was not synced is there or
    /// not, sector by sector and name by name.
    pub(crate) fn after_power_cut(&self) -> Self {
        self.after_power_cut_that(Spares::Some(0))
    }

    /// As [`after_power_cut`](Self::after_power_cut).
    pub(crate) fn after_power_cut_that(&self, spares: Spares) -> Self {
        let mut medium = self.lock().clone();
        match spares {
            Spares::Nothing => medium.renamed.clear(),
            Spares::Everything => {
                medium.files.iter_mut().for_each(File::sync);
                medium.commit_names(|_| true);
            }
            Spares::Some(number) => {
                let Medium { files, random, .. } = &mut medium;
                *random = fastrand::Rng::with_seed(random.u64(..) ^ number);
                files
                    .iter_mut()
                    .for_each(|file| file.write_back_some(random));
                medium.spare_some_names();
            }
        }
        medium.files.iter_mut().for_each(File::lose_power);
        medium.lose_directories();
        medium.is_off = false;
        medium.fault = None;
        Self {
            medium: Arc::new(Mutex::new(medium)),
            prefix: String::new(),
        }
    }

    /// The same medium after the process ended: what was written is shown, durable or not.
    pub(crate) fn after_kill(&self) -> Self {
        let mut medium = self.lock().clone();
        medium.is_off = false;
        medium.fault = None;
        Self {
            medium: Arc::new(Mutex::new(medium)),
            prefix: String::new(),
        }
    }

    /// A directory within this one, without an operation.
    pub(crate) fn within(&self, name: &str) -> Self {
        Self {
            prefix: format!("{}{name}/", self.prefix),
            ..self.clone()
        }
    }

    /// The bytes of a file.
    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        let medium = self.lock();
        medium.files[medium.names[&self.path(name)]].shown.clone()
    }

    /// Changes the bytes of a file behind the store's back.
    pub(crate) fn tamper(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut medium = self.lock();
        let file = medium.names[&self.path(name)];
        let file = &mut medium.files[file];
        change(&mut file.shown);
        file.durable.clone_from(&file.shown);
    }

    /// A medium with the same bytes, on which nothing else depends.
    pub(crate) fn copy(&self) -> Self {
        self.after_kill()
    }

    fn lock(&self) -> MutexGuard<'_, Medium> {
        self.medium.lock().unwrap()
    }

    /// Counts an operation; says what goes wrong in it.
    fn begin(&self) -> io::Result<(MutexGuard<'_, Medium>, Option<Fault>)> {
        let mut medium = self.lock();
        if medium.is_off {
            return Err(io::Error::other("the power is off"));
        }
        medium.act_unasked();
        let now = medium.operations;
        medium.operations += 1;
        let fault = medium
            .fault
            .filter(|(at, _)| *at == now)
            .map(|(_, fault)| fault);
        medium.is_off = matches!(fault, Some(Fault::PowerCut | Fault::Kill));
        if fault == Some(Fault::Forgetting) {
            medium
                .files
                .iter_mut()
                .for_each(|file| file.reread(|| true));
        }
        Ok((medium, fault))
    }

    /// An operation that happens wholly or not at all.
    fn atomically<T>(&self, operation: impl FnOnce(&mut Medium) -> io::Result<T>) -> io::Result<T> {
        let (mut medium, fault) = self.begin()?;
        match fault {
            None | Some(Fault::Forgetting) => operation(&mut medium),
            Some(Fault::Error(kind)) => Err(kind.into()),
            Some(Fault::PowerCut | Fault::Kill) => {
                if medium.random.bool() {
                    drop(operation(&mut medium));
                }
                Err(io::Error::other("the power is off"))
            }
        }
    }

    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn open_inode(&self, inode: usize) -> Arc<dyn StorageFile> {
        Arc::new(SimulatedFile {
            storage: self.clone(),
            inode,
        })
    }
}

impl Medium {
    fn refuse(&self, lacks: &[Lack]) -> io::Result<()> {
        match self.lack.filter(|lack| lacks.contains(lack)) {
            None => Ok(()),
            Some(Lack::Room) => Err(Errno::NOSPC.into()),
            Some(Lack::Descriptors) => Err(Errno::MFILE.into()),
        }
    }

    fn inode(&self, name: &str) -> io::Result<usize> {
        self.names
            .get(name)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn new_inode(&mut self) -> usize {
        self.files.push(File::default());
        self.files.len() - 1
    }

    fn rename(&mut self, renamed: Renamed) {
        renamed.apply(&mut self.names);
        self.renamed.push(renamed);
    }

    fn sync_names(&mut self, directory: &str) {
        for renamed in std::mem::take(&mut self.renamed) {
            if renamed.directory == directory {
                renamed.apply(&mut self.durable_names);
            } else {
                self.renamed.push(renamed);
            }
        }
    }

    /// Writes back, commits names and gives memory away, now and then.
    fn act_unasked(&mut self) {
        if !self.is_busy || self.random.u8(..SELDOM) > 0 || self.files.is_empty() {
            return;
        }
        let Self { files, random, .. } = self;
        let file = random.usize(..files.len());
        files[file].write_back_some(random);
        files[file].reread(|| random.bool());
        let committed = random.usize(..=self.renamed.len());
        for renamed in self.renamed.drain(..committed) {
            renamed.apply(&mut self.durable_names);
        }
    }

    /// Makes those changes of names durable of which `is_kept` says so, by their numbers; the
    /// others never were.
    fn commit_names(&mut self, mut is_kept: impl FnMut(usize) -> bool) {
        for (number, renamed) in std::mem::take(&mut self.renamed).into_iter().enumerate() {
            if is_kept(number) {
                renamed.apply(&mut self.durable_names);
            }
        }
    }

    fn spare_some_names(&mut self) {
        let mut random = self.random.fork();
        let first = random.usize(..=self.renamed.len());
        if random.bool() {
            self.commit_names(|number| number < first);
        } else {
            self.commit_names(|_| random.bool());
        }
    }

    /// What is in a directory that is gone is gone.
    fn lose_directories(&mut self) {
        let directories: BTreeSet<_> = self.durable_names.keys().cloned().collect();
        self.durable_names.retain(|name, _| {
            let within = name.trim_end_matches('/').rfind('/');
            within.is_none_or(|slash| directories.contains(&name[..=slash]))
        });
        self.names = self.durable_names.clone();
    }
}

impl Renamed {
    fn apply(&self, names: &mut Names) {
        if let Some(from) = &self.from {
            names.remove(from);
        }
        if let Some((to, inode)) = &self.to {
            names.insert(to.clone(), *inode);
        }
    }
}

impl Storage for Simulated {
    fn list(&self) -> io::Result<Vec<String>> {
        self.atomically(|medium| {
            let names = medium.names.keys();
            let own = names.filter_map(|name| name.strip_prefix(&self.prefix));
            Ok(own
                .filter(|name| !name.is_empty() && !name.contains('/'))
                .map(str::to_owned)
                .collect())
        })
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let inode = self.atomically(|medium| {
            medium.refuse(&[Lack::Descriptors])?;
            medium.inode(&self.path(name))
        })?;
        Ok(self.open_inode(inode))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let inode = self.atomically(|medium| {
            medium.refuse(&[Lack::Descriptors])?;
            let inode = medium.new_inode();
            medium.rename(Renamed {
                directory: self.prefix.clone(),
                from: None,
                to: Some((self.path(name), inode)),
            });
            Ok(inode)
        })?;
        Ok(self.open_inode(inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.atomically(|medium| {
            let inode = medium.inode(&self.path(from))?;
            medium.rename(Renamed {
                directory: self.prefix.clone(),
                from: Some(self.path(from)),
                to: Some((self.path(to), inode)),
            });
            Ok(())
        })
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        self.atomically(|medium| {
            let inode = medium.inode(&self.path(from))?;
            let to = self.path(to);
            let directory = to.rfind('/').map_or(0, |slash| slash + 1);
            medium.rename(Renamed {
                directory: to[..directory].to_owned(),
                from: None,
                to: Some((to, inode)),
            });
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.atomically(|medium| {
            medium.inode(&self.path(name))?;
            medium.rename(Renamed {
                directory: self.prefix.clone(),
                from: Some(self.path(name)),
                to: None,
            });
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.atomically(|medium| {
            medium.sync_names(&self.prefix);
            Ok(())
        })
    }

    fn directory(&self, name: &str) -> io::Result<Arc<dyn Storage>> {
        let directory = self.within(name);
        self.atomically(|medium| {
            if !medium.names.contains_key(&directory.prefix) {
                let inode = medium.new_inode();
                medium.rename(Renamed {
                    directory: self.prefix.clone(),
                    from: None,
                    to: Some((directory.prefix.clone(), inode)),
                });
            }
            Ok(())
        })?;
        Ok(Arc::new(directory))
    }
}

#[derive(Debug)]
struct SimulatedFile {
    storage: Simulated,
    inode: usize,
}

impl StorageFile for SimulatedFile {
    fn length(&self) -> io::Result<u64> {
        self.storage
            .atomically(|medium| Ok(medium.files[self.inode].shown.len().try_into().unwrap()))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        self.storage.atomically(|medium| {
            let bytes = medium.files[self.inode]
                .shown
                .get(offset..offset + buffer.len())
                .ok_or(io::ErrorKind::UnexpectedEof)?;
            buffer.copy_from_slice(bytes);
            Ok(())
        })
    }

    /// Waits for every other place: half of it is never in memory.
    fn read_ready(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        let is_ready = (offset / 8).is_multiple_of(2);
        if is_ready {
            self.read_at(buffer, offset)?;
        }
        Ok(is_ready)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        let (mut medium, fault) = self.storage.begin()?;
        if offset + bytes.len() > medium.files[self.inode].shown.len() {
            medium.refuse(&[Lack::Room])?;
        }
        let Medium { files, random, .. } = &mut *medium;
        let file = &mut files[self.inode];
        let written = match fault {
            None | Some(Fault::PowerCut | Fault::Forgetting) => bytes.len(),
            Some(Fault::Kill | Fault::Error(_)) => random.usize(..=bytes.len()),
        };
        file.write(&bytes[..written], offset);
        match fault {
            None | Some(Fault::Forgetting) => Ok(()),
            Some(Fault::Error(kind)) => Err(kind.into()),
            Some(Fault::PowerCut | Fault::Kill) => Err(io::Error::other("the power is off")),
        }
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).unwrap();
        self.storage.atomically(|medium| {
            medium.files[self.inode].set_length(length);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        let (mut medium, fault) = self.storage.begin()?;
        let Medium { files, random, .. } = &mut *medium;
        let file = &mut files[self.inode];
        match fault {
            None | Some(Fault::Forgetting) => {
                file.sync();
                Ok(())
            }
            Some(Fault::Error(kind)) => {
                file.sync_in_vain(random);
                Err(kind.into())
            }
            // Nothing is lost but what the cut itself takes.
            Some(Fault::PowerCut | Fault::Kill) => Err(io::Error::other("the power is off")),
        }
    }
}
