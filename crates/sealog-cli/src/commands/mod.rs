//! One file per command.

pub(crate) mod checkpoint;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod get;
pub(crate) mod import;
mod intake;
pub(crate) mod key;
mod lines;
pub(crate) mod log;
pub(crate) mod man;
pub(crate) mod proof;
pub(crate) mod rejected;
mod screen;
mod stream;
pub(crate) mod tail;
pub(crate) mod verify;
pub(crate) mod verify_proof;

use std::path::Path;

use sealog::{AuditLog, Error, ErrorKind, Record};

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
            Command::Tail(command) => command.run(shared, out, &interrupt).await,
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
        Command::Demo(command) => command.run(out).await,
        Command::Get(command) => command.run(shared, out).await,
        Command::Verify(command) => command.run(shared, out).await,
        Command::Proof(command) => command.run(shared, out).await,
        Command::VerifyProof(command) => command.run(out),
        Command::Checkpoint(command) => command.run(shared, out).await,
        Command::Key(command) => command.run(shared, out).await,
        Command::Rejected(command) => command.run(shared, out).await,
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
        Command::Import(_) | Command::Log(_) | Command::Tail(_) => unreachable!("run above"),
    }
}

/// The event that a person means by its id or its seq. A number is a seq, unless there is no such
/// seq and an event with that id.
async fn find(log: &AuditLog, which: &str) -> Result<Record, Failure> {
    let Ok(seq) = which.parse::<u64>() else { return Ok(log.get(which).await?) };
    if let Some(record) = log.read(seq, 1).await?.events.into_iter().next().filter(|record| record.seq() == seq) {
        return Ok(record);
    }
    match log.get(which).await {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let size = log.head().await?.size;
            Err(Failure::NotFound(format!(
                "there is no event with the seq {seq}, or with that id; the log holds {size}"
            )))
        }
        found => Ok(found?),
    }
}

/// Writes a file that was asked for by name.
fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| Failure::file("write", path, &error))
}

/// Reads a small file that was named.
fn read_file(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))
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
