//! The arguments that every command shares, and how a log is opened by them.

use std::path::PathBuf;

use clap::builder::Styles;
use clap::builder::styling::{AnsiColor, Effects};
use clap::{Args, Parser, Subcommand, ValueEnum};
use sealog::{AuditLog, Builder, Key, Policy};

use crate::commands;
use crate::failure::Failure;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .usage(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .literal(AnsiColor::Cyan.on_default().effects(Effects::BOLD))
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER_HELP: &str = "\
Examples:
  sealog demo                                   See what it does, in three seconds
  sealog log user.login --actor u-17 --ip 203.0.113.9
  sealog import cloudtrail.json.gz audit.ndjson.zst
  sealog tail --follow
  sealog verify --vkey \"$(sealog key show)\"     Check the whole log
  sealog proof 42 --output 42.tlog-proof        Prove one event to somebody else

Exit codes:
  0  done
  1  a clear failure of the thing asked: verify found damage, there is no such event
  2  wrong usage
  3  the event cannot be logged as it is      4  its id was used for another event
  5  the key is missing or not this log's     6  the file is no log, or a newer version's
  7  opened for reading only                  8  another writer held the log too long
  9  the disk or the database failed         10  the log was closed";

/// Sealog, the audit log for applications: durable, redacted, sealed in a signed Merkle tree, and
/// provable.
///
/// It records who did what, to what, when and from where, keeps secrets out, and can prove that the
/// history was not changed. A log is one SQLite file; its signing key is a file beside it.
#[derive(Debug, Parser)]
#[command(name = "sealog", version, styles = STYLES, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) shared: Shared,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Shared {
    /// The log
    #[arg(long, global = true, value_name = "PATH", env = "SEALOG_LOG", default_value = "audit.db")]
    pub(crate) log: PathBuf,
    /// Print JSON: one document, or one line an event for lists
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The signing key's file [default: the log's path with .key added]; the environment variable
    /// SEALOG_KEY may hold the key's text itself
    #[arg(long, global = true, value_name = "FILE", env = "SEALOG_KEY_FILE")]
    pub(crate) key: Option<PathBuf>,
    /// What is redacted, sampled and refused, as JSON [default: secrets by their usual names]
    #[arg(long, global = true, value_name = "FILE", env = "SEALOG_POLICY")]
    pub(crate) policy: Option<PathBuf>,
    /// A file elsewhere to which checkpoints are appended, and which verify compares with
    #[arg(long, global = true, value_name = "FILE", env = "SEALOG_ANCHOR")]
    pub(crate) anchor: Option<PathBuf>,
    /// The application's SQLite file whose sealog_inbox is drained
    #[arg(long, global = true, value_name = "FILE", env = "SEALOG_INBOX")]
    pub(crate) inbox: Option<PathBuf>,
    /// When to use colours; NO_COLOR is respected
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// Set after parsing: the key's file was named on the command line, which outweighs SEALOG_KEY.
    #[arg(skip)]
    pub(crate) key_is_explicit: bool,
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
    Tail(commands::tail::Tail),
    Get(commands::get::Get),
    Verify(commands::verify::Verify),
    Proof(commands::proof::ProofArgs),
    VerifyProof(commands::verify_proof::VerifyProof),
    Checkpoint(commands::checkpoint::CheckpointArgs),
    Key(commands::key::KeyArgs),
    Rejected(commands::rejected::RejectedArgs),
    Completions(commands::completions::Completions),
    Man(commands::man::Man),
}

impl Shared {
    /// The log for reading: it must exist, no key is needed, and nothing is written.
    pub(crate) async fn open_to_read(&self) -> Result<AuditLog, Failure> {
        Ok(AuditLog::builder(&self.log).read_only(true).create(false).open().await?)
    }

    /// The log for writing, with all that the arguments say.
    pub(crate) async fn open_to_write(&self, create: bool) -> Result<AuditLog, Failure> {
        let mut builder = self.with_key(AuditLog::builder(&self.log).create(create))?.policy(self.policy()?);
        if let Some(anchor) = &self.anchor {
            builder = builder.anchor(anchor);
        }
        if let Some(inbox) = &self.inbox {
            builder = builder.inbox(inbox);
        }
        Ok(builder.open().await?)
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
        std::env::var("SEALOG_KEY").ok().filter(|text| !text.is_empty() && !self.key_is_explicit)
    }

    /// Where the key is or would be, unless the environment holds it.
    pub(crate) fn key_file(&self) -> Option<PathBuf> {
        if self.key_text().is_some() {
            return None;
        }
        Some(self.key.clone().unwrap_or_else(|| {
            let mut path = self.log.clone().into_os_string();
            path.push(".key");
            path.into()
        }))
    }

    fn policy(&self) -> Result<Policy, Failure> {
        let Some(path) = &self.policy else { return Ok(Policy::default()) };
        let text = std::fs::read_to_string(path).map_err(|error| Failure::file("read the policy", path, &error))?;
        serde_json::from_str(&text).map_err(|error| Failure::Usage(format!("{} is no policy: {error}", path.display())))
    }
}
