use std::sync::Arc;

use crate::error::{Damage, OpenError};
use crate::format::Label;
use crate::index::{PageCache, Remainder, remainder_first_in, remainder_name};
use crate::segment;
use crate::storage::Storage;

/// The files of a log in a directory, by the positions in their names, which rise.
///
/// Not all of them need be parts of the log: who kept what must stay of some may not have lived to
/// remove them.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) segments: Vec<u64>,
    pub(crate) remainders: Vec<u64>,
}

impl Parts {
    /// Those of the files of a directory.
    pub(crate) fn of(names: &[String]) -> Self {
        let firsts = |first_in: fn(&str) -> Option<u64>| {
            let mut firsts: Vec<u64> = names.iter().filter_map(|name| first_in(name)).collect();
            firsts.sort_unstable();
            firsts
        };
        Self {
            segments: firsts(segment::first_in),
            remainders: firsts(remainder_first_in),
        }
    }

    /// Takes out the segments that have departed, where the log begins with position `first`: what
    /// must stay of them is in the remainders.
    pub(crate) fn take_departed(&mut self, first: u64) -> Vec<u64> {
        let departed = self.segments.partition_point(|&it| it < first);
        self.segments.drain(..departed).collect()
    }

    /// Opens the remainders but for those that were merged into one before them.
    ///
    /// # Errors
    /// Where one is damaged, or does not begin where the one before it ends.
    pub(crate) fn open_remainders(
        &self,
        storage: &dyn Storage,
        identity: &Label,
        cache: &Arc<PageCache>,
    ) -> Result<Vec<Arc<Remainder>>, OpenError> {
        let mut remainders: Vec<Arc<Remainder>> = Vec::new();
        for &first in &self.remainders {
            let gone_to = remainders.last().map_or(0, |last| last.last());
            if first > gone_to + 1 {
                let name = remainder_name(first);
                let what =
                    format!("it begins with position {first}, but {gone_to} is the last before");
                return Err(OpenError::Damaged(Damage::new(&name, 0, what)));
            }
            if first == gone_to + 1 {
                let remainder = Remainder::open(storage, identity, first, cache)?;
                remainders.push(Arc::new(remainder));
            }
        }
        Ok(remainders)
    }
}

/// Whether a name is that of a file of a log.
pub(crate) fn is_part(name: &str) -> bool {
    segment::first_in(name).is_some() || remainder_first_in(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_known_by_their_names_and_rise() {
        let mut names = [300, 1, 20].map(segment::name).to_vec();
        names.extend([100, 7].map(remainder_name));
        names.extend(["IDENTITY", "1.log", "00000000000000000001.log.new"].map(str::to_owned));
        let mut parts = Parts::of(&names);
        assert_eq!(parts.segments, [1, 20, 300]);
        assert_eq!(parts.remainders, [7, 100]);
        assert_eq!(names.iter().filter(|name| is_part(name)).count(), 5);
        assert_eq!(parts.take_departed(20), [1]);
        assert_eq!(parts.take_departed(21), [20]);
        assert_eq!(parts.segments, [300]);
    }
}
