use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use http::request::Parts;

use crate::principal::Principal;
use crate::problem::{Kind, Problem};

/// The address a request came from, for a server to put into its extensions: what counts is whom
/// the server believes, the socket or a proxy's header.
///
/// ```
/// use eventwire_gateway::PeerAddress;
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(PeerAddress([127, 0, 0, 1].into()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress(pub IpAddr);

/// How many event streams are open: in all, for each address and for each principal.
#[derive(Debug, Default)]
pub(crate) struct OpenStreams {
    counts: Mutex<Counts>,
    most: Option<usize>,
    most_per_address: Option<usize>,
    most_per_principal: Option<usize>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_address: Tally<IpAddr>,
    by_principal: Tally<Arc<str>>,
}

/// How often each is there.
///
/// Invariant: nothing is counted with zero.
#[derive(Debug)]
struct Tally<K>(HashMap<K, usize>);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Tally<K> {
    /// Whether there is place for one more, of whom nobody counts where there is no name.
    fn has_place(&self, key: Option<&K>, most: Option<usize>) -> bool {
        let count = key.and_then(|key| self.0.get(key)).copied();
        key.is_none() || most.is_none_or(|most| count.unwrap_or(0) < most)
    }

    fn add(&mut self, key: Option<K>) {
        if let Some(key) = key {
            *self.0.entry(key).or_insert(0) += 1;
        }
    }

    fn take(&mut self, key: Option<&K>) {
        if let Some(key) = key
            && let Some(count) = self.0.get_mut(key)
        {
            *count -= 1;
            if *count == 0 {
                self.0.remove(key);
            }
        }
    }
}

/// Whose a stream is, as far as it is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Whose {
    pub(crate) address: Option<IpAddr>,
    pub(crate) principal: Option<Arc<str>>,
}

impl Whose {
    /// Of who makes a request.
    pub(crate) fn of(parts: &Parts) -> Self {
        let principal = parts.extensions.get::<Principal>();
        let address = parts.extensions.get().map(|PeerAddress(address)| *address);
        Self {
            address,
            principal: principal.and_then(Principal::shared_id),
        }
    }
}

/// Why a stream is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TooMany {
    InAll,
    OfThisAddress,
    OfThisPrincipal,
}

impl From<TooMany> for Problem {
    fn from(too_many: TooMany) -> Self {
        match too_many {
            TooMany::InAll => Self::busy("there are as many event streams open as there may be"),
            TooMany::OfThisAddress => Self::new(
                Kind::TooMany,
                "this address has as many event streams open as it may",
            ),
            TooMany::OfThisPrincipal => Self::new(
                Kind::TooMany,
                "this principal has as many event streams open as it may",
            ),
        }
        .retry_after(None)
    }
}

/// A stream that is counted for as long as this lives.
#[derive(Debug)]
pub(crate) struct OpenStream {
    streams: Arc<OpenStreams>,
    whose: Whose,
}

impl OpenStreams {
    /// Sets the most there may be in all.
    pub(crate) fn limit(&mut self, most: usize) {
        self.most = Some(most);
    }

    /// Sets the most there may be of one address.
    pub(crate) fn limit_per_address(&mut self, most: usize) {
        self.most_per_address = Some(most);
    }

    /// Sets the most there may be of one principal.
    pub(crate) fn limit_per_principal(&mut self, most: usize) {
        self.most_per_principal = Some(most);
    }

    /// Counts one more.
    pub(crate) fn open(self: &Arc<Self>, whose: Whose) -> Result<OpenStream, TooMany> {
        let (address, principal) = (whose.address.as_ref(), whose.principal.as_ref());
        let mut counts = self.lock();
        if self.most.is_some_and(|most| counts.all >= most) {
            return Err(TooMany::InAll);
        }
        if !counts.by_address.has_place(address, self.most_per_address) {
            return Err(TooMany::OfThisAddress);
        }
        let by_principal = &counts.by_principal;
        if !by_principal.has_place(principal, self.most_per_principal) {
            return Err(TooMany::OfThisPrincipal);
        }
        counts.all += 1;
        counts.by_address.add(whose.address);
        counts.by_principal.add(whose.principal.clone());
        drop(counts);
        Ok(OpenStream {
            streams: Arc::clone(self),
            whose,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts
            .lock()
            .expect("no code panics while it holds the counts")
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut counts = self.streams.lock();
        counts.all -= 1;
        counts.by_address.take(self.whose.address.as_ref());
        counts.by_principal.take(self.whose.principal.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_counted_in_all_by_address_and_by_principal() {
        let mut streams = OpenStreams::default();
        streams.limit(4);
        streams.limit_per_address(2);
        streams.limit_per_principal(1);
        let streams = Arc::new(streams);
        let whose = |last: Option<u8>, principal: Option<&str>| Whose {
            address: last.map(|last| [10, 0, 0, last].into()),
            principal: principal.map(Into::into),
        };
        let first = streams.open(whose(Some(1), Some("ada"))).unwrap();
        let again = streams.open(whose(Some(2), Some("ada")));
        assert_eq!(again.unwrap_err(), TooMany::OfThisPrincipal);
        let second = streams.open(whose(Some(1), None)).unwrap();
        let third = streams.open(whose(Some(1), Some("grace")));
        assert_eq!(third.unwrap_err(), TooMany::OfThisAddress);
        let third = streams.open(whose(None, None)).unwrap();
        let fourth = streams.open(whose(None, None)).unwrap();
        let fifth = streams.open(whose(Some(2), Some("grace")));
        assert_eq!(fifth.unwrap_err(), TooMany::InAll);
        drop(first);
        let first = streams.open(whose(Some(1), Some("ada"))).unwrap();
        drop((first, second, third, fourth));
        let counts = streams.lock();
        assert_eq!(counts.all, 0);
        assert!(counts.by_address.0.is_empty() && counts.by_principal.0.is_empty());
    }
}
