use std::error::Error;
use std::fmt;

/// Why a program ended early, told to a person: what happened and what led to it, in one
/// line. What `main` returns is printed with `Debug`, so that is where it is said.
pub struct Failure(Box<dyn Error + Send + Sync>);

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_failure_is_told_in_words() {
        let failure = Failure::from(io::Error::other("cannot listen"));
        assert_eq!(format!("{failure:?}"), "cannot listen");
    }
}
