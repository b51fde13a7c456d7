//! Processes that are killed, and several that write at once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::Duration;

use sealog::rusqlite::Connection;
use sealog::{AuditLog, VerifyOptions};
use serde_json::{Value, json};

use crate::support::Folder;

/// Numbers that look random and are the same at each run (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below
    }
}

/// How long anything may take before the test calls it stuck.
const PATIENCE: Duration = Duration::from_mins(1);

/// A process that logs what it is told, the thread that tells it, and the one that hears it.
struct Writer {
    child: Child,
    feeder: JoinHandle<()>,
    hearer: JoinHandle<Vec<Value>>,
    /// One message for each receipt.
    heard: Receiver<()>,
}

impl Writer {
    /// Sends the events without waiting for more receipts than leave `in_flight` of them unanswered.
    fn start(folder: &Folder, arguments: &[&str], in_flight: usize, events: Vec<Value>) -> Self {
        let mut command = folder.command(&[&["log", "-", "--json"], arguments].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut input = child.stdin.take().expect("its input is piped");
        let output = BufReader::new(child.stdout.take().expect("its output is piped"));
        let (answer, answers) = mpsc::channel();
        let (hear, heard) = mpsc::channel();
        let feeder = std::thread::spawn(move || {
            for (sent, event) in events.iter().enumerate() {
                // A process that was killed reads and answers no more.
                if (sent >= in_flight && answers.recv().is_err()) || writeln!(input, "{event}").is_err() {
                    return;
                }
            }
        });
        let hearer = std::thread::spawn(move || {
            let mut receipts = Vec::new();
            for line in whole_lines(output) {
                receipts.push(serde_json::from_str(&line).expect("a line of JSON"));
                // Nobody waits for the last ones.
                let _ = answer.send(());
                let _ = hear.send(());
            }
            receipts
        });
        Self { child, feeder, hearer, heard }
    }

    /// Waits until it has answered so many more.
    fn wait_for(&mut self, receipts: usize) {
        for _ in 0..receipts {
            if let Err(error) = self.heard.recv_timeout(PATIENCE) {
                self.child.kill().expect("it can be killed");
                let mut said = String::new();
                let _ = self.child.stderr.take().expect("its errors are piped").read_to_string(&mut said);
                panic!("it did not answer: {error}: {said}");
            }
        }
    }

    /// Kills it with SIGKILL, and answers the receipts it printed.
    fn kill(mut self) -> Vec<Value> {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
        self.feeder.join().expect("the feeder ends");
        self.hearer.join().expect("the hearer ends")
    }

    /// Waits until it has done all and ended well.
    fn finish(self) -> Vec<Value> {
        let output = self.child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.feeder.join().expect("the feeder ends");
        self.hearer.join().expect("the hearer ends")
    }
}

/// The lines that were written to their end: the last one may have been cut short by the kill.
fn whole_lines(mut output: impl BufRead) -> impl Iterator<Item = String> {
    std::iter::from_fn(move || {
        let mut line = String::new();
        output.read_line(&mut line).expect("the output can be read");
        line.ends_with('\n').then_some(line)
    })
}

fn event(id: &str) -> Value {
    json!({"id": id, "action": "record.viewed", "actorId": "u-1", "metadata": {"password": "x", "page": id.len()}})
}

/// The application's file, with an inbox that the log has made.
fn application(folder: &Folder) -> Connection {
    let app = Connection::open(folder.path("app.db")).expect("the file opens");
    app.pragma_update(None, "journal_mode", "wal").expect("it is in WAL mode");
    folder.expect(0, &["drain", "--inbox", "app.db"]);
    app
}

fn place_of(receipt: &Value) -> (&str, usize) {
    let seq = receipt["seq"].as_u64().expect("a seq");
    (receipt["id"].as_str().expect("an id"), usize::try_from(seq).expect("a small seq"))
}

/// All ids from this seq on, in order.
async fn ids(log: &AuditLog, from: usize) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let next = from + ids.len();
        let page = log.read(next as u64, 10_000).await.expect("the log can be read");
        if page.events.is_empty() {
            return ids;
        }
        for record in &page.events {
            assert_eq!(record.seq(), (from + ids.len()) as u64, "the seqs are dense");
            ids.push(record.id().to_owned());
        }
    }
}

/// The log as it was last read: what stands in it must stand there for ever.
#[derive(Default)]
struct Seen(Vec<String>);

impl Seen {
    /// Reads what is new, and checks each receipt against the log.
    async fn read(&mut self, folder: &Folder, receipts: &[Value]) {
        if receipts.is_empty() && !folder.path("audit.db").exists() {
            return;
        }
        let opened = AuditLog::builder(folder.path("audit.db")).read_only(true).create(false).open().await;
        let log = match opened {
            // Killed before the log was made.
            Err(_) if self.0.is_empty() && receipts.is_empty() => return,
            opened => opened.expect("the log opens"),
        };
        self.0.extend(ids(&log, self.0.len()).await);
        for receipt in receipts {
            let (id, seq) = place_of(receipt);
            assert_eq!(self.0.get(seq).map(String::as_str), Some(id), "an acknowledged event is where it was");
        }
    }

    /// Verifies the whole log, and that each event is in it once and where it was before.
    async fn verify(&mut self, folder: &Folder) {
        let log = AuditLog::builder(folder.path("audit.db")).read_only(true).open().await.expect("the log opens");
        let report = log.verify(VerifyOptions::default(), |_| {}).await.expect("the log can be read");
        assert!(report.is_ok(), "{:#?}", report.problems);
        let now = ids(&log, 0).await;
        assert_eq!(now.len() as u64, report.size);
        assert!(now.starts_with(&self.0), "what was read in an order is read in it for ever");
        assert_eq!(now.iter().collect::<BTreeSet<_>>().len(), now.len(), "an event is there twice");
        self.0 = now;
    }
}

/// Invariant 1: what was acknowledged survives `kill -9` at any moment, and so does what the
/// application has committed to an inbox.
#[tokio::test]
async fn invariant_1_nothing_acknowledged_is_lost_when_the_process_is_killed() {
    const ROUNDS: u64 = 200;
    let folder = Folder::new();
    let mut numbers = Numbers(1);
    let mut seen = Seen::default();
    let mut acknowledged: BTreeMap<String, usize> = BTreeMap::new();
    let mut unanswered: Vec<Value> = Vec::new();
    let mut killed_in_the_middle = 0;
    let mut app = None;
    let mut committed = Vec::new();
    for round in 0..ROUNDS {
        // What the last process left unanswered is sent again, under the same ids, and some of what it
        // did answer: the receipt must be the same.
        let mut events = std::mem::take(&mut unanswered);
        let which = usize::try_from(numbers.next(acknowledged.len().max(1) as u64)).expect("a small number");
        events.extend(acknowledged.keys().nth(which).map(|id| event(id)));
        events.extend((0..400).map(|i| event(&format!("r{round}-{i}"))));
        let (arguments, in_flight): (&[&str], usize) = match round % 4 {
            0 => (&[], 1),
            1 => (&["--inbox", "app.db"], 8),
            2 => (&["--inbox", "app.db"], usize::MAX),
            _ => (&[], usize::MAX),
        };
        let mut writer;
        if arguments.is_empty() {
            writer = Writer::start(&folder, arguments, in_flight, events.clone());
        } else {
            let app = app.get_or_insert_with(|| application(&folder));
            writer = Writer::start(&folder, arguments, in_flight, events.clone());
            for i in 0..10 {
                let id = format!("inbox{round}-{i}");
                let event = json!({"id": id, "action": "invoice.paid"}).to_string();
                app.execute("INSERT INTO sealog_inbox(event) VALUES (?1)", [event]).expect("it is inserted");
                committed.push(id);
            }
        }
        // Half of them at any moment since their start, half in the middle of their work.
        if numbers.next(2) == 0 {
            writer.wait_for(1);
        }
        std::thread::sleep(Duration::from_micros(numbers.next(20_000)));
        let receipts = writer.kill();
        seen.read(&folder, &receipts).await;
        for receipt in &receipts {
            let (id, seq) = place_of(receipt);
            let before = acknowledged.insert(id.to_owned(), seq);
            assert!(before.is_none_or(|before| before == seq), "{id} was acknowledged with another seq");
        }
        killed_in_the_middle += u64::from(!receipts.is_empty() && receipts.len() < events.len());
        events.retain(|event| !acknowledged.contains_key(event["id"].as_str().expect("an id")));
        // Enough to try again; not so many that the rounds grow without end.
        events.truncate(200);
        unanswered = events;
        if round % 20 == 19 {
            seen.verify(&folder).await;
        }
    }
    // A test whose process is always killed before or after its work shows nothing.
    assert!(killed_in_the_middle >= ROUNDS / 4, "only {killed_in_the_middle} were killed while they wrote");

    let receipts = Writer::start(&folder, &["--inbox", "app.db"], 64, unanswered.clone()).finish();
    assert_eq!(receipts.len(), unanswered.len());
    seen.read(&folder, &receipts).await;
    seen.verify(&folder).await;
    for (id, seq) in &acknowledged {
        assert_eq!(seen.0.get(*seq), Some(id));
    }
    let logged: BTreeSet<&String> = seen.0.iter().collect();
    let lost: Vec<_> = committed.iter().filter(|id| !logged.contains(id)).collect();
    assert!(lost.is_empty(), "committed by the application, and not in the log: {lost:?}");
}

/// Invariant 2: `seq` is dense, whoever writes and whoever dies.
#[tokio::test]
async fn invariant_2_three_processes_and_eight_tasks_write_at_once_and_one_is_killed() {
    const EVENTS: usize = 1500;
    let folder = Folder::new();
    let log = AuditLog::open(folder.path("audit.db")).await.expect("the log opens");
    let start =
        |name: &str| Writer::start(&folder, &[], 8, (0..EVENTS).map(|i| event(&format!("{name}-{i}"))).collect());
    let mut victim = start("victim");
    let mut others = [start("first"), start("second")];
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let log = log.clone();
            tokio::spawn(async move {
                let mut receipts = Vec::new();
                for i in 0..100 {
                    let event = sealog::Event::new("record.viewed").id(format!("task{task}-{i}"));
                    let logged = log.log(event).await.expect("it is logged");
                    receipts.push(serde_json::to_value(logged.receipt()).expect("a receipt"));
                }
                receipts
            })
        })
        .collect();
    // All three are in the midst of it.
    let processes = tokio::task::spawn_blocking(move || {
        for other in &mut others {
            other.wait_for(1);
        }
        victim.wait_for(200);
        let mut receipts = victim.kill();
        assert!(receipts.len() < EVENTS, "it was killed after its work");
        for other in others {
            let more = other.finish();
            assert_eq!(more.len(), EVENTS, "one that dies holds up nobody");
            receipts.extend(more);
        }
        receipts
    });
    let mut receipts = processes.await.expect("the processes end");
    for task in tasks {
        receipts.extend(task.await.expect("the task ends"));
    }
    log.close().await.expect("the log closes");

    let mut seen = Seen::default();
    seen.read(&folder, &receipts).await;
    seen.verify(&folder).await;
    let seqs: BTreeSet<usize> = receipts.iter().map(|receipt| place_of(receipt).1).collect();
    assert_eq!(seqs.len(), receipts.len(), "a seq was given twice");
    // What nobody was told of is the victim's: committed, and killed before it could say so.
    let unheard = (0..seen.0.len()).filter(|seq| !seqs.contains(seq));
    assert!(unheard.into_iter().all(|seq| seen.0[seq].starts_with("victim-")));
}

/// An import that is killed again and again goes on where it was, and brings each line in once.
#[tokio::test]
async fn a_killed_import_is_finished_by_another() {
    const LINES: usize = 30_000;
    let folder = Folder::new();
    let line = |i| format!("{{\"action\": \"n\", \"actorId\": \"u-{}\", \"timestamp\": {i}}}\n", i % 9);
    folder.write("events.ndjson", (0..LINES).map(line).collect::<String>());
    let mut numbers = Numbers(2);
    let mut seen = Seen::default();
    for round in 0..10 {
        // A machine that is busy needs longer until there is a middle.
        let patience = if seen.0.is_empty() { 1 << round } else { 1 };
        let mut child = folder.command(&["import", "events.ndjson"]).stdout(Stdio::null()).spawn().expect("it starts");
        std::thread::sleep(Duration::from_micros(patience * (20_000 + numbers.next(150_000))));
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        seen.read(&folder, &[]).await;
    }
    assert!((1..LINES).contains(&seen.0.len()), "killed in the middle, not with {} events in", seen.0.len());
    folder.expect(0, &["import", "events.ndjson"]);
    seen.verify(&folder).await;
    assert_eq!(seen.0.len(), LINES);
    let log = AuditLog::builder(folder.path("audit.db")).read_only(true).open().await.expect("the log opens");
    let page = log.read(LINES as u64 - 1, 1).await.expect("the log can be read");
    assert_eq!(page.events[0].timestamp(), LINES as i64 - 1, "the order is the file's");
}

/// Invariants 1 and 8: a clean-up that is killed has left a receipt for all that it removed, and the next one does the
/// rest, whatever the first left in the files.
#[tokio::test]
async fn a_killed_clean_up_is_finished_by_another() {
    const LINES: u64 = 20_000;
    let folder = Folder::new();
    let line = |i| {
        let actor = i % 9;
        format!("{{\"action\": \"n\", \"actorId\": \"u-{actor}\", \"metadata\": {{\"note\": \"swordfish {i}\"}}}}\n")
    };
    folder.write("events.ndjson", (0..LINES).map(line).collect::<String>());
    folder.expect(0, &["import", "events.ndjson"]);
    let wanted = ["cleanup", "--older-than", "0", "--batch", "64"];
    let removed = || folder.json(0, &["verify"])["removed"].as_u64().expect("a number");
    let (mut numbers, mut before, mut in_the_middle) = (Numbers(3), 0, 0);
    for round in 0..10 {
        // A machine that is busy needs longer until there is a middle.
        let patience = if before == 0 { 1 << round } else { 1 };
        let mut child = folder.command(&wanted).stdout(Stdio::null()).spawn().expect("it starts");
        std::thread::sleep(Duration::from_micros(patience * (30_000 + numbers.next(120_000))));
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        let now = removed();
        assert!(now >= before, "{now} are removed, and {before} were");
        in_the_middle += u32::from((1..LINES).contains(&now));
        before = now;
    }
    assert!(in_the_middle > 0, "killed in the middle, not with {before} events removed");
    let told = folder.json(0, &wanted);
    assert_eq!((&told["removed"], &told["scrubbed"]), (&json!(LINES - before), &json!(true)));
    assert_eq!(removed(), LINES);
    assert_eq!(folder.json(0, &["count", "action:n"])["count"], 0);
    let index =
        std::fs::read_dir(folder.path("audit.db.index")).expect("a folder").map(|entry| entry.expect("one").path());
    for file in index.chain(["audit.db", "audit.db-wal"].map(|name| folder.path(name))) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        assert!(!bytes.windows(9).any(|window| window == b"swordfish"), "{}", file.display());
    }
}
