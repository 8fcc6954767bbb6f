use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::LazyLock;

/// Keys drawn once a process, so that no one outside can choose names that collide.
static KEYS: LazyLock<[RandomState; 2]> =
    LazyLock::new(|| [RandomState::new(), RandomState::new()]);

/// What an entry is about and a subscriber listens for: the 128-bit hash of a name.
///
/// Equal names are equal topics for as long as the process lives; another process hashes
/// otherwise, so a topic is not to be stored or sent. Two names share a topic once in 2^128
/// pairs, which is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Topic([u64; 2]);

impl Topic {
    /// The topic of a name, or of any value that hashes: `Topic::of(&("tag", name))`
    /// keeps kinds apart without building a string.
    #[must_use]
    pub fn of<N: Hash + ?Sized>(name: &N) -> Self {
        Self(KEYS.each_ref().map(|keys| keys.hash_one(name)))
    }
}

impl Hash for Topic {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.0[0]);
    }
}

/// The hasher of maps by [`Topic`], which is a hash already.
#[derive(Debug, Default)]
pub(crate) struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn write(&mut self, _: &[u8]) {
        unreachable!("a topic hashes as one u64");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What a subscriber wants to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interest {
    /// Every entry.
    All,
    /// Entries with at least one of these topics. Without topics, nothing.
    Any(Topics),
}

impl Interest {
    /// Entries with at least one of these topics.
    #[must_use]
    pub fn any(topics: impl IntoIterator<Item = Topic>) -> Self {
        Self::Any(topics.into_iter().collect())
    }

    /// Whether an entry with these topics is wanted.
    #[must_use]
    pub fn meets(&self, topics: &[Topic]) -> bool {
        match self {
            Self::All => true,
            Self::Any(wanted) => topics.iter().any(|topic| wanted.contains(*topic)),
        }
    }

    /// How many topics it lists.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::All => 0,
            Self::Any(topics) => topics.len(),
        }
    }

    /// Equal for interests that are equal, and for hardly any other.
    pub(crate) fn digest(&self) -> u64 {
        match self {
            Self::All => 0,
            Self::Any(topics) => topics
                .iter()
                .fold(1, |sum, Topic([topic, _])| sum.wrapping_add(topic)),
        }
    }
}

/// A set of topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// Rising strictly.
    sorted: Box<[Topic]>,
}

impl Topics {
    /// Whether the topic is one of these.
    #[must_use]
    pub fn contains(&self, topic: Topic) -> bool {
        self.sorted.binary_search(&topic).is_ok()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Each topic once, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = Topic> + '_ {
        self.sorted.iter().copied()
    }
}

impl FromIterator<Topic> for Topics {
    fn from_iter<I: IntoIterator<Item = Topic>>(topics: I) -> Self {
        let mut sorted: Vec<Topic> = topics.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        Self {
            sorted: sorted.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_are_equal_topics() {
        assert_eq!(Topic::of("lobby"), Topic::of(&String::from("lobby")));
        assert_ne!(Topic::of("lobby"), Topic::of("kitchen"));
        assert_ne!(
            Topic::of(&("stream", "lobby")),
            Topic::of(&("tag", "lobby"))
        );
    }

    #[test]
    fn interests_meet_by_any_topic() {
        let [a, b, c] = ["a", "b", "c"].map(Topic::of);
        let cases = [
            (Interest::All, vec![], true),
            (Interest::All, vec![a], true),
            (Interest::any([]), vec![a], false),
            (Interest::any([a]), vec![], false),
            (Interest::any([a]), vec![b, a], true),
            (Interest::any([c, a, c]), vec![b, c], true),
            (Interest::any([a, c]), vec![b], false),
        ];
        for (interest, topics, meets) in cases {
            assert_eq!(interest.meets(&topics), meets, "{interest:?} {topics:?}");
        }
    }

    #[test]
    fn a_set_holds_each_topic_once() {
        let [a, b] = ["a", "b"].map(Topic::of);
        let set: Topics = [b, a, b, a].into_iter().collect();
        assert_eq!(set.iter().count(), 2);
        assert_eq!(set, [a, b].into_iter().collect());
    }
}
