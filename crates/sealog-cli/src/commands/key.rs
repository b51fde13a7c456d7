//! `sealog key`

use std::fs::OpenOptions;
use std::io::Write as _;

use clap::{Args, Subcommand};
use sealog::{Key, SystemClock};
use serde_json::json;

use super::read_file;
use crate::cli::Shared;
use crate::failure::Failure;
use crate::output::Output;
use crate::render::DIM;

/// Show, make or rotate the signing key
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
    /// Make a key for a log that is still to be made
    ///
    /// A log makes its own key when none is there; this is for keeping it elsewhere from the start.
    #[command(after_help = "\
Examples:
  sealog key generate --origin audit.example.com --key /etc/sealog/audit.key
  sealog key generate --origin audit.example.com --print   Into a secret store, as SEALOG_KEY")]
    Generate {
        /// The log's name in its checkpoints, best a domain name and a path
        #[arg(long, value_name = "NAME", default_value = "sealog.local")]
        origin: String,
        /// Print the secret key instead of writing its file
        #[arg(long)]
        print: bool,
    },
    /// Replace the signing key; the old one signs the new one into the log
    #[command(after_help = "\
Example:
  sealog key rotate")]
    Rotate,
}

impl KeyArgs {
    pub(crate) async fn run(self, shared: &Shared, out: Output) -> Result<(), Failure> {
        match self.command {
            KeyCommand::Show => show(shared, out).await,
            KeyCommand::Generate { origin, print } => generate(shared, out, &origin, print),
            KeyCommand::Rotate => {
                let vkey = shared.open_to_write(false).await?.rotate_key().await?;
                let text = format!("{vkey}\n");
                out.either(&json!({"vkey": vkey}), &text)
            }
        }
    }
}

async fn show(shared: &Shared, out: Output) -> Result<(), Failure> {
    // Before the first event there may be a key and no log yet.
    let vkey = match shared.key_file() {
        Some(file) if !shared.log.exists() && file.exists() => Key::parse(&read_file(&file)?)?.vkey().to_owned(),
        _ => shared.open_to_read().await?.vkey().await?,
    };
    out.either(&json!({"vkey": vkey}), &format!("{vkey}\n"))
}

fn generate(shared: &Shared, out: Output, origin: &str, print: bool) -> Result<(), Failure> {
    let key = Key::generate(origin, &SystemClock::new())?;
    if print {
        let text = key.to_text();
        return out.either(&json!({"vkey": key.vkey(), "key": text}), &text);
    }
    let Some(path) = shared.key_file() else {
        return Err(Failure::Usage("SEALOG_KEY holds a key already; unset it, or name a file with --key".to_owned()));
    };
    let mut options = OpenOptions::new();
    // Never over a key that is there: what it signed could not be continued.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = |mut file: std::fs::File| file.write_all(key.to_text().as_bytes()).and_then(|()| file.sync_all());
    options.open(&path).and_then(write).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::Usage(format!("there is a key in {} already", path.display())),
        _ => Failure::file("make the key", &path, &error),
    })?;
    let text = format!("{}\n{DIM}The secret key is in {}; keep it safe.{DIM:#}\n", key.vkey(), path.display());
    out.either(&json!({"vkey": key.vkey(), "file": path}), &text)
}
