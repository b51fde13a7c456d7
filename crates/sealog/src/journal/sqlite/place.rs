//! Whether a path still leads to the file that was opened by it.

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

/// A path and the file that it led to. A file that was moved or deleted can be written to for as long as it
/// is open, but who opens the log next does not find it.
pub(super) struct Place {
    path: PathBuf,
    #[cfg(unix)]
    file: (u64, u64),
}

impl Place {
    /// The place of the file that is open by this path.
    pub(super) fn of(path: &Path) -> Result<Self> {
        // The process may go to another folder later.
        let path = std::path::absolute(path).map_err(|error| gone(path, error))?;
        Ok(Self {
            #[cfg(unix)]
            file: number(&path).map_err(|error| gone(&path, error))?,
            path,
        })
    }

    /// An error when the path leads to another file by now, or to none.
    pub(super) fn check(&self) -> Result<()> {
        #[cfg(unix)]
        if number(&self.path).map_err(|error| gone(&self.path, error))? != self.file {
            let message = format!(
                "{} is another file than the one that was opened; open the log anew and send the events again",
                self.path.display()
            );
            return Err(Error::new(ErrorKind::Storage, message));
        }
        Ok(())
    }
}

fn gone(path: &Path, error: std::io::Error) -> Error {
    let message = format!("the log is not at {} any more: {error}", path.display());
    Error::new(ErrorKind::Storage, message).with_source(error)
}

/// What tells the file from every other one: its device, and its number there.
#[cfg(unix)]
fn number(path: &Path) -> std::io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let data = std::fs::metadata(path)?;
    Ok((data.dev(), data.ino()))
}
