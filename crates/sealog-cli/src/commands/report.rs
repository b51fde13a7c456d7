//! `sealog report`

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use indicatif::{ProgressBar, ProgressStyle};
use sealog::{AuditLog, ReportFormat, ReportOptions, ReportSummary};

use super::anomalies::{read_rules, saved_or_built_in};
use super::asking::{WithFilter, answer, moment, now_ms};
use super::to_file::ToFile;
use crate::cli::{Shared, Writing, finish};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::{self, Output, shows_progress};
use crate::render::{self, BOLD, DIM, GOOD};

/// What is added to the name of a CSV for the file that tells of it.
const SIDECAR: &str = ".report.json";

/// How long a report may take to end by itself after Ctrl-C: it does with the next piece that it writes, and
/// then logs that it was given up. While it still counts, nothing was handed out that could be told of.
const GRACE: Duration = Duration::from_secs(1);

/// Write what a filter selects as a report: a page or a table, and what seals it
///
/// A report holds all that is selected, the oldest first, however many events there are, and shows one
/// state of the log. It is an event of the log itself: who asked for what, and the SHA-256 of what was
/// written.
///
/// html is one page to read and print, with charts. parquet is a table for data tools, with types. csv is a table for spreadsheets: a cell that would run
/// as a formula begins with an apostrophe, and FILE.report.json beside it holds the checkpoint, range, filter
/// and count. json and ndjson hold the very bytes that were sealed, unless --fields names some.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog report --since 30d --findings -o month.html
  sealog report 'outcome:denied' --fields time,actorId,action,metadata.method -o denied.csv
  sealog report --since 2026-01-01 --until 2026-04-01 --group-by actorId -o quarter.html --actor ada
  sealog report tenant:acme --format ndjson | zstd > acme.ndjson.zst

Fields are those of an event (sealog get shows one), and time and date, which are the timestamp in UTC.
Inside of one they go by dots (metadata.method), or as a JSON Pointer where a name has dots itself
(/metadata/a.b). docs/REPORTS.md tells what each format holds.")]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    filter: WithFilter,
    /// How it is written [default: as the name of FILE ends, or csv]
    #[arg(long, value_name = "FORMAT",
        value_parser = PossibleValuesParser::new(ReportFormat::ALL.iter().map(|format| format.as_str()))
            .try_map(|format| format.parse::<ReportFormat>()))]
    format: Option<ReportFormat>,
    /// What of each event, in this order [default: all of it; for html what a person reads]
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    fields: Vec<String>,
    /// Put the events together that have the same values in these fields, and count them
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    group_by: Vec<String>,
    /// Tell what the log's rules find among the events, as `sealog anomalies` does: those that it has saved,
    /// or else the built-in ones
    #[arg(long)]
    findings: bool,
    /// Tell what these rules find, in the form that `sealog rules` prints; - is standard input
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// From this time on: an age (7d), a date, RFC 3339, or milliseconds since 1970
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Who asks for it, for the event that the report is
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// Open the log for reading only, which needs no key; the report is then no event of the log
    #[arg(long)]
    read_only: bool,
    /// A file elsewhere to which checkpoints are appended
    #[arg(long, value_name = "FILE", env = "SEALOG_ANCHOR")]
    anchor: Option<PathBuf>,
    #[command(flatten)]
    to_file: ToFile,
}

impl ReportArgs {
    pub(crate) async fn run(self, shared: &Shared, out: Output, interrupt: &Interrupt) -> Result<(), Failure> {
        if out.json && self.to_file.path().is_none() {
            let message = "--json prints what the report holds; name a FILE for the report itself with --output";
            return Err(Failure::Usage(message.to_owned()));
        }
        let options = self.options()?;
        if self.read_only {
            let log = shared.open_to_read().await?;
            return self.write(&log, options, shared, out, interrupt).await;
        }
        let writing = Writing { anchor: self.anchor.clone(), ..Writing::default() };
        let log = shared.open_to_write(false, &writing, None).await?;
        let done = self.write(&log, options, shared, out, interrupt).await;
        finish(log, done, out).await
    }

    fn options(&self) -> Result<ReportOptions, Failure> {
        let rules = match &self.rules {
            Some(path) => read_rules(path)?,
            None => Vec::new(),
        };
        let now_ms = now_ms();
        let time = |option, text: &Option<String>| text.as_deref().map(|text| moment(option, text, now_ms)).transpose();
        let (since, until) = (time("--since", &self.since)?, time("--until", &self.until)?);
        let mut options = ReportOptions::new(self.format())
            .range(since.unwrap_or(i64::MIN)..until.unwrap_or(i64::MAX))
            .filter(self.filter.read()?)
            .fields(self.fields.clone())
            .group_by(self.group_by.clone())
            .rules(rules);
        options.requested_by.clone_from(&self.actor);
        Ok(options)
    }

    fn format(&self) -> ReportFormat {
        let ending = self.to_file.path().and_then(Path::extension).and_then(|ending| ending.to_str());
        let by_name = || ending.and_then(|ending| ending.to_ascii_lowercase().parse().ok());
        self.format.or_else(by_name).unwrap_or(ReportFormat::Csv)
    }

    async fn write(
        &self,
        log: &AuditLog,
        mut options: ReportOptions,
        shared: &Shared,
        out: Output,
        interrupt: &Interrupt,
    ) -> Result<(), Failure> {
        if self.findings && self.rules.is_none() {
            options.rules = saved_or_built_in(log).await?.0;
        }
        let options = &options;
        let Some(path) = self.to_file.path() else {
            generate(log, options, Stopping { writer: io::stdout(), interrupt: interrupt.clone() }).await?;
            return Ok(());
        };
        let begun = self.to_file.begin(shared, path)?;
        let beside = (options.format == ReportFormat::Csv).then(|| {
            let mut name = path.as_os_str().to_owned();
            name.push(SIDECAR);
            PathBuf::from(name)
        });
        let sidecar = beside.as_deref().map(|beside| self.to_file.begin(shared, beside)).transpose()?;
        let file = begun.file().map_err(|error| Failure::file("write", path, &error))?;
        let summary = generate(log, options, Stopping { writer: file, interrupt: interrupt.clone() }).await?;
        begun.end()?;
        if let (Some(sidecar), Some(beside)) = (sidecar, &beside) {
            let text = serde_json::to_string_pretty(&summary).map_err(io::Error::from)? + "\n";
            let written = sidecar.file().and_then(|mut file| file.write_all(text.as_bytes()));
            written.map_err(|error| Failure::file("write", beside, &error))?;
            sidecar.end()?;
        }
        if out.json { output::document(&summary) } else { output::write(&told(&summary, path, beside.as_deref())) }
    }
}

/// Has the report written, and shows on a terminal how far it is.
async fn generate<W: Write + Send + 'static>(
    log: &AuditLog,
    options: &ReportOptions,
    writer: Stopping<W>,
) -> Result<ReportSummary, Failure> {
    let (bar, interrupt) = (progress_bar(), writer.interrupt.clone());
    let drawn = bar.clone();
    let progress = move |progress: sealog::ReportProgress| {
        drawn.set_length(progress.total);
        drawn.set_position(progress.written);
    };
    let stopped = async {
        interrupt.pressed().await;
        tokio::time::sleep(GRACE).await;
    };
    let generated = tokio::select! {
        generated = answer(log, log.generate_report(options, writer, progress)) => generated,
        () = stopped => Err(Failure::Interrupted),
    };
    bar.finish_and_clear();
    generated.map_err(|failure| match &failure {
        _ if interrupt.is_pressed() => Failure::Interrupted,
        Failure::Log(error) if is_closed_pipe(error) => Failure::PipeClosed,
        _ => failure,
    })
}

fn is_closed_pipe(error: &sealog::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn progress_bar() -> ProgressBar {
    if !shows_progress() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("writing {wide_bar} {human_pos}/{human_len} events  {eta}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// What was written, for a person.
fn told(summary: &ReportSummary, path: &Path, beside: Option<&Path>) -> String {
    let groups = summary.group_count.map(|count| format!(" in {}", render::counted(count, "group")));
    let mut text = format!(
        "{GOOD}Wrote{GOOD:#} {}{} to {BOLD}{}{BOLD:#}\n",
        render::counted(summary.record_count, "event"),
        groups.unwrap_or_default(),
        path.display()
    );
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {DIM}{name:<11}{DIM:#}{value}");
    };
    line("sealed by", &format!("the checkpoint of {}", render::counted(summary.checkpoint.size(), "event")));
    if let Some(findings) = &summary.findings {
        let rules = render::counted(summary.rules.len() as u64, "rule");
        line("findings", &format!("{} by {rules}", render::count(findings.total)));
    }
    line("sha256", &summary.sha256);
    match &summary.receipt {
        Some(receipt) => line("logged as", &format!("seq {}", receipt.seq)),
        None => line("logged as", "nothing: the log was opened for reading only"),
    }
    if let Some(beside) = beside {
        line("beside it", &beside.display().to_string());
    }
    text
}

/// Fails once Ctrl-C was pressed, so that the report ends and is logged as one that was given up.
struct Stopping<W> {
    writer: W,
    interrupt: Interrupt,
}

impl<W: Write> Write for Stopping<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.interrupt.is_pressed() {
            // Not `Interrupted`, after which `write_all` would try again.
            return Err(io::Error::other("stopped by Ctrl-C"));
        }
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
