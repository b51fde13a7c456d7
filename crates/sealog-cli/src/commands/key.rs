//! `sealog key`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sealog::{Clock as _, Key, SystemClock};
use serde_json::json;

use super::read_text;
use crate::cli::{Shared, Writing, finish};
use crate::failure::Failure;
use crate::output::Output;
use crate::render::{DIM, safe};

/// Show, list, make or rotate the signing key
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog key show
  sealog key rotate")]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Print the public key (vkey), which may be given to everybody
    #[command(after_help = "\
Examples:
  sealog key show
  sealog verify --vkey \"$(sealog key show)\"")]
    Show,
    /// List all public keys that signed the log, oldest first
    #[command(after_help = "\
Example:
  sealog key list")]
    List,
    /// Make a key for a log that is still to be made
    ///
    /// A log makes its own key when none is there; this is for keeping it elsewhere from the start.
    #[command(after_help = "\
Examples:
  sealog key generate --origin audit.example.com --key /etc/sealog/audit.key
  sealog key generate --origin audit.example.com --print   Into a secret store, as SEALOG_KEY")]
    Generate {
        /// The log's name in its checkpoints, best a domain name and a path [default: sealog.local/
        /// and a random number]
        #[arg(long, value_name = "NAME")]
        origin: Option<String>,
        /// Print the secret key instead of writing its file
        #[arg(long)]
        print: bool,
    },
    /// Replace the signing key; the old one signs the new one into the log
    ///
    /// Give the new vkey to whoever checks proofs: those that are made from now on are signed by it.
    /// Older proofs are still checked with the older vkey (`sealog key list`), and `verify` takes either.
    #[command(after_help = "\
Example:
  sealog key rotate")]
    Rotate {
        /// A file elsewhere to which the checkpoint is appended
        #[arg(long, value_name = "FILE", env = "SEALOG_ANCHOR")]
        anchor: Option<PathBuf>,
    },
}

impl KeyArgs {
    pub(crate) async fn run(self, shared: &Shared, out: Output) -> Result<(), Failure> {
        match self.command {
            KeyCommand::Show => show(shared, out).await,
            KeyCommand::List => list(shared, out).await,
            KeyCommand::Generate { origin, print } => generate(shared, out, origin, print),
            KeyCommand::Rotate { anchor } => {
                let writing = Writing { anchor, ..Writing::default() };
                let log = shared.open_to_write(false, &writing, None).await?;
                // The new key signs from here on, whatever closing says.
                let told = match log.rotate_key().await {
                    Ok(vkey) => out.either(&json!({"vkey": vkey}), &format!("{vkey}\n")),
                    Err(error) => Err(error.into()),
                };
                finish(log, told, out).await
            }
        }
    }
}

async fn show(shared: &Shared, out: Output) -> Result<(), Failure> {
    // Before the first event there may be a key and no log yet.
    let vkey = match shared.key_file() {
        Some(file) if shared.is_missing() && file.exists() => Key::parse(&read_text(&file)?)?.vkey().to_owned(),
        _ => shared.open_to_read().await?.vkey().await?,
    };
    out.either(&json!({"vkey": vkey}), &format!("{}\n", safe(&vkey)))
}

async fn list(shared: &Shared, out: Output) -> Result<(), Failure> {
    let vkeys = shared.open_to_read().await?.vkeys().await?;
    let lines: Vec<_> = vkeys.iter().map(|vkey| safe(vkey)).collect();
    out.either(&json!({"vkeys": vkeys}), &(lines.join("\n") + "\n"))
}

fn generate(shared: &Shared, out: Output, origin: Option<String>, print: bool) -> Result<(), Failure> {
    let clock = SystemClock::new();
    let origin = origin.unwrap_or_else(|| {
        // No two logs should have one name, as no two have that a log gives itself.
        let mut number = [0; 8];
        clock.fill(&mut number);
        format!("sealog.local/{:016x}", u64::from_be_bytes(number))
    });
    let key = Key::generate(&origin, &clock)?;
    if print {
        let text = key.to_text();
        return out.either(&json!({"vkey": key.vkey(), "key": text}), &text);
    }
    let Some(path) = shared.key_file() else {
        return Err(Failure::Usage("SEALOG_KEY holds a key already; unset it, or name a file with --key".to_owned()));
    };
    key.create_file(&path)?;
    let text = format!("{}\n{DIM}The secret key is in {}; keep it safe.{DIM:#}\n", key.vkey(), path.display());
    out.either(&json!({"vkey": key.vkey(), "file": path.display().to_string()}), &text)
}
