use std::fmt;

use bytes::Bytes;
use eventwire_store::{Expect, IdempotencyKey};

use crate::caller::Caller;
use crate::decision::Decision;
use crate::request::{CommandOptions, CommandRequest};

/// A command on its way, by name or by type: what the [layers](crate::layers) see of it.
pub trait Call: Send + 'static {
    /// What is asked for: the command's name, or the Rust name of its decision.
    fn name(&self) -> &str;

    /// Under which key, if any.
    fn key(&self) -> Option<&IdempotencyKey>;

    /// What the stream must be.
    fn expected(&self) -> Expect;

    /// What every event will carry as metadata.
    fn metadata(&self) -> &Bytes;

    /// Who asks, if that was said.
    fn caller(&self) -> &Caller;
}

/// A command by its type, and under which conditions.
pub struct Command<D: Decision> {
    /// What is asked for.
    pub command: D::Command,
    /// The conditions.
    pub options: CommandOptions,
}

impl<D: Decision> Command<D> {
    /// A command without conditions.
    #[must_use]
    pub fn new(command: D::Command) -> Self {
        Self::with(command, CommandOptions::default())
    }

    /// A command under conditions.
    #[must_use]
    pub const fn with(command: D::Command, options: CommandOptions) -> Self {
        Self { command, options }
    }
}

impl<D: Decision> Call for Command<D> {
    fn name(&self) -> &str {
        std::any::type_name::<D>()
    }

    fn key(&self) -> Option<&IdempotencyKey> {
        self.options.identity.as_ref().map(|(key, _)| key)
    }

    fn expected(&self) -> Expect {
        self.options.expect
    }

    fn metadata(&self) -> &Bytes {
        &self.options.metadata
    }

    fn caller(&self) -> &Caller {
        &self.options.caller
    }
}

impl Call for CommandRequest {
    fn name(&self) -> &str {
        Self::name(self)
    }

    fn key(&self) -> Option<&IdempotencyKey> {
        self.key.as_ref()
    }

    fn expected(&self) -> Expect {
        self.expect
    }

    fn metadata(&self) -> &Bytes {
        &self.metadata
    }

    fn caller(&self) -> &Caller {
        &self.caller
    }
}

impl<D: Decision> Clone for Command<D>
where
    D::Command: Clone,
{
    fn clone(&self) -> Self {
        Self {
            command: self.command.clone(),
            options: self.options.clone(),
        }
    }
}

impl<D: Decision> fmt::Debug for Command<D>
where
    D::Command: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("command", &self.command)
            .field("options", &self.options)
            .finish()
    }
}
