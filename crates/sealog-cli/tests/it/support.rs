//! The program in a folder of its own, with nothing in its environment.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use sealog::{AuditLog, Builder};
use serde_json::Value;
use tempfile::TempDir;
use throwaway_postgres::Database;

pub(crate) const SEALOG: &str = env!("CARGO_BIN_EXE_sealog");

pub(crate) struct Folder {
    pub(crate) dir: TempDir,
    /// Where the log is unless it is in the folder.
    database: Option<Database<'static>>,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder"), database: None }
    }

    /// With the log in a database.
    pub(crate) fn with_database() -> Self {
        Self { database: Some(throwaway_postgres::shared().database()), ..Self::new() }
    }

    pub(crate) fn has_database(&self) -> bool {
        self.database.is_some()
    }

    /// Options for opening the log.
    pub(crate) fn builder(&self) -> Builder {
        let log = self.database.as_ref().map_or_else(|| self.path("audit.db"), |database| database.url().into());
        AuditLog::builder(log).index(self.path("audit.db.index"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), content).expect("a file is written");
        name.to_owned()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(SEALOG);
        command.args(arguments).current_dir(self.dir.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SEALOG_")) {
            command.env_remove(name);
        }
        if let Some(database) = &self.database {
            command.env("SEALOG_LOG", database.url());
            command.env("SEALOG_KEY_FILE", "audit.db.key").env("SEALOG_INDEX", "audit.db.index");
        }
        command.env_remove("CLICOLOR_FORCE").env_remove("COLUMNS").env("NO_COLOR", "1");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program runs")
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Output {
        let mut command = self.command(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        // What the program does not read is not its fault.
        let _ = child.stdin.take().expect("its input is piped").write_all(input.as_ref());
        child.wait_with_output().expect("it ends")
    }

    /// Runs it, expects this exit code, and answers its standard output.
    pub(crate) fn expect(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "sealog {arguments:?}: {error}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Runs it, expects this exit code, and answers what it says on standard error.
    pub(crate) fn said(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "sealog {arguments:?}: {said}");
        said
    }

    /// The one JSON document it prints.
    pub(crate) fn json(&self, code: i32, arguments: &[&str]) -> Value {
        let text = self.expect(code, &[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    }
}

/// One JSON document a line. A last line without its end was being written when the program was killed.
pub(crate) fn lines(text: &[u8]) -> Vec<Value> {
    let whole = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    whole.map(|line| serde_json::from_slice(line).expect("a line of JSON")).collect()
}
