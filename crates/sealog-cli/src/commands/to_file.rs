//! Results that are written to a file instead of standard output.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::Shared;
use crate::failure::Failure;

/// Where a result goes.
#[derive(Debug, Args)]
pub(crate) struct ToFile {
    /// Write it to a file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file where it is there already
    #[arg(long, requires = "output")]
    force: bool,
}

impl ToFile {
    /// Writes the file, where one was asked for, and answers which.
    pub(super) fn write(&self, shared: &Shared, text: &str) -> Result<Option<&Path>, Failure> {
        let Some(path) = &self.output else { return Ok(None) };
        if let Some(what) = role(shared, path) {
            return Err(Failure::Usage(format!("{} is {what}; name another file", path.display())));
        }
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(self.force).truncate(self.force).create_new(!self.force);
        let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Failure::Usage(format!("{} is there already; --force replaces it", path.display()))
            }
            _ => Failure::file("write", path, &error),
        })?;
        Ok(Some(path))
    }
}

/// What the file is to the log, which nothing may be written over.
fn role(shared: &Shared, path: &Path) -> Option<&'static str> {
    let beside = |suffix| shared.beside(suffix);
    let files =
        [(shared.log.clone(), "the log"), (beside("-wal"), "a part of the log"), (beside("-shm"), "a part of the log")];
    // The key beside the log counts even where another one is in use.
    let keys = [Some(beside(".key")), shared.key_file()].into_iter().flatten().map(|file| (file, "the log's key"));
    let path = resolved(path);
    files.into_iter().chain(keys).find(|(file, _)| resolved(file) == path).map(|(_, what)| what)
}

/// The path without links and dots, as far as it is there.
fn resolved(path: &Path) -> PathBuf {
    let whole = std::fs::canonicalize(path);
    whole.unwrap_or_else(|_| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        path.file_name().map_or(folder.clone(), |name| folder.join(name))
    })
}
