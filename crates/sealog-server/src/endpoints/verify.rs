//! `POST /v1/verify`: the whole check of the log.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::stream::unfold;
use sealog::{VerifyOptions, VerifyProgress};
use serde::Deserialize;
use serde_json::json as value;
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::json;
use crate::app::Shared;
use crate::auth::{Asked, Operation};
use crate::body;
use crate::live::{self, frame};
use crate::problem::{Code, Problem, ProblemBody};
use crate::query::Query;
use crate::schema::VerifyReportBody;

/// The largest body of this request, in bytes: a thousand checkpoints.
const MAX_BYTES: usize = 1024 * 1024;
/// How often it is told how far it is.
const PROGRESS_PACE: Duration = Duration::from_millis(100);

/// What the log is measured against.
#[derive(Deserialize, ToSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = Verify)]
pub(super) struct VerifyBody {
    /// The public key that must have signed the log, kept elsewhere.
    vkey: Option<String>,
    /// Older checkpoints, kept elsewhere, that it must extend.
    checkpoints: Vec<String>,
}

/// Verify the whole log
///
/// Every event is read and everything is computed anew; each difference is told with its place. Asked with
/// `Accept: text/event-stream`, it answers frames `progress` (`{"checked": …, "total": …}`) and at the end one frame
/// `report`. One such check runs at a time.
#[utoipa::path(
    post, path = "/v1/verify", operation_id = "verify", tag = "proofs", security(("bearer" = [])),
    request_body = VerifyBody,
    responses(
        (status = 200, description = "What was found", content(
            (VerifyReportBody = "application/json"), (String = "text/event-stream"))),
        (status = 400, description = "`invalid_argument`: what was given is no key or no checkpoint", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 409, description = "`conflict`: somebody is verifying it", body = ProblemBody,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn verify(State(app): State<Shared>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = app.admit(&parts, Operation::read(Asked::Verification)).await?;
    caller.must_be_whole()?;
    Query::without_filter(&parts, &[])?;
    let VerifyBody { vkey, checkpoints } = body::json(&app, &parts.headers, body, MAX_BYTES).await?;
    let options = VerifyOptions { vkey, checkpoints };
    let busy = || Problem::new(Code::Conflict, "somebody is verifying the log; ask again when that is done");
    let permit = app.verifying.clone().try_acquire_owned().map_err(|_| busy())?;

    let log = app.log.clone();
    if !live::is_asked(&parts) {
        // Whoever goes away does not end it, and no other begins before it is over.
        let done = tokio::spawn(async move {
            let _permit = permit;
            log.verify(options, |_| {}).await
        });
        return json(&done.await.map_err(Problem::internal)??);
    }
    let (sender, frames) = mpsc::channel::<Bytes>(4);
    tokio::spawn(async move {
        let _permit = permit;
        let mut pace = tokio::time::interval(PROGRESS_PACE);
        let (progress, seen) = tokio::sync::watch::channel(None::<VerifyProgress>);
        let mut checked = std::pin::pin!(log.verify(options, move |now| {
            progress.send_replace(Some(now));
        }));
        let report = loop {
            tokio::select! {
                report = checked.as_mut() => break report,
                _ = pace.tick() => if let Some(VerifyProgress { checked, total, .. }) = *seen.borrow() {
                    let text = value!({ "checked": checked, "total": total }).to_string();
                    // One who takes nothing misses a step; one who has gone is told nothing.
                    let _ = sender.try_send(frame::frame("progress", None, &text));
                },
            }
        };
        let last = match report {
            Ok(report) => match serde_json::to_string(&report) {
                Ok(text) => frame::frame("report", None, &text),
                Err(error) => frame::error(&Problem::internal(error)),
            },
            Err(error) => frame::error(&error.into()),
        };
        let _ = sender.send(last).await;
    });
    Ok(live::streamed(unfold(frames, |mut frames| async move { Some((frames.recv().await?, frames)) })))
}

#[cfg(test)]
mod tests {
    use crate::testing::Fixture;

    #[tokio::test]
    async fn the_log_is_verified_as_a_whole() {
        let mut fixture = Fixture::filled().await;
        fixture.tell("reader", "POST /v1/verify", "{}").await;
        let vkey = fixture.ask("reader", "GET /v1/tree", "").await.json()["vkey"].to_string();
        let with_key = fixture.tell("admin", "POST /v1/verify", &format!(r#"{{"vkey": {vkey}}}"#)).await;
        assert_eq!(with_key.json()["trust"], "key");
        fixture.tell("reader", "POST /v1/verify", r#"{"vkey": "x"}"#).await;
        fixture.tell("acme", "POST /v1/verify", "{}").await;
        fixture.tell("writer", "POST /v1/verify", "{}").await;
        let line = "POST /v1/verify\naccept: text/event-stream\ncontent-type: application/json";
        let told = fixture.ask("reader", line, "{}").await.text();
        let (_, report) = told.rsplit_once("event: report\ndata: ").expect("a report");
        let report: serde_json::Value = serde_json::from_str(report.trim()).expect("JSON");
        assert_eq!((&report["size"], &report["problems"]), (&10.into(), &serde_json::json!([])));

        let place = fixture.app.verifying.clone().try_acquire_owned().unwrap();
        assert_eq!(fixture.tell("reader", "POST /v1/verify", "{}").await.status, 409);
        drop(place);
        fixture.matches("verify").await;
    }
}
