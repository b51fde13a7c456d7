//! `/healthz` and `/readyz`: whether the server lives, and whether it can work.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::json;
use crate::app::{App, Shared};
use crate::problem::Problem;
use crate::query::Query;

/// How long the sequencer may take to answer before it is called held, in milliseconds: some commits on a slow
/// disk, with what waits before.
const HELD_MS: u64 = 2_000;
/// How long a question may wait for the index before that is called behind, in milliseconds: others' events are there
/// long before.
const BEHIND_MS: u64 = 1_000;
/// What was found out is told again for so long, since anybody may ask and it takes the write lock.
const TOLD_AGAIN: Duration = Duration::from_secs(1);

/// That the server lives.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `ok`.
    status: &'static str,
}

/// Whether the server can work.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// Whether all of it is well.
    ready: bool,
    /// `ok`, `readOnly`, or `failed` when nothing can be written to the journal.
    journal: &'static str,
    /// `ok`, or `held` when the sequencer does not come back from a batch.
    sequencer: &'static str,
    /// `ok`, `behind` while the index is being made, or `failed`.
    index: &'static str,
    /// Of how many events the index has all, tail included.
    indexed: u64,
    /// How many there are.
    events: u64,
    /// `yes` when the server is about to stop.
    stopping: &'static str,
}

/// What was found out last, and when.
pub(crate) type Known = Mutex<Option<(Instant, Readiness)>>;

/// Whether the server lives
#[utoipa::path(
    get, path = "/healthz", operation_id = "getHealth", tag = "server",
    responses((status = 200, description = "It does", body = Health))
)]
pub(super) async fn healthz(parts: Parts) -> Result<Response, Problem> {
    Query::without_filter(&parts, &[])?;
    json(&Health { status: "ok" })
}

/// Whether the server can work
///
/// Whether the journal can be written to, the sequencer comes back, and the index is up to date.
#[utoipa::path(
    get, path = "/readyz", operation_id = "getReadiness", tag = "server",
    responses(
        (status = 200, description = "It can", body = Readiness),
        (status = 503, description = "It cannot, or not yet", body = Readiness),
    )
)]
pub(super) async fn readyz(State(app): State<Shared>, parts: Parts) -> Result<Response, Problem> {
    Query::without_filter(&parts, &[])?;
    let known = app.readiness.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let readiness = match known.filter(|(when, _)| when.elapsed() < TOLD_AGAIN) {
        Some((_, readiness)) if !app.is_stopping() => readiness,
        _ => {
            let readiness = look(&app).await;
            *app.readiness.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), readiness.clone()));
            readiness
        }
    };
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, json(&readiness)?).into_response())
}

async fn look(app: &App) -> Readiness {
    let (mut journal, mut sequencer) = ("ok", "ok");
    match tokio::time::timeout(Duration::from_millis(HELD_MS), app.log.probe()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) if error.kind() == sealog::ErrorKind::ReadOnly => journal = "readOnly",
        Ok(Err(error)) => {
            tracing::error!(%error, "the journal cannot be written to");
            journal = "failed";
        }
        Err(_) => sequencer = "held",
    }
    let events = app.log.head().await.map_or(0, |head| head.size);
    let (index, indexed) = match tokio::time::timeout(Duration::from_millis(BEHIND_MS), app.log.indexed()).await {
        Ok(Ok(())) => ("ok", events),
        Ok(Err(error)) => {
            tracing::error!(%error, "the index cannot be used");
            ("failed", 0)
        }
        Err(_) => ("behind", app.log.index_progress().map_or(0, |progress| progress.borrow().events)),
    };
    let stopping = if app.is_stopping() { "yes" } else { "no" };
    let ready = journal != "failed" && sequencer == "ok" && index == "ok" && stopping == "no";
    Readiness { ready, journal, sequencer, index, indexed, events, stopping }
}

#[cfg(test)]
mod tests {
    use crate::testing::Fixture;

    #[tokio::test]
    async fn health_is_for_anybody() {
        let mut fixture = Fixture::new().await;
        fixture.tell("", "GET /healthz", "").await;
        fixture.tell("", "GET /readyz", "").await;
        fixture.stop.stop();
        fixture.tell("", "GET /healthz", "").await;
        fixture.tell("", "GET /readyz", "").await;
        fixture.tell("reader", "GET /v1/events", "").await;
        fixture.matches("health").await;
    }

    #[tokio::test]
    async fn a_log_that_another_process_holds_is_not_ready() {
        let fixture = Fixture::new().await;
        let other = sealog::rusqlite::Connection::open(fixture.log.path()).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let answer = fixture.ask("", "GET /readyz", "").await;
        assert_eq!((answer.status.as_u16(), answer.json()["sequencer"].as_str()), (503, Some("held")));
        other.execute_batch("ROLLBACK").unwrap();
        let again = async { while super::look(&fixture.app).await.sequencer != "ok" {} };
        tokio::time::timeout(std::time::Duration::from_secs(30), again).await.expect("it goes on");
        fixture.check().await;
    }

    #[tokio::test]
    async fn an_index_that_cannot_be_made_is_said_to_have_failed_and_a_log_that_is_only_read_is_ready() {
        let fixture = Fixture::new().await;
        let app_of = async |folder: &str| {
            let builder = sealog::AuditLog::builder(fixture.log.path()).read_only(true);
            let index = fixture.log.path().with_file_name(folder);
            crate::router(builder.index(index).open().await.unwrap()).into_parts().1
        };
        std::fs::write(fixture.log.path().with_file_name("no-folder"), "").unwrap();
        let (broken, whole) = (app_of("no-folder").await, app_of("another").await);
        for (app, expected) in [(broken, ("failed", false, 0)), (whole, ("ok", true, 6))] {
            let found = async {
                loop {
                    let found = super::look(&app).await;
                    assert_eq!((found.journal, found.sequencer), ("readOnly", "ok"));
                    if found.index != "behind" {
                        return (found.index, found.ready, found.indexed);
                    }
                }
            };
            assert_eq!(tokio::time::timeout(std::time::Duration::from_secs(30), found).await, Ok(expected));
            app.log.clone().close().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_log_that_cannot_be_written_to_is_not_ready() {
        let fixture = Fixture::new().await;
        fixture.log.clone().close().await.unwrap();
        let answer = fixture.ask("", "GET /readyz", "").await;
        assert_eq!((answer.status.as_u16(), answer.json()["journal"].as_str()), (503, Some("failed")));
    }
}
