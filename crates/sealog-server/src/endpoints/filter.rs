//! `GET /v1/filter`: a filter as people write it, as one for programs.

use axum::extract::State;
use axum::http::request::Parts;
use axum::response::Response;

use super::json;
use crate::app::Shared;
use crate::auth::{Asked, Operation};
use crate::problem::{Problem, ProblemBody};
use crate::query::Query;
use crate::schema::{FilterBody, FilterParams};

/// A filter, taken apart
///
/// What is written in `q` and the other parameters, as the bodies of other requests take it: of reports, rules, holds
/// and scopes. An age such as `since:7d` is counted from now.
#[utoipa::path(
    get, path = "/v1/filter", operation_id = "parseFilter", tag = "answers", security(("bearer" = [])),
    params(FilterParams),
    responses(
        (status = 200, description = "The filter", body = FilterBody),
        (status = 400, description = "`invalid_argument`: the pointer names the parameter", body = ProblemBody,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn parse_filter(State(app): State<Shared>, parts: Parts) -> Result<Response, Problem> {
    app.admit(&parts, Operation::read(Asked::Events)).await?;
    json(&Query::read(&parts, &[], app.now_ms())?.filter)
}

#[cfg(test)]
mod tests {
    use crate::testing::Fixture;

    #[tokio::test]
    async fn what_is_written_is_taken_apart() {
        let mut fixture = Fixture::new().await;
        fixture.tell("reader", "GET /v1/filter?q=actor:ada+severity%3E%3Dwarning+since:1h+reset&tenant=acme", "").await;
        fixture.tell("reader", "GET /v1/filter", "").await;
        fixture.tell("reader", "GET /v1/filter?q=actr:ada", "").await;
        fixture.matches("filter").await;
    }
}
