use eventwire_store::{EventRef, Query, RecordedEvent};

use crate::boundary::Boundary;
use crate::builder::RegistrationError;
use crate::codec::{self, CodecError};
use crate::fold::{Fold, UnknownEvents};
use crate::snapshot::Snapshots;

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

    /// Shows an event to each state whose query it matches.
    ///
    /// # Errors
    /// [`CodecError`] where the event is not one of the state's.
    fn take_in(&mut self, event: &RecordedEvent, queries: &[Query]) -> Result<(), CodecError>;

    /// Whether names can stand for the variants of all events.
    ///
    /// # Errors
    /// [`RegistrationError::NotAnEnum`] where they cannot.
    fn check() -> Result<(), RegistrationError>;

    /// How the state is kept, where there is but one.
    fn snapshots() -> Option<Snapshots<Self>>;
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

    /// All that was read is this state's.
    fn take_in(&mut self, event: &RecordedEvent, _: &[Query]) -> Result<(), CodecError> {
        evolve(self, event)
    }

    fn check() -> Result<(), RegistrationError> {
        RegistrationError::check_enum::<F::Event>()
    }

    fn snapshots() -> Option<Snapshots<Self>> {
        F::SNAPSHOTS
    }
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

            fn take_in(&mut self, event: &RecordedEvent, queries: &[Query]) -> Result<(), CodecError> {
                let matched = EventRef {
                    stream: event.stream_name(),
                    event_type: &event.event_type,
                    tags: &event.tags,
                };
                $(if queries[$index].matches(matched) {
                    evolve(&mut self.$index, event)?;
                })*
                Ok(())
            }

            fn check() -> Result<(), RegistrationError> {
                $(RegistrationError::check_enum::<$state::Event>()?;)*
                Ok(())
            }

            fn snapshots() -> Option<Snapshots<Self>> {
                None
            }
        }
    };
}

tuple!(2: A 0, B 1);
tuple!(3: A 0, B 1, C 2);
tuple!(4: A 0, B 1, C 2, D 3);
