//! `/v1/anomalies`: what rules find, once or live.

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::Response;
use sealog::{Filter, MAX_RULES, Rule, TimeRange};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::json;
use crate::app::Shared;
use crate::auth::{Asked, Caller, Operation};
use crate::body;
use crate::live::{self, Told};
use crate::problem::{Problem, ProblemBody};
use crate::query::Query;
use crate::schema::{FindingsBody, RuleBody, TimeRangeBody};

/// What is looked for.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = AnomalySearch)]
pub(super) struct Search {
    /// At most a hundred, each by a name of its own.
    #[schema(value_type = Vec<RuleBody>)]
    rules: Vec<Box<RawValue>>,
    /// From when to when; all of time unless given.
    #[serde(default = "all_of_time")]
    #[schema(value_type = Option<TimeRangeBody>)]
    range: TimeRange,
    /// Only what stands at the end of the range, which is now at the latest; else all that was found in it.
    #[serde(default)]
    standing: bool,
}

/// The largest body of this request, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// The rules, or which of them is wrong.
pub(super) fn rules(raw: &[Box<RawValue>]) -> Result<Vec<Rule>, Problem> {
    if raw.len() > MAX_RULES {
        let text = format!("these are {} rules; the limit is {MAX_RULES}", raw.len());
        return Err(Problem::argument("/rules", text));
    }
    let read = |place: usize| {
        let rule = Rule::from_json(raw[place].get());
        rule.map_err(|error| Problem::from(error).inside(&format!("/rules/{place}")))
    };
    (0..raw.len()).map(read).collect()
}

fn all_of_time() -> TimeRange {
    (..).into()
}

/// What the saved rules find
///
/// With `standing` what stands now, else all that was found in the range. Asked with `Accept: text/event-stream`,
/// it answers frames `findings`: what stands now, and again when that changes, by the rules as they were when the
/// stream began.
#[utoipa::path(
    get, path = "/v1/anomalies", operation_id = "getAnomalies", tag = "answers", security(("bearer" = [])),
    params(
        ("from" = Option<i64>, Query, description = "The first millisecond of the range, since the Unix epoch"),
        ("to" = Option<i64>, Query, description = "The first millisecond after it"),
        ("standing" = Option<bool>, Query, description = "Only what stands at the end of the range"),
    ),
    responses(
        (status = 200, description = "The findings", content(
            (FindingsBody = "application/json"), (String = "text/event-stream"))),
        (status = 400, description = "`invalid_argument`", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn saved_anomalies(State(app): State<Shared>, parts: Parts) -> Result<Response, Problem> {
    let caller = app.admit(&parts, Operation::read(Asked::Anomalies)).await?;
    let query = Query::without_filter(&parts, &["from", "to", "standing"])?;
    let (from, to) = (query.number("from")?.unwrap_or(i64::MIN), query.number("to")?.unwrap_or(i64::MAX));
    let standing = query.word("standing", &[("true", true), ("false", false)])?.unwrap_or(false);
    // The rules are the log's; what they find is of what the caller may see.
    let rules = app.in_time(app.log.settings()).await?.rules;
    answer(&app, &parts, &caller, &rules, (from..to).into(), standing).await
}

/// What rules find
///
/// Asked with `Accept: text/event-stream`, it answers frames `findings`: what stands now, and again when that
/// changes, at most four times a second.
#[utoipa::path(
    post, path = "/v1/anomalies", operation_id = "findAnomalies", tag = "answers", security(("bearer" = [])),
    request_body = Search,
    responses(
        (status = 200, description = "The findings", content(
            (FindingsBody = "application/json"), (String = "text/event-stream"))),
        (status = 400, description = "`invalid_argument`: the pointer names the rule and its field",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn find_anomalies(State(app): State<Shared>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = app.admit(&parts, Operation::read(Asked::Anomalies)).await?;
    Query::without_filter(&parts, &[])?;
    let search: Search = body::json(&app, &parts.headers, body, MAX_BYTES).await?;
    let rules = rules(&search.rules)?;
    answer(&app, &parts, &caller, &rules, search.range, search.standing)
        .await
        .map_err(|problem| if problem.body_pointer().is_some() { problem.inside("/rules") } else { problem })
}

async fn answer(
    app: &Shared,
    parts: &Parts,
    caller: &Caller,
    rules: &[Rule],
    range: TimeRange,
    standing: bool,
) -> Result<Response, Problem> {
    let view = caller.view(&app.log)?;
    if live::is_asked(parts) {
        let place = live::place(app, caller)?;
        let watch = view.watch_anomalies(rules)?;
        app.reads.note(caller, "anomalies", &Filter::new()).await?;
        return Ok(live::response(app, caller, place, Vec::new(), Told::new("findings", watch)));
    }
    let found = if standing {
        app.in_time(view.detect_anomalies(rules, range)).await?
    } else {
        app.in_time(view.backtest(rules, range)).await?
    };
    app.reads.note(caller, "anomalies", &Filter::new()).await?;
    json(&found)
}

#[cfg(test)]
mod tests {
    use crate::testing::Fixture;

    #[tokio::test]
    async fn rules_find_what_one_may_see() {
        let mut fixture = Fixture::filled().await;
        let rules = r#"{"rules": [{"name": "logins", "action": "user.login", "threshold": 2, "windowMs": 60000}]}"#;
        let all = fixture.tell("reader", "POST /v1/anomalies", rules).await;
        assert_eq!(all.json()["total"], 1);
        let one = fixture.tell("acme", "POST /v1/anomalies", rules).await;
        assert_eq!(one.json()["total"], 0);
        let standing = rules.replace("]}", "], \"standing\": true}");
        fixture.tell("reader", "POST /v1/anomalies", &standing).await;
        let wrong = r#"{"rules": [{"name": "x", "threshold": 0, "windowMs": 1}]}"#;
        fixture.tell("reader", "POST /v1/anomalies", wrong).await;
        fixture.tell("reader", "POST /v1/anomalies", r#"{"rule": []}"#).await;
        fixture.tell("reader", "POST /v1/anomalies\ncontent-type: text/plain", "x").await;
        fixture.matches("anomalies").await;
    }
}
