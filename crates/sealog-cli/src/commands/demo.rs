//! `sealog demo`

#[cfg(feature = "serve")]
mod live;

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use sealog::{
    AuditLog, Erasure, ErasureReport, Event, Filter, Logged, Proof, Record, ReportFormat, ReportOptions, Rule,
    Severity, Subject, VerifyOptions, actions,
};
use serde_json::{Map, Value, json};

use super::screen::{self, Told};
use super::{questions, verify};
use crate::cli::{Shared, finish};
use crate::failure::Failure;
use crate::generator::Generator;
use crate::interrupt::Interrupt;
use crate::output::{self, Output};

/// Monday, 2026-03-02, 07:00 UTC: the story is the same whenever it is told.
const START_MS: i64 = 1_772_434_800_000;
/// How many events are written in one transaction.
const BATCH_EVENTS: usize = 1_000;
/// From how many of the newest events the story is told.
const RECENT: u64 = 4_000;
/// How many events a story that ends has, unless told otherwise.
const ONCE_EVENTS: u64 = 2_000;
/// From how many events on somebody may be the one who is forgotten.
const FORGOTTEN_EVENTS: usize = 3;
/// Why.
pub(super) const FORGOTTEN_FOR: &str = "gdpr-17";

/// See what it does: a company's month, and what happens there now, in the dashboard
///
/// Writes a new log with the events of a company that does not exist, serves it with its dashboard, and goes on writing
/// over HTTP until Ctrl-C. A panel in the dashboard makes things happen that the rules find.
///
/// With --once it tells a day of that company on the terminal and ends: it asks for events, statistics, anomalies
/// and a record's past, shows a hidden secret, proves one event, erases a person, verifies the whole, and writes a
/// report as a page. The same seed tells the same story.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog demo
  sealog demo --events 200000 --dir /tmp/big
  sealog demo --once
  sealog demo --once --json")]
pub(crate) struct Demo {
    /// Tell a day on the terminal, and end
    #[arg(long)]
    #[cfg_attr(not(feature = "serve"), expect(dead_code, reason = "without a server there is nothing else"))]
    once: bool,
    /// How many events, without --once at the most [default: those of thirty days; with --once 2000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    events: Option<u64>,
    /// Which story
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// Write the log into this folder [default: a new temporary one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Leave the temporary folder in any case [default: when the output is a terminal]
    #[arg(long)]
    keep: bool,
    /// Where to listen [default: 127.0.0.1:7341, or any port that is free]
    #[cfg(feature = "serve")]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "once")]
    listen: Option<String>,
    /// How many events a second happen
    #[cfg(feature = "serve")]
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pace: u32,
    /// Open no browser
    #[cfg(feature = "serve")]
    #[arg(long, conflicts_with = "once")]
    no_open: bool,
}

/// The folder, and whether it stays.
enum Folder {
    Named(PathBuf),
    Temporary(tempfile::TempDir),
}

/// What was counted while writing.
#[derive(Debug, Default)]
struct Written {
    seconds: f64,
    /// The newest event that carried a secret: its seq and what was sent.
    secret: Option<(u64, Map<String, Value>)>,
}

impl Demo {
    pub(crate) async fn run(self, shared: &Shared, out: Output, interrupt: &Interrupt) -> Result<(), Failure> {
        if shared.is_explicit.log || shared.is_explicit.key || shared.is_explicit.index {
            let message = "the demo writes a log of its own; --dir says into which folder";
            return Err(Failure::Usage(message.to_owned()));
        }
        let folder = self.folder()?;
        let dir = match &folder {
            Folder::Named(dir) => dir.clone(),
            Folder::Temporary(dir) => dir.path().to_owned(),
        };
        let path = dir.join("audit.db");
        if path.exists() {
            return Err(Failure::Usage(format!("there is a log in {} already; name another folder", dir.display())));
        }
        // The demo's files are its own: no setting of the environment reaches them.
        let log = AuditLog::builder(&path).origin("demo.sealog.local").open().await?;
        self.tell(log, &dir, &path, out, interrupt).await?;
        if let Folder::Temporary(dir) = folder
            && self.stays()
        {
            let _ = dir.keep();
        }
        Ok(())
    }

    async fn tell(
        &self,
        log: AuditLog,
        dir: &Path,
        path: &Path,
        out: Output,
        interrupt: &Interrupt,
    ) -> Result<(), Failure> {
        #[cfg(feature = "serve")]
        if !self.once {
            return self.go_on(log, dir, out, interrupt).await;
        }
        let shown = tokio::select! {
            shown = self.show(&log, dir, path, out) => shown,
            () = interrupt.pressed() => Err(Failure::Interrupted),
        };
        finish(log, shown, out).await
    }

    /// Whether somebody will try the commands that the demo ends with.
    fn stays(&self) -> bool {
        self.keep || std::io::IsTerminal::is_terminal(&std::io::stdout())
    }

    fn folder(&self) -> Result<Folder, Failure> {
        let Some(dir) = &self.dir else {
            let dir = tempfile::Builder::new().prefix("sealog-demo-").tempdir();
            let dir = dir.map_err(|error| Failure::file("make", &std::env::temp_dir(), &error))?;
            return Ok(Folder::Temporary(dir));
        };
        std::fs::create_dir_all(dir).map_err(|error| Failure::file("make", dir, &error))?;
        // Shown in commands that are tried from elsewhere.
        std::path::absolute(dir).map(Folder::Named).map_err(|error| Failure::file("find", dir, &error))
    }

    async fn show(&self, log: &AuditLog, dir: &Path, path: &Path, out: Output) -> Result<(), Failure> {
        let written = write(log, self.seed, self.events.unwrap_or(ONCE_EVENTS)).await?;
        let size = log.head().await?.size;
        let recent = recent(log, size).await?;
        let questions = questions::ask(log, &recent).await?;

        let picked = recent.iter().rev().find(|record| record.severity == Severity::Critical);
        let proven = picked.or(recent.last()).map_or(0, Record::seq);
        let proof_file = dir.join(format!("event-{proven}.tlog-proof"));
        let proof = log.proof(proven).await?.to_text();
        let secret = match &written.secret {
            Some((seq, sent)) => log.read(*seq, 1).await?.events.pop().map(|record| (record, sent)),
            None => None,
        };
        let kept = [picked, secret.as_ref().map(|(record, _)| record)];
        let forgotten = match whom(&recent, &kept) {
            Some(id) => Some(forget(log, id).await?),
            None => None,
        };
        std::fs::write(&proof_file, proof).map_err(|error| Failure::file("write", &proof_file, &error))?;
        let vkey = log.vkey().await?;
        // From the file, as whoever receives it would.
        let proof = Proof::parse(&super::read_text(&proof_file)?)?.verify(&vkey)?;

        let options = VerifyOptions { vkey: Some(vkey.clone()), ..VerifyOptions::default() };
        let started = Instant::now();
        let report = log.verify(options, |_| {}).await?;
        let verify_seconds = started.elapsed().as_secs_f64();
        let report_file = dir.join("report.html");
        let file = std::fs::File::create(&report_file).map_err(|error| Failure::file("write", &report_file, &error))?;
        let options = ReportOptions::new(ReportFormat::Html).rules(Rule::built_in());
        log.generate_report(&options, file, |_| {}).await?;

        if out.json {
            output::document(&json!({
                "log": path.display().to_string(), "seed": self.seed, "events": size, "questions": questions.json(),
                "ingestSeconds": written.seconds, "eventsPerSecond": (size as f64 / written.seconds).round(),
                "vkey": vkey, "proof": {"seq": proven, "file": proof_file.display().to_string()}, "verify": report,
                "report": report_file.display().to_string(), "erased": forgotten.as_ref().map(|it| &it.report),
                "verifySeconds": verify_seconds, "ok": report.is_ok(), "kept": self.dir.is_some() || self.stays(),
            }))?;
        } else {
            let verified = verify::text(&verify::Told {
                report: &report,
                signer: Some(&vkey),
                path: &path.display().to_string(),
                seconds: verify_seconds,
                compared: 0,
                is_another: false,
            });
            let told = Told {
                size,
                seconds: written.seconds,
                recent: &recent,
                questions: &questions,
                secret: secret.as_ref().map(|(record, sent)| (record, *sent)),
                proof: &proof,
                proof_file: &proof_file,
                report_file: &report_file,
                forgotten: forgotten.as_ref(),
                vkey: &vkey,
                log: path,
                verified: &verified,
                stays: self.dir.is_some() || self.stays(),
            };
            output::write(&screen::text(&told))?;
        }
        if report.is_ok() { Ok(()) } else { Err(Failure::Reported(1)) }
    }
}

/// Somebody who is forgotten, and what that did.
pub(super) struct Forgotten {
    pub(super) id: String,
    pub(super) report: ErasureReport,
    /// How many events of theirs are found afterwards.
    pub(super) found: u64,
}

/// Who is forgotten: a person with few events, none of which is needed for the rest of the story.
fn whom<'a>(recent: &'a [Record], kept: &[Option<&Record>]) -> Option<&'a str> {
    let mut events: HashMap<&str, usize> = HashMap::new();
    for record in recent.iter().filter(|record| record.actor_type.as_deref() == Some("user")) {
        *events.entry(record.actor_id.as_deref()?).or_default() += 1;
    }
    for id in kept.iter().flatten().flat_map(|record| [&record.actor_id, &record.on_behalf_of]).flatten() {
        events.remove(&**id);
    }
    let candidates = events.into_iter().filter(|(_, events)| *events >= FORGOTTEN_EVENTS);
    candidates.min_by_key(|(id, events)| (*events, *id)).map(|(id, _)| id)
}

async fn forget(log: &AuditLog, id: &str) -> Result<Forgotten, Failure> {
    let report = log.erase(&Erasure::new(Subject::actor(id), FORGOTTEN_FOR)).await?;
    let found = log.count(&Filter::new().actor(id)).await?;
    Ok(Forgotten { id: id.to_owned(), report, found })
}

/// Writes the story, one batch being made while another is on its way.
async fn write(log: &AuditLog, seed: u64, events: u64) -> Result<Written, Failure> {
    let mut written = Written::default();
    let mut story = Generator::new(seed, START_MS).take(usize::try_from(events).unwrap_or(usize::MAX)).peekable();
    let mut in_flight = VecDeque::new();
    let started = Instant::now();
    while story.peek().is_some() || !in_flight.is_empty() {
        let batch: Vec<Event> = story.by_ref().take(BATCH_EVENTS).collect();
        let mut secret = None;
        for (place, event) in batch.iter().enumerate() {
            if event.action == actions::API_KEY_CREATED || event.action == actions::USER_SIGNUP {
                secret = event.metadata.clone().map(|metadata| (place, metadata));
            }
        }
        if !batch.is_empty() {
            let log = log.clone();
            in_flight.push_back((tokio::spawn(async move { log.log_bulk(batch).await }), secret));
        }
        if in_flight.len() > 1 || story.peek().is_none() {
            let Some((task, secret)) = in_flight.pop_front() else { continue };
            let logged = task.await.map_err(|error| Failure::File(format!("a batch was lost: {error}")))??;
            if let Some((place, metadata)) = secret
                && let Some(receipt) = logged.get(place).and_then(Logged::receipt)
            {
                written.secret = Some((receipt.seq, metadata));
            }
        }
    }
    written.seconds = started.elapsed().as_secs_f64();
    Ok(written)
}

async fn recent(log: &AuditLog, size: u64) -> Result<Vec<Record>, Failure> {
    let mut recent = Vec::new();
    let mut next = size.saturating_sub(RECENT);
    while next < size {
        let page = log.read(next, BATCH_EVENTS).await?;
        if page.next_seq <= next {
            break;
        }
        next = page.next_seq;
        recent.extend(page.events);
    }
    Ok(recent)
}
