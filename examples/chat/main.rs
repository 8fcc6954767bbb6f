//! A chat: `cargo run --release --example chat`, open the printed page in two tabs, kill the
//! server, start it again. Nothing that was answered is lost.
//!
//! Messages go in by `POST /commands/post-message` and come out on `GET /events?stream=room-lobby`.

mod page;
mod room;

use clap::Parser;
use eventwire::cqrs::Dispatcher;
use eventwire::feed::{Feed, FeedOptions};
use eventwire::gateway::Gateway;
use eventwire_examples::{
    Failure, LimitOptions, ListenOptions, RETURN, Server, StoreOptions, log_to_stderr, open_store,
};

use room::Room;

#[derive(Debug, Parser)]
#[command(about = "A chat whose messages survive the server")]
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
    let store = open_store(&options.store, "chat")?;
    let dispatcher = Dispatcher::builder(store.clone())
        .command::<Room>("post-message")
        .command::<Room>("close-room")
        .command::<Room>("reopen-room")
        .build();
    let feed = Feed::start(store, FeedOptions::default().return_within(RETURN)).await?;
    let gateway = Gateway::builder(feed).dispatcher(dispatcher);
    let gateway = options.limits.apply(gateway).build();

    let server = Server::bind(options.listen).await?;
    let (stopping, closing) = (server.stopping(), gateway.clone());
    tokio::spawn(async move {
        stopping.await;
        closing.close().await;
    });
    server
        .run(tower::service_fn(move |request| {
            page::answer(gateway.clone(), request)
        }))
        .await;
    Ok(())
}
