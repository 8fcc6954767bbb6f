use bytes::Bytes;
use eventwire_store::{Expect, Fingerprint, IdempotencyKey};

use crate::caller::Caller;

/// A command as it comes from outside: its name, its JSON, and under which conditions.
///
/// ```
/// use eventwire_cqrs::CommandRequest;
/// use eventwire_store::{Expect, IdempotencyKey};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let request = CommandRequest::new("post-message", r#"{"room":"lobby","text":"hi"}"#)
///     .expect(Expect::Exists)
///     .key(IdempotencyKey::new("7c9e")?);
/// # assert_eq!(request.name(), "post-message");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct CommandRequest {
    name: String,
    body: Bytes,
    pub(crate) expect: Expect,
    pub(crate) key: Option<IdempotencyKey>,
    pub(crate) metadata: Bytes,
    pub(crate) caller: Caller,
}

impl CommandRequest {
    /// A command by its name, with the content of its variant as JSON. For a variant
    /// without content the body is `null` or empty.
    #[must_use]
    pub fn new(name: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self {
            name: name.into(),
            body: body.into(),
            expect: Expect::Any,
            key: None,
            metadata: Bytes::new(),
            caller: Caller::default(),
        }
    }

    /// What the stream of the command's boundary must be; see [`CommandOptions::expect`].
    #[must_use]
    pub fn expect(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }

    /// Makes repeating this request safe: name and body, as sent, are what counts as the
    /// same request. See [`CommandOptions::key`].
    #[must_use]
    pub fn key(mut self, key: IdempotencyKey) -> Self {
        self.key = Some(key);
        self
    }

    /// What is about the command rather than in it; see [`CommandOptions::metadata`].
    #[must_use]
    pub fn metadata(mut self, metadata: impl Into<Bytes>) -> Self {
        self.metadata = metadata.into();
        self
    }

    /// Says who asks; see [`CommandOptions::from_caller`].
    #[must_use]
    pub fn from_caller(mut self, caller: Caller) -> Self {
        self.caller = caller;
        self
    }

    /// Who asks.
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The command's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The command's content, as sent.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    pub(crate) fn into_options(self) -> CommandOptions {
        let options = CommandOptions::default()
            .expect(self.expect)
            .metadata(self.metadata)
            .from_caller(self.caller);
        match self.key {
            Some(key) => {
                let sent = Fingerprint::of([self.name.as_bytes(), &self.body]);
                options.key(key, sent)
            }
            None => options,
        }
    }
}

/// Under which conditions a command is executed. By default none: any stream, no key, no
/// metadata, nobody who asks.
#[derive(Debug, Clone, Default)]
pub struct CommandOptions {
    pub(crate) expect: Expect,
    pub(crate) identity: Option<(IdempotencyKey, Fingerprint)>,
    pub(crate) metadata: Bytes,
    pub(crate) caller: Caller,
}

impl CommandOptions {
    /// What the stream of the command's boundary must be: what the caller has seen of it.
    /// Where it is not, the answer is
    /// [`CommandError::Precondition`](crate::CommandError::Precondition), without a retry.
    ///
    /// Judged by what the store's readers are shown: where they trail, wait for the position
    /// the expectation comes from ([`EventStore::wait_for`](eventwire_store::EventStore::wait_for)).
    #[must_use]
    pub fn expect(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }

    /// Makes repeating the command safe: with the same key its events are written once, and
    /// a repetition with the same fingerprint gets the first receipt. Another fingerprint
    /// is [`CommandError::KeyReused`](crate::CommandError::KeyReused).
    ///
    /// A refusal, or a decision that nothing needs to happen, writes nothing and so is not
    /// remembered: a repetition is decided afresh.
    #[must_use]
    pub fn key(mut self, key: IdempotencyKey, fingerprint: Fingerprint) -> Self {
        self.identity = Some((key, fingerprint));
        self
    }

    /// What every event of this command carries as metadata, untouched.
    #[must_use]
    pub fn metadata(mut self, metadata: impl Into<Bytes>) -> Self {
        self.metadata = metadata.into();
        self
    }

    /// Says who asks, for the [layers](crate::layers) that ask that. The decision is not
    /// told: what depends on who asks is a part of the command.
    #[must_use]
    pub fn from_caller(mut self, caller: Caller) -> Self {
        self.caller = caller;
        self
    }
}
