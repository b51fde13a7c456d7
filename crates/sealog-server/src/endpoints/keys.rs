//! `/v1/keys`: API keys.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{json, path};
use crate::app::Shared;
use crate::auth::keys::{KeyInfo, NewKey};
use crate::auth::{Asked, Operation, Role};
use crate::body;
use crate::limits::{DEFAULT_GRACE_MS, MAX_GRACE_MS};
use crate::problem::{Problem, ProblemBody};
use crate::query::Query;
use crate::schema::FilterBody;

/// The largest body of these requests, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// All keys.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyList {
    /// The oldest first; those that were taken back or have ended among them.
    keys: Vec<KeyInfo>,
}

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateKey {
    /// What it is called, for people.
    #[schema(max_length = 256)]
    name: String,
    /// What it is for.
    role: Role,
    /// What binds it. A reader's: any filter; it sees nothing else. A writer's: one tenant, which every event
    /// it logs is given.
    #[schema(value_type = Option<FilterBody>)]
    scope: Option<Box<RawValue>>,
    /// When it ends, in milliseconds since the Unix epoch; never unless given.
    expires_at: Option<i64>,
}

/// How a key gets another secret.
#[derive(Deserialize, ToSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RotateKey {
    /// For how long the secret before works on, in milliseconds; a day unless given, at most thirty.
    grace_ms: Option<i64>,
}

/// A key with its secret, which is told this once.
#[derive(Serialize, ToSchema)]
pub(super) struct SecretKey {
    /// The key: what goes behind `Authorization: Bearer `.
    key: String,
    /// All else that is known of it.
    #[serde(flatten)]
    info: KeyInfo,
}

/// All keys
#[utoipa::path(
    get, path = "/v1/keys", operation_id = "listKeys", tag = "access", security(("bearer" = [])),
    responses((status = 200, description = "The keys, without their secrets", body = KeyList))
)]
pub(super) async fn list_keys(State(app): State<Shared>, parts: Parts) -> Result<Response, Problem> {
    let caller = app.admit(&parts, Operation::admin(Asked::Keys)).await?;
    caller.must_be_whole()?;
    Query::without_filter(&parts, &[])?;
    let mut keys = app.keys.list().await?;
    let uses = app.state_file.uses().await?;
    for key in &mut keys {
        key.last_used_at = key.last_used_at.max(uses.get(&key.id).copied());
    }
    json(&KeyList { keys })
}

/// Make a key
///
/// Its secret is told in this answer and never again. That it was made is an event, `sealog.api_key.created`.
#[utoipa::path(
    post, path = "/v1/keys", operation_id = "createKey", tag = "access", security(("bearer" = [])),
    request_body = CreateKey,
    responses(
        (status = 201, description = "The key", body = SecretKey),
        (status = 400, description = "`invalid_argument`", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create_key(State(app): State<Shared>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = app.admit(&parts, Operation::admin(Asked::Keys)).await?;
    caller.must_be_whole()?;
    Query::without_filter(&parts, &[])?;
    let CreateKey { name, role, scope, expires_at } = body::json(&app, &parts.headers, body, MAX_BYTES).await?;
    let scope = scope.map(|scope| body::filter(&scope, "/scope")).transpose()?;
    let (key, info) = app.keys.create(NewKey { name, role, scope, expires_at }, &caller.actor).await?;
    Ok((StatusCode::CREATED, json(&SecretKey { key, info })?).into_response())
}

/// Give a key another secret
///
/// The one before works on for a while, so that nothing stands still while it is replaced.
#[utoipa::path(
    post, path = "/v1/keys/{id}/rotate", operation_id = "rotateKey", tag = "access", security(("bearer" = [])),
    params(("id" = String, Path, description = "The key's id")),
    request_body = RotateKey,
    responses(
        (status = 200, description = "The key with its new secret", body = SecretKey),
        (status = 404, description = "`not_found`", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn rotate_key(
    State(app): State<Shared>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = app.admit(&parts, Operation::admin(Asked::Keys)).await?;
    caller.must_be_whole()?;
    Query::without_filter(&parts, &[])?;
    let RotateKey { grace_ms } = body::json(&app, &parts.headers, body, MAX_BYTES).await?;
    let until = app.until("/graceMs", grace_ms.unwrap_or(DEFAULT_GRACE_MS), 0, MAX_GRACE_MS)?;
    let (key, info) = app.keys.rotate(&path(id)?, until, &caller.actor).await?;
    json(&SecretKey { key, info })
}

/// Take a key back
///
/// At once: its view tokens and its live streams end with it.
#[utoipa::path(
    delete, path = "/v1/keys/{id}", operation_id = "revokeKey", tag = "access", security(("bearer" = [])),
    params(("id" = String, Path, description = "The key's id")),
    responses(
        (status = 200, description = "The key, as it is now", body = KeyInfo),
        (status = 404, description = "`not_found`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`conflict`: nobody else could administer any more", body = ProblemBody,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn revoke_key(
    State(app): State<Shared>,
    id: Result<Path<String>, PathRejection>,
    parts: Parts,
) -> Result<Response, Problem> {
    let caller = app.admit(&parts, Operation::admin(Asked::Keys)).await?;
    caller.must_be_whole()?;
    Query::without_filter(&parts, &[])?;
    json(&app.keys.revoke(&path(id)?, &caller.actor).await?)
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fixture, NOW_MS};

    #[tokio::test]
    async fn a_key_is_made_used_rotated_and_taken_back() {
        let mut fixture = Fixture::new().await;
        let made = fixture
            .tell("admin", "POST /v1/keys", r#"{"name": "billing", "role": "reader", "scope": {"tenant": "acme"}}"#)
            .await;
        let (key, id) =
            (made.json()["key"].as_str().unwrap().to_owned(), made.json()["id"].as_str().unwrap().to_owned());
        assert_eq!(fixture.ask(&key, "GET /v1/events", "").await.status, 200);
        let rotated = fixture.tell("admin", &format!("POST /v1/keys/{id}/rotate"), r#"{"graceMs": 1000}"#).await;
        let new = rotated.json()["key"].as_str().unwrap().to_owned();
        // Both work, without a gap, until the first one's time is over.
        assert_eq!(fixture.ask(&key, "GET /v1/events", "").await.status, 200);
        assert_eq!(fixture.ask(&new, "GET /v1/events", "").await.status, 200);
        fixture.clock.advance(1000);
        assert_eq!(fixture.ask(&key, "GET /v1/events", "").await.status, 401);
        assert_eq!(fixture.ask(&new, "GET /v1/events", "").await.status, 200);
        fixture.tell("admin", "GET /v1/keys", "").await;
        fixture.tell("admin", &format!("DELETE /v1/keys/{id}"), "").await;
        assert_eq!(fixture.ask(&new, "GET /v1/events", "").await.status, 401);
        fixture.tell("admin", &format!("DELETE /v1/keys/{id}"), "").await;
        fixture.tell("admin", "GET /v1/events?actions=sealog.api_key.*&limit=1", "").await;
        // What the log holds of a key does not let anybody in.
        let all = fixture.ask("admin", "GET /v1/events?afterSeq=-1", "").await.text();
        let secret = |key: &str| key.rsplit_once('_').unwrap().1.to_owned();
        assert!(!all.contains(&secret(&key)) && !all.contains(&secret(&new)));
        fixture.matches("keys").await;
    }

    #[tokio::test]
    async fn a_rotation_that_is_repeated_leaves_no_gap() {
        let mut fixture = Fixture::new().await;
        let id = fixture.key("again", crate::Role::Reader, None).await;
        let mut keys = vec![fixture.keys.last().unwrap().1.clone()];
        let mut rotate = async |grace: u64| {
            let line = format!("POST /v1/keys/{id}/rotate\ncontent-type: application/json");
            let answer = fixture.ask("admin", &line, format!(r#"{{"graceMs": {grace}}}"#)).await;
            keys.push(answer.json()["key"].as_str().unwrap().to_owned());
            let mut statuses = Vec::new();
            for key in &keys {
                statuses.push(fixture.ask(key, "GET /v1/events", "").await.status.as_u16());
            }
            statuses
        };
        // The answer of the first one may have been lost.
        assert_eq!(rotate(60_000).await, [200, 200]);
        assert_eq!(rotate(60_000).await, [200, 200, 200]);
        // Without a grace, all before it end at once, those of a longer one too.
        assert_eq!(rotate(0).await, [401, 401, 401, 200]);
        fixture.check().await;
    }

    #[tokio::test]
    async fn a_key_works_until_it_expires_and_its_tokens_with_it() {
        let fixture = Fixture::new().await;
        let make = async |role: &str| {
            let body = format!(r#"{{"name": "soon", "role": "{role}", "expiresAt": {}}}"#, NOW_MS + 1000);
            let made = fixture.ask("admin", "POST /v1/keys\ncontent-type: application/json", body).await.json();
            (made["key"].as_str().unwrap().to_owned(), made["id"].as_str().unwrap().to_owned())
        };
        let ((reader, id), (admin, _)) = (make("reader").await, make("admin").await);
        let longer = r#"{"scope": {"tenant": "acme"}, "ttlMs": 60000}"#;
        let minted = fixture.ask(&reader, "POST /v1/tokens\ncontent-type: application/json", longer).await.json();
        assert_eq!(minted["expiresAt"], NOW_MS + 1000);
        let token = minted["token"].as_str().unwrap();
        for (ms, status) in [(0, 200), (999, 200), (1, 401)] {
            fixture.clock.advance(ms);
            for secret in [&*reader, &*admin, token] {
                let answer = fixture.ask(secret, "GET /v1/events", "").await;
                assert_eq!(answer.status, status, "{ms}: {}", answer.text());
            }
        }
        // It gets no other secret, administers nothing, and is over for a server that starts anew, too.
        let rotate = format!("POST /v1/keys/{id}/rotate\ncontent-type: application/json");
        assert_eq!(fixture.ask("admin", &rotate, "{}").await.status, 404);
        let own = fixture.ask("admin", "GET /v1/caller", "").await.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(fixture.ask("admin", &format!("DELETE /v1/keys/{own}"), "").await.status, 409);
        assert!(crate::auth::keys::Keys::new(fixture.log.clone()).show(&reader).await.is_err());
        fixture.check().await;
    }

    #[tokio::test]
    async fn wrong_keys_are_not_made() {
        let mut fixture = Fixture::new().await;
        for body in [
            r#"{"name": "", "role": "reader"}"#,
            r#"{"name": "x", "role": "owner"}"#,
            r#"{"name": "x", "role": "reader", "scope": {}}"#,
            r#"{"name": "x", "role": "reader", "scope": {"text": "\"open"}}"#,
            r#"{"name": "x", "role": "admin", "scope": {"tenant": "acme"}}"#,
            r#"{"name": "x", "role": "writer", "scope": {"actorIds": ["u"]}}"#,
            r#"{"name": "x", "role": "reader", "expiresAt": 5}"#,
            r#"{"name": "x", "role": "reader", "extra": 1}"#,
        ] {
            fixture.tell("admin", "POST /v1/keys", body).await;
        }
        let all = fixture.app.keys.list().await.unwrap();
        let own = all.into_iter().find(|key| key.role == crate::Role::Admin).unwrap().id;
        fixture.tell("admin", &format!("DELETE /v1/keys/{own}"), "").await;
        fixture.tell("admin", &format!("POST /v1/keys/{own}/rotate"), r#"{"graceMs": -1}"#).await;
        fixture.tell("admin", "POST /v1/keys/0000000000000000/rotate", "{}").await;
        fixture.tell("reader", "GET /v1/keys", "").await;
        fixture.matches("keys_wrong").await;
    }
}
