//! Ours, with its defaults: ids, policy, canonical JSON, commitments, signed checkpoints.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use sealog::{AuditLog, Event, Rule};
use tokio::runtime::Runtime;

use super::{Contestant, batches, run_tasks, runtime};
use crate::Result;
use crate::measure::{Run, bytes_below};

/// Batches in flight: while one waits for the disk, the next is prepared.
const IN_FLIGHT: usize = 4;

/// `log_bulk` in batches, until all events are in the index and the log is closed.
pub(crate) struct Sealog {
    pub(crate) full_text: bool,
    /// Whether the built-in rules are saved, and so evaluated as events arrive.
    pub(crate) rules: bool,
}

impl Contestant for Sealog {
    fn name(&self) -> &'static str {
        match (self.full_text, self.rules) {
            (_, true) => "sealog, full text and rules",
            (true, false) => "sealog, full text",
            (false, false) => "sealog",
        }
    }

    fn run(&self, dir: &Path, events: Vec<Event>, budget: Duration) -> Result<Run> {
        let runtime = runtime()?;
        let builder = AuditLog::builder(dir.join("audit.db")).full_text(self.full_text);
        let log = runtime.block_on(builder.open())?;
        if self.rules {
            let save = |settings: &mut sealog::Settings| {
                settings.rules = Rule::built_in();
                Ok(())
            };
            runtime.block_on(log.update_settings(save))?;
        }
        run_batches(&runtime, log, events, budget, || bytes_below(dir))
    }
}

/// Until all events are in the index and the log is closed.
pub(super) fn run_batches(
    runtime: &Runtime,
    log: AuditLog,
    events: Vec<Event>,
    budget: Duration,
    bytes: impl Fn() -> Result<u64>,
) -> Result<Run> {
    let batches: Vec<_> = batches(events.into_iter()).collect();

    let start = Instant::now();
    let batches = batches.into_iter().take_while(|_| start.elapsed() < budget);
    let events = runtime.block_on(load(&log, batches))?;
    let open_bytes = bytes()?;
    runtime.block_on(log.close())?;
    Ok(Run { events, elapsed: start.elapsed(), bytes: open_bytes, closed_bytes: bytes()? })
}

/// Logs the batches, [`IN_FLIGHT`] of them at a time. Answers how many events were acknowledged.
pub(crate) async fn load(log: &AuditLog, batches: impl Iterator<Item = Vec<Event>>) -> Result<u64> {
    let mut in_flight: VecDeque<Batch> = VecDeque::with_capacity(IN_FLIGHT);
    let mut acknowledged = 0;
    for batch in batches {
        if in_flight.len() == IN_FLIGHT
            && let Some(oldest) = in_flight.pop_front()
        {
            acknowledged += join(oldest).await?;
        }
        let log = log.clone();
        in_flight.push_back(tokio::spawn(async move { log.log_bulk(batch).await }));
    }
    for batch in in_flight {
        acknowledged += join(batch).await?;
    }
    Ok(acknowledged)
}

type Batch = tokio::task::JoinHandle<sealog::Result<Vec<sealog::Logged>>>;

async fn join(batch: Batch) -> Result<u64> {
    Ok(batch.await??.len() as u64)
}

/// `log`, one event a call.
pub(crate) struct SealogCalls;

impl Contestant for SealogCalls {
    fn name(&self) -> &'static str {
        "sealog"
    }

    fn run(&self, dir: &Path, events: Vec<Event>, budget: Duration) -> Result<Run> {
        let runtime = runtime()?;
        let log = runtime.block_on(AuditLog::open(dir.join("audit.db")))?;
        run_calls(&runtime, log, events, budget, || bytes_below(dir))
    }
}

/// Until all calls have been answered; closing the log is not part of the time.
pub(super) fn run_calls(
    runtime: &Runtime,
    log: AuditLog,
    events: Vec<Event>,
    budget: Duration,
    bytes: impl Fn() -> Result<u64>,
) -> Result<Run> {
    let (events, elapsed) = run_tasks(runtime, events, budget, {
        let log = log.clone();
        move |event| {
            let log = log.clone();
            async move {
                log.log(event).await?;
                Ok(())
            }
        }
    })?;
    let open_bytes = bytes()?;
    runtime.block_on(log.close())?;
    Ok(Run { events, elapsed, bytes: open_bytes, closed_bytes: bytes()? })
}
