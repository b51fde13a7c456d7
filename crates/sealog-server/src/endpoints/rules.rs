//! `/v1/rules`: the rules that are evaluated as events arrive.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::response::Response;
use sealog::{ErrorKind, Rule};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::anomalies::rules as read;
use super::{json, path};
use crate::app::Shared;
use crate::auth::{Asked, Operation};
use crate::body;
use crate::problem::{Problem, ProblemBody};
use crate::query::Query;
use crate::schema::RuleBody;

/// The largest body of these requests, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// Rules.
#[derive(Serialize, ToSchema)]
pub(super) struct RuleList {
    #[schema(value_type = Vec<RuleBody>)]
    rules: Vec<Rule>,
}

/// Rules that take the place of those that were there.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRules {
    /// At most a hundred, each by a name of its own.
    #[schema(value_type = Vec<RuleBody>)]
    rules: Vec<Box<RawValue>>,
}

/// The saved rules
#[utoipa::path(
    get, path = "/v1/rules", operation_id = "listRules", tag = "upkeep", security(("bearer" = [])),
    responses((status = 200, description = "The rules", body = RuleList))
)]
pub(super) async fn list_rules(State(app): State<Shared>, parts: Parts) -> Result<Response, Problem> {
    app.admit(&parts, Operation::read(Asked::Rules)).await?.must_be_whole()?;
    Query::without_filter(&parts, &[])?;
    json(&RuleList { rules: app.in_time(app.log.settings()).await?.rules })
}

/// Replace the saved rules
///
/// All of them. It is a change of the settings, and an event as such.
#[utoipa::path(
    put, path = "/v1/rules", operation_id = "replaceRules", tag = "upkeep", security(("bearer" = [])),
    request_body = NewRules,
    responses(
        (status = 200, description = "The rules as they are then", body = RuleList),
        (status = 400, description = "`invalid_argument`: the pointer names the rule and its field", body = ProblemBody,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn replace_rules(State(app): State<Shared>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = app.admit(&parts, Operation::admin(Asked::Rules)).await?;
    caller.must_be_whole()?;
    Query::without_filter(&parts, &[])?;
    let NewRules { rules } = body::json(&app, &parts.headers, body, MAX_BYTES).await?;
    let rules = read(&rules)?;
    let log = caller.acting(&app.log);
    let change = log.update_settings(move |settings| {
        settings.rules = rules;
        Ok(())
    });
    json(&RuleList { rules: change.await?.rules })
}

/// Save a rule
///
/// Under the name in the address: in the place of the one that has it, or behind the others.
#[utoipa::path(
    put, path = "/v1/rules/{name}", operation_id = "saveRule", tag = "upkeep", security(("bearer" = [])),
    params(("name" = String, Path, description = "The rule's name")),
    request_body = RuleBody,
    responses(
        (status = 200, description = "The rules as they are then", body = RuleList),
        (status = 400, description = "`invalid_argument`: the pointer names the field", body = ProblemBody,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn save_rule(
    State(app): State<Shared>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = app.admit(&parts, Operation::admin(Asked::Rules)).await?;
    caller.must_be_whole()?;
    Query::without_filter(&parts, &[])?;
    let (name, raw): (String, Box<RawValue>) = (path(name)?, body::json(&app, &parts.headers, body, MAX_BYTES).await?);
    let mut fields: serde_json::Map<String, serde_json::Value> = body::parse(raw.get().as_bytes())?;
    if fields.get("name").is_some_and(|other| *other != *name) {
        return Err(Problem::argument("/name", "the rule has another name than the address"));
    }
    fields.insert("name".to_owned(), name.clone().into());
    let rule = Rule::from_json(&serde_json::Value::Object(fields).to_string())?;
    let log = caller.acting(&app.log);
    let change = log.update_settings(move |settings| {
        match settings.rules.iter_mut().find(|rule| rule.name == name) {
            Some(place) => *place = rule,
            None => settings.rules.push(rule),
        }
        Ok(())
    });
    json(&RuleList { rules: change.await?.rules })
}

/// Remove a rule
#[utoipa::path(
    delete, path = "/v1/rules/{name}", operation_id = "removeRule", tag = "upkeep", security(("bearer" = [])),
    params(("name" = String, Path, description = "The rule's name")),
    responses(
        (status = 200, description = "The rules as they are then", body = RuleList),
        (status = 404, description = "`not_found`", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn remove_rule(
    State(app): State<Shared>,
    name: Result<Path<String>, PathRejection>,
    parts: Parts,
) -> Result<Response, Problem> {
    let caller = app.admit(&parts, Operation::admin(Asked::Rules)).await?;
    caller.must_be_whole()?;
    Query::without_filter(&parts, &[])?;
    let name = path(name)?;
    let known = app.in_time(app.log.settings()).await?.rules;
    if !known.iter().any(|rule| rule.name == name) {
        return Err(Problem::of_kind(ErrorKind::NotFound, format!("there is no rule {name:?}")));
    }
    let log = caller.acting(&app.log);
    let change = log.update_settings(move |settings| {
        settings.rules.retain(|rule| rule.name != name);
        Ok(())
    });
    json(&RuleList { rules: change.await?.rules })
}

#[cfg(test)]
mod tests {
    use crate::testing::Fixture;

    #[tokio::test]
    async fn rules_are_saved_found_by_and_removed() {
        let mut fixture = Fixture::filled().await;
        let rule = r#"{"action": "user.login", "threshold": 2, "windowMs": 86400000}"#;
        fixture.tell("admin", "PUT /v1/rules/logins", rule).await;
        fixture.tell("admin", "PUT /v1/rules/logins", &rule.replace("86400000", "60000")).await;
        fixture
            .tell(
                "admin",
                "PUT /v1/rules/other",
                r#"{"name": "another", "action": "x", "threshold": 1, "windowMs": 1}"#,
            )
            .await;
        fixture.tell("admin", "PUT /v1/rules/other", r#"{"action": "x", "threshold": 1, "windowMs": 0}"#).await;
        fixture.tell("reader", "GET /v1/anomalies", "").await;
        fixture.tell("acme", "GET /v1/anomalies", "").await;
        fixture.tell("reader", "GET /v1/anomalies?standing=true", "").await;
        fixture.tell("admin", "PUT /v1/rules", r#"{"rules": [{"action": "a", "threshold": 1, "windowMs": 1}, {"action": "a", "threshold": 0, "windowMs": 1}]}"#).await;
        fixture.tell("admin", "DELETE /v1/rules/logins", "").await;
        fixture.tell("admin", "DELETE /v1/rules/logins", "").await;
        fixture.tell("reader", "GET /v1/rules", "").await;
        fixture.matches("rules").await;
    }
}
