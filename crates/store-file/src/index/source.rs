use std::io;

use super::blocks::ListWriter;
use super::memory::Slot;

/// What the file of an index is made of.
///
/// Whatever is asked for comes in the same order each time: names by hash, kind and text, and
/// the list of a name where the name comes.
pub(super) trait Source {
    /// The position of the first event.
    fn first(&self) -> u64;

    /// The position of the last event.
    fn last(&self) -> u64;

    /// The number of names.
    fn names(&self) -> usize;

    /// Gives the place of each event and the number of its stream's name, counted from 1; zero
    /// where it is in none.
    fn each_slot(&self, give: &mut dyn FnMut(Slot, u32) -> io::Result<()>) -> io::Result<()>;

    /// Gives each name.
    fn each_name(&self, give: &mut dyn FnMut(Name<'_>) -> io::Result<()>) -> io::Result<()>;

    /// Writes the list of each name that has one.
    fn each_list(&self, lists: &mut ListWriter<'_, '_>) -> io::Result<()>;
}

/// A name and what is listed under it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) hash: u64,
    pub(super) kind: u8,
    pub(super) text: &'a [u8],
    /// What follows the name in the texts.
    pub(super) more: &'a [u8],
    pub(super) lists: Lists,
    /// Of a stream, its version before the index; of a key, the fingerprint.
    pub(super) extra: u64,
}

/// What is listed under a name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lists {
    /// So many postings.
    Postings(u32),
    /// The events of the append that a key was used for: the position of the first, and how many.
    Append(u64, u32),
}
