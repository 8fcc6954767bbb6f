//! Answers of a model, token by token: `cargo run --release --example tokens`, open the printed
//! page, ask, and reload it in the middle of the answer. Kill the server there, too.
//!
//! Three ways, by what an answer is worth:
//!
//! * `POST /runs` begins an answer that is written down as it comes, and follows no matter who
//!   reads it: `GET /events?stream=run-...` shows it from the start or after any of its events,
//!   to any number of readers. A server that was killed goes on where it was.
//! * `POST /brief` begins an answer that is kept in memory for ten minutes at least, and until more is
//!   appended: `GET /brief/events?tag=answer:...&from=start` shows it, and goes on with it after a
//!   reload. It ends with the server.
//! * `POST /once` answers with the tokens and keeps nothing. The model stops when its reader
//!   leaves.

mod brief;
mod model;
mod once;
mod routes;
mod runs;

use std::time::Duration;

use clap::Parser;
use eventwire::feed::{Feed, FeedOptions};
use eventwire::gateway::Gateway;
use eventwire_examples::{
    Failure, LimitOptions, ListenOptions, RETURN, Server, StoreOptions, log_to_stderr, open_store,
};

use brief::BriefAnswers;
use model::Model;
use routes::App;
use runs::Runs;

#[derive(Debug, Parser)]
#[command(about = "Answers of a model, token by token, that survive a reload and a crash")]
struct Options {
    #[command(flatten)]
    listen: ListenOptions,
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    limits: LimitOptions,
    /// How long the model takes for a token.
    #[arg(long, value_name = "TIME", default_value = "60ms", value_parser = humantime::parse_duration)]
    pace: Duration,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    log_to_stderr();
    let options = Options::parse();
    let store = open_store(&options.store, "tokens")?;
    let model = Model::new(options.pace);
    let runs = Runs::new(store.clone(), model.clone());
    runs.go_on_with_all().await?;
    let feed = Feed::start(store, FeedOptions::default().return_within(RETURN)).await?;
    let gateway = options.limits.apply(Gateway::builder(feed)).build();
    let brief = BriefAnswers::new(model.clone());
    let feed_options = FeedOptions::default().return_within(RETURN);
    let feed = Feed::start(brief.store.clone(), feed_options).await?;
    let of_brief = Gateway::builder(feed).prefix("/brief");
    let of_brief = options.limits.apply(of_brief).build();

    let server = Server::bind(options.listen).await?;
    let (stopping, closing) = (server.stopping(), [gateway.clone(), of_brief.clone()]);
    tokio::spawn(async move {
        stopping.await;
        let [one, other] = closing;
        tokio::join!(one.close(), other.close());
    });
    let app = App {
        gateway,
        of_brief,
        runs,
        brief,
        model,
        stopping: server.stopping(),
    };
    server
        .run(tower::service_fn(move |request| {
            app.clone().answer(request)
        }))
        .await;
    Ok(())
}
