//! `sealog rejected`

use clap::Args;

use crate::cli::Shared;
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::render::{self, BOLD, DIM, WARN};

/// How many rows are read at a time.
const PAGE: usize = 1_000;

/// List rows of the inbox that were no valid events
///
/// They were set aside with the reason, a digest of what stood there and, where it parses, a
/// redacted copy; they stopped nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog rejected
  sealog rejected --json | jq .reason")]
pub(crate) struct RejectedArgs {
    /// At most so many, the oldest first [default: all]
    #[arg(long, short = 'n', value_name = "N")]
    lines: Option<u64>,
}

impl RejectedArgs {
    pub(crate) async fn run(self, shared: &Shared, out: Output) -> Result<(), Failure> {
        let log = shared.open_to_read().await?;
        let total = log.rejected_count().await?;
        let wanted = self.lines.unwrap_or(u64::MAX).min(total);
        let mut offset = 0;
        while offset < wanted {
            let limit = usize::try_from(wanted - offset).unwrap_or(PAGE).min(PAGE);
            let rows = log.rejected(offset, limit).await?;
            if rows.is_empty() {
                break;
            }
            offset += rows.len() as u64;
            for row in rows {
                if out.json {
                    output::document(&row)?;
                    continue;
                }
                let copy = row.copy.map(|copy| format!("  {}\n", render::cut(&render::safe(&copy.to_string()), 160)));
                output::write(&format!(
                    "{DIM}{}{DIM:#}  {BOLD}{}{BOLD:#}  {WARN}{}{WARN:#}  {}\n  {DIM}digest {}{DIM:#}\n{}",
                    render::time(row.rejected_at, false),
                    render::safe(&row.id),
                    row.code,
                    render::safe(&row.reason),
                    row.digest,
                    copy.unwrap_or_default(),
                ))?;
            }
        }
        if total == 0 && !out.json {
            output::write("Nothing was set aside.\n")?;
        }
        Ok(())
    }
}
