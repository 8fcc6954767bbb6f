//! The raw log over HTTP: `cargo run --example log`.
//!
//! `POST /streams/{stream}` appends, `GET /streams/{stream}` and `GET /events` read: as an
//! event stream, or as JSON pages with `Accept: application/json`. No authentication: for
//! loopback, or behind something that has it.

use clap::Parser;
use eventwire::feed::{Feed, FeedOptions};
use eventwire::gateway::Gateway;
use eventwire_examples::{
    Failure, LimitOptions, ListenOptions, RETURN, Server, StoreOptions, log_to_stderr, open_store,
};

#[derive(Debug, Parser)]
#[command(about = "The raw event log over HTTP")]
struct Options {
    #[command(flatten)]
    listen: ListenOptions,
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    limits: LimitOptions,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    log_to_stderr();
    let options = Options::parse();
    let store = open_store(&options.store, "log")?;
    let feed = Feed::start(store, FeedOptions::default().return_within(RETURN)).await?;
    let gateway = Gateway::builder(feed).raw_log();
    let gateway = options.limits.apply(gateway).build();

    let server = Server::bind(options.listen).await?;
    let (stopping, closing) = (server.stopping(), gateway.clone());
    tokio::spawn(async move {
        stopping.await;
        closing.close().await;
    });
    server.run(gateway).await;
    Ok(())
}
