//! Processes that are killed, and several that write at once.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Child, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use sealog::{AuditLog, VerifyOptions};
use serde_json::{Value, json};

use crate::support::{Folder, lines};

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

/// A process that logs what it is told, and the thread that tells it.
struct Writer {
    child: Child,
    feeder: JoinHandle<()>,
}

impl Writer {
    fn start(folder: &Folder, events: Vec<Value>) -> Self {
        let mut command = folder.command(&["log", "-", "--json"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut input = child.stdin.take().expect("its input is piped");
        let feeder = std::thread::spawn(move || {
            for event in events {
                // A process that was killed reads no more.
                if writeln!(input, "{event}").is_err() {
                    return;
                }
            }
        });
        Self { child, feeder }
    }

    fn kill(&mut self) {
        // SIGKILL, on Unix.
        self.child.kill().expect("it can be killed");
    }

    /// The receipts it printed.
    fn receipts(self) -> (bool, Vec<Value>) {
        let output = self.child.wait_with_output().expect("it ends");
        self.feeder.join().expect("the feeder ends");
        (output.status.success(), lines(&output.stdout))
    }
}

fn event(id: &str) -> Value {
    json!({"id": id, "action": "record.viewed", "actorId": "u-1", "metadata": {"password": "x", "page": id.len()}})
}

async fn open(folder: &Folder) -> AuditLog {
    AuditLog::builder(folder.path("audit.db")).read_only(true).open().await.expect("the log opens")
}

/// Verifies the log and answers all its ids by seq.
async fn check(folder: &Folder) -> Vec<String> {
    let log = open(folder).await;
    let report = log.verify(VerifyOptions::default(), |_| {}).await.expect("the log can be read");
    assert!(report.is_ok(), "{:#?}", report.problems);
    let mut ids = Vec::new();
    loop {
        let page = log.read(ids.len() as u64, 10_000).await.expect("the log can be read");
        if page.events.is_empty() {
            assert_eq!(ids.len() as u64, report.size);
            return ids;
        }
        ids.extend(page.events.iter().map(|record| record.id().to_owned()));
    }
}

/// Invariant 1: what was acknowledged survives `kill -9` at any moment.
#[tokio::test]
async fn invariant_1_nothing_acknowledged_is_lost_when_the_process_is_killed() {
    const ROUNDS: u64 = 200;
    let folder = Folder::new();
    let mut numbers = Numbers(1);
    let mut acknowledged: BTreeMap<String, u64> = BTreeMap::new();
    let mut unanswered: Vec<Value> = Vec::new();
    let mut killed_in_the_middle = 0;
    for round in 0..ROUNDS {
        // What the last process left unanswered is sent again, under the same ids.
        let mut events = std::mem::take(&mut unanswered);
        events.extend((0..400).map(|i| event(&format!("r{round}-{i}"))));
        let mut writer = Writer::start(&folder, events.clone());
        std::thread::sleep(Duration::from_micros(numbers.next(25_000)));
        writer.kill();
        let (_, receipts) = writer.receipts();
        for receipt in &receipts {
            let (id, seq) = (receipt["id"].as_str().expect("an id"), receipt["seq"].as_u64().expect("a seq"));
            assert_eq!(acknowledged.insert(id.to_owned(), seq), None, "{id} was acknowledged before");
        }
        killed_in_the_middle += u64::from(!receipts.is_empty() && receipts.len() < events.len());
        events.retain(|event| !acknowledged.contains_key(event["id"].as_str().expect("an id")));
        // Enough to try again; not so many that the rounds grow without end.
        events.truncate(200);
        unanswered = events;

        if round % 10 == 9 && folder.path("audit.db").exists() {
            let ids = check(&folder).await;
            for (id, seq) in &acknowledged {
                assert_eq!(ids.get(usize::try_from(*seq).expect("a small seq")), Some(id), "round {round}");
            }
        }
    }
    // A test whose process is always killed before or after its work shows nothing.
    assert!(killed_in_the_middle >= 20, "only {killed_in_the_middle} were killed while they wrote");
    let (ended_well, receipts) = Writer::start(&folder, unanswered.clone()).receipts();
    assert!(ended_well);
    assert_eq!(receipts.len(), unanswered.len());
    let ids = check(&folder).await;
    let mut distinct = ids.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), ids.len(), "an event is there twice");
}

/// Invariant 2: `seq` is dense, whoever writes and whoever dies.
#[tokio::test]
async fn invariant_2_three_processes_and_eight_tasks_write_at_once_and_one_is_killed() {
    let folder = Folder::new();
    let log = AuditLog::open(folder.path("audit.db")).await.expect("the log opens");
    let events = |name: &str| (0..1500).map(|i| event(&format!("{name}-{i}"))).collect::<Vec<_>>();
    let mut victim = Writer::start(&folder, events("victim"));
    let others = [Writer::start(&folder, events("first")), Writer::start(&folder, events("second"))];
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
    tokio::time::sleep(Duration::from_millis(60)).await;
    victim.kill();
    let mut receipts = victim.receipts().1;
    for writer in others {
        let (ended_well, more) = writer.receipts();
        assert!(ended_well, "one that dies holds up nobody");
        assert_eq!(more.len(), 1500);
        receipts.extend(more);
    }
    for task in tasks {
        receipts.extend(task.await.expect("the task ends"));
    }
    log.close().await.expect("the log closes");

    let ids = check(&folder).await;
    let mut seqs = Vec::new();
    for receipt in receipts {
        let seq = receipt["seq"].as_u64().expect("a seq");
        assert_eq!(ids[usize::try_from(seq).expect("a small seq")], receipt["id"].as_str().expect("an id"));
        seqs.push(seq);
    }
    let count = seqs.len();
    seqs.sort_unstable();
    seqs.dedup();
    assert_eq!(seqs.len(), count, "a seq was given twice");
    assert!(count >= 2 * 1500 + 8 * 100);
}
