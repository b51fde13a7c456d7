//! The three real histories beside the project: in, out again, equal, and verified. They are not part of
//! it, so where they are not there this says so, and shows nothing.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use sealog::{AuditLog, Outcome, Record, VerifyOptions};
use serde_json::Value;

use crate::support::Folder;

fn data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if path.is_file() {
        return Some(path);
    }
    // Past the test runner, which hides what a test that passes prints.
    let _ = writeln!(std::io::stderr(), "NOT RUN: the history {name} is not beside the project, in ../shared/data");
    None
}

fn records(path: &Path) -> impl Iterator<Item = Value> {
    let file = std::fs::File::open(path).expect("the file opens");
    let unpacked = BufReader::new(zstd::Decoder::new(file).expect("a zstd file"));
    unpacked.lines().map(|line| serde_json::from_str(&line.expect("text")).expect("JSON"))
}

/// Imports the file twice, verifies, and shows each event of the log beside its record in the file.
async fn import(path: &Path, mut each: impl FnMut(&Record, &Value)) {
    let folder = Folder::new();
    let file = path.to_str().expect("a path in UTF-8");
    folder.expect(0, &["import", file]);
    let log = AuditLog::builder(folder.path("audit.db")).read_only(true).open().await.expect("the log opens");
    let mut next = 0;
    let mut page = Vec::new().into_iter();
    for source in records(path) {
        if page.len() == 0 {
            page = log.read(next, 1000).await.expect("the log can be read").events.into_iter();
        }
        let record = page.next().expect("an event for each record");
        assert_eq!(record.seq(), next);
        next += 1;
        each(&record, &source);
    }
    let report = log.verify(VerifyOptions::default(), |_| {}).await.expect("the log can be read");
    assert!(report.is_ok(), "{:?}", report.problems.first());
    assert_eq!(report.size, next, "nothing but the records is in the log");
    folder.expect(0, &["import", file]);
    assert_eq!(log.head().await.expect("the log can be read").size, next, "importing twice adds nothing");
}

/// Whether a document is the one that was sent, but for values that were hidden; under which names is
/// noted, so that a policy that hides too much does not pass.
fn is_same(stored: &Value, sent: &Value, name: &str, hidden: &mut BTreeSet<String>) -> bool {
    match (stored, sent) {
        (Value::String(stored), _) if stored == "[REDACTED]" => {
            hidden.insert(name.to_owned());
            true
        }
        (Value::Object(stored), Value::Object(sent)) => {
            stored.len() == sent.len()
                && stored
                    .iter()
                    .all(|(name, value)| sent.get(name).is_some_and(|sent| is_same(value, sent, name, hidden)))
        }
        (Value::Array(stored), Value::Array(sent)) => {
            stored.len() == sent.len()
                && stored.iter().zip(sent).all(|(stored, sent)| is_same(stored, sent, name, hidden))
        }
        // 1 and 1.0 are one number in canonical JSON.
        (Value::Number(stored), Value::Number(sent)) => stored == sent || stored.as_f64() == sent.as_f64(),
        _ => stored == sent,
    }
}

fn millis(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().expect("a time").parse().expect("RFC 3339");
    time.as_millisecond()
}

#[tokio::test]
async fn manifests() {
    let Some(path) = data("manifests.ndjson.zst") else { return };
    let mut changes: HashMap<String, u32> = HashMap::new();
    let mut empty_diffs = 0;
    let mut hidden = BTreeSet::new();
    import(&path, |record, sent| {
        assert_eq!(Value::from(record.timestamp()), sent["timestamp"]);
        assert_eq!(record.action, sent["action"].as_str().expect("an action"));
        assert_eq!(record.actor_id.as_deref(), sent["actorId"].as_str());
        assert_eq!(record.resource_id.as_deref(), sent["resourceId"].as_str());
        for (stored, name) in [(&record.before, "before"), (&record.after, "after")] {
            let same = match (stored, sent.get(name)) {
                (Some(stored), Some(sent)) => is_same(stored, sent, name, &mut hidden),
                (None, None) => true,
                _ => false,
            };
            assert!(same, "seq {}: {name} is not what was sent", record.seq());
        }
        *changes.entry(record.resource_id.clone().unwrap_or_default()).or_default() += 1;
        empty_diffs += u32::from(record.diff().is_some_and(<[_]>::is_empty));
    })
    .await;
    assert_eq!(changes.values().max(), Some(&1506));
    assert_eq!(empty_diffs, 236);
    assert_eq!(hidden, BTreeSet::new(), "no manifest has a secret under its usual name");
}

#[tokio::test]
async fn kubernetes() {
    let Some(path) = data("kubernetes-audit.ndjson.zst") else { return };
    let mut denied = 0;
    import(&path, |record, sent| {
        let id = format!("{}/{}", sent["auditID"].as_str().expect("an id"), sent["stage"].as_str().expect("a stage"));
        assert_eq!(record.id(), id);
        assert_eq!(record.timestamp(), millis(&sent["requestReceivedTimestamp"]), "{id}");
        assert_eq!(sent["responseStatus"]["code"] == 403, record.outcome == Some(Outcome::Denied), "{id}");
        denied += u32::from(record.outcome == Some(Outcome::Denied));
    })
    .await;
    assert_eq!(denied, 71);
}

#[tokio::test]
async fn cloudtrail() {
    let Some(path) = data("cloudtrail.ndjson.zst") else { return };
    import(&path, |record, sent| {
        assert_eq!(record.id(), sent["eventID"].as_str().expect("an id"));
        assert_eq!(record.ip_address.as_deref(), sent["sourceIPAddress"].as_str());
        assert_eq!(record.timestamp(), millis(&sent["eventTime"]));
        let refused = sent["errorCode"].as_str().is_some_and(|code| code.contains("AccessDenied"));
        assert!(!refused || record.outcome == Some(Outcome::Denied));
    })
    .await;
}
