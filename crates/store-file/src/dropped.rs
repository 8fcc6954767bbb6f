use eventwire_store::{Query, Scope, StreamName};

use crate::format::Trim;
use crate::shortened::{Change, Shortened, ShortenedStreams};

/// What was dropped: the log up to a place, and single streams up to places of their own.
///
/// Only what is durable is in it. A place only moves forward, and a deleted stream stays deleted.
#[derive(Debug, Default)]
pub(crate) struct Dropped {
    log_to: u64,
    /// When that was last changed.
    log: Change,
    streams: ShortenedStreams,
    changes: u64,
}

/// What an index is to learn of the streams that were trimmed.
#[derive(Debug)]
pub(crate) struct News {
    /// How many changes it knows then.
    pub(crate) changes: u64,
    /// Streams, and up to where their events were dropped.
    pub(crate) trims: Vec<(StreamName, u64)>,
}

impl Dropped {
    /// Up to where the log was dropped; zero where it was not.
    pub(crate) fn log_to(&self) -> u64 {
        self.log_to
    }

    /// The number of changes so far. As long as it stays, so does everything here.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Counts its changes as more than another's, whose place it takes: who has begun with that
    /// must not take this for the same.
    pub(crate) fn count_from(&mut self, before: &Self) {
        self.changes += before.changes + 1;
    }

    /// Whether a stream was deleted.
    pub(crate) fn is_deleted(&self, stream: &StreamName) -> bool {
        let shortened = self.streams.get(stream);
        shortened.is_some_and(|shortened| shortened.is_deleted)
    }

    /// How many streams were trimmed further than the log.
    pub(crate) fn trimmed(&self) -> usize {
        let streams = self.streams.iter();
        streams.filter(|(_, it)| it.to > self.log_to).count()
    }

    /// How many streams were deleted.
    pub(crate) fn deleted(&self) -> usize {
        let streams = self.streams.iter();
        streams.filter(|(_, it)| it.is_deleted).count()
    }

    /// Up to where the events of a stream were dropped, by itself or with the log.
    pub(crate) fn stream_to(&self, stream: &StreamName) -> u64 {
        let own = self.streams.get(stream).map_or(0, |shortened| shortened.to);
        own.max(self.log_to)
    }

    /// The place at or below which no event that is held can match.
    pub(crate) fn floor(&self, query: &Query) -> u64 {
        let floor = |scope: &Scope| match scope {
            Scope::Streams(names) => names.iter().map(|name| self.stream_to(name)).min(),
            _ => None,
        };
        let items = query.items().iter().map(|item| floor(item.scope()));
        let lowest = items.map(|floor| floor.unwrap_or(self.log_to)).min();
        lowest.unwrap_or(self.log_to)
    }

    /// The last place of which readers of this query are told that events were dropped.
    pub(crate) fn told_to(&self, query: &Query) -> u64 {
        let items = query.items().iter();
        let names = items.filter_map(|item| match item.scope() {
            Scope::Streams(names) => Some(names),
            _ => None,
        });
        let named = names.flatten().map(|name| self.stream_to(name)).max();
        named.unwrap_or(0).max(self.log_to)
    }

    /// What an index that begins with `first`, and knows so many changes, is to learn.
    pub(crate) fn news(&self, known: u64, first: u64) -> News {
        let trims = self
            .streams
            .after(known)
            .map(|(stream, it)| (stream, it.to));
        let trims = trims.filter(|&(_, to)| to >= first && to > self.log_to);
        News {
            changes: self.changes,
            trims: trims.map(|(stream, to)| (stream.clone(), to)).collect(),
        }
    }

    /// Makes room for so many more streams.
    pub(crate) fn reserve(&mut self, streams: usize) {
        self.streams.reserve(streams);
    }

    /// Drops more, as was noted behind the event at a position: one later than all before, or the
    /// same.
    pub(crate) fn apply(&mut self, trim: Trim, behind: u64) {
        self.changes += 1;
        let change = Change {
            number: self.changes,
            behind,
        };
        match trim {
            Trim::Log { to } => self.shorten_log(to, change),
            Trim::Stream { stream, to } => self.streams.shorten(stream, to, false, change),
            Trim::Deletion { stream, to } => self.streams.shorten(stream, to, true, change),
        }
    }

    /// Says that all was taken in that an index says. Where it says again what others have said
    /// before, that counts as noted when it was.
    pub(crate) fn settle(&mut self) {
        self.streams.settle();
    }

    /// Drops the log at least up to a place.
    pub(crate) fn be_at_least(&mut self, log_to: u64, behind: u64) {
        if self.log_to < log_to {
            self.apply(Trim::Log { to: log_to }, behind);
        }
    }

    /// What was dropped of single streams below the place does not matter any more.
    fn shorten_log(&mut self, to: u64, change: Change) {
        self.log_to = self.log_to.max(to);
        self.log = change;
        let log_to = self.log_to;
        let matters = |it: &Shortened| it.is_deleted || it.to > log_to;
        if !self.streams.iter().all(|(_, it)| matters(it)) {
            self.streams.retain(matters);
        }
    }

    /// What was noted behind a place, and matters still, in that order; with each the position
    /// that it was noted behind.
    pub(crate) fn noted(&self, behind: u64) -> impl Iterator<Item = (u64, Trim)> {
        let trim = Trim::Log { to: self.log_to };
        let is_noted = self.log_to > 0 && self.log.behind >= behind;
        let log = is_noted.then_some((self.log.behind, trim));
        let before = self.streams.behind(behind);
        let before = before.take_while(|(_, it)| it.last.number < self.log.number);
        let after = self.streams.after(self.log.number);
        let after = after.skip_while(move |(_, it)| it.last.behind < behind);
        before.map(noted).chain(log).chain(after.map(noted))
    }
}

fn noted((stream, shortened): (&StreamName, &Shortened)) -> (u64, Trim) {
    let (stream, to) = (stream.clone(), shortened.to);
    let trim = if shortened.is_deleted {
        Trim::Deletion { stream, to }
    } else {
        Trim::Stream { stream, to }
    };
    (shortened.last.behind, trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(name: &str) -> StreamName {
        StreamName::new(name).unwrap()
    }

    fn trimmed(name: &str, to: u64) -> Trim {
        let stream = stream(name);
        Trim::Stream { stream, to }
    }

    fn deleted(name: &str, to: u64) -> Trim {
        let stream = stream(name);
        Trim::Deletion { stream, to }
    }

    fn trims(dropped: &Dropped, behind: u64) -> Vec<Trim> {
        dropped.noted(behind).map(|(_, trim)| trim).collect()
    }

    fn names(news: &News) -> Vec<(&str, u64)> {
        let trims = news.trims.iter();
        trims.map(|(name, to)| (name.as_str(), *to)).collect()
    }

    #[test]
    fn a_place_only_moves_forward_and_the_deleted_stay_so() {
        let mut dropped = Dropped::default();
        for trim in [
            trimmed("a", 7),
            trimmed("a", 5),
            deleted("b", 3),
            trimmed("b", 4),
            Trim::Log { to: 2 },
            Trim::Log { to: 1 },
        ] {
            dropped.apply(trim, 9);
        }
        assert_eq!(dropped.log_to(), 2);
        assert_eq!(dropped.stream_to(&stream("a")), 7);
        assert_eq!(dropped.stream_to(&stream("b")), 4);
        assert_eq!(dropped.stream_to(&stream("c")), 2);
        assert!(dropped.is_deleted(&stream("b")));
        assert!(!dropped.is_deleted(&stream("a")));
    }

    #[test]
    fn the_log_takes_over_what_streams_have_dropped_below_its_place() {
        let mut dropped = Dropped::default();
        for trim in [trimmed("a", 5), deleted("b", 4), trimmed("c", 9)] {
            dropped.apply(trim, 9);
        }
        dropped.apply(Trim::Log { to: 6 }, 9);
        let all = [deleted("b", 4), trimmed("c", 9), Trim::Log { to: 6 }];
        assert_eq!(trims(&dropped, 0), all);
        assert_eq!(dropped.trimmed(), 1);
        assert_eq!(names(&dropped.news(0, 1)), [("c", 9)]);
        assert_eq!(dropped.stream_to(&stream("b")), 6);
    }

    #[test]
    fn an_index_learns_what_is_new_and_can_concern_it() {
        let mut dropped = Dropped::default();
        for trim in [trimmed("a", 5), trimmed("b", 9), trimmed("a", 8)] {
            dropped.apply(trim, 9);
        }
        assert_eq!(names(&dropped.news(0, 1)), [("b", 9), ("a", 8)]);
        assert_eq!(names(&dropped.news(2, 1)), [("a", 8)]);
        assert_eq!(names(&dropped.news(0, 9)), [("b", 9)]);
        assert_eq!(names(&dropped.news(3, 1)), []);
    }

    #[test]
    fn what_was_noted_behind_a_place_is_what_has_changed_since() {
        let mut dropped = Dropped::default();
        for (trim, behind) in [
            (trimmed("a", 5), 5),
            (trimmed("b", 9), 10),
            (Trim::Log { to: 3 }, 12),
            (deleted("a", 4), 15),
        ] {
            dropped.apply(trim, behind);
        }
        let log = Trim::Log { to: 3 };
        for (behind, expected) in [
            (0, vec![trimmed("b", 9), log.clone(), deleted("a", 5)]),
            (11, vec![log, deleted("a", 5)]),
            (15, vec![deleted("a", 5)]),
            (16, vec![]),
        ] {
            assert_eq!(trims(&dropped, behind), expected, "behind {behind}");
        }
    }

    #[test]
    fn only_those_who_name_a_stream_are_told_of_it() {
        let mut dropped = Dropped::default();
        dropped.apply(Trim::Log { to: 2 }, 9);
        dropped.apply(trimmed("a-1", 7), 9);
        dropped.apply(trimmed("b-1", 5), 9);
        let both = Query::streams([stream("a-1"), stream("b-1")]);
        for (query, told_to, floor) in [
            (Query::all(), 2, 2),
            (Query::stream(stream("a-1")), 7, 7),
            (both.clone(), 7, 5),
            (Query::stream(stream("c-1")), 2, 2),
            (both.or(Query::all()), 7, 2),
        ] {
            assert_eq!(dropped.told_to(&query), told_to, "{query:?}");
            assert_eq!(dropped.floor(&query), floor, "{query:?}");
        }
    }
}
