use eventwire_store::RecordedEvent;

use crate::boundary::Boundary;
use crate::codec::{self, CodecError};
use crate::fold::{Fold, UnknownEvents};
use crate::registration::RegistrationError;
use crate::snapshot::Keeping;

/// One [`Fold`], or a tuple of two to four: what a [`Decision`](crate::Decision) rests on.
///
/// Sealed: it is implemented for all that it can be implemented for. Its functions are for
/// this crate.
pub trait States: Sized + Send + 'static + sealed::Sealed {
    /// One of each state's.
    type Each<T: Send + Sync>: AsRef<[T]> + AsMut<[T]> + Send + Sync;

    /// Before anything has happened.
    fn blank() -> Self;

    /// What a function makes of each boundary.
    fn each<T: Send + Sync>(
        boundaries: &Self::Each<Boundary>,
        make: impl FnMut(&Boundary) -> T,
    ) -> Self::Each<T>;

    /// Shows an event to one of the states, by its place among them.
    ///
    /// # Errors
    /// [`CodecError`] where the event is not one of the state's.
    fn take_in(&mut self, part: usize, event: &RecordedEvent) -> Result<(), CodecError>;

    /// Whether names can stand for the variants of all events.
    ///
    /// # Errors
    /// [`RegistrationError::NotAnEnum`] where they cannot.
    fn check() -> Result<(), RegistrationError>;

    /// How each state is kept, where it is.
    fn keeping() -> Self::Each<Option<Keeping>>;

    /// Writes down one of the states that are kept.
    ///
    /// # Errors
    /// Where it has no JSON form.
    fn write(&self, part: usize, data: &mut Vec<u8>) -> serde_json::Result<()>;

    /// Puts what was written down in the place of one of the states that are kept.
    ///
    /// # Errors
    /// Where it cannot be read; the state is as it was.
    fn read(&mut self, part: usize, data: &[u8]) -> serde_json::Result<()>;
}

mod sealed {
    pub trait Sealed {}
}

impl<F: Fold> sealed::Sealed for F {}

impl<F: Fold> States for F {
    type Each<T: Send + Sync> = [T; 1];

    fn blank() -> Self {
        Self::default()
    }

    fn each<T: Send + Sync>(
        [boundary]: &[Boundary; 1],
        mut make: impl FnMut(&Boundary) -> T,
    ) -> [T; 1] {
        [make(boundary)]
    }

    fn take_in(&mut self, _: usize, event: &RecordedEvent) -> Result<(), CodecError> {
        evolve(self, event)
    }

    fn check() -> Result<(), RegistrationError> {
        RegistrationError::check_enum::<F::Event>()
    }

    fn keeping() -> [Option<Keeping>; 1] {
        [keeping::<F>()]
    }

    fn write(&self, _: usize, data: &mut Vec<u8>) -> serde_json::Result<()> {
        write(self, data)
    }

    fn read(&mut self, _: usize, data: &[u8]) -> serde_json::Result<()> {
        read(self, data)
    }
}

fn keeping<F: Fold>() -> Option<Keeping> {
    F::SNAPSHOTS.map(|snapshots| snapshots.keeping)
}

fn write<F: Fold>(state: &F, data: &mut Vec<u8>) -> serde_json::Result<()> {
    match F::SNAPSHOTS {
        Some(snapshots) => (snapshots.write)(state, data),
        None => unreachable!("only what is kept is written"),
    }
}

fn read<F: Fold>(state: &mut F, data: &[u8]) -> serde_json::Result<()> {
    match F::SNAPSHOTS {
        Some(snapshots) => *state = (snapshots.read)(data)?,
        None => unreachable!("only what is kept is read"),
    }
    Ok(())
}

/// Shows an event to a state.
pub(crate) fn evolve<F: Fold>(state: &mut F, event: &RecordedEvent) -> Result<(), CodecError> {
    match codec::decode(event) {
        Ok(event) => state.evolve(&event),
        Err(CodecError::UnknownType { .. }) if F::UNKNOWN_EVENTS == UnknownEvents::Ignore => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

macro_rules! tuple {
    ($count:literal: $($state:ident $index:tt),*) => {
        impl<$($state: Fold),*> sealed::Sealed for ($($state,)*) {}

        impl<$($state: Fold),*> States for ($($state,)*) {
            type Each<T: Send + Sync> = [T; $count];

            fn blank() -> Self {
                Self::default()
            }

            fn each<T: Send + Sync>(
                boundaries: &[Boundary; $count],
                mut make: impl FnMut(&Boundary) -> T,
            ) -> [T; $count] {
                std::array::from_fn(|index| make(&boundaries[index]))
            }

            fn take_in(&mut self, part: usize, event: &RecordedEvent) -> Result<(), CodecError> {
                match part {
                    $($index => evolve(&mut self.$index, event),)*
                    _ => unreachable!("a tuple has a state for each boundary"),
                }
            }

            fn check() -> Result<(), RegistrationError> {
                $(RegistrationError::check_enum::<$state::Event>()?;)*
                Ok(())
            }

            fn keeping() -> [Option<Keeping>; $count] {
                [$(keeping::<$state>()),*]
            }

            fn write(&self, part: usize, data: &mut Vec<u8>) -> serde_json::Result<()> {
                match part {
                    $($index => write(&self.$index, data),)*
                    _ => unreachable!("a tuple has a state for each boundary"),
                }
            }

            fn read(&mut self, part: usize, data: &[u8]) -> serde_json::Result<()> {
                match part {
                    $($index => read(&mut self.$index, data),)*
                    _ => unreachable!("a tuple has a state for each boundary"),
                }
            }
        }
    };
}

tuple!(2: A 0, B 1);
tuple!(3: A 0, B 1, C 2);
tuple!(4: A 0, B 1, C 2, D 3);
