use std::any::Any;
use std::fmt;
use std::sync::Arc;

use eventwire_cqrs::Caller;

/// Who a request is from: an id that tells principals apart, and what else the program knows.
///
/// The [`Authorize`](crate::Authorize) hook names it. Where there is no hook, one that a layer
/// around the gateway put into the request's extensions is believed; else it is
/// [anonymous](Self::anonymous).
///
/// Commands see it as the [`Caller`] of their call:
///
/// ```
/// use eventwire_cqrs::{Call, CommandRequest, layers};
/// use eventwire_gateway::Principal;
///
/// let only_ada = layers::authorize(|call: &CommandRequest| {
///     let principal = call.caller().as_ref::<Principal>();
///     match principal.and_then(Principal::id) {
///         Some("ada") => Ok(()),
///         _ => Err("this is Ada's".to_owned()),
///     }
/// });
/// # let _ = only_ada;
/// ```
#[derive(Clone)]
pub struct Principal {
    id: Option<Arc<str>>,
    claims: Option<Arc<dyn Any + Send + Sync>>,
}

impl Principal {
    /// Somebody: two requests are from the same principal where the ids are equal.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self {
            id: Some(id.into()),
            claims: None,
        }
    }

    /// Nobody in particular, and no two of them the same.
    #[must_use]
    pub const fn anonymous() -> Self {
        Self {
            id: None,
            claims: None,
        }
    }

    /// Says more about it: roles, a tenant, a token's claims, in a type of the program's own. The
    /// last is kept.
    #[must_use]
    pub fn with<T: Send + Sync + 'static>(mut self, claims: T) -> Self {
        self.claims = Some(Arc::new(claims));
        self
    }

    /// What tells it apart; none where it is anonymous.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The id, to keep.
    pub(crate) fn shared_id(&self) -> Option<Arc<str>> {
        self.id.clone()
    }

    /// What was said about it; none where that was not said, or said in another type.
    #[must_use]
    pub fn claims<T: 'static>(&self) -> Option<&T> {
        self.claims.as_ref()?.downcast_ref()
    }

    /// As commands are told: somebody only where there is something to know.
    pub(crate) fn to_caller(&self) -> Caller {
        if self.id.is_none() && self.claims.is_none() {
            return Caller::default();
        }
        Caller::new(self.clone())
    }
}

impl fmt::Debug for Principal {
    /// The id alone: claims may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
