//! `GET /v1/caller`: who asks, and what they may do.

use axum::extract::State;
use axum::http::request::Parts;
use axum::response::Response;
use sealog::Filter;
use serde::Serialize;
use utoipa::ToSchema;

use super::json;
use crate::app::Shared;
use crate::auth::{Asked, Operation};
use crate::problem::Problem;
use crate::query::Query;
use crate::schema::FilterBody;

/// Who asks.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Caller)]
pub(super) struct CallerBody {
    /// As events name them: a key's id, or the one for whom a token was minted.
    id: String,
    /// `api_key`, `view_token` or `user`.
    kind: &'static str,
    /// What the key is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// All of these bind what they see; none where that is everything.
    #[schema(value_type = Vec<FilterBody>)]
    scopes: Vec<Filter>,
    /// Whether they may do everything.
    is_admin: bool,
    /// When the key or token ends, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
    /// The log's name in its checkpoints.
    origin: String,
    /// The server's version.
    version: &'static str,
    /// Whether this is a demonstration, whose events nobody caused.
    is_demo: bool,
}

/// Who asks, and what they may do
///
/// Of a key or token that reads.
#[utoipa::path(
    get, path = "/v1/caller", operation_id = "getCaller", tag = "access", security(("bearer" = [])),
    responses((status = 200, description = "The caller", body = CallerBody))
)]
pub(super) async fn get_caller(State(app): State<Shared>, parts: Parts) -> Result<Response, Problem> {
    let caller = app.admit(&parts, Operation::read(Asked::Caller)).await?;
    Query::without_filter(&parts, &[])?;
    let as_admin = app.admit(&parts, Operation::admin(Asked::Settings)).await;
    json(&CallerBody {
        is_admin: as_admin.is_ok_and(|caller| caller.is_whole()),
        id: caller.actor.id,
        kind: caller.actor.kind,
        name: caller.actor.name,
        scopes: caller.scopes,
        until: caller.lease.until,
        origin: app.in_time(app.log.head()).await?.checkpoint.origin().to_owned(),
        version: env!("CARGO_PKG_VERSION"),
        is_demo: app.options.is_demo,
    })
}

#[cfg(test)]
mod tests {
    use crate::Options;
    use crate::testing::Fixture;

    #[tokio::test]
    async fn callers_are_told_who_they_are() {
        let mut fixture = Fixture::new().await;
        for who in ["admin", "reader", "acme", "writer", "", "sealog_0_x"] {
            fixture.tell(who, "GET /v1/caller", "").await;
        }
        fixture.tell("reader", "GET /v1/caller?x=1", "").await;
        fixture.matches("caller").await;
    }

    #[tokio::test]
    async fn a_demonstration_says_so() {
        let options = Options { is_demo: true, ..Options::default() };
        let mut fixture = Fixture::with(options).await;
        fixture.make_keys().await;
        assert_eq!(fixture.ask("admin", "GET /v1/caller", "").await.json()["isDemo"], true);
        fixture.check().await;
    }
}
