use std::any::Any;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use eventwire_feed::{Ending, FrameStream, Offered, Part};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::alarms::Alarm;

/// How long a client may take to close its side once the stream has ended. Closing the socket
/// earlier could take from it what it has not read (RFC 9112, section 9.6).
const LINGER: Duration = Duration::from_millis(500);

/// The timer's own resolution: less would keep a task busy with nothing else.
const SHORTEST: Duration = Duration::from_millis(1);

/// How much a client may send that nobody asked for.
const MOST_UNASKED: usize = 64 << 10;

/// One connection of a shard.
pub(crate) struct Member<S> {
    socket: S,
    pub(crate) stage: Stage,
    /// Whom the socket wakes, and the stream while it is its own.
    pub(crate) waker: Waker,
    /// Whether it waits for its turn to be polled.
    pub(crate) is_queued: bool,
    /// What the socket had no room for: of one chunk, shared by all who are held up at it. In a
    /// box, since few are.
    rest: Option<Box<Bytes>>,
    /// When the socket last took something, or was last offered something.
    moved_at: Instant,
    heartbeat: Duration,
    received: usize,
    /// When it is looked after next.
    pub(crate) alarm: Alarm,
    _held: Option<Box<dyn Any + Send>>,
}

/// What a member is sent.
pub(crate) enum Stage {
    /// What its own stream has.
    Own(Box<FrameStream>),
    /// What a group has.
    Shared {
        group: usize,
        place: usize,
        part: Part,
    },
    /// Nothing more; what was written last is on its way.
    Ending,
    /// Nothing more, and it has been told.
    Closing,
}

impl Stage {
    /// It is over, and counts as one that ended so, unless it was over before.
    pub(crate) fn end(self, ending: Ending) {
        match self {
            Self::Own(mut frames) => frames.part().end(ending),
            Self::Shared { part, .. } => part.end(ending),
            Self::Ending | Self::Closing => {}
        }
    }
}

/// The client is gone, or is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gone;

/// What is to be done about time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Heartbeat,
    /// Its time is over.
    End,
    /// It takes nothing, or does not close.
    Cut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Member<S> {
    pub(crate) fn new(socket: S, offered: Offered, waker: Waker, now: Instant) -> Self {
        Self {
            socket,
            stage: Stage::Own(offered.frames),
            waker,
            is_queued: false,
            rest: None,
            moved_at: now,
            heartbeat: offered.heartbeat.max(SHORTEST),
            received: 0,
            alarm: Alarm::void(now),
            _held: offered.held,
        }
    }

    /// Lets go of it. Its stream counts as one that ended so.
    pub(crate) fn end(self, ending: Ending) {
        self.stage.end(ending);
    }

    /// Begins its silence anew.
    pub(crate) fn touch(&mut self, now: Instant) {
        self.moved_at = now;
    }

    /// Whether the socket has no room for more.
    pub(crate) fn is_held_up(&self) -> bool {
        self.rest.is_some()
    }

    /// Writes; what there is no room for is kept, as a part of `copy`, which is made where it is
    /// needed.
    ///
    /// # Panics
    /// In debug builds, where it is held up already.
    pub(crate) fn send(
        &mut self,
        bytes: &[u8],
        copy: &mut Option<Bytes>,
        now: Instant,
    ) -> Result<(), Gone> {
        debug_assert!(!self.is_held_up(), "bytes leave in order");
        self.moved_at = now;
        let taken = self.write(bytes)?;
        if taken < bytes.len() {
            let copy = copy.get_or_insert_with(|| Bytes::copy_from_slice(bytes));
            self.rest = Some(Box::new(copy.slice(taken..)));
        }
        Ok(())
    }

    /// Writes more of what was kept. The socket says when there is room.
    pub(crate) fn go_on(&mut self, now: Instant) -> Result<(), Gone> {
        let Some(mut rest) = self.rest.take() else {
            return Ok(());
        };
        let taken = self.write(&rest)?;
        if taken > 0 {
            self.moved_at = now;
        }
        rest.advance(taken);
        // Once it is empty the whole chunk is let go.
        self.rest = rest.has_remaining().then_some(rest);
        Ok(())
    }

    /// Says that nothing more comes, once everything was written.
    pub(crate) fn close_if_ended(&mut self, now: Instant) -> Result<(), Gone> {
        if matches!(self.stage, Stage::Ending) && !self.is_held_up() {
            let mut context = Context::from_waker(&self.waker);
            if Pin::new(&mut self.socket)
                .poll_shutdown(&mut context)
                .map_err(|_error| Gone)?
                .is_pending()
            {
                return Ok(());
            }
            self.stage = Stage::Closing;
            self.moved_at = now;
        }
        Ok(())
    }

    /// Throws away what the client sends. It is gone once it has closed its side, as for hyper.
    pub(crate) fn receive(&mut self) -> Result<(), Gone> {
        let mut context = Context::from_waker(&self.waker);
        let mut bytes = [0; 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.socket).poll_read(&mut context, &mut buffer) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(_error)) => return Err(Gone),
                Poll::Ready(Ok(())) => {
                    self.received += buffer.filled().len();
                    if buffer.filled().is_empty() || self.received > MOST_UNASKED {
                        return Err(Gone);
                    }
                }
            }
        }
    }

    /// Writes until all is written or there is no room: it is woken when there is.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Gone> {
        let mut context = Context::from_waker(&self.waker);
        let mut taken = 0;
        while taken < bytes.len() {
            match Pin::new(&mut self.socket).poll_write(&mut context, &bytes[taken..]) {
                Poll::Ready(Ok(0) | Err(_)) => return Err(Gone),
                Poll::Ready(Ok(length)) => taken += length,
                Poll::Pending => break,
            }
        }
        Ok(taken)
    }

    /// When something is due next, as things stand.
    pub(crate) fn due_at(&self, stalled_after: Duration) -> Instant {
        if matches!(self.stage, Stage::Closing) {
            return self.moved_at + LINGER;
        }
        if self.is_held_up() {
            return self.moved_at + stalled_after;
        }
        // No interval that is counted in centuries comes to its end.
        let never = Duration::from_secs(1 << 32);
        let heartbeat = self.moved_at + self.heartbeat.min(never);
        self.ends_at().map_or(heartbeat, |end| end.min(heartbeat))
    }

    /// When its time is over, where its stream does not see to it.
    fn ends_at(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Shared { part, .. } => part.ends_at(),
            Stage::Own(_) | Stage::Ending | Stage::Closing => None,
        }
    }

    /// What is due now.
    pub(crate) fn due(&self, now: Instant, stalled_after: Duration) -> Due {
        if self.due_at(stalled_after) > now {
            Due::Nothing
        } else if matches!(self.stage, Stage::Closing) || self.is_held_up() {
            Due::Cut
        } else if self.ends_at().is_some_and(|end| end <= now) {
            Due::End
        } else {
            Due::Heartbeat
        }
    }
}
