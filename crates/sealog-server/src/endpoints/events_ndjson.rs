//! Events as lines: of any length, in bounded memory, each with a line in the answer.
//!
//! Lines are read only as fast as the answer is taken: a client reads while it sends.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{FuturesOrdered, StreamExt as _, unfold};
use sealog::{ErrorKind, Event, Logged};
use serde_json::json;
use tokio::sync::watch;

use super::events_log::{NDJSON, event, is_new, told_within};
use crate::app::{App, Shared};
use crate::body::{Incoming, Room};
use crate::metrics::count;
use crate::problem::{Code, Problem};
use crate::until_stopped;

/// So many lines are logged together at the most…
const BATCH_LINES: usize = 1_000;
/// …and so many bytes of them, but always one line.
const BATCH_BYTES: usize = 1024 * 1024;
/// So many batches are on their way at once, so that the next are read while one is made durable.
const BATCHES_AHEAD: usize = 4;
/// A client that is told that nothing more is taken has so long to hear it: a connection that is closed over what it
/// still sends may lose what it was sent.
const LINGER: Duration = Duration::from_secs(1);

/// Lines that are logged together, as they were sent.
struct Batch {
    first_line: u64,
    text: Vec<u8>,
    _room: Room,
}

/// What became of a batch.
struct Answered {
    text: String,
    logged: u64,
    /// Of those, the ones that had not been logged before.
    new: u64,
    rejected: u64,
    /// Why nothing more is logged.
    failed: Option<Problem>,
}

type Answering = Pin<Box<dyn Future<Output = Answered> + Send>>;

struct Lines {
    app: Shared,
    tenant: Option<String>,
    only_errors: bool,
    incoming: Incoming,
    /// What was read and is not in a batch yet.
    rest: Vec<u8>,
    room: Room,
    line: u64,
    batches: FuturesOrdered<Answering>,
    ready: VecDeque<String>,
    logged: u64,
    rejected: u64,
    /// The body is at its end, or nothing more of it is taken.
    is_read: bool,
    failed: Option<Problem>,
    is_over: bool,
    /// Turns true when the server stops.
    stop: watch::Receiver<bool>,
}

/// The answer to a body of lines.
pub(super) fn answer(app: Shared, incoming: Incoming, tenant: Option<String>, only_errors: bool) -> Response {
    let lines = Lines {
        stop: app.stop.clone(),
        app,
        tenant,
        only_errors,
        incoming,
        rest: Vec::new(),
        room: Room::new(),
        line: 0,
        batches: FuturesOrdered::new(),
        ready: VecDeque::new(),
        logged: 0,
        rejected: 0,
        is_read: false,
        failed: None,
        is_over: false,
    };
    let body = Body::from_stream(unfold(lines, |mut lines| async move {
        let text = lines.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), lines))
    }));
    ([NDJSON], body).into_response()
}

impl Lines {
    /// The next lines of the answer.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(text) = self.ready.pop_front() {
                if !text.is_empty() {
                    return Some(text);
                }
                continue;
            }
            if self.is_over {
                if self.failed.is_some() {
                    let rest = async { while let Ok(Some(_)) = self.incoming.next().await {} };
                    let _ = tokio::time::timeout(LINGER, rest).await;
                }
                return None;
            }
            if self.is_read && self.batches.is_empty() {
                self.is_over = true;
                return Some(self.end());
            }
            let may_read = !self.is_read && self.batches.len() < BATCHES_AHEAD;
            tokio::select! {
                biased;
                Some(answered) = self.batches.next(), if !self.batches.is_empty() => self.take(answered),
                () = until_stopped(&mut self.stop), if !self.is_read => {
                    self.is_read = true;
                    let text = "the server is stopping; send what has no answer to the one that comes after";
                    self.failed.get_or_insert_with(|| Problem::new(Code::Stopping, text));
                }
                more = self.incoming.next(), if may_read => {
                    if let Err(problem) = self.hear(more) {
                        self.is_read = true;
                        self.failed.get_or_insert(problem);
                    }
                }
            }
        }
    }

    fn take(&mut self, answered: Answered) {
        self.logged += answered.logged;
        self.rejected += answered.rejected;
        count(&self.app.metrics.events_logged, answered.new);
        count(&self.app.metrics.events_rejected, answered.rejected);
        self.ready.push_back(answered.text);
        if let Some(problem) = answered.failed {
            self.is_read = true;
            self.failed.get_or_insert(problem);
        }
    }

    /// Takes in what was sent, and begins to log the lines that are whole.
    fn hear(&mut self, more: Result<Option<Vec<u8>>, Problem>) -> Result<(), Problem> {
        let Some(bytes) = more? else {
            self.is_read = true;
            let last = std::mem::take(&mut self.rest);
            self.log(&last);
            return Ok(());
        };
        self.room.take(&self.app, bytes.len())?;
        self.rest.extend_from_slice(&bytes);
        if let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') {
            let rest = self.rest.split_off(end + 1);
            let whole = std::mem::replace(&mut self.rest, rest);
            self.log(&whole);
        }
        self.check_rest()
    }

    fn check_rest(&self) -> Result<(), Problem> {
        let most = self.app.options.limits.max_event_bytes;
        if self.rest.len() <= most {
            return Ok(());
        }
        let text = format!("line {} has more than {most} bytes; nothing from there on is logged", self.line + 1);
        Err(Problem::new(Code::TooLarge, text))
    }

    /// Begins to log these lines.
    fn log(&mut self, text: &[u8]) {
        // The room of what is left over stays with the first batch: it is small beside it.
        let mut room = std::mem::replace(&mut self.room, Room::new());
        let mut from = 0;
        while from < text.len() {
            let (mut to, mut lines) = (from, 0);
            while to < text.len() && lines < BATCH_LINES && (to - from < BATCH_BYTES || lines == 0) {
                to = text[to..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |end| to + end + 1);
                lines += 1;
            }
            let batch = Batch {
                first_line: self.line + 1,
                text: text[from..to].to_vec(),
                _room: std::mem::replace(&mut room, Room::new()),
            };
            self.line += lines as u64;
            from = to;
            let (app, tenant, only_errors) = (self.app.clone(), self.tenant.clone(), self.only_errors);
            self.batches.push_back(Box::pin(async move { log(&app, &batch, tenant.as_deref(), only_errors).await }));
        }
    }

    /// The last line: how it ended.
    fn end(&mut self) -> String {
        let mut end = json!({"end": {"lines": self.line, "logged": self.logged, "rejected": self.rejected}});
        if let Some(problem) = &self.failed {
            tracing::warn!(problem = problem.told(), "a stream of events broke off");
            end["end"]["error"] = json!(problem.body());
        }
        format!("{end}\n")
    }
}

async fn log(app: &App, batch: &Batch, tenant: Option<&str>, only_errors: bool) -> Answered {
    let mut answers =
        Answers { text: String::new(), only_errors, is_bounded: tenant.is_some(), logged: 0, new: 0, rejected: 0 };
    let read = |line: &[u8]| -> Option<Result<Event, Problem>> {
        let Ok(line) = std::str::from_utf8(line) else {
            return Some(Err(Problem::new(Code::Malformed, "the line is no UTF-8")));
        };
        let line = line.trim();
        (!line.is_empty()).then(|| event(app, line, tenant))
    };
    let mut lines = batch.text.split(|byte| *byte == b'\n').collect::<Vec<_>>();
    if lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    let (mut events, mut places, mut wrong) = (Vec::with_capacity(lines.len()), Vec::new(), VecDeque::new());
    for (number, line) in (batch.first_line..).zip(&lines) {
        match read(line) {
            None => {}
            Some(Ok(event)) => {
                events.push(event);
                places.push(number);
            }
            Some(Err(problem)) => wrong.push_back((number, problem)),
        }
    }
    match app.log.log_bulk(events).await {
        Ok(logged) => {
            for (number, logged) in places.into_iter().zip(logged) {
                // Told in the order of lines.
                while let Some((wrong, problem)) = wrong.pop_front_if(|(wrong, _)| *wrong < number) {
                    answers.rejected(wrong, problem);
                }
                answers.logged(number, &logged);
            }
            for (number, problem) in wrong {
                answers.rejected(number, problem);
            }
            answers.answered(None)
        }
        Err(error) if is_of_an_event(error.kind()) => {
            // One of them is wrong; which of the others are, each says for itself.
            let mut each =
                lines.iter().zip(batch.first_line..).filter_map(|(line, number)| Some((number, read(line)?)));
            let mut singles = FuturesOrdered::new();
            for (number, event) in each.by_ref() {
                singles.push_back(async move {
                    match event {
                        Ok(event) => (number, app.log.log(event).await.map_err(Problem::from)),
                        Err(problem) => (number, Err(problem)),
                    }
                });
            }
            while let Some((number, logged)) = singles.next().await {
                match logged {
                    Ok(logged) => answers.logged(number, &logged),
                    Err(problem) if problem.status().is_server_error() => return answers.answered(Some(problem)),
                    Err(problem) => answers.rejected(number, problem),
                }
            }
            answers.answered(None)
        }
        Err(error) => answers.answered(Some(error.into())),
    }
}

/// Whether the error is about one event, so that others may well be fine.
fn is_of_an_event(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::InvalidEvent | ErrorKind::LimitExceeded | ErrorKind::ReservedAction | ErrorKind::IdConflict
    )
}

/// The lines of the answer to one batch.
struct Answers {
    text: String,
    only_errors: bool,
    is_bounded: bool,
    logged: u64,
    new: u64,
    rejected: u64,
}

impl Answers {
    fn logged(&mut self, number: u64, logged: &Logged) {
        self.logged += 1;
        self.new += u64::from(is_new(logged));
        if self.only_errors {
            return;
        }
        let json = serde_json::to_string(logged).unwrap_or_default();
        let _ = writeln!(self.text, "{{\"line\":{number},{}", json.strip_prefix('{').unwrap_or_default());
    }

    fn rejected(&mut self, number: u64, problem: Problem) {
        self.rejected += 1;
        let problem = told_within(problem, self.is_bounded);
        let _ = writeln!(self.text, "{{\"line\":{number},\"error\":{}}}", problem.json());
    }

    fn answered(self, failed: Option<Problem>) -> Answered {
        Answered { text: self.text, logged: self.logged, new: self.new, rejected: self.rejected, failed }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use serde_json::json;

    use crate::testing::Fixture;

    #[tokio::test]
    async fn each_line_has_its_answer() {
        let mut fixture = Fixture::filled().await;
        let ndjson = "POST /v1/events\ncontent-type: application/x-ndjson";
        let lines = [
            r#"{"id": "n-1", "action": "x"}"#,
            r#"{"id": "e-3", "action": "clash"}"#,
            "",
            "no JSON",
            r#"{"id": "n-2", "action": "sealog.read"}"#,
            r#"{"id": "n-1", "action": "x"}"#,
            r#"{"id": "n-3", "action": "y", "before": 1, "after": 2}"#,
        ];
        fixture.tell("writer", ndjson, &lines.join("\n")).await;
        fixture.tell("writer", &ndjson.replace("events\n", "events?results=errors\n"), &lines.join("\r\n")).await;
        fixture.tell("writer", ndjson, "\n\n").await;
        fixture.tell("acme-writer", ndjson, r#"{"id": "n-4", "action": "x", "tenant": "globex"}"#).await;
        fixture.tell("writer", "POST /v1/events?results=some\ncontent-type: application/x-ndjson", "{}").await;
        fixture.hide("treeSize");
        fixture.matches("events_ndjson").await;
    }

    #[tokio::test]
    async fn many_lines_stay_in_order() {
        let fixture = Fixture::new().await;
        let lines = (0..5000).map(|i| format!("{{\"id\":\"l-{i}\",\"action\":\"x\"}}\n")).collect::<Vec<_>>().concat();
        let ndjson = "POST /v1/events\ncontent-type: application/x-ndjson";
        let pieces =
            lines.as_bytes().chunks(3000).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect::<Vec<_>>();
        let body = axum::body::Body::from_stream(futures_util::stream::iter(pieces));
        let answer = fixture.ask("writer", ndjson, body).await.text();
        assert!(answer.ends_with("{\"end\":{\"lines\":5000,\"logged\":5000,\"rejected\":0}}\n"), "{answer}");
        let mut seqs = answer.lines().take(5000).map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        assert!((1..).zip(seqs.by_ref()).all(|(number, line)| line["line"] == number && line["seq"] == number + 5));
        fixture.check().await;
    }

    #[tokio::test]
    async fn a_stream_is_told_that_the_server_stops() {
        let fixture = Fixture::new().await;
        let (sender, pieces) = tokio::sync::mpsc::channel::<Result<&str, std::io::Error>>(8);
        let pieces = futures_util::stream::unfold(pieces, |mut pieces| async { Some((pieces.recv().await?, pieces)) });
        let ndjson = "POST /v1/events\ncontent-type: application/x-ndjson";
        let request = fixture.request("writer", ndjson, axum::body::Body::from_stream(pieces));
        sender.send(Ok("{\"action\":\"x\"}\n")).await.unwrap();
        let mut answers = fixture.send(request).await.into_body().into_data_stream();
        let logged = answers.next().await.unwrap().unwrap();
        assert!(logged.starts_with(b"{\"line\":1,"), "{logged:?}");
        fixture.stop.stop();
        let end: serde_json::Value = serde_json::from_slice(&answers.next().await.unwrap().unwrap()).unwrap();
        assert_eq!((&end["end"]["logged"], &end["end"]["error"]["code"]), (&json!(1), &json!("stopping")));
        // What comes now is not logged.
        let _ = sender.send(Ok("{\"action\":\"y\"}\n")).await;
        drop(sender);
        assert!(answers.next().await.is_none());
        assert_eq!(fixture.log.count(&sealog::Filter::new().action("y")).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_line_without_end_is_not_waited_for() {
        let mut options = crate::Options::default();
        options.limits.max_event_bytes = 1000;
        let mut fixture = Fixture::with(options).await;
        fixture.make_keys().await;
        let body = format!("{{\"id\":\"first\",\"action\":\"x\"}}\n{}", "x".repeat(5000));
        let answer = fixture.ask("writer", "POST /v1/events\ncontent-type: application/x-ndjson", body).await.text();
        let end: serde_json::Value = serde_json::from_str(answer.lines().last().unwrap()).unwrap();
        assert_eq!((&end["end"]["logged"], &end["end"]["error"]["code"]), (&json!(1), &json!("too_large")));
    }
}
