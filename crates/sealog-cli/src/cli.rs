//! The arguments that every command shares, and how a log is opened by them.

use std::path::{Path, PathBuf};

use clap::builder::Styles;
use clap::builder::styling::{AnsiColor, Effects};
use clap::{Args, Parser, Subcommand, ValueEnum};
use sealog::{AuditLog, Builder, ErrorKind, Key, Location, Policy};

use crate::commands;
use crate::failure::Failure;
use crate::output::Output;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .usage(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .literal(AnsiColor::Cyan.on_default().effects(Effects::BOLD))
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER_HELP: &str = "\
Examples:
  sealog demo                                   See what it does, in the browser
  sealog log user.login --actor u-17 --ip 203.0.113.9
  sealog import cloudtrail.json.gz audit.ndjson.zst
  sealog search 'actor:u-17 severity>=warning since:7d'
  sealog stats since:30d
  sealog state invoice i-4 --at 2026-03-02
  sealog anomalies --since 7d                   Failed logins in a row, and the like
  sealog tail --follow
  sealog report --since 30d -o month.html       For an auditor: a page, or csv, json, ndjson
  sealog settings set '{\"defaultRetentionDays\": 30}'
  sealog cleanup --dry-run                      What was kept long enough; without it, it goes
  sealog holds place actor:u-17 --reason 'case 2026-114' --owner legal
  sealog erase --actor u-17 --reason gdpr-17    The right to be forgotten, with a receipt
  sealog verify --vkey \"$(sealog key show)\"     Check the whole log
  sealog proof 42 --output 42.tlog-proof        Prove one event to somebody else
  sealog serve                                  The same over HTTP

A policy (--policy) adds to what is redacted by default; docs/POLICY.md tells all of it:
  {\"redactFields\": [{\"name\": \"email\", \"mode\": \"hash\"}, {\"name\": \"dateOfBirth\"}],
   \"redactPaths\": [{\"path\": \"metadata.user.phone\", \"mode\": \"mask\"}],
   \"detectors\": [\"email\", \"cardNumber\", \"jwt\", \"bearerToken\", \"cloudKeyId\"],
   \"ipAddress\": \"truncate\", \"keep\": [\"token\"]}
Names match as a whole: email hides no userEmail. Modes are redact, mask, hash and remove.

Exit codes:
  0  done
  1  a clear failure of the thing asked: verify found damage, there is no such event
  2  wrong usage: an option, or a file that was named and cannot be read as what it should be
  3  the event cannot be logged as it is      4  its id was used for another event
  5  the key is missing or not this log's     6  no log, or a newer version's file
  7  opened for reading only                  8  another writer held the log too long
  9  the disk or the database failed         10  the log was closed
 11  the index cannot be read or written";

/// Sealog, the audit log for applications: durable, redacted, sealed in a signed Merkle tree, and
/// provable.
///
/// It records who did what, to what, when and from where, keeps secrets out, and can prove that the
/// history was not changed. A log is one SQLite file, with its signing key in a file beside it, or a schema of a
/// PostgreSQL database.
#[derive(Debug, Parser)]
#[command(name = "sealog", version, styles = STYLES, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) shared: Shared,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Shared {
    /// The log: a file, or postgres://USER@HOST/DATABASE
    #[arg(long, global = true, value_name = "PATH|URL", env = "SEALOG_LOG", default_value = "audit.db")]
    pub(crate) log: PathBuf,
    /// Print JSON: one document, or one line an event for lists
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The signing key's file [default: the log's path with .key added; for a URL a file below
    /// ~/.config/sealog]; the environment variable SEALOG_KEY may hold the key's text itself
    #[arg(long, global = true, value_name = "FILE", env = "SEALOG_KEY_FILE")]
    pub(crate) key: Option<PathBuf>,
    /// The folder of the index, which can be deleted at any time [default: the log's path with .index
    /// added; for a URL a folder below ~/.cache/sealog]
    #[arg(long, global = true, value_name = "DIR", env = "SEALOG_INDEX")]
    pub(crate) index: Option<PathBuf>,
    /// When to use colours; NO_COLOR is respected
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// Set after parsing.
    #[arg(skip)]
    pub(crate) is_explicit: Explicit,
    /// The log was named nowhere, so that a file of settings may name it. Set after parsing.
    #[arg(skip)]
    #[cfg_attr(not(feature = "serve"), expect(dead_code, reason = "only the server has such a file"))]
    pub(crate) log_is_default: bool,
}

/// What was named on the command line, and not in the environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Explicit {
    pub(crate) log: bool,
    /// Outweighs SEALOG_KEY.
    pub(crate) key: bool,
    pub(crate) index: bool,
}

/// What commands understand that put events into a log.
#[derive(Debug, Default, Args)]
pub(crate) struct Writing {
    /// What is redacted and sampled beside the defaults, as JSON; see `sealog --help`
    #[arg(long, value_name = "FILE", env = "SEALOG_POLICY")]
    pub(crate) policy: Option<PathBuf>,
    /// A file elsewhere to which checkpoints are appended
    #[arg(long, value_name = "FILE", env = "SEALOG_ANCHOR")]
    pub(crate) anchor: Option<PathBuf>,
}

/// The inbox that may be drained beside what a command does.
#[derive(Debug, Args)]
pub(crate) struct WithInbox {
    /// The application's SQLite file whose sealog_inbox is drained as well
    #[arg(long, value_name = "FILE", env = "SEALOG_INBOX")]
    pub(crate) inbox: Option<PathBuf>,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    Auto,
    /// Even into a file
    Always,
    /// Nowhere
    Never,
}

impl From<Color> for anstream::ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

/// Each command is one file under `commands`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(commands::demo::Demo),
    Log(Box<commands::log::Log>),
    Import(commands::import::Import),
    Drain(commands::drain::Drain),
    Track(commands::track::Track),
    Untrack(commands::track::Untrack),
    Tracked(commands::track::Tracked),
    Search(commands::search::Search),
    Count(commands::count::Count),
    Stats(commands::stats::StatsArgs),
    History(commands::history::History),
    State(commands::state::State),
    Anomalies(commands::anomalies::Anomalies),
    Rules(commands::rules::RulesArgs),
    Tail(commands::tail::Tail),
    Report(Box<commands::report::ReportArgs>),
    Settings(commands::settings::SettingsArgs),
    Cleanup(commands::cleanup::Cleanup),
    Holds(commands::holds::HoldsArgs),
    Erase(commands::erase::Erase),
    Get(commands::get::Get),
    Verify(commands::verify::Verify),
    Proof(commands::proof::ProofArgs),
    VerifyProof(commands::verify_proof::VerifyProof),
    Checkpoint(commands::checkpoint::CheckpointArgs),
    Key(commands::key::KeyArgs),
    Rejected(commands::rejected::RejectedArgs),
    Reindex(commands::reindex::Reindex),
    Database(commands::database::DatabaseArgs),
    #[cfg(feature = "serve")]
    Serve(Box<commands::serve::Serve>),
    Completions(commands::completions::Completions),
    Man(commands::man::Man),
}

impl Command {
    /// Whether it works for many callers at once.
    pub(crate) fn is_for_many(&self) -> bool {
        #[cfg(feature = "serve")]
        if matches!(self, Self::Serve(_)) {
            return true;
        }
        false
    }
}

impl Shared {
    /// The log for reading: it must exist, no key is needed, and nothing is written but the index, and
    /// that only where something is asked that needs it.
    pub(crate) async fn open_to_read(&self) -> Result<AuditLog, Failure> {
        self.open_to_index(None).await
    }

    /// The log for reading, with words in its index or without.
    pub(crate) async fn open_to_index(&self, full_text: Option<bool>) -> Result<AuditLog, Failure> {
        let mut builder = self.with_index(AuditLog::builder(&self.log)).read_only(true).create(false);
        if let Some(full_text) = full_text {
            builder = builder.full_text(full_text);
        }
        opened(builder.open().await)
    }

    fn with_index(&self, builder: Builder) -> Builder {
        match &self.index {
            Some(folder) => builder.index(folder),
            None => builder,
        }
    }

    /// Where the index is or would be.
    pub(crate) fn index_folder(&self) -> PathBuf {
        self.index.clone().unwrap_or_else(|| self.beside(".index"))
    }

    /// Where the log is. What is no URL although it looks like one is taken for a path until it is opened, which says
    /// what is wrong with it.
    pub(crate) fn location(&self) -> Location {
        Location::of(&self.log).unwrap_or_else(|_| Location {
            name: "the log".to_owned(),
            local: self.log.clone(),
            key_file: self.log.with_added_extension("key"),
            is_file: false,
        })
    }

    /// Whether the log is a file that is not there.
    pub(crate) fn is_missing(&self) -> bool {
        self.location().is_file && !self.log.exists()
    }

    /// The path of the log's local files with this added to its name.
    pub(crate) fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = self.location().local.into_os_string();
        path.push(suffix);
        path.into()
    }

    /// The log for writing, with all that the arguments say; [`finish`] ends it.
    pub(crate) async fn open_to_write(
        &self,
        create: bool,
        writing: &Writing,
        inbox: Option<&Path>,
    ) -> Result<AuditLog, Failure> {
        let mut builder =
            self.with_key(self.with_index(AuditLog::builder(&self.log)).create(create))?.policy(writing.policy()?);
        if let Some(anchor) = &writing.anchor {
            builder = builder.anchor(anchor);
        }
        if let Some(inbox) = inbox {
            commands::must_be_file(inbox)?;
            builder = builder.inbox(inbox);
        }
        opened(builder.open().await)
    }

    fn with_key(&self, builder: Builder) -> Result<Builder, Failure> {
        if let Some(text) = self.key_text() {
            return Ok(builder.key(Key::parse(&text)?));
        }
        Ok(match &self.key {
            Some(file) => builder.key_file(file),
            None => builder,
        })
    }

    fn key_text(&self) -> Option<String> {
        let key = std::env::var_os("SEALOG_KEY").filter(|text| !text.is_empty() && !self.is_explicit.key);
        // What is no UTF-8 is no key, and is said to be none: a new one in its place would be the wrong one.
        key.map(|text| text.to_string_lossy().into_owned())
    }

    /// Where the key is or would be, unless the environment holds it.
    pub(crate) fn key_file(&self) -> Option<PathBuf> {
        if self.key_text().is_some() {
            return None;
        }
        Some(self.key.clone().unwrap_or_else(|| self.location().key_file))
    }
}

impl Writing {
    fn policy(&self) -> Result<Policy, Failure> {
        let Some(path) = &self.policy else { return Ok(Policy::default()) };
        let text = commands::read_text(path)?;
        serde_json::from_str(&text).map_err(|error| {
            Failure::Usage(format!(
                "{} is no policy: {error}; `sealog --help` shows one, and docs/POLICY.md tells all",
                path.display()
            ))
        })
    }
}

/// That a log is not there is another failure than that an event is not.
fn opened(log: sealog::Result<AuditLog>) -> Result<AuditLog, Failure> {
    log.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::NoLog(error.message().to_owned()),
        _ => error.into(),
    })
}

/// Closes a log that was written to, whatever became of the work. Where both failed, both are said.
pub(crate) async fn finish<T>(log: AuditLog, done: Result<T, Failure>, out: Output) -> Result<T, Failure> {
    let closed = log.close().await.map_err(Failure::from);
    match (done, closed) {
        (Err(failure), Err(of_closing)) => {
            if failure.text() != of_closing.text() {
                out.failure(&of_closing);
            }
            Err(failure)
        }
        (done, closed) => closed.and(done),
    }
}
