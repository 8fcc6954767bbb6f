//! What befalls an upstream.

use eventwire::store::MemoryStore;

use super::upstream::Upstream;

/// Every connection breaks off, as where a machine has lost its memory of them.
pub(crate) fn reset(upstream: &Upstream) {
    upstream.serving.reset.send_replace(());
}

/// It is away for a moment, and has another log then.
pub(crate) async fn forget(upstream: &mut Upstream) {
    upstream.stop().await;
    upstream.store = MemoryStore::new();
    upstream.start_again().await;
}
