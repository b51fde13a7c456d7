//! `sealog get`

use clap::Args;

use super::which::Which;
use crate::cli::Shared;
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::render;

/// Show one event, whole
///
/// With --json, prints the very bytes that were sealed: canonical JSON (RFC 8785).
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog get 42
  sealog get 0198c0de-7f3a-7c1e-9d52-0b7c6a1f2e3d --json")]
pub(crate) struct Get {
    #[command(flatten)]
    which: Which,
}

impl Get {
    pub(crate) async fn run(self, shared: &Shared, out: Output) -> Result<(), Failure> {
        let log = shared.open_to_read().await?;
        let record = self.which.find(&log).await?;
        if out.json {
            output::write(&format!("{}\n", record.canonical_json()))
        } else {
            output::write(&render::card(&record))
        }
    }
}
