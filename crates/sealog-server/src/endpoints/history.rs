//! `GET /v1/resources/{type}/{id}/history`: the versions of one resource.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::response::Response;
use sealog::Filter;

use super::events_search::search_json;
use super::{json_text, path};
use crate::app::Shared;
use crate::auth::{Asked, Operation};
use crate::problem::{Problem, ProblemBody};
use crate::query::Query;
use crate::schema::{EventPageBody, PageParams};

/// The versions of a resource
///
/// Each change of it: who made it, what was before and after, and the diff. A page at a time, the newest
/// first.
#[utoipa::path(
    get, path = "/v1/resources/{type}/{id}/history", operation_id = "getHistory", tag = "answers",
    security(("bearer" = [])),
    params(
        ("type" = String, Path, description = "What kind of thing it is"),
        ("id" = String, Path, description = "Which one"),
        PageParams,
    ),
    responses(
        (status = 200, description = "A page of changes", body = EventPageBody),
        (status = 400, description = "`invalid_argument`", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_history(
    State(app): State<Shared>,
    resource: Result<Path<(String, String)>, PathRejection>,
    parts: Parts,
) -> Result<Response, Problem> {
    let (kind, id) = path(resource)?;
    let asked = Asked::Resource { kind: kind.clone(), id: id.clone() };
    let caller = app.admit(&parts, Operation::read(asked)).await?;
    let page = Query::without_filter(&parts, &["limit", "order", "cursor"])?.page()?;
    let view = caller.view(&app.log)?;
    let answer = app.in_time(view.history(&kind, &id, &page)).await?;
    app.reads.note(&caller, "history", &Filter::new().resource(kind, id)).await?;
    Ok(json_text(search_json(&answer)))
}

#[cfg(test)]
mod tests {
    use crate::testing::Fixture;

    #[tokio::test]
    async fn the_versions_of_a_resource() {
        let mut fixture = Fixture::filled().await;
        fixture.tell("reader", "GET /v1/resources/invoice/i-4/history", "").await;
        fixture.tell("globex", "GET /v1/resources/invoice/i-4/history", "").await;
        fixture.tell("reader", "GET /v1/resources/invoice/a%2Fb/history?limit=0", "").await;
        fixture.matches("history").await;
    }
}
