use eventwire_store::Appended;

/// What became of a command that was not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// Where its events are; none where the decision was that nothing needs to happen.
    /// Marked `duplicate` where an earlier request with the same key wrote them.
    pub appended: Option<Appended>,
    /// How often it was decided: 1 without a race, one more for each conflict, 0 where the
    /// key alone gave the answer.
    pub attempts: u32,
}

impl Receipt {
    /// Whether this is the answer to an earlier request with the same key.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        self.appended
            .as_ref()
            .is_some_and(|appended| appended.duplicate)
    }
}
