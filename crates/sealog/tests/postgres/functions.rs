//! Events from SQL: what the database checks, adds and hides before a row of the inbox is written.

use sealog::{AuditLog, Detector, ErrorKind, Event, IpPolicy, Mode, Policy};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::application::{builder, connect};
use crate::support::{Fixture, check};

async fn log_event(client: &Client, event: &Value) -> Result<String, tokio_postgres::Error> {
    let row = client.query_one("SELECT sealog.log($1::text::jsonb)", &[&event.to_string()]).await?;
    Ok(row.get(0))
}

/// The event as the log holds it.
async fn logged(log: &AuditLog, client: &Client, event: &Value) -> Value {
    let id = log_event(client, event).await.unwrap();
    log.sequenced(&id).await.unwrap();
    serde_json::to_value(log.get(&id).await.unwrap()).unwrap()
}

#[tokio::test]
async fn an_event_is_logged_by_a_plain_statement_in_the_applications_transaction() {
    let fixture = Fixture::new();
    let log = builder(&fixture).open().await.unwrap();
    let mut client = connect(&fixture).await;
    client.batch_execute("CREATE TABLE invoice (id text PRIMARY KEY)").await.unwrap();

    let tx = client.transaction().await.unwrap();
    tx.batch_execute("INSERT INTO invoice VALUES ('i-1')").await.unwrap();
    let id: String = tx
        .query_one(
            r#"SELECT sealog.log('{"action": "invoice.paid", "resourceType": "invoice", "resourceId": "i-1"}')"#,
            &[],
        )
        .await
        .unwrap()
        .get(0);
    tx.commit().await.unwrap();
    assert_eq!((id.len(), &id[14..15]), (36, "7"), "a UUIDv7: {id}");
    assert_eq!(log.sequenced(&id).await.unwrap().seq, 0);
    assert_eq!(log.get(&id).await.unwrap().resource_id.as_deref(), Some("i-1"));

    // From psql, and again under its id, with one that is another.
    let sql = r#"SELECT sealog.log('{"id": "e-1", "action": "invoice.sent", "timestamp": 5}')"#;
    assert_eq!((fixture.database().sql(sql), fixture.database().sql(sql)), ("e-1".into(), "e-1".into()));
    log.sequenced("e-1").await.unwrap();
    fixture.database().sql(r#"SELECT sealog.log('{"id": "e-1", "action": "invoice.lost"}')"#);
    let marker = log_event(&client, &json!({"action": "marker"})).await.unwrap();
    assert_eq!(log.sequenced(&marker).await.unwrap().seq, 2);
    assert_eq!(log.rejected(0, 10).await.unwrap()[0].code, ErrorKind::IdConflict.code());
    check(&log).await;
}

/// Invariant 11.
#[tokio::test]
async fn invariant_11_what_is_rolled_back_is_never_seen() {
    let fixture = Fixture::new();
    let log = builder(&fixture).open().await.unwrap();
    let mut client = connect(&fixture).await;
    let tx = client.transaction().await.unwrap();
    tx.batch_execute(r#"SELECT sealog.log('{"id": "whole", "action": "x"}')"#).await.unwrap();
    tx.rollback().await.unwrap();
    client
        .batch_execute(
            r#"BEGIN; SAVEPOINT s; SELECT sealog.log('{"id": "part", "action": "x"}'); ROLLBACK TO s;
            SELECT sealog.log('{"id": "kept", "action": "x"}'); COMMIT"#,
        )
        .await
        .unwrap();
    assert_eq!(log.sequenced("kept").await.unwrap().seq, 0);
    for id in ["whole", "part"] {
        assert_eq!(log.get(id).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert_eq!(check(&log).await, 1);
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_its_place_and_what_to_do() {
    let fixture = Fixture::new();
    let log = builder(&fixture).open().await.unwrap();
    let client = connect(&fixture).await;
    let too_long = "x".repeat(2000);
    let deep = (0..70).fold(json!(1), |inner, _| json!([inner]));
    let base = |more: Value| {
        let mut event = json!({"action": "x"});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let wrong = [
        (json!([]), ""),
        (json!({}), "/action"),
        (json!({"action": null}), "/action"),
        (json!({"action": "  "}), "/action"),
        (json!({"action": 5}), "/action"),
        (json!({"action": "sealog.read"}), "/action"),
        (json!({"action": " SEALOG .x"}), "/action"),
        (base(json!({"actorId": ""})), "/actorId"),
        (base(json!({"actorId": too_long})), "/actorId"),
        (base(json!({"actor_id": "u"})), "/actor_id"),
        (base(json!({"resourceId": "1"})), "/resourceId"),
        (base(json!({"severity": "high"})), "/severity"),
        (base(json!({"outcome": true})), "/outcome"),
        (base(json!({"tags": ["", "a"]})), "/tags/0"),
        (base(json!({"tags": vec!["t"; 65]})), "/tags"),
        (base(json!({"timestamp": -1})), "/timestamp"),
        (base(json!({"timestamp": 1.5})), "/timestamp"),
        (base(json!({"timestamp": 9_000_000_000_000_000_i64})), "/timestamp"),
        (base(json!({"seq": 1})), "/seq"),
        (base(json!({"diff": []})), "/diff"),
        (base(json!({"metadata": []})), "/metadata"),
        (base(json!({"metadata": {"a": "x".repeat(300_000)}})), "/metadata"),
        (base(json!({"metadata": {"a": deep}})), "/metadata"),
        (base(json!({"after": "x".repeat(1_100_000)})), "/after"),
        (base(json!({"changed": ["no"]})), "/changed/0"),
    ];
    for (event, place) in wrong {
        let error = log_event(&client, &event).await.unwrap_err();
        let said = error.as_db_error().unwrap_or_else(|| panic!("{event}: {error}"));
        assert_eq!(said.code().code(), "22023", "{place}: {said}");
        assert!(said.message().starts_with(&format!("sealog: {place}")), "{place}: {said}");
        assert!(said.hint().is_some() && said.detail().unwrap().starts_with("code "), "{said:?}");
        // The library refuses it too.
        if let Ok(event) = Event::from_json(&event.to_string()) {
            log.log(event).await.unwrap_err();
        }
    }
    for json in [r#"{"action": "x", "metadata": {"a": 1e400}}"#, r#"{"action": "x", "metadata": {"a": "\u0000"}}"#] {
        assert!(client.query_one("SELECT sealog.log($1::text::jsonb)", &[&json]).await.is_err(), "{json}");
    }
    assert_eq!(fixture.database().sql("SELECT count(*) FROM sealog.inbox"), "0");
}

#[tokio::test]
async fn what_the_database_takes_the_library_takes_too_whatever_is_in_it() {
    let fixture = Fixture::new();
    let log = builder(&fixture).open().await.unwrap();
    let client = connect(&fixture).await;
    let nested = (0..63).fold(json!("deep"), |inner, _| json!([inner]));
    for (number, value) in [
        json!({"": "", " ": null, "\u{7f}": "\u{1}\t\n\"\\/", "ß\u{1f600}": "\u{fffd}\u{10ffff}"}),
        json!({"n": [0, -0.0, 1e300, 5e-324, i64::MIN, u64::MAX, 0.1, 1.0, 123_456_789.123_456_79]}),
        json!({"nested": nested, "a": {"b": [{"c": [[]]}, {}]}}),
        json!({"$1": "'; DROP TABLE sealog.event; --", "__proto__": {"constructor": 1}, "~/": ["~1"]}),
        json!({"text": "x".repeat(200_000)}),
    ]
    .into_iter()
    .enumerate()
    {
        let event = json!({"action": "hostile", "actorName": "", "metadata": value, "before": null, "after": value});
        let found = logged(&log, &client, &event).await;
        let direct = log.log(Event::from_json(&event.to_string()).unwrap()).await.unwrap();
        let direct = serde_json::to_value(log.get(direct.id()).await.unwrap()).unwrap();
        for name in ["metadata", "before", "after", "diff"] {
            assert_eq!(found.get(name), direct.get(name), "{number} {name}");
        }
    }
    check(&log).await;
}

#[tokio::test]
async fn a_context_flows_into_the_events_of_its_transaction_or_session() {
    let fixture = Fixture::new();
    let log = builder(&fixture).open().await.unwrap();
    let mut client = connect(&fixture).await;
    client.batch_execute(r#"SELECT sealog.set_context('{"tenant": "t-1"}', 'session')"#).await.unwrap();
    let tx = client.transaction().await.unwrap();
    tx.batch_execute(
        r#"SELECT sealog.set_context('{"actorId": "u-1", "requestId": "r-1", "metadata": {"a": 1, "b": 1}}')"#,
    )
    .await
    .unwrap();
    tx.batch_execute(
        r#"SELECT sealog.log('{"id": "e-1", "action": "x", "requestId": null, "metadata": {"b": 2}}');
        SELECT sealog.log('{"id": "e-2", "action": "x", "actorId": "u-2"}')"#,
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    log_event(&client, &json!({"id": "e-3", "action": "x"})).await.unwrap();
    client.batch_execute("SELECT sealog.set_context(NULL, 'session')").await.unwrap();
    log_event(&client, &json!({"id": "e-4", "action": "x"})).await.unwrap();
    log.sequenced("e-4").await.unwrap();

    let [first, second, third, fourth] =
        [log.get("e-1").await, log.get("e-2").await, log.get("e-3").await, log.get("e-4").await].map(Result::unwrap);
    assert_eq!((first.actor_id.as_deref(), first.request_id.as_deref()), (Some("u-1"), Some("r-1")));
    assert_eq!(json!(first.metadata), json!({"a": 1, "b": 2}));
    assert_eq!(second.actor_id.as_deref(), Some("u-2"));
    assert_eq!((third.actor_id.as_deref(), third.tenant.as_deref()), (None, Some("t-1")));
    assert_eq!(fourth.tenant, None);

    for context in [r#"{"action": "x"}"#, r#"{"actorId": 5}"#, r#"["u-1"]"#] {
        let error = client.query("SELECT sealog.set_context($1::text::jsonb)", &[&context]).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "22023", "{context}");
    }
    check(&log).await;
}

/// Invariant 7: what is hidden is so before it is in the inbox.
#[tokio::test]
async fn invariant_7_the_policy_hides_in_the_database_what_it_hides_in_the_library() {
    let fixture = Fixture::new();
    let policy = Policy::default()
        .redact_with("email", Mode::Mask)
        .redact_with("iban", Mode::Hash)
        .redact_with("gone", Mode::Remove)
        .redact_with("sessionId", Mode::Mask)
        .redact_path("metadata.user.phone")
        .redact_path_with("after.items.0.pin", Mode::Mask)
        .redact_path("before.*.note")
        .detect(Detector::Email)
        .detect(Detector::CardNumber)
        .detect(Detector::Jwt)
        .detect(Detector::BearerToken)
        .detect(Detector::CloudKeyId)
        .ip_address(IpPolicy::Truncate);
    let log = builder(&fixture).policy(policy).open().await.unwrap();
    let client = connect(&fixture).await;
    // Held back, so that the inbox can be looked at before the log drains it.
    let hold = connect(&fixture).await;

    let event = json!({
        "action": "hidden", "ipAddress": "203.0.113.9, [2001:db8:1:2::6]:443, 010.x", "sessionId": "session-secret-9999",
        "metadata": {
            "user": {"phone": "secret-1", "E-Mail": "secret-2@example.com", "name": "Ada"},
            "apiKey": "secret-3", "gone": "secret-4", "note": "write to secret-5@example.com, or not",
            "card": "4111 1111 1111 1111", "number": 4_111_111_111_111_111_u64, "time": 1_767_225_600_000_u64,
            "by@secret-6.example.com": 1, "auth": "Bearer abcdefghsecret-7", "list": [{"PASSWORD": "secret-8"}, [{"token": 9}]],
            "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2VjcmV0LTEw", "aws": "AKIAIOSFODNN7EXAMPLE"
        },
        "before": {"password": "secret-11", "x": {"note": "secret-12"}, "iban": "secret-13", "n": 1, "items": [{"pin": "9999secret"}]},
        "after": {"password": "secret-14", "x": {"note": "seen"}, "iban": "secret-15", "n": 2, "items": [{"pin": "8888secret"}]}
    });
    hold.batch_execute("BEGIN").await.unwrap();
    log_event(&hold, &event).await.unwrap();
    let row: String = hold.query_one("SELECT event::text FROM sealog.inbox", &[]).await.unwrap().get(0);
    for secret in ["secret-", "203.0.113.9", "4111", "b:443", "2::6", "AKIAIOSFODNN7", "eyJhbG"] {
        assert!(!row.contains(secret), "{secret} in {row}");
    }
    assert!(row.contains("1767225600000") && row.contains("Ada") && row.contains("write to"), "{row}");
    hold.batch_execute("COMMIT").await.unwrap();

    let found = logged(&log, &client, &event).await;
    let direct = log.log(Event::from_json(&event.to_string()).unwrap()).await.unwrap();
    let mut direct = serde_json::to_value(log.get(direct.id()).await.unwrap()).unwrap();
    // A hash takes the log's key, which the database does not have.
    for state in ["before", "after"] {
        assert!(direct[state]["iban"].as_str().unwrap().starts_with("hmac:"));
        direct[state]["iban"] = json!("[REDACTED]");
    }
    for name in ["ipAddress", "sessionId", "metadata", "before", "after"] {
        assert_eq!(found[name], direct[name], "{name}");
    }
    let paths = |event: &Value| {
        let ops = event["diff"].as_array().unwrap().iter();
        let mut paths: Vec<_> = ops.map(|op| op["path"].as_str().unwrap().to_owned()).collect();
        paths.sort();
        paths
    };
    assert_eq!(paths(&found), paths(&direct));
    check(&log).await;
}

#[tokio::test]
async fn the_database_follows_the_settings() {
    let fixture = Fixture::new();
    let log = builder(&fixture).open().await.unwrap();
    let rules = || serde_json::from_str::<Value>(&fixture.database().sql("SELECT sealog.redaction()")).unwrap();
    assert_eq!(rules()["names"].as_object().unwrap().len(), Policy::DEFAULT_NAMES.len());
    log.update_settings(|settings| {
        settings.policy = Some(Policy::default().redact("shoeSize"));
        Ok(())
    })
    .await
    .unwrap();
    while rules()["names"].get("shoesize").is_none() {
        tokio::task::yield_now().await;
    }
    let client = connect(&fixture).await;
    client.batch_execute("BEGIN").await.unwrap();
    log_event(&client, &json!({"action": "x", "metadata": {"shoe_size": 47}})).await.unwrap();
    let row: String = client.query_one("SELECT event::text FROM sealog.inbox", &[]).await.unwrap().get(0);
    assert!(!row.contains("47"), "{row}");
}

#[tokio::test]
async fn a_role_that_may_only_log_logs_and_does_nothing_else() {
    let fixture = Fixture::new();
    let log = builder(&fixture).open().await.unwrap();
    let database = fixture.database();
    let roles = AuditLog::set_up_database(database.url()).await.unwrap();
    let name = format!("app_of_{}", database.name());
    database.sql(&format!("CREATE ROLE {name} LOGIN IN ROLE {}", roles.inbox));
    let as_app = |sql: &str| database.try_sql(&format!("SET ROLE {name}; {sql}"));
    let id = as_app(
        r#"BEGIN; SELECT sealog.set_context('{"actorId": "u-1"}'); SELECT sealog.log('{"action": "x"}'); COMMIT"#,
    )
    .unwrap();
    let id = id.trim();
    log.sequenced(id).await.unwrap();
    assert_eq!(log.get(id).await.unwrap().actor_id.as_deref(), Some("u-1"));
    for statement in [
        "SELECT * FROM sealog.event",
        "SELECT * FROM sealog.tracking",
        "SELECT sealog.redaction()",
        "SELECT sealog.set_redaction('{}')",
        "SELECT sealog.plan_tracking()",
        "SELECT sealog.track('sealog.event')",
        "CREATE TABLE pg_temp.mine (id int PRIMARY KEY); CREATE TRIGGER t AFTER INSERT ON pg_temp.mine \
         FOR EACH ROW EXECUTE FUNCTION sealog.capture('{}')",
    ] {
        let error = as_app(statement).unwrap_err();
        assert!(error.contains("permission denied"), "{statement}: {error}");
    }
    check(&log).await;
}

/// Invariant 11.
#[tokio::test]
async fn invariant_11_the_librarys_twin_logs_in_the_applications_transaction() {
    let fixture = Fixture::new();
    let log = builder(&fixture).policy(Policy::default().redact("pin")).open().await.unwrap();
    let mut client = connect(&fixture).await;
    let event = || Event::new("invoice.paid").id("e-1").metadata(json!({"pin": "secret-1"}));
    let mut tx = client.transaction().await.unwrap();
    log.log_in_postgres(&mut tx, event()).await.unwrap();
    tx.rollback().await.unwrap();
    let mut tx = client.transaction().await.unwrap();
    let staged = log.log_in_postgres(&mut tx, event()).await.unwrap();
    let row: String = tx.query_one("SELECT event::text FROM sealog.inbox", &[]).await.unwrap().get(0);
    assert!(!row.contains("secret"), "{row}");
    tx.commit().await.unwrap();
    let logged = log.settled(&staged).await.unwrap();
    assert_eq!((logged.receipt().unwrap().seq, check(&log).await), (0, 1));
    // The same event through the handle is the same event.
    assert!(log.log(event()).await.unwrap().receipt().unwrap().existed);
    let mut tx = client.transaction().await.unwrap();
    let error = log.log_in_postgres(&mut tx, Event::new("")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidEvent);
}
