//! Live streams: each event once, in order, and lists and statistics that follow the log.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::try_unfold;

use crate::clock::Stopwatch;
use crate::error::{Error, Result};
use crate::event::{Record, Severity};
use crate::log::AuditLog;
use crate::query::{
    Evaluation, Filter, Findings, Matcher, PageOptions, Rule, Selection, Standing, Stats, StatsOptions, TimeRange,
    in_order, records,
};

/// How many events a watch reads at once.
const READ_EVENTS: usize = 64;
/// Of these it keeps as many as have so many bytes of JSON, and one at least: a slow reader of large events holds no
/// more than any other.
const KEPT_BYTES: usize = 256 * 1024;
/// How often statistics and findings are told at the most: four times a second.
const STATS_INTERVAL: Duration = Duration::from_millis(250);

/// How long the end of a finding is waited for before the clock is read again, since it may be set.
const MAX_REST: Duration = Duration::from_mins(1);

/// Where a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchFrom {
    /// With what comes after the call.
    Now,
    /// With the event of this seq. To go on after a break: one more than the last one that was seen.
    Seq(u64),
    /// With what happened at this time or later, in milliseconds since the Unix epoch.
    Timestamp(i64),
}

/// A live stream: what [`AuditLog::watch`] and its like answer. It ends only with an error.
///
/// Nothing happens until it is polled, and nothing is kept while it is not: a slow reader is served from
/// the journal.
#[must_use = "a stream does nothing until it is polled"]
pub struct Watch<T>(Pin<Box<dyn Stream<Item = Result<T>> + Send>>);

impl<T> Watch<T> {
    /// The next item.
    pub async fn next(&mut self) -> Option<Result<T>> {
        std::future::poll_fn(|context| self.0.as_mut().poll_next(context)).await
    }
}

impl<T> Stream for Watch<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        self.0.as_mut().poll_next(context)
    }
}

impl<T> std::fmt::Debug for Watch<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl AuditLog {
    /// The events that the filter selects, each once and in the order of `seq`: first those that are there
    /// from `from` on, then each as it comes.
    ///
    /// ```
    /// use sealog::{AuditLog, Event, Filter, WatchFrom};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sealog::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let log = AuditLog::open(dir.path().join("audit.db")).await?;
    /// log.log(Event::new("user.login").actor("u-17")).await?;
    ///
    /// let mut logins = log.watch(&Filter::new().action("user.login"), WatchFrom::Seq(0)).await?;
    /// assert_eq!(logins.next().await.unwrap()?.seq(), 0);
    ///
    /// log.log(Event::new("user.logout").actor("u-17")).await?;
    /// log.log(Event::new("user.login").actor("u-18")).await?;
    /// assert_eq!(logins.next().await.unwrap()?.seq(), 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the filter is wrong. What goes wrong later is an item of the stream, and its
    /// last.
    pub async fn watch(&self, filter: &Filter, from: WatchFrom) -> Result<Watch<Record>> {
        let mut matcher = Matcher::new(filter)?;
        let next = match from {
            WatchFrom::Now => None,
            WatchFrom::Seq(seq) => Some(seq),
            WatchFrom::Timestamp(ms) => {
                matcher.from = matcher.from.max(ms);
                Some(0)
            }
        };
        let next = match next {
            Some(next) => next,
            None => self.size().await?,
        };
        let (log, selection) = (self.clone(), self.scope.and(matcher));
        let begin = (log, next, READ_EVENTS, Vec::<Record>::new().into_iter());
        Ok(Watch(Box::pin(try_unfold(begin, move |(log, mut next, mut limit, mut ready)| {
            let selection = selection.clone();
            async move {
                loop {
                    if let Some(record) = ready.next() {
                        return Ok(Some((record, (log, next, limit, ready))));
                    }
                    let (mut found, looked_to) = log.selected(&selection, next, limit).await?;
                    let at_end = found.is_empty();
                    let kept = kept(&found);
                    (next, limit) = match found.get(kept) {
                        Some(first) => (first.seq(), kept),
                        None => (looked_to, (limit * 2).min(READ_EVENTS)),
                    };
                    found.truncate(kept);
                    ready = found.into_iter();
                    if at_end {
                        log.grown(next).await?;
                    }
                }
            }
        }))))
    }

    /// The newest `limit` events that the filter selects, newest first, and again each time they change.
    ///
    /// # Errors
    ///
    /// As [`AuditLog::watch`]; `InvalidArgument` when the limit is out of range.
    pub fn watch_list(&self, filter: &Filter, limit: usize) -> Result<Watch<Vec<Record>>> {
        let (filter, page) = (filter.clone(), PageOptions::new().limit(limit));
        page.check()?;
        self.follow(&filter.clone(), None, move |log| {
            let (filter, page) = (filter.clone(), page.clone());
            async move { Ok(log.search(&filter, &page).await?.events) }
        })
    }

    /// [`AuditLog::watch_list`] of these severities; of `error` and `critical` when none is given.
    ///
    /// # Errors
    ///
    /// As [`AuditLog::watch_list`].
    pub fn watch_critical(&self, severities: &[Severity], limit: usize) -> Result<Watch<Vec<Record>>> {
        let filter = match severities {
            [] => Filter::new().severity_from(Severity::Error),
            some => some.iter().fold(Filter::new(), |filter, severity| filter.severity(*severity)),
        };
        self.watch_list(&filter, limit)
    }

    /// The statistics of [`AuditLog::stats`], and again when they change, at most four times a second.
    ///
    /// # Errors
    ///
    /// As [`AuditLog::watch`].
    pub fn watch_stats(
        &self,
        range: impl Into<TimeRange>,
        filter: &Filter,
        options: &StatsOptions,
    ) -> Result<Watch<Stats>> {
        options.check()?;
        let (range, filter, options) = (range.into(), filter.clone(), options.clone());
        self.follow(&filter.clone(), Some(STATS_INTERVAL), move |log| {
            let (filter, options) = (filter.clone(), options.clone());
            async move { log.stats(range, &filter, &options).await }
        })
    }

    /// The findings of [`AuditLog::detect_anomalies`] over the whole log, and again when they change, at most
    /// four times a second: when an event adds to one, and when one stands no more.
    ///
    /// ```
    /// use sealog::{AuditLog, Event, Filter, Rule};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sealog::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let log = AuditLog::open(dir.path().join("audit.db")).await?;
    /// let export = Rule::new("export", Filter::new().action("record.exported"), 2, 60_000);
    /// let mut findings = log.watch_anomalies(&[export])?;
    /// assert_eq!(findings.next().await.unwrap()?.total, 0);
    ///
    /// log.log(Event::new("record.exported")).await?;
    /// log.log(Event::new("record.exported")).await?;
    /// assert_eq!(findings.next().await.unwrap()?.findings[0].count, 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidArgument` as [`AuditLog::detect_anomalies`]. What goes wrong later is an item of the stream,
    /// and its last.
    pub fn watch_anomalies(&self, rules: &[Rule]) -> Result<Watch<Findings>> {
        let evaluation = Evaluation::new(&self.scope, rules, (..).into())?;
        let begin = (self.clone(), evaluation, None::<Standing>);
        Ok(Watch(Box::pin(try_unfold(begin, |(log, mut evaluation, known)| async move {
            if known.is_some() {
                rest(Some(STATS_INTERVAL)).await;
            }
            loop {
                let asked = Stopwatch::start();
                let (size, now) = (log.size().await?, log.shared.clock.now_ms());
                evaluation = log.evaluate(evaluation, size, now).await?;
                let standing = evaluation.standing(now);
                if known.as_ref() != Some(&standing) {
                    let answer = log.told(&evaluation, standing.clone()).await?;
                    return Ok(Some((answer, (log, evaluation, Some(standing)))));
                }
                let stands_for = standing.until.and_then(|until| u64::try_from(until.saturating_sub(now)).ok());
                let wait = stands_for.map_or(MAX_REST, Duration::from_millis).min(MAX_REST);
                if let Ok(news) = tokio::time::timeout(wait, log.grown(size)).await {
                    news?;
                    // Many small batches are looked at together.
                    rest(STATS_INTERVAL.checked_sub(asked.elapsed())).await;
                }
            }
        }))))
    }

    /// The answer to a question about what the filter selects, and again each time it is another one.
    fn follow<T, F>(
        &self,
        filter: &Filter,
        interval: Option<Duration>,
        ask: impl Fn(AuditLog) -> F + Clone + Send + 'static,
    ) -> Result<Watch<T>>
    where
        T: PartialEq + Clone + Send + 'static,
        F: Future<Output = Result<T>> + Send,
    {
        let selection = self.scope.and(Matcher::new(filter)?);
        let begin = (self.clone(), 0, None, None::<T>);
        Ok(Watch(Box::pin(try_unfold(begin, move |(log, mut looked_to, mut removal, known)| {
            let (selection, ask) = (selection.clone(), ask.clone());
            async move {
                if known.is_some() {
                    rest(interval).await;
                    log.grown(looked_to).await?;
                }
                loop {
                    let size = log.size().await?;
                    let (comes, newest_removal) = log.comes(&selection, looked_to).await?;
                    // What was removed may have been a part of the answer.
                    let is_new = known.is_none() || comes || newest_removal != removal;
                    (looked_to, removal) = (size, newest_removal);
                    if is_new {
                        let answer = ask(log.clone()).await?;
                        if known.as_ref() != Some(&answer) {
                            return Ok(Some((answer.clone(), (log, looked_to, removal, Some(answer)))));
                        }
                        rest(interval).await;
                    }
                    log.grown(looked_to).await?;
                }
            }
        }))))
    }

    /// Whether an event is selected, from `seq` on, and which removal is the newest.
    async fn comes(&self, selection: &Selection, seq: u64) -> Result<(bool, Option<u64>)> {
        self.ask(selection.clone(), move |view, selection, snapshot| {
            let (seqs, _) = in_order(view, selection, seq, 1, snapshot)?;
            Ok((!seqs.is_empty(), snapshot.head()?.removal))
        })
        .await
    }

    /// Events that are selected, from `seq` on, and the seq up to which everything was looked at.
    pub(crate) async fn selected(&self, selection: &Selection, seq: u64, limit: usize) -> Result<(Vec<Record>, u64)> {
        self.ask(selection.clone(), move |view, selection, snapshot| {
            let (seqs, next) = in_order(view, selection, seq, limit, snapshot)?;
            let removal = snapshot.head()?.removal;
            Ok::<_, Error>((records(view, snapshot, removal, &seqs)?, next))
        })
        .await
    }
}

/// How many of these a watch keeps.
fn kept(found: &[Record]) -> usize {
    let sizes = found.iter().scan(0, |bytes, record| {
        *bytes += record.canonical_json().len();
        Some(*bytes)
    });
    sizes.take_while(|bytes| *bytes <= KEPT_BYTES).count().max(found.len().min(1))
}

async fn rest(interval: Option<Duration>) {
    if let Some(interval) = interval {
        tokio::time::sleep(interval).await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Change;

    #[tokio::test]
    async fn a_slow_reader_of_large_events_holds_few_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let log = AuditLog::open(dir.path().join("audit.db")).await.unwrap();
        // Two that fit together, one that is larger than what is kept, and again small ones.
        let sizes = [[100_000; 20].as_slice(), &[600_000], &[10; 30]].concat();
        for size in &sizes {
            log.log_change(Change::new("file.written", "file", "a").after(json!({"text": "x".repeat(*size)})))
                .await
                .unwrap();
        }
        let own = log.size().await.unwrap() - sizes.len() as u64;
        // Shared with those that a question finds, so that it shows who else holds them.
        let all = log.search(&Filter::new(), &PageOptions::new().limit(1000)).await.unwrap().events;
        let holders = all.iter().map(Record::holders).collect::<Vec<_>>();

        let mut slow = log.watch(&Filter::new().action("file.written"), WatchFrom::Seq(0)).await.unwrap();
        let mut seen = Vec::new();
        for _ in &sizes {
            let record = slow.next().await.unwrap().unwrap();
            seen.push(record.seq() - own);
            drop(record);
            let held = all.iter().zip(&holders).filter(|(record, before)| record.holders() > **before);
            let bytes = held.map(|(record, _)| record.canonical_json().len()).sum::<usize>();
            assert!(bytes <= KEPT_BYTES, "{bytes} bytes are held after {seen:?}");
        }
        assert!(seen.iter().copied().eq(0..sizes.len() as u64));
        log.close().await.unwrap();
    }
}
