//! `sealog-bench report`: all events of a log as a CSV report, and all rows of the hand-written table as the
//! CSV that the `sqlite3` shell exports. From opening the file to the last byte written, each the same rows.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use sealog::{AuditLog, ReportFormat, ReportOptions};
use sealog_cli::count;
use tokio::runtime::Runtime;

use crate::Result;
use crate::input::Input;
use crate::machine::Machine;
use crate::measure::Run;
use crate::peers::{self, BATCH_EVENTS, batches, load};
use crate::report::{Figures, Hold, Report, Section};

/// Events at scale 1.
const EVENTS: f64 = 300_000.0;
/// How often each exports, one after the other.
const ROUNDS: usize = 5;
/// The columns of the table, by the names that a report has them under, and in its order.
const FIELDS: [&str; 21] = [
    "id",
    "timestamp",
    "action",
    "actorId",
    "actorType",
    "actorName",
    "onBehalfOf",
    "resourceType",
    "resourceId",
    "severity",
    "outcome",
    "metadata",
    "before",
    "after",
    "ipAddress",
    "userAgent",
    "sessionId",
    "requestId",
    "tags",
    "tenant",
    "retentionCategory",
];
const OURS: &str = "sealog, csv: the table's columns";
const WHOLE: &str = "sealog, csv: every field";
const AS_STORED: &str = "sqlite3 -csv, as stored";
const BY_TIME: &str = "sqlite3 -csv, in order of time";

/// Writes both logs below `dir`, and exports them.
pub(crate) fn run(source: &str, scale: f64, dir: &Path) -> Result<Report> {
    let machine = Machine::look(dir)?;
    let input = Input::load(source, ((EVENTS * scale) as usize).max(BATCH_EVENTS))?;
    let home = tempfile::Builder::new().prefix("report-").tempdir_in(dir)?;
    let exports = Exports::of(&input, home.path())?;

    let csv = || ReportOptions::new(ReportFormat::Csv);
    let report = |options| Export::Report(Box::new(options));
    let same_rows = [
        (OURS, report(csv().fields(FIELDS))),
        (WHOLE, report(csv())),
        (AS_STORED, Export::Shell(include_str!("reports/as_stored.sql"))),
        (BY_TIME, Export::Shell(include_str!("reports/by_time.sql"))),
    ];
    let others = [
        ("sealog, ndjson", report(ReportOptions::new(ReportFormat::Ndjson))),
        ("sealog, html", report(ReportOptions::new(ReportFormat::Html))),
        ("sealog, csv grouped by actor", report(csv().group_by(["actorId"]))),
    ];
    let csv = Section::new("all events as CSV", exports.rounds(&same_rows)?);
    let others = Section::new("other reports of the same", exports.rounds(&others)?);
    let holds = vec![
        Hold::at_least("csv, rows/s over sqlite3's own export", csv.speed_over(AS_STORED), 1.0),
        Hold::at_least("csv, rows/s over sqlite3's export in the same order", csv.speed_over(BY_TIME), 1.0),
    ];
    Ok(Report { benchmark: "report", machine, input, sections: vec![csv, others], holds })
}

/// One way to export.
enum Export {
    Report(Box<ReportOptions>),
    Shell(&'static str),
}

/// The same events in a log and in a table.
struct Exports {
    dir: PathBuf,
    events: u64,
    runtime: Runtime,
}

impl Exports {
    fn of(input: &Input, dir: &Path) -> Result<Self> {
        let exports = Self { dir: dir.to_owned(), events: input.events.len() as u64, runtime: peers::runtime()? };
        eprintln!("{} events into the log", count(exports.events));
        let log = exports.runtime.block_on(AuditLog::open(exports.log()))?;
        exports.runtime.block_on(load(&log, batches(input.events.iter().cloned())))?;
        exports.runtime.block_on(log.close())?;
        eprintln!("{} events into the table", count(exports.events));
        let mut table = peers::open_table(dir)?;
        for batch in input.events.chunks(BATCH_EVENTS) {
            peers::write_table(&mut table, batch)?;
        }
        table.close().map_err(|(_, error)| error)?;
        Ok(exports)
    }

    /// All of them in turn, so that what the machine does meanwhile hits each alike.
    fn rounds(&self, exports: &[(&'static str, Export)]) -> Result<Vec<Figures>> {
        let mut runs = vec![Vec::with_capacity(ROUNDS); exports.len()];
        for round in 1..=ROUNDS {
            for ((name, export), runs) in exports.iter().zip(&mut runs) {
                eprintln!("{name}, round {round} of {ROUNDS}");
                runs.push(match export {
                    Export::Report(options) => self.report(options)?,
                    Export::Shell(sql) => self.shell(sql)?,
                });
            }
        }
        Ok(exports.iter().zip(&runs).map(|((name, _), runs)| Figures::of(name, runs)).collect())
    }

    fn log(&self) -> PathBuf {
        self.dir.join("audit.db")
    }

    /// Ours, by a handle that only reads, so that each round exports the same.
    fn report(&self, options: &ReportOptions) -> Result<Run> {
        let file = self.dir.join("report");
        let start = Instant::now();
        let summary = self.runtime.block_on(async {
            let log = AuditLog::builder(self.log()).read_only(true).open().await?;
            let summary = log.generate_report(options, File::create(&file)?, |_| {}).await?;
            log.close().await?;
            Ok::<_, crate::Error>(summary)
        })?;
        let elapsed = start.elapsed();
        if summary.record_count != self.events {
            return Err(format!("the report has {} rows of {}", summary.record_count, self.events).into());
        }
        Ok(Run { events: self.events, elapsed, bytes: summary.bytes, closed_bytes: summary.bytes })
    }

    fn shell(&self, sql: &str) -> Result<Run> {
        let file = self.dir.join("export.csv");
        let start = Instant::now();
        let status = Command::new("sqlite3")
            .args(["-readonly", "-header", "-csv", "audit_log.db", sql])
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(File::create(&file)?)
            .status()
            .map_err(|error| format!("sqlite3 (`scripts/need sqlite3` gets it): {error}"))?;
        let elapsed = start.elapsed();
        if !status.success() {
            return Err(format!("sqlite3: {status}").into());
        }
        // A row is a line at least.
        let lines = BufReader::new(File::open(&file)?).split(b'\n').count() as u64;
        if lines <= self.events {
            return Err(format!("sqlite3 wrote {lines} lines for {} rows", self.events).into());
        }
        let bytes = file.metadata()?.len();
        Ok(Run { events: self.events, elapsed, bytes, closed_bytes: bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without what the policy hides, and without the ids, which each makes itself.
    #[test]
    fn both_export_the_same_rows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("input");
        let event = |i: usize| {
            format!("{{\"action\":\"a\",\"id\":\"e-{i}\",\"timestamp\":{i},\"metadata\":{{\"n\":\"x,{i}\"}}}}\n")
        };
        std::fs::write(&path, (0..200).map(event).collect::<String>()).unwrap();
        let input = Input::load(path.to_str().unwrap(), 1_000).unwrap();
        let exports = Exports::of(&input, dir.path()).unwrap();
        exports.report(&ReportOptions::new(ReportFormat::Csv).fields(FIELDS)).unwrap();
        let ours = std::fs::read_to_string(dir.path().join("report")).unwrap();
        let rows = |text: &str| text.lines().skip(1).map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
        for sql in [include_str!("reports/as_stored.sql"), include_str!("reports/by_time.sql")] {
            exports.shell(sql).unwrap();
            let table = std::fs::read_to_string(dir.path().join("export.csv")).unwrap();
            assert_eq!(rows(&ours), rows(&table));
        }
    }
}
