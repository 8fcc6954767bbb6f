use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

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

/// How many event streams are open, in all and for each address.
#[derive(Debug, Default)]
pub(crate) struct OpenStreams {
    counts: Mutex<Counts>,
    most: Option<usize>,
    most_per_address: Option<usize>,
}

/// Invariant: no address has a count of zero.
#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Why a stream is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TooMany {
    InAll,
    OfThisAddress,
}

/// A stream that is counted for as long as this lives.
#[derive(Debug)]
pub(crate) struct OpenStream {
    streams: Arc<OpenStreams>,
    address: Option<IpAddr>,
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

    /// Counts one more.
    pub(crate) fn open(self: &Arc<Self>, peer: Option<PeerAddress>) -> Result<OpenStream, TooMany> {
        let address = peer.map(|PeerAddress(address)| address);
        let mut counts = self.lock();
        if self.most.is_some_and(|most| counts.all >= most) {
            return Err(TooMany::InAll);
        }
        if let Some(address) = address {
            let count = counts.by_address.get(&address).copied().unwrap_or(0);
            if self.most_per_address.is_some_and(|most| count >= most) {
                return Err(TooMany::OfThisAddress);
            }
            counts.by_address.insert(address, count + 1);
        }
        counts.all += 1;
        Ok(OpenStream {
            streams: Arc::clone(self),
            address,
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
        if let Some(address) = self.address
            && let Some(count) = counts.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_counted_in_all_and_by_address() {
        let mut streams = OpenStreams::default();
        streams.limit(3);
        streams.limit_per_address(2);
        let streams = Arc::new(streams);
        let [ada, grace] = [1, 2].map(|last| Some(PeerAddress([10, 0, 0, last].into())));
        let first = streams.open(ada).unwrap();
        let second = streams.open(ada).unwrap();
        assert_eq!(streams.open(ada).unwrap_err(), TooMany::OfThisAddress);
        let third = streams.open(grace).unwrap();
        assert_eq!(streams.open(None).unwrap_err(), TooMany::InAll);
        drop(first);
        let fourth = streams.open(ada).unwrap();
        drop((second, third, fourth));
        let counts = streams.lock();
        assert_eq!((counts.all, counts.by_address.len()), (0, 0));
    }
}
