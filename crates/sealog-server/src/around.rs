//! Around every request: its id, its line in the server's own log, its place in the metrics.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

use crate::app::Shared;
use crate::limits::MAX_REQUEST_ID_BYTES;
use crate::problem::{Code, Problem, Told};

const REQUEST_ID: &str = "x-request-id";

/// Of a response: which of the ways it is that one address can be asked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// In the order of `seq`, from one on.
    Poll,
    /// A stream that goes on. It is counted and told when it begins.
    Live,
}

/// A request, which is counted and told when it is dropped: when its answer has ended, or nobody takes it any more.
struct Asked {
    app: Shared,
    began: Instant,
    id: String,
    method: &'static str,
    route: String,
    way: Option<Way>,
    status: u16,
    problem: String,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let Self { app, began, id, method, route, way, status, problem } = self;
        let took = began.elapsed();
        let way = match way {
            None => "",
            Some(Way::Poll) => " poll",
            Some(Way::Live) => " live",
        };
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
    _asked: Asked,
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
    let known = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"];
    let method = known.into_iter().find(|known| *known == method.as_str()).unwrap_or("OTHER");
    let way = response.extensions_mut().remove::<Way>();
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    let problem = response.extensions_mut().remove::<Told>().map(|Told(told)| told).unwrap_or_default();
    let asked = Asked { status: response.status().as_u16(), app, began, id, method, route, way, problem };
    if way == Some(Way::Live) {
        return response;
    }
    response.map(|body| Body::new(Sent { body, _asked: asked }))
}

/// The client's id of the request, where it is one that cannot be mistaken for anything else.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    ((1..=MAX_REQUEST_ID_BYTES).contains(&id.len()) && id.bytes().all(is_plain)).then(|| id.to_owned())
}
