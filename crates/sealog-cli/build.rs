//! Lists the files of the dashboard, where it has been built, so that the program holds them. npm is never run from here.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let dist = Path::new(&var("CARGO_MANIFEST_DIR")).join("../../web/dashboard/dist");
    let mut files = Vec::new();
    // The folder is in the repository and the site in it is not; in a package of this crate there is neither.
    if dist.is_dir() {
        println!("cargo::rerun-if-changed={}", dist.display());
        find(&dist.join("site"), &mut files);
    }
    files.sort();
    let mut list = "&[\n".to_owned();
    for file in &files {
        let Ok(name) = file.strip_prefix(dist.join("site")) else { continue };
        let name = name.to_string_lossy().replace('\\', "/");
        let _ = writeln!(list, "    ({name:?}, include_bytes!({:?}) as &[u8]),", file.display().to_string());
    }
    list.push_str("]\n");
    let out = Path::new(&var("OUT_DIR")).join("dashboard.rs");
    std::fs::write(&out, list).unwrap_or_else(|error| panic!("{}: {error}", out.display()));
}

fn var(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            find(&path, files);
        } else {
            files.push(path);
        }
    }
}
