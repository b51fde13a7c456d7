//! `GET /v1/resources/{type}/{id}/state`: what one resource was.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::response::Response;
use sealog::Filter;

use super::{json, path};
use crate::app::Shared;
use crate::auth::{Asked, Operation};
use crate::problem::{Problem, ProblemBody};
use crate::query::Query;
use crate::schema::StateAtBody;

/// The document of a resource as it was at a time
#[utoipa::path(
    get, path = "/v1/resources/{type}/{id}/state", operation_id = "getState", tag = "answers",
    security(("bearer" = [])),
    params(
        ("type" = String, Path, description = "What kind of thing it is"),
        ("id" = String, Path, description = "Which one"),
        ("at" = Option<i64>, Query,
            description = "When, in milliseconds since the Unix epoch, that millisecond included; now unless given"),
    ),
    responses(
        (status = 200, description = "The document, and the change that it is known from", body = StateAtBody),
        (status = 400, description = "`invalid_argument`", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_state(
    State(app): State<Shared>,
    resource: Result<Path<(String, String)>, PathRejection>,
    parts: Parts,
) -> Result<Response, Problem> {
    let (kind, id) = path(resource)?;
    let asked = Asked::Resource { kind: kind.clone(), id: id.clone() };
    let caller = app.admit(&parts, Operation::read(asked)).await?;
    let at = Query::without_filter(&parts, &["at"])?.number("at")?.unwrap_or_else(|| app.now_ms());
    let view = caller.view(&app.log)?;
    let answer = app.in_time(view.state_at(&kind, &id, at)).await?;
    app.reads.note(&caller, "state", &Filter::new().resource(kind, id)).await?;
    json(&answer)
}

#[cfg(test)]
mod tests {
    use crate::testing::Fixture;

    #[tokio::test]
    async fn a_resource_as_it_was() {
        let mut fixture = Fixture::filled().await;
        fixture.tell("reader", "GET /v1/resources/invoice/i-4/state", "").await;
        let before = fixture.tell("reader", "GET /v1/resources/invoice/i-4/state?at=0", "").await;
        assert_eq!(before.json()["state"]["paid"], false);
        fixture.tell("globex", "GET /v1/resources/invoice/i-4/state", "").await;
        fixture.tell("reader", "GET /v1/resources/invoice/i-4/state?at=now", "").await;
        fixture.matches("state").await;
    }
}
