//! The contestants: one file each, all behind [`Contestant`].

mod append;
mod auditlog;
mod postgres;
mod sealog;
mod table;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::sealog::Event;
use tokio::runtime::Runtime;
use tokio::sync::{Barrier, mpsc, oneshot};

pub(crate) use self::append::{Append, AppendCalls};
pub(crate) use self::auditlog::AuditlogCrate;
pub(crate) use self::postgres::{PostgresSealog, PostgresSealogCalls, PostgresTable, PostgresTableCalls};
pub(crate) use self::sealog::{Sealog, SealogCalls, load};
pub(crate) use self::table::{Table, TableCalls, connect as connect_table, open as open_table, write as write_table};

use crate::measure::Run;
use crate::{Error, Result};

/// Events of one batch, for all contestants that have batches.
pub(crate) const BATCH_EVENTS: usize = 1_000;
/// The events in batches of [`BATCH_EVENTS`], the last one shorter.
pub(crate) fn batches(mut events: impl Iterator<Item = Event>) -> impl Iterator<Item = Vec<Event>> {
    std::iter::from_fn(move || {
        Some(events.by_ref().take(BATCH_EVENTS).collect()).filter(|batch: &Vec<_>| !batch.is_empty())
    })
}

/// Tasks that each await one call after the other.
pub(crate) const TASKS: usize = 64;

/// Somebody who writes audit events so that they survive a power cut.
pub(crate) trait Contestant {
    /// What the table calls it.
    fn name(&self) -> &'static str;

    /// Writes `events` below the empty folder `dir`, every acknowledged one durably, and stops early
    /// once `budget` has passed. Opening the files is not timed.
    fn run(&self, dir: &Path, events: Vec<Event>, budget: Duration) -> Result<Run>;
}

/// An event on its way to a thread that writes for many tasks, and whom to tell.
type Call = (Event, oneshot::Sender<()>);

/// Lets [`TASKS`] tasks send single events to `writer`, a function that runs on a thread of its own,
/// and await its answer to each. Answers how many events were acknowledged, and in which time.
///
/// A writer thread that owns the connection is what a good engineer would put behind an async
/// service: no task ever waits for a lock while it holds up a thread of the runtime.
fn calls_to_a_writer(
    events: Vec<Event>,
    budget: Duration,
    writer: impl FnOnce(mpsc::Receiver<Call>) -> Result<()> + Send + 'static,
) -> Result<(u64, Duration)> {
    let runtime = runtime()?;
    let (calls, receiver) = mpsc::channel(TASKS);
    let thread = std::thread::spawn(move || writer(receiver));
    let outcome = run_tasks(&runtime, events, budget, move |event| {
        let calls = calls.clone();
        async move {
            let (done, answer) = oneshot::channel();
            calls.send((event, done)).await.map_err(|_| "the writer has stopped")?;
            answer.await.map_err(|_| "the writer has stopped")?;
            Ok(())
        }
    });
    // Why the writer stopped says more than that it did.
    thread.join().map_err(|_| "the writer panicked")??;
    outcome
}

/// Runs [`TASKS`] tasks over `events`, each awaiting one `call` after the other.
fn run_tasks<F>(
    runtime: &Runtime,
    events: Vec<Event>,
    budget: Duration,
    call: impl Fn(Event) -> F + Clone + Send + 'static,
) -> Result<(u64, Duration)>
where
    F: Future<Output = Result<()>> + Send,
{
    let mut shares: Vec<Vec<Event>> = (0..TASKS).map(|_| Vec::with_capacity(events.len() / TASKS + 1)).collect();
    for (number, event) in events.into_iter().enumerate() {
        shares[number % TASKS].push(event);
    }
    runtime.block_on(async {
        let barrier = Arc::new(Barrier::new(TASKS + 1));
        let tasks: Vec<_> = shares
            .into_iter()
            .map(|share| {
                let (barrier, call) = (barrier.clone(), call.clone());
                tokio::spawn(async move {
                    barrier.wait().await;
                    let start = Instant::now();
                    let mut acknowledged = 0_u64;
                    for event in share {
                        if start.elapsed() >= budget {
                            break;
                        }
                        call(event).await?;
                        acknowledged += 1;
                    }
                    Ok::<_, Error>(acknowledged)
                })
            })
            .collect();
        // The last holder but for the tasks: a writer stops when all of them are gone.
        drop(call);
        barrier.wait().await;
        let start = Instant::now();
        let mut acknowledged = 0;
        for task in tasks {
            acknowledged += task.await??;
        }
        Ok((acknowledged, start.elapsed()))
    })
}

pub(crate) fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than two batches, and no multiple of the tasks.
    const EVENTS: u64 = 2_345;

    #[test]
    fn every_contestant_acknowledges_every_event_and_leaves_files() {
        let grouped = TableCalls { group: BATCH_EVENTS };
        let server = throwaway_postgres::shared();
        let contestants: [&dyn Contestant; 13] = [
            &Append,
            &AppendCalls,
            &Table { full_text: false },
            &Table { full_text: true },
            &TableCalls { group: 1 },
            &grouped,
            &Sealog { full_text: true, rules: false },
            &Sealog { full_text: true, rules: true },
            &SealogCalls,
            &PostgresSealog { server, full_text: true },
            &PostgresTable { server, connections: 2 },
            &PostgresSealogCalls(server),
            &PostgresTableCalls { server, connections: 2 },
        ];
        for contestant in contestants {
            let dir = tempfile::tempdir().unwrap();
            let events = crate::input::generated(EVENTS as usize);
            let run = contestant.run(dir.path(), events, Duration::from_mins(10)).unwrap();
            assert_eq!(run.events, EVENTS, "{}", contestant.name());
            assert!(run.bytes > 100 * EVENTS && run.closed_bytes > 100 * EVENTS, "{}: {run:?}", contestant.name());
        }
    }

    #[test]
    fn a_contestant_stops_when_its_time_is_up() {
        let dir = tempfile::tempdir().unwrap();
        let run = Table { full_text: false }.run(dir.path(), crate::input::generated(10), Duration::ZERO).unwrap();
        assert_eq!(run.events, 0);
    }
}
