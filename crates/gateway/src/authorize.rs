use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use http::HeaderValue;
use http::request::Parts;

use crate::principal::Principal;
use crate::problem::{Kind, Problem};

/// Who a request is from, or why it is refused: the hook of
/// [`GatewayBuilder::authorize`](crate::GatewayBuilder::authorize).
///
/// It sees the head of every request, the ones that resume a stream included, before anything else
/// is looked at. A function that takes the head and returns a future is one: what it needs of the
/// head it takes out first, and then it may wait.
///
/// ```
/// use eventwire_gateway::{Authorize, Denial, Principal};
/// use http::request::Parts;
/// use http::{HeaderValue, header};
///
/// fn bearer(request: &Parts) -> impl Future<Output = Result<Principal, Denial>> + use<> {
///     let token = request.headers.get(header::AUTHORIZATION).cloned();
///     async move {
///         match token.as_ref().map(HeaderValue::as_bytes) {
///             // Look it up where tokens are kept.
///             Some(b"Bearer 7c9e") => Ok(Principal::new("ada")),
///             _ => Err(Denial::unauthenticated(
///                 HeaderValue::from_static("Bearer"),
///                 "a bearer token is needed",
///             )),
///         }
///     }
/// }
/// # fn is_hook(_: impl Authorize) {}
/// # is_hook(bearer);
/// ```
///
/// Who may do what in the domain is for [`layers::authorize`](eventwire_cqrs::layers::authorize),
/// which sees the principal as the caller of a command.
pub trait Authorize: Send + Sync + 'static {
    /// Who the request is from.
    ///
    /// # Errors
    /// [`Denial`], where it is refused.
    ///
    /// # Cancel safety
    /// The future is dropped where the client goes away or the gateway closes.
    fn authorize<'a>(&'a self, request: &'a Parts) -> Authorizing<'a>;
}

/// The answer of an [`Authorize`] hook, boxed so that hooks can be kept.
pub type Authorizing<'a> = Pin<Box<dyn Future<Output = Result<Principal, Denial>> + Send + 'a>>;

impl<F, Fut> Authorize for F
where
    F: Fn(&Parts) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Principal, Denial>> + Send + 'static,
{
    fn authorize<'a>(&'a self, request: &'a Parts) -> Authorizing<'a> {
        Box::pin(self(request))
    }
}

/// Why a request is refused. The caller is told the detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial(Reason);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    Unauthenticated {
        challenge: HeaderValue,
        detail: String,
    },
    Forbidden {
        detail: String,
    },
    Unavailable {
        retry_after: Option<Duration>,
    },
}

impl Denial {
    /// `401`: it is not known who asks. The challenge says in `WWW-Authenticate` how to be known
    /// (RFC 9110, section 11.6.1): `Bearer`.
    pub fn unauthenticated(challenge: HeaderValue, detail: impl Into<String>) -> Self {
        Self(Reason::Unauthenticated {
            challenge,
            detail: detail.into(),
        })
    }

    /// `403`: who asks may not.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self(Reason::Forbidden {
            detail: detail.into(),
        })
    }

    /// `503`: it cannot be found out at the moment who asks. Say when to come back, where that is
    /// known.
    #[must_use]
    pub const fn unavailable(retry_after: Option<Duration>) -> Self {
        Self(Reason::Unavailable { retry_after })
    }
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        match denial.0 {
            Reason::Unauthenticated { challenge, detail } => {
                Self::new(Kind::Unauthenticated, detail).challenge(challenge)
            }
            Reason::Forbidden { detail } => Self::new(Kind::Forbidden, detail),
            Reason::Unavailable { retry_after } => {
                Self::busy("it cannot be found out at the moment who asks").retry_after(retry_after)
            }
        }
    }
}
