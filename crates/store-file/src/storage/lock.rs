use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};

/// A lock on a store's directory, held until it is dropped.
///
/// It is let go of and not only closed: a process that is being made at that moment by another
/// thread has the file too until its program begins, and would hold the lock as long.
#[derive(Debug)]
pub(super) struct Lock(File);

/// Why a directory cannot be had.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another process, or this one, has it open; the number of that process where it is known.
    Held(Option<u32>),
    Io(io::Error),
}

impl From<io::Error> for LockError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Whoever writes to a store holds it, from before the store is locked until a file says what it
/// is to say: that file is locked.
#[derive(Debug)]
pub(crate) struct Unsaid(#[expect(dead_code, reason = "it is held")] Lock);

/// While it is held nobody begins to open the store, and what its file says is what it is to say.
#[derive(Debug)]
pub(crate) struct Said(#[expect(dead_code, reason = "it is held")] Lock);

impl Unsaid {
    /// Waits until nobody else holds it, or relies on the file.
    pub(super) fn of(file: File) -> io::Result<Self> {
        file.lock()?;
        Ok(Self(Lock(file)))
    }
}

impl Said {
    /// Waits until the file says it.
    pub(super) fn of(file: File) -> io::Result<Self> {
        file.lock_shared()?;
        Ok(Self(Lock(file)))
    }
}

impl Lock {
    /// Keeps everyone else out.
    pub(super) fn of_writer(file: File) -> Result<Self, LockError> {
        let locked = file.try_lock();
        let mut lock = Self::new(file, locked)?;
        // For people; the lock is what counts, so this may be stale or missing.
        lock.0.set_len(0)?;
        writeln!(lock.0, "{}", std::process::id())?;
        Ok(lock)
    }

    /// Keeps writers out.
    pub(super) fn of_reader(file: File) -> Result<Self, LockError> {
        let locked = file.try_lock_shared();
        Self::new(file, locked)
    }

    fn new(mut file: File, locked: Result<(), TryLockError>) -> Result<Self, LockError> {
        match locked {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(LockError::Held(holder(&mut file))),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing it does the same, if later.
        drop(self.0.unlock());
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_with_its_holder_whoever_else_has_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("LOCK");
        let file = || {
            let mut options = File::options();
            let options = options.read(true).write(true).create(true);
            options.truncate(false).open(&path).unwrap()
        };
        let lock = Lock::of_writer(file()).unwrap();
        // As a process has it that was made while the lock was held.
        let inherited = lock.0.try_clone().unwrap();
        let held_by =
            |error| matches!(error, LockError::Held(Some(id)) if id == std::process::id());
        assert!(held_by(Lock::of_writer(file()).unwrap_err()));
        assert!(held_by(Lock::of_reader(file()).unwrap_err()));
        drop(lock);
        let reader = Lock::of_reader(file()).unwrap();
        assert!(held_by(Lock::of_writer(file()).unwrap_err()));
        drop(Lock::of_reader(file()).unwrap());
        drop(reader);
        drop(Lock::of_writer(file()).unwrap());
        drop(inherited);
    }
}
