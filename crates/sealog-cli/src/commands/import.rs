//! `sealog import`

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use indicatif::{ProgressBar, ProgressStyle};
use sealog::{AuditLog, Logged};
use serde_json::json;

use super::budget::{Budget, Room};
use super::intake::{Batch, Intake, Step};
use super::lines::{BadLines, OnError, Reason};
use super::{is_of_the_event, is_stdin, name_of};
use crate::cli::{Shared, WithInbox, Writing, finish};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::{self, Output, Telling, shows_progress};
use crate::render::{self, DIM, GOOD, WARN};
use crate::sources::{Format, Place};

/// One batch is read and mapped, one waits, while one is being written.
const BATCHES_IN_FLIGHT: usize = 2;

/// Bring events in from files
///
/// Reads Sealog's own events, AWS CloudTrail and Kubernetes audit logs; plain, gzip or zstd; one
/// record a line, a JSON array, or a document with `Records`. Times are kept, and so are the sources'
/// own ids: importing the same file again adds nothing. What has no id of its own gets one from its
/// content.
///
/// What `sealog tail --json` printed of another log is taken too: seq, recordedAt and diff are dropped,
/// since this log gives its own, and hidden values stay hidden. Events whose action begins with
/// `sealog.` are that log's own and are refused; --on-error skip passes over them.
///
/// Actor, resource, outcome, address, program and severity are taken from where each source has
/// them; a refused call is `denied` and a warning; all the rest is kept in the metadata.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog import history.ndjson.zst
  sealog import --on-error skip AWSLogs/*/CloudTrail/*/*/*/*/*.json.gz
  kubectl logs audit-forwarder | sealog import --format kubernetes -")]
pub(crate) struct Import {
    /// The files; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What they hold [default: guessed from each file's first record]
    #[arg(long)]
    format: Option<Format>,
    /// What a bad line or file does; either way the exit code says that there was one
    #[arg(long, value_name = "WHAT", default_value = "stop")]
    on_error: OnError,
    #[command(flatten)]
    writing: Writing,
    #[command(flatten)]
    inbox: WithInbox,
}

/// What became of the events.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    new: u64,
    existing: u64,
    sampled: u64,
}

impl Tally {
    fn add(&mut self, logged: &[Logged]) {
        for logged in logged {
            match logged.receipt() {
                None => self.sampled += 1,
                Some(receipt) if receipt.existed => self.existing += 1,
                Some(_) => self.new += 1,
            }
        }
    }

    fn events(self) -> u64 {
        self.new + self.existing + self.sampled
    }

    fn since(self, before: Self) -> Self {
        Self {
            new: self.new - before.new,
            existing: self.existing - before.existing,
            sampled: self.sampled - before.sampled,
        }
    }

    fn text(self) -> String {
        let mut text = format!("{}: {} new", render::counted(self.events(), "event"), render::count(self.new));
        if self.existing > 0 {
            let _ = write!(text, ", {} there already", render::count(self.existing));
        }
        if self.sampled > 0 {
            let _ = write!(text, ", {} sampled away", render::count(self.sampled));
        }
        text
    }
}

/// A batch, and what came of sending it.
type Sent = (Batch, sealog::Result<Vec<Logged>>);

struct Importer<'a> {
    log: &'a AuditLog,
    bar: ProgressBar,
    bad: BadLines,
    budget: Budget,
    tally: Tally,
}

impl Import {
    pub(crate) async fn run(self, shared: &Shared, out: Output, interrupt: &Interrupt) -> Result<(), Failure> {
        // A name that is wrong is said before anything is written.
        if self.on_error == OnError::Stop {
            for file in self.files.iter().filter(|file| !is_stdin(file)) {
                let opened = std::fs::metadata(file).and_then(|data| {
                    // Opening a pipe would wait for somebody to write to it.
                    if data.is_file() { File::open(file).map(drop) } else { Ok(()) }
                });
                opened.map_err(|error| Failure::unreadable(file.display(), &error))?;
            }
        }
        let log = shared.open_to_write(true, &self.writing, self.inbox.inbox.as_deref()).await?;
        let imported = self.all(&log, out, interrupt).await;
        finish(log, imported, out).await
    }

    async fn all(&self, log: &AuditLog, out: Output, interrupt: &Interrupt) -> Result<(), Failure> {
        let started = Instant::now();
        let total: u64 = self.files.iter().map(|file| std::fs::metadata(file).map_or(0, |data| data.len())).sum();
        let mut importer = Importer {
            log,
            bar: progress_bar(total),
            bad: BadLines::new(out, self.on_error),
            budget: Budget::new(),
            tally: Tally::default(),
        };
        let (mut files, mut failure, mut telling) = (Vec::new(), None, Telling::default());
        for path in &self.files {
            let (before, bad_before) = (importer.tally, importer.bad.count);
            let result = importer.file(path, self.format, interrupt).await;
            let (tally, bad) = (importer.tally.since(before), importer.bad.count - bad_before);
            let format = result.as_ref().ok().copied().flatten();
            let name = name_of(path);
            files.push(json!({
                "file": name, "format": format.map(Format::name), "events": tally.events(), "new": tally.new,
                "existing": tally.existing, "sampled": tally.sampled, "bad": bad,
                "error": result.as_ref().err().and_then(Failure::text),
            }));
            if !out.json && (result.is_ok() || tally.events() > 0) {
                let format = format.map(|format| format!(" {DIM}({}){DIM:#}", format.name())).unwrap_or_default();
                importer.bar.suspend(|| telling.write(&format!("{name}{format}  {}\n", tally.text())));
            }
            // What is wrong with one file says nothing of the next.
            match result {
                Err(of_file @ Failure::Usage(_)) if self.on_error == OnError::Skip => {
                    importer.bar.suspend(|| importer.bad.file(&of_file));
                }
                result => failure = result.err(),
            }
            if failure.is_some() || importer.bad.must_stop() || interrupt.is_pressed() {
                break;
            }
        }
        importer.bar.finish_and_clear();
        let (tally, bad, seconds) = (importer.tally, importer.bad.count, started.elapsed().as_secs_f64());
        let size = log.head().await?.size;
        if out.json {
            telling.write(&output::line(&json!({
                "files": files, "events": tally.events(), "new": tally.new, "existing": tally.existing,
                "sampled": tally.sampled, "bad": bad, "size": size, "seconds": seconds,
            }))?);
        } else {
            let rate = (tally.events() as f64 / seconds.max(1e-9)) as u64;
            let bad =
                if bad > 0 { format!(", {WARN}{}{WARN:#}", render::counted(bad, "bad line")) } else { String::new() };
            let (style, did) = if failure.is_some() { (WARN, "Stopped after") } else { (GOOD, "Imported") };
            telling.write(&format!(
                "{style}{did}{style:#} {}{bad}  {DIM}in {seconds:.2} s, {} a second; the log holds {} now{DIM:#}\n",
                tally.text(),
                render::count(rate),
                render::count(size)
            ));
        }
        match failure {
            Some(failure) => Err(failure),
            None if interrupt.is_pressed() => Err(Failure::Interrupted),
            None => importer.bad.result().and_then(|()| telling.result()),
        }
    }
}

impl Importer<'_> {
    /// Imports one file; answers its format, unless it was empty.
    async fn file(
        &mut self,
        path: &Path,
        format: Option<Format>,
        interrupt: &Interrupt,
    ) -> Result<Option<Format>, Failure> {
        let mut intake =
            Intake::open(path, format, self.log.clone(), &self.bar, self.budget.clone(), self.bad.stops())?;
        let name = intake.name.clone();
        let mut open = true;
        let mut found = format;
        let mut in_flight = FuturesOrdered::new();
        let mut failure = None;
        while open || !in_flight.is_empty() {
            tokio::select! {
                biased;
                Some((done, room)) = in_flight.next(), if !in_flight.is_empty() => {
                    let settled = self.settle(&name, done).await;
                    drop(room);
                    if let Err(error) = settled {
                        failure = failure.or(Some(error));
                    }
                }
                step = intake.steps.recv(), if open && in_flight.len() < BATCHES_IN_FLIGHT => match step {
                    Some(Step::Is(format)) => found = Some(format),
                    Some(Step::Batch(batch, room)) => in_flight.push_back(self.held(batch, room)),
                    Some(Step::Bad(place, reason)) => self.report(&name, place, &Reason::Unreadable(reason)),
                    Some(Step::Failed(error)) => failure = failure.or(Some(error)),
                    None => open = false,
                },
                () = interrupt.pressed(), if open => open = false,
            }
            // Asked again here: while batches keep coming, nobody waits for the press.
            open &= failure.is_none() && !self.bad.must_stop() && !interrupt.is_pressed();
        }
        failure.map_or(Ok(found), Err)
    }

    /// Sends a batch, for which the room is held on.
    fn held(&self, batch: Batch, room: Room) -> impl Future<Output = (Sent, Room)> + use<> {
        let sent = self.send(batch);
        async move { (sent.await, room) }
    }

    /// Sends a batch; what comes back can be sent again in parts.
    fn send(&self, batch: Batch) -> impl Future<Output = Sent> + use<> {
        let log = self.log.clone();
        async move {
            let result = match batch.as_slice() {
                // Alone, what is wrong is said of the event, not of a place in the batch.
                [(_, event)] => log.log(event.clone()).await.map(|logged| vec![logged]),
                many => log.log_bulk(many.iter().map(|(_, event)| event.clone()).collect()).await,
            };
            (batch, result)
        }
    }

    /// Counts what was written. A batch that was refused for one of its events is written in halves,
    /// down to the one that is wrong, so that the others get in and keep their order among themselves; the
    /// next batch may get in before them.
    async fn settle(&mut self, file: &str, (batch, result): Sent) -> Result<(), Failure> {
        let mut results = vec![(batch, result)];
        let mut waiting: Vec<Batch> = Vec::new();
        loop {
            if let Some((mut batch, result)) = results.pop() {
                match result {
                    Ok(logged) => {
                        self.tally.add(&logged);
                        let rate = self.tally.events() as f64 / self.bar.elapsed().as_secs_f64().max(1e-9);
                        self.bar.set_message(format!(
                            "{} events  {}/s",
                            render::count(self.tally.events()),
                            render::count(rate as u64)
                        ));
                    }
                    Err(error) if is_of_the_event(&error) && batch.len() > 1 => {
                        let second = batch.split_off(batch.len() / 2);
                        waiting.push(second);
                        waiting.push(batch);
                    }
                    Err(error) if is_of_the_event(&error) => {
                        self.report(file, batch[0].0, &Reason::Refused(error));
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            if self.bad.must_stop() {
                return Ok(());
            }
            let Some(next) = waiting.pop() else { return Ok(()) };
            results.push(self.send(next).await);
        }
    }

    fn report(&mut self, file: &str, place: Place, reason: &Reason) {
        let bad = &mut self.bad;
        self.bar.suspend(|| bad.report(file, place, reason));
    }
}

/// By bytes of the files as they are, since nobody knows how many events they hold.
fn progress_bar(total: u64) -> ProgressBar {
    if !shows_progress() {
        return ProgressBar::hidden();
    }
    let (bar, template) = if total > 0 {
        (ProgressBar::new(total), "importing {wide_bar} {percent}%  {msg}  {eta}")
    } else {
        (ProgressBar::new_spinner(), "importing {spinner} {msg}  {elapsed}")
    };
    bar.enable_steady_tick(Duration::from_millis(100));
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}
