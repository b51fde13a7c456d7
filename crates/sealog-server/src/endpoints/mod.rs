//! One file for each endpoint: its parameters, its errors, its documentation, its handler.

mod anomalies;
mod caller;
mod checkpoint;
mod cleanup;
mod erasures;
mod event;
mod events_log;
mod events_ndjson;
mod events_search;
mod filter;
mod health;
mod history;
mod holds;
mod keys;
mod metrics;
mod proof;
mod reports;
mod rules;
mod settings;
mod state;
mod stats;
mod suggestions;
mod tile;
mod tokens;
mod tree;
mod verify;

pub(crate) use health::Known;

use axum::Router;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, Info, OpenApi as Document, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::Shared;
use crate::problem::{Code, Problem, ProblemBody};
use crate::schema::{FindingsBody, StatsBody};

/// What no handler of its own describes.
#[derive(OpenApi)]
#[openapi(
    paths(tile::tile),
    components(schemas(ProblemBody, StatsBody, FindingsBody)),
    modifiers(&Security),
    tags(
        (name = "events", description = "To log events, and to find them"),
        (name = "answers", description = "What is asked of many events"),
        (name = "upkeep", description = "What the log keeps, hides, looks for, and lets go"),
        (name = "access", description = "Who may do what"),
        (name = "proofs", description = "That nothing was changed, for anyone to check"),
        (name = "server", description = "How the server is getting on")
    )
)]
struct Described;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut Document) {
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("bearer", bearer);
    }
}

/// All endpoints, and their specification.
pub(crate) fn all() -> (Router<Shared>, Document) {
    let mut document = Described::openapi();
    document.info = Info::new("Sealog", "1");
    document.info.description = Some(
        "The audit log for applications. Errors are `application/problem+json` (RFC 9457) with a stable `code`. \
         docs/HTTP.md tells all of it."
            .to_owned(),
    );
    let (router, mut document) = OpenApiRouter::with_openapi(document)
        .routes(routes!(events_search::search_events, events_log::log_events))
        .routes(routes!(event::get_event))
        .routes(routes!(proof::get_proof))
        .routes(routes!(history::get_history))
        .routes(routes!(state::get_state))
        .routes(routes!(stats::get_stats))
        .routes(routes!(suggestions::get_suggestions))
        .routes(routes!(filter::parse_filter))
        .routes(routes!(anomalies::saved_anomalies, anomalies::find_anomalies))
        .routes(routes!(reports::make_report))
        .routes(routes!(keys::list_keys, keys::create_key))
        .routes(routes!(keys::revoke_key))
        .routes(routes!(keys::rotate_key))
        .routes(routes!(tokens::mint_token))
        .routes(routes!(caller::get_caller))
        .routes(routes!(settings::get_settings, settings::change_settings))
        .routes(routes!(rules::list_rules, rules::replace_rules))
        .routes(routes!(rules::save_rule, rules::remove_rule))
        .routes(routes!(cleanup::clean_up))
        .routes(routes!(holds::list_holds, holds::place_hold))
        .routes(routes!(holds::lift_hold))
        .routes(routes!(erasures::erase))
        .routes(routes!(tree::get_tree))
        .routes(routes!(verify::verify))
        .routes(routes!(checkpoint::get_checkpoint))
        .routes(routes!(checkpoint::get_cosigned, checkpoint::add_cosignatures))
        .route("/tile/{*path}", axum::routing::get(tile::tile))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
        .split_for_parts();
    describe_common_errors(&mut document);
    (router, document)
}

/// What any endpoint may answer that lets people in, and any that takes a body.
fn describe_common_errors(document: &mut Document) {
    let of_all = [
        ("401", "`unauthenticated`: no key or token, or one that is not valid"),
        ("403", "`forbidden`: it may not do this; `out_of_scope`: not with what binds it"),
        ("429", "`rate_limited`, `too_many_streams`: later; `Retry-After` says when"),
        ("503", "`stopping`, `overloaded`, `busy`, `timed_out`: send it again"),
    ];
    let of_bodies = [
        ("408", "`body_timeout`: the body did not come in time"),
        ("413", "`too_large`: send less at once"),
        ("415", "`unsupported_media_type`"),
    ];
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    let paths = document.paths.paths.values_mut();
    let operations =
        paths.flat_map(|path| [&mut path.get, &mut path.post, &mut path.put, &mut path.patch, &mut path.delete]);
    for operation in operations.filter_map(Option::as_mut).filter(|operation| operation.security.is_some()) {
        let of_bodies = of_bodies.iter().filter(|_| operation.request_body.is_some());
        for (status, description) in of_all.iter().chain(of_bodies) {
            let response = ResponseBuilder::new().description(*description);
            let response = response.content("application/problem+json", problem.clone()).build();
            operation.responses.responses.entry((*status).to_owned()).or_insert_with(|| response.into());
        }
    }
}

/// The parts of the path.
pub(crate) fn path<T>(path: Result<Path<T>, PathRejection>) -> Result<T, Problem> {
    path.map(|Path(parts)| parts).map_err(|_| Problem::new(Code::Malformed, "the address is no UTF-8"))
}

/// A JSON document as the answer.
pub(crate) fn json(answer: &impl Serialize) -> Result<Response, Problem> {
    Ok(json_text(serde_json::to_string(answer).map_err(Problem::internal)?))
}

pub(crate) fn json_text(text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, text).into_response()
}

/// Text as the answer.
pub(crate) fn text(text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, text).into_response()
}
