//! `POST /v1/tokens`: view tokens for browsers.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::json;
use crate::app::Shared;
use crate::auth::token::ViewToken;
use crate::auth::{Asked, Operation};
use crate::body;
use crate::limits::{DEFAULT_TOKEN_MS, MAX_NAME_BYTES};
use crate::problem::{Code, Problem, ProblemBody};
use crate::query::Query;
use crate::schema::FilterBody;

/// The largest body of this request, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// A view token to be minted.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MintToken {
    /// What it shows, of what the key shows: a tenant, an actor, a resource, or any other filter that asks for
    /// something.
    #[schema(value_type = FilterBody)]
    scope: Box<RawValue>,
    /// For how long it is valid, in milliseconds; a quarter of an hour unless given.
    ttl_ms: Option<i64>,
    /// Who it is for: the actor of what is logged of its reads.
    #[schema(max_length = 256)]
    subject: Option<String>,
}

/// A view token.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MintedToken {
    /// The token: what goes behind `Authorization: Bearer `.
    token: String,
    /// When it ends, in milliseconds since the Unix epoch.
    expires_at: i64,
}

/// Mint a view token
///
/// For a browser: it reads what the scope selects and nothing else, for a short time. It ends early when the
/// key it was minted with is taken back.
#[utoipa::path(
    post, path = "/v1/tokens", operation_id = "mintToken", tag = "access", security(("bearer" = [])),
    request_body = MintToken,
    responses(
        (status = 201, description = "The token", body = MintedToken),
        (status = 400, description = "`invalid_argument`", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn mint_token(State(app): State<Shared>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = app.admit(&parts, Operation::read(Asked::Tokens)).await?;
    Query::without_filter(&parts, &[])?;
    let Some(key_id) = caller.lease.key_id.clone() else {
        return Err(Problem::new(Code::Forbidden, "tokens are minted with a key, and this server has none"));
    };
    let MintToken { scope, ttl_ms, subject } = body::json(&app, &parts.headers, body, MAX_BYTES).await?;
    let scope = body::filter(&scope, "/scope")?;
    app.log.scoped(&scope).map_err(|error| Problem::from(error).inside("/scope"))?;
    if subject.as_ref().is_some_and(|subject| subject.is_empty() || subject.len() > MAX_NAME_BYTES) {
        return Err(Problem::argument("/subject", format!("a subject has 1 to {MAX_NAME_BYTES} bytes")));
    }
    let most = app.options.limits.max_token_ms;
    let until = app.until("/ttlMs", ttl_ms.unwrap_or(DEFAULT_TOKEN_MS.min(most)), 1, most)?;
    // A token ends with its key.
    let expires_at = caller.lease.until.map_or(until, |end| end.min(until));
    let token = ViewToken { key_id, expires_at, scope, subject }.sign(&app.token_secret().await?)?;
    Ok((StatusCode::CREATED, json(&MintedToken { token, expires_at })?).into_response())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::Fixture;

    #[tokio::test]
    async fn a_token_shows_its_scope_until_it_ends() {
        let mut fixture = Fixture::filled().await;
        let minted =
            fixture.tell("reader", "POST /v1/tokens", r#"{"scope": {"tenant": "acme"}, "subject": "u-17"}"#).await;
        let token = minted.json()["token"].as_str().unwrap().to_owned();
        let seen = fixture.ask(&token, "GET /v1/events", "").await;
        assert_eq!(seen.json()["events"].as_array().map(Vec::len), Some(2));
        for line in ["POST /v1/events", "GET /v1/keys", "POST /v1/tokens", "GET /metrics", "GET /tile/0/000.p/1"] {
            assert_eq!(fixture.ask(&token, line, "").await.status, 403, "{line}");
        }
        fixture.clock.advance(15 * 60 * 1000);
        fixture.tell(&token, "GET /v1/events", "").await;
        // Of a key that is bound itself, a token shows what both let through.
        let minted = fixture.tell("globex", "POST /v1/tokens", r#"{"scope": {"tenant": "acme"}}"#).await;
        let token = minted.json()["token"].as_str().unwrap().to_owned();
        assert_eq!(fixture.ask(&token, "GET /v1/events", "").await.json()["events"], json!([]));
        fixture.tell("reader", "POST /v1/tokens", r#"{"scope": {}}"#).await;
        fixture.tell("reader", "POST /v1/tokens", r#"{"scope": {"tenant": "a"}, "ttlMs": 86400001}"#).await;
        fixture.tell("reader", "POST /v1/tokens", r#"{"scope": {"tenant": "a"}, "subject": ""}"#).await;
        fixture.tell("writer", "POST /v1/tokens", r#"{"scope": {"tenant": "a"}}"#).await;
        fixture.matches("tokens").await;
    }

    #[tokio::test]
    async fn a_token_ends_with_its_key() {
        let mut fixture = Fixture::filled().await;
        let id = fixture.key("page", crate::Role::Reader, None).await;
        let minted = fixture
            .ask("page", "POST /v1/tokens\ncontent-type: application/json", r#"{"scope": {"tenant": "acme"}}"#)
            .await;
        let token = minted.json()["token"].as_str().unwrap().to_owned();
        assert_eq!(fixture.ask(&token, "GET /v1/events", "").await.status, 200);
        assert_eq!(fixture.ask("admin", &format!("DELETE /v1/keys/{id}"), "").await.status, 200);
        assert_eq!(fixture.ask(&token, "GET /v1/events", "").await.status, 401);
    }
}
