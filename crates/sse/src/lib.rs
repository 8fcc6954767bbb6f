//! Server-Sent Events wire format: an encoder that cannot be injected into and an incremental, zero-copy parser.
