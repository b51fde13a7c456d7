//! Several servers on one PostgreSQL, which survive each other and the database's own troubles.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealog::{AuditLog, Filter, VerifyOptions};
use serde_json::{Value, json};
use throwaway_postgres::{Mode, Proxy, Server, ServerOptions};

use crate::serve::{Client, Serving};
use crate::support::Folder;

/// Sends events to a node, each until it is acknowledged, and remembers which were.
struct Writer {
    acknowledged: Arc<Mutex<BTreeSet<String>>>,
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Writer {
    fn start(name: &'static str, address: String, key: String) -> Self {
        let (acknowledged, stop) = (Arc::<Mutex<BTreeSet<String>>>::default(), Arc::<AtomicBool>::default());
        let thread = std::thread::spawn({
            let (acknowledged, stop) = (acknowledged.clone(), stop.clone());
            move || {
                let mut client = None;
                let mut number = 0;
                while !stop.load(Ordering::Acquire) {
                    let id = format!("{name}-{number}");
                    let event = json!({"action": "node.wrote", "id": id, "actorId": name}).to_string();
                    let connected = match client.take() {
                        Some(client) => Ok(client),
                        None => Client::connect(&address, &key),
                    };
                    let answer = connected.and_then(|mut connected| {
                        let answer = connected.ask("POST /v1/events", &event)?;
                        client = Some(connected);
                        Ok(answer)
                    });
                    match answer {
                        Ok((200 | 201, _)) => {
                            acknowledged.lock().unwrap().insert(id);
                            number += 1;
                        }
                        // In doubt it is sent again: its id makes it the same event.
                        Ok((503, _)) | Err(_) => std::thread::sleep(Duration::from_millis(20)),
                        Ok((status, text)) => panic!("{status} {text}"),
                    }
                }
            }
        });
        Self { acknowledged, stop, thread }
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Waits until some more were acknowledged.
    fn goes_on(&self) {
        let enough = self.count() + 15;
        while self.count() < enough {
            assert!(!self.thread.is_finished(), "the writer works");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn stop(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Release);
        self.thread.join().expect("the writer works");
        Arc::into_inner(self.acknowledged).expect("its thread is gone").into_inner().unwrap()
    }
}

#[test]
fn three_servers_lose_and_repeat_nothing_whatever_happens_to_them_and_the_database() {
    let server = Server::start(&ServerOptions::default());
    let database = server.database();
    let proxy = Proxy::to(server.port());
    let through = database.url().replace(&format!(":{}/", server.port()), &format!(":{}/", proxy.port()));
    let folder = Folder::new();
    let start = |name: &str, url: &str| {
        let (index, state) = (format!("{name}.index"), format!("{name}.server"));
        let arguments = [
            "--log",
            url,
            "--key",
            "log.key",
            "--index",
            &index,
            "--state-file",
            &state,
            "--admin-key-file",
            "admin-key",
        ];
        Serving::start(&folder, &[&["--listen", "127.0.0.1:0"], &arguments[..]].concat())
    };
    let (one, mut two, three) =
        (start("one", &database.url()), start("two", &database.url()), start("three", &through));
    let key = std::fs::read_to_string(folder.path("admin-key")).expect("the first key").trim().to_owned();
    let writer = |name, serving: &Serving| Writer::start(name, serving.address.clone(), key.clone());
    let writers = [writer("one", &one), writer("two", &two), writer("three", &three)];
    let [first, second, third] = &writers;
    writers.iter().for_each(Writer::goes_on);

    two.child.kill().expect("it is killed");
    two.child.wait().expect("it ends");
    second.stop.store(true, Ordering::Release);
    first.goes_on();
    third.goes_on();

    server.restart();
    first.goes_on();
    third.goes_on();

    proxy.set(Mode::Silent);
    first.goes_on();
    proxy.cut();
    proxy.set(Mode::Pass);
    third.goes_on();
    first.goes_on();

    let acknowledged: Vec<_> = writers.into_iter().flat_map(Writer::stop).collect();
    let answers = [&one, &three].map(|serving| {
        let mut client = Client::connect(&serving.address, &key).expect("it listens");
        for id in &acknowledged {
            let (status, text) = client.ask(&format!("GET /v1/events/{id}"), "").expect("it answers");
            assert_eq!(status, 200, "{id}: {text}");
        }
        let mut newest = |filter: &str| -> Value {
            let (status, text) = client.ask(&format!("GET /v1/events?limit=200&{filter}"), "").expect("it answers");
            assert_eq!(status, 200, "{text}");
            serde_json::from_str(&text).expect("JSON")
        };
        ["actorId=one", "actorId=two", "actorId=three", "action=node.wrote"]
            .map(|filter| newest(filter)["events"].clone())
    });
    assert_eq!(answers[0], answers[1]);
    assert!(answers[0].iter().all(|events| events.as_array().is_some_and(|events| events.len() >= 15)));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let builder = AuditLog::builder(database.url()).index(folder.path("fourth.index")).read_only(true);
        let log = builder.open().await.expect("it opens");
        let report = log.verify(VerifyOptions::default(), |_| {}).await.expect("it can be read");
        assert!(report.is_ok(), "{:#?}", report.problems);
        // What was sent last to the one that was killed may be there and was not acknowledged; nothing is there twice.
        let count = log.count(&Filter::new().action("node.wrote")).await.expect("it answers");
        assert!((acknowledged.len() as u64..=acknowledged.len() as u64 + 3).contains(&count), "{count}");
        for id in &acknowledged {
            log.get(id).await.expect("it is there");
        }
    });
    one.terminate();
    three.terminate();
}
