//! Around every request: its id, its line in the server's own log, its place in the metrics.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

use crate::app::Shared;
use crate::limits::MAX_REQUEST_ID_BYTES;
use crate::problem::{Code, Problem, Told};

const REQUEST_ID: &str = "x-request-id";

/// A request, which is counted and told when it is dropped: when its answer has ended, or when nobody waits for it any
/// more.
struct InFlight {
    app: Shared,
    began: Instant,
    id: String,
    method: &'static str,
    route: String,
    /// ` poll` or ` live`, where an address can be asked in these ways too.
    way: &'static str,
    status: u16,
    problem: String,
}

/// The status of a request whose client did not wait for the head of its answer: nginx's.
const CLIENT_GONE: u16 = 499;

impl Drop for InFlight {
    fn drop(&mut self) {
        let Self { app, began, id, method, route, way, status, problem } = self;
        let took = began.elapsed();
        app.metrics.request(&format!("{method} {route}{way}"), *status, took);
        let ms = took.as_micros() as f64 / 1e3;
        if *status >= 500 {
            tracing::error!(request = id, method, route, status, ms, problem, "request");
        } else {
            tracing::info!(request = id, method, route, status, ms, problem, "request");
        }
    }
}

/// The body of an answer, as long as it is sent.
struct Sent {
    body: Body,
    _in_flight: InFlight,
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Handles a request.
pub(crate) async fn around(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let known = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"];
    // The route, and not the address, which may hold what people asked for.
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str);
    let is_poll = request.uri().query().is_some_and(|query| query.split('&').any(|one| one.starts_with("afterSeq=")));
    let mut in_flight = InFlight {
        began: Instant::now(),
        id: request_id(request.headers()).unwrap_or_else(|| app.log.new_id()),
        method: known.into_iter().find(|known| *known == request.method().as_str()).unwrap_or("OTHER"),
        route: route.to_owned(),
        way: if is_poll { " poll" } else { "" },
        status: CLIENT_GONE,
        problem: String::new(),
        app: app.clone(),
    };
    let mut response = if app.is_stopping() && !route.ends_with("/healthz") && !route.ends_with("/readyz") {
        Problem::new(Code::Stopping, "the server is stopping; send it again to the one that comes after")
            .retry_after(1)
            .into_response()
    } else {
        next.run(request).await
    };
    in_flight.status = response.status().as_u16();
    in_flight.problem = response.extensions_mut().remove::<Told>().map(|Told(told)| told).unwrap_or_default();
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&in_flight.id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    if headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream") {
        // It ends when somebody closes it, so what counts is when it began.
        in_flight.way = " live";
        return response;
    }
    response.map(|body| Body::new(Sent { body, _in_flight: in_flight }))
}

/// The client's id of the request, where it is one that cannot be mistaken for anything else.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    ((1..=MAX_REQUEST_ID_BYTES).contains(&id.len()) && id.bytes().all(is_plain)).then(|| id.to_owned())
}
