//! `GET /v1/events/{id}/proof`: that one event is in the log.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Response;
use serde_json::json;

use super::event::{find, seq_of};
use super::{path, text};
use crate::app::Shared;
use crate::auth::{Asked, Operation};
use crate::peer::client_of;
use crate::problem::{Problem, ProblemBody};
use crate::query::Query;
use crate::rate::too_soon;

/// A proof that the event is in the log
///
/// One file (C2SP tlog-proof), with the event in it, that anyone can check with the log's vkey. Where proofs are public,
/// who sends no key gets one by `seq:42`, without the event: what the tiles hold and no more.
#[utoipa::path(
    get, path = "/v1/events/{id}/proof", operation_id = "getProof", tag = "proofs", security((), ("bearer" = [])),
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
    let is_nobody = app.authorize.is_none() && !parts.headers.contains_key(header::AUTHORIZATION);
    if app.options.public_proofs
        && is_nobody
        && let Some(seq) = seq_of(&id)
    {
        if let Some(client) = client_of(&parts, &app.options.trusted_proxies) {
            app.rates.count(&format!("proofs {client}"), app.options.limits.view_pace()).map_err(too_soon)?;
        }
        Query::without_filter(&parts, &[])?;
        return Ok(text(app.in_time(app.log.leaf_proof(seq)).await?));
    }
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
    use crate::Options;
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

    #[tokio::test]
    async fn public_proofs_do_not_tell_what_they_prove() {
        let options = Options { public_proofs: true, ..Options::default() };
        let mut fixture = Fixture::with(options).await;
        fixture.make_keys().await;
        fixture.fill().await;
        // The first read is logged, and with the second the tree is what it is for all who come after.
        fixture.ask("reader", "GET /v1/events/seq:6/proof", "").await;
        let whole = fixture.ask("reader", "GET /v1/events/seq:6/proof", "").await.text();
        sealog::Proof::parse(&whole).unwrap().verify(&fixture.log.vkey().await.unwrap()).unwrap();
        let (extra, rest): (Vec<_>, Vec<_>) = whole.split_inclusive('\n').partition(|line| line.starts_with("extra "));
        let public = fixture.tell("", "GET /v1/events/seq:6/proof", "").await.text();
        assert_eq!((extra.len(), rest.concat()), (1, public));
        // By id it would say that there is such an event.
        for address in ["e-0", "e-none", "seq:99", "seq:x"] {
            fixture.tell("", &format!("GET /v1/events/{address}/proof"), "").await;
        }
        fixture.tell("", "GET /v1/events/seq:6/proof\nauthorization: Bearer wrong", "").await;
        fixture.matches("proof_public").await;
    }
}
