//! `sealog serve`: its settings, its first key, and that it may be killed at any moment.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealog::{AuditLog, Filter, VerifyOptions};
use serde_json::{Value, json};

use crate::support::Folder;

/// A server that runs.
pub(crate) struct Serving {
    pub(crate) child: Child,
    pub(crate) address: String,
}

impl Serving {
    pub(crate) fn start(folder: &Folder, arguments: &[&str]) -> Self {
        Self::of(folder.command(&[&["serve", "--json"], arguments].concat()))
    }

    pub(crate) fn of(mut command: Command) -> Self {
        command.env("SEALOG_LOG_LEVEL", "error");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output is piped")).read_line(&mut line).expect("it says so");
        let Ok(said) = serde_json::from_str::<Value>(&line) else {
            let _ = child.kill();
            let mut error = String::new();
            let _ = child.stderr.take().expect("its errors are piped").read_to_string(&mut error);
            panic!("{line}{error}");
        };
        let url = said["url"].as_str().expect("an address");
        Self { child, address: url.strip_prefix("http://").expect("http").to_owned() }
    }

    /// Ends it as service managers do, and answers what it said on standard error.
    pub(crate) fn terminate(mut self) -> String {
        let kill = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill runs");
        assert!(kill.success());
        let mut error = String::new();
        self.child.stderr.take().expect("its errors are piped").read_to_string(&mut error).expect("text");
        assert!(self.child.wait().expect("it ends").success(), "{error}");
        error
    }
}

/// A connection to a server.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
    key: String,
}

impl Client {
    pub(crate) fn connect(address: &str, key: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { reader: BufReader::new(stream), key: key.to_owned() })
    }

    fn send(&mut self, line: &str, headers: &str, body: &str) -> std::io::Result<()> {
        let length = body.len();
        let key = &self.key;
        let request = format!(
            "{line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n{headers}content-length: {length}\r\n\r\n{body}"
        );
        self.reader.get_mut().write_all(request.as_bytes())
    }

    /// The status, and the body where its length is known.
    fn answer(&mut self) -> std::io::Result<(u16, String)> {
        let broken = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.reader.read_line(&mut head)? == 0 {
                return Err(broken());
            }
        }
        let status = head.get(9..12).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.reader.read_exact(&mut body)?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    pub(crate) fn ask(&mut self, line: &str, body: &str) -> std::io::Result<(u16, String)> {
        self.send(line, if body.is_empty() { "" } else { "content-type: application/json\r\n" }, body)?;
        self.answer()
    }
}

fn first_key(folder: &Folder) -> String {
    std::fs::read_to_string(folder.path("audit.db.admin-key")).expect("the first key").trim().to_owned()
}

#[test]
fn the_first_key_goes_into_a_file_of_its_owner_and_nowhere_else() {
    let folder = Folder::new();
    let serving = Serving::start(&folder, &["--listen", "127.0.0.1:0", "--log-level", "debug"]);
    let key = first_key(&folder);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(folder.path("audit.db.admin-key")).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let mut client = Client::connect(&serving.address, &key).expect("it listens");
    let event = r#"{"action": "user.login", "actorId": "somebody-private", "metadata": {"note": "private-too"}}"#;
    assert_eq!(client.ask("POST /v1/events", event).expect("it answers").0, 201);
    let (status, text) = client.ask("GET /v1/events?actorId=somebody-private", "").expect("it answers");
    assert_eq!((status, text.contains("private-too")), (200, true));
    drop(client);
    let said = serving.terminate();
    let secret = key.rsplit_once('_').expect("a key").1;
    assert!(said.contains("route=\"/v1/events\""), "{said}");
    for hidden in [secret, "somebody-private", "private-too"] {
        assert!(!said.contains(hidden), "{hidden} is in {said}");
    }
    // There is one already, so there is no other.
    std::fs::remove_file(folder.path("audit.db.admin-key")).expect("it is removed");
    let serving = Serving::start(&folder, &["--listen", "127.0.0.1:0"]);
    let mut client = Client::connect(&serving.address, &key).expect("it listens");
    assert_eq!(client.ask("GET /v1/keys", "").expect("it answers").0, 200);
    drop(client);
    serving.terminate();
    assert!(!folder.path("audit.db.admin-key").exists());
}

/// On a terminal it is shown, once, and stands in no file.
#[cfg(target_os = "linux")]
#[test]
fn the_first_key_is_shown_on_a_terminal() {
    let folder = Folder::new();
    let program = folder.command(&[]).get_program().to_string_lossy().into_owned();
    let serve = format!("exec '{program}' serve --listen 127.0.0.1:0");
    let shown = || {
        // A server that says nothing ends all the same.
        let mut command = Command::new("timeout");
        command
            .args(["120", "script", "--quiet", "--return", "--command", &serve, "/dev/null"])
            .current_dir(folder.dir.path());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut output = BufReader::new(child.stdout.take().expect("its output is piped"));
        let mut text = String::new();
        while !text.contains("Serving") {
            assert!(output.read_line(&mut text).expect("text") > 0, "{text}");
        }
        // Ctrl-C.
        child.stdin.as_mut().expect("its input is piped").write_all(b"\x03").expect("it is pressed");
        output.read_to_string(&mut text).expect("text");
        assert!(child.wait().expect("it ends").success(), "{text}");
        text
    };
    let first = shown();
    let key = first.lines().map(str::trim).find(|line| line.starts_with("sealog_")).expect("a key");
    for entry in std::fs::read_dir(folder.dir.path()).expect("the folder") {
        let path = entry.expect("a file").path();
        if path.is_file() {
            let bytes = std::fs::read(&path).expect("it can be read");
            assert!(!bytes.windows(key.len()).any(|bytes| bytes == key.as_bytes()), "{}", path.display());
        }
    }
    let again = shown();
    assert!(first.contains("shown this once") && !again.contains("sealog_"), "{again}");
    let serving = Serving::start(&folder, &["--listen", "127.0.0.1:0"]);
    let mut client = Client::connect(&serving.address, key).expect("it listens");
    assert_eq!(client.ask("GET /v1/keys", "").expect("it answers").0, 200);
    drop(client);
    serving.terminate();
}

#[test]
fn a_first_key_that_cannot_be_handed_over_is_none() {
    let folder = Folder::new();
    folder.write("audit.db.admin-key", "of another log");
    let said = folder.said(9, &["serve", "--listen", "127.0.0.1:0"]);
    assert!(said.contains("move it away"), "{said}");
    std::fs::remove_file(folder.path("audit.db.admin-key")).expect("it is moved away");
    let serving = Serving::start(&folder, &["--listen", "127.0.0.1:0"]);
    let mut client = Client::connect(&serving.address, &first_key(&folder)).expect("it listens");
    let (status, keys) = client.ask("GET /v1/keys", "").expect("it answers");
    assert_eq!((status, keys.matches("\"name\"").count()), (200, 1), "{keys}");
    drop(client);
    serving.terminate();
}

#[test]
fn the_servers_own_files_of_a_log_in_a_database_find_a_folder() {
    let folder = Folder::with_database();
    let mut command = folder.command(&["serve", "--json", "--listen", "127.0.0.1:0"]);
    command.env("XDG_CACHE_HOME", folder.path("cache"));
    let serving = Serving::of(command);
    let files = std::fs::read_dir(folder.path("cache/sealog")).expect("a folder");
    let key_file =
        files.map(|file| file.expect("a file").path()).find(|path| path.extension() == Some("admin-key".as_ref()));
    let key = std::fs::read_to_string(key_file.expect("the first key")).expect("a file");
    let mut client = Client::connect(&serving.address, key.trim()).expect("it listens");
    assert_eq!(client.ask("GET /v1/keys", "").expect("it answers").0, 200);
    drop(client);
    serving.terminate();
}

#[test]
fn settings_come_from_options_then_the_environment_then_the_file() {
    let folder = Folder::new();
    folder.write(
        "sealog.toml",
        "log = \"file.db\"\nlisten = \"127.0.0.1:1\"\npublic_proofs = true\n[limits]\nmax_streams = 7\nmax_connections = 8\n",
    );
    let print = |arguments: &[&str], environment: &[(&str, &str)]| {
        let all = [&["serve", "--config", "sealog.toml", "--print-config"], arguments].concat();
        let output = folder.command(&all).envs(environment.iter().copied()).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let has = |text: &str, lines: &[&str]| {
        for line in lines {
            assert!(text.lines().any(|found| found == *line), "{line} is not in\n{text}");
        }
    };
    let by_file = print(&[], &[]);
    has(&by_file, &["log = \"file.db\"", "listen = \"127.0.0.1:1\"", "public_proofs = true", "max_streams = 7"]);
    has(&by_file, &["max_connections = 8", "state_file = \"file.db.server\"", "max_body_bytes = 16777216"]);
    let environment = [("SEALOG_LISTEN", "127.0.0.1:2"), ("SEALOG_LOG", "env.db"), ("SEALOG_LIMITS", "max_streams=9")];
    let by_environment = print(&[], &environment);
    has(&by_environment, &["log = \"env.db\"", "listen = \"127.0.0.1:2\"", "max_streams = 9", "max_connections = 8"]);
    let options =
        ["--listen", "127.0.0.1:3", "--log", "option.db", "--public-proofs=false", "--limit", "max_streams=10"];
    let by_options = print(&options, &environment);
    has(&by_options, &["log = \"option.db\"", "listen = \"127.0.0.1:3\"", "public_proofs = false", "max_streams = 10"]);
    // What is printed is a file of settings that says the same.
    folder.write("sealog.toml", &by_options);
    assert_eq!(print(&[], &[]), by_options);
}

#[test]
fn wrong_settings_say_what_is_wrong() {
    let folder = Folder::new();
    folder.write("unknown.toml", "colour = \"red\"\n");
    folder.write("broken.toml", "listen = \n");
    for (arguments, expected) in [
        (&["--limit", "max_streams"][..], "limit \"max_streams\": it is a name, `=`, and a whole number"),
        (&["--limit", "colour=1"], "there is no limit \"colour\"; the limits are"),
        (&["--limit", "max_streams=0"], "limit max_streams: it is 1 at the least"),
        (&["--config", "unknown.toml"], "unknown field `colour`"),
        (&["--config", "broken.toml"], "broken.toml"),
        (&["--config", "none.toml"], "none.toml"),
        (&["--trusted-proxy", "10.0.0.0/99"], "\"10.0.0.0/99\" is no network"),
        (&["--cors-origin", "*"], "\"*\" is no origin"),
        (&["--witness", "x"], "this is no key of a witness"),
        (&["--log-level", "loud"], "log level \"loud\""),
        (&["--log-format", "xml"], "log format \"xml\""),
        (&["--listen", "nowhere"], "cannot listen on nowhere"),
        (&["--tls-key", "key.pem"], ""),
    ] {
        let said = folder.said(2, &[&["serve"], arguments].concat());
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

/// What clients and watchers share while servers come and go.
struct Load {
    address: Mutex<String>,
    key: String,
    is_over: AtomicBool,
    acknowledged: AtomicU64,
}

impl Load {
    fn connect(&self) -> Option<Client> {
        let address = self.address.lock().expect("nobody panicked").clone();
        Client::connect(&address, &self.key).ok()
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    fn rest() {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Sends events one by one, each until it is acknowledged; answers its receipts.
fn send_singles(load: &Load, name: &str) -> Vec<Value> {
    let mut receipts = Vec::new();
    let mut client = None;
    while !load.is_over() {
        let event = json!({"id": format!("{name}-{}", receipts.len()), "action": "load", "actorId": name}).to_string();
        let receipt = loop {
            let Some(connected) = client.as_mut() else {
                Load::rest();
                client = load.connect();
                continue;
            };
            match connected.ask("POST /v1/events", &event) {
                Ok((200 | 201, body)) => break serde_json::from_str(&body).expect("a receipt"),
                Ok((503, _)) => Load::rest(),
                Ok((status, body)) => panic!("{status}: {body}"),
                Err(_) => client = None,
            }
        };
        receipts.push(receipt);
        load.acknowledged.fetch_add(1, Ordering::SeqCst);
    }
    receipts
}

/// Sends arrays of events, each until it is acknowledged; answers its receipts.
fn send_arrays(load: &Load) -> Vec<Value> {
    let mut receipts = Vec::new();
    let mut client = None;
    while !load.is_over() {
        let event =
            |i: usize| json!({"id": format!("many-{}", receipts.len() + i), "action": "load", "actorId": "many"});
        let body = Value::from((0..40).map(event).collect::<Vec<_>>()).to_string();
        loop {
            let Some(connected) = client.as_mut() else {
                Load::rest();
                client = load.connect();
                continue;
            };
            match connected.ask("POST /v1/events", &body) {
                Ok((200, body)) => {
                    let answer: Value = serde_json::from_str(&body).expect("receipts");
                    receipts.extend(answer["receipts"].as_array().expect("receipts").iter().cloned());
                    break;
                }
                Ok((503, _)) => Load::rest(),
                Ok((status, body)) => panic!("{status}: {body}"),
                Err(_) => client = None,
            }
        }
    }
    receipts
}

/// Sends streams of lines, and again those that have no answer; answers their receipts.
fn send_lines(load: &Load) -> Vec<Value> {
    let mut receipts = Vec::new();
    while !load.is_over() {
        let until = receipts.len() + 300;
        while receipts.len() < until {
            let Some(mut client) = load.connect() else {
                Load::rest();
                continue;
            };
            let event = |i| format!("{}\n", json!({"id": format!("line-{i}"), "action": "load", "actorId": "lines"}));
            let lines = (receipts.len()..until).map(event).collect::<String>();
            let mut line = String::new();
            if client.send("POST /v1/events", "content-type: application/x-ndjson\r\n", &lines).is_err() {
                continue;
            }
            // Between the lines stand the lengths of chunks, and a line counts when it is whole.
            while client.reader.read_line(&mut line).is_ok_and(|read| read > 0) && line.ends_with('\n') {
                if line.starts_with("{\"end\":") {
                    break;
                }
                if line.starts_with("{\"line\":") {
                    let receipt: Value = serde_json::from_str(&line).expect("a receipt");
                    assert_eq!(receipt["id"], format!("line-{}", receipts.len()), "{receipt}");
                    receipts.push(receipt);
                    load.acknowledged.fetch_add(1, Ordering::SeqCst);
                }
                line.clear();
            }
        }
    }
    receipts
}

/// Watches, and goes on where it was whenever the stream breaks off, until `last` was seen. Answers the seqs.
fn watch(load: &Load, last: &Mutex<Option<u64>>) -> Vec<u64> {
    let mut seen: Vec<u64> = Vec::new();
    loop {
        let done = |seen: &[u64]| {
            let last = *last.lock().expect("nobody panicked");
            last.is_some_and(|last| seen.last().is_some_and(|seen| *seen >= last))
        };
        if done(&seen) {
            return seen;
        }
        let Some(mut client) = load.connect() else {
            Load::rest();
            continue;
        };
        let after = seen.last().map_or(-1, |seq| *seq as i64);
        let headers = format!("accept: text/event-stream\r\nlast-event-id: {after}\r\n");
        if client.send("GET /v1/events?actions=load", &headers, "").is_err() {
            continue;
        }
        let mut line = String::new();
        let mut pending = None;
        while client.reader.read_line(&mut line).is_ok_and(|read| read > 0) && line.ends_with('\n') {
            if let Some(id) = line.strip_prefix("id: ") {
                pending = id.trim().parse::<u64>().ok();
            } else if line.starts_with("data: ") {
                // A frame counts when it is whole, as browsers have it.
                seen.extend(pending.take());
            }
            line.clear();
            if done(&seen) {
                return seen;
            }
        }
    }
}

/// Invariants 1, 9 and 10, over HTTP: a server that is killed again and again loses nothing that it
/// acknowledged, a client that sends again by id ends with each event once, and who watches goes on without
/// gap or repeat.
#[tokio::test]
async fn invariant_1_a_server_that_is_killed_loses_nothing_and_repeats_nothing() {
    const ROUNDS: u64 = 50;
    let folder = Folder::new();
    let mut serving = Serving::start(&folder, &["--listen", "127.0.0.1:0"]);
    let address = serving.address.clone();
    let load = Arc::new(Load {
        address: Mutex::new(address.clone()),
        key: first_key(&folder),
        is_over: AtomicBool::new(false),
        acknowledged: AtomicU64::new(0),
    });
    let last = Arc::new(Mutex::new(None));
    let mut senders: Vec<_> = (0..3)
        .map(|i| {
            let load = load.clone();
            std::thread::spawn(move || send_singles(&load, &format!("one{i}")))
        })
        .collect();
    for send in [send_arrays, send_lines] {
        let load = load.clone();
        senders.push(std::thread::spawn(move || send(&load)));
    }
    let watchers: Vec<_> = (0..2)
        .map(|_| {
            let (load, last) = (load.clone(), last.clone());
            std::thread::spawn(move || watch(&load, &last))
        })
        .collect();
    let mut in_the_middle = 0;
    for round in 0..ROUNDS {
        let before = load.acknowledged.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20 + (round * 37) % 80));
        serving.child.kill().expect("it can be killed");
        serving.child.wait().expect("it ends");
        in_the_middle += u64::from(load.acknowledged.load(Ordering::SeqCst) > before);
        // The same address, as a service that is restarted has it.
        serving = Serving::start(&folder, &["--listen", &address]);
    }
    load.is_over.store(true, Ordering::SeqCst);
    let mut receipts = Vec::new();
    for sender in senders {
        receipts.extend(sender.join().expect("a client ends well"));
    }
    // A test whose server is always killed before it works shows nothing.
    assert!(in_the_middle >= ROUNDS / 2, "only in {in_the_middle} rounds was anything acknowledged");
    let newest = receipts.iter().filter_map(|receipt| receipt["seq"].as_u64()).max();
    *last.lock().expect("nobody panicked") = newest;
    let seen: Vec<_> = watchers.into_iter().map(|watcher| watcher.join().expect("a watcher ends well")).collect();
    serving.terminate();

    let log = AuditLog::builder(folder.path("audit.db")).read_only(true).open().await.expect("the log opens");
    let report = log.verify(VerifyOptions::default(), |_| {}).await.expect("the log can be read");
    assert!(report.is_ok(), "{:#?}", report.problems);
    let mut logged = BTreeMap::new();
    let (filter, mut next) = (Filter::new().action("load"), 0);
    while next < report.size {
        let page = log.select(&filter, next, 10_000).await.expect("the log can be read");
        next = page.next_seq;
        for record in page.events {
            let before = logged.insert(record.id().to_owned(), record.seq());
            assert!(before.is_none(), "{} is there twice", record.id());
        }
    }
    // Every acknowledged event is there, where its receipt says; and nothing else but what was on its way.
    for receipt in &receipts {
        let id = receipt["id"].as_str().expect("an id");
        assert_eq!(logged.get(id).copied(), receipt["seq"].as_u64(), "{receipt}");
    }
    assert_eq!(logged.len(), receipts.len());
    let mut seqs: Vec<_> = logged.into_values().collect();
    seqs.sort_unstable();
    for seen in seen {
        assert_eq!(seen, seqs, "a watcher missed or repeated something");
    }
}

/// With a certificate, connections are encrypted, and those that are not get nothing.
#[cfg(feature = "tls")]
#[test]
fn connections_are_encrypted() {
    let folder = Folder::new();
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-keyout", "key.pem", "-out", "chain.pem"])
        .current_dir(folder.dir.path())
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let arguments = ["--listen", "127.0.0.1:0", "--tls-certificate", "chain.pem", "--tls-key", "key.pem"];
    let mut command = folder.command(&[&["serve", "--json"], &arguments[..]].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its output is piped")).read_line(&mut line).expect("it says so");
    let said: Value = serde_json::from_str(&line).expect("JSON");
    let url = said["url"].as_str().expect("an address").to_owned();
    let get = |arguments: &[&str]| {
        let mut command = std::process::Command::new("curl");
        let output = command.args(["-s", "-m", "10"]).args(arguments);
        let output = output.current_dir(folder.dir.path()).output().expect("curl runs");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let encrypted = get(&["--cacert", "chain.pem", &format!("{url}/healthz")]);
    let plain = get(&[&format!("{}/healthz", url.replace("https", "http"))]);
    let strange = get(&[&format!("{url}/healthz")]);
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    assert!(url.starts_with("https://"));
    assert_eq!(encrypted, (true, r#"{"status":"ok"}"#.to_owned()));
    assert!(!plain.0 && !strange.0, "{plain:?} {strange:?}");
    // A key that is not the certificate's is said to be none.
    folder.write("other.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let said = folder.said(2, &["serve", "--tls-certificate", "chain.pem", "--tls-key", "other.pem"]);
    assert!(said.contains("chain.pem: "), "{said}");
}
