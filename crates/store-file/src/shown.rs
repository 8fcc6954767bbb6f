/// How far readers are shown the log, as a place in its files. All that lies before it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The position that the segment begins with that was written to last.
    pub(crate) segment: u64,
    /// Where its last commit ends.
    pub(crate) end: u64,
    /// The position of the last event.
    pub(crate) position: u64,
}
