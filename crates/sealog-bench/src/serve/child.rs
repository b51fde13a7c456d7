//! The servers, each a process of its own: this program, called with a hidden name.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use rusqlite::Connection;
use sealog::{AuditLog, Event};
use sealog_server::{Limits, Options, router, serve};
use tokio::net::TcpListener;

use crate::Result;
use crate::peers::{open_table, runtime, write_table};

/// Who serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// `sealog serve`, as it is but for the number of streams that one key may have.
    Sealog,
    /// axum, and a table with six indexes: a transaction for each request.
    Table,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Sealog => "sealog",
            Self::Table => "table",
        }
    }
}

/// A server that runs; ends when it is dropped.
pub(super) struct Served {
    child: Child,
    pub(super) address: String,
    pub(super) key: String,
}

/// What a process takes.
pub(super) struct Memory {
    /// The most that was resident, the index's files that are mapped among it.
    pub(super) resident_mib: f64,
    /// What nobody else has, now.
    pub(super) anonymous_mib: f64,
}

impl Served {
    pub(super) fn start(kind: Kind, dir: &Path) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", "--serve-child", kind.name(), "--dir"])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("its output is piped")?).read_line(&mut line)?;
        let (address, key) = line.trim().split_once(' ').ok_or("the server did not start")?;
        Ok(Self { child, address: address.to_owned(), key: key.to_owned() })
    }

    pub(super) fn memory(&self) -> Result<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let mib = |name: &str| -> Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("Linux does not say")?;
            Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
        };
        Ok(Memory { resident_mib: mib("VmHWM:")?, anonymous_mib: mib("RssAnon:")? })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It ends when its input does.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Serves below `dir` until standard input ends.
pub(crate) fn run(kind: Kind, dir: &Path) -> Result<()> {
    let runtime = runtime()?;
    match kind {
        Kind::Sealog => runtime.block_on(async {
            let log = AuditLog::open(dir.join("audit.db")).await?;
            let mut options = Options::default();
            options.limits = Limits { max_streams_per_caller: 2_000, ..Limits::default() };
            let server = router(log.clone()).options(options);
            let key = server.first_key(|key| Ok(key.to_owned())).await?.ok_or("a new log has no key")?;
            let running = serve(server, TcpListener::bind("127.0.0.1:0").await?, None)?;
            println!("{} {key}", running.address());
            until_input_ends().await;
            running.stop().await;
            Ok(log.close().await?)
        }),
        Kind::Table => runtime.block_on(async {
            let table = Table(Arc::new(Mutex::new(open_table(dir)?)));
            let app = Router::new().route("/v1/events", axum::routing::post(insert)).with_state(table);
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            println!("{} none", listener.local_addr()?);
            tokio::select! {
                served = async { axum::serve(listener, app).await } => served?,
                () = until_input_ends() => {}
            }
            Ok(())
        }),
    }
}

async fn until_input_ends() {
    let _ = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await;
}

#[derive(Clone)]
struct Table(Arc<Mutex<Connection>>);

/// The handler as it would be written by hand: the event is read, and inserted in a transaction of its own, on
/// a thread that may block.
async fn insert(State(Table(table)): State<Table>, body: axum::body::Bytes) -> Result<StatusCode, StatusCode> {
    let event: Event = serde_json::from_slice(&body).map_err(|_| StatusCode::UNPROCESSABLE_ENTITY)?;
    let written = tokio::task::spawn_blocking(move || {
        let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
        write_table(&mut table, std::slice::from_ref(&event)).map_err(|error| error.to_string())
    });
    match written.await {
        Ok(Ok(())) => Ok(StatusCode::CREATED),
        _ => Err(StatusCode::INTERNAL_SERVER_ERROR),
    }
}
