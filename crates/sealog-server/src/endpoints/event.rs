//! `GET /v1/events/{id}`: one event.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::response::Response;
use serde_json::json;

use super::{json_text, path};
use crate::app::Shared;
use crate::auth::{Asked, Operation};
use crate::problem::{Problem, ProblemBody};
use crate::query::Query;
use crate::schema::RecordBody;

/// One event
///
/// The very bytes that were sealed: canonical JSON (RFC 8785). By its id, or by its seq as `seq:42`.
#[utoipa::path(
    get, path = "/v1/events/{id}", operation_id = "getEvent", tag = "events", security(("bearer" = [])),
    params(("id" = String, Path, description = "The event's id, or `seq:` and its place")),
    responses(
        (status = 200, description = "The event", body = RecordBody),
        (status = 404, description = "`not_found`: there is none, or none that you may see", body = ProblemBody,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_event(
    State(app): State<Shared>,
    id: Result<Path<String>, PathRejection>,
    parts: Parts,
) -> Result<Response, Problem> {
    let id = path(id)?;
    let caller = app.admit(&parts, Operation::read(Asked::Event(id.clone()))).await?;
    Query::without_filter(&parts, &[])?;
    let view = caller.view(&app.log)?;
    let record = app.in_time(find(&view, &id)).await?;
    app.reads.note(&caller, "event", &json!({"id": record.id()})).await?;
    Ok(json_text(record.canonical_json().to_owned()))
}

/// The event with this id, or at the place after `seq:`. An event whose id looks like that is found first.
pub(super) async fn find(view: &sealog::AuditLog, id: &str) -> sealog::Result<sealog::Record> {
    let found = view.get(id).await;
    let Some(seq) = seq_of(id) else { return found };
    if found.as_ref().is_err_and(|error| error.kind() == sealog::ErrorKind::NotFound) {
        let page = view.read(seq, 1).await?;
        return page.events.into_iter().next().map_or(found, Ok);
    }
    found
}

/// The place that is meant by `seq:42`.
pub(super) fn seq_of(id: &str) -> Option<u64> {
    id.strip_prefix("seq:")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use crate::testing::Fixture;

    #[tokio::test]
    async fn one_event_is_found_by_id_and_by_seq() {
        let mut fixture = Fixture::filled().await;
        let by_id = fixture.tell("reader", "GET /v1/events/e-1", "").await;
        assert_eq!(by_id.body, fixture.tell("reader", "GET /v1/events/seq:7", "").await.body);
        fixture.tell("acme", "GET /v1/events/e-1", "").await;
        // Who may not see it learns nothing of it.
        let hidden = fixture.tell("globex", "GET /v1/events/e-1", "").await;
        let absent = fixture.tell("globex", "GET /v1/events/e-7", "").await;
        assert_eq!(hidden.text().replace("e-1", "e-7"), absent.text());
        // What was read is an event, and says which one.
        let reads = fixture.ask("reader", "GET /v1/events?actions=sealog.read&order=oldestFirst&limit=1", "").await;
        assert_eq!(
            reads.json()["events"][0]["metadata"],
            serde_json::json!({"kind": "event", "filter": {"id": "e-1"}})
        );
        fixture.tell("globex", "GET /v1/events/seq:7", "").await;
        fixture.tell("reader", "GET /v1/events/seq:99", "").await;
        fixture.tell("reader", "GET /v1/events/%FF", "").await;
        fixture.tell("reader", "GET /v1/events/e-1?limit=1", "").await;
        fixture.matches("event").await;
    }
}
