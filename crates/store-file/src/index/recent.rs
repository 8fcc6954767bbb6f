use std::sync::{Mutex, MutexGuard};

use eventwire_store::{StreamName, Version};

use super::generations::Generations;

/// Streams of a generation. Two of them, with names of some thirty bytes, are 25 MiB.
const GENERATION: usize = 128 << 10;

/// The versions of streams that were written to of late, so that the next append to one need not
/// look for it in files.
///
/// Invariant: what is kept of a stream is not older than what any index in a file says of it.
#[derive(Debug)]
pub(crate) struct RecentVersions {
    versions: Mutex<Generations<StreamName, Version>>,
}

impl Default for RecentVersions {
    fn default() -> Self {
        Self {
            versions: Mutex::new(Generations::of(GENERATION)),
        }
    }
}

impl RecentVersions {
    pub(crate) fn get(&self, stream: &StreamName) -> Option<Version> {
        self.lock().get(stream).copied()
    }

    /// Takes in what an index says that is about to go to a file, after those before it have.
    pub(crate) fn put(&self, versions: impl Iterator<Item = (StreamName, Version)>) {
        let mut versions = versions.peekable();
        while versions.peek().is_some() {
            let mut recent = self.lock();
            for (stream, version) in versions.by_ref().take(LOCKED) {
                recent.put(stream, version);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Generations<StreamName, Version>> {
        self.versions
            .lock()
            .expect("no code panics while it holds the recent versions")
    }
}

/// How many are put in before others have a turn.
const LOCKED: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept_and_none_is_stale() {
        let recent = RecentVersions::default();
        let stream = |number: usize| StreamName::new(format!("room-{number}")).unwrap();
        let version = |number: u64| Version::new(number).unwrap();
        recent.put((0..GENERATION).map(|number| (stream(number), version(1))));
        recent.put([(stream(0), version(2))].into_iter());
        assert_eq!(recent.get(&stream(0)), Some(version(2)));
        assert_eq!(recent.get(&stream(1)), Some(version(1)));
        recent.put((1..GENERATION).map(|number| (stream(number), version(3))));
        recent.put([(stream(0), version(4))].into_iter());
        assert_eq!(recent.get(&stream(0)), Some(version(4)));
        assert_eq!(recent.get(&stream(1)), Some(version(3)));
        recent.put((1..=2 * GENERATION).map(|number| (stream(number), version(5))));
        assert_eq!(recent.get(&stream(0)), None);
    }
}
