use std::any::type_name;
use std::fmt::{self, Debug};

use crate::process::{Happened, Process, Reaction};

/// What has happened to an instance of a process, in order.
///
/// # Panics
/// Where the state does not survive being written and read.
#[track_caller]
pub fn played<'a, P: Process>(
    happened: impl IntoIterator<Item = Happened<'a, P::Event>>,
) -> Played<P> {
    let mut played = Played {
        state: P::default(),
    };
    for happened in happened {
        let _done = played.react(happened);
    }
    played
}

/// An instance to which something has happened.
#[must_use = "nothing is checked before `then`"]
pub struct Played<P> {
    state: P,
}

/// What an instance does about it, waiting to be compared.
#[must_use = "nothing is checked before `then`"]
#[derive(Debug)]
pub struct Reacted {
    process: &'static str,
    happened: String,
    reaction: Reaction,
}

impl<P: Process> Played<P> {
    /// What happens to it then.
    ///
    /// # Panics
    /// Where the state does not survive being written and read.
    #[track_caller]
    pub fn when(mut self, happened: Happened<'_, P::Event>) -> Reacted
    where
        P::Event: Debug,
    {
        Reacted {
            process: type_name::<P>(),
            happened: format!("{happened:?}"),
            reaction: self.react(happened),
        }
    }

    /// What it has come to.
    #[must_use]
    pub const fn state(&self) -> &P {
        &self.state
    }

    #[track_caller]
    fn react(&mut self, happened: Happened<'_, P::Event>) -> Reaction {
        let reaction = self.state.react(happened);
        let written = match serde_json::to_value(&self.state) {
            Ok(written) => written,
            Err(error) => panic!("{} cannot be written: {error}", type_name::<P>()),
        };
        self.state = match P::deserialize(&written) {
            Ok(read) => read,
            Err(error) => panic!("{written} is written, but cannot be read back: {error}"),
        };
        reaction
    }
}

impl Reacted {
    /// Exactly this is done about it.
    ///
    /// # Panics
    /// Where something else is, or a command has no JSON form.
    #[track_caller]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "an example reads better without a reference"
    )]
    pub fn then(self, expected: Reaction) {
        for command in &self.reaction.commands {
            if let Err(error) = command {
                panic!("{} asks for what has no JSON form: {error}", self.process);
            }
        }
        assert!(
            self.reaction == expected,
            "{} reacts otherwise\nwhen\n  {}\nexpected\n  {expected:?}\nbut\n  {:?}\n",
            self.process,
            self.happened,
            self.reaction,
        );
    }
}

impl<P> Debug for Played<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Played").finish_non_exhaustive()
    }
}
