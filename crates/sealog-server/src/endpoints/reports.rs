//! `POST /v1/reports`: what a filter selects, as a download.

use std::io::{self, Write};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use futures_util::stream::unfold;
use sealog::{ReportFormat, ReportOptions, TimeRange};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::{Asked, Operation};
use crate::body;
use crate::problem::{Problem, ProblemBody};
use crate::query::Query;
use crate::schema::{FilterBody, RuleBody, TimeRangeBody};

/// Pieces of a report on their way to the client, of 64 KiB each.
const PIECES_AHEAD: usize = 4;

/// A report to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MakeReport {
    /// `json`, `ndjson`, `csv`, `html`, or `parquet` where the server was built with it.
    #[schema(value_type = String)]
    format: ReportFormat,
    /// From when to when; all of time unless given.
    #[serde(default = "all_of_time")]
    #[schema(value_type = Option<TimeRangeBody>)]
    range: TimeRange,
    /// Which events; all of them unless given.
    #[schema(value_type = Option<FilterBody>)]
    filter: Option<Box<RawValue>>,
    /// What of each event, in this order: `time`, `actorId`, `metadata.method`, …
    #[serde(default)]
    fields: Vec<String>,
    /// Puts the rows with equal values in these fields together.
    #[serde(default)]
    group_by: Vec<String>,
    /// What these rules find among the events of the report is told in it.
    #[serde(default)]
    #[schema(value_type = Option<Vec<RuleBody>>)]
    rules: Vec<Box<RawValue>>,
    /// Who asks, where a service asks for somebody: the actor of the report's event. The caller unless given.
    requested_by: Option<String>,
}

fn all_of_time() -> TimeRange {
    (..).into()
}

/// Make a report
///
/// All that is selected, however much, from one state of the log, sealed by its checkpoint. It is an event of
/// the log itself, `sealog.report.generated`, with the SHA-256 of what was sent. docs/REPORTS.md tells the
/// formats.
#[utoipa::path(
    post, path = "/v1/reports", operation_id = "makeReport", tag = "answers", security(("bearer" = [])),
    request_body = MakeReport,
    responses(
        (status = 200, description = "The report, as it is written", content(
            (String = "application/json"), (String = "application/x-ndjson"), (String = "text/csv"),
            (String = "text/html"), (Vec<u8> = "application/vnd.apache.parquet"))),
        (status = 400, description = "`invalid_argument`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`limit_exceeded`: too many groups", body = ProblemBody,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn make_report(State(app): State<Shared>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = app.admit(&parts, Operation::read(Asked::Report)).await?;
    Query::without_filter(&parts, &[])?;
    let asked: MakeReport = body::json(&app, &parts.headers, body, app.options.limits.max_event_bytes).await?;
    let view = caller.view(&caller.acting(&app.log))?;
    let format = asked.format;
    let filter = asked.filter.map(|filter| body::filter(&filter, "/filter")).transpose()?.unwrap_or_default();
    // Who holds a key may ask for others; who is somebody cannot be somebody else.
    let by = asked.requested_by.filter(|_| caller.actor.kind == "api_key").unwrap_or_else(|| caller.actor.id.clone());
    let rules = super::anomalies::rules(&asked.rules)?;
    let mut options = ReportOptions::new(format)
        .range(asked.range)
        .filter(filter)
        .fields(asked.fields)
        .group_by(asked.group_by)
        .requested_by(by);
    options.rules = rules;

    let (sender, mut pieces) = mpsc::channel(PIECES_AHEAD);
    let report = tokio::spawn(async move { view.generate_report(&options, Pieces(sender), |_| {}).await });
    // What goes wrong before anything is written is an answer of its own.
    let first = pieces.recv().await;
    let report = if first.is_some() {
        Some(report)
    } else {
        report.await.map_err(Problem::internal)??;
        None
    };
    let rest = unfold((pieces, report), |(mut pieces, report)| async move {
        if let Some(piece) = pieces.recv().await {
            return Some((Ok(piece), (pieces, report)));
        }
        let failed = match report?.await {
            Ok(Ok(_)) => return None,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        // The connection breaks off, so that nobody takes a part for the whole.
        tracing::error!(error = failed, "a report broke off");
        Some((Err(io::Error::other(failed)), (pieces, None)))
    });
    let body = Body::from_stream(futures_util::stream::iter(first.map(Ok)).chain(rest));
    let (kind, name) = match format.as_str() {
        "json" => ("application/json", "attachment; filename=\"report.json\""),
        "ndjson" => ("application/x-ndjson", "attachment; filename=\"report.ndjson\""),
        "csv" => ("text/csv; charset=utf-8; header=present", "attachment; filename=\"report.csv\""),
        "parquet" => ("application/vnd.apache.parquet", "attachment; filename=\"report.parquet\""),
        _ => ("text/html; charset=utf-8", "attachment; filename=\"report.html\""),
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static(name)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // What events hold is text in a report; should that ever fail, nothing runs.
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox"),
        ),
    ];
    Ok((headers, body).into_response())
}

/// Sends what is written to the client, as fast as they take it.
struct Pieces(mpsc::Sender<Bytes>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .blocking_send(Bytes::copy_from_slice(bytes))
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the client has gone"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use sealog::Event;
    use sealog::rusqlite::Connection;
    use serde_json::Value;
    use sha2::{Digest as _, Sha256};

    use crate::testing::{Answer, Fixture};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_report_that_breaks_off_is_not_taken_for_a_whole_one() {
        let fixture = Fixture::new().await;
        for _ in 0..5 {
            let events = (0..2_000).map(|_| Event::new("a.b").actor("x".repeat(400)));
            fixture.log.log_bulk(events.collect()).await.unwrap();
        }
        let damage = "UPDATE frame SET bodies = x'00' WHERE seq = (SELECT max(seq) FROM frame WHERE seq < 9000)";
        assert_eq!(Connection::open(fixture.path()).unwrap().execute(damage, []).unwrap(), 1);
        for format in ["json", "ndjson", "csv"] {
            let body = format!(r#"{{"format": "{format}", "filter": {{"actions": ["a.b"]}}}}"#);
            let request = fixture.request("reader", "POST /v1/reports\ncontent-type: application/json", body);
            let answer = fixture.send(request).await;
            assert_eq!(answer.status(), 200);
            assert!(answer.into_body().collect().await.is_err(), "{format}");
        }
    }

    /// The ids in a report of nothing else.
    fn ids(format: &str, answer: &Answer) -> Vec<String> {
        let id = |row: &Value| row["id"].as_str().map(ToOwned::to_owned);
        match format {
            "json" => answer.json()["rows"].as_array().unwrap().iter().filter_map(id).collect(),
            "ndjson" => answer.text().lines().filter_map(|line| id(&serde_json::from_str(line).unwrap())).collect(),
            "csv" => answer.text().lines().skip(1).map(ToOwned::to_owned).collect(),
            "html" => {
                let text = answer.text();
                let cells = text.split("<td>").skip(1).filter_map(|cell| Some(cell.split_once("</td>")?.0.to_owned()));
                cells.collect()
            }
            #[cfg(feature = "parquet")]
            "parquet" => {
                use parquet::file::reader::{FileReader as _, SerializedFileReader};
                use parquet::record::RowAccessor as _;
                let file = SerializedFileReader::new(answer.body.clone()).unwrap();
                let rows = file.get_row_iter(None).unwrap();
                rows.map(|row| row.unwrap().get_string(0).unwrap().clone()).collect()
            }
            other => panic!("{other} is not read here"),
        }
    }

    #[tokio::test]
    async fn each_format_holds_what_one_may_see_and_the_log_vouches_for_it() {
        let mut fixture = Fixture::filled().await;
        let body = r#"{"scope": {"actorIds": ["grace", "ada"]}}"#;
        let minted = fixture.ask("acme", "POST /v1/tokens\ncontent-type: application/json", body).await;
        fixture.keys.push(("token", minted.json()["token"].as_str().unwrap().to_owned()));
        for (format, kind) in [
            ("json", "application/json"),
            ("ndjson", "application/x-ndjson"),
            ("csv", "text/csv; charset=utf-8; header=present"),
            ("html", "text/html; charset=utf-8"),
            #[cfg(feature = "parquet")]
            ("parquet", "application/vnd.apache.parquet"),
        ] {
            for (who, filter, expected) in [
                ("reader", r#"{"actions": ["user.*", "invoice.*"]}"#, &["e-0", "e-1", "e-2", "e-3"][..]),
                ("acme", "{}", &["e-0", "e-1"]),
                ("globex", r#"{"severities": ["warning"]}"#, &["e-2"]),
                ("globex", r#"{"tenant": "acme"}"#, &[]),
                ("token", "{}", &["e-0", "e-1"]),
            ] {
                let body = format!(r#"{{"format": "{format}", "filter": {filter}, "fields": ["id"]}}"#);
                let answer = fixture.ask(who, "POST /v1/reports\ncontent-type: application/json", body).await;
                assert_eq!((answer.status.as_u16(), &answer.headers["content-type"]), (200, &kind.parse().unwrap()));
                let name = format!("attachment; filename=\"report.{format}\"");
                assert_eq!(answer.headers["content-disposition"], name);
                assert_eq!(ids(format, &answer), expected, "{who} {filter} {format}");
                let newest = "GET /v1/events?actions=sealog.report.generated&limit=1";
                let told = fixture.ask("reader", newest, "").await.json()["events"][0]["metadata"].clone();
                let sha256 = format!("{:x}", Sha256::digest(&answer.body));
                assert_eq!((&told["format"], &told["sha256"]), (&format.into(), &sha256.into()), "{who} {filter}");
            }
        }
        fixture.check().await;
    }

    #[tokio::test]
    async fn a_report_is_a_download_in_each_format() {
        let mut fixture = Fixture::filled().await;
        for format in ["json", "ndjson", "csv"] {
            let body = format!(
                r#"{{"format": "{format}", "filter": {{"tenant": "acme"}}, "fields": ["time", "actorId", "after.paid"]}}"#
            );
            fixture.tell("reader", "POST /v1/reports", &body).await;
        }
        let html =
            fixture.ask("acme", "POST /v1/reports\ncontent-type: application/json", r#"{"format": "html"}"#).await;
        assert!(html.text().contains("ada") && !html.text().contains("grace"));
        assert!(html.headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
        fixture.tell("reader", "POST /v1/reports", r#"{"format": "csv", "fields": ["colour.", ""]}"#).await;
        fixture.tell("reader", "POST /v1/reports", r#"{"format": "pdf"}"#).await;
        fixture.tell("reader", "POST /v1/reports", r#"{"format": "json", "filter": {"text": "\"x"}}"#).await;
        fixture.tell("reader", "GET /v1/events?actions=sealog.report.generated&order=oldestFirst&limit=1", "").await;
        fixture.matches("reports").await;
    }
}
