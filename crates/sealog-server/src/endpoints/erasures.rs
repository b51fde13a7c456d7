//! `POST /v1/erasures`: what somebody has a right to have forgotten.

use axum::extract::{Request, State};
use axum::response::Response;
use sealog::Erasure;

use super::json;
use crate::app::Shared;
use crate::auth::{Asked, Operation};
use crate::body;
use crate::problem::{Problem, ProblemBody};
use crate::query::Query;
use crate::schema::{ErasureBody, ErasureReportBody};

/// The largest body of this request, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// Erase somebody's data
///
/// Of one actor or resource. The receipt, `sealog.erasure.applied`, names the subject by a keyed hash. Proofs that
/// were made before stay valid. With `dryRun` it only counts.
#[utoipa::path(
    post, path = "/v1/erasures", operation_id = "erase", tag = "upkeep", security(("bearer" = [])),
    request_body = ErasureBody,
    responses(
        (status = 200, description = "What went, or would go", body = ErasureReportBody),
        (status = 400, description = "`invalid_argument`", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn erase(State(app): State<Shared>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = app.admit(&parts, Operation::admin(Asked::Erasures)).await?;
    caller.must_be_whole()?;
    Query::without_filter(&parts, &[])?;
    let erasure: Erasure = body::json(&app, &parts.headers, body, MAX_BYTES).await?;
    json(&caller.acting(&app.log).erase(&erasure).await?)
}

#[cfg(test)]
mod tests {
    use crate::testing::Fixture;

    #[tokio::test]
    async fn somebody_is_forgotten() {
        let mut fixture = Fixture::filled().await;
        fixture
            .tell("admin", "POST /v1/erasures", r#"{"subject": {"actor": "ada"}, "reason": "gdpr-17", "dryRun": true}"#)
            .await;
        fixture
            .tell(
                "admin",
                "POST /v1/erasures",
                r#"{"subject": {"actor": "ada"}, "reason": "gdpr-17", "case": "2026-1"}"#,
            )
            .await;
        assert_eq!(fixture.ask("acme", "GET /v1/events", "").await.json()["events"], serde_json::json!([]));
        fixture.tell("admin", "GET /v1/events?actions=sealog.erasure.applied", "").await;
        fixture
            .tell("admin", "POST /v1/erasures", r#"{"subject": {"resource": {"type": "invoice"}}, "reason": "x"}"#)
            .await;
        fixture.tell("admin", "POST /v1/erasures", r#"{"subject": {"actor": "ada"}, "reason": "for ada"}"#).await;
        fixture.tell("reader", "POST /v1/erasures", "{}").await;
        fixture.matches("erasures").await;
    }
}
