use std::sync::Arc;

use crate::format::{Kind, Label, SHOWN_BYTES};
use crate::storage::{Storage, StorageFile};

pub(crate) use crate::format::Shown;

/// The file that tells other processes how far the log is shown.
pub(crate) const SHOWN: &str = "SHOWN";

/// Tells other processes how far the log is shown, after each commit. Never synced: what an older
/// one says is true as well. Where it cannot be written they see less, and nobody else is
/// concerned.
#[derive(Debug)]
pub(crate) struct Beacon {
    file: Option<Arc<dyn StorageFile>>,
    label: Label,
}

impl Beacon {
    pub(crate) fn new(storage: &dyn Storage, identity: &Label) -> Self {
        let file = storage.open(SHOWN).or_else(|_| storage.create(SHOWN));
        Self {
            file: file.ok(),
            label: label(identity),
        }
    }

    pub(crate) fn tell(&self, shown: Shown) {
        if let Some(file) = &self.file {
            drop(file.write_at(&shown.encode(&self.label), 0));
        }
    }
}

/// How far a log is shown; none where nobody says, or is just saying it.
pub(crate) fn read(storage: &dyn Storage, identity: &Label) -> Option<Shown> {
    let mut bytes = [0; SHOWN_BYTES];
    storage.open(SHOWN).ok()?.read_at(&mut bytes, 0).ok()?;
    Shown::decode(&label(identity), &bytes)
}

fn label(identity: &Label) -> Label {
    Label {
        kind: Kind::Shown,
        ..*identity
    }
}
