//! The command line of Sealog, the audit log for applications.
//!
//! The program is one call, [`run`]. What else is public serves others in this workspace: the
//! [`Generator`] gives the benchmark its input, [`count`] writes its numbers, and [`sources`] maps whole
//! files in tests.

mod chart;
mod cli;
mod commands;
#[cfg(feature = "serve")]
mod dashboard;
mod failure;
mod generator;
mod interrupt;
mod output;
mod render;
pub mod sources;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{CommandFactory as _, FromArgMatches as _};

pub use generator::Generator;
pub use render::count;

use cli::{Cli, Explicit};
use failure::Failure;
use output::Output;

/// The program `sealog`, by the arguments and the environment of this process.
pub fn run() -> ExitCode {
    let parsed = Cli::command().try_get_matches_from(arguments(std::env::args_os())).and_then(|matches| {
        let mut cli = Cli::from_arg_matches(&matches)?;
        let is_explicit = |option| matches.value_source(option) == Some(ValueSource::CommandLine);
        cli.shared.is_explicit =
            Explicit { log: is_explicit("log"), key: is_explicit("key"), index: is_explicit("index") };
        cli.shared.log_is_default = matches.value_source("log") == Some(ValueSource::DefaultValue);
        Ok(cli)
    });
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    anstream::ColorChoice::from(cli.shared.color).write_global();
    let out = Output { json: cli.shared.json };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    // A server works for many; any other command for one.
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    runtime.worker_threads(if cli.command.is_for_many() { threads.max(2) } else { 2 });
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = Failure::File(format!("cannot start: {error}"));
            out.failure(&failure);
            return failure.exit_code().into();
        }
    };
    let result = runtime.block_on(commands::run(cli));
    // A thread that waits for input is not waited for.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            out.failure(&failure);
            failure.exit_code().into()
        }
    }
}

/// The arguments, with `--key COL` behind `track` by a name that the signing key's file does not have.
fn arguments(given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut all: Vec<_> = given.collect();
    let takes_value = ["--log", "--key", "--index", "--color"];
    let is_command = |at: &usize| all[*at] == "track" && !takes_value.iter().any(|option| all[*at - 1] == *option);
    if let Some(command) = (1..all.len()).find(is_command) {
        for argument in all[command..].iter_mut().take_while(|argument| *argument != "--") {
            if argument == "--key" {
                *argument = "--key-column".into();
            } else if let Some(column) = argument.to_str().and_then(|text| text.strip_prefix("--key=")) {
                *argument = format!("--key-column={column}").into();
            }
        }
    }
    all
}

/// What clap has to say: help and versions are no failure, and a program gets its JSON.
fn usage(error: &clap::Error) -> ExitCode {
    let as_json = std::env::args_os().skip(1).take_while(|argument| argument != "--").any(|flag| flag == "--json");
    if as_json && error.use_stderr() {
        let text = error.to_string();
        let message = text.trim().strip_prefix("error: ").unwrap_or(text.trim());
        Output { json: true }.failure(&Failure::Usage(message.to_owned()));
    } else {
        // Nobody is left to tell when this fails.
        let _ = error.print();
    }
    u8::try_from(error.exit_code()).unwrap_or(2).into()
}
