use clap::ValueEnum;

/// Who fans out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Contestant {
    /// A feed over the store in memory, its body on hyper's HTTP/1.1.
    Eventwire,
    /// The same, its sockets taken over from hyper after the head.
    TakeOver,
    /// The same, its body on hyper's HTTP/2.
    Http2,
    /// axum, every event encoded once, a broadcast channel: what a careful person writes.
    AxumBytes,
    /// axum's `Sse` over a broadcast channel: what everyone writes.
    AxumSse,
    /// nginx with nchan, one process, published to by its HTTP interface.
    Nchan,
    /// Node's `http`, `response.write` for each listener.
    Node,
    /// A write of the event to each socket, no HTTP: what the machine can do without joining.
    Raw,
    /// The same, all that is published at once in one write.
    RawJoined,
}

impl Contestant {
    pub fn name(self) -> &'static str {
        match self {
            Self::Eventwire => "eventwire",
            Self::TakeOver => "eventwire, taken over",
            Self::Http2 => "eventwire, HTTP/2",
            Self::AxumBytes => "axum + Bytes",
            Self::AxumSse => "axum Sse",
            Self::Nchan => "nchan",
            Self::Node => "Node",
            Self::Raw => "raw, a write an event",
            Self::RawJoined => "raw, a write a round",
        }
    }

    /// Whether a listener can ask for a part of the events.
    pub fn has_topics(self) -> bool {
        matches!(self, Self::Eventwire | Self::TakeOver | Self::Nchan)
    }
}
