use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::codec;

/// A name under which nothing can be registered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RegistrationError {
    /// Two commands, or two queries, with one name.
    #[error("{kind} {name:?} is registered twice; give one of them another name")]
    Twice {
        /// `command`, `streamed command`, `query` or `question`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A command name that its command type has no variant for.
    #[error("{name:?} is no variant of {target}; its variants are {}", variants.join(", "))]
    NoVariant {
        /// The name.
        name: String,
        /// The command type's Rust name.
        target: &'static str,
        /// The names it has.
        variants: &'static [&'static str],
    },
    /// A type of commands or events that is not an enum in serde's default form, so that
    /// names cannot stand for its variants.
    #[error("{target} is not an externally tagged serde enum; remove `tag` and `untagged`")]
    NotAnEnum {
        /// The type's Rust name.
        target: &'static str,
    },
}

impl RegistrationError {
    /// Whether names can stand for a type's variants.
    pub(crate) fn check_enum<T: DeserializeOwned>() -> Result<(), Self> {
        variants_of::<T>().map(|_| ())
    }

    /// Whether a name is that of one of a type's variants.
    pub(crate) fn check_variant<T: DeserializeOwned>(name: &str) -> Result<(), Self> {
        let variants = variants_of::<T>()?;
        if variants.contains(&name) {
            return Ok(());
        }
        Err(Self::NoVariant {
            name: name.to_owned(),
            target: std::any::type_name::<T>(),
            variants,
        })
    }
}

/// The names of a type's variants.
pub(crate) fn variants_of<T: DeserializeOwned>()
-> Result<&'static [&'static str], RegistrationError> {
    codec::variants::<T>().ok_or(RegistrationError::NotAnEnum {
        target: std::any::type_name::<T>(),
    })
}
