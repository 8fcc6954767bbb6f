/// How a command that tells how far it is is served: one that was registered with
/// [`DispatcherBuilder::streamed`](eventwire_cqrs::DispatcherBuilder::streamed).
///
/// What becomes of the work when the client goes away is a choice that has to be made.
///
/// ```
/// use eventwire_gateway::Streaming;
///
/// // Tokens of a model that nobody reads are not worth paying for.
/// let reply = Streaming::while_heard().for_strict_clients().closed_by("[DONE]");
/// // An import that was asked for is wanted.
/// let import = Streaming::to_the_end();
/// # let _ = (reply, import);
/// ```
#[derive(Debug, Clone)]
#[must_use = "it is the gateway's builder that is told"]
pub struct Streaming {
    pub(crate) goes_on_unheard: bool,
    pub(crate) profile: Profile,
}

/// What is told besides what the command tells.
#[derive(Debug, Clone)]
pub(crate) enum Profile {
    /// `event: done` with the receipt, or `event: failed` with the problem.
    Full,
    /// Nothing but data.
    Strict { closed_by: Option<String> },
}

impl Streaming {
    /// The work is dropped where it is when the client goes away: what it has appended stays,
    /// and what it awaits is cancelled.
    pub const fn while_heard() -> Self {
        Self::new(false)
    }

    /// The work goes on when the client goes away, and ends as it would have. A client that is
    /// there and does not read holds it up.
    pub const fn to_the_end() -> Self {
        Self::new(true)
    }

    /// For clients that know data and nothing else, as the SDKs of language models are: they get
    /// a stream whatever they accept, without events of a name and without heartbeats, so that
    /// what is between them must bear the longest silence of the handler. The end of the stream
    /// is the end of the command; a failure is told as `{"error":{"message","type","code"}}`.
    pub fn for_strict_clients(self) -> Self {
        let profile = Profile::Strict { closed_by: None };
        Self { profile, ..self }
    }

    /// Strict clients are sent this data where the command is done.
    pub fn closed_by(self, data: impl Into<String>) -> Self {
        let closed_by = Some(data.into());
        let profile = Profile::Strict { closed_by };
        Self { profile, ..self }
    }

    pub(crate) const fn is_strict(&self) -> bool {
        matches!(self.profile, Profile::Strict { .. })
    }

    const fn new(goes_on_unheard: bool) -> Self {
        Self {
            goes_on_unheard,
            profile: Profile::Full,
        }
    }
}
