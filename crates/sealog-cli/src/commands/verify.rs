//! `sealog verify`

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use sealog::{Checkpoint, ErrorKind, Trust, VerifyOptions, VerifyReport};
use serde_json::{Value, json};

use super::read_file;
use crate::cli::Shared;
use crate::failure::Failure;
use crate::output::{self, Output, shows_progress};
use crate::render::{self, BAD, BOLD, DIM, GOOD, WARN};

/// Check the whole log
///
/// Recomputes every commitment and the tree, and checks each checkpoint's signature, that no seq is
/// missing, and that all columns agree with the sealed bodies. What was removed must have its receipt in
/// the log (sealog.retention.applied, sealog.erasure.applied), and nothing else may be gone. Alone it can only say that the log
/// agrees with itself. With --vkey it says that it is this log; with older checkpoints, kept where
/// the log's owner cannot reach them, that nothing up to them was rewritten.
///
/// Exits with 1 when there is damage, or when it is another log than the one that is meant.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog verify
  sealog verify --vkey \"$(cat audit.vkey)\" --checkpoint 2026-03-02.checkpoint
  sealog verify --anchor /mnt/elsewhere/audit.anchor --json")]
pub(crate) struct Verify {
    /// An older checkpoint that today's log must extend; may be given again
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// The public key of the log, as `sealog key show` printed it when it was made
    #[arg(long, value_name = "VKEY", env = "SEALOG_VKEY")]
    vkey: Option<String>,
    /// A file to which checkpoints were appended, all of which today's log must extend
    #[arg(long, value_name = "FILE", env = "SEALOG_ANCHOR")]
    anchor: Option<PathBuf>,
}

impl Verify {
    pub(crate) async fn run(self, shared: &Shared, out: Output) -> Result<(), Failure> {
        let vkey = self.vkey.map(|vkey| vkey.trim().to_owned());
        let mut options = VerifyOptions { vkey, ..VerifyOptions::default() };
        let mut given = Vec::new();
        for file in self.checkpoint.iter().chain(&self.anchor) {
            let bytes = read_file(file)?;
            // A crash of its writer may have left the beginning of one more.
            let (checkpoints, _) = Checkpoint::read_anchor(&bytes)
                .map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?;
            if checkpoints.is_empty() {
                return Err(Failure::Usage(format!("{} holds no checkpoint", file.display())));
            }
            given.extend(checkpoints);
        }
        options.checkpoints = given.iter().map(|checkpoint| checkpoint.note().to_owned()).collect();
        let log = shared.open_to_read().await?;
        // What is no key at all says nothing of the log.
        if let (Some(vkey), Ok(head)) = (&options.vkey, log.head().await)
            && let Err(error) = head.checkpoint.verify(vkey)
            && error.kind() == ErrorKind::InvalidArgument
        {
            return Err(error.into());
        }
        let started = Instant::now();
        let bar = progress_bar();
        let drawn = bar.clone();
        let report = log
            .verify(options, move |progress| {
                drawn.set_length(progress.total);
                drawn.set_position(progress.checked);
                let rate = progress.checked as f64 / started.elapsed().as_secs_f64().max(1e-9);
                drawn.set_message(format!("{}/s", render::count(rate as u64)));
            })
            .await;
        bar.finish_and_clear();
        let (report, seconds) = (report?, started.elapsed().as_secs_f64());
        let signer = log.vkey().await.ok();
        let is_another = is_another(&report);
        let told = if out.json {
            let mut document = document(&report, signer.as_deref(), seconds)?;
            document["anotherLog"] = json!(is_another);
            output::document(&document)
        } else {
            let (report, signer, path, compared) = (&report, signer.as_deref(), &*shared.location().name, given.len());
            output::write(&text(&Told { report, signer, path, seconds, compared, is_another }))
        };
        // Damage is a failure whether or not somebody reads what it is.
        if report.is_ok() { told } else { Err(Failure::Reported(1)) }
    }
}

fn progress_bar() -> ProgressBar {
    if !shows_progress() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("verifying {wide_bar} {human_pos}/{human_len} events  {msg}  {eta}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn document(report: &VerifyReport, signer: Option<&str>, seconds: f64) -> Result<Value, Failure> {
    let mut document = serde_json::to_value(report).map_err(std::io::Error::from)?;
    document["ok"] = json!(report.is_ok());
    document["vkey"] = json!(signer);
    document["seconds"] = json!(seconds);
    Ok(document)
}

/// Whether the log is not the one that the given key or checkpoints are of, and its own events are as
/// they were sealed.
fn is_another(report: &VerifyReport) -> bool {
    let codes = || report.problems.iter().map(|problem| problem.code);
    codes().any(|code| code == "other_log")
        && codes().all(|code| matches!(code, "other_log" | "key" | "checkpoint" | "truncated"))
}

/// What is told of a check.
pub(super) struct Told<'a> {
    pub(super) report: &'a VerifyReport,
    pub(super) signer: Option<&'a str>,
    pub(super) path: &'a str,
    pub(super) seconds: f64,
    /// How many checkpoints were given.
    pub(super) compared: usize,
    pub(super) is_another: bool,
}

/// The report for a person.
pub(super) fn text(told: &Told<'_>) -> String {
    let &Told { report, signer, path, seconds, compared, is_another } = told;
    let mut text = if report.is_ok() {
        format!("{GOOD}Whole:{GOOD:#} every event of {path} is what was sealed.\n")
    } else if is_another {
        format!("{BAD}Another log:{BAD:#} {path} is not the log that the given key or checkpoint is of.\n")
    } else {
        format!("{BAD}Damaged:{BAD:#} {path} is not what was sealed.\n")
    };
    let rate = (report.size as f64 / seconds.max(1e-9)) as u64;
    let _ = writeln!(
        text,
        "\n  {DIM}size       {DIM:#} {}  {DIM}checked in {seconds:.2} s, {} a second{DIM:#}",
        render::counted(report.size, "event"),
        render::count(rate)
    );
    let _ = writeln!(text, "  {DIM}root       {DIM:#} {}", report.root);
    if let Some(signer) = signer {
        let _ = writeln!(text, "  {DIM}signer     {DIM:#} {}", render::safe(signer));
    }
    let given = if compared > 0 { format!(", {compared} of them given") } else { String::new() };
    let _ = writeln!(text, "  {DIM}checkpoints{DIM:#} {} checked{given}", render::count(report.checkpoints));
    if report.removed + report.reduced > 0 {
        let reduced = match report.reduced {
            0 => String::new(),
            reduced => format!("; of {} more a part", render::count(reduced)),
        };
        let removed = render::counted(report.removed, "event");
        let _ = writeln!(text, "  {DIM}removed    {DIM:#} {removed}{reduced}, as receipts in the log say");
    }
    if report.is_ok() {
        let _ = writeln!(text, "  {DIM}trust      {DIM:#} {}", trust(report.trust));
        return text;
    }
    let _ = writeln!(text, "\n{}:", render::counted(report.problems.len() as u64, "problem"));
    for problem in &report.problems {
        let _ = writeln!(
            text,
            "\n  {BAD}seq {}{BAD:#}  {BOLD}{}{BOLD:#}  {}\n    {DIM}expected{DIM:#} {}\n    {DIM}found{DIM:#}    {}",
            problem.seq,
            problem.code,
            render::safe(&problem.message),
            render::safe(&problem.expected),
            render::safe(&problem.found)
        );
    }
    text
}

/// On what the result rests, in words.
fn trust(trust: Trust) -> String {
    match trust {
        Trust::SelfConsistent => format!(
            "{WARN}the log is only consistent with itself{WARN:#}, since whoever holds file and key could have \
             rewritten both;\n              give --vkey, and --checkpoint or --anchor, to know more"
        ),
        Trust::Key => {
            "it is signed by the key that was given; who holds that key could still have rewritten it,\n              \
                       which --checkpoint or --anchor would show"
                .to_owned()
        }
        Trust::Checkpoint => "it extends the checkpoints that were given: nothing up to them was changed".to_owned(),
        Trust::KeyAndCheckpoint => "it is signed by the key that was given, and extends the checkpoints that were \
                                    given:\n              nothing up to them was changed"
            .to_owned(),
        _ => String::new(),
    }
}
