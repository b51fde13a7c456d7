//! Who may do what: each caller at each endpoint, in one table.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use http_body_util::BodyExt as _;
use sealog::Filter;

use crate::auth::keys::NewKey;
use crate::auth::{Actor, Asked};
use crate::testing::{Answer, Fixture, NOW_MS};
use crate::{Access, Grant, Operation, Options, Refusal, Role};

/// A request for each operation of the specification, by its id; some have several.
const REQUESTS: &[(&str, &str, &str)] = &[
    ("searchEvents", "GET /v1/events", ""),
    ("searchEvents", "GET /v1/events?tenant=globex", ""),
    ("searchEvents", "GET /v1/events?afterSeq=-1&limit=1000", ""),
    ("searchEvents", "GET /v1/events\naccept: text/event-stream", ""),
    ("searchEvents", "GET /v1/events?afterSeq=-1\naccept: text/event-stream", ""),
    ("logEvents", "POST /v1/events", r#"{"action": "x"}"#),
    ("getEvent", "GET /v1/events/e-1", ""),
    ("getEvent", "GET /v1/events/e-2", ""),
    ("getProof", "GET /v1/events/e-1/proof", ""),
    ("getProof", "GET /v1/events/seq:9/proof", ""),
    ("getHistory", "GET /v1/resources/invoice/i-4/history", ""),
    ("getState", "GET /v1/resources/invoice/i-4/state", ""),
    ("getStats", "GET /v1/stats", ""),
    ("getStats", "GET /v1/stats\naccept: text/event-stream", ""),
    ("getSuggestions", "GET /v1/suggestions?field=actorId", ""),
    ("getSuggestions", "GET /v1/suggestions?field=tenant", ""),
    ("parseFilter", "GET /v1/filter?q=severity:error", ""),
    ("findAnomalies", "POST /v1/anomalies", r#"{"rules": [{"name": "any", "threshold": 1, "windowMs": 1}]}"#),
    (
        "findAnomalies",
        "POST /v1/anomalies\naccept: text/event-stream",
        r#"{"rules": [{"name": "any", "groupBy": "actor", "threshold": 1, "windowMs": 86400000}]}"#,
    ),
    ("makeReport", "POST /v1/reports", r#"{"format": "json"}"#),
    ("makeReport", "POST /v1/reports", r#"{"format": "html", "groupBy": ["actorId"]}"#),
    ("listKeys", "GET /v1/keys", ""),
    ("createKey", "POST /v1/keys", r#"{"name": "more", "role": "writer"}"#),
    ("rotateKey", "POST /v1/keys/0000000000000000/rotate", "{}"),
    ("revokeKey", "DELETE /v1/keys/0000000000000000", ""),
    ("mintToken", "POST /v1/tokens", r#"{"scope": {"tenant": "globex"}}"#),
    ("getCaller", "GET /v1/caller", ""),
    ("getAnomalies", "GET /v1/anomalies", ""),
    ("getSettings", "GET /v1/settings", ""),
    ("changeSettings", "PATCH /v1/settings", r#"{"rules": [{"name": "any", "threshold": 1, "windowMs": 1}]}"#),
    ("listRules", "GET /v1/rules", ""),
    ("replaceRules", "PUT /v1/rules", r#"{"rules": []}"#),
    ("saveRule", "PUT /v1/rules/any", r#"{"threshold": 1, "windowMs": 1}"#),
    ("getAnomalies", "GET /v1/anomalies?from=0", ""),
    ("getAnomalies", "GET /v1/anomalies\naccept: text/event-stream", ""),
    ("removeRule", "DELETE /v1/rules/none", ""),
    ("cleanUp", "POST /v1/cleanup", r#"{"dryRun": true}"#),
    ("listHolds", "GET /v1/holds", ""),
    ("placeHold", "POST /v1/holds", r#"{"filter": {"tenant": "acme"}, "reason": "case-7"}"#),
    ("liftHold", "POST /v1/holds/none/lift", r#"{"reason": "closed"}"#),
    ("erase", "POST /v1/erasures", r#"{"subject": {"actor": "nobody"}, "reason": "gdpr-17", "dryRun": true}"#),
    ("getTree", "GET /v1/tree", ""),
    ("verify", "POST /v1/verify", "{}"),
    ("getCheckpoint", "GET /checkpoint", ""),
    ("getCosignedCheckpoint", "GET /checkpoint/cosigned", ""),
    ("addCosignatures", "POST /checkpoint/cosigned\ncontent-type: text/plain", "x"),
    ("getTile", "GET /tile/entries/000.p/10", ""),
    ("getHealth", "GET /healthz", ""),
    ("getReadiness", "GET /readyz", ""),
    ("getMetrics", "GET /metrics", ""),
];

/// What only events of others than acme hold.
const FOREIGN: [&str; 6] = ["mallory", "grace", "globex", "203.0.113.9", "e-2\"", "beta"];

/// Asks; of a stream, for what it begins with.
async fn ask(fixture: &Fixture, who: &str, line: &str, body: &'static str) -> Answer {
    let kind = if body.is_empty() || line.contains("content-type") { "" } else { "\ncontent-type: application/json" };
    let line = format!("{line}{kind}");
    if !line.contains("text/event-stream") {
        return fixture.ask(who, &line, body).await;
    }
    let (parts, mut body) = fixture.send(fixture.request(who, &line, body)).await.into_parts();
    let mut text = Vec::new();
    let patience = std::time::Duration::from_secs(20);
    while let Some(frame) = tokio::time::timeout(patience, body.frame()).await.expect("something comes") {
        text.extend(frame.expect("it is whole").into_data().expect("data"));
        if String::from_utf8_lossy(&text).contains("\ndata: ") {
            break;
        }
    }
    Answer { status: parts.status, headers: parts.headers, body: text.into() }
}

async fn mint(fixture: &Fixture, who: &str, body: &'static str) -> String {
    let minted = ask(fixture, who, "POST /v1/tokens", body).await;
    minted.json()["token"].as_str().expect("a token").to_owned()
}

/// Invariant 12: nobody is told anything of events outside their scope, by any endpoint.
#[tokio::test]
async fn invariant_12_each_caller_at_each_endpoint() {
    let mut fixture = Fixture::filled().await;
    for (name, body) in [
        ("acme-token", r#"{"scope": {"tenant": "acme"}, "subject": "ada"}"#),
        ("ada-token", r#"{"scope": {"actorIds": ["ada"]}}"#),
        ("i-4-token", r#"{"scope": {"resource": {"type": "invoice", "id": "i-4"}}}"#),
    ] {
        let token = mint(&fixture, "reader", body).await;
        fixture.keys.push((name, token));
    }
    let by = Actor { id: "test".to_owned(), kind: "service", name: None };
    let new = NewKey { name: "x".to_owned(), role: Role::Admin, scope: None, expires_at: Some(NOW_MS + 1) };
    let (expired, _) = fixture.app.keys.create(new, &by).await.expect("a key");
    fixture.clock.advance(1);
    fixture.keys.push(("expired", expired));
    let id = fixture.key("revoked", Role::Admin, None).await;
    fixture.app.keys.revoke(&id, &by).await.expect("it is taken back");
    let callers = [
        "",
        "admin",
        "writer",
        "acme-writer",
        "reader",
        "acme",
        "globex",
        "acme-token",
        "ada-token",
        "i-4-token",
        "sealog_0_x",
        "expired",
        "revoked",
    ];

    let mut table = format!("{:<58}", "");
    for caller in callers {
        let _ = write!(table, " {:>11}", if caller.is_empty() { "nobody" } else { caller });
    }
    table.push('\n');
    for (_, line, body) in REQUESTS {
        let row_name = line.split_once('\n').map_or((*line).to_owned(), |(line, header)| {
            format!("{line}{}", if header.contains("text/event-stream") { ", live" } else { "" })
        });
        let mut row = format!("{row_name:<58}");
        for caller in callers {
            let answer = ask(&fixture, caller, line, body).await;
            let _ = write!(row, " {:>11}", answer.status.as_u16());
            assert!(!answer.status.is_server_error(), "{caller} {line}: {}", answer.text());
            // All of ada's and of that invoice is acme's, and of the invoice there is one event.
            let is_acmes = ["acme", "acme-writer", "acme-token", "ada-token", "i-4-token"].contains(&caller);
            if is_acmes && *line != "POST /v1/tokens" {
                // What they asked for themselves may stand in the answer; nothing else may.
                let told = answer.text();
                let mut foreign = FOREIGN.iter().chain((caller == "i-4-token").then_some(&"e-0"));
                let found = foreign.find(|foreign| told.contains(**foreign) && !line.contains(**foreign));
                assert!(found.is_none(), "{caller} is told {found:?} by {line}: {told}");
            }
            if caller == "globex" {
                assert!(!answer.text().contains("ada"), "{line}: {}", answer.text());
            }
        }
        let _ = writeln!(table, "{row}");
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/auth/roles.txt");
    if std::env::var_os("SEALOG_WRITE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &table).expect("the table is written");
    }
    assert_eq!(table, std::fs::read_to_string(&path).unwrap_or_default());
    fixture.check().await;
}

#[test]
fn no_operation_is_missing_in_the_table() {
    let document: serde_json::Value = serde_json::from_str(&crate::openapi()).expect("JSON");
    for item in document["paths"].as_object().expect("paths").values() {
        for operation in item.as_object().expect("operations").values() {
            let id = operation["operationId"].as_str().expect("an id");
            assert!(REQUESTS.iter().any(|(known, ..)| *known == id), "{id} is not tried by each caller");
        }
    }
}

/// Counts of what a scope selects are those of the same filter without a scope.
#[tokio::test]
async fn invariant_12_counts_are_of_the_scope_alone() {
    let fixture = Fixture::filled().await;
    let scoped =
        fixture.ask("acme", "GET /v1/stats?fromTimestamp=0&toTimestamp=1767225600001&bucketMs=86400000000", "").await;
    let same = "GET /v1/stats?tenant=acme&fromTimestamp=0&toTimestamp=1767225600001&bucketMs=86400000000";
    assert_eq!(scoped.json(), fixture.ask("reader", same, "").await.json());
    let widened = "GET /v1/stats?tenant=globex&fromTimestamp=0&toTimestamp=1767225600001&bucketMs=86400000000";
    assert_eq!(fixture.ask("acme", widened, "").await.json()["total"], 0);
}

fn users(parts: &axum::http::request::Parts, operation: &Operation) -> Result<Grant, Refusal> {
    let user = parts.headers.get("x-user").and_then(|user| user.to_str().ok()).unwrap_or_default();
    match (user, operation.access) {
        ("", _) => Err(Refusal::unauthenticated("sign in first")),
        ("root", _) => Ok(Grant::whole("root")),
        ("app", Access::Write) => Ok(Grant::scoped("app", Filter::new().tenant("acme"))),
        ("empty", _) => Ok(Grant::scoped("empty", Filter::new())),
        (user, Access::Read) => Ok(Grant::scoped(user, Filter::new().actor(user))),
        _ => Err(Refusal::forbidden("you may look, and that is all")),
    }
}

#[tokio::test]
async fn a_mounted_router_asks_the_application() {
    let fixture = Fixture::made(Options::default(), |server| {
        server.authorize(|parts, operation| std::future::ready(users(parts, operation)))
    })
    .await;
    fixture.fill().await;
    let status = async |user: &str, line: &str, body: &'static str| {
        let line = format!("{line}\nx-user: {user}");
        let answer = ask(&fixture, "", &line, body).await;
        (answer.status.as_u16(), answer)
    };
    let (code, answer) = status("ada", "GET /v1/events", "").await;
    assert_eq!((code, answer.json()["events"].as_array().map(Vec::len)), (200, Some(2)));
    assert_eq!(status("ada", "POST /v1/events", r#"{"action": "x"}"#).await.0, 403);
    let (code, answer) = status("app", "POST /v1/events", r#"{"action": "x", "id": "of-app"}"#).await;
    assert_eq!(code, 201, "{}", answer.text());
    assert_eq!(fixture.log.get("of-app").await.unwrap().tenant.as_deref(), Some("acme"));
    assert_eq!(status("root", "GET /v1/events/of-app", "").await.0, 200);
    // A list of permissions that came out empty is not all of them.
    assert_eq!(status("empty", "GET /v1/events", "").await.0, 403);
    // Keys of the log mean nothing here: the application is asked.
    assert_eq!(fixture.ask("sealog_0000000000000000_x", "GET /v1/events", "").await.status, StatusCode::UNAUTHORIZED);
    // What people did themselves is nobody's concern; what root read is an event.
    let reads = fixture.log.count(&Filter::new().action("sealog.read")).await.unwrap();
    assert_eq!(reads, 1);
}

/// What the application is told of an operation, by its id; of some requests it is not asked at all.
fn asked_of(id: &str, line: &str) -> Option<Operation> {
    let (read, write, admin) = (Operation::read, Operation::write, Operation::admin);
    Some(match id {
        "searchEvents" | "parseFilter" => read(Asked::Events),
        "logEvents" => write(Asked::Events),
        "getEvent" | "getProof" => read(Asked::Event(line.split('/').nth(3).unwrap_or_default().to_owned())),
        "getHistory" | "getState" => read(Asked::Resource { kind: "invoice".to_owned(), id: "i-4".to_owned() }),
        "getStats" => read(Asked::Stats),
        "getSuggestions" => read(Asked::Suggestions),
        "findAnomalies" | "getAnomalies" => read(Asked::Anomalies),
        "makeReport" => read(Asked::Report),
        "getTree" | "getCheckpoint" | "getCosignedCheckpoint" | "getTile" => read(Asked::Tree),
        "verify" => read(Asked::Verification),
        "getCaller" => read(Asked::Caller),
        "getMetrics" => read(Asked::Metrics),
        "getSettings" => read(Asked::Settings),
        "listRules" => read(Asked::Rules),
        "mintToken" => read(Asked::Tokens),
        "listKeys" | "createKey" | "rotateKey" | "revokeKey" => admin(Asked::Keys),
        "changeSettings" => admin(Asked::Settings),
        "replaceRules" | "saveRule" | "removeRule" => admin(Asked::Rules),
        "cleanUp" => admin(Asked::Cleanup),
        "listHolds" | "placeHold" | "liftHold" => admin(Asked::Holds),
        "erase" => admin(Asked::Erasures),
        // Its signature says who it is.
        "addCosignatures" | "getHealth" | "getReadiness" => return None,
        other => panic!("what is the application asked of {other}?"),
    })
}

#[tokio::test]
async fn the_application_is_told_what_is_asked_and_its_refusal_holds() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let told = heard.clone();
    let fixture = Fixture::made(Options::default(), |server| {
        server.authorize(move |_, operation| {
            told.lock().expect("nobody panicked").push(operation.clone());
            std::future::ready(Err(Refusal::forbidden("not you")))
        })
    })
    .await;
    fixture.fill().await;
    let size = fixture.log.head().await.unwrap().size;
    let asked = async |line: &str, body: &'static str| {
        let answer = ask(&fixture, "", line, body).await;
        (answer, std::mem::take(&mut *heard.lock().expect("nobody panicked")))
    };
    for (id, line, body) in REQUESTS {
        let (answer, heard) = asked(line, body).await;
        let expected = asked_of(id, line);
        assert_eq!(answer.status == 403, expected.is_some(), "{line}: {}", answer.text());
        assert_eq!(heard, Vec::from_iter(expected), "{line}");
    }
    // It is told what is meant, and not how it was written; and of lines what it is told of one event.
    let (_, heard) = asked("GET /v1/resources/a%2Fb/c%20d%25/state?at=0", "").await;
    assert_eq!(heard, [Operation::read(Asked::Resource { kind: "a/b".to_owned(), id: "c d%".to_owned() })]);
    assert_eq!(asked("GET /v1/events/a%2Fb", "").await.1, [Operation::read(Asked::Event("a/b".to_owned()))]);
    let (answer, heard) = asked("POST /v1/events\ncontent-type: application/x-ndjson", "{\"action\": \"x\"}\n").await;
    assert_eq!((answer.status.as_u16(), heard), (403, vec![Operation::write(Asked::Events)]));
    assert_eq!(fixture.log.head().await.unwrap().size, size);
}

#[tokio::test]
async fn too_many_requests_are_told_when_to_come_back() {
    let mut options = Options::default();
    options.limits.max_key_requests_per_second = 1;
    let mut fixture = Fixture::with(options).await;
    fixture.make_keys().await;
    let mut refused = None;
    for _ in 0..20 {
        let answer = fixture.ask("reader", "GET /v1/events?limit=1", "").await;
        if answer.status != StatusCode::OK {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("one is refused");
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (429, "rate_limited"));
    assert_eq!(refused.headers["retry-after"], "1");
    // Another key is none the worse for it.
    assert_eq!(fixture.ask("acme", "GET /v1/events?limit=1", "").await.status, 200);
}

#[tokio::test]
async fn reads_are_counted_together() {
    let fixture = Fixture::filled().await;
    for _ in 0..5 {
        fixture.ask("reader", "GET /v1/events?tenant=acme", "").await;
    }
    fixture.ask("reader", "GET /v1/events?tenant=globex", "").await;
    let reads = async || {
        let page = fixture.log.search(&Filter::new().action("sealog.read"), &sealog::PageOptions::new()).await.unwrap();
        page.events.into_iter().map(|record| record.metadata.clone().unwrap_or_default()).collect::<Vec<_>>()
    };
    let first = reads().await;
    assert_eq!(first.len(), 1);
    assert_eq!(
        serde_json::to_value(&first[0]).unwrap(),
        serde_json::json!({"kind": "events", "filter": {"tenant": "acme"}})
    );
    fixture.clock.advance(60_000);
    fixture.app.reads.flush(false).await.unwrap();
    let mut then = reads().await;
    assert_eq!(then.len(), 2);
    then.retain(|metadata| metadata.contains_key("more"));
    let expected = serde_json::json!({
        "kind": "events", "more": 5, "from": crate::testing::NOW_MS, "to": crate::testing::NOW_MS,
        "filters": [{"tenant": "acme"}, {"tenant": "globex"}],
    });
    assert_eq!(serde_json::to_value(&then[0]).unwrap(), expected);
}

#[tokio::test]
async fn reads_are_logged_unless_the_options_say_otherwise() {
    let kinds = ["anomalies", "event", "events", "history", "state", "stats", "stream", "suggestions"];
    for (read_events, expected) in [(true, &kinds[..]), (false, &[])] {
        let mut fixture = Fixture::with(Options { read_events, ..Options::default() }).await;
        fixture.make_keys().await;
        fixture.fill().await;
        for (_, line, body) in REQUESTS {
            ask(&fixture, "reader", line, body).await;
        }
        fixture.app.reads.flush(true).await.unwrap();
        let options = sealog::PageOptions::new();
        let page = fixture.log.search(&Filter::new().action("sealog.read"), &options).await.unwrap();
        let kind = |record: &sealog::Record| record.metadata.as_ref().map(|metadata| metadata["kind"].clone());
        let mut logged: Vec<_> = page.events.iter().filter_map(kind).collect();
        logged.sort_by_key(ToString::to_string);
        logged.dedup();
        assert_eq!(logged, expected);
    }
}

#[tokio::test]
async fn what_is_in_scope_is_found_by_its_place() {
    let fixture = Fixture::filled().await;
    let event = fixture.ask("globex", "GET /v1/events/seq:9", "").await;
    assert_eq!((event.status.as_u16(), event.json()["id"].as_str()), (200, Some("e-3")));
    let proof = fixture.ask("globex", "GET /v1/events/seq:9/proof", "").await;
    assert_eq!(proof.status, 200, "{}", proof.text());
}

#[tokio::test]
async fn pages_of_others_may_not_ask_from_a_browser() {
    let closed = Fixture::filled().await;
    let preflight = "OPTIONS /v1/events\norigin: https://app.example.com\naccess-control-request-method: GET\n\
                     access-control-request-headers: authorization";
    let allowed = "access-control-allow-origin";
    assert!(closed.ask("", preflight, "").await.headers.get(allowed).is_none());
    let asked = "GET /v1/events\norigin: https://app.example.com";
    assert!(closed.ask("reader", asked, "").await.headers.get(allowed).is_none());

    let mut options = Options::default();
    options.cors_origins.push("https://app.example.com".to_owned());
    let mut open = Fixture::with(options).await;
    open.make_keys().await;
    let answer = open.ask("", preflight, "").await;
    assert_eq!(answer.headers[allowed], "https://app.example.com");
    assert_eq!(open.ask("reader", asked, "").await.headers[allowed], "https://app.example.com");
    let other = asked.replace("app.", "evil.");
    assert!(open.ask("reader", &other, "").await.headers.get(allowed).is_none());
}

#[tokio::test]
async fn a_request_has_the_id_that_its_client_gave_it_or_another_one() {
    let fixture = Fixture::new().await;
    let id = async |given: &str| {
        let mut request = fixture.request("", "GET /healthz", "");
        request.headers_mut().insert("x-request-id", given.parse().expect("a header"));
        let answer = fixture.send(request).await;
        answer.headers()["x-request-id"].to_str().expect("text").to_owned()
    };
    assert_eq!(id("web-1.a:7").await, "web-1.a:7");
    for given in ["", "a b", "<x>", &"x".repeat(129)] {
        assert_eq!(id(given).await.len(), 36, "{given}");
    }
}
