//! What rules find, on the command line.

use serde_json::{Value, json};

use crate::support::{Folder, lines};

/// 2026-03-02, 07:00 UTC.
const START_MS: i64 = 1_772_434_800_000;

/// Three actors fail to log in, 4, 5 and 6 times within a minute, each in an hour of their own.
fn folder() -> Folder {
    let folder = Folder::new();
    let event = |actor: i64, i: i64| {
        let time = START_MS + actor * 3_600_000 + i * 10_000;
        let event = json!({"id": format!("{actor}-{i}"), "action": "user.login.failed", "actorId": format!("u-{actor}"),
            "ipAddress": "203.0.113.9", "timestamp": time});
        format!("{event}\n")
    };
    let events = (4..=6).flat_map(|actor| (0..actor).map(move |i| event(actor, i)));
    folder.write("events.ndjson", events.collect::<String>());
    folder.expect(0, &["import", "events.ndjson"]);
    folder
}

fn groups(found: &Value) -> Vec<&str> {
    let findings = found["findings"].as_array().expect("a list");
    findings.iter().map(|finding| finding["group"].as_str().expect("a group")).collect()
}

#[test]
fn the_built_in_rules_find_failed_logins() {
    let folder = folder();
    let found = folder.json(0, &["anomalies"]);
    assert_eq!((&found["total"], groups(&found)), (&json!(2), vec!["u-6", "u-5"]));
    let place =
        |i: i64| json!({"seq": 4 + i, "timestamp": START_MS + 5 * 3_600_000 + i * 10_000, "id": format!("5-{i}")});
    let expected = json!({
        "rule": "failed-logins-by-actor", "groupBy": "actor", "group": "u-5", "count": 5, "threshold": 5,
        "windowMs": 300_000, "first": place(0), "last": place(4), "ids": ["5-0", "5-1", "5-2", "5-3", "5-4"],
    });
    assert_eq!(found["findings"][1], expected);

    let table = folder.expect(0, &["anomalies"]);
    let expected = "  from (UTC)           rule                    group  events  within
  2026-03-02 13:00:00  failed-logins-by-actor  u-6    6       50s (rule: 5 in 5m)
  2026-03-02 12:00:00  failed-logins-by-actor  u-5    5       40s (rule: 5 in 5m)
";
    assert_eq!(table, expected);
    for (arguments, expected) in [
        (&["--since", "2026-03-02 13:00:00"][..], &["u-6"][..]),
        (&["--until", "2026-03-02 13:00:00"], &["u-5"]),
        (&["--since", "2026-03-02 12:00:10", "--until", "2026-03-02T13:00:41Z"], &["u-6"]),
        (&["-n", "1"], &["u-6"]),
        (&["--now"], &[]),
        (&["--now", "--until", "2026-03-02 12:04:59"], &["u-5"]),
        (&["--now", "--until", "2026-03-02 12:06:00"], &[]),
    ] {
        assert_eq!(groups(&folder.json(0, &[&["anomalies"], arguments].concat())), expected, "{arguments:?}");
    }
    let output = folder.run(&["anomalies", "-n", "1"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("and 1 older"));
    let output = folder.run(&["anomalies", "--now"]);
    assert!(output.stdout.is_empty() && String::from_utf8_lossy(&output.stderr).contains("Nothing was found"));
}

#[test]
fn rules_are_printed_edited_and_given_back() {
    let folder = folder();
    let printed = folder.expect(0, &["rules"]);
    let rules: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(folder.json(0, &["rules"]), rules);
    folder.write("rules.json", &printed);
    assert_eq!(folder.json(0, &["anomalies", "--rules", "rules.json"]), folder.json(0, &["anomalies"]));

    let edited = printed.replacen("\"threshold\": 5", "\"threshold\": 4", 1);
    folder.write("rules.json", &edited);
    assert_eq!(groups(&folder.json(0, &["anomalies", "--rules", "rules.json"])), ["u-6", "u-5", "u-4"]);
    let by_stdin = folder.run_with_input(&["anomalies", "--rules", "-", "--json"], edited);
    assert_eq!(groups(&lines(&by_stdin.stdout)[0]), ["u-6", "u-5", "u-4"]);

    for (rules, pointer) in [
        (json!([{"name": "a", "threshold": 0, "windowMs": 1}]), "/0/threshold"),
        (json!([{"name": "a", "filter": {"actr": "a"}, "threshold": 1, "windowMs": 1}]), "/0/filter/actr"),
        (json!([{"name": "a", "unusual": {}}, {"name": "a", "unusual": {}}]), "/1/name"),
    ] {
        folder.write("wrong.json", rules.to_string());
        let output = folder.run(&["anomalies", "--rules", "wrong.json"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("wrong.json: {pointer}: ")) && said.contains("sealog rules"), "{said}");
        let output = folder.run(&["anomalies", "--rules", "wrong.json", "--json"]);
        assert_eq!(lines(&output.stderr)[0]["error"]["pointer"], pointer);
    }
    folder.expect(2, &["anomalies", "--rules", "nowhere.json"]);
    folder.expect(2, &["anomalies", "--since", "then"]);
    folder.expect(6, &["anomalies", "--log", "nowhere.db"]);
}

/// The rules that the documents and the help show are rules.
#[test]
fn what_is_shown_as_rules_can_be_used() {
    let folder = folder();
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/QUESTIONS.md");
    let document = std::fs::read_to_string(document).expect("the document");
    let (_, rules) = document.split_once("```json\n").expect("rules in JSON");
    let (rules, _) = rules.split_once("```").expect("an end");
    let help = folder.expect(0, &["rules", "--help"]);
    let (_, shown) = help.split_once("A rule, with all that it may have:\n").expect("rules");
    let (shown, _) = shown.split_once("Sensitivity").expect("an end");
    for rules in [rules.to_owned(), format!("[{}]", shown.replace("}\n  {", "},\n  {"))] {
        let output = folder.run_with_input(&["anomalies", "--rules", "-"], &rules);
        assert_eq!(output.status.code(), Some(0), "{rules}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
