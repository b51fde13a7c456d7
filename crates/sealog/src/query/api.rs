//! The questions a log answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use super::page::write_cursor;
use super::stats::stats;
use super::{EventPage, Filter, Matcher, PageOptions, Selection, Stats, StatsOptions, TimeRange, search};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Record, Severity};
use crate::index::{Index, IndexProgress, Order, View};
use crate::journal::Snapshot;
use crate::log::AuditLog;

/// The document of a resource as of a moment: what [`AuditLog::state_at`] answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StateAt {
    /// The document; `None` when it had been deleted, did not exist yet, or nothing is known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Value>,
    /// The change that the state is known from: the last one up to the moment, or, where there is none,
    /// the first one after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Record>,
}

impl AuditLog {
    /// Events that the filter selects, a page at a time, newest first unless asked otherwise.
    ///
    /// What any handle had acknowledged before the call is in the answer.
    ///
    /// ```
    /// use sealog::{AuditLog, Event, Filter, PageOptions, Severity};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sealog::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let log = AuditLog::open(dir.path().join("audit.db")).await?;
    /// log.log(Event::new("invoice.paid").actor("u-17")).await?;
    /// log.log(Event::new("invoice.voided").actor("u-17").severity(Severity::Warning)).await?;
    ///
    /// let page = log.search(&Filter::new().actor("u-17"), &PageOptions::new().limit(1)).await?;
    /// assert_eq!(page.events[0].action, "invoice.voided");
    /// assert!(page.has_more);
    ///
    /// let behind = PageOptions::new().after(page.next_cursor.unwrap());
    /// assert_eq!(log.search(&Filter::new().actor("u-17"), &behind).await?.events.len(), 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the filter, the limit or the cursor is wrong; `Index` when there is no
    /// index and none can be made.
    pub async fn search(&self, filter: &Filter, page: &PageOptions) -> Result<EventPage> {
        self.page(Matcher::new(filter)?, page).await
    }

    async fn page(&self, matcher: Matcher, page: &PageOptions) -> Result<EventPage> {
        page.check()?;
        let page = page.clone();
        self.ask(self.scope.and(matcher), move |view, selection, snapshot| {
            let head = snapshot.head()?;
            let log = head.vkey.split('+').next().unwrap_or_default();
            let after = page.start(log)?;
            let mut places = search::best(view, selection, page.order, after, page.limit + 1, snapshot)?;
            let has_more = places.len() > page.limit;
            places.truncate(page.limit);
            let next_cursor = places.last().filter(|_| has_more).map(|place| write_cursor(*place, page.order, log));
            let seqs: Vec<_> = places.iter().map(|(_, seq)| *seq).collect();
            Ok(EventPage { events: search::records(view, snapshot, head.removal, &seqs)?, has_more, next_cursor })
        })
        .await
    }

    /// What was done to one resource. See [`AuditLog::search`].
    ///
    /// # Errors
    ///
    /// As [`AuditLog::search`].
    pub async fn query_by_resource(&self, kind: &str, id: &str, page: &PageOptions) -> Result<EventPage> {
        self.search(&Filter::new().resource(kind, id), page).await
    }

    /// What one actor did; only these actions, unless there are none. See [`AuditLog::search`].
    ///
    /// # Errors
    ///
    /// As [`AuditLog::search`].
    pub async fn query_by_actor(&self, id: &str, actions: &[&str], page: &PageOptions) -> Result<EventPage> {
        let filter = actions.iter().fold(Filter::new().actor(id), |filter, action| filter.action(*action));
        self.search(&filter, page).await
    }

    /// Events of these severities. See [`AuditLog::search`].
    ///
    /// # Errors
    ///
    /// As [`AuditLog::search`].
    pub async fn query_by_severity(&self, severities: &[Severity], page: &PageOptions) -> Result<EventPage> {
        let filter = severities.iter().fold(Filter::new(), |filter, severity| filter.severity(*severity));
        self.search(&filter, page).await
    }

    /// Events of this action, or of each that begins with `user.` for `user.*`. See
    /// [`AuditLog::search`].
    ///
    /// # Errors
    ///
    /// As [`AuditLog::search`].
    pub async fn query_by_action(&self, action: &str, page: &PageOptions) -> Result<EventPage> {
        self.search(&Filter::new().action(action), page).await
    }

    /// How many events the filter selects, exactly.
    ///
    /// # Errors
    ///
    /// As [`AuditLog::search`].
    pub async fn count(&self, filter: &Filter) -> Result<u64> {
        self.ask(self.scope.and(Matcher::new(filter)?), search::count).await
    }

    /// Statistics of what the filter selects within `range`, exact at every size.
    ///
    /// ```
    /// use sealog::{AuditLog, Event, Filter, Severity, StatsOptions};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sealog::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let log = AuditLog::open(dir.path().join("audit.db")).await?;
    /// log.log(Event::new("user.login").actor("u-17").timestamp(60_000)).await?;
    /// log.log(Event::new("user.login").actor("u-17").timestamp(61_000)).await?;
    ///
    /// let stats = log.stats(0..3_600_000, &Filter::new(), &StatsOptions::new()).await?;
    /// assert_eq!((stats.total, stats.by_severity.info), (2, 2));
    /// assert_eq!((stats.top_actors[0].value.as_str(), stats.top_actors[0].count), ("u-17", 2));
    /// assert_eq!((stats.bucket_ms, stats.series[1].by_severity.get(Severity::Info)), (60_000, 2));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`AuditLog::search`]; `InvalidArgument` when the series would have more than
    /// [`MAX_BUCKETS`](crate::MAX_BUCKETS) buckets.
    pub async fn stats(&self, range: impl Into<TimeRange>, filter: &Filter, options: &StatsOptions) -> Result<Stats> {
        options.check()?;
        let (range, options) = (range.into(), options.clone());
        let selection = self.scope.and(Matcher::new(filter)?);
        self.ask(selection, move |view, selection, snapshot| stats(view, selection, range, &options, snapshot)).await
    }

    /// A resource's document as it was at `time` (milliseconds since the Unix epoch; what happened in
    /// that millisecond included), from the changes that were logged of it.
    ///
    /// ```
    /// use sealog::{AuditLog, Change};
    /// use serde_json::json;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sealog::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let log = AuditLog::open(dir.path().join("audit.db")).await?;
    /// let change = Change::new("invoice.paid", "invoice", "i-4")
    ///     .before(json!({"paid": false}))
    ///     .after(json!({"paid": true}))
    ///     .with(|event| event.timestamp(1_000));
    /// log.log_change(change).await?;
    ///
    /// assert_eq!(log.state_at("invoice", "i-4", 999).await?.state, Some(json!({"paid": false})));
    /// assert_eq!(log.state_at("invoice", "i-4", 1_000).await?.state, Some(json!({"paid": true})));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`AuditLog::search`].
    pub async fn state_at(&self, kind: &str, id: &str, time: i64) -> Result<StateAt> {
        let of_resource = Filter::new().resource(kind, id);
        let one = |from, to| {
            let mut matcher = Matcher::new(&of_resource)?;
            (matcher.has_state, matcher.from, matcher.to) = (true, from, to);
            Ok::<_, Error>(matcher)
        };
        let after = time.saturating_add(1);
        let page = PageOptions::new().limit(1);
        if let Some(change) = self.page(one(i64::MIN, after)?, &page).await?.events.pop() {
            return Ok(StateAt { state: change.after.clone(), change: Some(change) });
        }
        let page = page.order(Order::OldestFirst);
        let change = self.page(one(after, i64::MAX)?, &page).await?.events.pop();
        Ok(StateAt { state: change.as_ref().and_then(|change| change.before.clone()), change })
    }

    /// A resource's versions: the changes of it, each with who made it, what it was before and after, and
    /// the diff.
    ///
    /// # Errors
    ///
    /// As [`AuditLog::search`].
    pub async fn history(&self, kind: &str, id: &str, page: &PageOptions) -> Result<EventPage> {
        let mut matcher = Matcher::new(&Filter::new().resource(kind, id))?;
        matcher.has_state = true;
        self.page(matcher, page).await
    }

    /// A handle that reads only what the filter selects: each read, count, statistic and watch is cut by
    /// it, as if there were nothing else. Of a scoped handle a narrower one can be made, never a wider.
    ///
    /// What concerns the log as a whole (verifying it, its tiles, its rejected rows) is refused there with
    /// `OutOfScope`. Logging is not: a scope bounds what is read.
    ///
    /// ```
    /// use sealog::{AuditLog, Event, Filter};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sealog::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let log = AuditLog::open(dir.path().join("audit.db")).await?;
    /// log.log(Event::new("user.login").tenant("acme")).await?;
    /// log.log(Event::new("user.login").tenant("globex")).await?;
    ///
    /// let acme = log.scoped(&Filter::new().tenant("acme"))?;
    /// assert_eq!(acme.count(&Filter::new().action("user.login")).await?, 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the filter is wrong, or lets everything through: a list of permissions that
    /// came out empty must not mean all of them.
    pub fn scoped(&self, filter: &Filter) -> Result<AuditLog> {
        let matcher = Matcher::new(filter)?;
        if matcher.is_whole() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "a scope needs a filter that asks for something; this one lets everything through",
            ));
        }
        Ok(AuditLog { scope: self.scope.and(matcher), ..self.clone() })
    }

    /// How far the index is. It is behind the log only after it was deleted or damaged, or when the log
    /// was written without it: then queries wait until it has caught up.
    ///
    /// # Errors
    ///
    /// When the index cannot be started.
    pub fn index_progress(&self) -> Result<watch::Receiver<IndexProgress>> {
        Ok(self.index()?.progress())
    }

    /// Makes the index anew from the journal, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// `Index` when it cannot be written; `OutOfScope` on a scoped handle.
    pub async fn reindex(&self) -> Result<()> {
        self.whole()?;
        self.index()?.rebuild();
        let size = self.size().await?;
        self.index()?.view(size).await.map(drop)
    }

    /// Asks the events that are there now.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        selection: Selection,
        question: impl FnOnce(&View, &Selection, &mut dyn Snapshot) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let index: Arc<Index> = self.index()?;
        let asked = self.snapshot(move |snapshot| {
            let size = snapshot.head()?.checkpoint.size;
            let Some(view) = index.view_now(size) else { return Ok(Err((size, selection, question))) };
            answer(&index, &view, &selection, snapshot, question).map(Ok)
        });
        match asked.await? {
            Ok(answer) => Ok(answer),
            // The index is behind the journal, and what it has when it is not any more may be more.
            Err((size, selection, question)) => {
                let view = self.view(&selection, size).await?;
                self.ask_view(&Arc::new(view), selection, question).await
            }
        }
    }

    /// All events of a log that has at least `size`, to be asked for the selection.
    pub(crate) async fn view(&self, selection: &Selection, size: u64) -> Result<View> {
        let view = self.index()?.view(size).await?;
        check_words(&view, selection)?;
        Ok(view)
    }

    /// Asks the events that a view holds.
    pub(crate) async fn ask_view<T: Send + 'static>(
        &self,
        view: &Arc<View>,
        selection: Selection,
        question: impl FnOnce(&View, &Selection, &mut dyn Snapshot) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (index, view): (Arc<Index>, _) = (self.index()?, view.clone());
        self.snapshot(move |snapshot| answer(&index, &view, &selection, snapshot, question)).await
    }
}

/// What the view answers to the question, with what the journal adds.
fn answer<T>(
    index: &Index,
    view: &View,
    selection: &Selection,
    snapshot: &mut dyn Snapshot,
    question: impl FnOnce(&View, &Selection, &mut dyn Snapshot) -> Result<T>,
) -> Result<T> {
    check_words(view, selection)?;
    // What is damaged in the middle of a file shows as a panic, too.
    let answer = catch_unwind(AssertUnwindSafe(|| question(view, selection, snapshot)))
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::Index, "the index cannot be read")));
    if answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Index) {
        // The journal has all that is needed to make it anew.
        index.found_damaged(&view.generation);
    }
    answer
}

fn check_words(view: &View, selection: &Selection) -> Result<()> {
    if view.generation.full_text || selection.matchers().all(|matcher| matcher.needles.is_empty()) {
        return Ok(());
    }
    let message = "this log's index holds no words: open the log with full text to search for some";
    Err(Error::field(ErrorKind::InvalidArgument, "/text", message))
}
