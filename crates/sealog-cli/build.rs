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
    // Copied, so that what is compiled is of one moment, also when somebody builds the dashboard meanwhile.
    let out = Path::new(&var("OUT_DIR")).join("dashboard");
    let _ = std::fs::remove_dir_all(&out);
    must(&out, std::fs::create_dir_all(&out));
    let mut list = "&[\n".to_owned();
    for (place, file) in files.iter().enumerate() {
        let Ok(name) = file.strip_prefix(dist.join("site")) else { continue };
        let (name, copy) = (name.to_string_lossy().replace('\\', "/"), out.join(place.to_string()));
        must(file, std::fs::copy(file, &copy));
        let _ = writeln!(list, "    ({name:?}, include_bytes!({:?}) as &[u8]),", copy.display().to_string());
    }
    list.push_str("]\n");
    let list_file = out.join("list.rs");
    must(&list_file, std::fs::write(&list_file, list));
}

fn must<T>(path: &Path, done: std::io::Result<T>) {
    if let Err(error) = done {
        panic!("{}: {error}", path.display());
    }
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
