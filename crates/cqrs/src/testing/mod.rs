//! Given what has happened, when this is asked for, then that happens: rules as examples,
//! without a store. And a clock that a test sets.
//!
//! ```
//! # use eventwire_cqrs::{Boundary, Decider, DomainEvent, testing::given};
//! # use eventwire_store::{NameError, StreamName};
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Default)]
//! # struct Door { is_open: bool }
//! # #[derive(Debug, Deserialize)]
//! # enum Ask { Open, Close }
//! # #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! # enum Fact { Opened, Closed }
//! # impl DomainEvent for Fact {}
//! # #[derive(Debug, PartialEq, thiserror::Error)]
//! # #[error("already so")]
//! # struct AlreadySo;
//! # impl Decider for Door {
//! #     type Command = Ask;
//! #     type Event = Fact;
//! #     type Refusal = AlreadySo;
//! #     fn boundary(_: &Ask) -> Result<Boundary, NameError> { Ok(Boundary::stream(StreamName::new("door")?)) }
//! #     fn evolve(&mut self, event: &Fact) { self.is_open = *event == Fact::Opened; }
//! #     fn decide(&self, command: &Ask) -> Result<Vec<Fact>, AlreadySo> {
//! #         match command {
//! #             Ask::Open if self.is_open => Err(AlreadySo),
//! #             Ask::Open => Ok(vec![Fact::Opened]),
//! #             Ask::Close => Ok(if self.is_open { vec![Fact::Closed] } else { vec![] }),
//! #         }
//! #     }
//! # }
//! given::<Door>([]).when(Ask::Open).then([Fact::Opened]);
//! given::<Door>([Fact::Opened]).when(Ask::Open).then_refused(AlreadySo);
//! given::<Door>([]).when(Ask::Close).then_nothing();
//! ```

mod clock;
mod given;
mod history;
mod process;

pub use clock::SimulatedClock;
pub use given::{Given, When, given};
pub use history::{Decided, History, folded, history};
pub use process::{Played, Reacted, played};
