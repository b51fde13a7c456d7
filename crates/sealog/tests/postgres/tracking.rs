//! Tables that are tracked: each change is an event, whoever makes it and however.

use sealog::{AuditLog, ErrorKind, Filter, Mode, Policy, Record, TrackOptions, WatchFrom};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::application::{builder, connect};
use crate::support::{Fixture, check};

/// The next `count` events from `seq` on, and no more.
async fn changes(log: &AuditLog, client: &Client, seq: u64, count: usize) -> Vec<Record> {
    client.batch_execute(r#"SELECT sealog.log('{"action": "marker"}')"#).await.unwrap();
    let mut watch = log.watch(&Filter::new(), WatchFrom::Seq(seq)).await.unwrap();
    let mut found = Vec::new();
    loop {
        let record = watch.next().await.unwrap().unwrap();
        if record.action == "marker" {
            break;
        }
        found.push(record);
    }
    assert_eq!(found.len(), count, "{found:#?}");
    check(log).await;
    found
}

fn told(record: &Record) -> (&str, &str, &str) {
    let id = record.resource_id.as_deref().unwrap_or_default();
    (record.action.as_str(), record.resource_type.as_deref().unwrap_or_default(), id)
}

fn paths(record: &Record) -> Vec<&str> {
    let mut paths: Vec<_> = record.diff().unwrap_or_default().iter().map(|op| op.path.as_str()).collect();
    paths.sort_unstable();
    paths
}

#[tokio::test]
async fn every_kind_of_statement_is_captured_row_by_row() {
    let fixture = Fixture::new();
    let log = builder(&fixture).open().await.unwrap();
    let client = connect(&fixture).await;
    client
        .batch_execute(
            "CREATE TABLE customer (id int PRIMARY KEY, name text, vip bool DEFAULT false);
            CREATE TABLE \"Order\" (customer int REFERENCES customer ON DELETE CASCADE ON UPDATE CASCADE, number int, total numeric,
                PRIMARY KEY (customer, number));
            SELECT sealog.track('customer'), sealog.track('\"Order\"')",
        )
        .await
        .unwrap();
    let at = "public.customer";
    client.batch_execute("INSERT INTO customer VALUES (1, 'Ada'), (2, 'Bob')").await.unwrap();
    let found = changes(&log, &client, 0, 2).await;
    assert_eq!(found.iter().map(told).collect::<Vec<_>>(), [("record.created", at, "1"), ("record.created", at, "2")]);
    assert_eq!(found[0].after, Some(json!({"id": 1, "name": "Ada", "vip": false})));
    assert_eq!(
        (found[0].actor_id.as_deref(), found[0].actor_type.as_deref()),
        (Some("postgres"), Some("database_role"))
    );

    // One statement, of which one row does not change; then one that changes the keys round.
    client.batch_execute("UPDATE customer SET vip = (id = 2)").await.unwrap();
    client.batch_execute("UPDATE customer SET name = name WHERE id = 1").await.unwrap();
    client.batch_execute("UPDATE customer SET name = 'x' WHERE id = 99").await.unwrap();
    let found = changes(&log, &client, 3, 1).await;
    assert_eq!((told(&found[0]), paths(&found[0])), (("record.updated", at, "2"), vec!["/vip"]));
    client
        .batch_execute("INSERT INTO \"Order\" VALUES (1, 1, 9.90), (1, 2, 1), (2, 1, 12345678901234567890.12)")
        .await
        .unwrap();
    let found = changes(&log, &client, 5, 3).await;
    assert_eq!(told(&found[1]), ("record.created", "public.Order", "[1, 2]"));
    assert_eq!(found[2].after, Some(json!({"customer": 2, "number": 1, "total": "12345678901234567890.12"})));

    client.batch_execute("UPDATE customer SET id = 3 - id + 10").await.unwrap();
    let found = changes(&log, &client, 9, 5).await;
    let renamed: Vec<_> = found.iter().filter(|record| told(record).1 == at).collect();
    for record in &renamed {
        let (before, after) = (record.before.as_ref().unwrap(), record.after.as_ref().unwrap());
        assert_eq!(before["name"], after["name"]);
        assert_eq!(before["id"].as_i64().unwrap() + after["id"].as_i64().unwrap(), 13);
    }
    assert_eq!(renamed.len(), 2);
    client.batch_execute("DELETE FROM customer WHERE name = 'Ada'").await.unwrap();
    let found = changes(&log, &client, 15, 3).await;
    assert_eq!(found.iter().filter(|record| told(record).1 == "public.Order").count(), 2, "by cascade");
    assert!(found.iter().all(|record| record.action == "record.deleted" && record.after.is_none()));

    client
        .batch_execute(
            "INSERT INTO customer VALUES (11, 'Bobby'), (20, 'Cy') ON CONFLICT (id) DO UPDATE SET name = excluded.name;
            INSERT INTO customer VALUES (20, 'Di') ON CONFLICT DO NOTHING",
        )
        .await
        .unwrap();
    let found = changes(&log, &client, 19, 2).await;
    let mut said: Vec<_> = found.iter().map(told).collect();
    said.sort_unstable();
    assert_eq!(said, [("record.created", at, "20"), ("record.updated", at, "11")]);
    client.batch_execute("TRUNCATE customer, \"Order\"").await.unwrap();
    let found = changes(&log, &client, 22, 3).await;
    assert!(found.iter().all(|record| record.action == "record.deleted"));

    // By COPY, and as another role, on behalf of somebody.
    fixture.database().sql("COPY customer (id, name) FROM PROGRAM 'printf \"31\\tEve\\n32\\tFay\\n\"'");
    assert_eq!(changes(&log, &client, 26, 2).await.len(), 2);
    let role = format!("clerk_of_{}", fixture.database().name());
    client
        .batch_execute(&format!(
            r#"CREATE ROLE {role}; GRANT ALL ON customer TO {role}; SET ROLE {role}; DELETE FROM customer WHERE id = 31;
            RESET ROLE; BEGIN; SELECT sealog.set_context('{{"actorId": "u-7", "requestId": "r-1", "metadata": {{"password": "p"}}}}');
            SET LOCAL ROLE {role}; DELETE FROM customer WHERE id = 32; COMMIT"#
        ))
        .await
        .unwrap();
    let found = changes(&log, &client, 29, 2).await;
    assert_eq!(found[0].actor_id.as_deref(), Some(role.as_str()));
    assert_eq!((found[1].actor_id.as_deref(), found[1].actor_type.as_deref()), (Some("u-7"), None));
    assert_eq!(found[1].request_id.as_deref(), Some("r-1"));
    assert_eq!(json!(found[1].metadata), json!({"password": "[REDACTED]"}));

    // Invariant 11.
    client
        .batch_execute("BEGIN; INSERT INTO customer VALUES (40, 'Gil'); DELETE FROM customer; ROLLBACK")
        .await
        .unwrap();
    changes(&log, &client, 32, 0).await;
    client.batch_execute("SELECT sealog.untrack('customer'); INSERT INTO customer VALUES (41, 'Hal')").await.unwrap();
    changes(&log, &client, 33, 0).await;
}

#[tokio::test]
async fn columns_are_left_out_and_hidden_whatever_becomes_of_the_table() {
    let fixture = Fixture::new();
    let policy = Policy::default().redact_with("email", Mode::Mask).redact_with("gone", Mode::Remove);
    let log = builder(&fixture).policy(policy).open().await.unwrap();
    let client = connect(&fixture).await;
    client
        .batch_execute(
            "CREATE TABLE person (id int, email text, iban text, password text, doc jsonb, at timestamptz, gone int, later text);",
        )
        .await
        .unwrap();
    let wrong = [
        ("person", TrackOptions::default(), "no primary key"),
        ("person", TrackOptions::default().key("absent"), "no column absent"),
        ("person", TrackOptions::default().key("id").exclude("id"), "a key cannot be left out"),
        ("nobody", TrackOptions::default(), "no table"),
        ("sealog.event", TrackOptions::default(), "of the log itself"),
        ("sealog.events", TrackOptions::default(), "is no table"),
    ];
    for (table, options, said) in wrong {
        let error = log.track(table, options).await.unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidArgument && error.message().contains(said), "{table}: {error}");
    }
    log.track("person", TrackOptions::default().key("id").exclude("at").redact("iban")).await.unwrap();
    let tracked = serde_json::to_value(log.tracked().await.unwrap()).unwrap();
    assert_eq!(tracked, json!([{"table": "public.person", "key": ["id"], "exclude": ["at"], "redact": ["iban"]}]));

    client.batch_execute("BEGIN").await.unwrap();
    client
        .batch_execute(
            r#"INSERT INTO person VALUES (1, 'secret-1@example.com', 'secret-2', 'secret-3', '{"a": {"api_key": "secret-4"}}', now(), 5);
            UPDATE person SET email = 'secret-5@example.com', iban = 'secret-6', doc = '{"a": {"api_key": "secret-7"}}', gone = 6;
            UPDATE person SET at = now() + '1 s'"#,
        )
        .await
        .unwrap();
    let rows = client.query("SELECT event::text FROM sealog.inbox ORDER BY position", &[]).await.unwrap();
    let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert!(rows.len() == 2 && rows.iter().all(|row| !row.contains("secret")), "{rows:?}");
    client.batch_execute("COMMIT").await.unwrap();
    let found = changes(&log, &client, 0, 2).await;
    let hidden = json!({
        "id": 1, "email": "****.com", "iban": "[REDACTED]", "password": "[REDACTED]", "later": null,
        "doc": {"a": {"api_key": "[REDACTED]"}}
    });
    assert_eq!((found[0].after.as_ref(), found[1].after.as_ref()), (Some(&hidden), Some(&hidden)));
    assert_eq!(paths(&found[1]), ["/doc/a/api_key", "/email", "/gone", "/iban"]);

    // Columns that come later, under a name that is hidden, and of a type that may hold names.
    client
        .batch_execute(
            r#"ALTER TABLE person ADD COLUMN "clientSecret" text; ALTER TABLE person RENAME COLUMN later TO passphrase;
            ALTER TABLE person ALTER COLUMN iban TYPE jsonb USING NULL;"#,
        )
        .await
        .unwrap();
    client.batch_execute("BEGIN").await.unwrap();
    client
        .batch_execute(
            r#"UPDATE person SET "clientSecret" = 'secret-8', passphrase = 'secret-9', iban = '{"x": "secret-10"}'"#,
        )
        .await
        .unwrap();
    let row: String = client.query_one("SELECT event::text FROM sealog.inbox", &[]).await.unwrap().get(0);
    assert!(!row.contains("secret-"), "{row}");
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(paths(&changes(&log, &client, 3, 1).await[0]), ["/clientSecret", "/iban", "/passphrase"]);

    // A key that the policy hides is hidden beside the row too.
    client.batch_execute("CREATE TABLE login (token text PRIMARY KEY); SELECT sealog.track('login')").await.unwrap();
    client.batch_execute("INSERT INTO login VALUES ('secret-11')").await.unwrap();
    assert_eq!(changes(&log, &client, 5, 1).await[0].resource_id.as_deref(), Some("[REDACTED]"));

    // After other settings, without the table being tracked anew.
    log.update_settings(|settings| {
        settings.policy = Some(Policy::default().redact("passport"));
        Ok(())
    })
    .await
    .unwrap();
    client
        .batch_execute("CREATE TABLE visa (id int PRIMARY KEY, passport text); SELECT sealog.track('visa')")
        .await
        .unwrap();
    while fixture.database().sql("SELECT hidden FROM sealog.tracking WHERE tracked = 'visa'::regclass") != "{passport}"
    {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn rows_that_no_event_could_hold_are_captured_without_what_is_too_large() {
    let fixture = Fixture::new();
    let log = builder(&fixture).open().await.unwrap();
    let client = connect(&fixture).await;
    client
        .batch_execute(
            "CREATE TABLE big (id text PRIMARY KEY, body text, raw bytea, n numeric, f float8, doc jsonb);
            SELECT sealog.track('big');
            INSERT INTO big VALUES (repeat('k', 2000), repeat('x', 2000000), '\\xff00', 'NaN', 'Infinity', '1e400');
            UPDATE big SET body = 'y' || substr(body, 2);
            UPDATE big SET doc = (repeat('[', 100) || repeat(']', 100))::jsonb, body = ''",
        )
        .await
        .unwrap();
    let found = changes(&log, &client, 0, 3).await;
    let after = found[0].after.as_ref().unwrap();
    assert!(after["body"].as_str().unwrap().starts_with("[OMITTED 2000002 bytes, SHA-256 "), "{after}");
    assert_eq!((&after["raw"], &after["n"], &after["f"]), (&json!("\\xff00"), &json!("NaN"), &json!("Infinity")));
    assert!(after["doc"].as_str().unwrap().starts_with("[OMITTED"));
    assert!(found[0].resource_id.as_deref().unwrap().starts_with("sha256:"));
    assert_eq!(paths(&found[1]), ["/body"]);
    assert_eq!(log.rejected_count().await.unwrap(), 0);
}

#[tokio::test]
async fn a_partitioned_table_is_seen_by_whichever_name_it_is_written_to() {
    let fixture = Fixture::new();
    let log = builder(&fixture).open().await.unwrap();
    let client = connect(&fixture).await;
    client
        .batch_execute(
            "CREATE TABLE measure (id int, day date, value int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
            CREATE TABLE measure_1 PARTITION OF measure FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
            SELECT sealog.track('measure');
            CREATE TABLE measure_2 PARTITION OF measure FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
            INSERT INTO measure VALUES (1, '2026-01-05', 1), (2, '2026-02-05', 2);
            INSERT INTO measure_2 VALUES (3, '2026-02-06', 3);
            UPDATE measure SET value = value;
            UPDATE measure_1 SET value = 10;
            UPDATE measure SET day = '2026-02-07' WHERE id = 1;
            DELETE FROM measure_2 WHERE id = 3;
            TRUNCATE measure",
        )
        .await
        .unwrap();
    let found = changes(&log, &client, 0, 9).await;
    assert!(found.iter().all(|record| record.resource_type.as_deref() == Some("public.measure")));
    let actions: Vec<_> = found.iter().map(|record| record.action.trim_start_matches("record.")).collect();
    let expected = ["created", "created", "created", "updated", "deleted", "created", "deleted", "deleted", "deleted"];
    // Moving a row to another partition is what PostgreSQL makes of it.
    assert_eq!(actions, expected);
    let error = client.batch_execute("SELECT sealog.track('measure_1')").await.unwrap_err();
    assert!(error.as_db_error().unwrap().message().contains("is a partition"));
    assert_eq!(fixture.database().sql("SELECT sealog.untrack('measure')"), "t");
    client.batch_execute("INSERT INTO measure VALUES (9, '2026-01-05', 1)").await.unwrap();
    changes(&log, &client, 10, 0).await;
}

/// What is captured says the same as the table itself, at the end of many random statements.
#[tokio::test]
async fn the_events_of_a_table_tell_its_state() {
    let fixture = Fixture::new();
    let log = builder(&fixture).open().await.unwrap();
    let client = connect(&fixture).await;
    client
        .batch_execute(
            "CREATE TABLE stock (id int PRIMARY KEY, n int, note text); SELECT sealog.track('stock');
            SELECT setseed(0.5);
            DO $$ BEGIN FOR i IN 1..60 LOOP
                CASE (random() * 3)::int
                    WHEN 0 THEN INSERT INTO stock SELECT (random() * 300)::int, k, 'n' FROM generate_series(1, 9) AS k ON CONFLICT (id) DO NOTHING;
                    WHEN 1 THEN UPDATE stock SET n = (random() * 2)::int, note = note || '!' WHERE random() < 0.5;
                    WHEN 2 THEN DELETE FROM stock WHERE random() < 0.1;
                    ELSE UPDATE stock SET id = id + i * 1000 WHERE random() < 0.1 AND id < 1000;
                END CASE;
            END LOOP; END $$",
        )
        .await
        .unwrap();
    client.batch_execute(r#"SELECT sealog.log('{"action": "marker"}')"#).await.unwrap();
    let mut watch = log.watch(&Filter::new(), WatchFrom::Seq(0)).await.unwrap();
    let mut rows = std::collections::BTreeMap::new();
    loop {
        let record = watch.next().await.unwrap().unwrap();
        if record.action == "marker" {
            break;
        }
        let key = |state: &Option<Value>| state.as_ref().map(|state| state["id"].as_i64().unwrap());
        if let Some(id) = key(&record.before) {
            assert_eq!(rows.remove(&id), record.before, "{record:?}");
        }
        if let Some(id) = key(&record.after) {
            rows.insert(id, record.after.clone().unwrap());
        }
    }
    let table: Value =
        serde_json::from_str(&fixture.database().sql("SELECT json_agg(s ORDER BY id) FROM stock AS s")).unwrap();
    assert!(rows.len() > 5);
    assert_eq!(Value::Array(rows.into_values().collect()), table);
    check(&log).await;
}

#[tokio::test]
async fn the_statements_in_the_documentation_work() {
    let fixture = Fixture::new();
    let log = builder(&fixture).open().await.unwrap();
    let client = connect(&fixture).await;
    let text = include_str!("../../../../docs/TRACKING.md");
    let blocks: Vec<_> = text.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 3);
    for block in blocks {
        client.batch_execute(block).await.unwrap_or_else(|error| panic!("{block}: {error}"));
    }
    let found = changes(&log, &client, 0, 3).await;
    let actions: Vec<_> = found.iter().map(|record| (record.action.as_str(), record.actor_id.as_deref())).collect();
    assert_eq!(actions, [("invoice.paid", None), ("invoice.sent", Some("u-17")), ("record.updated", Some("postgres"))]);
}
