//! Reports: what a filter selects, as evidence for somebody else. `docs/REPORTS.md` tells the formats.
//!
//! A report is read on the caller's task, page by page from one state of the log, and written on a thread
//! that may block. Between the two there are two pages at the most.

mod chart;
mod csv;
mod field;
mod html;
mod json;
mod layout;
mod options;
#[cfg(feature = "parquet")]
mod parquet;
mod source;

pub use options::{MAX_REPORT_FIELDS, MAX_REPORT_GROUP_FIELDS, ReportFormat, ReportOptions};
pub use source::MAX_REPORT_GROUPS;

use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;

use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use self::layout::{Head, Layout};
use self::source::{Group, Grouped, Page, Scan, Source, count_groups};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Outcome, Receipt, Severity};
use crate::log::AuditLog;
use crate::query::{Evaluation, Findings, Matcher, Rule, Selection, StatsOptions, TimeRange, count, stats};
use crate::tree::Checkpoint;

/// The action of the event that a report is.
const REPORT_GENERATED: &str = "sealog.report.generated";
/// How much is gathered before it is written, in bytes.
const WRITE_BYTES: usize = 64 * 1024;
/// The most findings in a report, the newest; all of them are counted.
pub const MAX_REPORT_FINDINGS: usize = 1_000;
/// Pages on their way from the log to the writer.
const PAGES_AHEAD: usize = 1;

/// How far a report is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReportProgress {
    /// Rows that were written.
    pub written: u64,
    /// Rows that the report will have.
    pub total: u64,
}

/// What a report holds and what seals it: what [`AuditLog::generate_report`] answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ReportSummary {
    /// How it is written.
    pub format: ReportFormat,
    /// When it was made, milliseconds since the Unix epoch.
    pub generated_at: i64,
    /// How many events it holds.
    pub record_count: u64,
    /// How many groups it has, where it is grouped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_count: Option<u64>,
    /// From when to when: what was asked for, and what the filter says of the time.
    pub range: TimeRange,
    /// Which events were asked for.
    pub filter: crate::Filter,
    /// What of each event was asked for; empty for the usual.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// By what the rows are put together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group_by: Vec<String>,
    /// The rules whose findings were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// What the rules find among its events, the newest first, where there were rules: all are counted, and at
    /// most [`MAX_REPORT_FINDINGS`] are here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Findings>,
    /// The checkpoint of the state that the report shows: it holds every event of it, and none that came
    /// later.
    #[serde(serialize_with = "layout::checkpoint")]
    pub checkpoint: Checkpoint,
    /// The public key that the log is signed with.
    pub vkey: String,
    /// How many bytes were written.
    pub bytes: u64,
    /// The SHA-256 of these bytes, in hex: the log's own event of this report has it too.
    pub sha256: String,
    /// The receipt of that event; `None` when the handle only reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

impl AuditLog {
    /// Writes a report of what the filter selects within a range: all of it, however many rows there are,
    /// the oldest first by the time at which they happened, in bounded memory.
    ///
    /// ```
    /// use sealog::{AuditLog, Event, Filter, ReportFormat, ReportOptions};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let log = AuditLog::open(dir.path().join("audit.db")).await?;
    /// log.log(Event::new("invoice.paid").actor("u-17").metadata(serde_json::json!({"method": "card"}))).await?;
    /// log.log(Event::new("user.login").actor("u-17")).await?;
    ///
    /// let path = dir.path().join("paid.csv");
    /// let options = ReportOptions::new(ReportFormat::Csv)
    ///     .filter(Filter::new().action("invoice.*"))
    ///     .fields(["seq", "actorId", "metadata.method"]);
    /// let summary = log.generate_report(&options, std::fs::File::create(&path)?, |_| {}).await?;
    ///
    /// assert_eq!(std::fs::read_to_string(path)?, "seq,actorId,metadata.method\r\n0,u-17,card\r\n");
    /// assert_eq!((summary.record_count, summary.checkpoint.size()), (1, 2));
    /// // The report is an event of its own.
    /// let event = log.get(&summary.receipt.unwrap().id).await?;
    /// assert_eq!(event.metadata.as_ref().unwrap()["sha256"], summary.sha256);
    /// # Ok(()) }
    /// ```
    ///
    /// The report shows one state of the log, and carries the checkpoint that seals it, whatever is logged
    /// in the meantime. `progress` is called after each page, from the thread that writes.
    ///
    /// Each report is logged as `sealog.report.generated`, with its format, range, filter, fields, count,
    /// the checkpoint's size and the SHA-256 of what was written; one that failed or was given up half way
    /// as well, with the outcome `failure`, since its beginning was handed out. A handle that only reads
    /// logs nothing. A scoped handle reports what is in its scope, and its event says `scoped`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when a field, the filter or a rule is wrong; `LimitExceeded` past [`MAX_REPORT_GROUPS`], or
    /// when the filter is too large for the event; `Storage` when `writer` fails; otherwise as
    /// [`AuditLog::search`] and [`AuditLog::log`]. What was written until then is not whole, and all formats
    /// but CSV show that by their missing end.
    pub async fn generate_report<W: Write + Send + 'static>(
        &self,
        options: &ReportOptions,
        writer: W,
        progress: impl FnMut(ReportProgress) + Send + 'static,
    ) -> Result<ReportSummary> {
        let columns = options.columns()?;
        let mut matcher = Matcher::new(&options.filter).map_err(|error| error.inside("/filter"))?;
        let range = options.range.within(options.filter.from_timestamp, options.filter.to_timestamp);
        (matcher.from, matcher.to) = (range.start().unwrap_or(i64::MIN), range.end().unwrap_or(i64::MAX));
        let (source, checkpoint, vkey) = self.sealed(self.scope.and(matcher)).await?;
        let evaluation = match &options.rules[..] {
            [] => None,
            rules => Some(Evaluation::new(&source.selection, rules, range).map_err(|error| error.inside("/rules"))?),
        };

        let mut told = Told {
            summary: ReportSummary {
                format: options.format,
                generated_at: self.shared.clock.now_ms(),
                record_count: 0,
                group_count: None,
                range,
                filter: options.filter.clone(),
                fields: options.fields.clone(),
                group_by: options.group_by.clone(),
                rules: options.rules.clone(),
                findings: None,
                checkpoint,
                vkey,
                bytes: 0,
                sha256: String::new(),
                receipt: None,
            },
            requested_by: options.requested_by.clone(),
            is_scoped: !self.scope.is_whole(),
        };
        // What could not be logged afterwards is not handed out before.
        self.prepare_own(told.event(Outcome::Success)).map_err(|error| match error.pointer() {
            Some("/actorId") => Error::field(ErrorKind::InvalidArgument, "/requestedBy", error.message()),
            Some("/metadata") => Error::field(error.kind(), "/filter", error.message()),
            _ => error,
        })?;

        let total = self.ask_view(&source.view, source.selection.clone(), count).await?;
        let chart_data = match options.format {
            ReportFormat::Html => Some(self.chart_data(&source, range).await?),
            _ => None,
        };
        if let Some(evaluation) = evaluation {
            told.summary.findings = Some(self.report_findings(evaluation, told.summary.checkpoint.size()).await?);
        }
        let group_by = columns.groups.clone();
        let mut groups = Arc::new(Vec::new());
        if !group_by.is_empty() {
            groups = Arc::new(count_groups(&source, &group_by).await?);
            told.summary.group_count = Some(groups.len() as u64);
        }
        let head = Head { columns, summary: told.summary.clone(), stats: chart_data };
        let out = Out::new(writer, layout::of(head, groups.clone())?, groups.clone(), total, progress);

        let (sender, receiver) = mpsc::channel(PAGES_AHEAD);
        let (log, runtime) = (self.clone(), Handle::current());
        // It goes on when this future is dropped, and logs that.
        let writing = tokio::task::spawn_blocking(move || write(out, receiver, told, &log, &runtime));
        let read = read(&source, &group_by, &groups, sender).await;
        let summary = writing.await.map_err(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Error::new(ErrorKind::Closed, "the runtime ended before the report did"),
        })?;
        // Where both went wrong, the reading did so first: the writing only misses the end.
        read.and(summary)
    }

    /// What is selected of the log as it is now, the checkpoint that seals it, and the key that signs it.
    async fn sealed(&self, selection: Selection) -> Result<(Source, Checkpoint, String)> {
        let state = self.snapshot(|snapshot| {
            let head = snapshot.head()?;
            Ok((Checkpoint::parse(&head.checkpoint.note)?, head.vkey))
        });
        let (checkpoint, vkey) = state.await?;
        let mut view = self.view(&selection, checkpoint.size()).await?;
        // What has come since is sealed by another checkpoint.
        view.size = checkpoint.size();
        Ok((Source { log: self.clone(), view: Arc::new(view), selection }, checkpoint, vkey))
    }

    /// What rules find among the events of the report.
    async fn report_findings(&self, evaluation: Evaluation, size: u64) -> Result<Findings> {
        let evaluated = self.evaluate(evaluation, size, i64::MIN).await;
        let evaluation = evaluated.map_err(|error| match error.pointer() {
            Some(_) => error.inside("/rules"),
            None => error,
        })?;
        let standing = evaluation.standing(i64::MIN);
        self.told(&evaluation, standing.newest(MAX_REPORT_FINDINGS)).await
    }

    async fn chart_data(&self, source: &Source, range: TimeRange) -> Result<crate::Stats> {
        let options = StatsOptions::new();
        self.ask_view(&source.view, source.selection.clone(), move |view, selection, snapshot| {
            stats(view, selection, range, &options, snapshot)
        })
        .await
    }
}

/// What goes to the thread that writes.
enum Step {
    Page(Page),
    End,
}

/// Reads the rows and hands them over. When nobody takes them any more, who does not says why.
async fn read(
    source: &Source,
    group_by: &[field::Field],
    groups: &Arc<Vec<Group>>,
    sender: mpsc::Sender<Step>,
) -> Result<()> {
    if group_by.is_empty() {
        let mut scan = Scan::new(source);
        while let Some(page) = scan.page().await? {
            if sender.send(Step::Page(page)).await.is_err() {
                return Ok(());
            }
        }
    } else {
        let mut grouped = Grouped::new(source, group_by, groups);
        while let Some(page) = grouped.page().await? {
            if sender.send(Step::Page(page)).await.is_err() {
                return Ok(());
            }
        }
    }
    let _ = sender.send(Step::End).await;
    Ok(())
}

/// Writes what comes, and logs the report whatever became of it.
fn write<W: Write, P: FnMut(ReportProgress)>(
    mut out: Out<W, P>,
    mut receiver: mpsc::Receiver<Step>,
    mut told: Told,
    log: &AuditLog,
    runtime: &Handle,
) -> Result<ReportSummary> {
    let done = out.all(&mut receiver);
    // Whoever waits for room in there learns that none will come.
    drop(receiver);
    let summary = &mut told.summary;
    (summary.record_count, summary.bytes) = (out.rows, out.bytes);
    summary.sha256 = out.digest.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let outcome = if done.is_ok() { Outcome::Success } else { Outcome::Failure };
    let logged = runtime.block_on(log.log_own(told.event(outcome)));
    done?;
    told.summary.receipt = logged?;
    Ok(told.summary)
}

/// What is told and logged of a report.
struct Told {
    summary: ReportSummary,
    requested_by: Option<String>,
    is_scoped: bool,
}

impl Told {
    fn event(&self, outcome: Outcome) -> Event {
        let summary = &self.summary;
        let mut metadata = json!({
            "format": summary.format, "range": summary.range, "filter": summary.filter, "fields": summary.fields,
            "groupBy": summary.group_by, "recordCount": summary.record_count, "bytes": summary.bytes,
            "checkpointSize": summary.checkpoint.size(), "generatedAt": summary.generated_at,
            "sha256": summary.sha256,
        });
        if let Some(findings) = &summary.findings {
            metadata["findingCount"] = json!(findings.total);
        }
        if self.is_scoped {
            metadata["scoped"] = json!(true);
        }
        let severity = if outcome == Outcome::Success { Severity::Info } else { Severity::Warning };
        let mut event = Event::new(REPORT_GENERATED).severity(severity).outcome(outcome).metadata(metadata);
        event.actor_id.clone_from(&self.requested_by);
        event
    }
}

/// The report on its way out.
struct Out<W, P> {
    writer: W,
    layout: Box<dyn Layout>,
    groups: Arc<Vec<Group>>,
    /// The group that the last row was in.
    group: Option<usize>,
    rows: u64,
    total: u64,
    bytes: u64,
    digest: Sha256,
    progress: P,
}

impl<W: Write, P: FnMut(ReportProgress)> Out<W, P> {
    fn new(writer: W, layout: Box<dyn Layout>, groups: Arc<Vec<Group>>, total: u64, progress: P) -> Self {
        Self { writer, layout, groups, group: None, rows: 0, total, bytes: 0, digest: Sha256::new(), progress }
    }

    fn all(&mut self, receiver: &mut mpsc::Receiver<Step>) -> Result<()> {
        self.layout.begin()?;
        self.flow(WRITE_BYTES)?;
        loop {
            match receiver.blocking_recv() {
                Some(Step::Page(page)) => self.page(&page)?,
                Some(Step::End) => break,
                None => return Err(Error::new(ErrorKind::Closed, "the report was given up before its end")),
            }
        }
        self.layout.end(self.rows)?;
        self.flow(0)?;
        self.writer.flush().map_err(failed)
    }

    fn page(&mut self, page: &Page) -> Result<()> {
        for body in page.bodies() {
            let (group, body) = body?;
            if !self.groups.is_empty() && self.group != Some(group) {
                self.layout.group(&self.groups[group])?;
                self.group = Some(group);
            }
            self.layout.row(&body)?;
            self.rows += 1;
            self.flow(WRITE_BYTES)?;
        }
        (self.progress)(ReportProgress { written: self.rows, total: self.total });
        Ok(())
    }

    /// Writes what is there, once it is more than so many bytes.
    fn flow(&mut self, bytes: usize) -> Result<()> {
        let made = self.layout.made();
        if made.len() > bytes {
            self.writer.write_all(made).map_err(failed)?;
            self.digest.update(made);
            self.bytes += made.len() as u64;
            self.layout.clear();
        }
        Ok(())
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Storage, format!("the report cannot be written: {error}")).with_source(error)
}
