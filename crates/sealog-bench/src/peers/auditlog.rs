//! The `auditlog` crate 0.1.0 with its SQLite backend, in a process of its own.
//!
//! It brings another version of `libsqlite3-sys` than the library has, and one program can link only
//! one, so it is a small program (`auditlog-peer`, a workspace of its own) that is built when needed,
//! reads the events from a file before its clock starts, and prints its figures.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sealog::Event;
use serde::Deserialize;

use super::Contestant;
use crate::measure::Run;
use crate::{Result, workspace};

/// The crate's backend, one transaction per event: it has no call for more.
pub(crate) struct AuditlogCrate {
    program: PathBuf,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    events: u64,
    seconds: f64,
    bytes: u64,
    closed_bytes: u64,
}

impl AuditlogCrate {
    /// Builds the program, which takes a minute the first time.
    pub(crate) fn build() -> Result<Self> {
        let target = workspace().join("target/auditlog-peer");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["build", "--release", "--locked", "--quiet", "--manifest-path"])
            .arg(workspace().join("crates/sealog-bench/auditlog-peer/Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            return Err(format!("the auditlog peer does not build ({status})").into());
        }
        Ok(Self { program: target.join("release/auditlog-peer") })
    }
}

impl Contestant for AuditlogCrate {
    fn name(&self) -> &'static str {
        "auditlog crate 0.1.0"
    }

    fn run(&self, dir: &Path, events: Vec<Event>, budget: Duration) -> Result<Run> {
        let input = dir.join("input.ndjson");
        let mut file = BufWriter::new(File::create(&input)?);
        for event in &events {
            serde_json::to_writer(&mut file, event)?;
            file.write_all(b"\n")?;
        }
        file.into_inner()?.sync_all()?;
        drop(events);

        // Its own folder, so that the input is not counted among its files.
        let files = dir.join("files");
        std::fs::create_dir(&files)?;
        let output = Command::new(&self.program)
            .arg(&input)
            .arg(&files)
            .arg(budget.as_secs_f64().to_string())
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(format!("the auditlog peer failed ({})", output.status).into());
        }
        let figures: Figures = serde_json::from_slice(&output.stdout)?;
        Ok(Run {
            events: figures.events,
            elapsed: Duration::from_secs_f64(figures.seconds),
            bytes: figures.bytes,
            closed_bytes: figures.closed_bytes,
        })
    }
}
