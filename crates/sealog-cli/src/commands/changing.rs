//! What the commands share that change what a log keeps: who is behind it, how far it is, and what was wrong.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use sealog::{AuditLog, Event};

use super::asking::answer;
use crate::cli::{Shared, Writing};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::shows_progress;

/// How often a bar moves of which nobody knows the end.
const TICK: Duration = Duration::from_millis(120);

/// Who changes something.
#[derive(Debug, Args)]
pub(crate) struct Changing {
    /// Who is behind it, for the event that it is
    #[arg(long, value_name = "ACTOR")]
    by: Option<String>,
    /// A file elsewhere to which checkpoints are appended
    #[arg(long, value_name = "FILE", env = "SEALOG_ANCHOR")]
    anchor: Option<PathBuf>,
}

impl Changing {
    /// The log for writing.
    pub(super) async fn open(&self, shared: &Shared) -> Result<AuditLog, Failure> {
        shared.open_to_write(false, &Writing { anchor: self.anchor.clone(), ..Writing::default() }, None).await
    }

    /// Who is behind it.
    pub(super) fn by(&self) -> Option<&str> {
        self.by.as_deref()
    }

    /// The handle whose events name who is behind them.
    pub(super) fn acting(&self, log: &AuditLog) -> AuditLog {
        match &self.by {
            Some(by) => log.acting(Event::new("").actor(by)),
            None => log.clone(),
        }
    }
}

/// Waits for long work, or until Ctrl-C is pressed. What was done by then stays done, and the rest can be asked for
/// again.
pub(super) async fn unless_stopped<T>(
    log: &AuditLog,
    interrupt: &Interrupt,
    work: impl Future<Output = sealog::Result<T>>,
) -> Result<T, Failure> {
    tokio::select! {
        done = answer(log, work) => done.map_err(explained),
        () = interrupt.pressed() => Err(Failure::Interrupted),
    }
}

/// Shown while a log is looked through for what goes: of `total` events, where that is known.
pub(super) fn progress_bar(total: Option<u64>) -> ProgressBar {
    if !shows_progress() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "looking {wide_bar} {human_pos}/{human_len} events  {msg}  {eta}"),
        None => (ProgressBar::new_spinner(), "{spinner} looking: {human_pos} events  {msg}"),
    };
    bar.enable_steady_tick(TICK);
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The option that each part of a change comes from.
const OPTIONS: [(&str, &str); 8] = [
    ("/actorId", "--by"),
    ("/reason", "--reason"),
    ("/owner", "--owner"),
    ("/case", "--case"),
    ("/subject", "the subject"),
    ("/mentions", "--mentions"),
    ("/olderThanDays", "--older-than"),
    ("/batchSize", "--batch"),
];

/// What was wrong in the change was wrong in an option.
pub(super) fn explained(failure: impl Into<Failure>) -> Failure {
    let failure = failure.into();
    let Failure::Log(error) = failure else { return failure };
    match OPTIONS.iter().find(|(pointer, _)| error.pointer() == Some(pointer)) {
        Some((_, option)) => {
            let text = format!("{option}: {}", error.message());
            Failure::Explained(error, text)
        }
        None => super::unless_damaged(error),
    }
}
