use crate::sync::Mutex;

/// Whether somebody is at work, and was told meanwhile that there is more: so that nothing is left
/// undone that was asked for, and nobody works beside another.
#[derive(Debug, Default)]
pub(crate) struct Shift {
    stage: Mutex<Stage>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Idle,
    AtWork,
    /// At work, and there may be more than was found.
    ToldOfMore,
    /// Somebody panicked: nobody works any more.
    Over,
}

impl Shift {
    /// Says that there is something to do. Who is told so has to begin with it, or to leave.
    pub(crate) fn ask(&self) -> bool {
        self.change(|stage| match stage {
            Stage::Idle => (Stage::AtWork, true),
            Stage::AtWork | Stage::ToldOfMore => (Stage::ToldOfMore, false),
            Stage::Over => (Stage::Over, false),
        })
    }

    /// Whether who is at work, and has found nothing left to do, has to look once more.
    pub(crate) fn goes_on(&self) -> bool {
        self.change(|stage| match stage {
            Stage::Idle | Stage::AtWork => (Stage::Idle, false),
            Stage::ToldOfMore => (Stage::AtWork, true),
            Stage::Over => (Stage::Over, false),
        })
    }

    /// Has who is at work leave what is to be done to who asks next.
    pub(crate) fn leave(&self) {
        self.change(|stage| match stage {
            Stage::Over => (Stage::Over, ()),
            _ => (Stage::Idle, ()),
        });
    }

    /// Has nobody work any more.
    pub(crate) fn end(&self) {
        self.change(|_| (Stage::Over, ()));
    }

    /// Whether it was ended.
    pub(crate) fn is_over(&self) -> bool {
        self.change(|stage| (stage, stage == Stage::Over))
    }

    fn change<T>(&self, change: impl FnOnce(Stage) -> (Stage, T)) -> T {
        let mut stage = self
            .stage
            .lock()
            .expect("no code panics while it holds the stage");
        let (next, told) = change(*stage);
        *stage = next;
        told
    }
}
