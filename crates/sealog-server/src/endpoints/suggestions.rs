//! `GET /v1/suggestions`: values that a field has, to choose from.

use axum::extract::State;
use axum::http::request::Parts;
use axum::response::Response;
use sealog::{Filter, SuggestField};
use serde::Serialize;
use utoipa::ToSchema;

use super::json;
use crate::app::Shared;
use crate::auth::{Asked, Operation};
use crate::problem::{Problem, ProblemBody};
use crate::query::Query;
use crate::schema::TopEntryBody;

const FIELDS: [(&str, SuggestField); 7] = [
    ("action", SuggestField::Action),
    ("actorId", SuggestField::ActorId),
    ("actorType", SuggestField::ActorType),
    ("resourceType", SuggestField::ResourceType),
    ("tag", SuggestField::Tag),
    ("tenant", SuggestField::Tenant),
    ("retentionCategory", SuggestField::RetentionCategory),
];

#[derive(Serialize, ToSchema)]
pub(super) struct Suggestions {
    /// The values with their counts, the most frequent first.
    #[schema(value_type = Vec<TopEntryBody>)]
    suggestions: Vec<sealog::TopEntry>,
}

/// Values that a field has
///
/// Of the events that the caller may see, with how many have each.
#[utoipa::path(
    get, path = "/v1/suggestions", operation_id = "getSuggestions", tag = "answers", security(("bearer" = [])),
    params(
        ("field" = String, Query, description = "`action`, `actorId`, `actorType`, `resourceType`, `tag`, `tenant` or \
            `retentionCategory`"),
        ("prefix" = Option<String>, Query, description = "What the values begin with"),
        ("limit" = Option<u16>, Query, description = "How many, 1 to 1,000; 20 unless given"),
    ),
    responses(
        (status = 200, description = "The values", body = Suggestions),
        (status = 400, description = "`invalid_argument`", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_suggestions(State(app): State<Shared>, parts: Parts) -> Result<Response, Problem> {
    let caller = app.admit(&parts, Operation::read(Asked::Suggestions)).await?;
    let query = Query::without_filter(&parts, &["field", "prefix", "limit"])?;
    let field = query.word("field", &FIELDS)?;
    let field = field.ok_or_else(|| Problem::argument("/field", "say of which field, as in field=action"))?;
    let limit = query.number("limit")?.unwrap_or(20);
    let view = caller.view(&app.log)?;
    let suggestions = app.in_time(view.suggest(field, query.text("prefix").unwrap_or_default(), limit)).await?;
    app.reads.note(&caller, "suggestions", &Filter::new()).await?;
    json(&Suggestions { suggestions })
}

#[cfg(test)]
mod tests {
    use crate::testing::Fixture;

    #[tokio::test]
    async fn values_are_of_what_one_may_see() {
        let mut fixture = Fixture::filled().await;
        fixture.tell("reader", "GET /v1/suggestions?field=actorId&prefix=m", "").await;
        fixture.tell("acme", "GET /v1/suggestions?field=actorId", "").await;
        fixture.tell("acme", "GET /v1/suggestions?field=colour", "").await;
        fixture.tell("acme", "GET /v1/suggestions", "").await;
        fixture.matches("suggestions").await;
    }
}
