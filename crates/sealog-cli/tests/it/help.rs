//! What the program says of itself.

use std::path::Path;

use crate::support::Folder;

const COMMANDS: [&str; 31] = [
    "demo",
    "log",
    "import",
    "drain",
    "track",
    "untrack",
    "tracked",
    "search",
    "count",
    "stats",
    "history",
    "state",
    "anomalies",
    "rules",
    "tail",
    "report",
    "settings",
    "cleanup",
    "holds",
    "erase",
    "get",
    "verify",
    "proof",
    "verify-proof",
    "checkpoint",
    "key",
    "rejected",
    "reindex",
    "serve",
    "completions",
    "man",
];

fn help(folder: &Folder, arguments: &[&str]) -> String {
    let output = folder.command(arguments).env("COLUMNS", "100").output().expect("the program runs");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("text")
}

/// All help texts, as they were last looked at. `SEALOG_WRITE_SNAPSHOTS=1` writes them anew.
#[test]
fn the_help_is_what_was_looked_at() {
    let folder = Folder::new();
    let mut all = help(&folder, &["--help"]);
    let below: [&[&str]; 9] = [
        &["key", "show"],
        &["key", "list"],
        &["key", "generate"],
        &["key", "rotate"],
        &["rules", "save"],
        &["rules", "clear"],
        &["settings", "set"],
        &["holds", "place"],
        &["holds", "lift"],
    ];
    for command in COMMANDS.iter().map(std::slice::from_ref).chain(below) {
        let title = command.join(" ");
        all.extend(["\n──── sealog ", &title, " ────\n\n", &help(&folder, &[command, &["--help"]].concat())]);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/help.txt");
    if std::env::var_os("SEALOG_WRITE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, &all).expect("the snapshot is written");
    }
    let seen = std::fs::read_to_string(&path).expect("the snapshot is there");
    assert_eq!(all, seen, "look at the change, then run the tests with SEALOG_WRITE_SNAPSHOTS=1");
}

#[test]
fn every_command_is_listed_and_has_an_example() {
    let folder = Folder::new();
    let listed = help(&folder, &["--help"]);
    for command in COMMANDS {
        assert!(listed.contains(&format!("\n  {command} ")), "{command} is not listed");
        assert!(help(&folder, &[command, "--help"]).contains("Example"), "{command} has no example");
    }
}

#[test]
fn shells_and_man_get_their_files() {
    let folder = Folder::new();
    for (shell, word) in [("bash", "_sealog()"), ("zsh", "#compdef sealog"), ("fish", "complete -c sealog")] {
        assert!(folder.expect(0, &["completions", shell]).contains(word), "{shell}");
    }
    assert!(folder.expect(0, &["man"]).contains(".TH sealog"));
}
