//! Operations against a model: random sequences of them on the log and on plain lists. After each one
//! the answers agree and the log verifies.
//!
//! `SEALOG_CASES` sets how many sequences are tried.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sealog::{AuditLog, ErrorKind, Event, Receipt};
use serde_json::json;

use crate::application::{self, Application};
use crate::support::{Fixture, cases, check, first, receipt};

/// How many ids there are to choose from: few, so that they meet again.
const IDS: u8 = 12;

#[derive(Debug, Clone)]
enum Step {
    Log(Sent),
    Bulk(Vec<Sent>),
    /// Staged in the application's transactions, which then commit or roll back.
    Stage(Vec<Sent>, bool),
    /// Inserted by another driver, as text that need not be an event.
    Insert(&'static str),
    Rotate,
    Reopen,
    Read(u8, u8),
    Get(u8),
}

/// An event as its caller sends it: which id, if any, and what is in it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sent {
    id: Option<u8>,
    content: u8,
}

impl Sent {
    fn event(self) -> Event {
        let event = Event::new("model.step").metadata(json!({"content": self.content, "password": self.content}));
        match self.id {
            // UUIDs are stored in another form than other texts.
            Some(id) if id % 2 == 0 => event.id(format!("01900000-0000-7000-8000-0000000000{id:02x}")),
            Some(id) => event.id(format!("id-{id}")),
            None => event,
        }
    }

    fn id(self) -> Option<String> {
        self.event().id
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    (prop::option::weighted(0.6, 0..IDS), 0..3_u8).prop_map(|(id, content)| Sent { id, content })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => sent().prop_map(Step::Log),
        3 => prop::collection::vec(sent(), 0..6).prop_map(Step::Bulk),
        // Enough for frames.
        1 => prop::collection::vec(0..3_u8, 30..150).prop_map(|contents| {
            Step::Bulk(contents.into_iter().map(|content| Sent { id: None, content }).collect())
        }),
        3 => (prop::collection::vec(sent(), 1..4), any::<bool>()).prop_map(|(sent, commit)| Step::Stage(sent, commit)),
        1 => prop::sample::select(vec!["", "{}", "{\"action\": \"\"}", "{\"action\": \"sealog.x\"}"]).prop_map(Step::Insert),
        1 => Just(Step::Rotate),
        1 => Just(Step::Reopen),
        2 => (any::<u8>(), 1..=u8::MAX).prop_map(|(from, limit)| Step::Read(from, limit)),
        2 => (0..IDS).prop_map(Step::Get),
    ]
}

/// What the log must hold: each event's id and content, in order.
#[derive(Default)]
struct Model {
    events: Vec<(String, Option<u8>)>,
    /// The first receipt of each id that a caller chose.
    receipts: BTreeMap<String, (Sent, Receipt)>,
    /// Rows that were no events; each of them is another one.
    rejected: u64,
    /// Rows whose id belongs to another event: id and JSON.
    set_aside: BTreeSet<(String, String)>,
}

impl Model {
    /// Whether the log must refuse it: the id belongs to other content, there or earlier in the batch.
    fn conflicts(&self, batch: &[Sent]) -> bool {
        batch.iter().enumerate().any(|(index, sent)| {
            let Some(id) = sent.id() else { return false };
            let first = self.receipts.get(&id).map(|(first, _)| first);
            let earlier = batch[..index].iter().find(|earlier| earlier.id == sent.id);
            first.or(earlier).is_some_and(|first| first.content != sent.content)
        })
    }

    /// Takes up what was acknowledged.
    fn acknowledged(&mut self, sent: Sent, receipt: Receipt) {
        if let Some((_, first)) = sent.id().and_then(|id| self.receipts.get(&id)) {
            assert_eq!(&self::first(receipt), first, "the first receipt again");
            return;
        }
        assert_eq!(receipt.seq, self.events.len() as u64, "the next place");
        self.events.push((receipt.id.clone(), Some(sent.content)));
        if let Some(id) = sent.id() {
            assert_eq!(receipt.id, id);
            self.receipts.insert(id, (sent, receipt));
        }
    }
}

struct Run {
    fixture: Fixture,
    app: Application,
    log: AuditLog,
    model: Model,
}

async fn open(fixture: &Fixture) -> AuditLog {
    application::builder(fixture).open().await.unwrap()
}

impl Run {
    async fn new() -> Self {
        let fixture = Fixture::new();
        let app = Application::of(&fixture).await;
        let log = open(&fixture).await;
        Self { fixture, app, log, model: Model::default() }
    }

    async fn step(&mut self, step: &Step) {
        self.fixture.clock.advance(7);
        match step {
            Step::Log(sent) => self.logged(&[*sent], false).await,
            Step::Bulk(batch) => self.logged(batch, true).await,
            Step::Stage(batch, commit) => self.staged(batch, *commit).await,
            Step::Insert(text) => {
                self.model.rejected += u64::from(self.app.insert(text).await);
                let last = self.drained().await;
                self.model.events.push(last);
            }
            Step::Rotate => {
                let vkey = self.log.rotate_key().await.unwrap();
                assert_eq!(self.log.vkey().await.unwrap(), vkey);
                let seq = self.model.events.len() as u64;
                let record = self.log.read(seq, 1).await.unwrap().events.swap_remove(0);
                assert_eq!(record.action, "sealog.key.rotated");
                self.model.events.push((record.id().to_owned(), None));
            }
            Step::Reopen => {
                self.log.clone().close().await.unwrap();
                self.log = open(&self.fixture).await;
            }
            Step::Read(from, limit) => self.read(u64::from(*from) * 2, usize::from(*limit)).await,
            Step::Get(id) => {
                let id = Sent { id: Some(*id), content: 0 }.id().unwrap();
                match (self.log.get(&id).await, self.model.receipts.get(&id)) {
                    (Ok(record), Some((_, first))) => assert_eq!(record.seq(), first.seq),
                    (Err(error), None) => assert_eq!(error.kind(), ErrorKind::NotFound),
                    (found, known) => panic!("{found:?}, but {known:?}"),
                }
            }
        }
        assert_eq!(check(&self.log).await, self.model.events.len() as u64);
        let set_aside = self.model.rejected + self.model.set_aside.len() as u64;
        assert_eq!(self.log.rejected_count().await.unwrap(), set_aside);
    }

    async fn logged(&mut self, batch: &[Sent], bulk: bool) {
        let events: Vec<_> = batch.iter().map(|sent| sent.event()).collect();
        let answer = if bulk {
            self.log.log_bulk(events).await
        } else {
            self.log.log(events[0].clone()).await.map(|logged| vec![logged])
        };
        match answer {
            Ok(logged) => {
                assert!(!self.model.conflicts(batch));
                assert_eq!(logged.len(), batch.len());
                for (sent, logged) in batch.iter().zip(logged) {
                    self.model.acknowledged(*sent, receipt(logged));
                }
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::IdConflict);
                assert!(self.model.conflicts(batch), "{error}");
            }
        }
    }

    /// Each in the inbox goes its own way: into the log, or aside.
    async fn staged(&mut self, batch: &[Sent], commit: bool) {
        let waiting: Vec<_> = batch.iter().map(|sent| self.log.stage(sent.event()).unwrap()).collect();
        self.app.stage(&waiting, commit).await;
        if !commit {
            return;
        }
        let last = self.drained().await;
        for (sent, staged) in batch.iter().zip(waiting) {
            let settled = self.log.settled(&staged).await;
            let known = self.model.receipts.get(&staged.id);
            if known.is_some_and(|(first, _)| first.content != sent.content) {
                assert_eq!(settled.unwrap_err().kind(), ErrorKind::IdConflict);
                // Each row is set aside once: another time on the clock makes it another row.
                let json = staged.insert.expect("nothing is sampled away").params.swap_remove(1);
                self.model.set_aside.insert((staged.id, json));
                continue;
            }
            self.model.acknowledged(*sent, receipt(settled.unwrap()));
        }
        self.model.events.push(last);
    }

    /// Waits until the inbox is in the log: until an event that comes last is. Answers that one.
    async fn drained(&mut self) -> (String, Option<u8>) {
        let last = Sent { id: None, content: 9 };
        let staged = self.log.stage(last.event()).unwrap();
        self.app.stage(std::slice::from_ref(&staged), true).await;
        self.log.sequenced(&staged.id).await.unwrap();
        (staged.id, Some(last.content))
    }

    async fn read(&self, from: u64, limit: usize) {
        let page = self.log.read(from, limit).await.unwrap();
        let expected = self.model.events.iter().skip(from as usize).take(limit);
        assert_eq!(page.next_seq, from + page.events.len() as u64);
        let found: Vec<_> = page.events.iter().map(|record| (record.id().to_owned(), content(record))).collect();
        assert!(found.iter().eq(expected), "{found:?}");
    }
}

fn content(record: &sealog::Record) -> Option<u8> {
    let content = record.metadata.as_ref()?.get("content")?.as_u64()?;
    assert_eq!(record.metadata.as_ref()?.get("password"), Some(&json!("[REDACTED]")));
    u8::try_from(content).ok()
}

#[test]
fn the_log_agrees_with_a_model() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = ProptestConfig {
        cases: cases(12),
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in prop::collection::vec(step(), 1..40))| {
        runtime.block_on(async {
            let mut run = Run::new().await;
            for step in &steps {
                run.step(step).await;
            }
            run.step(&Step::Reopen).await;
            run.step(&Step::Read(0, u8::MAX)).await;
        });
    });
}
