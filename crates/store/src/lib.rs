//! The event store contract: positions, streams, guards and queries, with an in-memory backend.
