use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Storage, StorageFile};

const SECTOR: usize = 512;

/// A medium in memory that loses power, and says no.
///
/// What a program is shown and what is durable are kept apart. A sync makes durable what was
/// written since the last one, sector by sector. A sync that fails drops it: the program goes
/// on seeing bytes that nothing will ever write, as Linux has it.
#[derive(Debug, Clone)]
pub(crate) struct Simulated {
    medium: Arc<Mutex<Medium>>,
    /// What the names of this directory's files begin with on the medium.
    prefix: String,
}

#[derive(Debug, Clone, Default)]
struct Medium {
    files: Vec<File>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    operations: u64,
    fault: Option<(u64, Fault)>,
    is_off: bool,
    random: fastrand::Rng,
}

/// Invariant: sectors that differ in `shown` and `durable` and are not dirty are lost.
#[derive(Debug, Clone, Default)]
struct File {
    shown: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
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
}

impl Simulated {
    /// An empty medium. The seed decides what a power cut spares.
    pub(crate) fn new(seed: u64) -> Self {
        let medium = Medium {
            random: fastrand::Rng::with_seed(seed),
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
        let mut medium = self.lock().clone();
        let Medium { files, random, .. } = &mut medium;
        files.iter_mut().for_each(|file| file.lose_power(random));
        if random.bool() {
            medium.names = medium.durable_names.clone();
        } else {
            medium.durable_names = medium.names.clone();
        }
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
        let now = medium.operations;
        medium.operations += 1;
        let fault = medium
            .fault
            .filter(|(at, _)| *at == now)
            .map(|(_, fault)| fault);
        medium.is_off = matches!(fault, Some(Fault::PowerCut | Fault::Kill));
        Ok((medium, fault))
    }

    /// An operation that happens wholly or not at all.
    fn atomically<T>(&self, operation: impl FnOnce(&mut Medium) -> io::Result<T>) -> io::Result<T> {
        let (mut medium, fault) = self.begin()?;
        match fault {
            None => operation(&mut medium),
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
    fn inode(&self, name: &str) -> io::Result<usize> {
        self.names
            .get(name)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl File {
    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if end > self.shown.len() {
            self.set_length(end);
        }
        self.shown[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / SECTOR..end.div_ceil(SECTOR));
    }

    fn set_length(&mut self, length: usize) {
        self.dirty.insert(self.shown.len().min(length) / SECTOR);
        self.shown.resize(length, 0);
    }

    fn sync(&mut self) {
        self.durable.resize(self.shown.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            self.write_back(sector);
        }
    }

    /// Some of it reaches the medium, the rest never will.
    fn sync_in_vain(&mut self, random: &mut fastrand::Rng) {
        if random.bool() {
            self.durable.resize(self.shown.len(), 0);
        }
        for sector in std::mem::take(&mut self.dirty) {
            if random.bool() {
                self.write_back(sector);
            }
        }
    }

    fn lose_power(&mut self, random: &mut fastrand::Rng) {
        self.sync_in_vain(random);
        self.shown.clone_from(&self.durable);
    }

    fn write_back(&mut self, sector: usize) {
        let length = self.durable.len().min(self.shown.len());
        let from = (sector * SECTOR).min(length);
        let to = (from + SECTOR).min(length);
        self.durable[from..to].copy_from_slice(&self.shown[from..to]);
    }
}

impl Storage for Simulated {
    fn list(&self) -> io::Result<Vec<String>> {
        self.atomically(|medium| {
            let names = medium.names.keys();
            let own = names.filter_map(|name| name.strip_prefix(&self.prefix));
            Ok(own
                .filter(|name| !name.contains('/'))
                .map(str::to_owned)
                .collect())
        })
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let inode = self.atomically(|medium| medium.inode(&self.path(name)))?;
        Ok(self.open_inode(inode))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let inode = self.atomically(|medium| {
            medium.files.push(File::default());
            let inode = medium.files.len() - 1;
            medium.names.insert(self.path(name), inode);
            Ok(inode)
        })?;
        Ok(self.open_inode(inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.atomically(|medium| {
            let inode = medium.inode(&self.path(from))?;
            medium.names.remove(&self.path(from));
            medium.names.insert(self.path(to), inode);
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.atomically(|medium| {
            medium.inode(&self.path(name))?;
            medium.names.remove(&self.path(name));
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.atomically(|medium| {
            medium.durable_names = medium.names.clone();
            Ok(())
        })
    }

    fn directory(&self, name: &str) -> io::Result<Arc<dyn Storage>> {
        let directory = self.within(name);
        self.atomically(|_| Ok(Arc::new(directory) as Arc<dyn Storage>))
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

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        let (mut medium, fault) = self.storage.begin()?;
        let Medium { files, random, .. } = &mut *medium;
        let file = &mut files[self.inode];
        let written = match fault {
            None | Some(Fault::PowerCut) => bytes.len(),
            Some(Fault::Kill | Fault::Error(_)) => random.usize(..=bytes.len()),
        };
        file.write(&bytes[..written], offset);
        match fault {
            None => Ok(()),
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
            None => {
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
