//! The bare limit: a file to which the same JSON is appended, and a disk that is waited for.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use sealog::Event;

use super::{BATCH_EVENTS, Contestant, TASKS, calls_to_a_writer};
use crate::Result;
use crate::measure::{Run, bytes_below};

/// Appends a batch of lines, then waits for the disk. The lines are made before the clock starts:
/// this is the limit of the disk.
pub(crate) struct Append;

impl Contestant for Append {
    fn name(&self) -> &'static str {
        "append + fdatasync"
    }

    fn run(&self, dir: &Path, events: Vec<Event>, budget: Duration) -> Result<Run> {
        let mut batches = Vec::new();
        for chunk in events.chunks(BATCH_EVENTS) {
            let mut lines = Vec::new();
            for event in chunk {
                push_line(&mut lines, event)?;
            }
            batches.push((chunk.len() as u64, lines));
        }
        drop(events);
        let mut file = File::create(dir.join("events.ndjson"))?;

        let start = Instant::now();
        let mut written = 0;
        for (count, lines) in batches {
            if start.elapsed() >= budget {
                break;
            }
            file.write_all(&lines)?;
            file.sync_data()?;
            written += count;
        }
        let elapsed = start.elapsed();
        let bytes = bytes_below(dir)?;
        Ok(Run { events: written, elapsed, bytes, closed_bytes: bytes })
    }
}

/// The limit of single calls: whatever is waiting is appended in one go, then the disk is waited for.
pub(crate) struct AppendCalls;

impl Contestant for AppendCalls {
    fn name(&self) -> &'static str {
        "append + fdatasync, grouped"
    }

    fn run(&self, dir: &Path, events: Vec<Event>, budget: Duration) -> Result<Run> {
        let mut file = File::create(dir.join("events.ndjson"))?;
        let (events, elapsed) = calls_to_a_writer(events, budget, move |mut calls| {
            let mut waiting = Vec::with_capacity(TASKS);
            let mut lines = Vec::new();
            while calls.blocking_recv_many(&mut waiting, TASKS) > 0 {
                lines.clear();
                for (event, _) in &waiting {
                    push_line(&mut lines, event)?;
                }
                file.write_all(&lines)?;
                file.sync_data()?;
                for (_, done) in waiting.drain(..) {
                    // A task that no longer waits has nothing to be told.
                    let _ = done.send(());
                }
            }
            Ok(())
        })?;
        let bytes = bytes_below(dir)?;
        Ok(Run { events, elapsed, bytes, closed_bytes: bytes })
    }
}

fn push_line(lines: &mut Vec<u8>, event: &Event) -> Result<()> {
    serde_json::to_writer(&mut *lines, event)?;
    lines.push(b'\n');
    Ok(())
}
