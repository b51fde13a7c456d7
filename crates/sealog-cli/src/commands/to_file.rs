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
        not_of_the_log(shared, path)?;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(self.force).truncate(self.force).create_new(!self.force);
        let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| cannot_write(path, &error))?;
        Ok(Some(path))
    }

    /// Which file was asked for.
    pub(super) fn path(&self) -> Option<&Path> {
        self.output.as_deref()
    }

    /// Begins a file that takes long to write: it gets its name once it is whole.
    pub(super) fn begin(&self, shared: &Shared, path: &Path) -> Result<Begun, Failure> {
        not_of_the_log(shared, path)?;
        let there = std::fs::symlink_metadata(path).ok();
        if there.is_some() && !self.force {
            return Err(cannot_write(path, &std::io::ErrorKind::AlreadyExists.into()));
        }
        // What is no plain file, such as a device or a link, stays what it is.
        if there.is_some_and(|there| !there.is_file()) {
            let file = std::fs::OpenOptions::new().write(true).truncate(true).open(path);
            return file.map(Begun::InPlace).map_err(|error| cannot_write(path, &error));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".sealog-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // As any other file that a program makes: the umask takes from it what it takes.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(folder).map_err(|error| cannot_write(path, &error))?;
        Ok(Begun::Aside { file, path: path.to_owned(), replaces: self.force })
    }
}

/// A file that is being written.
pub(super) enum Begun {
    /// It goes when this is dropped before its end.
    Aside {
        file: tempfile::NamedTempFile,
        path: PathBuf,
        replaces: bool,
    },
    InPlace(std::fs::File),
}

impl Begun {
    /// What to write into.
    pub(super) fn file(&self) -> std::io::Result<std::fs::File> {
        match self {
            Self::Aside { file, .. } => file.as_file().try_clone(),
            Self::InPlace(file) => file.try_clone(),
        }
    }

    /// Gives the file its name.
    pub(super) fn end(self) -> Result<(), Failure> {
        let Self::Aside { file, path, replaces } = self else { return Ok(()) };
        let named = file.as_file().sync_all().and_then(|()| {
            let persisted = if replaces { file.persist(&path) } else { file.persist_noclobber(&path) };
            persisted.map_err(|error| error.error)
        });
        named.map(drop).map_err(|error| cannot_write(&path, &error))
    }
}

fn not_of_the_log(shared: &Shared, path: &Path) -> Result<(), Failure> {
    match role(shared, path) {
        Some(what) => Err(Failure::Usage(format!("{} is {what}; name another file", path.display()))),
        None => Ok(()),
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::Usage(format!("{} is there already; --force replaces it", path.display()))
        }
        _ => Failure::file("write", path, error),
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
