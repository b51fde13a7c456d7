//! `sealog settings`, `cleanup`, `holds`, `erase` and the saved rules, for people and for programs.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Folder, lines};

/// Twelve events of three actors, each fourth one critical, some of them with a category.
fn folder() -> Folder {
    let folder = Folder::new();
    let event = |i: i64| {
        let event = json!({"id": format!("e-{i}"), "action": "doc.viewed", "actorId": format!("person-{}", i % 3),
            "severity": if i % 4 == 0 { "critical" } else { "info" }, "resourceType": "doc",
            "resourceId": format!("d-{}", i % 2), "metadata": {"note": format!("seen by person-{}", (i + 1) % 3)},
            "retentionCategory": if i < 6 { json!("debug") } else { Value::Null }});
        format!("{event}\n")
    };
    folder.write("events.ndjson", (0..12).map(event).collect::<String>());
    folder.expect(0, &["import", "events.ndjson"]);
    folder
}

fn count(folder: &Folder, filter: &str) -> Value {
    folder.json(0, &["count", filter])["count"].clone()
}

/// The newest event with this action.
fn newest(folder: &Folder, action: &str) -> Value {
    let found = folder.expect(0, &["search", &format!("action:{action}"), "-n", "1", "--json"]);
    lines(found.as_bytes()).pop().expect("an event")
}

/// Whether the word is in a file of the log, read as it is or through SQLite.
fn is_in_a_file(folder: &Folder, word: &str) -> bool {
    let dump = folder.expect(0, &["tail", "--from", "0", "--json"]);
    let entries = |path: &Path| {
        let entries = std::fs::read_dir(path).expect("a folder");
        entries.map(|entry| entry.expect("an entry").path()).collect::<Vec<_>>()
    };
    let mut files = entries(&folder.path("audit.db.index"));
    files.extend(entries(folder.dir.path()).into_iter().filter(|path| path.is_file() && is_of_the_log(path)));
    assert!(files.len() > 3, "{files:?}");
    let holds = |bytes: &[u8]| bytes.windows(word.len()).any(|window| window == word.as_bytes());
    dump.contains(word) || files.iter().any(|path| holds(&std::fs::read(path).expect("a file")))
}

fn is_of_the_log(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("audit.db"))
}

#[test]
fn what_was_kept_long_enough_goes_with_a_receipt() {
    let folder = folder();
    assert_eq!(folder.json(0, &["cleanup"])["removed"], 0);
    let wanted = ["cleanup", "--older-than", "0d", "--preserve", "critical", "--category", "debug"];
    let would = folder.json(0, &[&wanted[..], &["--dry-run"]].concat());
    assert_eq!(
        (&would["removed"], &would["byCategory"], &would["dryRun"]),
        (&json!(4), &json!({"debug": 4}), &json!(true))
    );
    let told = folder.expect(0, &[&wanted[..], &["--dry-run"]].concat());
    assert!(told.starts_with("Would remove 4 events\n") && told.contains("debug     4"), "{told}");
    // It reads only, so it needs no key.
    std::fs::rename(folder.path("audit.db.key"), folder.path("away.key")).expect("the key is moved");
    folder.expect(0, &["cleanup", "--dry-run"]);
    folder.expect(5, &["cleanup"]);
    std::fs::rename(folder.path("away.key"), folder.path("audit.db.key")).expect("the key is moved");
    assert_eq!(folder.json(0, &["verify"])["removed"], 0);

    let told = folder.expect(0, &[&wanted[..], &["--by", "ops", "--batch", "2"]].concat());
    assert!(told.starts_with("Removed 4 events\n") && told.contains("none holds anything of it any more"), "{told}");
    let receipt = newest(&folder, "sealog.retention.applied");
    assert_eq!((&receipt["actorId"], &receipt["metadata"]["olderThanDays"]), (&json!("ops"), &json!(0)));
    assert_eq!(count(&folder, "retention:debug"), 2);
    assert!(folder.said(1, &["get", "--seq", "1"]).contains("removed"));
    let verified = folder.json(0, &["verify"]);
    assert_eq!((&verified["removed"], &verified["ok"]), (&json!(4), &json!(true)));
    assert!(folder.expect(0, &["verify"]).contains("removed     4 events, as receipts in the log say"));

    let rest = folder.json(0, &["cleanup", "--older-than", "0"]);
    assert_eq!((&rest["removed"], &rest["scrubbed"]), (&json!(8), &json!(true)));
    assert!(!is_in_a_file(&folder, "seen by"));
    // Imported again, nothing comes back.
    let again = folder.json(0, &["import", "events.ndjson"]);
    assert_eq!((&again["new"], count(&folder, "action:doc.viewed")), (&json!(0), json!(0)));
    // A receipt that is taken away is missed.
    let raw = sealog::rusqlite::Connection::open(folder.path("audit.db")).expect("the file opens");
    raw.execute("DELETE FROM own_event WHERE kind = 2", []).expect("they are deleted");
    assert!(folder.expect(1, &["verify"]).contains("Damaged"));
}

#[test]
fn what_is_held_stays_until_it_is_lifted() {
    let folder = folder();
    assert_eq!(folder.expect(0, &["holds"]), "Nothing is held.\n");
    assert_eq!(folder.expect(0, &["holds", "--json"]), "");
    let placed = folder
        .json(0, &["holds", "place", "actor:person-1", "--reason", "case 2026-114", "--owner", "legal", "--by", "ada"]);
    assert_eq!((&placed["events"], &placed["owner"]), (&json!(4), &json!("legal")));
    let id = placed["id"].as_str().expect("an id");
    let told = folder.expect(0, &["holds", "place", "", "--reason", "everything"]);
    assert!(told.contains("Placed a hold on all events: 13 events now, and what will be logged"), "{told}");
    let listed = lines(folder.expect(0, &["holds", "--json"]).as_bytes());
    assert_eq!((listed.len(), &listed[0]["id"], &listed[0]["reason"]), (2, &json!(id), &json!("case 2026-114")));
    let table = folder.expect(0, &["holds"]);
    let expected = format!("{id}\n  holds    actor:person-1\n  because  case 2026-114\n  owner    legal\n  since    ");
    assert!(table.starts_with(&expected), "{table}");
    assert_eq!(newest(&folder, "sealog.hold.placed")["actorId"], Value::Null);

    let none = folder.json(0, &["cleanup", "--older-than", "0"]);
    assert_eq!((&none["removed"], &none["held"]), (&json!(0), &json!(12)));
    let told = folder.expect(0, &["erase", "--actor", "person-1", "--reason", "gdpr-17"]);
    assert!(told.contains("4 events not erased: `sealog holds` lists why"), "{told}");
    let all = listed[1]["id"].as_str().expect("an id");
    let told = folder.expect(0, &["holds", "lift", all, "--reason", "done"]);
    assert_eq!(told, "Lifted the hold on all events\n");
    let some = folder.expect(0, &["cleanup", "--older-than", "0"]);
    assert!(
        some.contains("Removed 8 events") && some.contains("held       4 more; `sealog holds` lists why"),
        "{some}"
    );
    assert_eq!(folder.json(0, &["holds", "lift", id, "--reason", "closed", "--by", "ada"])["id"], id);
    let event = newest(&folder, "sealog.hold.lifted");
    assert_eq!((&event["actorId"], &event["metadata"]), (&json!("ada"), &json!({"hold": id, "reason": "closed"})));
    assert_eq!(folder.json(0, &["cleanup", "--older-than", "0"])["removed"], 4);

    let said = folder.said(1, &["holds", "lift", id, "--reason", "again"]);
    assert!(said.contains("in force; `sealog holds` lists those that are"), "{said}");
    for (says, arguments) in [
        ("--reason: has 0 bytes", &["holds", "place", "actor:a", "--reason", ""][..]),
        ("--owner: has 0 bytes", &["holds", "place", "actor:a", "--reason", "r", "--owner", ""]),
        ("--reason: has 0 bytes", &["holds", "lift", id, "--reason", ""]),
        ("^^^^^^", &["holds", "place", "actr:a", "--reason", "r"]),
        ("<FILTER>", &["holds", "place", "--reason", "r"]),
    ] {
        let said = folder.said(2, arguments);
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
    assert!(folder.said(3, &["holds", "place", "a", "--reason", "r", "--by", ""]).contains("--by: is empty"));
    folder.expect(6, &["holds", "--log", "nowhere.db"]);
    folder.expect(6, &["holds", "place", "a", "--reason", "r", "--log", "nowhere.db"]);
    assert!(!folder.path("nowhere.db").exists());
}

#[test]
fn who_is_to_be_forgotten_is_in_no_file_any_more() {
    let folder = folder();
    folder.expect(0, &["proof", "3", "--output", "before.tlog-proof"]);
    let vkey = folder.expect(0, &["key", "show"]).trim().to_owned();
    let wanted = ["erase", "--actor", "person-0", "--reason", "gdpr-17", "--case", "2026/114", "--mentions"];
    let would = folder.json(0, &[&wanted[..], &["--dry-run"]].concat());
    assert_eq!(
        (&would["removed"], &would["reduced"], count(&folder, "actor:person-0")),
        (&json!(4), &json!(4), json!(4))
    );
    assert!(folder.expect(0, &[&wanted[..], &["--dry-run"]].concat()).starts_with("Would erase:\n"));
    let told = folder.expect(0, &[&wanted[..], &["--by", "dpo"]].concat());
    assert!(
        told.starts_with("Erased:\n  removed    4 events\n  reduced    4 events, of which the rest stays\n"),
        "{told}"
    );
    let receipt = newest(&folder, "sealog.erasure.applied");
    assert_eq!((&receipt["actorId"], &receipt["metadata"]["case"]), (&json!("dpo"), &json!("2026/114")));
    assert_eq!(receipt["metadata"]["subject"], would["subject"]);
    assert!(!is_in_a_file(&folder, "person-0"));
    assert_eq!(folder.json(0, &["get", "2"])["metadata"]["note"], "seen by [ERASED]");
    let verified = folder.json(0, &["verify"]);
    assert_eq!((&verified["removed"], &verified["reduced"]), (&json!(4), &json!(4)));
    assert!(folder.expect(0, &["verify"]).contains("removed     4 events; of 4 more a part, as receipts"));
    // What was proven is proven.
    folder.expect(0, &["verify-proof", "before.tlog-proof", "--vkey", &vkey]);
    assert!(folder.expect(0, &wanted).contains("Nothing of it was found; that it was asked for is logged."));

    let fields = folder.json(0, &["erase", "--resource", "doc/d-1", "--reason", "gdpr-18", "--fields"]);
    assert_eq!((&fields["removed"], &fields["reduced"]), (&json!(0), &json!(4)));
    assert_eq!(count(&folder, "resource:doc:d-1"), 0);
    assert_eq!(count(&folder, "resource:doc:[ERASED]"), 4);
    assert_eq!(folder.json(0, &["verify"])["ok"], true);

    for (says, arguments) in [
        ("--reason: a reason is a code", &["erase", "--actor", "person-1", "--reason", "asked by Ada"][..]),
        ("--case: a case is a number", &["erase", "--actor", "person-1", "--reason", "r", "--case", "Ada L"]),
        ("--mentions: an id of fewer", &["erase", "--actor", "ada", "--reason", "r", "--mentions"]),
        ("the subject: the subject's id is empty", &["erase", "--actor", "", "--reason", "r"]),
        ("such as customer/c-9", &["erase", "--resource", "invoice", "--reason", "r"]),
        ("--by: the receipt stays", &["erase", "--actor", "a", "--by", "a", "--reason", "r"]),
        ("--reason", &["erase", "--actor", "person-1"]),
        ("<--actor <ID>|--resource <TYPE/ID>>", &["erase", "--reason", "r"]),
        ("cannot be used with", &["erase", "--actor", "a", "--resource", "a/b", "--reason", "r"]),
    ] {
        let said = folder.said(2, arguments);
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
    folder.expect(6, &["erase", "--actor", "a", "--reason", "r", "--log", "nowhere.db"]);
}

#[test]
fn settings_are_shown_and_changed() {
    let folder = folder();
    let defaults = folder.json(0, &["settings"]);
    assert_eq!((&defaults["defaultRetentionDays"], &defaults["rules"]), (&json!(90), &json!([])));
    let shown = folder.expect(0, &["settings"]);
    for part in ["unless said otherwise  90 days", "if critical            365 days", "  none\n", "sealog rules save"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let told = folder.expect(0, &["settings", "set", "{\"defaultRetentionDays\": 30}", "--by", "ops"]);
    assert_eq!(told, "Changed:\n  ~ defaultRetentionDays: 90 → 30\n");
    let event = newest(&folder, "sealog.settings.changed");
    assert_eq!((&event["actorId"], &event["after"]["defaultRetentionDays"]), (&json!("ops"), &json!(30)));
    let again = folder.expect(0, &["settings", "set", "{\"defaultRetentionDays\": 30}"]);
    assert_eq!(again, "They are so already; nothing was changed.\n");
    assert_eq!(count(&folder, "action:sealog.settings.changed"), 1);

    let category = json!({"customRetention": [{"category": "de\u{1b}bug", "retentionDays": null}],
        "policy": {"redactFields": [{"name": "email"}]}, "criticalRetentionDays": "forever"});
    folder.write("patch.json", category.to_string());
    let set = folder.json(0, &["settings", "set", "patch.json"]);
    assert_eq!((&set["criticalRetentionDays"], &set["defaultRetentionDays"]), (&json!("forever"), &json!(30)));
    assert_eq!(folder.json(0, &["settings"]), set);
    let shown = folder.expect(0, &["settings"]);
    assert!(shown.contains("de\\u{1b}bug") && shown.contains("for ever") && shown.contains("email"), "{shown}");
    // They hold for whoever logs.
    folder.expect(0, &["log", "user.updated", "--set", "email=ada@example.com", "--id", "u"]);
    assert_eq!(folder.json(0, &["get", "u"])["metadata"]["email"], "[REDACTED]");
    // What was printed can be given back, whole.
    let output = folder.run_with_input(&["settings", "set", "-"], set.to_string());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "They are so already; nothing was changed.\n");
    let output = folder.run_with_input(&["settings", "set", "-", "--json"], defaults.to_string());
    assert_eq!((output.status.code(), lines(&output.stdout)), (Some(0), vec![defaults.clone()]));
    folder.expect(0, &["settings", "set", "{\"policy\": null}"]);

    for (says, patch) in [
        ("/defaultRetentionDays: events are kept for 1 to", "{\"defaultRetentionDays\": 0}"),
        ("retention", "{\"retention\": 3}"),
        ("/rules/0/threshold", "{\"rules\": [{\"action\": \"a\", \"threshold\": 0, \"windowMs\": 1}]}"),
        ("the change is no JSON", "{defaultRetentionDays: 30}"),
        ("cannot read nowhere.json", "nowhere.json"),
    ] {
        let said = folder.said(2, &["settings", "set", patch]);
        assert!(said.contains(says), "{patch}: {said}");
    }
    folder.write("list.json", "[1]");
    assert!(folder.said(2, &["settings", "set", "list.json"]).contains("an object"));
    assert_eq!(folder.json(0, &["settings"]), defaults);
    folder.expect(6, &["settings", "--log", "nowhere.db"]);
    folder.expect(6, &["settings", "set", "{}", "--log", "nowhere.db"]);
}

#[test]
fn saved_rules_are_those_that_are_used() {
    let folder = folder();
    let built_in: Value = serde_json::from_str(&folder.expect(0, &["rules"])).expect("JSON");
    assert!(folder.said(0, &["rules"]).contains("These are built-in rules."));
    let rules = json!([{"name": "reading", "action": "doc.viewed", "groupBy": "actor", "threshold": 4,
        "windowMs": 3_600_000}]);
    folder.write("rules.json", rules.to_string());
    let told = folder.expect(0, &["rules", "save", "rules.json", "--by", "ada"]);
    assert_eq!(told, "Saved 1 rule, which are evaluated as events arrive.\n");
    assert_eq!(newest(&folder, "sealog.settings.changed")["actorId"], "ada");
    let saved = folder.json(0, &["rules"]);
    assert_eq!((&saved[0]["name"], saved.as_array().map(Vec::len)), (&json!("reading"), Some(1)));
    assert!(folder.said(0, &["rules"]).contains("the rules that the log has saved"));
    assert_eq!(folder.json(0, &["rules", "--built-in"]), built_in);

    // By whoever asks, and as events arrive.
    assert_eq!(folder.json(0, &["anomalies"])["total"], 3);
    let report = folder.json(0, &["report", "-o", "all.html", "--findings"]);
    assert_eq!((&report["findings"]["total"], &report["rules"][0]["name"]), (&json!(3), &json!("reading")));
    let detected = count(&folder, "action:sealog.anomaly.detected");
    for _ in 0..4 {
        folder.expect(0, &["log", "doc.viewed", "--actor", "new"]);
    }
    let finding = newest(&folder, "sealog.anomaly.detected");
    assert_eq!((&finding["metadata"]["group"], &finding["metadata"]["count"]), (&json!("new"), &json!(4)));
    assert_eq!((detected, count(&folder, "action:sealog.anomaly.detected")), (json!(0), json!(1)));

    let output = folder.run_with_input(&["rules", "save", "-", "--json"], built_in.to_string());
    assert_eq!((output.status.code(), &lines(&output.stdout)[0]), (Some(0), &built_in));
    assert_eq!(folder.json(0, &["anomalies"])["total"], 0);
    folder.expect(0, &["rules", "clear"]);
    assert_eq!(folder.json(0, &["settings"])["rules"], json!([]));
    assert_eq!(folder.json(0, &["rules"]), built_in);

    folder.write("none.json", "[]");
    assert!(folder.said(2, &["rules", "save", "none.json"]).contains("sealog rules clear"));
    folder.write("wrong.json", "[{\"name\": \"a\", \"threshold\": 0, \"windowMs\": 1}]");
    assert!(folder.said(2, &["rules", "save", "wrong.json"]).contains("wrong.json: /0/threshold"));
    folder.expect(2, &["rules", "--built-in", "clear"]);
    folder.expect(6, &["rules", "--log", "nowhere.db"]);
    folder.expect(6, &["rules", "clear", "--log", "nowhere.db"]);
    assert_eq!(folder.json(0, &["verify"])["ok"], true);
}
