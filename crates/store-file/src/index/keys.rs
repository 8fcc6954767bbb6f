use eventwire_store::{Fingerprint, IdempotencyKey};
use foldhash::HashMap;

/// What every idempotency key stood for.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    kept: HashMap<IdempotencyKey, Kept>,
}

/// The append a key was used for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    pub(crate) fingerprint: Fingerprint,
    /// The position of its first event.
    pub(crate) first: u64,
    pub(crate) events: u32,
}

impl Kept {
    /// The position of its last event.
    pub(crate) fn last(&self) -> u64 {
        self.first + u64::from(self.events) - 1
    }
}

impl Keys {
    pub(crate) fn get(&self, key: &IdempotencyKey) -> Option<Kept> {
        self.kept.get(key).copied()
    }

    /// All keys and what they stood for.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&IdempotencyKey, Kept)> {
        self.kept.iter().map(|(key, kept)| (key, *kept))
    }

    /// Remembers what a key was used for; says whether it was used before.
    pub(crate) fn insert(&mut self, key: IdempotencyKey, kept: Kept) -> bool {
        self.kept.insert(key, kept).is_some()
    }
}
