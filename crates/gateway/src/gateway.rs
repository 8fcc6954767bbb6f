use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use eventwire_cqrs::Dispatcher;
use eventwire_feed::{Feed, Offer, Present, Views};
use eventwire_sse::Frame;
use eventwire_store::backend::assign_uuid;
use http::header::{ALLOW, CACHE_CONTROL, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use tokio::sync::watch;
use tower_service::Service;

use crate::allow::AllowLists;
use crate::authorize::Authorize;
use crate::body::GatewayBody;
use crate::command::{Around, Commands};
use crate::events::{self, MAX_PAGE_BYTES, ReadingOptions, ViewOf};
use crate::open_streams::OpenStreams;
use crate::principal::Principal;
use crate::problem::Problem;
use crate::request::read_all;
use crate::route::{Resource, Route};
use crate::streaming::Streaming;
use crate::{append, query};

/// Every answer names the request it belongs to, as the log does.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The HTTP profile as a service that hyper, axum or any `tower` server can mount.
///
/// A clone is the same gateway. Every route is stateless: any instance over the same store
/// answers any request.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

struct Shared {
    feed: Feed,
    commands: Option<Commands>,
    allowed: AllowLists,
    authorize: Option<Box<dyn Authorize>>,
    has_raw_log: bool,
    prefix: String,
    max_body: usize,
    reading: ReadingOptions,
    is_closing: watch::Sender<bool>,
}

/// Makes a [`Gateway`]. What is not asked for is not served.
pub struct GatewayBuilder {
    shared: Shared,
}

impl Gateway {
    /// Serves the events of a feed; add what else it should serve.
    pub fn builder(feed: Feed) -> GatewayBuilder {
        GatewayBuilder {
            shared: Shared {
                feed,
                commands: None,
                allowed: AllowLists::default(),
                authorize: None,
                has_raw_log: false,
                prefix: String::new(),
                max_body: 1 << 20,
                reading: ReadingOptions {
                    heartbeat: Duration::from_secs(15),
                    opening: Frame::HEARTBEAT,
                    coalesce: 32 << 10,
                    retry: Some(Duration::from_secs(1)),
                    max_age: None,
                    open: Arc::default(),
                    max_page_bytes: MAX_PAGE_BYTES,
                    view_of: None,
                },
                is_closing: watch::Sender::new(false),
            },
        }
    }

    /// Answers new requests with `503`, and ends every open stream after what was
    /// acknowledged before the call; that of a client which takes nothing when it takes it, or
    /// when the server gives it up.
    ///
    /// # Cancel safety
    /// Dropped half-way, streams may still be open; call it again.
    pub async fn close(&self) {
        self.shared.is_closing.send_replace(true);
        self.shared.feed.close().await;
    }
}

impl GatewayBuilder {
    /// Serves `/commands/{name}` and `/queries/{name}`.
    #[must_use]
    pub fn dispatcher(mut self, dispatcher: Dispatcher) -> Self {
        self.shared.commands = Some(Commands {
            dispatcher,
            streamed: HashMap::new(),
        });
        self
    }

    /// Serves a command that tells how far it is at `/commands/{name}`, as an event stream to
    /// those who ask for one. What becomes of the work when the client goes away is said by
    /// [`Streaming`].
    ///
    /// # Panics
    /// Where the [`dispatcher`](Self::dispatcher) was not given before, or has no streamed command
    /// of this name.
    #[must_use]
    pub fn streamed(mut self, name: &str, how: Streaming) -> Self {
        let commands = self.shared.commands.as_mut();
        let commands = commands.expect("a dispatcher is given before its streamed commands");
        let is_known = commands
            .dispatcher
            .streamed_names()
            .any(|known| known == name);
        assert!(is_known, "the dispatcher has no streamed command `{name}`");
        commands.streamed.insert(name.to_owned(), how);
        self
    }

    /// Asks a hook who each request is from, and refuses those that it refuses, with `401`, `403`
    /// or `503`. Without one nobody is asked.
    #[must_use]
    pub fn authorize(mut self, hook: impl Authorize) -> Self {
        self.shared.authorize = Some(Box::new(hook));
        self
    }

    /// Shows each principal what it may see, as it is to look: `view_of` says which of the hook's
    /// views is a principal's, for every stream and every page. Without one everyone is shown
    /// everything.
    ///
    /// A stream keeps its view for as long as it is open: with [`max_age`](Self::max_age), what
    /// has changed about a principal shows within that time.
    ///
    /// ```
    /// use eventwire_feed::{Feed, Look, Present};
    /// use eventwire_gateway::{Gateway, GatewayBuilder, Principal};
    /// use eventwire_store::{RecordedEvent, Tag};
    ///
    /// /// Each tenant sees what is tagged as its own.
    /// struct Tenants;
    ///
    /// impl Present for Tenants {
    ///     type View = Option<Tag>;
    ///
    ///     fn present(&self, tenant: &Option<Tag>, event: &RecordedEvent) -> Look {
    ///         match tenant {
    ///             Some(tenant) if event.tags.contains(tenant) => Look::AsWritten,
    ///             _ => Look::Hidden,
    ///         }
    ///     }
    /// }
    ///
    /// fn gateway(feed: Feed) -> GatewayBuilder {
    ///     Gateway::builder(feed).present(Tenants, |principal: &Principal| {
    ///         principal.claims::<Tag>().cloned()
    ///     })
    /// }
    /// ```
    #[must_use]
    pub fn present<P: Present>(
        mut self,
        hook: P,
        view_of: impl Fn(&Principal) -> P::View + Send + Sync + 'static,
    ) -> Self {
        let views = Views::new(hook);
        let view_of = move |principal: &Principal| views.of(view_of(principal));
        self.shared.reading.view_of = Some(ViewOf(Arc::new(view_of)));
        self
    }

    /// Answers only for this host, and others that are allowed: `chat.example` at any port,
    /// `localhost:8080` at that one. For a server that browsers can reach and strangers cannot, on
    /// loopback or in a house: without it any page can have its own name point here (DNS
    /// rebinding) and read what it likes. What is for another host is answered `403`.
    ///
    /// # Panics
    /// Where it is not a host, with a port or without.
    #[must_use]
    pub fn allow_host(mut self, host: &str) -> Self {
        let authority = host.parse().unwrap_or_else(|error| {
            panic!("a host is a name or an address such as `chat.example`, not `{host}`: {error}")
        });
        self.shared.allowed.host(authority);
        self
    }

    /// Answers pages of this origin only, and of others that are allowed: `https://chat.example`.
    /// What is from a page of another is answered `403`; what is from no page, without an `Origin`,
    /// is not affected. It lets no page read what its browser would not: that is CORS, for
    /// `tower-http` around the gateway.
    ///
    /// # Panics
    /// Where it is not visible ASCII.
    #[must_use]
    pub fn allow_origin(mut self, origin: &str) -> Self {
        let origin = HeaderValue::from_str(origin).unwrap_or_else(|error| {
            panic!("an origin is such as `https://chat.example`, not `{origin}`: {error}")
        });
        self.shared.allowed.origin(origin);
        self
    }

    /// Serves `/streams/{stream}`: anyone who may reach it appends whatever they like.
    #[must_use]
    pub fn raw_log(mut self) -> Self {
        self.shared.has_raw_log = true;
        self
    }

    /// The path everything is mounted under: `/api`. Other paths are answered `404`.
    ///
    /// # Panics
    /// Where it is not a path: empty, or `/` and visible ASCII without a query.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        let is_path = prefix.is_empty() || prefix.starts_with('/');
        let is_plain = prefix
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'?' && byte != b'#');
        assert!(
            is_path && is_plain,
            "a prefix is a path such as `/api`, not `{prefix}`"
        );
        prefix
            .trim_end_matches('/')
            .clone_into(&mut self.shared.prefix);
        self
    }

    /// The largest request body, in bytes; 1 MiB unless set.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.shared.max_body = bytes;
        self
    }

    /// How long a stream may be idle before a comment is sent; 15 seconds unless set.
    #[must_use]
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.shared.reading.heartbeat = interval;
        self
    }

    /// Begins each event stream with a comment of so many spaces, for proxies and browsers that hold
    /// back the first kilobytes of an answer; with an empty comment unless set.
    #[must_use]
    pub fn padding(mut self, bytes: usize) -> Self {
        self.shared.reading.opening = Frame::comment(&" ".repeat(bytes));
        self
    }

    /// How many bytes of events that are read from the log may leave a body as one piece; 32 KiB unless
    /// set, and an event that is longer alone. Less of it is held for each client that does not
    /// read: what the server takes from the body before its socket is full, and a piece.
    ///
    /// New events that are joined once for all who want them are pieces of up to 64 KiB, whatever is
    /// set here.
    #[must_use]
    pub fn coalesce(mut self, bytes: usize) -> Self {
        self.shared.reading.coalesce = bytes;
        self
    }

    /// The reconnection time clients are told, on the first event of each stream; one
    /// second unless set, and none to leave it to the client.
    #[must_use]
    pub fn retry(mut self, delay: Option<Duration>) -> Self {
        self.shared.reading.retry = delay;
        self
    }

    /// How long a stream lasts: each ends cleanly somewhere between half of this and all of it, and
    /// its client comes back where it was, perhaps to another instance. Without end unless set.
    ///
    /// It ends when the server next asks for what there is to send, which it does not do while a
    /// client takes nothing of what it was sent before: how long it may do that is the server's to
    /// limit, for each stream where a connection has several.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.shared.reading.max_age = Some(age);
        self
    }

    /// How many event streams may be open; as many as come unless set. Who comes too many is
    /// answered `503` with `Retry-After`, a browser's `EventSource` with one event
    /// `eventwire.busy` that says when to come back.
    #[must_use]
    pub fn max_streams(mut self, streams: usize) -> Self {
        self.limits().limit(streams);
        self
    }

    /// How many event streams may be open for one address, where the server says whose a request
    /// is ([`PeerAddress`](crate::PeerAddress)); as many as come unless set. As for
    /// [`max_streams`](Self::max_streams), with `429`.
    #[must_use]
    pub fn max_streams_per_address(mut self, streams: usize) -> Self {
        self.limits().limit_per_address(streams);
        self
    }

    /// How many event streams may be open for one principal, where it has an id; as many as come
    /// unless set. As for [`max_streams`](Self::max_streams), with `429`.
    #[must_use]
    pub fn max_streams_per_principal(mut self, streams: usize) -> Self {
        self.limits().limit_per_principal(streams);
        self
    }

    /// How many bytes of events a JSON page has, at most: their names, payloads and metadata; 1
    /// MiB unless set. A page has one event in any case, and says where the next one begins.
    #[must_use]
    pub fn max_page_bytes(mut self, bytes: u64) -> Self {
        self.shared.reading.max_page_bytes = bytes;
        self
    }

    fn limits(&mut self) -> &mut OpenStreams {
        Arc::get_mut(&mut self.shared.reading.open).expect("nothing is served yet")
    }

    /// The service.
    #[must_use]
    pub fn build(self) -> Gateway {
        Gateway {
            shared: Arc::new(self.shared),
        }
    }
}

impl Shared {
    async fn answer<B>(&self, parts: &mut Parts, body: B) -> Result<Response<GatewayBody>, Problem>
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        if *self.is_closing.borrow() {
            return Err(Problem::busy("the server is shutting down"));
        }
        self.allowed.check(parts)?;
        let principal = self.unless_closing(self.principal(parts)).await?;
        // Whatever answers the request finds it where a layer around the gateway would put it.
        parts.extensions.insert(principal.clone());
        let path = parts.uri.path();
        let below = path
            .strip_prefix(&self.prefix)
            .filter(|below| below.starts_with('/'))
            .ok_or_else(|| Problem::nothing_at(path))?;
        let route = Route::of(&parts.method, self.served(Resource::at(below)?, path)?)?;
        let store = &**self.feed.store();
        match route {
            Route::Options(methods) => Ok(allow(methods)),
            Route::Events(stream) => {
                self.unless_closing(events::read(
                    &self.feed,
                    &self.reading,
                    stream.as_deref(),
                    parts,
                ))
                .await
            }
            Route::Append(stream) => {
                let body = self.unless_closing(read_all(body, self.max_body)).await?;
                append::append(store, &self.prefix, &stream, &parts.headers, body).await
            }
            Route::Command(name) => {
                let body = self.unless_closing(read_all(body, self.max_body)).await?;
                let caller = principal.to_caller();
                let around = Around {
                    store: self.feed.store(),
                    reading: &self.reading,
                    is_closing: &self.is_closing,
                };
                let commands = self.commands();
                commands.run(&name, caller, parts, body, around).await
            }
            Route::Query(name) => {
                let body = self.unless_closing(read_all(body, self.max_body)).await?;
                self.unless_closing(query::run(
                    &self.commands().dispatcher,
                    store,
                    &name,
                    parts,
                    body,
                ))
                .await
            }
        }
    }

    async fn principal(&self, parts: &Parts) -> Result<Principal, Problem> {
        match &self.authorize {
            Some(hook) => Ok(hook.authorize(parts).await?),
            None => Ok(parts
                .extensions
                .get()
                .cloned()
                .unwrap_or(Principal::anonymous())),
        }
    }

    /// The answer of what only waits or reads; `503` where the gateway closes first. Whatever
    /// may have written is not cut short.
    async fn unless_closing<T>(
        &self,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let mut is_closing = self.is_closing.subscribe();
        tokio::select! {
            answer = work => answer,
            _ = is_closing.wait_for(|is_closing| *is_closing) => {
                Err(Problem::busy("the server is shutting down"))
            }
        }
    }

    /// The resource, where this gateway has it.
    fn served(&self, resource: Resource, path: &str) -> Result<Resource, Problem> {
        let is_served = match resource {
            Resource::Events => true,
            Resource::Stream(_) => self.has_raw_log,
            Resource::Command(_) | Resource::Query(_) => self.commands.is_some(),
        };
        if is_served {
            Ok(resource)
        } else {
            Err(Problem::nothing_at(path))
        }
    }

    fn commands(&self) -> &Commands {
        self.commands
            .as_ref()
            .expect("commands and queries are routed only where there is a dispatcher")
    }
}

fn allow(methods: &'static str) -> Response<GatewayBody> {
    let mut response = Response::new(GatewayBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(methods));
    response
}

/// The id the request came with, or a fresh one.
fn request_id(parts: &Parts) -> HeaderValue {
    parts.headers.get(REQUEST_ID).cloned().unwrap_or_else(|| {
        let id = assign_uuid(SystemTime::now()).to_string();
        HeaderValue::from_str(&id).expect("a UUID is ASCII")
    })
}

impl<B> Service<Request<B>> for Gateway
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<GatewayBody>;
    type Error = Infallible;
    type Future = GatewayFuture;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> GatewayFuture {
        let shared = Arc::clone(&self.shared);
        let (mut parts, body) = request.into_parts();
        GatewayFuture(Box::pin(async move {
            let id = request_id(&parts);
            let answer = shared.answer(&mut parts, body).await;
            let mut response = answer.unwrap_or_else(|problem| {
                tracing::debug!(?problem, method = %parts.method, path = parts.uri.path(), ?id, "refused");
                problem.into_response()
            });
            let headers = response.headers_mut();
            headers.insert(REQUEST_ID, id);
            headers
                .entry(CACHE_CONTROL)
                .or_insert(HeaderValue::from_static("no-store"));
            if parts.method == Method::HEAD {
                response = response.map(|_body| GatewayBody::withheld());
                response.extensions_mut().remove::<Offer>();
            }
            Ok(response)
        }))
    }
}

/// The answer of a [`Gateway`], boxed so that it has a name. Never an error: what goes
/// wrong is an answer too.
#[must_use = "a future does nothing until it is polled"]
pub struct GatewayFuture(
    Pin<Box<dyn Future<Output = Result<Response<GatewayBody>, Infallible>> + Send>>,
);

impl Future for GatewayFuture {
    type Output = Result<Response<GatewayBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for GatewayFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayFuture").finish_non_exhaustive()
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("prefix", &self.shared.prefix)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for GatewayBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayBuilder")
            .field("prefix", &self.shared.prefix)
            .finish_non_exhaustive()
    }
}
