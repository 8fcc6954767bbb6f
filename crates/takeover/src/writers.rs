use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::task::coop::unconstrained;

use crate::answer::Answer;
use crate::inbox::Inbox;
use crate::shard::Arrival;
use crate::task::ShardTask;

/// A few tasks that write event streams to any number of sockets.
///
/// A clone is the same writers. When the last is dropped, the connections are closed.
#[derive(Clone)]
pub struct Writers {
    shared: Arc<Shared>,
}

struct Shared {
    shards: Box<[Handle]>,
    next: AtomicUsize,
    open: watch::Sender<usize>,
}

struct Handle {
    inbox: Arc<Inbox<Arrival<TcpStream>>>,
    task: JoinHandle<()>,
}

/// How [`Writers`] write.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriterOptions {
    tasks: Option<NonZeroUsize>,
    stalled_after: Option<Duration>,
}

impl WriterOptions {
    /// How long a socket may take nothing before it is closed; 30 seconds unless set.
    #[must_use]
    pub const fn stalled_after(mut self, time: Duration) -> Self {
        self.stalled_after = Some(time);
        self
    }

    /// How many tasks share the connections; as many as there are processors unless set.
    #[must_use]
    pub const fn tasks(mut self, tasks: NonZeroUsize) -> Self {
        self.tasks = Some(tasks);
        self
    }
}

impl Writers {
    /// Starts the tasks, on the tokio runtime this is called in.
    ///
    /// # Panics
    /// Outside a tokio runtime with its timer enabled.
    #[must_use]
    pub fn start(options: WriterOptions) -> Self {
        let tasks = options.tasks.or_else(|| available_parallelism().ok());
        let stalled_after = options.stalled_after.unwrap_or(Duration::from_secs(30));
        let open = watch::Sender::new(0);
        let shards = (0..tasks.map_or(1, NonZeroUsize::get))
            .map(|_| Handle::start(stalled_after, open.clone()))
            .collect();
        let shared = Shared {
            shards,
            next: AtomicUsize::new(0),
            open,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Writes an answer to a socket until it ends, and closes it. The socket has written all
    /// that was to be written before; what it reads from now on is nobody's.
    ///
    /// Whether a peer that is gone is noticed before the next write to it is up to the socket's
    /// own options, of which none is changed.
    pub fn write(&self, socket: TcpStream, answer: Answer) {
        let Answer { head, offered } = answer;
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let shard = &self.shared.shards[number % self.shared.shards.len()];
        self.shared.open.send_modify(|open| *open += 1);
        shard.inbox.arrive(Arrival {
            socket,
            head,
            offered,
        });
    }

    /// How many connections are written to.
    #[must_use]
    pub fn connections(&self) -> usize {
        *self.shared.open.borrow()
    }

    /// Ready once there is no connection: some time after the feeds were closed, say.
    ///
    /// # Cancel safety
    /// Safe to drop.
    pub async fn idle(&self) {
        let mut open = self.shared.open.subscribe();
        let idle = open.wait_for(|open| *open == 0).await;
        idle.expect("its sender is in use");
    }
}

impl Handle {
    fn start(stalled_after: Duration, open: watch::Sender<usize>) -> Self {
        let inbox = Arc::default();
        let shard = ShardTask::new(Arc::clone(&inbox), stalled_after, open);
        // It lets others have their turn by itself.
        let task = tokio::spawn(unconstrained(shard));
        Self { inbox, task }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Writers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writers")
            .field("tasks", &self.shared.shards.len())
            .field("connections", &self.connections())
            .finish()
    }
}
