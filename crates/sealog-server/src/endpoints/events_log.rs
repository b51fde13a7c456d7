//! `POST /v1/events`: one event, several, or a stream of them.

use std::fmt;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sealog::{Event, Logged, MAX_BULK_EVENTS};
use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{events_ndjson, json, json_text};
use crate::app::{App, Shared};
use crate::auth::{Asked, Caller, Operation};
use crate::body::{self, MediaType};
use crate::metrics::count;
use crate::problem::{Code, Problem, ProblemBody};
use crate::query::Query;
use crate::schema::{EventsBody, ReceiptsOrOneBody};

/// Log events
///
/// One event, an array of them that are logged together or not at all, or `application/x-ndjson` of any length,
/// of which each line is an event of its own and has a line in the answer, which comes while lines are sent.
/// What has `before`, `after` or both is a change, and its diff is made here. When this answers, the events are
/// durable, sealed and visible. An event with an id can be sent again after a failure: it is the same event
/// then, and its receipt says `existed`.
#[utoipa::path(
    post, path = "/v1/events", operation_id = "logEvents", tag = "events", security(("bearer" = [])),
    params(
        ("results" = Option<String>, Query,
            description = "Of NDJSON: `all` (the default) for a line each, `errors` for those that were refused"),
    ),
    request_body(content(
        (EventsBody = "application/json"),
        (String = "application/x-ndjson"),
    )),
    responses(
        (status = 201, description = "One event: it is in the log. The receipt", body = ReceiptsOrOneBody),
        (status = 200, description = "An event that was there before, or was sampled away; of an array, all receipts; of \
            NDJSON, a line for each line and one `{\"end\": …}`", content(
            (ReceiptsOrOneBody = "application/json"), (String = "application/x-ndjson"))),
        (status = 409, description = "`id_conflict`: the id was used before, by another event", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 413, description = "`too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_event`, `limit_exceeded`, `reserved_action`: the pointer names the field",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`storage`, `busy`, `overloaded`: send it again, with the same id",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn log_events(State(app): State<Shared>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = app.admit(&parts, Operation::write(Asked::Events)).await?;
    let query = Query::without_filter(&parts, &["results"])?;
    let kind = body::media_type(&parts.headers, &[MediaType::Json, MediaType::Ndjson])?;
    let tenant = tenant_of(&caller)?;
    if kind == MediaType::Ndjson {
        let only_errors = query.word("results", &[("all", false), ("errors", true)])?.unwrap_or(false);
        let incoming = body::Incoming::new(&app, &parts.headers, body)?;
        return Ok(events_ndjson::answer(app, incoming, tenant, only_errors));
    }
    if query.text("results").is_some() {
        return Err(Problem::argument("/results", "this is for application/x-ndjson"));
    }
    let most = app.options.limits.max_body_bytes;
    let whole = body::whole(&app, &parts.headers, body, most).await?;
    let text = std::str::from_utf8(&whole.bytes).map_err(|_| Problem::new(Code::Malformed, "the body is no UTF-8"))?;
    let result = match text.trim_start().as_bytes().first() {
        Some(b'[') => many(&app, text, tenant.as_deref()).await,
        _ => one(&app, text, tenant.as_deref()).await,
    };
    result.map_err(|problem| told_to(problem, &caller))
}

async fn one(app: &App, text: &str, tenant: Option<&str>) -> Result<Response, Problem> {
    let logged = match event(app, text, tenant) {
        Ok(event) => app.log.log(event).await.map_err(Problem::from),
        Err(problem) => Err(problem),
    };
    let logged = logged.inspect_err(|_| count(&app.metrics.events_rejected, 1))?;
    let status = if is_new(&logged) { StatusCode::CREATED } else { StatusCode::OK };
    count(&app.metrics.events_logged, u64::from(is_new(&logged)));
    Ok((status, json(&logged)?).into_response())
}

async fn many(app: &App, text: &str, tenant: Option<&str>) -> Result<Response, Problem> {
    let logged = match events(app, text, tenant) {
        Ok(events) => app.log.log_bulk(events).await.map_err(Problem::from),
        Err(problem) => Err(problem),
    };
    let logged = logged.inspect_err(|_| count(&app.metrics.events_rejected, 1))?;
    count(&app.metrics.events_logged, logged.iter().filter(|logged| is_new(logged)).count() as u64);
    let receipts: Vec<&Logged> = logged.iter().collect();
    let receipts = serde_json::to_string(&receipts).map_err(Problem::internal)?;
    Ok(json_text(format!("{{\"receipts\":{receipts}}}")))
}

/// Whether the event came into the log by this call.
pub(super) fn is_new(logged: &Logged) -> bool {
    logged.receipt().is_some_and(|receipt| !receipt.existed)
}

/// The tenant whose events a caller may log, where they may not log all.
fn tenant_of(caller: &Caller) -> Result<Option<String>, Problem> {
    let mut tenants = caller.scopes.iter().map(|scope| scope.tenant.clone());
    match (tenants.next(), tenants.next()) {
        (None, _) => Ok(None),
        (Some(Some(tenant)), None) => Ok(Some(tenant)),
        _ => Err(Problem::new(
            Code::Forbidden,
            "who logs events is bound by nothing or by one tenant; this is another scope",
        )),
    }
}

/// Reads one event. `tenant` is whose it must be.
pub(super) fn event(app: &App, text: &str, tenant: Option<&str>) -> Result<Event, Problem> {
    let most = app.options.limits.max_event_bytes;
    if text.len() > most {
        return Err(Problem::new(
            Code::TooLarge,
            format!("the event has {} bytes of JSON; the limit is {most}", text.len()),
        ));
    }
    let mut event = match Event::from_json(text) {
        Ok(event) => event,
        // What is no JSON at all is another mistake than JSON that is no event.
        Err(error) => {
            return Err(match serde_json::from_str::<&RawValue>(text) {
                Err(_) => Problem::new(Code::Malformed, format!("this is no JSON: {}", error.message())),
                Ok(_) => match misfit(text) {
                    Some(pointer) => Problem::from(error).at(pointer),
                    None => error.into(),
                },
            });
        }
    };
    if let Some(tenant) = tenant {
        match &event.tenant {
            Some(other) if other != tenant => {
                return Err(Problem::new(Code::Forbidden, "you log the events of one tenant, and this is another's")
                    .at("/tenant"));
            }
            _ => event.tenant = Some(tenant.to_owned()),
        }
    }
    Ok(event)
}

/// Which field of a JSON object is none of an event, or not of its type.
fn misfit(text: &str) -> Option<String> {
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
    let fits = |name: &str, value: &serde_json::Value| {
        let mut one = serde_json::Map::from_iter([(name.to_owned(), value.clone())]);
        one.entry("action").or_insert("x".into());
        Event::from_json(&serde_json::Value::Object(one).to_string()).is_ok()
    };
    let (name, _) = fields.iter().find(|(name, value)| !fits(name, value))?;
    Some(format!("/{}", name.replace('~', "~0").replace('/', "~1")))
}

/// What is not theirs to see is not told to those who are bounded: where another's event stands.
pub(super) fn told_to(problem: Problem, caller: &Caller) -> Problem {
    told_within(problem, !caller.is_whole())
}

pub(super) fn told_within(problem: Problem, is_bounded: bool) -> Problem {
    if is_bounded && problem.code() == sealog::ErrorKind::IdConflict.code() {
        return Problem::of_kind(
            sealog::ErrorKind::IdConflict,
            "the id belongs to another event; an id may be sent again only with the same event",
        )
        .at(problem.body_pointer().unwrap_or_default());
    }
    problem
}

/// Reads an array of events, no more than may be logged at once.
fn events(app: &App, text: &str, tenant: Option<&str>) -> Result<Vec<Event>, Problem> {
    struct Events<'a> {
        app: &'a App,
        tenant: Option<&'a str>,
        problem: &'a mut Option<Problem>,
    }

    impl<'de> Visitor<'de> for Events<'_> {
        type Value = Vec<Event>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of events")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Vec<Event>, A::Error> {
            let mut events = Vec::new();
            while let Some(raw) = array.next_element::<&RawValue>()? {
                let read = if events.len() < MAX_BULK_EVENTS {
                    event(self.app, raw.get(), self.tenant)
                        .map_err(|problem| problem.inside(&format!("/{}", events.len())))
                } else {
                    let text = format!("there are more than {MAX_BULK_EVENTS} events; send them in several requests");
                    Err(Problem::of_kind(sealog::ErrorKind::LimitExceeded, text))
                };
                match read {
                    Ok(event) => events.push(event),
                    Err(problem) => {
                        *self.problem = Some(problem);
                        return Err(serde::de::Error::custom("one of them is wrong"));
                    }
                }
            }
            Ok(events)
        }
    }

    let mut problem = None;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = deserializer.deserialize_seq(Events { app, tenant, problem: &mut problem });
    let read = read.and_then(|events| deserializer.end().map(|()| events));
    read.map_err(|error| {
        problem.unwrap_or_else(|| Problem::new(Code::Malformed, format!("the body is no JSON: {error}")))
    })
}

/// The content type of a stream of lines.
pub(super) const NDJSON: (header::HeaderName, HeaderValue) =
    (header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));

#[cfg(test)]
mod tests {
    use crate::testing::Fixture;

    #[tokio::test]
    async fn events_are_logged_one_by_one_and_together() {
        let mut fixture = Fixture::new().await;
        let event = r#"{"id": "e-1", "action": "invoice.paid", "actorId": "ada", "before": {"paid": false}, "after": {"paid": true}}"#;
        let first = fixture.tell("writer", "POST /v1/events", event).await;
        let again = fixture.tell("writer", "POST /v1/events", event).await;
        assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 200));
        fixture.tell("writer", "POST /v1/events", &event.replace("ada", "eve")).await;
        fixture.tell("writer", "POST /v1/events", r#"[{"id": "a", "action": "x"}, {"id": "b", "action": "y"}]"#).await;
        fixture
            .tell("writer", "POST /v1/events", r#"[{"id": "c", "action": "x"}, {"id": "d", "action": "sealog.read"}]"#)
            .await;
        // All or nothing: the first of those two is not there.
        assert_eq!(fixture.ask("reader", "GET /v1/events/c", "").await.status, 404);
        for body in [
            "",
            "{",
            "[",
            "[{}]",
            "[1]",
            "{}",
            r#"{"action": 1}"#,
            r#"{"action": ""}"#,
            r#"{"action": "x", "colour": "red"}"#,
            r#"{"action": "x", "resourceId": "i"}"#,
            "\"x\"",
            "[]",
            r#"[{"action": "x"}"#,
            r#"[{"action": "x"}] x"#,
        ] {
            fixture.tell("writer", "POST /v1/events\ncontent-type: application/json", body).await;
        }
        fixture.tell("writer", "POST /v1/events\ncontent-type: application/xml", "<a/>").await;
        fixture.tell("writer", "POST /v1/events\ncontent-type: application/json\ncontent-encoding: br", "x").await;
        fixture.tell("reader", "POST /v1/events", event).await;
        fixture.matches("events_log").await;
    }

    #[tokio::test]
    async fn a_writer_of_one_tenant_logs_for_no_other() {
        let mut fixture = Fixture::filled().await;
        fixture.tell("acme-writer", "POST /v1/events", r#"{"id": "w-1", "action": "x"}"#).await;
        fixture.tell("acme-writer", "POST /v1/events", r#"{"id": "w-2", "action": "x", "tenant": "acme"}"#).await;
        fixture.tell("acme-writer", "POST /v1/events", r#"{"id": "w-3", "action": "x", "tenant": "globex"}"#).await;
        fixture
            .tell("acme-writer", "POST /v1/events", r#"[{"action": "x"}, {"action": "x", "tenant": "globex"}]"#)
            .await;
        // Where another's event stands is not told.
        fixture.tell("acme-writer", "POST /v1/events", r#"{"id": "e-3", "action": "x"}"#).await;
        let seen = fixture.ask("acme", "GET /v1/events?actions=x", "").await.json();
        assert_eq!(seen["events"].as_array().map(Vec::len), Some(2));
        fixture.matches("events_tenant").await;
    }

    #[tokio::test]
    async fn compressed_bodies_are_taken_apart() {
        let fixture = Fixture::new().await;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut gzip, br#"{"id": "g", "action": "x"}"#).unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = zstd::encode_all(&br#"{"id": "z", "action": "x"}"#[..], 3).unwrap();
        for (encoding, body) in [("gzip", gzip), ("zstd", zstd)] {
            let line = format!("POST /v1/events\ncontent-type: application/json\ncontent-encoding: {encoding}");
            assert_eq!(fixture.ask("writer", &line, body.clone()).await.status, 201, "{encoding}");
            let short = body[..body.len() - 5].to_vec();
            assert_eq!(fixture.ask("writer", &line, short).await.code(), "malformed", "{encoding}");
            assert_eq!(fixture.ask("writer", &line, "no such thing").await.code(), "malformed", "{encoding}");
        }
    }
}
