//! `/v1/settings`: what the log keeps, hides and looks for.

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::Response;
use serde_json::Value;

use super::json;
use crate::app::Shared;
use crate::auth::{Asked, Operation};
use crate::body;
use crate::problem::{Problem, ProblemBody};
use crate::query::Query;
use crate::schema::SettingsBody;

/// The largest body of this request, in bytes: a thousand categories and a hundred rules fit.
const MAX_BYTES: usize = 1024 * 1024;

/// The settings
#[utoipa::path(
    get, path = "/v1/settings", operation_id = "getSettings", tag = "upkeep", security(("bearer" = [])),
    responses((status = 200, description = "The settings as they are now", body = SettingsBody))
)]
pub(super) async fn get_settings(State(app): State<Shared>, parts: Parts) -> Result<Response, Problem> {
    app.admit(&parts, Operation::read(Asked::Settings)).await?.must_be_whole()?;
    Query::without_filter(&parts, &[])?;
    json(&app.in_time(app.log.settings()).await?)
}

/// Change the settings
///
/// A JSON Merge Patch (RFC 7396): what is named takes the place of what was there, and `null` brings back the
/// default. To keep events for ever, give `"forever"` for a number of days. It is an event,
/// `sealog.settings.changed`, and holds at once.
#[utoipa::path(
    patch, path = "/v1/settings", operation_id = "changeSettings", tag = "upkeep", security(("bearer" = [])),
    request_body(content((SettingsBody = "application/json"), (SettingsBody = "application/merge-patch+json"))),
    responses(
        (status = 200, description = "The settings as they are then", body = SettingsBody),
        (status = 400, description = "`invalid_argument`: the pointer names the setting", body = ProblemBody,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn change_settings(State(app): State<Shared>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = app.admit(&parts, Operation::admin(Asked::Settings)).await?;
    caller.must_be_whole()?;
    Query::without_filter(&parts, &[])?;
    let patch: Value = body::json(&app, &parts.headers, body, MAX_BYTES).await?;
    let log = caller.acting(&app.log);
    let change = log.update_settings(move |settings| {
        *settings = settings.patched(patch)?;
        Ok(())
    });
    json(&change.await?)
}

#[cfg(test)]
mod tests {
    use crate::testing::Fixture;

    #[tokio::test]
    async fn settings_are_changed_and_hold_at_once() {
        let mut fixture = Fixture::new().await;
        fixture.tell("reader", "GET /v1/settings", "").await;
        let patch = r#"{"defaultRetentionDays": 30, "policy": {"redactFields": [{"name": "nickname"}]}}"#;
        fixture.tell("admin", "PATCH /v1/settings", patch).await;
        fixture.tell("writer", "POST /v1/events", r#"{"id": "e", "action": "x", "metadata": {"nickname": "z"}}"#).await;
        assert!(fixture.ask("reader", "GET /v1/events/e", "").await.text().contains("[REDACTED]"));
        fixture.tell("admin", "PATCH /v1/settings", r#"{"defaultRetentionDays": 0}"#).await;
        fixture
            .tell("admin", "PATCH /v1/settings", r#"{"rules": [{"action": "a", "threshold": 0, "windowMs": 1}]}"#)
            .await;
        fixture.tell("admin", "PATCH /v1/settings", "[]").await;
        fixture.tell("admin", "GET /v1/events?actions=sealog.settings.changed", "").await;
        fixture.matches("settings").await;
    }
}
