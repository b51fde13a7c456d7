//! Errors as clients get them: `application/problem+json` (RFC 9457) with a stable `code`.

use std::borrow::Cow;
use std::fmt;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sealog::ErrorKind;
use serde::Serialize;
use utoipa::ToSchema;

/// What goes wrong here, before the log is asked. The log's own kinds are in its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The body is no JSON, or the request no proper one.
    Malformed,
    /// Neither a key nor a token, or one that is not valid.
    Unauthenticated,
    /// The key, the token or the user may not do this.
    Forbidden,
    /// There is nothing at this address.
    NoRoute,
    /// Not with this method.
    MethodNotAllowed,
    /// The client accepts nothing that can be answered.
    NotAcceptable,
    /// The body did not come in time.
    BodyTimeout,
    /// It cannot be done as things stand.
    Conflict,
    /// The body or one line of it is too large.
    TooLarge,
    /// The body is of a type or an encoding that is not taken.
    UnsupportedMediaType,
    /// Too many requests.
    RateLimited,
    /// Too many live streams.
    TooManyStreams,
    /// Something is broken in the server.
    Internal,
    /// Too much at once for the server's memory.
    Overloaded,
    /// The server is stopping.
    Stopping,
    /// The question took too long.
    TimedOut,
}

/// The table: code, word, status.
const CODES: [(Code, &str, StatusCode); 16] = [
    (Code::Malformed, "malformed", StatusCode::BAD_REQUEST),
    (Code::Unauthenticated, "unauthenticated", StatusCode::UNAUTHORIZED),
    (Code::Forbidden, "forbidden", StatusCode::FORBIDDEN),
    (Code::NoRoute, "no_route", StatusCode::NOT_FOUND),
    (Code::MethodNotAllowed, "method_not_allowed", StatusCode::METHOD_NOT_ALLOWED),
    (Code::NotAcceptable, "not_acceptable", StatusCode::NOT_ACCEPTABLE),
    (Code::BodyTimeout, "body_timeout", StatusCode::REQUEST_TIMEOUT),
    (Code::Conflict, "conflict", StatusCode::CONFLICT),
    (Code::TooLarge, "too_large", StatusCode::PAYLOAD_TOO_LARGE),
    (Code::UnsupportedMediaType, "unsupported_media_type", StatusCode::UNSUPPORTED_MEDIA_TYPE),
    (Code::RateLimited, "rate_limited", StatusCode::TOO_MANY_REQUESTS),
    (Code::TooManyStreams, "too_many_streams", StatusCode::TOO_MANY_REQUESTS),
    (Code::Internal, "internal", StatusCode::INTERNAL_SERVER_ERROR),
    (Code::Overloaded, "overloaded", StatusCode::SERVICE_UNAVAILABLE),
    (Code::Stopping, "stopping", StatusCode::SERVICE_UNAVAILABLE),
    (Code::TimedOut, "timed_out", StatusCode::SERVICE_UNAVAILABLE),
];

impl Code {
    /// All codes.
    pub fn all() -> impl Iterator<Item = Self> {
        CODES.iter().map(|row| row.0)
    }

    fn row(self) -> &'static (Code, &'static str, StatusCode) {
        CODES.iter().find(|row| row.0 == self).expect("every code has its row")
    }

    /// The word in `code`.
    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    /// The HTTP status.
    pub fn status(self) -> u16 {
        self.row().2.as_u16()
    }
}

/// An error, as a response.
pub(crate) struct Problem(Box<Inner>);

struct Inner {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    pointer: Option<String>,
    retry_after_s: Option<u64>,
    /// What only the server's own log is told.
    internal: Option<String>,
}

/// `application/problem+json` (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// Always `about:blank`: the kind of problem is `code`.
    r#type: &'static str,
    /// The HTTP status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What went wrong, for programs: a stable word such as `invalid_event`.
    code: &'static str,
    /// What went wrong, where, and what to do, for people.
    detail: String,
    /// Which part of what was sent is wrong, as a JSON Pointer (RFC 6901) into the body, or of the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let (_, word, status) = *code.row();
        let detail = detail.into();
        Self(Box::new(Inner { status, code: word, detail, pointer: None, retry_after_s: None, internal: None }))
    }

    /// A wrong argument of the request.
    pub(crate) fn argument(pointer: impl Into<String>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::of_kind(ErrorKind::InvalidArgument, detail).at(pointer)
    }

    pub(crate) fn of_kind(kind: ErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        let status = StatusCode::from_u16(kind.http_status()).expect("the table holds statuses");
        let mut problem = Self::new(Code::Internal, detail);
        (problem.0.status, problem.0.code) = (status, kind.code());
        problem
    }

    /// Something that is this program's fault, of which only its own log is told.
    pub(crate) fn internal(what: impl fmt::Display) -> Self {
        let mut problem = Self::new(Code::Internal, "something is broken in the server; its own log says what");
        problem.0.internal = Some(what.to_string());
        problem
    }

    pub(crate) fn at(mut self, pointer: impl Into<String>) -> Self {
        self.0.pointer = Some(pointer.into());
        self
    }

    /// Puts `prefix` before the pointer.
    pub(crate) fn inside(mut self, prefix: &str) -> Self {
        self.0.pointer = Some(format!("{prefix}{}", self.0.pointer.as_deref().unwrap_or_default()));
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    pub(crate) fn code(&self) -> &'static str {
        self.0.code
    }

    pub(crate) fn body_pointer(&self) -> Option<&str> {
        self.0.pointer.as_deref()
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    pub(crate) fn body(&self) -> ProblemBody {
        ProblemBody {
            r#type: "about:blank",
            title: self.0.status.canonical_reason().unwrap_or_default(),
            status: self.0.status.as_u16(),
            code: self.0.code,
            detail: self.0.detail.clone().into_owned(),
            pointer: self.0.pointer.clone().filter(|pointer| !pointer.is_empty()),
        }
    }

    pub(crate) fn json(&self) -> String {
        serde_json::to_string(&self.body()).unwrap_or_default()
    }

    /// What the server's own log says.
    pub(crate) fn told(&self) -> &str {
        self.0.internal.as_deref().unwrap_or(self.0.code)
    }
}

/// What clients learn of what is wrong inside: never the text, which may name paths, places and values.
fn inner(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::Integrity => "the log is not what was sealed; `sealog verify` on the server says where",
        ErrorKind::Key => "the log's key is missing or wrong; the server's own log says more",
        ErrorKind::Format => "the log's file cannot be used; the server's own log says more",
        ErrorKind::Busy => {
            "another writer held the log for too long; send it again, with the same id where it is an event"
        }
        ErrorKind::Storage => {
            "the log could not be read or written, so what was sent may be there or not; send it again with the same id"
        }
        ErrorKind::Closed => "the log is closed; send it again when the server is back",
        ErrorKind::Index => "the index cannot be used now; it is being made anew, so ask again",
        ErrorKind::ReadOnly => "this server has its log open for reading only",
        _ => return None,
    })
}

impl From<sealog::Error> for Problem {
    fn from(error: sealog::Error) -> Self {
        let kind = error.kind();
        let Some(text) = inner(kind) else {
            let mut problem = Self::of_kind(kind, error.message().to_owned());
            problem.0.pointer = error.pointer().map(ToOwned::to_owned);
            return problem;
        };
        let mut problem = Self::of_kind(kind, text);
        problem.0.internal = Some(format!("{}: {error}", kind.code()));
        if problem.0.status == StatusCode::SERVICE_UNAVAILABLE {
            problem.0.retry_after_s = Some(1);
        }
        problem
    }
}

/// What becomes of a request, for its line in the server's own log.
#[derive(Clone)]
pub(crate) struct Told(pub(crate) String);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.0.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.0.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let told = Told(self.told().to_owned());
        let mut response = (self.0.status, headers, self.json()).into_response();
        response.extensions_mut().insert(told);
        response
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.0.status.as_u16(), self.0.code, self.0.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_row_and_a_word_that_no_other_has() {
        let mut words: Vec<_> = Code::all().map(Code::as_str).chain(ErrorKind::all().map(ErrorKind::code)).collect();
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count);
        assert!(Code::all().all(|code| code.status() >= 400));
    }

    #[test]
    fn what_is_wrong_inside_is_not_told_outside() {
        for kind in ErrorKind::all().filter(|kind| kind.http_status() >= 500) {
            assert!(inner(kind).is_some(), "{kind:?}");
        }
    }
}
