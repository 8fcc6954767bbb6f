//! The two ways in which a server writes its event streams: whatever holds of the one holds of
//! the other.

/// Who writes to the sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// hyper, to the end.
    Hyper,
    /// The writers, after the head.
    TakenOver,
}

impl Mode {
    /// What the server is told on its command line.
    pub(crate) fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Hyper => &[],
            Self::TakenOver => &["--take-over"],
        }
    }
}

/// Makes two tests of each function.
macro_rules! in_both_modes {
    ($($name:ident),* $(,)?) => {
        mod on_hyper {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::Mode::Hyper).await;
            }
        )*}

        mod taken_over {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::Mode::TakenOver).await;
            }
        )*}
    };
}

pub(crate) use in_both_modes;
