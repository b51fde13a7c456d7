//! A throw-away server does what it says.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use throwaway_postgres::{Server, ServerOptions, shared};

#[test]
fn databases_are_copied_from_a_template_that_is_made_once() {
    let make = |database: &throwaway_postgres::Database<'_>| {
        database.sql("CREATE TABLE answer (value int); INSERT INTO answer VALUES (42)");
    };
    let first = shared().database_from("answer", make);
    first.sql("UPDATE answer SET value = 43");
    let second = shared().database_from("answer", |_| panic!("the template is there"));
    assert_eq!((first.sql("TABLE answer"), second.sql("TABLE answer")), ("43".into(), "42".into()));
    let error = shared().database().try_sql("TABLE answer").unwrap_err();
    assert!(error.contains("42P01: relation \"answer\" does not exist"), "{error}");
    assert_eq!(first.sql("SHOW server_version_num")[..2], shared().major().to_string());
}

#[test]
fn a_server_stops_starts_and_is_followed() {
    let server = Server::start(&ServerOptions { fsync: true, ..ServerOptions::default() });
    let database = server.database();
    database.sql("CREATE TABLE kept (value int)");
    server.restart();
    database.sql("INSERT INTO kept VALUES (1)");
    let standby = server.standby("second");
    server.configure("synchronous_standby_names = 'ANY 1 (second)'\n");
    database.sql("SELECT pg_reload_conf()");
    database.sql("INSERT INTO kept VALUES (2)");
    server.kill();
    assert!(database.try_sql("TABLE kept").is_err());
    standby.promote();
    assert_eq!(standby.psql(database.name(), "TABLE kept").unwrap(), "1\n2");
    server.resume();
    assert_eq!(database.sql("TABLE kept"), "1\n2");
}

#[test]
fn a_server_goes_with_the_process_that_started_it() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_throwaway-postgres"))
        .arg("run")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let address =
        url.trim().strip_prefix("postgres://postgres@").and_then(|rest| rest.strip_suffix("/postgres")).unwrap();
    assert!(TcpStream::connect(address).is_ok(), "{address}");
    process.kill().unwrap();
    process.wait().unwrap();
    while TcpStream::connect(address).is_ok() {
        std::thread::yield_now();
    }
}
