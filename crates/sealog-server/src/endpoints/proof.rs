//! `GET /v1/events/{id}/proof`: that one event is in the log.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::response::Response;
use serde_json::json;

use super::event::find;
use super::{path, text};
use crate::app::Shared;
use crate::auth::{Asked, Operation};
use crate::problem::{Problem, ProblemBody};
use crate::query::Query;

/// A proof that the event is in the log
///
/// One file (C2SP tlog-proof), with the event in it, that anyone can check with the log's vkey.
#[utoipa::path(
    get, path = "/v1/events/{id}/proof", operation_id = "getProof", tag = "proofs", security(("bearer" = [])),
    params(("id" = String, Path, description = "The event's id, or `seq:` and its place")),
    responses(
        (status = 200, description = "The proof", body = String, content_type = "text/plain"),
        (status = 404, description = "`not_found`", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_proof(
    State(app): State<Shared>,
    id: Result<Path<String>, PathRejection>,
    parts: Parts,
) -> Result<Response, Problem> {
    let id = path(id)?;
    let caller = app.admit(&parts, Operation::read(Asked::Event(id.clone()))).await?;
    Query::without_filter(&parts, &[])?;
    let view = caller.view(&app.log)?;
    let record = app.in_time(find(&view, &id)).await?;
    let proof = app.in_time(view.proof(record.seq())).await?;
    app.reads.note(&caller, "event", &json!({"id": record.id()})).await?;
    Ok(text(proof.to_text()))
}

#[cfg(test)]
mod tests {
    use crate::testing::Fixture;

    #[tokio::test]
    async fn a_proof_is_checked_with_the_vkey_alone() {
        let mut fixture = Fixture::filled().await;
        let proof = fixture.tell("acme", "GET /v1/events/e-0/proof", "").await.text();
        let proven = sealog::Proof::parse(&proof).unwrap().verify(&fixture.log.vkey().await.unwrap()).unwrap();
        assert_eq!(proven.record().id(), "e-0");
        fixture.tell("globex", "GET /v1/events/e-0/proof", "").await;
        fixture.matches("proof").await;
    }
}
