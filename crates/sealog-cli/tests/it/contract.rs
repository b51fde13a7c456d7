//! What scripts rely on: exit codes, JSON, and that nothing is lost on the way in.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Folder, lines};

fn error_code(output: &std::process::Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().last().unwrap_or_default();
    let error: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {text}"));
    error["error"]["code"].as_str().expect("a code").to_owned()
}

#[test]
fn failures_have_their_exit_codes_and_say_why_in_json() {
    let folder = Folder::new();
    folder.expect(0, &["log", "user.login", "--actor", "ada"]);
    let stranger = folder.write("no.db", "this is no database, and it is long enough to be sure of that");
    for (code, name, arguments) in [
        (1, "not_found", &["get", "nobody"][..]),
        (1, "not_found", &["get", "17"]),
        (1, "not_found", &["proof", "17"]),
        (6, "no_log", &["tail", "--log", "nowhere.db"]),
        (6, "no_log", &["verify", "--log", "nowhere.db"]),
        (6, "no_log", &["key", "rotate", "--log", "nowhere.db"]),
        (3, "reserved_action", &["log", "sealog.settings.changed"]),
        (3, "invalid_event", &["log", ""]),
        (3, "limit_exceeded", &["log", &"x".repeat(300)]),
        (6, "format", &["tail", "--log", &stranger]),
    ] {
        let output = folder.run(&[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert_eq!(error_code(&output), name, "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    for arguments in [&["log"][..], &["log", "a", "--severity", "loud"], &["nonsense"], &["verify", "--nonsense"]] {
        folder.expect(2, arguments);
    }
    folder.expect(0, &["log", "a", "--id", "once"]);
    folder.expect(0, &["log", "a", "--id", "once"]);
    let output = folder.run(&["log", "b", "--id", "once", "--json"]);
    assert_eq!((output.status.code(), error_code(&output)), (Some(4), "id_conflict".to_owned()));
    assert_eq!(folder.json(0, &["verify"])["size"], 2);
}

#[test]
fn an_event_is_logged_with_all_its_fields() {
    let folder = Folder::new();
    folder.expect(
        0,
        &[
            "log",
            "invoice.paid",
            "--actor",
            "u-1",
            "--actor-type",
            "agent",
            "--actor-name",
            "Ada",
            "--on-behalf-of",
            "u-2",
            "--resource",
            "invoice/i/4",
            "--severity",
            "warning",
            "--outcome",
            "denied",
            "--set",
            "amount=12",
            "--set",
            "password=hunter2",
            "--before",
            "{\"paid\": false}",
            "--after",
            "{\"paid\": true}",
            "--ip",
            "203.0.113.9",
            "--user-agent",
            "curl",
            "--session",
            "s",
            "--request",
            "r",
            "--tag",
            "x",
            "--tag",
            "y",
            "--tenant",
            "acme",
            "--retention-category",
            "billing",
            "--timestamp",
            "2026-01-02T03:04:05Z",
            "--id",
            "i-1",
        ],
    );
    let event = folder.json(0, &["get", "i-1"]);
    let expected = json!({
        "action": "invoice.paid", "actorId": "u-1", "actorType": "agent", "actorName": "Ada", "onBehalfOf": "u-2",
        "resourceType": "invoice", "resourceId": "i/4", "severity": "warning", "outcome": "denied",
        "metadata": {"amount": 12, "password": "[REDACTED]"}, "before": {"paid": false}, "after": {"paid": true},
        "diff": [{"op": "replace", "path": "/paid", "old": false, "value": true}], "ipAddress": "203.0.113.9",
        "userAgent": "curl", "sessionId": "s", "requestId": "r", "tags": ["x", "y"], "tenant": "acme",
        "retentionCategory": "billing", "timestamp": 1_767_323_045_000_i64, "id": "i-1", "seq": 0,
        "recordedAt": event["recordedAt"],
    });
    assert_eq!(event, expected);
    let human = folder.expect(0, &["tail"]);
    assert!(human.contains("invoice.paid") && !human.contains('\u{1b}'), "{human}");
}

#[test]
fn a_stream_answers_each_line_and_says_what_was_wrong() {
    let folder = Folder::new();
    let input =
        "{\"action\": \"a\", \"id\": \"1\"}\nnonsense\n\n{\"action\": \"\"}\n{\"action\": \"b\", \"id\": \"2\"}\n";
    let stopped = folder.run_with_input(&["log", "-", "--json"], input);
    assert_eq!((stopped.status.code(), lines(&stopped.stdout).len()), (Some(3), 1));
    let skipped = folder.run_with_input(&["log", "-", "--json", "--on-error", "skip"], input);
    assert_eq!((skipped.status.code(), lines(&skipped.stdout).len()), (Some(3), 2));
    let errors = lines(&skipped.stderr);
    let numbers: Vec<_> = errors.iter().filter_map(|error| error["error"]["line"].as_u64()).collect();
    assert_eq!(numbers, [2, 4]);
    assert_eq!(folder.json(0, &["verify"])["size"], 2);
}

fn native(count: usize) -> String {
    let line = |i| format!("{{\"action\": \"n\", \"actorId\": \"u-{}\", \"timestamp\": {i}}}\n", i % 3);
    (0..count).map(line).collect::<Vec<_>>().concat()
}

#[test]
fn importing_twice_adds_nothing_however_it_is_packed() {
    let folder = Folder::new();
    // Two lines are the same to the letter, and both happened.
    let text = native(2500) + &native(1);
    folder.write("events.ndjson", &text);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).expect("it packs");
    folder.write("events.ndjson.gz", gzip.finish().expect("it packs"));
    folder.write("events.ndjson.zst", zstd::encode_all(text.as_bytes(), 1).expect("it packs"));
    for name in ["events.ndjson", "events.ndjson.gz", "events.ndjson.zst"] {
        folder.expect(0, &["import", name]);
        assert_eq!(folder.json(0, &["verify"])["size"], 2501, "{name}");
    }
    let piped = folder.run_with_input(&["import", "-"], &text);
    assert_eq!(piped.status.code(), Some(0));
    assert_eq!(folder.json(0, &["verify"])["size"], 2501);
    assert_eq!(folder.json(0, &["get", "7"])["timestamp"], 7);

    folder.write("bad.ndjson", format!("{}oops\n{}", native(1), "{\"action\": \"late\"}\n"));
    assert_ne!(folder.run(&["import", "bad.ndjson"]).status.code(), Some(0));
    let skipped = folder.run(&["import", "bad.ndjson", "--on-error", "skip"]);
    assert_ne!(skipped.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&skipped.stderr).contains('2'), "the line's number is told");
    assert_eq!(folder.json(0, &["verify"])["size"], 2502);
}

#[test]
fn other_logs_are_told_apart_by_their_records() {
    let folder = Folder::new();
    let trail = json!({"eventVersion": "1.08", "eventID": "e-1", "eventTime": "2023-07-10T11:42:18Z",
        "eventSource": "s3.amazonaws.com", "eventName": "GetObject", "errorCode": "AccessDenied",
        "userIdentity": {"type": "IAMUser", "userName": "ada"}, "sourceIPAddress": "203.0.113.9"});
    folder.write("trail.json", json!({"Records": [trail]}).to_string());
    folder.expect(0, &["import", "trail.json"]);
    let event = folder.json(0, &["get", "e-1"]);
    assert_eq!((&event["outcome"], &event["severity"]), (&json!("denied"), &json!("warning")));
    assert_eq!(event["timestamp"], 1_688_989_338_000_i64);

    let audit = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "a-1", "stage": "ResponseComplete",
        "verb": "get", "user": {"username": "system:node:n1"}, "objectRef": {"resource": "pods", "namespace": "x", "name": "p"},
        "responseStatus": {"code": 200}, "requestReceivedTimestamp": "2023-01-27T18:28:08.129781Z",
        "requestURI": "/api/v1/namespaces/x/pods/p"});
    folder.write("audit.ndjson", format!("{audit}\n"));
    folder.expect(0, &["import", "audit.ndjson"]);
    let event = folder.json(0, &["get", "a-1/ResponseComplete"]);
    assert_eq!((&event["resourceType"], &event["outcome"]), (&json!("pods"), &json!("success")));
    assert_eq!(folder.json(0, &["verify"])["size"], 2);
}

#[test]
fn proofs_and_checks_rest_on_what_is_given() {
    let folder = Folder::new();
    folder.expect(0, &["log", "a", "--actor", "ada", "--anchor", "anchor.txt"]);
    folder.expect(0, &["checkpoint", "--output", "old.txt"]);
    folder.expect(0, &["log", "b"]);
    let vkey = folder.expect(0, &["key", "show"]).trim().to_owned();
    assert_eq!(folder.json(0, &["verify"])["trust"], "self-consistent");
    assert!(folder.expect(0, &["verify"]).contains("only consistent with itself"));
    assert_eq!(folder.json(0, &["verify", "--vkey", &vkey])["trust"], "key");
    let both = folder.json(0, &["verify", "--vkey", &vkey, "--checkpoint", "old.txt", "--anchor", "anchor.txt"]);
    assert_eq!(both["trust"], "key-and-checkpoint");

    folder.expect(0, &["proof", "0", "--output", "zero.proof"]);
    assert!(folder.expect(0, &["verify-proof", "zero.proof", "--vkey", &vkey]).contains("ada"));
    let text = std::fs::read_to_string(folder.path("zero.proof")).expect("the proof");
    let forged = text.replacen("\nindex 0\n", "\nindex 1\n", 1);
    assert_ne!(text, forged);
    folder.write("forged.proof", forged);
    folder.expect(1, &["verify-proof", "forged.proof", "--vkey", &vkey]);

    folder.expect(0, &["key", "rotate"]);
    let rotated = folder.expect(0, &["key", "show"]).trim().to_owned();
    assert_ne!(rotated, vkey);
    assert_eq!(folder.json(0, &["key", "list"])["vkeys"], json!([vkey, rotated]));
    folder.expect(0, &["log", "c"]);
    folder.expect(0, &["proof", "0", "--output", "newer.proof"]);
    let refused = folder.run(&["verify-proof", "newer.proof", "--vkey", &vkey]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("key list"));
    folder.expect(0, &["verify-proof", "newer.proof", "--vkey", &rotated]);
    folder.expect(0, &["verify", "--vkey", &vkey]);
    // The key from the environment, and no file.
    let key = std::fs::read_to_string(folder.path("audit.db.key")).expect("the key file");
    std::fs::remove_file(folder.path("audit.db.key")).expect("the key file goes");
    folder.expect(5, &["log", "d"]);
    let status = folder.command(&["log", "d"]).env("SEALOG_KEY", key).status().expect("the program runs");
    assert!(status.success());

    // Another log under this one's name.
    let other = Folder::new();
    other.expect(0, &["log", "a"]);
    std::fs::copy(folder.path("old.txt"), other.path("old.txt")).expect("a copy");
    let report = other.json(1, &["verify", "--vkey", &vkey, "--checkpoint", "old.txt"]);
    assert_eq!(report["ok"], false);
    assert_eq!(report["problems"][0]["code"], "other_log");
    assert_eq!(report["anotherLog"], true);
    assert!(other.expect(1, &["verify", "--vkey", &vkey]).contains("Another log"));
}

#[test]
fn a_log_that_was_altered_fails_with_the_place_and_both_values() {
    let folder = Folder::new();
    for action in ["a", "b", "c"] {
        folder.expect(0, &["log", action]);
    }
    let raw = sealog::rusqlite::Connection::open(folder.path("audit.db")).expect("the file opens");
    let forged = "UPDATE event SET body = CAST(replace(CAST(body AS TEXT), '\"b\"', '\"x\"') AS BLOB) WHERE seq = 1";
    assert_eq!(raw.execute(forged, []).expect("it is altered"), 1);
    let report = folder.json(1, &["verify"]);
    assert_eq!(report["anotherLog"], false);
    let problem = &report["problems"][0];
    assert_eq!((&problem["code"], &problem["seq"]), (&json!("commitment"), &json!(1)));
    assert_ne!(problem["expected"], problem["found"]);
    assert!(folder.expect(1, &["verify"]).contains("seq 1"));
    // No proof of it is given out, which whoever gets it would find wrong.
    folder.expect(1, &["proof", "1", "--output", "one.proof"]);
    assert!(!folder.path("one.proof").exists());

    raw.execute("DELETE FROM event WHERE seq = 1", []).expect("it is deleted");
    let tail = folder.run(&["tail", "--from", "0", "--json"]);
    assert_eq!((tail.status.code(), lines(&tail.stdout).len()), (Some(1), 1));
    let said = String::from_utf8_lossy(&folder.run(&["tail"]).stderr).into_owned();
    assert!(said.contains("seq 1") && said.contains("sealog verify"), "{said}");
}

#[test]
fn colours_and_the_logs_place_are_the_users_to_choose() {
    let folder = Folder::new();
    let status = folder.command(&["log", "a"]).env("SEALOG_LOG", "elsewhere.db").status().expect("the program runs");
    assert!(status.success() && folder.path("elsewhere.db").exists() && !folder.path("audit.db").exists());
    let coloured = folder.run(&["tail", "--log", "elsewhere.db", "--color", "always"]).stdout;
    assert!(coloured.contains(&0x1b));
    let plain = folder.run(&["tail", "--log", "elsewhere.db"]).stdout;
    assert!(!plain.is_empty() && !plain.contains(&0x1b));
}

#[test]
fn an_inbox_is_drained_and_what_is_no_event_is_listed() {
    let folder = Folder::new();
    let app = sealog::rusqlite::Connection::open(folder.path("app.db")).expect("the file opens");
    app.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE invoice (id TEXT)").expect("a table is made");
    folder.expect(0, &["log", "first", "--inbox", "app.db"]);
    for event in
        ["{\"action\": \"from.app\", \"id\": \"app-1\"}", "{\"action\": 7, \"metadata\": {\"password\": \"hunter2\"}}"]
    {
        app.execute("INSERT INTO sealog_inbox(event) VALUES (?1)", [event]).expect("it is inserted");
    }
    let drained = folder.json(0, &["drain", "--inbox", "app.db"]);
    assert_eq!((&drained["size"], &drained["rejected"]), (&json!(2), &json!(1)));
    folder.expect(0, &["log", "second", "--inbox", "app.db"]);
    folder.expect(2, &["drain"]);
    folder.expect(2, &["tail", "--inbox", "app.db"]);
    assert_eq!(folder.json(0, &["get", "app-1"])["action"], "from.app");
    let listed = folder.expect(0, &["rejected", "--json"]);
    let listed = lines(listed.as_bytes());
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["code"], "invalid_event");
    assert_eq!(listed[0]["copy"]["metadata"]["password"], "[REDACTED]");
    assert_eq!(folder.json(0, &["verify"])["size"], 3);
}

#[test]
fn an_inbox_is_drained_for_as_long_as_is_asked() {
    let folder = Folder::new();
    let app = sealog::rusqlite::Connection::open(folder.path("app.db")).expect("the file opens");
    app.pragma_update(None, "journal_mode", "wal").expect("it is in WAL mode");
    folder.expect(0, &["drain", "--inbox", "app.db"]);
    let mut command = folder.command(&["drain", "--inbox", "app.db", "--follow", "--json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    for id in ["one", "two"] {
        let event = json!({"action": "from.app", "id": id}).to_string();
        app.execute("INSERT INTO sealog_inbox(event) VALUES (?1)", [event]).expect("it is inserted");
        // For ten seconds at the most.
        let arrived = (0..1000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            folder.run(&["get", "--id", id]).status.success()
        });
        assert!(arrived, "{id} did not arrive");
    }
    let pressed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(pressed.expect("kill runs").success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), &lines(&output.stdout)[0]["size"]), (Some(0), &json!(2)));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = Folder::new();
    folder.write("events.ndjson", native(3000));
    folder.expect(0, &["import", "events.ndjson"]);
    let mut command = folder.command(&["tail", "-n", "3000"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0));
}

/// Runs it with its standard output closed from the start; answers its exit code.
fn run_unheard(folder: &Folder, arguments: &[&str], input: &str) -> Option<i32> {
    let mut command = folder.command(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    drop(child.stdout.take());
    let _ = child.stdin.take().expect("its input is piped").write_all(input.as_bytes());
    child.wait().expect("it ends").code()
}

#[test]
fn work_goes_on_where_nobody_reads_what_came_of_it() {
    let folder = Folder::new();
    assert_eq!(run_unheard(&folder, &["log", "-"], &native(3000)), Some(0));
    folder.write("a.ndjson", native(10));
    folder.write("b.ndjson", "{\"action\": \"b\"}\n");
    assert_eq!(run_unheard(&folder, &["import", "a.ndjson", "b.ndjson"], ""), Some(0));
    assert_eq!(folder.json(0, &["verify"])["size"], 3011);
    assert_eq!(run_unheard(&folder, &["verify"], ""), Some(0));
    let raw = sealog::rusqlite::Connection::open(folder.path("audit.db")).expect("the file opens");
    raw.execute("DELETE FROM event_id WHERE seq = 0", []).expect("it is deleted");
    assert_eq!(run_unheard(&folder, &["verify"], ""), Some(1));
}

#[test]
fn the_demo_proves_and_verifies_what_it_wrote() {
    let folder = Folder::new();
    let shown = folder.expect(0, &["demo", "--once", "--dir", "demo", "--seed", "3", "--events", "500"]);
    assert!(shown.contains("Proven") && shown.contains("Whole") && shown.contains("[REDACTED]"), "{shown}");
    assert!(shown.contains("✗ denied   ‼ critical"), "{shown}");
    // The report is an event, too, and so is the receipt for what was erased.
    let verified = folder.json(0, &["verify", "--log", "demo/audit.db"]);
    let removed = verified["removed"].as_u64().expect("a number");
    assert_eq!((&verified["size"], removed >= 3), (&json!(502), true), "{verified}");
    assert!(shown.contains("Somebody is forgotten") && shown.contains(&format!("Erased: {removed} events")), "{shown}");
    let report = std::fs::read_to_string(folder.path("demo/report.html")).expect("a report");
    assert!(
        report.contains(&format!("<b>{}</b> events", 501 - removed)) && shown.contains("demo/report.html"),
        "{shown}"
    );
    let usual = folder.expect(0, &["demo", "--once", "--dir", "usual"]);
    assert!(usual.contains("Anomalies are found") && usual.contains("failed-logins-by-address"), "{usual}");
    let short = folder.expect(0, &["demo", "--once", "--dir", "short", "--events", "1"]);
    assert!(short.contains("Proven") && short.lines().all(|line| !line.trim_end().ends_with('→')), "{short}");
}
