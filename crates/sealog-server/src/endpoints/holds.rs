//! `/v1/holds`: what nothing removes.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use sealog::{Hold, HoldOptions};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{json, path};
use crate::app::Shared;
use crate::auth::{Asked, Operation};
use crate::body;
use crate::problem::{Problem, ProblemBody};
use crate::query::Query;
use crate::schema::{FilterBody, HoldBody};

/// The largest body of these requests, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// The holds that are in force.
#[derive(Serialize, ToSchema)]
pub(super) struct HoldList {
    /// The oldest first.
    #[schema(value_type = Vec<HoldBody>)]
    holds: Vec<Hold>,
}

/// A hold to place.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PlaceHold {
    /// Which events are held; those that come later too.
    #[schema(value_type = FilterBody)]
    filter: Box<RawValue>,
    /// Why. It stands in the log for good: a case number says enough.
    reason: String,
    /// Who asked for it.
    owner: Option<String>,
}

/// Why a hold is lifted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LiftHold {
    /// Why.
    reason: String,
}

/// The holds that are in force
#[utoipa::path(
    get, path = "/v1/holds", operation_id = "listHolds", tag = "upkeep", security(("bearer" = [])),
    responses((status = 200, description = "The holds", body = HoldList))
)]
pub(super) async fn list_holds(State(app): State<Shared>, parts: Parts) -> Result<Response, Problem> {
    app.admit(&parts, Operation::admin(Asked::Holds)).await?.must_be_whole()?;
    Query::without_filter(&parts, &[])?;
    json(&HoldList { holds: app.in_time(app.log.holds()).await? })
}

/// Place a hold
///
/// Nothing that its filter selects is removed until it is lifted. It is an event, `sealog.hold.placed`.
#[utoipa::path(
    post, path = "/v1/holds", operation_id = "placeHold", tag = "upkeep", security(("bearer" = [])),
    request_body = PlaceHold,
    responses(
        (status = 201, description = "The hold", body = HoldBody),
        (status = 400, description = "`invalid_argument`", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn place_hold(State(app): State<Shared>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = app.admit(&parts, Operation::admin(Asked::Holds)).await?;
    caller.must_be_whole()?;
    Query::without_filter(&parts, &[])?;
    let PlaceHold { filter, reason, owner } = body::json(&app, &parts.headers, body, MAX_BYTES).await?;
    let mut options = HoldOptions::new(body::filter(&filter, "/filter")?, reason);
    if let Some(owner) = owner {
        options = options.owner(owner);
    }
    let hold = caller.acting(&app.log).place_hold(options).await?;
    Ok((StatusCode::CREATED, json(&hold)?).into_response())
}

/// Lift a hold
///
/// It is an event, `sealog.hold.lifted`.
#[utoipa::path(
    post, path = "/v1/holds/{id}/lift", operation_id = "liftHold", tag = "upkeep", security(("bearer" = [])),
    params(("id" = String, Path, description = "The hold's id")),
    request_body = LiftHold,
    responses(
        (status = 200, description = "The hold that was lifted", body = HoldBody),
        (status = 404, description = "`not_found`", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn lift_hold(
    State(app): State<Shared>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = app.admit(&parts, Operation::admin(Asked::Holds)).await?;
    caller.must_be_whole()?;
    Query::without_filter(&parts, &[])?;
    let LiftHold { reason } = body::json(&app, &parts.headers, body, MAX_BYTES).await?;
    json(&caller.acting(&app.log).lift_hold(&path(id)?, &reason).await?)
}

#[cfg(test)]
mod tests {
    use crate::testing::Fixture;

    #[tokio::test]
    async fn what_is_held_stays_until_the_hold_is_lifted() {
        let mut fixture = Fixture::filled().await;
        let placed = fixture
            .tell("admin", "POST /v1/holds", r#"{"filter": {"tenant": "acme"}, "reason": "case 7", "owner": "legal"}"#)
            .await;
        let id = placed.json()["id"].as_str().unwrap().to_owned();
        let kept = fixture.tell("admin", "POST /v1/cleanup", r#"{"olderThanDays": 0}"#).await;
        assert_eq!((&kept.json()["held"], &kept.json()["removed"]), (&2.into(), &2.into()));
        fixture.tell("admin", "GET /v1/holds", "").await;
        fixture.tell("admin", &format!("POST /v1/holds/{id}/lift"), r#"{"reason": "closed"}"#).await;
        fixture.tell("admin", &format!("POST /v1/holds/{id}/lift"), r#"{"reason": "closed"}"#).await;
        fixture.tell("admin", "POST /v1/holds", r#"{"filter": {"tenant": ""}, "reason": "x"}"#).await;
        fixture.tell("admin", "POST /v1/holds", r#"{"filter": {}, "reason": ""}"#).await;
        fixture.tell("reader", "GET /v1/holds", "").await;
        fixture.matches("holds").await;
    }
}
