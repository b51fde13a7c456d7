//! Around every request: its id, its line in the server's own log, its place in the metrics.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

use crate::app::Shared;
use crate::limits::MAX_REQUEST_ID_BYTES;
use crate::problem::{Code, Problem, Told};

const REQUEST_ID: &str = "x-request-id";

/// Handles a request.
pub(crate) async fn around(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request_id(request.headers()).unwrap_or_else(|| app.log.new_id());
    let method = request.method().clone();
    // The route, and not the address, which may hold what people asked for.
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = route.unwrap_or_else(|| "unknown".to_owned());
    let mut response = if app.is_stopping() && !route.ends_with("/healthz") && !route.ends_with("/readyz") {
        Problem::new(Code::Stopping, "the server is stopping; send it again to the one that comes after")
            .retry_after(1)
            .into_response()
    } else {
        next.run(request).await
    };
    let (status, took) = (response.status().as_u16(), began.elapsed());
    let known = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"];
    let method = known.into_iter().find(|known| *known == method.as_str()).unwrap_or("OTHER");
    app.metrics.request(&format!("{method} {route}"), status, took);
    let told = response.extensions_mut().remove::<Told>().map(|Told(told)| told).unwrap_or_default();
    let ms = took.as_micros() as f64 / 1e3;
    if status >= 500 {
        tracing::error!(request = id, method, route, status, ms, problem = told, "request");
    } else {
        tracing::info!(request = id, method, route, status, ms, problem = told, "request");
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// The client's id of the request, where it is one that cannot be mistaken for anything else.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    ((1..=MAX_REQUEST_ID_BYTES).contains(&id.len()) && id.bytes().all(is_plain)).then(|| id.to_owned())
}
