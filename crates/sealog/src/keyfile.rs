//! Where the log's key is kept: a file that only its owner may read, or the caller's own hands.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind as IoErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::tree::Key;

/// No key file is longer: `docs/FORMAT.md`.
const MAX_KEY_FILE_BYTES: u64 = 64 * 1024;

/// Where the key comes from.
#[derive(Debug, Clone)]
pub(crate) enum KeySource {
    File(PathBuf),
    Given(Key),
}

impl KeySource {
    /// The key, or `None` when the file is not there.
    pub(crate) fn load(&self) -> Result<Option<Key>> {
        let path = match self {
            Self::Given(key) => return Ok(Some(key.clone())),
            Self::File(path) => path,
        };
        match read_small(path) {
            Ok(text) => {
                let key = Key::parse(&text)
                    .map_err(|error| Error::new(error.kind(), format!("{}: {}", path.display(), error.message())))?;
                Ok(Some(key))
            }
            Err(error) if error.kind() == IoErrorKind::NotFound => Ok(None),
            Err(error) => {
                Err(Error::new(ErrorKind::Key, format!("cannot read the key file {}: {error}", path.display()))
                    .with_source(error))
            }
        }
    }

    /// Keeps a new key, durably, so that a crash leaves the old file or the new one.
    pub(crate) fn save(&self, key: &Key) -> Result<()> {
        let Self::File(path) = self else {
            return Err(Error::new(
                ErrorKind::Key,
                "the key was given as text, so a new one cannot be kept; open the log with a key file to rotate it",
            ));
        };
        write_durably(path, &key.to_text()).map_err(|error| {
            Error::new(ErrorKind::Key, format!("cannot write the key file {}: {error}", path.display()))
                .with_source(error)
        })
    }

    /// In words, for messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::File(path) => format!("the key file {}", path.display()),
            Self::Given(_) => "the key that was given".to_owned(),
        }
    }
}

impl Key {
    /// Makes the file for a new key, durably and readable by its owner only.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("audit.key");
    /// let key = sealog::Key::generate("example.com/audit", &sealog::SystemClock::new())?;
    /// key.create_file(&path)?;
    /// assert!(key.create_file(&path).is_err());
    /// # Ok::<(), sealog::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] when the file is there already: what a key signed cannot be
    /// continued without it. [`ErrorKind::Key`] when it cannot be written.
    pub fn create_file(&self, path: &Path) -> Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(path) {
            // The name is ours; the text takes the way that leaves all of it or nothing.
            Ok(_) => KeySource::File(path.to_owned()).save(self).inspect_err(|_| {
                // What is in the way of the text may be in the way of this too.
                let _ = std::fs::remove_file(path);
            }),
            Err(error) if error.kind() == IoErrorKind::AlreadyExists => {
                let message = format!("there is a key in {} already; name another file", path.display());
                Err(Error::new(ErrorKind::InvalidArgument, message).with_source(error))
            }
            Err(error) => {
                let message = format!("cannot write the key file {}: {error}", path.display());
                Err(Error::new(ErrorKind::Key, message).with_source(error))
            }
        }
    }
}

/// The text of a key file, which is a file: a pipe would have to be waited for, and a device has no end.
fn read_small(path: &Path) -> std::io::Result<String> {
    let invalid = |what| Err(std::io::Error::new(IoErrorKind::InvalidData, what));
    if !std::fs::metadata(path)?.is_file() {
        return invalid("it is no regular file");
    }
    let mut text = String::new();
    File::open(path)?.take(MAX_KEY_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_KEY_FILE_BYTES { invalid("it is larger than 64 KiB") } else { Ok(text) }
}

fn write_durably(path: &Path, text: &str) -> std::io::Result<()> {
    // What the name is a link to is what changes, not the link.
    let path = match std::fs::canonicalize(path) {
        Ok(path) => path,
        Err(error) if error.kind() == IoErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let draft = beside(&path, ".new");
    // A crash may have left one; somebody else may have put a link there, which is not followed.
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != IoErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = write_draft(&draft, &path, text).and_then(|()| std::fs::rename(&draft, &path));
    written.inspect_err(|_| {
        // It holds secrets, or nothing.
        let _ = std::fs::remove_file(&draft);
    })?;
    sync_folder(&path)
}

/// Writes what will be the file at `path`. Whoever can read that one can read the new one.
fn write_draft(draft: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(draft)?;
    #[cfg(unix)]
    if path.exists() {
        keep_owner(&file, path)?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Gives the file the owner, group and mode of the one at `path`: where another user rotates the key of a
/// service, the service must still be able to read it.
#[cfg(unix)]
fn keep_owner(file: &File, path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let (old, new) = (std::fs::metadata(path)?, file.metadata()?);
    if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
        fchown(file, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(old.permissions())
}

/// The path with `suffix` added to the file's name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// A new name is durable once its folder is.
#[cfg(unix)]
pub(crate) fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Folders cannot be opened as files here; the file system keeps names by itself.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_path: &Path) -> std::io::Result<()> {
    Ok(())
}
