use std::time::Duration;

use crate::error::OpenError;

/// The first pause, which doubles each time.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long an error of the system is borne with. A process may be without descriptors for a while,
/// or a medium that is far away.
const MOST_FOR_SYSTEM: Duration = Duration::from_secs(60);

/// How long anything else is borne with: it may be that files were looked at while they changed.
const MOST_FOR_DAMAGE: Duration = Duration::from_secs(1);

/// How long what cannot be read is tried again.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    /// The sums of all pauses since something could be read, for the system and for anything else.
    for_system: Duration,
    for_damage: Duration,
    pause: Duration,
}

impl Patience {
    /// How long to wait until it is tried again; none where that was long enough.
    pub(crate) fn with(&mut self, error: &OpenError) -> Option<Duration> {
        let (waited, most) = match error {
            OpenError::Io { .. } => (&mut self.for_system, MOST_FOR_SYSTEM),
            _ => (&mut self.for_damage, MOST_FOR_DAMAGE),
        };
        if *waited >= most {
            return None;
        }
        self.pause = (self.pause * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        *waited += self.pause;
        Some(self.pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Damage;

    #[test]
    fn it_is_longer_with_the_system_than_with_damage_and_ends_with_both() {
        let damage = OpenError::Damaged(Damage::new("IDENTITY", 0, "it is not as it was"));
        let system = OpenError::io("opening", "IDENTITY")(std::io::ErrorKind::Other.into());
        for (error, most, tries) in [(damage, MOST_FOR_DAMAGE, 10), (system, MOST_FOR_SYSTEM, 69)] {
            let mut patience = Patience::default();
            let pauses: Vec<_> = std::iter::from_fn(|| patience.with(&error)).collect();
            assert_eq!(pauses.len(), tries);
            assert!(pauses.is_sorted() && pauses[0] == SHORTEST_PAUSE);
            let waited: Duration = pauses.iter().sum();
            assert!(waited >= most && waited < most + LONGEST_PAUSE);
        }
    }
}
