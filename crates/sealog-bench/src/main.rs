//! `sealog-bench`: the same work on Sealog and on its peers, in one run and one table.
//!
//! Exit codes: 0 when every hold holds, 1 when one does not, 2 for wrong usage, 3 when a contestant
//! or the machine failed.

mod cleanups;
mod ingest;
mod input;
mod machine;
mod measure;
mod peers;
mod query;
mod report;
mod reports;
mod rules;
mod serve;
mod standing;
mod tracking;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::report::{Hold, Holds};

/// What can go wrong here is told to a person and ends the run.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T, E = Error> = std::result::Result<T, E>;

/// The same work on Sealog and on its peers, in one table.
#[derive(Debug, Parser)]
#[command(name = "sealog-bench")]
struct Args {
    /// What to measure.
    name: Name,
    /// Print one JSON document instead of the table.
    #[arg(long)]
    json: bool,
    /// Lengthens or shortens the run: 0.1 takes a tenth of the events.
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    scale: f64,
    /// `generator`, `manifests`, or a file of events, one JSON object a line, plain or zstd.
    #[arg(long, default_value = "generator")]
    input: String,
    /// Where `ingest` keeps its events.
    #[arg(long, value_enum, default_value_t = Journal::Sqlite)]
    journal: Journal,
    /// Where the contestants write, on the disk to measure [default: target/bench].
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Serve below the folder, for `serve` itself.
    #[arg(long, hide = true)]
    serve_child: Option<serve::Kind>,
}

/// The journals that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Journal {
    /// A file, beside a table in another one.
    Sqlite,
    /// A database of a server that is started for it, beside a table in another one.
    Postgres,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Name {
    /// Events in: batches of 1,000, and 64 tasks of single calls.
    Ingest,
    /// Questions: the newest of something, statistics, watching, verifying, memory.
    Query,
    /// Over HTTP: lines, single posts, questions, watchers, memory.
    Serve,
    /// Events out: a CSV report.
    Report,
    /// Half of the events removed: the oldest, and every second one.
    Cleanup,
    /// Events in, with rules that are evaluated as they arrive.
    Rules,
    /// Changes of a table in PostgreSQL, tracked and not, and events in transactions.
    Track,
    /// In PostgreSQL, while another transaction stays open: batches, and rows through the inbox.
    Standing,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 && f64::is_finite(number) => Ok(number),
        _ => Err("a number above 0".to_owned()),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sealog-bench: {error}");
            ExitCode::from(3)
        }
    }
}

/// Runs the benchmark, prints its report, and answers whether every hold holds.
fn run(args: &Args) -> Result<bool> {
    let dir = args.dir.clone().unwrap_or_else(|| workspace().join("target/bench"));
    std::fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    if let Some(kind) = args.serve_child {
        return serve::run_child(kind, &dir).map(|()| true);
    }
    if args.journal != Journal::Sqlite && !matches!(args.name, Name::Ingest) {
        return Err("--journal is for ingest".into());
    }
    let own = match args.name {
        Name::Ingest | Name::Report | Name::Rules => None,
        Name::Track => Some("track makes its own rows"),
        Name::Query => Some("query makes its own events"),
        Name::Serve => Some("serve makes its own events"),
        Name::Cleanup => Some("cleanup makes its own events"),
        Name::Standing => Some("standing makes its own events"),
    };
    if let Some(own) = own.filter(|_| args.input != "generator") {
        return Err(format!("{own}; --input is for ingest, report and rules").into());
    }
    match args.name {
        Name::Ingest if args.journal == Journal::Postgres => {
            tell(args, &ingest::run_postgres(&args.input, args.scale, &dir)?)
        }
        Name::Ingest => tell(args, &ingest::run(&args.input, args.scale, &dir)?),
        Name::Serve => tell(args, &serve::run(args.scale, &dir)?),
        Name::Query => tell(args, &query::run(args.scale, &dir)?),
        Name::Report => tell(args, &reports::run(&args.input, args.scale, &dir)?),
        Name::Cleanup => tell(args, &cleanups::run(args.scale, &dir)?),
        Name::Track => tell(args, &tracking::run(args.scale, &dir)?),
        Name::Standing => tell(args, &standing::run(args.scale, &dir)?),
        Name::Rules => tell(args, &rules::run(&args.input, args.scale, &dir)?),
    }
}

/// Prints a report, and answers whether every hold holds.
fn tell(args: &Args, report: &impl Holds) -> Result<bool> {
    if args.json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        print!("{report}");
    }
    Ok(report.holds().iter().all(Hold::is_ok))
}

/// The folder of the workspace this program was built from.
fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate is two folders below the workspace")
}
