//! The documents tell the truth: their commands are run.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Folder, SEALOG};

/// The commands in a document's `console` blocks, without those of other programs, which are not run.
fn commands(document: &str, makefile: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut inside = false;
    for line in document.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
            continue;
        }
        let Some(command) = line.strip_prefix("$ ").filter(|_| inside) else { continue };
        if let Some(target) = command.strip_prefix("make ").and_then(|rest| rest.split_whitespace().next()) {
            assert!(makefile.contains(&format!("\n{target}:")), "there is no `make {target}`");
        } else if !command.starts_with("git ") && !command.starts_with("cargo ") {
            commands.push(command.to_owned());
        }
    }
    commands
}

/// What a document has started in the background ends with it, by the number that stands in its file.
struct Background(PathBuf);

impl Drop for Background {
    fn drop(&mut self) {
        if let Ok(pid) = std::fs::read_to_string(&self.0) {
            // One that has ended already is fine.
            let _ = Command::new("kill").arg(pid.trim()).output();
        }
    }
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
    listener.local_addr().expect("an address").port()
}

#[test]
fn every_command_in_the_documents_works() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let makefile = std::fs::read_to_string(root.join("Makefile")).expect("the Makefile");
    let programs = Path::new(SEALOG).parent().expect("a folder").to_owned();
    let path = std::env::join_paths(
        std::iter::once(programs).chain(std::env::split_paths(&std::env::var_os("PATH").expect("a PATH"))),
    )
    .expect("a PATH");
    let mut documents = vec![root.join("README.md"), root.join("CONTRIBUTING.md"), root.join("SECURITY.md")];
    documents.extend(std::fs::read_dir(root.join("docs")).expect("docs").map(|entry| entry.expect("an entry").path()));

    let mut in_readme = 0;
    for document in documents.iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = std::fs::read_to_string(document).expect("a document");
        let folder = Folder::new();
        let _background = Background(folder.path("serve.pid"));
        // The documents name the usual port, which somebody may be using here.
        let port = format!(":{}", free_port());
        let database = text.contains("db.example.com").then(|| throwaway_postgres::shared().database());
        for command in commands(&text, &makefile) {
            let mut command = command.replace(":7341", &port);
            if let Some(database) = &database {
                for role in ["app", "admin"] {
                    command = command.replace(&format!("postgres://{role}@db.example.com/app"), &database.url());
                }
            }
            let mut shell = Command::new("bash");
            for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SEALOG_")) {
                shell.env_remove(name);
            }
            assert!(!command.ends_with('\\'), "a command stands on one line: {command}");
            let output = shell
                .args(["-e", "-o", "pipefail", "-c", &command])
                .current_dir(folder.dir.path())
                .env("PATH", &path)
                // A log in PostgreSQL keeps its key and its index there.
                .env("XDG_CACHE_HOME", folder.path("cache"))
                .env("XDG_CONFIG_HOME", folder.path("config"))
                .output()
                .expect("bash runs");
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: `{command}`: {error}", document.display());
            in_readme += usize::from(document.ends_with("README.md"));
        }
    }
    assert!(in_readme >= 10, "the README shows only {in_readme} commands");
}
