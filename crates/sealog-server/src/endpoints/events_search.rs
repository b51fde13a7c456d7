//! `GET /v1/events`: events by a filter, as a page, as a poll, or live.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::Response;
use sealog::{AuditLog, EventPage, MAX_PAGE_EVENTS, PageOptions, Record};

use super::json_text;
use crate::app::{App, Shared};
use crate::auth::{Asked, Operation};
use crate::live::{self, frame};
use crate::problem::{Problem, ProblemBody};
use crate::query::Query;
use crate::schema::{EventPageBody, FilterParams, PageParams};

/// Find events
///
/// Three ways by one address:
///
/// - **A page**, the newest first, and on with `cursor`: pages neither shift nor repeat while events arrive.
/// - **A poll**, with `afterSeq`: events in the order of `seq`, none left out, from the one after it. `afterSeq`
///   of the answer is what to ask with next; begin with -1.
/// - **Live**, with `Accept: text/event-stream`: a frame `snapshot` with the first page, and then a frame
///   `event` for each that comes, whose id is its seq. With `Last-Event-ID`, or `afterSeq`, the stream goes
///   on there instead, without gap or repeat.
#[utoipa::path(
    get, path = "/v1/events", operation_id = "searchEvents", tag = "events", security(("bearer" = [])),
    params(
        FilterParams,
        PageParams,
        ("afterSeq" = Option<i64>, Query, description = "Events after this seq, in order; -1 for the first"),
        ("Last-Event-ID" = Option<i64>, Header, description = "Of a live stream: the id of the last frame"),
    ),
    responses(
        (status = 200, description = "The events", content(
            (EventPageBody = "application/json"), (String = "text/event-stream"))),
        (status = 400, description = "`invalid_argument`: the pointer names the parameter", body = ProblemBody,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn search_events(State(app): State<Shared>, parts: Parts) -> Result<Response, Problem> {
    let caller = app.admit(&parts, Operation::read(Asked::Events)).await?;
    let query = Query::read(&parts, &["limit", "order", "cursor", "afterSeq"], app.now_ms())?;
    let page = query.page()?;
    let after_seq = query.number::<i64>("afterSeq")?.map(|seq| next_after(seq, "/afterSeq")).transpose()?;
    if after_seq.is_some() && (query.text("cursor").is_some() || query.text("order").is_some()) {
        return Err(Problem::argument("/afterSeq", "this asks in the order of seq; leave out `cursor` and `order`"));
    }
    let view = caller.view(&app.log)?;
    if live::is_asked(&parts) {
        let place = live::place(&app, &caller)?;
        let (first, next) = if let Some(next) = last_event_id(&parts.headers)?.or(after_seq) {
            (Vec::new(), next)
        } else {
            let (snapshot, size) = snapshot(&app, &view, &query, &page).await?;
            (vec![frame::frame("snapshot", Some(size as i64 - 1), &snapshot)], size)
        };
        app.reads.note(&caller, "stream", &query.filter).await?;
        let events = app.hub.watch(view, query.filter, next)?;
        return Ok(live::response(&app, &caller, place, first, events));
    }
    let answer = match after_seq {
        Some(next) => {
            if page.limit > MAX_PAGE_EVENTS {
                let text = format!("the limit is from 1 to {MAX_PAGE_EVENTS}, and this is {}", page.limit);
                return Err(Problem::argument("/limit", text));
            }
            let found = app.in_time(view.select(&query.filter, next, page.limit)).await?;
            page_json(&found.events, &format!(",\"afterSeq\":{}", found.next_seq as i64 - 1))
        }
        None => search_json(&app.in_time(view.search(&query.filter, &page)).await?),
    };
    app.reads.note(&caller, "events", &query.filter).await?;
    Ok(json_text(answer))
}

/// The first page as of one size of the log, and that size: what comes later is told later.
async fn snapshot(app: &App, view: &AuditLog, query: &Query, page: &PageOptions) -> Result<(String, u64), Problem> {
    let size = app.in_time(app.log.head()).await?.size;
    let mut found = app.in_time(view.search(&query.filter, page)).await?;
    found.events.retain(|record| record.seq() < size);
    Ok((search_json(&found), size))
}

pub(super) fn search_json(page: &EventPage) -> String {
    let cursor = page.next_cursor.as_ref().map(|cursor| format!(",\"nextCursor\":\"{cursor}\"")).unwrap_or_default();
    page_json(&page.events, &format!(",\"hasMore\":{}{cursor}", page.has_more))
}

/// Events in the very bytes that were sealed.
fn page_json(events: &[Record], rest: &str) -> String {
    let mut json =
        String::with_capacity(events.iter().map(|record| record.canonical_json().len() + 1).sum::<usize>() + 64);
    json.push_str("{\"events\":[");
    for (index, record) in events.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        json.push_str(record.canonical_json());
    }
    json.push(']');
    json.push_str(rest);
    json.push('}');
    json
}

/// The seq that comes after this one.
fn next_after(seq: i64, pointer: &str) -> Result<u64, Problem> {
    let wrong = || Problem::argument(pointer, format!("{seq} is no seq; the least is -1, for all events"));
    seq.checked_add(1).and_then(|next| u64::try_from(next).ok()).ok_or_else(wrong)
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let seq = value.to_str().ok().and_then(|text| text.trim().parse::<i64>().ok());
    let seq = seq.ok_or_else(|| Problem::argument("/Last-Event-ID", "this is no id of a frame of this stream"))?;
    next_after(seq, "/Last-Event-ID").map(Some)
}

#[cfg(test)]
mod tests {
    use crate::testing::Fixture;

    #[tokio::test]
    async fn events_are_found_in_three_ways() {
        let mut fixture = Fixture::filled().await;
        let page = fixture.tell("reader", "GET /v1/events?limit=2&tenant=acme", "").await;
        assert_eq!(page.json()["events"].as_array().map(Vec::len), Some(2));
        let first = fixture.tell("reader", "GET /v1/events?limit=1&q=actor:ada,mallory", "").await.json();
        let cursor = first["nextCursor"].as_str().expect("there is more");
        fixture.tell("reader", &format!("GET /v1/events?limit=1&q=actor:ada,mallory&cursor={cursor}"), "").await;
        fixture.tell("reader", "GET /v1/events?afterSeq=7&limit=2", "").await;
        fixture.tell("reader", "GET /v1/events?afterSeq=-1&actions=user.login.failed", "").await;
        fixture.tell("reader", "GET /v1/events?actr=x", "").await;
        fixture.tell("reader", "GET /v1/events?limit=1001", "").await;
        fixture.tell("reader", "GET /v1/events?limit=two", "").await;
        fixture.tell("reader", "GET /v1/events?q=actor:%22x", "").await;
        fixture.tell("reader", "GET /v1/events?tenant=%FF", "").await;
        fixture.tell("reader", "GET /v1/events?afterSeq=-2", "").await;
        fixture.tell("reader", "GET /v1/events?afterSeq=1&limit=1001", "").await;
        fixture.tell("reader", "GET /v1/events?afterSeq=1&cursor=x", "").await;
        fixture.tell("writer", "GET /v1/events", "").await;
        fixture.tell("", "GET /v1/events", "").await;
        fixture.tell("reader", "DELETE /v1/events", "").await;
        fixture.matches("events_search").await;
    }
}
