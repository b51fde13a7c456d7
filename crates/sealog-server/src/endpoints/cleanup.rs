//! `POST /v1/cleanup`: what was kept long enough goes.

use axum::extract::{Request, State};
use axum::response::Response;
use sealog::CleanupOptions;

use super::json;
use crate::app::Shared;
use crate::auth::{Asked, Operation};
use crate::body;
use crate::problem::{Problem, ProblemBody};
use crate::query::Query;
use crate::schema::{CleanupBody, CleanupReportBody};

/// The largest body of this request, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// Remove what was kept long enough
///
/// As the settings say of each kind of event, or what is older than `olderThanDays`. With `dryRun` it only counts.
/// Every removal leaves a receipt, `sealog.retention.applied`; what a hold selects stays. It answers when all is
/// done, which may take a while; when the connection breaks off, what was removed until then is, and the next one
/// goes on.
#[utoipa::path(
    post, path = "/v1/cleanup", operation_id = "cleanUp", tag = "upkeep", security(("bearer" = [])),
    request_body = CleanupBody,
    responses(
        (status = 200, description = "What went, or would go", body = CleanupReportBody),
        (status = 400, description = "`invalid_argument`", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn clean_up(State(app): State<Shared>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = app.admit(&parts, Operation::admin(Asked::Cleanup)).await?;
    caller.must_be_whole()?;
    Query::without_filter(&parts, &[])?;
    let options: CleanupOptions = body::json(&app, &parts.headers, body, MAX_BYTES).await?;
    json(&caller.acting(&app.log).cleanup(&options).await?)
}

#[cfg(test)]
mod tests {
    use crate::testing::Fixture;

    #[tokio::test]
    async fn what_is_old_goes_and_keys_stay() {
        let mut fixture = Fixture::filled().await;
        fixture.tell("admin", "POST /v1/cleanup", r#"{"olderThanDays": 0, "dryRun": true}"#).await;
        let done = fixture.tell("admin", "POST /v1/cleanup", r#"{"olderThanDays": 0}"#).await;
        assert_eq!(done.json()["removed"], 4);
        fixture.tell("reader", "GET /v1/events/e-1", "").await;
        fixture.tell("admin", "POST /v1/cleanup", r#"{"olderThanDays": -1}"#).await;
        // Keys are events that nothing removes: a server that starts anew still knows them.
        let keys = crate::auth::keys::Keys::new(fixture.log.clone());
        assert_eq!(keys.list().await.unwrap().len(), 6);
        fixture.matches("cleanup").await;
    }
}
