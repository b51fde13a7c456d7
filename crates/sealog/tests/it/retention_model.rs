//! Retention, holds and erasure against a plain list: whatever is done in whatever order, the log answers what the
//! list says, and verifies.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sealog::{
    AuditLog, CategoryRetention, CleanupOptions, Erasure, ErasureMode, Event, Filter, HoldOptions, Order, PageOptions,
    Severity, Subject,
};
use serde_json::json;

use crate::support::{Fixture, cases, check, receipt};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// An event as the model knows it.
#[derive(Debug, Clone)]
struct Known {
    seq: u64,
    id: String,
    actor: u8,
    severity: Severity,
    category: Option<&'static str>,
    age_from: i64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    Reduced,
    Gone,
}

#[derive(Debug, Clone)]
enum Step {
    /// So many events at once, numbered so that they differ in all that matters.
    Log(u8, u8),
    /// Days that pass.
    Wait(u8),
    /// By the settings, or older than so many days; whether critical ones stay; a category; events a batch.
    Clean(Option<u8>, bool, Option<bool>, u8),
    /// Default and critical days, and those of the category.
    Settings(u8, u8, Option<u8>),
    /// On an actor.
    Hold(u8),
    Lift,
    Erase(u8, bool),
    /// An event that was removed, again.
    Resend(u16),
    Reopen,
    Reindex,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..90_u8, any::<u8>()).prop_map(|(count, kind)| Step::Log(count, kind)),
        3 => (0..40_u8).prop_map(Step::Wait),
        4 => (proptest::option::of(0..60_u8), any::<bool>(), proptest::option::of(any::<bool>()), 1..40_u8)
            .prop_map(|(days, preserve, category, batch)| Step::Clean(days, preserve, category, batch)),
        1 => (1..60_u8, 1..90_u8, proptest::option::of(1..60_u8)).prop_map(|(a, b, c)| Step::Settings(a, b, c)),
        1 => (0..5_u8).prop_map(Step::Hold),
        1 => Just(Step::Lift),
        2 => (0..5_u8, any::<bool>()).prop_map(|(actor, fields)| Step::Erase(actor, fields)),
        2 => any::<u16>().prop_map(Step::Resend),
        1 => Just(Step::Reopen),
        1 => Just(Step::Reindex),
    ]
}

fn actor(number: u8) -> String {
    format!("actor-{number}@example.com")
}

struct Run {
    fixture: Fixture,
    log: AuditLog,
    known: Vec<Known>,
    days: (u32, u32, Option<u32>),
    holds: Vec<(String, u8)>,
    now: i64,
}

impl Run {
    async fn new() -> Self {
        let fixture = Fixture::new();
        let log = Self::open(&fixture).await;
        Self { fixture, log, known: Vec::new(), days: (90, 365, None), holds: Vec::new(), now: crate::support::NOW_MS }
    }

    async fn open(fixture: &Fixture) -> AuditLog {
        fixture.builder().tail_events(64).open().await.unwrap()
    }

    fn event(index: usize, kind: u8, now: i64) -> (Event, Known) {
        let number = index + usize::from(kind);
        let by = (number % 5) as u8;
        let severity = if number % 7 == 3 { Severity::Critical } else { Severity::Info };
        let category = [None, None, Some("a")][number % 3];
        let timestamp = now - (number % 4) as i64 * DAY_MS;
        let id = format!("event-{index}");
        let event = Event::new("acted")
            .id(&*id)
            .actor(actor(by))
            .severity(severity)
            .timestamp(timestamp)
            .metadata(json!({"mark": format!("mark{index}")}));
        let event = category.into_iter().fold(event, Event::retention_category);
        (event, Known { seq: 0, id, actor: by, severity, category, age_from: now, state: State::Whole })
    }

    fn is_held(&self, known: &Known) -> bool {
        known.state == State::Whole && self.holds.iter().any(|(_, actor)| *actor == known.actor)
    }

    async fn clean(&mut self, days: Option<u8>, preserve: bool, category: Option<bool>, batch: u8) {
        let mut options = CleanupOptions::new().batch_size(usize::from(batch));
        if let Some(days) = days {
            options = options.older_than_days(u32::from(days));
        }
        if preserve {
            options = options.preserve_severity(Severity::Critical);
        }
        let category = category.map(|known| if known { "a" } else { "b" });
        if let Some(category) = category {
            options = options.retention_category(category);
        }
        let (mut removed, mut held) = (0, 0);
        for index in 0..self.known.len() {
            let known = &self.known[index];
            let kept = match (days, known.category, known.severity) {
                (Some(days), ..) => u32::from(days),
                (None, Some(_), _) if self.days.2.is_some() => self.days.2.unwrap(),
                (None, _, Severity::Critical) => self.days.1,
                _ => self.days.0,
            };
            let goes = known.state != State::Gone
                && known.age_from <= self.now - i64::from(kept) * DAY_MS
                && !(preserve && known.severity == Severity::Critical)
                && (category.is_none() || category == known.category);
            if goes && self.is_held(known) {
                held += 1;
            } else if goes {
                removed += 1;
                self.known[index].state = State::Gone;
            }
        }
        let dry = self.log.cleanup(&options.clone().dry_run(true)).await.unwrap();
        let done = self.log.cleanup(&options).await.unwrap();
        assert_eq!((done.removed, done.held, done.scrubbed), (removed, held, true), "{options:?}");
        assert_eq!((dry.removed, dry.held, dry.by_severity), (removed, held, done.by_severity));
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Log(count, kind) => {
                let first = self.known.len();
                let (events, mut known): (Vec<_>, Vec<_>) =
                    (first..first + usize::from(count)).map(|index| Self::event(index, kind, self.now)).unzip();
                let logged = self.log.log_bulk(events).await.unwrap();
                for (known, logged) in known.iter_mut().zip(logged) {
                    known.seq = receipt(logged).seq;
                }
                self.known.extend(known);
            }
            Step::Wait(days) => {
                self.fixture.clock.advance(i64::from(days) * DAY_MS);
                self.now += i64::from(days) * DAY_MS;
            }
            Step::Clean(days, preserve, category, batch) => self.clean(days, preserve, category, batch).await,
            Step::Settings(default, critical, category) => {
                self.days = (u32::from(default), u32::from(critical), category.map(u32::from));
                let (default, critical, category) = self.days;
                self.log
                    .update_settings(move |settings| {
                        settings.default_retention_days = Some(default);
                        settings.critical_retention_days = Some(critical);
                        settings.custom_retention = category
                            .map(|days| CategoryRetention { category: "a".to_owned(), retention_days: Some(days) })
                            .into_iter()
                            .collect();
                        Ok(())
                    })
                    .await
                    .unwrap();
            }
            Step::Hold(by) => {
                let hold = self.log.place_hold(HoldOptions::new(Filter::new().actor(actor(by)), "case")).await.unwrap();
                self.holds.push((hold.id, by));
            }
            Step::Lift => {
                if let Some((id, _)) = self.holds.pop() {
                    self.log.lift_hold(&id, "over").await.unwrap();
                }
            }
            Step::Erase(by, fields) => {
                let mode = if fields { ErasureMode::Fields } else { ErasureMode::Events };
                let (mut changed, mut held) = (0, 0);
                for index in 0..self.known.len() {
                    let known = &self.known[index];
                    if known.state != State::Whole || known.actor != by {
                        continue;
                    }
                    if self.is_held(known) {
                        held += 1;
                    } else {
                        changed += 1;
                        self.known[index].state = if fields { State::Reduced } else { State::Gone };
                    }
                }
                let done = self.log.erase(&Erasure::new(Subject::actor(actor(by)), "case").mode(mode)).await.unwrap();
                let counts = if fields { (done.reduced, done.removed) } else { (done.removed, done.reduced) };
                assert_eq!((counts, done.held), ((changed, 0), held));
                assert!(done.scrubbed);
            }
            Step::Resend(which) => {
                let count = self.known.len().max(1);
                if let Some(known) = self.known.get(usize::from(which) % count)
                    && known.state != State::Whole
                {
                    let event = Event::new("anything").id(&*known.id);
                    let receipt = receipt(self.log.log(event).await.unwrap());
                    assert_eq!((receipt.seq, receipt.removed, receipt.existed), (known.seq, true, true));
                }
            }
            Step::Reopen => {
                self.log.clone().close().await.unwrap();
                self.log = Self::open(&self.fixture).await;
            }
            Step::Reindex => self.log.reindex().await.unwrap(),
        }
    }

    /// The log answers what the model says.
    async fn compare(&self) {
        check(&self.log).await;
        let whole: Vec<_> = self.known.iter().filter(|known| known.state == State::Whole).collect();
        let reduced: Vec<_> = self.known.iter().filter(|known| known.state == State::Reduced).collect();
        let filter = Filter::new().action("acted");
        assert_eq!(self.log.count(&filter).await.unwrap(), (whole.len() + reduced.len()) as u64);
        for by in 0..5 {
            let count = whole.iter().filter(|known| known.actor == by).count();
            assert_eq!(self.log.count(&Filter::new().actor(actor(by))).await.unwrap(), count as u64);
        }
        assert_eq!(self.log.count(&Filter::new().actor("[ERASED]")).await.unwrap(), reduced.len() as u64);
        let mut seqs: Vec<_> = whole.iter().chain(&reduced).map(|known| known.seq).collect();
        seqs.sort_unstable();
        let mut found = Vec::new();
        let mut page = PageOptions::new().limit(50).order(Order::OldestFirst);
        loop {
            let answer = self.log.search(&filter, &page).await.unwrap();
            found.extend(answer.events.iter().map(sealog::Record::seq));
            match answer.next_cursor {
                Some(cursor) => page = page.after(cursor),
                None => break,
            }
        }
        found.sort_unstable();
        assert_eq!(found, seqs);
        let read = self.log.read(0, 10_000).await.unwrap().events;
        assert_eq!(
            read.iter().filter(|record| record.action == "acted").map(sealog::Record::seq).collect::<Vec<_>>(),
            seqs
        );
        for known in self.known.iter().step_by(self.known.len() / 4 + 1) {
            let count = self.log.count(&Filter::new().text(known.id.replace("event-", "mark"))).await.unwrap();
            assert_eq!(count, u64::from(known.state == State::Whole), "{known:?}");
        }
        let stats = self.log.stats(.., &filter, &sealog::StatsOptions::new()).await.unwrap();
        let critical = whole.iter().chain(&reduced).filter(|known| known.severity == Severity::Critical).count() as u64;
        assert_eq!((stats.total, stats.by_severity.critical), (seqs.len() as u64, critical));
    }
}

#[test]
fn the_log_answers_what_a_plain_list_does() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: cases(12), failure_persistence: None, ..Config::default() });
    let steps = proptest::collection::vec(step(), 1..14);
    runner
        .run(&steps, |steps| {
            runtime.block_on(async {
                let mut run = Run::new().await;
                for step in steps {
                    run.step(step).await;
                    run.compare().await;
                }
                run.log.close().await.unwrap();
            });
            Ok(())
        })
        .unwrap();
}
