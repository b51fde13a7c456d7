//! `sealog count`

use clap::Args;
use serde_json::json;

use super::asking::{WithFilter, answer};
use crate::cli::Shared;
use crate::failure::Failure;
use crate::output::Output;

/// Count the events that a filter selects
///
/// Exactly, however many there are. Prints the number alone.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog count
  sealog count 'outcome:denied since:24h'
  test \"$(sealog count 'severity:critical since:1h')\" -eq 0")]
pub(crate) struct Count {
    #[command(flatten)]
    filter: WithFilter,
}

impl Count {
    pub(crate) async fn run(self, shared: &Shared, out: Output) -> Result<(), Failure> {
        let filter = self.filter.read()?;
        let log = shared.open_to_read().await?;
        let count = answer(&log, log.count(&filter)).await?;
        out.either(&json!({ "count": count }), &format!("{count}\n"))
    }
}
