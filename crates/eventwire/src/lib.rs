#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "cqrs")]
pub use eventwire_cqrs as cqrs;
#[cfg(feature = "feed")]
pub use eventwire_feed as feed;
#[cfg(feature = "gateway")]
pub use eventwire_gateway as gateway;
#[cfg(feature = "sse")]
pub use eventwire_sse as sse;
#[cfg(feature = "sse-body")]
pub use eventwire_sse_body as sse_body;
#[cfg(feature = "sse-hub")]
pub use eventwire_sse_hub as sse_hub;
#[cfg(feature = "store")]
pub use eventwire_store as store;
#[cfg(feature = "store-file")]
pub use eventwire_store_file as store_file;
#[cfg(feature = "takeover")]
pub use eventwire_takeover as takeover;
