use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::inbox::Inbox;
use crate::shard::{Arrival, Shard};

/// Steps after which other tasks have their turn: a few hundred microseconds of writes.
const STEPS: usize = 64;

/// Runs a shard: waits for its sockets, its streams and the clock. It never ends.
pub(crate) struct ShardTask<S> {
    shard: Shard<S>,
    inbox: Arc<Inbox<Arrival<S>>>,
    timer: Pin<Box<Sleep>>,
    /// How many connections there are in all shards: each is counted when it is sent to one.
    open: watch::Sender<usize>,
    /// How many of them are here, and counted.
    counted: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> ShardTask<S> {
    /// On the tokio runtime this is called in.
    pub(crate) fn new(
        inbox: Arc<Inbox<Arrival<S>>>,
        stalled_after: Duration,
        open: watch::Sender<usize>,
    ) -> Self {
        Self {
            shard: Shard::new(Arc::clone(&inbox), stalled_after),
            inbox,
            timer: Box::pin(sleep_until(Instant::now())),
            open,
            counted: 0,
        }
    }

    /// Looks at what has come from elsewhere.
    fn take_in(&mut self, context: &Context<'_>) {
        let news = self.inbox.take(context);
        self.counted += news.arrivals.len();
        for arrival in news.arrivals {
            self.shard.admit(arrival);
        }
        for target in news.woken {
            self.shard.woken(target);
        }
    }

    /// Tells how many connections are gone.
    fn count(&mut self) {
        let gone = self.counted - self.shard.len();
        if gone > 0 {
            self.open.send_modify(|open| *open -= gone);
            self.counted -= gone;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Future for ShardTask<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let now = Instant::now();
        this.take_in(context);
        let has_more = this.shard.work(now, STEPS);
        this.count();
        if has_more {
            context.waker().wake_by_ref();
        } else if let Some(alarm) = this.shard.next_alarm() {
            if this.timer.deadline() != alarm {
                this.timer.as_mut().reset(alarm);
            }
            if this.timer.as_mut().poll(context).is_ready() {
                context.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }
}
