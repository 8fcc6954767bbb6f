use std::collections::BTreeSet;
use std::ops::Range;

const SECTOR: usize = 512;

/// A file, sector by sector: what a program is shown, and what is durable.
///
/// Invariant: sectors that differ in `shown` and `durable` are either dirty or lost.
#[derive(Debug, Clone, Default)]
pub(super) struct File {
    pub(super) shown: Vec<u8>,
    pub(super) durable: Vec<u8>,
    dirty: BTreeSet<usize>,
    lost: BTreeSet<usize>,
}

impl File {
    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if end > self.shown.len() {
            self.set_length(end);
        }
        self.shown[offset..end].copy_from_slice(bytes);
        self.change(offset..end);
    }

    pub(super) fn set_length(&mut self, length: usize) {
        let before = self.shown.len();
        self.shown.resize(length, 0);
        self.change(before.min(length)..before.max(length));
    }

    fn change(&mut self, bytes: Range<usize>) {
        for sector in bytes.start / SECTOR..bytes.end.div_ceil(SECTOR) {
            self.dirty.insert(sector);
            self.lost.remove(&sector);
        }
    }

    pub(super) fn sync(&mut self) {
        self.durable.resize(self.shown.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            self.write_back(sector);
        }
    }

    /// Some of it reaches the medium, the rest never will.
    pub(super) fn sync_in_vain(&mut self, random: &mut fastrand::Rng) {
        self.write_back_some(random);
        self.lost.append(&mut self.dirty);
    }

    pub(super) fn lose_power(&mut self) {
        self.shown.clone_from(&self.durable);
        self.dirty.clear();
        self.lost.clear();
    }

    /// A length on the way from the durable one to the one that is shown, and any of the sectors.
    pub(super) fn write_back_some(&mut self, random: &mut fastrand::Rng) {
        let (durable, shown) = (self.durable.len(), self.shown.len());
        let length = match random.u8(..3) {
            0 => durable,
            // What shortens a file does so at once.
            1 if durable < shown => random.usize(durable..=shown),
            _ => shown,
        };
        self.durable.resize(length, 0);
        for sector in self.dirty.clone() {
            if random.bool() {
                self.write_back(sector);
                if sector_of(sector, self.shown.len()).end <= length {
                    self.dirty.remove(&sector);
                }
            }
        }
    }

    /// Shows what is on the medium in place of what never got there.
    pub(super) fn reread(&mut self, mut is_reread: impl FnMut() -> bool) {
        for sector in self.lost.clone() {
            if is_reread() {
                for at in sector_of(sector, self.shown.len()) {
                    self.shown[at] = self.durable.get(at).copied().unwrap_or(0);
                }
                self.lost.remove(&sector);
            }
        }
    }

    fn write_back(&mut self, sector: usize) {
        let bytes = sector_of(sector, self.durable.len().min(self.shown.len()));
        self.durable[bytes.clone()].copy_from_slice(&self.shown[bytes]);
    }
}

/// The bytes of a sector, of a file of this length.
fn sector_of(sector: usize, length: usize) -> Range<usize> {
    (sector * SECTOR).min(length)..((sector + 1) * SECTOR).min(length)
}
