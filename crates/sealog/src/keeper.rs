//! What a log does by itself, on a thread of its own: it evaluates the saved rules as events arrive, and cleans up when
//! it was asked to.
//!
//! Of several handles and processes the one that writes the index does it. What it does is the same whoever does it:
//! findings have ids that follow from what they are of.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::{Either, select};
use serde::Serialize;
use serde_json::json;
use tokio::sync::watch;

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Severity};
use crate::log::{AuditLog, Shared, joined};
use crate::query::{Evaluation, Finding, GroupBy, Rule};
use crate::retention::CleanupOptions;

/// The action of a finding.
pub(crate) const ANOMALY_DETECTED: &str = "sealog.anomaly.detected";
/// How long after one look at what is new the next one comes, so that many small batches are looked at together.
const INTERVAL: Duration = Duration::from_millis(250);
/// How often it looks whether there is something else to do.
const TICK: Duration = Duration::from_secs(1);
/// How many looks without a finding pass before it is stored how far they have come: all that a crash costs is looking
/// again.
const STORE_LOOKS: u32 = 40;
/// How many events are looked at before what was found in them is logged.
const LOOK_EVENTS: u64 = 65_536;
/// How many findings are logged in one transaction.
const LOGGED_AT_ONCE: usize = 500;
/// The names of the numbers that are stored: the seq up to which rules were evaluated, and when the last clean-up began.
const EVALUATED: &str = "evaluated";
const CLEANED: &str = "cleaned";

/// What a log does by itself: what [`AuditLog::upkeep`] answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Upkeep {
    /// The saved rules were evaluated up to this seq, here.
    pub evaluated_to: u64,
    /// When the last clean-up by schedule was begun here, milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleaned_at: Option<i64>,
    /// Why the last thing that was tried failed; it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The thread, as the log holds it.
pub(crate) struct Keeper {
    stop: watch::Sender<bool>,
    upkeep: Arc<Mutex<Upkeep>>,
    thread: Mutex<Option<JoinHandle<Result<()>>>>,
}

impl Keeper {
    /// Starts it for a log. It holds the log only while it does something.
    pub(crate) fn start(
        log: Weak<Shared>,
        size: watch::Receiver<u64>,
        cleanup_every: Option<Duration>,
    ) -> Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let upkeep = Arc::<Mutex<Upkeep>>::default();
        let work = Work { log, size, stopped, upkeep: upkeep.clone(), cleanup_every, rules: None, looks: 0 };
        let failed = |error| {
            Error::new(ErrorKind::Storage, "cannot start the thread for rules and clean-ups").with_source(error)
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
        let thread = std::thread::Builder::new()
            .name("sealog-keeper".to_owned())
            .spawn(move || {
                runtime.block_on(work.run());
                Ok(())
            })
            .map_err(failed)?;
        Ok(Self { stop, upkeep, thread: Mutex::new(Some(thread)) })
    }

    /// Has it look at what is new for the last time, and waits for that.
    pub(crate) fn close(&self) -> Result<()> {
        self.stop.send_replace(true);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.map_or(Ok(()), |thread| joined(thread, "the thread for rules and clean-ups"))
    }
}

/// The thread's state.
struct Work {
    log: Weak<Shared>,
    size: watch::Receiver<u64>,
    stopped: watch::Receiver<bool>,
    upkeep: Arc<Mutex<Upkeep>>,
    cleanup_every: Option<Duration>,
    rules: Option<Running>,
    /// Looks since it was stored how far they have come.
    looks: u32,
}

/// Rules at work.
struct Running {
    /// The seq of the settings that they are from.
    settings: Option<u64>,
    evaluation: Evaluation,
    /// They have seen everything before this seq.
    next: u64,
}

impl Work {
    async fn run(mut self) {
        loop {
            let is_last = *self.stopped.borrow();
            self.size.mark_unchanged();
            let Some(shared) = self.log.upgrade() else { return };
            let log = AuditLog::of(shared);
            let evaluated = self.look(&log, is_last).await;
            let cleaned = match self.cleanup_every {
                Some(every) if !is_last && log.shared.index.is_written_here() => self.clean(&log, every).await,
                _ => Ok(()),
            };
            drop(log);
            {
                let mut upkeep = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
                upkeep.error = evaluated.and(cleaned).err().map(|error| error.to_string());
                upkeep.evaluated_to = self.rules.as_ref().map_or(upkeep.evaluated_to, |rules| rules.next);
            }
            if is_last {
                return;
            }
            if *self.stopped.borrow() {
                continue;
            }
            // Until there is something new, or it is time to see whether anything else is to do.
            let news = pin!(async {
                tokio::time::sleep(INTERVAL).await;
                let _ = tokio::time::timeout(TICK, self.size.changed()).await;
            });
            let stopped = pin!(self.stopped.changed());
            if let Either::Right((Err(_), _)) = select(news, stopped).await {
                return;
            }
        }
    }

    async fn look(&mut self, log: &AuditLog, is_last: bool) -> Result<()> {
        let current = log.writer()?.current.get();
        if is_last && !current.settings.rules.is_empty() {
            // Who opens a log for one event has no index yet.
            log.index()?.view(log.size().await?).await?;
        }
        if !log.shared.index.is_written_here() {
            // Another process does it.
            self.rules = None;
            return Ok(());
        }
        if current.settings.rules.is_empty() {
            self.rules = None;
        } else {
            self.evaluate(log, current.seq, &current.settings.rules, is_last).await?;
        }
        Ok(())
    }

    async fn evaluate(&mut self, log: &AuditLog, settings: Option<u64>, rules: &[Rule], is_last: bool) -> Result<()> {
        let size = log.size().await?;
        let mut running = match self.rules.take() {
            Some(running) if running.settings == settings => running,
            before => {
                let since = before.map(|running| running.next);
                Running::begin(log, settings, rules, since).await?
            }
        };
        while running.next < size {
            running.next = size.min(running.next + LOOK_EVENTS);
            running.evaluation = log.evaluate(running.evaluation, running.next, i64::MAX).await?;
            let fresh = running.evaluation.take_fresh();
            let findings = log.told(&running.evaluation, fresh).await?.findings;
            self.looks += 1;
            for some in findings.chunks(LOGGED_AT_ONCE) {
                store(log, some, rules, None).await?;
            }
            if !findings.is_empty() || self.looks >= STORE_LOOKS {
                store(log, &[], rules, Some(running.next)).await?;
                self.looks = 0;
            }
        }
        if is_last && self.looks > 0 {
            store(log, &[], rules, Some(running.next)).await?;
        }
        self.rules = Some(running);
        Ok(())
    }

    /// Cleans up when it is time to, unless it is told to stop meanwhile: what is not removed yet is for the next time.
    async fn clean(&mut self, log: &AuditLog, every: Duration) -> Result<()> {
        let now_ms = log.shared.clock.now_ms();
        let every_ms = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
        let last = log.snapshot(|snapshot| snapshot.state(CLEANED)).await?;
        // A time that is yet to come was told by a clock that was wrong.
        if last.is_some_and(|last| last <= now_ms && now_ms.saturating_sub(last) < every_ms) {
            return Ok(());
        }
        let options = CleanupOptions::new();
        let cleaning = pin!(log.cleanup(&options));
        let stopped = pin!(self.stopped.changed());
        match select(cleaning, stopped).await {
            Either::Left((cleaned, _)) => drop(cleaned?),
            Either::Right(_) => return Ok(()),
        }
        log.change(move |work| {
            work.state.push((CLEANED, now_ms));
            Ok(())
        })
        .await?;
        self.upkeep.lock().unwrap_or_else(PoisonError::into_inner).cleaned_at = Some(now_ms);
        Ok(())
    }
}

impl Running {
    /// Begins where rules were evaluated last, here or by whoever did it before; or where they were saved, if there
    /// were none before.
    async fn begin(log: &AuditLog, settings: Option<u64>, rules: &[Rule], since: Option<u64>) -> Result<Self> {
        let since = if let Some(since) = since {
            since
        } else {
            let (stored, size) =
                log.snapshot(|snapshot| Ok((snapshot.state(EVALUATED)?, snapshot.head()?.checkpoint.size))).await?;
            let stored = stored.and_then(|stored| u64::try_from(stored).ok()).map(|stored| stored.min(size));
            let saved = match settings {
                Some(seq) => log.read(seq, 1).await?.events.pop(),
                None => None,
            };
            let had_rules = saved.as_ref().and_then(|record| record.before.as_ref()?.get("rules")?.as_array());
            let began = if had_rules.is_some_and(|rules| !rules.is_empty()) { None } else { settings };
            stored.max(began).unwrap_or(0)
        };
        // The first event that they have not seen says what time it was.
        let first = log.read(since, 1).await?.events.pop();
        let at_ms =
            first.map_or_else(|| log.shared.clock.now_ms(), |record| record.timestamp().min(record.recorded_at()));
        Ok(Self { settings, evaluation: Evaluation::live(rules, since, at_ms)?, next: 0 })
    }
}

/// Logs findings, and stores up to which seq the rules have come.
async fn store(log: &AuditLog, findings: &[Finding], rules: &[Rule], next: Option<u64>) -> Result<()> {
    let (findings, rules) = (findings.to_vec(), rules.to_vec());
    log.change(move |work| {
        for finding in &findings {
            let rule = rules.iter().find(|rule| rule.name == finding.rule);
            let id = work.current.policy.keyed_digest(identity(finding).as_bytes());
            work.log_once(event(finding, rule).id(format!("anomaly-{id}")))?;
        }
        work.state.extend(next.map(|next| (EVALUATED, i64::try_from(next).unwrap_or(i64::MAX))));
        Ok(())
    })
    .await
}

/// What tells a finding from every other one: it is the same whoever finds it.
fn identity(finding: &Finding) -> String {
    let Finding { rule, group_by, group, threshold, window_ms, first, last, .. } = finding;
    json!([rule, group_by, group, threshold, window_ms, first.seq, last.seq]).to_string()
}

fn event(finding: &Finding, rule: Option<&Rule>) -> Event {
    let metadata = serde_json::to_value(finding).unwrap_or_default();
    let mut event = Event::new(ANOMALY_DETECTED).severity(Severity::Warning).metadata(metadata);
    event.timestamp = Some(finding.last.timestamp);
    // What one tenant's events are evidence of is that tenant's.
    event.tenant = match (finding.group_by, rule) {
        (Some(GroupBy::Tenant), _) => finding.group.clone(),
        (_, Some(rule)) => rule.filter.tenant.clone(),
        _ => None,
    };
    event
}

impl AuditLog {
    /// What the log does by itself, and how far it is: evaluating the rules of the settings as events arrive, and
    /// cleaning up where [`Builder::cleanup_every`](crate::Builder::cleanup_every) says so. `None` where this handle
    /// only reads.
    pub fn upkeep(&self) -> Option<Upkeep> {
        let keeper = self.shared.writer.as_ref()?.keeper.get()?;
        Some(keeper.upkeep.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
