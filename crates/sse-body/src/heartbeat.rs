//! When a stream has been silent for long enough to say that it lives.

#[cfg(not(feature = "tokio"))]
pub(crate) use never::Heartbeat;
#[cfg(feature = "tokio")]
pub(crate) use timed::Heartbeat;

#[cfg(feature = "tokio")]
mod timed {
    use std::pin::Pin;
    use std::task::{Context, Poll, ready};
    use std::time::Duration;

    use pin_project_lite::pin_project;
    use tokio::time::{Instant, Sleep, sleep_until};

    /// The timer's own resolution. Less would keep a task busy with nothing else.
    const SHORTEST: Duration = Duration::from_millis(1);

    pin_project! {
        /// Due once nothing was sent for an interval.
        ///
        /// Sending only notes the time; the timer is set again when it fires, so it costs once
        /// an interval and not once a frame.
        #[derive(Debug)]
        pub(crate) struct Heartbeat {
            interval: Option<Duration>,
            silent_since: Option<Instant>,
            #[pin]
            timer: Option<Sleep>,
        }
    }

    impl Heartbeat {
        /// None: never due.
        pub(crate) fn new(interval: Option<Duration>) -> Self {
            let interval = interval.map(|interval| interval.max(SHORTEST));
            Self {
                interval,
                silent_since: None,
                timer: None,
            }
        }

        /// Begins the silence anew.
        pub(crate) fn sent(self: Pin<&mut Self>) {
            let this = self.project();
            if this.interval.is_some() {
                *this.silent_since = Some(Instant::now());
            }
        }

        /// Ready for as long as it is due.
        pub(crate) fn poll_due(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            let mut this = self.project();
            let Some(interval) = *this.interval else {
                return Poll::Pending;
            };
            let since = *this.silent_since.get_or_insert_with(Instant::now);
            let Some(due) = since.checked_add(interval) else {
                return Poll::Pending;
            };
            if this.timer.is_none() {
                this.timer.set(Some(sleep_until(due)));
            }
            let mut timer = this.timer.as_pin_mut().expect("set above");
            loop {
                ready!(timer.as_mut().poll(context));
                if timer.deadline() >= due {
                    return Poll::Ready(());
                }
                timer.as_mut().reset(due);
            }
        }
    }
}

#[cfg(not(feature = "tokio"))]
mod never {
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Duration;

    /// Never due: there is no timer.
    #[derive(Debug)]
    pub(crate) struct Heartbeat;

    impl Heartbeat {
        pub(crate) fn new(_: Option<Duration>) -> Self {
            Self
        }

        pub(crate) fn sent(self: Pin<&mut Self>) {}

        pub(crate) fn poll_due(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }
    }
}
