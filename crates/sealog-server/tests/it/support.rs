//! A server on a socket of its own, and a client that sends whatever bytes it is told to.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use sealog::{AuditLog, ManualClock, VerifyOptions};
use sealog_server::{Options, Running, router, serve};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;

/// How long anything may take before the test calls it stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// 2026-01-01T00:00:00Z.
pub(crate) const NOW_MS: i64 = 1_767_225_600_000;

pub(crate) struct Served {
    _dir: TempDir,
    pub(crate) log: AuditLog,
    pub(crate) running: Running,
    pub(crate) key: String,
}

impl Served {
    pub(crate) async fn with(options: Options) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let log = AuditLog::open(dir.path().join("audit.db")).await.expect("the log opens");
        let server = router(log.clone()).options(options);
        let key = server.first_key(|key| Ok(key.to_owned())).await.expect("a key").expect("it is the first");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let running = serve(server, listener, None).expect("it runs");
        Self { _dir: dir, log, running, key }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.running.address()).await.expect("it accepts")
    }

    /// The head of a request of the first key.
    pub(crate) fn head(&self, line: &str, headers: &str) -> String {
        format!(
            "{line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nconnection: close\r\n{headers}\r\n",
            self.key
        )
    }

    /// Sends these bytes, and answers all that comes back until the connection ends.
    pub(crate) async fn send(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // What the server does not read is not its fault.
        let _ = stream.write_all(bytes).await;
        read_to_end(&mut stream).await
    }

    /// Sends a request with a body, and answers the status and the rest.
    pub(crate) async fn ask(&self, line: &str, headers: &str, body: &[u8]) -> (u16, String) {
        let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        let head = self.head(line, &format!("{headers}{length}"));
        status_of(&self.send(&[head.as_bytes(), body].concat()).await)
    }

    /// The server still works, and the log is whole.
    pub(crate) async fn check(&self) {
        let (status, text) =
            self.ask("POST /v1/events", "content-type: application/json\r\n", br#"{"action": "still.there"}"#).await;
        assert_eq!(status, 201, "{text}");
        verify(&self.log).await;
    }
}

/// A router in an application, asked without a socket. The log's first event is that of the key.
pub(crate) struct Mounted {
    _dir: TempDir,
    pub(crate) log: AuditLog,
    pub(crate) router: Router,
    key: String,
}

impl Mounted {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let builder = AuditLog::builder(dir.path().join("audit.db")).clock(Arc::new(ManualClock::new(NOW_MS, 7)));
        let log = builder.open().await.expect("the log opens");
        let server = router(log.clone());
        let key = server.first_key(|key| Ok(key.to_owned())).await.expect("a key").expect("it is the first");
        Self { _dir: dir, log, router: server.into_router(), key }
    }

    /// Asks with the first key. `kind` is the body's type, or nothing.
    pub(crate) async fn ask(&self, line: &str, kind: &str, body: impl Into<Body>) -> (u16, HeaderMap, Bytes) {
        let (method, address) = line.split_once(' ').expect("a method and an address");
        let mut request = Request::builder().method(method).uri(address);
        request = request.header("authorization", format!("Bearer {}", self.key));
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        let request = request.body(body.into()).expect("a request");
        let (parts, body) = self.router.clone().oneshot(request).await.expect("a router answers").into_parts();
        let bytes = body.collect().await.expect("the body is sent").to_bytes();
        (parts.status.as_u16(), parts.headers, bytes)
    }
}

/// The log is whole.
pub(crate) async fn verify(log: &AuditLog) {
    let report = log.verify(VerifyOptions::default(), |_| {}).await.expect("the log can be read");
    assert!(report.is_ok(), "{:#?}", report.problems);
}

pub(crate) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // A connection that is reset has ended too.
    let _ = read.expect("the connection ends");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of an answer, 0 where there is none, and the whole of it.
pub(crate) fn status_of(answer: &str) -> (u16, String) {
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok()).unwrap_or(0);
    (status, answer.to_owned())
}
