//! `sealog tail`

use clap::Args;
use sealog::{AuditLog, ErrorKind, Filter, PageOptions, Record, WatchFrom};

use super::asking::{WithFilter, answer};
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
/// The newest stand last. With a filter, the newest are those that happened last; with --from and
/// --follow, events come in the order of the log. Times are in UTC. With --json, each line is one event,
/// in the very bytes that were sealed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog tail -n 100
  sealog tail --follow 'severity>=warning'
  sealog tail --from 0 --json > everything.ndjson")]
pub(crate) struct Tail {
    #[command(flatten)]
    filter: WithFilter,
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
        let filter = self.filter.read()?;
        let log = shared.open_to_read().await?;
        let size = log.head().await?.size;
        if size == 0 && !out.json && !self.follow {
            output::note("The log holds no events yet.");
        }
        let shown = async {
            // A log that was not yet so long as --from asks shows nothing until it is.
            let next = self.begin(&log, &filter, size, out, interrupt).await?.max(size);
            if self.follow && !interrupt.is_pressed() { follow(&log, &filter, next, out).await } else { Ok(()) }
        };
        tokio::select! {
            shown = shown => shown?,
            () = interrupt.pressed(), if self.follow => {}
        }
        // Ending what would otherwise go on for ever is what was asked; the rest was cut short.
        if interrupt.is_pressed() && !self.follow { Err(Failure::Interrupted) } else { Ok(()) }
    }

    /// Shows what is there of the first `size` events; answers where to go on.
    async fn begin(
        &self,
        log: &AuditLog,
        filter: &Filter,
        size: u64,
        out: Output,
        interrupt: &Interrupt,
    ) -> Result<u64, Failure> {
        if filter.is_empty() {
            let from = self.from.unwrap_or(size.saturating_sub(self.lines));
            return show(log, from, size, out, interrupt).await;
        }
        if let Some(from) = self.from {
            return show(&log.scoped(filter)?, from, size, out, interrupt).await;
        }
        // Events that came since are shown by following.
        let newest = newest(log, filter, self.lines).await?;
        let lines = newest.iter().filter(|record| record.seq() < size).map(|record| line(record, out));
        output::write(&lines.collect::<String>())?;
        Ok(size)
    }
}

/// The events that happened last, the newest of them last.
async fn newest(log: &AuditLog, filter: &Filter, most: u64) -> Result<Vec<Record>, Failure> {
    let (mut found, mut options) = (Vec::new(), PageOptions::new());
    while (found.len() as u64) < most {
        let limit = usize::try_from(most).unwrap_or(usize::MAX) - found.len();
        options = options.limit(limit.min(PAGE));
        let page = answer(log, log.search(filter, &options)).await?;
        found.extend(page.events);
        match page.next_cursor {
            Some(cursor) => options = options.after(cursor),
            None => break,
        }
    }
    found.reverse();
    Ok(found)
}

/// Shows events as they come, from `next` on.
async fn follow(log: &AuditLog, filter: &Filter, next: u64, out: Output) -> Result<(), Failure> {
    // An index that is behind shows its progress here; the watch would wait for it in silence.
    answer(log, log.search(filter, &PageOptions::new().limit(1))).await?;
    let mut events = log.watch(filter, WatchFrom::Seq(next)).await?;
    while let Some(record) = events.next().await {
        output::write(&line(&record.map_err(unless_damaged)?, out))?;
    }
    Ok(())
}

fn line(record: &Record, out: Output) -> String {
    if out.json { format!("{}\n", record.canonical_json()) } else { render::line(record, output::columns()) }
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
        output::write(&page.events.iter().map(|record| line(record, out)).collect::<String>())?;
        next = page.next_seq;
    }
    Ok(next)
}
