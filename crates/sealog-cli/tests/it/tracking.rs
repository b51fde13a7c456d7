//! `sealog track`, `untrack` and `tracked`.

use serde_json::json;

use crate::support::{Folder, lines};

#[test]
fn a_table_of_a_sqlite_file_is_tracked_until_it_is_not() {
    let folder = Folder::new();
    let app = sealog::rusqlite::Connection::open(folder.path("app.db")).expect("the file opens");
    app.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE person (id INTEGER PRIMARY KEY, name, email, at)")
        .unwrap();
    assert!(folder.said(2, &["track", "nothing", "--inbox", "app.db"]).contains("there is no table \"nothing\""));
    assert!(folder.said(2, &["track", "person"]).contains("no inbox"));
    let done = folder.json(0, &["track", "person", "--inbox", "app.db", "--exclude", "at", "--redact", "email"]);
    assert_eq!(done, json!({"table": "person", "tracked": true}));
    let tracked = folder.expect(0, &["tracked", "--inbox", "app.db"]);
    assert_eq!(tracked, "person, known by id; without at; hiding email\n");
    app.execute_batch("INSERT INTO person VALUES (1, 'Ada', 'a@example.com', 1); UPDATE person SET at = 2").unwrap();
    folder.expect(0, &["drain", "--inbox", "app.db"]);
    let found = folder.expect(0, &["history", "person", "1", "--json"]);
    let found = lines(found.as_bytes());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["after"], json!({"id": 1, "name": "Ada", "email": "[REDACTED]"}));
    folder.expect(0, &["untrack", "person", "--inbox", "app.db"]);
    folder.expect(1, &["untrack", "person", "--inbox", "app.db"]);
    assert_eq!(folder.expect(0, &["tracked", "--inbox", "app.db"]), "No table is tracked\n");
    folder.expect(0, &["verify"]);
}

#[test]
fn a_table_of_postgres_is_tracked_until_it_is_not() {
    let folder = Folder::new();
    let database = throwaway_postgres::shared().database();
    database.sql("CREATE TABLE person (id int PRIMARY KEY, name text)");
    let url = database.url();
    // The signing key's file stands before the command, since a column's --key stands behind it.
    let at = |arguments: &[&str]| -> Vec<String> {
        let files = ["--log", &url, "--key", "signing.key", "--index", "index"];
        files.iter().chain(arguments).map(|&text| text.to_owned()).collect()
    };
    let run = |code, arguments: &[&str]| {
        let arguments = at(arguments);
        folder.expect(code, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    run(2, &["track", "nothing"]);
    run(0, &["track", "person", "--key", "name", "--key=id"]);
    assert_eq!(run(0, &["tracked"]), "public.person, known by name, id\n");
    run(0, &["track", "person"]);
    assert_eq!(run(0, &["tracked"]), "public.person, known by id\n");
    database.sql("INSERT INTO person VALUES (1, 'Ada')");
    database.sql("SELECT sealog.log('{\"action\": \"x\"}')");
    // Whoever opens the log for writing drains its inbox.
    run(0, &["log", "marker"]);
    let found = run(0, &["history", "public.person", "1", "--json"]);
    assert_eq!(lines(found.as_bytes())[0]["action"], "record.created");
    run(0, &["untrack", "public.person"]);
    run(1, &["untrack", "public.person"]);
    run(0, &["verify"]);
}
