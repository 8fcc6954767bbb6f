use std::io;
use std::path::Path;
use std::time::Duration;

/// What has changed in a directory.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Which names there are, or what has them.
    pub(crate) names: bool,
}

#[cfg(target_os = "linux")]
pub(crate) use linux::Watch;

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::Watch;

#[cfg(target_os = "linux")]
mod linux {
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;
    use std::path::PathBuf;

    use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
    use rustix::io::Errno;

    use super::{Duration, Path, Seen, io};

    /// Waits until something is written to a file of a directory, or a name in it comes, goes or
    /// changes hands.
    #[derive(Debug)]
    pub(crate) struct Watch {
        changes: OwnedFd,
        woken: OwnedFd,
        file: PathBuf,
    }

    impl Watch {
        /// Watches from now on. The file need not be there.
        pub(crate) fn of(directory: &Path, file: &str) -> io::Result<Self> {
            // It is looked up again later, wherever the process is then.
            let directory = directory.canonicalize()?;
            let changes = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
            let names = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE;
            inotify::add_watch(&changes, &directory, names | WatchFlags::ONLYDIR)?;
            let watch = Self {
                changes,
                woken: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
                file: directory.join(file),
            };
            watch.watch_file()?;
            Ok(watch)
        }

        /// Watches what has the name of the file now. Nothing changes where that is watched.
        fn watch_file(&self) -> io::Result<()> {
            match inotify::add_watch(&self.changes, &self.file, WatchFlags::MODIFY) {
                Err(Errno::NOENT) | Ok(_) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }

        /// Waits for the next change, for `wake`, or for so long.
        pub(crate) fn wait(&self, at_most: Option<Duration>) -> io::Result<Seen> {
            let at_most = at_most.map(Timespec::try_from);
            let at_most = at_most.transpose().map_err(io::Error::other)?;
            let mut ready = [&self.changes, &self.woken].map(|it| PollFd::new(it, PollFlags::IN));
            match poll(&mut ready, at_most.as_ref()) {
                Ok(_) | Err(Errno::INTR) => self.take(),
                Err(error) => Err(error.into()),
            }
        }

        /// Takes what has changed, all at once.
        fn take(&self) -> io::Result<Seen> {
            let mut seen = Seen::default();
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut events = Reader::new(&self.changes, &mut buffer);
            loop {
                match events.next() {
                    Ok(event) => seen.names |= event.events() != ReadFlags::MODIFY,
                    Err(Errno::AGAIN) => break,
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if seen.names {
                self.watch_file()?;
            }
            Ok(seen)
        }

        /// Ends all waiting, now and from now on.
        pub(crate) fn wake(&self) {
            // It can only say that it was said often before.
            rustix::io::write(&self.woken, &1_u64.to_ne_bytes()).ok();
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::{Duration, Path, Seen, io};

    /// There is none.
    #[derive(Debug)]
    pub(crate) enum Watch {}

    impl Watch {
        pub(crate) fn of(_: &Path, _: &str) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(crate) fn wait(&self, _: Option<Duration>) -> io::Result<Seen> {
            match *self {}
        }

        pub(crate) fn wake(&self) {
            match *self {}
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::io::Write;
    use std::os::unix::fs::FileExt;

    /// Without a limit: what is not seen is waited for, for ever.
    fn wait(watch: &Watch) -> Seen {
        watch.wait(None).expect("the system tells of changes")
    }

    #[test]
    fn what_changes_is_seen_whether_it_is_waited_for_or_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("SHOWN");
        let watch = Watch::of(directory.path(), "SHOWN").unwrap();
        let none = watch.wait(Some(Duration::ZERO)).unwrap();
        assert!(!none.names);

        let file = File::create(&path).unwrap();
        assert!(wait(&watch).names);
        file.write_all_at(b"one", 0).unwrap();
        assert!(!wait(&watch).names);
        file.write_all_at(b"two", 0).unwrap();
        file.write_all_at(b"three", 0).unwrap();
        assert!(!wait(&watch).names);
        // It was all there was.
        assert_eq!(watch.wait(Some(Duration::ZERO)).unwrap(), Seen::default());

        let other = directory.path().join("other");
        let mut written = File::create(&other).unwrap();
        assert!(wait(&watch).names);
        written.write_all(b"nobody minds").unwrap();
        assert_eq!(watch.wait(Some(Duration::ZERO)).unwrap(), Seen::default());
        fs::rename(other, &path).unwrap();
        assert!(wait(&watch).names);
        written.write_all(b"it has the name now").unwrap();
        wait(&watch);
        watch.wake();
        wait(&watch);
        wait(&watch);
    }
}
