//! When a stream has been silent for long enough to say that it lives.

#[cfg(not(feature = "tokio"))]
pub(crate) use never::Heartbeat;
#[cfg(feature = "tokio")]
pub(crate) use timed::Heartbeat;

#[cfg(feature = "tokio")]
mod timed {
    use std::pin::Pin;
    use std::ptr;
    use std::task::{Context, Poll, Waker, ready};
    use std::time::Duration;

    use pin_project_lite::pin_project;
    use tokio::task::coop::has_budget_remaining;
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
            // Whom the timer wakes, unless it has fired.
            wakes: Option<WakerId>,
        }
    }

    /// Tells a waker from all others that live. Nothing is kept alive by it: the timer has the
    /// waker until it fires.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct WakerId {
        data: usize,
        vtable: usize,
    }

    impl WakerId {
        fn of(waker: &Waker) -> Self {
            Self {
                data: waker.data().addr(),
                vtable: ptr::from_ref(waker.vtable()).addr(),
            }
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
                wakes: None,
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
            let asks = WakerId::of(context.waker());
            // A body is polled several times for each time that it is woken: to look is cheaper
            // than to register again.
            if *this.wakes == Some(asks)
                && let Some(timer) = this.timer.as_ref().as_pin_ref()
                && !timer.is_elapsed()
            {
                return Poll::Pending;
            }
            let since = *this.silent_since.get_or_insert_with(Instant::now);
            let Some(due) = since.checked_add(interval) else {
                return Poll::Pending;
            };
            if this.timer.is_none() {
                this.timer.set(Some(sleep_until(due)));
            }
            let mut timer = this.timer.as_pin_mut().expect("set above");
            loop {
                // Without budget the timer is not asked, and the task is polled again at once.
                *this.wakes = has_budget_remaining().then_some(asks);
                ready!(timer.as_mut().poll(context));
                *this.wakes = None;
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
