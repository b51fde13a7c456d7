//! `GET /metrics`: the server's numbers, for Prometheus.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use sealog::COMMIT_CLASSES_US;

use crate::app::Shared;
use crate::auth::{Asked, Operation};
use crate::metrics::{head, histogram, number};
use crate::problem::Problem;
use crate::query::Query;

/// The server's numbers
///
/// In the text format of Prometheus.
#[utoipa::path(
    get, path = "/metrics", operation_id = "getMetrics", tag = "server", security((), ("bearer" = [])),
    responses((status = 200, description = "The numbers", body = String, content_type = "text/plain"))
)]
pub(super) async fn metrics(State(app): State<Shared>, parts: Parts) -> Result<Response, Problem> {
    if !app.options.public_metrics {
        app.admit(&parts, Operation::read(Asked::Metrics)).await?.must_be_whole()?;
    }
    Query::without_filter(&parts, &[])?;
    let mut text = String::new();
    let size = app.in_time(app.log.head()).await?.size;
    number(&mut text, "sealog_events", "gauge", "Events in the log.", size);
    let counted = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let metrics = &app.metrics;
    let logged = counted(&metrics.events_logged);
    number(
        &mut text,
        "sealog_http_events_logged_total",
        "counter",
        "Events that clients have logged, each once.",
        logged,
    );
    let rejected = counted(&metrics.events_rejected);
    number(&mut text, "sealog_http_events_rejected_total", "counter", "Events that were refused.", rejected);
    let refused = counted(&metrics.connections_refused);
    let about = "Connections that were closed at once, since their address had too many.";
    number(&mut text, "sealog_http_connections_refused_total", "counter", about, refused);
    if let Some(vitals) = app.log.vitals() {
        head(&mut text, "sealog_commit_seconds", "histogram", "How long batches took, from the lock to the disk.");
        histogram(&mut text, "sealog_commit_seconds", "", &COMMIT_CLASSES_US, &vitals.commits, vitals.commit_us);
        number(&mut text, "sealog_commits_failed_total", "counter", "Batches that failed.", vitals.failed);
        number(&mut text, "sealog_queue_bytes", "gauge", "What waits to be written.", vitals.queued_kib * 1024);
        number(&mut text, "sealog_queue_limit_bytes", "gauge", "The most that may wait.", vitals.queue_kib * 1024);
        head(&mut text, "sealog_commit_held_seconds", "gauge", "How long the batch at hand has taken by now.");
        let held = vitals.held.unwrap_or_default().as_secs_f64();
        let _ = writeln!(text, "sealog_commit_held_seconds {held}");
    }
    if let Ok(progress) = app.log.index_progress() {
        let progress = *progress.borrow();
        let lag = progress.total.saturating_sub(progress.events);
        number(&mut text, "sealog_index_lag_events", "gauge", "Events that the index does not have yet.", lag);
    }
    let rejected = app.in_time(app.log.rejected_count()).await?;
    number(&mut text, "sealog_inbox_rejected_total", "counter", "Rows of inboxes that were set aside.", rejected);
    let watchers = app.streams.count() as u64;
    number(&mut text, "sealog_watchers", "gauge", "Live streams.", watchers);
    let log = app.log.path().to_owned();
    let disk = tokio::task::spawn_blocking(move || disk_bytes(&log)).await.unwrap_or_default();
    head(&mut text, "sealog_disk_bytes", "gauge", "What the log's files take.");
    for (file, bytes) in disk {
        let _ = writeln!(text, "sealog_disk_bytes{{file=\"{file}\"}} {bytes}");
    }
    metrics.requests_text(&mut text);
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// The sizes of the log's files by what they are. What is not there takes nothing.
fn disk_bytes(log: &Path) -> Vec<(&'static str, u64)> {
    let beside = |suffix: &str| {
        let mut path = log.to_owned().into_os_string();
        path.push(suffix);
        path
    };
    let size = |path: std::ffi::OsString| std::fs::metadata(path).map_or(0, |data| data.len());
    let index = std::fs::read_dir(beside(".index"))
        .map_or(0, |entries| entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|data| data.len()).sum());
    vec![("journal", size(beside(""))), ("wal", size(beside("-wal"))), ("index", index)]
}

#[cfg(test)]
mod tests {
    use crate::testing::Fixture;

    #[tokio::test]
    async fn metrics_count() {
        let fixture = Fixture::new().await;
        let json = "POST /v1/events\ncontent-type: application/json";
        for body in [r#"{"action": "a"}"#, r#"[{"action": "a"}, {"action": "b"}]"#, r#"{"action": ""}"#] {
            fixture.ask("writer", json, body).await;
        }
        fixture.ask("reader", "GET /v1/events", "").await;
        let text = fixture.ask("reader", "GET /metrics", "").await.text();
        for line in [
            // Six keys, three events, and that somebody has read.
            "sealog_events 10",
            "sealog_http_events_logged_total 3",
            "sealog_http_events_rejected_total 1",
            "sealog_commits_failed_total 0",
            "sealog_index_lag_events 0",
            "sealog_watchers 0",
            "sealog_http_requests_total{endpoint=\"POST /v1/events\",status=\"201\"} 1",
            "sealog_http_requests_total{endpoint=\"POST /v1/events\",status=\"422\"} 1",
            "sealog_http_request_seconds_count{endpoint=\"GET /v1/events\"} 1",
            "sealog_commit_seconds_count 9",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert_eq!(fixture.ask("acme", "GET /metrics", "").await.status, 403);
        assert_eq!(fixture.ask("", "GET /metrics", "").await.status, 401);
    }

    #[tokio::test]
    async fn what_is_sent_again_is_counted_once() {
        let fixture = Fixture::new().await;
        let event = r#"{"id": "once", "action": "a"}"#;
        for (kind, body) in [
            ("json", event.to_owned()),
            ("json", event.to_owned()),
            ("json", format!("[{event}, {{\"action\": \"b\"}}]")),
            ("x-ndjson", format!("{event}\n{{\"action\": \"c\"}}\n")),
        ] {
            fixture.ask("writer", &format!("POST /v1/events\ncontent-type: application/{kind}"), body).await;
        }
        let text = fixture.ask("reader", "GET /metrics", "").await.text();
        assert!(text.contains("\nsealog_http_events_logged_total 3\n"), "{text}");
    }

    #[tokio::test]
    async fn a_request_takes_as_long_as_its_answer_and_live_streams_stand_apart() {
        let fixture = Fixture::filled().await;
        let count = async |endpoint: &str| {
            let text = fixture.ask("reader", "GET /metrics", "").await.text();
            let name = format!("sealog_http_request_seconds_count{{endpoint=\"{endpoint}\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&*name)?.parse::<u64>().ok()).unwrap_or_default()
        };
        let report =
            fixture.request("admin", "POST /v1/reports\ncontent-type: application/json", r#"{"format": "csv"}"#);
        let answer = fixture.send(report).await;
        assert_eq!((answer.status().as_u16(), count("POST /v1/reports").await), (200, 0));
        drop(answer);
        assert_eq!(count("POST /v1/reports").await, 1);
        fixture.ask("reader", "GET /v1/events?afterSeq=-1", "").await;
        let live = fixture.request("reader", "GET /v1/events\naccept: text/event-stream", "");
        let live = fixture.send(live).await;
        let ways = ["", " poll", " live"].map(|way| format!("GET /v1/events{way}"));
        assert_eq!((count(&ways[0]).await, count(&ways[1]).await, count(&ways[2]).await), (0, 1, 1));
        drop(live);
    }
}
