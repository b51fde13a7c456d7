//! `GET /v1/stats`: counts, once or live.

use axum::extract::State;
use axum::http::request::Parts;
use axum::response::Response;

use super::json;
use crate::app::Shared;
use crate::auth::{Asked, Operation};
use crate::live::{self, Told};
use crate::problem::{Problem, ProblemBody};
use crate::query::Query;
use crate::schema::{FilterParams, StatsBody};

/// Statistics
///
/// By severity, over time, and the most frequent actions and actors; exact at every size. Asked with
/// `Accept: text/event-stream`, it answers frames `stats`: what there is, and again when it changes, at most
/// four times a second.
#[utoipa::path(
    get, path = "/v1/stats", operation_id = "getStats", tag = "answers", security(("bearer" = [])),
    params(
        FilterParams,
        ("top" = Option<u16>, Query, description = "How long the top lists are: 10 unless given, at most 1,000"),
        ("bucketMs" = Option<i64>, Query,
            description = "How long a bucket of the series is, in milliseconds; chosen to read well unless given"),
    ),
    responses(
        (status = 200, description = "The statistics", content(
            (StatsBody = "application/json"), (String = "text/event-stream"))),
        (status = 400, description = "`invalid_argument`", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_stats(State(app): State<Shared>, parts: Parts) -> Result<Response, Problem> {
    let caller = app.admit(&parts, Operation::read(Asked::Stats)).await?;
    let query = Query::read(&parts, &["top", "bucketMs"], app.now_ms())?;
    let (range, options) = query.stats()?;
    let view = caller.view(&app.log)?;
    if live::is_asked(&parts) {
        let place = live::place(&app, &caller)?;
        let watch = view.watch_stats(range, &query.filter, &options)?;
        app.reads.note(&caller, "stats", &query.filter).await?;
        return Ok(live::response(&app, &caller, place, Vec::new(), Told::new("stats", watch)));
    }
    let answer = app.in_time(view.stats(range, &query.filter, &options)).await?;
    app.reads.note(&caller, "stats", &query.filter).await?;
    json(&answer)
}

#[cfg(test)]
mod tests {
    use crate::testing::Fixture;

    #[tokio::test]
    async fn statistics_are_of_what_one_may_see() {
        let mut fixture = Fixture::filled().await;
        fixture.tell("acme", "GET /v1/stats?bucketMs=60000&top=1", "").await;
        fixture
            .tell(
                "globex",
                "GET /v1/stats?severities=warning&fromTimestamp=1767222000000&toTimestamp=1767225600000",
                "",
            )
            .await;
        fixture.tell("acme", "GET /v1/stats?top=1001", "").await;
        fixture.tell("acme", "GET /v1/stats?bucketMs=0", "").await;
        fixture.matches("stats").await;
    }
}
