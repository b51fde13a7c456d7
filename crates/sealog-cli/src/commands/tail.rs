//! `sealog tail`

use clap::Args;
use sealog::{AuditLog, ErrorKind, Record};

use super::unless_damaged;
use crate::cli::Shared;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::{self, Output};
use crate::render;

/// How many events are read at a time.
const PAGE: usize = 1_000;

/// Show the newest events
///
/// The newest stand last. Times are in UTC. With --json, each line is one event, in the very bytes
/// that were sealed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog tail -n 100
  sealog tail --follow
  sealog tail --from 0 --json > everything.ndjson")]
pub(crate) struct Tail {
    /// How many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    lines: u64,
    /// Go on as events come, whoever writes them; Ctrl-C ends it
    #[arg(long, short)]
    follow: bool,
    /// Start at this seq instead
    #[arg(long, value_name = "SEQ", conflicts_with = "lines")]
    from: Option<u64>,
}

impl Tail {
    pub(crate) async fn run(self, shared: &Shared, out: Output, interrupt: &Interrupt) -> Result<(), Failure> {
        let log = shared.open_to_read().await?;
        let mut size = log.head().await?.size;
        let mut next = self.from.unwrap_or(size.saturating_sub(self.lines));
        if size == 0 && !out.json && !self.follow {
            output::note("The log holds no events yet.");
        }
        loop {
            next = show(&log, next, size, out, interrupt).await?;
            if !self.follow || interrupt.is_pressed() {
                break;
            }
            tokio::select! {
                // A log that was not yet so long as --from asks shows nothing until it is.
                grown = log.grown(size.max(next)) => size = grown?,
                () = interrupt.pressed() => break,
            }
        }
        // Ending what would otherwise go on for ever is what was asked; the rest was cut short.
        if interrupt.is_pressed() && !self.follow { Err(Failure::Interrupted) } else { Ok(()) }
    }
}

/// Shows what stands between `next` and `size`; answers where to go on.
async fn show(log: &AuditLog, mut next: u64, size: u64, out: Output, interrupt: &Interrupt) -> Result<u64, Failure> {
    let mut step = PAGE;
    while next < size && !interrupt.is_pressed() {
        let limit = usize::try_from(size - next).unwrap_or(PAGE).min(step);
        let page = match log.read(next, limit).await {
            // Those before the one that cannot be read are shown.
            Err(error) if error.kind() == ErrorKind::Integrity && step > 1 => {
                step = 1;
                continue;
            }
            page => page.map_err(unless_damaged)?,
        };
        if page.next_seq <= next {
            break;
        }
        let line = |record: &Record| {
            if out.json { format!("{}\n", record.canonical_json()) } else { render::line(record) }
        };
        output::write(&page.events.iter().map(line).collect::<String>())?;
        next = page.next_seq;
    }
    Ok(next)
}
