//! One file per command.

pub(crate) mod anomalies;
mod asking;
mod budget;
mod changing;
pub(crate) mod checkpoint;
pub(crate) mod cleanup;
pub(crate) mod completions;
pub(crate) mod count;
pub(crate) mod database;
pub(crate) mod demo;
pub(crate) mod drain;
pub(crate) mod erase;
pub(crate) mod get;
pub(crate) mod history;
pub(crate) mod holds;
pub(crate) mod import;
mod intake;
pub(crate) mod key;
mod lines;
pub(crate) mod log;
pub(crate) mod man;
pub(crate) mod proof;
mod questions;
pub(crate) mod reindex;
pub(crate) mod rejected;
pub(crate) mod report;
pub(crate) mod rules;
mod screen;
pub(crate) mod search;
#[cfg(feature = "serve")]
pub(crate) mod serve;
pub(crate) mod settings;
pub(crate) mod state;
pub(crate) mod stats;
mod stream;
pub(crate) mod tail;
mod to_file;
pub(crate) mod track;
pub(crate) mod verify;
pub(crate) mod verify_proof;
mod which;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sealog::{Error, ErrorKind};

use crate::cli::{Cli, Command};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::Output;

/// Does what was asked.
pub(crate) async fn run(cli: Cli) -> Result<(), Failure> {
    let out = Output { json: cli.shared.json };
    let shared = &cli.shared;
    let interrupt = Interrupt::listen();
    let command = async {
        match cli.command {
            // These end themselves when interrupted, with what they have acknowledged.
            Command::Import(command) => command.run(shared, out, &interrupt).await,
            Command::Log(command) => command.run(shared, out, &interrupt).await,
            Command::Drain(command) => command.run(shared, out, &interrupt).await,
            Command::Tail(command) => command.run(shared, out, &interrupt).await,
            Command::Report(command) => command.run(shared, out, &interrupt).await,
            Command::Cleanup(command) => command.run(shared, out, &interrupt).await,
            Command::Erase(command) => command.run(shared, out, &interrupt).await,
            #[cfg(feature = "serve")]
            Command::Serve(command) => command.run(shared, out, &interrupt).await,
            Command::Demo(command) => command.run(shared, out, &interrupt).await,
            other => {
                tokio::select! {
                    result = simple(other, shared, out) => result,
                    () = interrupt.pressed() => Err(Failure::Interrupted),
                }
            }
        }
    };
    command.await
}

async fn simple(command: Command, shared: &crate::cli::Shared, out: Output) -> Result<(), Failure> {
    match command {
        Command::Search(command) => command.run(shared, out).await,
        Command::Count(command) => command.run(shared, out).await,
        Command::Stats(command) => command.run(shared, out).await,
        Command::History(command) => command.run(shared, out).await,
        Command::State(command) => command.run(shared, out).await,
        Command::Anomalies(command) => command.run(shared, out).await,
        Command::Rules(command) => command.run(shared, out).await,
        Command::Settings(command) => command.run(shared, out).await,
        Command::Holds(command) => command.run(shared, out).await,
        Command::Get(command) => command.run(shared, out).await,
        Command::Verify(command) => command.run(shared, out).await,
        Command::Proof(command) => command.run(shared, out).await,
        Command::VerifyProof(command) => command.run(out),
        Command::Checkpoint(command) => command.run(shared, out).await,
        Command::Key(command) => command.run(shared, out).await,
        Command::Rejected(command) => command.run(shared, out).await,
        Command::Reindex(command) => command.run(shared, out).await,
        Command::Database(command) => command.run(shared, out).await,
        Command::Track(command) => command.run(shared, out).await,
        Command::Untrack(command) => command.run(shared, out).await,
        Command::Tracked(command) => command.run(shared, out).await,
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
        #[cfg(feature = "serve")]
        Command::Serve(_) => unreachable!("run above"),
        Command::Demo(_)
        | Command::Import(_)
        | Command::Log(_)
        | Command::Drain(_)
        | Command::Tail(_)
        | Command::Report(_)
        | Command::Cleanup(_)
        | Command::Erase(_) => unreachable!("run above"),
    }
}

/// The largest file that is read as a whole: what an anchor gathers in five years.
const MAX_FILE_BYTES: u64 = 512 * 1024 * 1024;

/// Reads a file that was named; `-` is standard input.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = if is_stdin(path) {
        std::io::stdin().take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)
    } else {
        must_be_file(path)?;
        File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| Failure::unreadable(name_of(path), &error))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Failure::Usage(format!("{} is larger than {} MiB", name_of(path), MAX_FILE_BYTES >> 20)));
    }
    Ok(bytes)
}

/// Reads a file of text.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read_file(path)?).map_err(|error| {
        let error = std::io::Error::new(std::io::ErrorKind::InvalidData, error.utf8_error());
        Failure::unreadable(name_of(path), &error)
    })
}

/// A pipe would be waited for, in a way that Ctrl-C does not end, and a device has no end.
pub(crate) fn must_be_file(path: &Path) -> Result<(), Failure> {
    match std::fs::metadata(path) {
        Ok(data) if data.is_file() => Ok(()),
        Ok(_) => Err(Failure::Usage(format!("{} is no regular file", path.display()))),
        Err(error) => Err(Failure::unreadable(path.display(), &error)),
    }
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// The file as it is called in messages.
fn name_of(path: &Path) -> String {
    if is_stdin(path) { "standard input".to_owned() } else { path.display().to_string() }
}

/// What was not read as it was sealed; `verify` says what else is wrong.
fn unless_damaged(error: Error) -> Failure {
    if error.kind() != ErrorKind::Integrity {
        return error.into();
    }
    let text = format!("{error}; run `sealog verify` for all that is wrong with the log");
    Failure::Explained(error, text)
}

/// Whether the error is about this one event, so that the next one may well be fine.
fn is_of_the_event(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidArgument
            | ErrorKind::InvalidEvent
            | ErrorKind::LimitExceeded
            | ErrorKind::ReservedAction
            | ErrorKind::IdConflict
    )
}
