use std::sync::Arc;
use std::time::Duration;

use eventwire_sse::Frame;
use eventwire_store::{Position, RecordedEvent};

use crate::encode::{Encoder, Format};
use crate::looks::Looks;
use crate::present::{Look, View};
use crate::ring::Live;

/// How one subscriber is shown events: what it may see, in which form.
#[derive(Debug, Clone, Default)]
pub(crate) struct Presentation {
    pub(crate) view: Option<View>,
    pub(crate) format: Format,
}

/// Bytes of live events that are kept as others see them than those who see them as written.
pub(crate) const LOOKS_BYTES: usize = 4 << 20;

/// What makes blocks of events, for all subscribers of a feed.
#[derive(Debug, Clone)]
pub(crate) struct Presenter {
    pub(crate) encoder: Encoder,
    pub(crate) looks: Arc<Looks>,
}

impl Presenter {
    /// An event of the log as a block, anew; none where it is hidden.
    pub(crate) fn block(
        &self,
        to: &Presentation,
        event: &RecordedEvent,
        retry: Option<Duration>,
    ) -> Option<Frame> {
        let look = to
            .view
            .as_ref()
            .map_or(Look::AsWritten, |view| view.look(event));
        let encode = |seen| self.encoder.block(seen, to.format, retry);
        match look {
            Look::AsWritten => Some(encode(event)),
            Look::As(seen) => Some(encode(&seen)),
            Look::Hidden => None,
        }
    }

    /// A live event as a block, which all who are shown the same share; none where it is hidden.
    pub(crate) fn shared(&self, to: &Presentation, live: &Live) -> Option<Frame> {
        let Some(view) = &to.view else {
            return Some(self.as_written(to.format, live));
        };
        let key = (live.event().position, to.class());
        self.looks.look(key, || match view.look(live.event()) {
            Look::AsWritten => Some(self.as_written(to.format, live)),
            Look::As(seen) => Some(self.encoder.block(&seen, to.format, None)),
            Look::Hidden => None,
        })
    }

    /// The live events of a run that are shown, joined.
    pub(crate) fn joined(&self, to: &Presentation, run: &[Live]) -> Joined {
        if to.class() == PLAIN {
            return Joined {
                frame: Frame::concat(run.iter().map(Live::frame)),
                last: run.last().map(|live| live.event().position),
                events: run.len(),
            };
        }
        let shown = run.iter().filter_map(|live| {
            let frame = self.shared(to, live)?;
            Some((frame, live.event().position))
        });
        let (frames, places): (Vec<_>, Vec<_>) = shown.unzip();
        Joined {
            frame: Frame::concat(&frames),
            last: places.last().copied(),
            events: run.len(),
        }
    }

    fn as_written(&self, format: Format, live: &Live) -> Frame {
        if format == Format::Payload {
            return live.frame().clone();
        }
        let event = live.event();
        let to_all = Presentation { view: None, format };
        let encode = || Some(self.encoder.block(event, format, None));
        let frame = self.looks.look((event.position, to_all.class()), encode);
        frame.expect("what is as it was written is not hidden")
    }
}

/// The class of those who are shown payloads as they were written.
const PLAIN: u64 = 0;

impl Presentation {
    /// Equal for those who are shown the same.
    pub(crate) fn class(&self) -> u64 {
        let view = self.view.as_ref().map_or(0, View::number);
        let format = match self.format {
            Format::Payload => PLAIN,
            Format::CloudEvents => 1,
        };
        2 * view + format
    }
}

/// Live events as one frame, and the place of the last of them; without either where all are
/// hidden.
#[derive(Debug, Clone)]
pub(crate) struct Joined {
    pub(crate) frame: Frame,
    pub(crate) last: Option<Position>,
    /// How many they are, those that are hidden included.
    pub(crate) events: usize,
}

impl AsRef<[u8]> for Joined {
    fn as_ref(&self) -> &[u8] {
        self.frame.as_bytes()
    }
}
