//! `sealog-bench ingest`: events in, in batches of 1,000 and as single calls of 64 tasks.

use std::path::Path;
use std::time::Duration;

use sealog::Event;
use throwaway_postgres::{Server, ServerOptions};

use crate::Result;
use crate::input::Input;
use crate::machine::Machine;
use crate::peers::{
    Append, AppendCalls, AuditlogCrate, BATCH_EVENTS, Contestant, PostgresSealog, PostgresSealogCalls, PostgresTable,
    PostgresTableCalls, Sealog, SealogCalls, Table, TableCalls,
};
use crate::report::{Figures, Hold, Report, Section};

/// Events in batches, at scale 1.
const BATCH_RUN_EVENTS: f64 = 200_000.0;
/// Events as single calls, at scale 1.
const CALLS_RUN_EVENTS: f64 = 20_000.0;
/// Rounds, of which the median counts. In each the contestants run one after the other, so that a
/// noisy moment of the machine hits all of them. Odd, so that the median is a round that was run.
const ROUNDS: usize = 5;
/// After this long, at scale 1, a contestant with batches stops in the middle of a round. None should:
/// a table that has grown less is a faster and smaller table.
const BATCH_BUDGET: Duration = Duration::from_secs(30);
/// The same for one whose every event is a commit: its rate is known long before it is through.
const CALLS_BUDGET: Duration = Duration::from_secs(5);

/// Runs both kinds of work below `dir`.
pub(crate) fn run(source: &str, scale: f64, dir: &Path) -> Result<Report> {
    let limit = ((BATCH_RUN_EVENTS * scale) as usize).max(BATCH_EVENTS);
    let input = Input::load(source, limit)?;
    let machine = Machine::look(dir)?;
    // Short runs are not cut in proportion: a second is too little to tell anything.
    let [long, short] = [BATCH_BUDGET, CALLS_BUDGET].map(|budget| budget.mul_f64(scale.max(0.2)));
    let auditlog = AuditlogCrate::build()?;
    let one_each = TableCalls { group: 1 };
    let by_hand = TableCalls { group: BATCH_EVENTS };

    let (structured, full_text) = (Sealog { full_text: false, rules: false }, Sealog { full_text: true, rules: false });
    let (table, table_with_words) = (Table { full_text: false }, Table { full_text: true });
    // The table with FTS5 is there to see: the holds compare with the one that finds no word.
    let entries: [Entry<'_>; 6] = [
        (&structured, long),
        (&full_text, long),
        (&table, long),
        (&table_with_words, long),
        (&auditlog, short),
        (&Append, long),
    ];
    let batches = contest("batches of 1,000", &entries, &input.events, dir)?;
    let few = ((CALLS_RUN_EVENTS * scale) as usize).clamp(1, input.events.len());
    let entries: [Entry<'_>; 4] = [(&SealogCalls, long), (&one_each, short), (&by_hand, long), (&AppendCalls, long)];
    let calls = contest("64 tasks of single calls", &entries, &input.events[..few], dir)?;

    let (table, one_each) = (table.name(), one_each.name());
    let holds = vec![
        Hold::at_least("batches, events/s over the hand-written table", batches.speed_over(table), 2.0),
        Hold::at_least(
            "the same with full text",
            batches.speed_over(table) / batches.speed_over(full_text.name()),
            1.5,
        ),
        Hold::at_least("64 tasks, events/s over one transaction per event", calls.speed_over(one_each), 10.0),
        Hold::at_least("64 tasks, events/s over commits grouped by hand", calls.speed_over(by_hand.name()), 1.0),
        Hold::at_most("bytes per event over the hand-written table", batches.bytes_over(table), 0.55),
        Hold::at_most(
            "the same with full text",
            batches.bytes_over(table) / batches.bytes_over(full_text.name()),
            0.65,
        ),
    ];
    Ok(Report { benchmark: "ingest", machine, input, sections: vec![batches, calls], holds })
}

/// The same in PostgreSQL, on a server of its own with fsync: client, index and database on one machine.
pub(crate) fn run_postgres(source: &str, scale: f64, dir: &Path) -> Result<Report> {
    let input = Input::load(source, ((BATCH_RUN_EVENTS * scale) as usize).max(BATCH_EVENTS))?;
    let machine = Machine::look(&std::env::temp_dir())?;
    let [long, short] = [BATCH_BUDGET, CALLS_BUDGET].map(|budget| budget.mul_f64(scale.max(0.2)));
    let settings = ["shared_buffers = '256MB'", "max_wal_size = '8GB'", "checkpoint_timeout = '1h'"];
    let server = Server::start(&ServerOptions { fsync: true, settings: settings.map(str::to_owned).to_vec() });
    let server = &server;

    let ours = PostgresSealog { server, full_text: false };
    let full_text = PostgresSealog { server, full_text: true };
    let table = PostgresTable { server, connections: 1 };
    let tables = PostgresTable { server, connections: 2 };
    let entries: [Entry<'_>; 4] = [(&ours, long), (&full_text, long), (&table, long), (&tables, long)];
    let batches = contest("batches of 1,000, PostgreSQL", &entries, &input.events, dir)?;
    let few = ((CALLS_RUN_EVENTS * scale) as usize).clamp(1, input.events.len());
    let ours = PostgresSealogCalls(server);
    let one_each = PostgresTableCalls { server, connections: 1 };
    let pool = PostgresTableCalls { server, connections: 16 };
    let entries: [Entry<'_>; 3] = [(&ours, long), (&one_each, short), (&pool, short)];
    let calls = contest("64 tasks of single calls, PostgreSQL", &entries, &input.events[..few], dir)?;

    let holds = vec![
        Hold::at_least("batches, events/s over the hand-written table", batches.speed_over(table.name()), 1.0),
        Hold::at_least("64 tasks, events/s over one transaction per event", calls.speed_over(one_each.name()), 5.0),
    ];
    Ok(Report { benchmark: "ingest", machine, input, sections: vec![batches, calls], holds })
}

/// A contestant and its time in each round.
pub(crate) type Entry<'a> = (&'a dyn Contestant, Duration);

/// Several rounds of all of them, in turn.
pub(crate) fn contest(name: &'static str, entries: &[Entry<'_>], events: &[Event], dir: &Path) -> Result<Section> {
    let mut runs = vec![Vec::with_capacity(ROUNDS); entries.len()];
    for round in 0..ROUNDS {
        for turn in 0..entries.len() {
            // Nobody always comes after the same neighbour's dirty pages.
            let which = (turn + round) % entries.len();
            let (contestant, budget) = entries[which];
            eprintln!("{name}, round {} of {ROUNDS}: {}", round + 1, contestant.name());
            let home = tempfile::Builder::new().prefix("run-").tempdir_in(dir)?;
            let events = events.to_vec();
            let run = contestant
                .run(home.path(), events, budget)
                .map_err(|error| format!("{}: {error}", contestant.name()))?;
            if run.events == 0 {
                return Err(format!("{} wrote nothing in its time", contestant.name()).into());
            }
            runs[which].push(run);
        }
    }
    let figures = entries.iter().zip(&runs).map(|((contestant, _), runs)| Figures::of(contestant.name(), runs));
    Ok(Section::new(name, figures.collect()))
}
