//! Each role may do its part, and nothing else.

use std::sync::Arc;

use sealog::{AuditLog, ErrorKind, Event, Filter, SystemClock};

use crate::support::{Fixture, check};

/// Makes a role that can log in and has this one; answers its name. Roles are the whole server's, so each test has
/// its own.
fn member(fixture: &Fixture, role: &str) -> String {
    let name = format!("{role}_of_{}", fixture.database().name());
    fixture.database().sql(&format!("CREATE ROLE {name} LOGIN IN ROLE {role}"));
    name
}

#[tokio::test]
async fn who_may_only_insert_into_the_inbox_reads_and_changes_nothing() {
    let fixture = Fixture::new();
    let log = fixture.builder().clock(Arc::new(SystemClock::new())).open().await.unwrap();
    log.log(Event::new("secret")).await.unwrap();
    let roles = AuditLog::set_up_database(fixture.database().url()).await.unwrap();
    let name = member(&fixture, &roles.inbox);
    let server = fixture.database().server();
    let as_member = |sql: &str| {
        let sql = format!("SET ROLE {name}; {sql}");
        server.psql(fixture.database().name(), &sql)
    };
    as_member("INSERT INTO sealog.inbox (id, event) VALUES ('e-1', '{\"action\": \"paid\"}')").unwrap();
    assert_eq!(log.sequenced("e-1").await.unwrap().seq, 1);

    let tables = fixture
        .database()
        .sql("SELECT relname FROM pg_class WHERE relnamespace = 'sealog'::regnamespace AND relkind IN ('r', 'v')");
    let tables: Vec<_> = tables.lines().collect();
    assert!(tables.len() >= 11, "{tables:?}");
    for table in tables {
        for statement in [
            format!("SELECT count(*) FROM sealog.{table}"),
            format!("DELETE FROM sealog.{table}"),
            format!("TRUNCATE sealog.{table}"),
            format!("LOCK TABLE sealog.{table} IN ACCESS EXCLUSIVE MODE"),
        ] {
            let error = as_member(&statement).unwrap_err();
            assert!(error.contains("permission denied") || error.contains("is not a table"), "{statement}: {error}");
        }
        if table != "inbox" {
            let error = as_member(&format!("INSERT INTO sealog.{table} DEFAULT VALUES")).unwrap_err();
            assert!(error.contains("permission denied") || error.contains("cannot insert"), "{table}: {error}");
        }
    }
    for statement in [
        "INSERT INTO sealog.inbox (event, xid) VALUES ('{}', '3')",
        "INSERT INTO sealog.inbox (event, inserted_at) VALUES ('{}', 0)",
        "INSERT INTO sealog.inbox (event) VALUES ('{}') RETURNING position",
        "UPDATE sealog.inbox SET event = '{}'",
        "CREATE TABLE sealog.mine (id int)",
        "DROP SCHEMA sealog CASCADE",
    ] {
        assert!(as_member(statement).is_err(), "{statement}");
    }
    check(&log).await;
}

#[tokio::test]
async fn a_sequencer_and_a_reader_do_their_part() {
    let fixture = Fixture::new();
    let database = fixture.database();
    let roles = AuditLog::set_up_database(database.url()).await.unwrap();
    let (sequencer, reader) = (member(&fixture, &roles.sequencer), member(&fixture, &roles.reader));

    let builder = fixture.builder_at(database.url_as(&sequencer)).origin("example.com/audit");
    let log = builder.clock(Arc::new(SystemClock::new())).open().await.unwrap();
    let events = (0..300).map(|i| Event::new("record.viewed").actor(format!("u-{}", i % 7)));
    log.log_bulk(events.collect()).await.unwrap();
    log.log(Event::new("user.login").actor("u-1").id("known")).await.unwrap();
    database.sql("INSERT INTO sealog.inbox (id, event) VALUES ('e-1', '{\"action\": \"paid\"}'), ('e-2', '{}')");
    log.sequenced("e-1").await.unwrap();
    assert_eq!(log.sequenced("e-2").await.unwrap_err().kind(), ErrorKind::InvalidEvent);
    log.update_settings(|settings| {
        settings.default_retention_days = Some(30);
        Ok(())
    })
    .await
    .unwrap();
    let erased = log.erase(&sealog::Erasure::new(sealog::Subject::Actor("u-1".into()), "gdpr-17")).await.unwrap();
    assert!(erased.removed > 40);
    for _ in 0..300 {
        log.log(Event::new("single")).await.unwrap();
    }
    check(&log).await;

    let builder = fixture.builder_at(database.url_as(&reader)).index(fixture.dir.path().join("reader.index"));
    let reading = builder.read_only(true).open().await.unwrap();
    assert_eq!(reading.count(&Filter::new().action("single")).await.unwrap(), 300);
    check(&reading).await;
    let writing = fixture.builder_at(database.url_as(&reader)).index(fixture.dir.path().join("other.index"));
    let error = writing.open().await.unwrap_err();
    assert!(error.message().contains("database setup"), "{error}");
}
