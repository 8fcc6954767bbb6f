use std::time::Duration;

use clap::Args;
use eventwire::gateway::GatewayBuilder;

/// Over how long clients come back to a server that was stopped, beyond the first second.
pub const RETURN: Duration = Duration::from_secs(2);

/// How many event streams a server has open, and for how long.
#[derive(Debug, Clone, Args)]
pub struct LimitOptions {
    /// How many event streams may be open, of each kind where a server has several.
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000)]
    max_streams: usize,
    /// How many of them may be of one address.
    #[arg(long, value_name = "NUMBER")]
    max_streams_per_address: Option<usize>,
    /// How long a stream lasts at most; clients come back where they were.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    max_age: Option<Duration>,
}

impl LimitOptions {
    /// A gateway within these limits.
    #[must_use]
    pub fn apply(&self, gateway: GatewayBuilder) -> GatewayBuilder {
        let mut gateway = gateway.max_streams(self.max_streams);
        if let Some(streams) = self.max_streams_per_address {
            gateway = gateway.max_streams_per_address(streams);
        }
        if let Some(age) = self.max_age {
            gateway = gateway.max_age(age);
        }
        gateway
    }
}
