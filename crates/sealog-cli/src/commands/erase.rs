//! `sealog erase`

use std::cell::Cell;
use std::fmt::Write as _;

use clap::{ArgGroup, Args};
use sealog::{AuditLog, CleanupProgress, Erasure, ErasureMode, ErasureReport, Subject};

use super::changing::{Changing, progress_bar, unless_stopped};
use super::cleanup::scrubbed;
use crate::cli::{Shared, finish};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::{self, Output};
use crate::render::{self, DIM, GOOD, WARN};

/// Erase the personal data of one actor or resource, for the right to be forgotten
///
/// All events go that the actor caused, or that were caused on its behalf; or that concern the resource. With
/// --fields only what tells of whom they are goes: the action, the times, the severity and the outcome stay.
/// The receipt, an event sealog.erasure.applied, names the subject by a keyed hash. When the command ends, no
/// query finds what went and no file holds it; proofs that were made before stay valid, and sending or importing a
/// removed event again brings nothing back. What a hold selects stays.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("subject").required(true), after_help = "\
Examples:
  sealog erase --actor u-17 --reason gdpr-17 --dry-run
  sealog erase --actor u-17 --reason gdpr-17 --case 2026/114 --mentions --by dpo
  sealog erase --resource customer/c-9 --reason gdpr-17 --fields

The reason is a code and the case a number, since both stay in the log. docs/RETENTION.md tells
what is not erased.")]
pub(crate) struct Erase {
    /// Whose events go
    #[arg(long, value_name = "ID", group = "subject")]
    actor: Option<String>,
    /// Of which resource they go
    #[arg(long, value_name = "TYPE/ID", group = "subject")]
    resource: Option<String>,
    /// Why, as a code such as gdpr-17: letters, digits, ., _ and -
    #[arg(long, value_name = "CODE")]
    reason: String,
    /// The number that the case has elsewhere
    #[arg(long, value_name = "NUMBER")]
    case: Option<String>,
    /// Only what tells of whom an event is: ids, names, addresses, metadata, states
    #[arg(long)]
    fields: bool,
    /// Also the id where other events mention it, as a word: it becomes [ERASED] there
    #[arg(long)]
    mentions: bool,
    /// Erase nothing, and tell what would go
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    changing: Changing,
}

impl Erase {
    pub(crate) async fn run(self, shared: &Shared, out: Output, interrupt: &Interrupt) -> Result<(), Failure> {
        let erasure = self.erasure()?;
        let log = self.changing.open(shared).await?;
        let done = erase(&self.changing.acting(&log), &erasure, out, interrupt).await;
        finish(log, done, out).await
    }

    fn erasure(&self) -> Result<Erasure, Failure> {
        let subject = match (&self.actor, self.resource.as_deref().map(|text| (text, text.split_once('/')))) {
            (Some(id), _) => Subject::actor(id),
            (None, Some((_, Some((kind, id))))) => Subject::resource(kind, id),
            (None, other) => {
                let text = other.map_or("", |(text, _)| text);
                return Err(Failure::Usage(format!("--resource: {text:?} is no TYPE/ID, such as customer/c-9")));
            }
        };
        if self.actor.is_some() && self.actor.as_deref() == self.changing.by() {
            let message = "--by: the receipt stays in the log, so it cannot name the one who is erased";
            return Err(Failure::Usage(message.to_owned()));
        }
        let mode = if self.fields { ErasureMode::Fields } else { ErasureMode::Events };
        let mut erasure = Erasure::new(subject, &*self.reason).mode(mode).mentions(self.mentions).dry_run(self.dry_run);
        erasure.case.clone_from(&self.case);
        Ok(erasure)
    }
}

async fn erase(log: &AuditLog, erasure: &Erasure, out: Output, interrupt: &Interrupt) -> Result<(), Failure> {
    let (bar, last) = (progress_bar(Some(log.head().await?.size)), Cell::new(CleanupProgress::default()));
    let progress = |progress: CleanupProgress| {
        last.set(progress);
        bar.set_position(progress.looked_at);
        bar.set_message(format!("{} found", render::count(progress.removed)));
    };
    let done = unless_stopped(log, interrupt, log.erase_with(erasure, progress)).await;
    bar.finish_and_clear();
    if matches!(done, Err(Failure::Interrupted)) && !out.json && !erasure.dry_run {
        let erased = render::counted(last.get().removed, "event");
        output::note(&format!(
            "Stopped: {erased} erased, each with its receipt. The erasure is not complete; run it again for the rest."
        ));
    }
    let report = done?;
    if out.json { output::document(&report) } else { output::write(&text(&report)) }
}

/// What went, or would, for a person.
fn text(report: &ErasureReport) -> String {
    let found = report.removed + report.reduced + report.held + report.rejected > 0;
    let mut text = match (found, report.dry_run) {
        (false, true) => "Nothing of it was found.\n".to_owned(),
        (false, false) => "Nothing of it was found; that it was asked for is logged.\n".to_owned(),
        (true, true) => format!("{GOOD}Would erase:{GOOD:#}\n"),
        (true, false) => format!("{GOOD}Erased:{GOOD:#}\n"),
    };
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {DIM}{name:<11}{DIM:#}{value}");
    };
    if found {
        line("removed", &render::counted(report.removed, "event"));
        line("reduced", &format!("{}, of which the rest stays", render::counted(report.reduced, "event")));
    }
    if report.rejected > 0 {
        line("set aside", &format!("the copies of {}", render::counted(report.rejected, "row")));
    }
    if report.held > 0 {
        let held = render::counted(report.held, "event");
        line("held", &format!("{WARN}{held} not erased{WARN:#}: `sealog holds` lists why; lift it and erase again"));
    }
    line("subject", &format!("{} in receipts", report.subject));
    if found && !report.dry_run {
        line("files", scrubbed(report.scrubbed));
    }
    text
}
