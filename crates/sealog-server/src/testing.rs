//! A server over a log in a folder of its own, on a clock that stands still. What it is asked and what it
//! answers is told as text and compared with a file: `SEALOG_WRITE_SNAPSHOTS=1` writes it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use sealog::{AuditLog, Event, ManualClock, Outcome, Severity, VerifyOptions};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::app::App;
use crate::auth::keys::NewKey;
use crate::auth::{Actor, Role};
use crate::{Options, Server, Stop, router};

/// 2026-01-01T00:00:00Z.
pub(crate) const NOW_MS: i64 = 1_767_225_600_000;

pub(crate) struct Fixture {
    dir: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) log: AuditLog,
    pub(crate) app: Arc<App>,
    pub(crate) stop: Stop,
    router: Router,
    /// Keys by what they are called in a transcript.
    pub(crate) keys: Vec<(&'static str, String)>,
    transcript: String,
}

/// One answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Fixture {
    /// A server with these options, and keys of each role.
    pub(crate) async fn with(options: Options) -> Self {
        Self::made(options, |server| server).await
    }

    pub(crate) async fn made(mut options: Options, make: impl FnOnce(Server) -> Server) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(ManualClock::new(NOW_MS, 7));
        let path = dir.path().join("audit.db");
        let builder = AuditLog::builder(path).clock(clock.clone()).origin("example.com/audit");
        let log = builder.open().await.expect("the log opens");
        options.state_file.get_or_insert_with(|| dir.path().join("audit.db.server"));
        let server = make(router(log.clone()).options(options));
        let stop = server.stopper();
        let (router, app) = server.into_parts();
        Self { dir, clock, log, app, stop, router, keys: Vec::new(), transcript: String::new() }
    }

    /// An empty log, and a key of each role: `admin`, `writer`, `reader`, and `acme` and `globex`, which read
    /// the events of one tenant.
    pub(crate) async fn new() -> Self {
        let mut fixture = Self::with(Options::default()).await;
        fixture.make_keys().await;
        fixture
    }

    pub(crate) async fn make_keys(&mut self) {
        let tenant = |tenant: &str| Some(sealog::Filter::new().tenant(tenant));
        for (name, role, scope) in [
            ("admin", Role::Admin, None),
            ("writer", Role::Writer, None),
            ("reader", Role::Reader, None),
            ("acme", Role::Reader, tenant("acme")),
            ("globex", Role::Reader, tenant("globex")),
            ("acme-writer", Role::Writer, tenant("acme")),
        ] {
            self.key(name, role, scope).await;
        }
    }

    pub(crate) async fn key(&mut self, name: &'static str, role: Role, scope: Option<sealog::Filter>) -> String {
        let by = Actor { id: "test".to_owned(), kind: "service", name: None };
        let new = NewKey { name: name.to_owned(), role, scope, expires_at: None };
        let (key, info) = self.app.keys.create(new, &by).await.expect("the key is made");
        self.keys.push((name, key));
        info.id
    }

    /// A log with events of two tenants, after those of the keys.
    pub(crate) async fn filled() -> Self {
        let fixture = Self::new().await;
        fixture.fill().await;
        fixture
    }

    pub(crate) async fn fill(&self) {
        let at = |second: i64| NOW_MS - 3_600_000 + second * 1000;
        let mut changed = Event::new("invoice.updated").resource("invoice", "i-4").actor("ada").tenant("acme");
        changed = changed.change(json!({"paid": false}), json!({"paid": true})).timestamp(at(1)).id("e-1");
        let mut denied = Event::new("user.login.failed").actor("mallory").tenant("globex").severity(Severity::Warning);
        denied = denied.outcome(Outcome::Denied).ip_address("203.0.113.9").timestamp(at(2)).id("e-2");
        let events = vec![
            Event::new("user.login").actor("ada").tenant("acme").timestamp(at(0)).id("e-0"),
            changed,
            denied,
            Event::new("user.login").actor("grace").tenant("globex").timestamp(at(3)).id("e-3").tag("beta"),
        ];
        self.log.log_bulk(events).await.expect("the events are logged");
    }

    /// The journal's file.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("audit.db")
    }

    fn secret(&self, who: &str) -> String {
        let known = self.keys.iter().find(|(name, _)| *name == who);
        known.map_or_else(|| who.to_owned(), |(_, key)| key.clone())
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Body>) -> axum::response::Response {
        self.router.clone().oneshot(request).await.expect("a router answers")
    }

    /// Asks. `line` is the method and the address, with headers behind it, a line each; `who` a key's name, a
    /// token, or nobody.
    pub(crate) async fn ask(&self, who: &str, line: &str, body: impl Into<Body>) -> Answer {
        let response = self.send(self.request(who, line, body)).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("the body is sent").to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) fn request(&self, who: &str, line: &str, body: impl Into<Body>) -> Request<Body> {
        let mut lines = line.lines();
        let (method, address) = lines.next().and_then(|line| line.split_once(' ')).expect("a method and an address");
        let mut request = Request::builder().method(method).uri(address).header("x-request-id", "test");
        for line in lines {
            let (name, value) = line.split_once(": ").expect("a header");
            request = request.header(name, value);
        }
        if !who.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.secret(who)));
        }
        request.body(body.into()).expect("a request")
    }

    /// Asks, and adds question and answer to the transcript.
    pub(crate) async fn tell(&mut self, who: &str, line: &str, body: &str) -> Answer {
        let mut line = line.to_owned();
        if !body.is_empty() && !line.contains("content-type: ") {
            line += "\ncontent-type: application/json";
        }
        let answer = self.ask(who, &line, body.to_owned()).await;
        let by = if who.is_empty() { "nobody" } else { who };
        let _ = writeln!(self.transcript, "{by}> {}", line.replace('\n', &format!("\n{by}> ")));
        if !body.is_empty() {
            let _ = writeln!(self.transcript, "{body}");
        }
        let _ = writeln!(self.transcript, "< {}", answer.status);
        for name in ["content-type", "cache-control", "retry-after", "www-authenticate", "allow", "content-disposition"]
        {
            for value in answer.headers.get_all(name) {
                let _ = writeln!(self.transcript, "< {name}: {}", value.to_str().unwrap_or("?"));
            }
        }
        let _ = writeln!(self.transcript, "{}\n", answer.text().trim_end());
        answer
    }

    /// Hides the numbers of this name, where they depend on what was logged together.
    pub(crate) fn hide(&mut self, name: &str) {
        let mark = format!("\"{name}\":");
        let mut parts = self.transcript.split(&mark);
        let mut hidden = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let rest = part.trim_start_matches(|char: char| char.is_ascii_digit());
            hidden.extend([mark.as_str(), "…", rest]);
        }
        self.transcript = hidden;
    }

    /// The transcript is what the file of this name says. Then the whole log is verified.
    pub(crate) async fn matches(&self, name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/endpoints/snapshots/{name}.txt"));
        if std::env::var_os("SEALOG_WRITE_SNAPSHOTS").is_some() {
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
            std::fs::write(&path, &self.transcript).expect("the snapshot is written");
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        for (number, (found, expected)) in self.transcript.lines().zip(expected.lines()).enumerate() {
            assert_eq!(found, expected, "{name}.txt, line {}", number + 1);
        }
        assert_eq!(self.transcript, expected, "{name}.txt");
        self.check().await;
    }

    pub(crate) async fn check(&self) {
        let report = self.log.verify(VerifyOptions::default(), |_| {}).await.expect("the log can be read");
        assert!(report.is_ok(), "{:#?}", report.problems);
    }
}
