use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use eventwire_store::RecordedEvent;

/// How events look to those who are shown them: which of them, and what of each.
///
/// A hook that is asked about every event before anyone is shown it, from history as from the
/// ring. It is told the event and a view, which stands for all that decides about it: a role, a
/// tenant, a user. It knows no more of a subscriber than that, so what it makes of an event is
/// made once for all who share the view, and cannot be shown to one who does not.
///
/// ```
/// use eventwire_feed::{Feed, FeedOptions, Follow, From, Look, Present, Views};
/// use eventwire_store::{
///     Append, EventStore, EventType, MemoryStore, NewEvent, Query, RecordedEvent,
/// };
/// use futures_util::StreamExt;
///
/// /// Everyone sees orders; what was paid is for auditors.
/// struct Orders;
///
/// #[derive(Clone, PartialEq, Eq, Hash)]
/// enum Role {
///     Clerk,
///     Auditor,
/// }
///
/// impl Present for Orders {
///     type View = Role;
///
///     fn present(&self, role: &Role, event: &RecordedEvent) -> Look {
///         match (role, event.event_type.as_str()) {
///             (Role::Clerk, "fraud-suspected") => Look::Hidden,
///             (Role::Clerk, "order-paid") => Look::As(RecordedEvent {
///                 data: "{}".into(),
///                 ..event.clone()
///             }),
///             _ => Look::AsWritten,
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// for (name, data) in [("fraud-suspected", "{}"), ("order-paid", r#"{"cents":250}"#)] {
///     let event = NewEvent::new(EventType::new(name)?, data);
///     store.append(Append::new().event(event)).await?;
/// }
///
/// let feed = Feed::start(store, FeedOptions::default()).await?;
/// let views = Views::new(Orders);
/// let follow = Follow::new(Query::all()).from(From::Beginning);
/// let mut clerk = feed.follow(follow.clone().view(views.of(Role::Clerk)));
/// let mut auditor = feed.follow(follow.view(views.of(Role::Auditor)));
///
/// let frame = clerk.next().await.expect("it goes on")?;
/// assert!(frame.as_bytes().starts_with(b"event: order-paid\n"));
/// assert!(frame.as_bytes().ends_with(b"\ndata: {}\n\n"));
/// let frame = auditor.next().await.expect("it goes on")?;
/// assert!(frame.as_bytes().starts_with(b"event: fraud-suspected\n"));
/// # Ok(())
/// # }
/// ```
///
/// Filters look at events as they were written: who may filter by a tag learns which of the
/// events that are not hidden have it. That there was something hidden can be told from the
/// places in the log, which move on over it.
pub trait Present: Send + Sync + 'static {
    /// What decides how events look. Make it as coarse as the rules are: a role rather than a
    /// user, where they go by roles.
    type View: Clone + Eq + Hash + Send + Sync + 'static;

    /// How an event looks to those who share a view.
    ///
    /// Must depend on the two alone: it is asked once or a few times for an event and a view, and
    /// the answer is kept for others, as long as there is place for it. It runs where streams are
    /// polled, so it must not wait.
    fn present(&self, view: &Self::View, event: &RecordedEvent) -> Look;
}

/// How an event looks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "it lives for a moment, and a box would be an allocation for each event"
)]
pub enum Look {
    /// As it was written: encoded once for all who see it so, whatever their views.
    AsWritten,
    /// Like this one, at the place of the one it is in place of.
    As(RecordedEvent),
    /// Not at all. Readers go on after it and are told of their place as if it had not matched.
    Hidden,
}

/// Makes the [`View`]s of a hook: one of a kind for as long as somebody uses it, so that equal
/// ones share what was encoded for them. Keep it beside the feed.
pub struct Views<P: Present> {
    present: Arc<P>,
    known: Mutex<Known<P>>,
}

/// The views in use, and some that were.
struct Known<P: Present> {
    by_key: HashMap<P::View, Weak<Seen<P>>>,
    /// How many there may be before those that are not used are taken out.
    sweep_at: usize,
}

const SWEEP_AT_LEAST: usize = 64;

impl<P: Present> Views<P> {
    /// The views of a hook.
    #[must_use]
    pub fn new(present: P) -> Self {
        Self {
            present: Arc::new(present),
            known: Mutex::new(Known {
                by_key: HashMap::new(),
                sweep_at: SWEEP_AT_LEAST,
            }),
        }
    }

    /// The view of all subscribers this stands for.
    #[must_use]
    pub fn of(&self, key: P::View) -> View {
        // A comparison or a hash that panics does so before anything was changed.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = known.by_key.get(&key).and_then(Weak::upgrade) {
            return View(view);
        }
        let view = Arc::new(Seen {
            number: next_number(),
            present: Arc::clone(&self.present),
            key: key.clone(),
        });
        if known.by_key.len() >= known.sweep_at {
            known.by_key.retain(|_, view| view.strong_count() > 0);
            known.sweep_at = SWEEP_AT_LEAST.max(known.by_key.len() * 2);
        }
        known.by_key.insert(key, Arc::downgrade(&view));
        View(view)
    }
}

/// Tells views of all hooks apart; 0 is no view's.
fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What a subscriber sees of events: for [`Follow::view`](crate::Follow::view). A clone is the
/// same view.
#[derive(Clone)]
pub struct View(Arc<dyn Sight>);

impl View {
    /// How an event looks: at its own place, whatever the hook says.
    #[must_use]
    pub fn look(&self, event: &RecordedEvent) -> Look {
        match self.0.look(event) {
            Look::As(seen) => Look::As(RecordedEvent {
                position: event.position,
                ..seen
            }),
            look => look,
        }
    }

    /// Tells it apart from every other in the process.
    pub(crate) fn number(&self) -> u64 {
        self.0.number()
    }
}

trait Sight: Send + Sync {
    fn look(&self, event: &RecordedEvent) -> Look;
    fn number(&self) -> u64;
}

/// A hook and one of its views.
struct Seen<P: Present> {
    number: u64,
    present: Arc<P>,
    key: P::View,
}

impl<P: Present> Sight for Seen<P> {
    fn look(&self, event: &RecordedEvent) -> Look {
        self.present.present(&self.key, event)
    }

    fn number(&self) -> u64 {
        self.number
    }
}

impl<P: Present> fmt::Debug for Views<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Views").finish_non_exhaustive()
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("View").field(&self.number()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Present for Nothing {
        type View = u32;

        fn present(&self, _: &u32, _: &RecordedEvent) -> Look {
            Look::Hidden
        }
    }

    #[test]
    fn equal_keys_are_one_view_while_it_is_used() {
        let views = Views::new(Nothing);
        let (one, other) = (views.of(1), views.of(1));
        assert_eq!(one.number(), other.number());
        assert_ne!(one.number(), views.of(2).number());
        let number = one.number();
        drop((one, other));
        assert_ne!(views.of(1).number(), number);
        let elsewhere = Views::new(Nothing);
        assert_ne!(elsewhere.of(1).number(), views.of(1).number());
    }

    #[test]
    fn views_that_nobody_uses_are_forgotten() {
        let views = Views::new(Nothing);
        let used: Vec<_> = (0..100).map(|user| views.of(user)).collect();
        for user in 100..100_000 {
            drop(views.of(user));
        }
        let known = views.known.lock().unwrap().by_key.len();
        assert!((used.len()..=2 * used.len()).contains(&known), "{known}");
        let again: Vec<_> = (0..100).map(|user| views.of(user).number()).collect();
        let before: Vec<_> = used.iter().map(View::number).collect();
        assert_eq!(again, before);
    }
}
