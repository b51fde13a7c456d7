//! Sealog over HTTP: a server of its own, or a router to mount in an axum application.
//!
//! As a service, `sealog serve` runs it, and clients bring API keys. Mounted, the application says who asks
//! and what they may see:
//!
//! ```
//! use sealog::{AuditLog, Filter};
//! use sealog_server::{Access, Grant, Refusal, router};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> sealog::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! let log = AuditLog::open(dir.path().join("audit.db")).await?;
//! let audit = router(log).authorize(|parts, operation| {
//!     // Your own session: here, the name of the user stands in a header.
//!     let user = parts.headers.get("x-user").and_then(|user| user.to_str().ok()).map(ToOwned::to_owned);
//!     let access = operation.access;
//!     async move {
//!         let user = user.ok_or_else(|| Refusal::unauthenticated("sign in first"))?;
//!         match access {
//!             // People see what they did themselves, and nothing else.
//!             Access::Read => Ok(Grant::scoped(&user, Filter::new().actor(&user))),
//!             _ => Err(Refusal::forbidden("only the application itself logs events")),
//!         }
//!     }
//! });
//! let app: axum::Router = axum::Router::new().nest("/audit", audit.into_router());
//! # Ok(()) }
//! ```
//!
//! All endpoints are in `contract/openapi.json`, and `docs/HTTP.md` tells how they go together.

mod app;
mod around;
mod auth;
mod body;
mod endpoints;
mod limits;
mod live;
mod metrics;
mod peer;
mod problem;
mod query;
mod rate;
mod reads;
mod schema;
mod serve;
mod state_file;
#[cfg(test)]
mod testing;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use sealog::{AuditLog, Witness};
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

pub use auth::{Access, Asked, Grant, Operation, Refusal, Role};
pub use limits::Limits;
pub use peer::Network;
pub use problem::Code;
pub use serve::{Running, Tls, serve};

use app::App;
use auth::Authorize;
use auth::keys::NewKey;
use problem::Problem;

/// How a server behaves, beside its [`Limits`].
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own, given by its name")]
#[non_exhaustive]
pub struct Options {
    /// What it takes of clients at the most.
    pub limits: Limits,
    /// The origins of pages that may ask from a browser, such as `https://app.example.com`. Default: none, so
    /// that no page of anybody else can.
    pub cors_origins: Vec<String>,
    /// Proxies that are trusted to say where a request comes from, in `X-Forwarded-For`. Default: none.
    pub trusted_proxies: Vec<Network>,
    /// Whether anybody may fetch the checkpoint, the tiles and, unless the router is mounted with an authorization of its
    /// own, proofs of single events by `seq:`; they hold hashes and nothing else. Default: no.
    pub public_proofs: bool,
    /// Whether anybody may fetch the metrics. Default: no.
    pub public_metrics: bool,
    /// Whether reads are logged, as `sealog.read`. Default: yes.
    pub read_events: bool,
    /// The witnesses whose cosignatures are taken. Default: none.
    pub witnesses: Vec<Witness>,
    /// The file for what changes and is no evidence: when keys were last used, and cosignatures. Default: none,
    /// and then neither is kept.
    pub state_file: Option<PathBuf>,
    /// Whether clients are told that this is a demonstration. Default: no.
    pub is_demo: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            public_proofs: false,
            public_metrics: false,
            read_events: true,
            witnesses: Vec::new(),
            state_file: None,
            is_demo: false,
        }
    }
}

/// A log over HTTP, by API keys unless [`Server::authorize`] says otherwise.
///
/// See the [crate's documentation](crate) for an example.
pub fn router(log: AuditLog) -> Server {
    let (stop, stopped) = watch::channel(false);
    Server { log, options: Options::default(), authorize: None, pages: None, stop: Stop(Arc::new(stop)), stopped }
}

/// What [`router`] answers: to be mounted ([`Server::into_router`]) or run ([`serve`]).
#[must_use = "a server does nothing until it is mounted or run"]
pub struct Server {
    log: AuditLog,
    options: Options,
    authorize: Option<Authorize>,
    pages: Option<Router>,
    stop: Stop,
    stopped: watch::Receiver<bool>,
}

/// Ends the live streams of a server, and refuses what comes later.
#[derive(Debug, Clone)]
pub struct Stop(Arc<watch::Sender<bool>>);

/// Returns when it is stopped.
pub(crate) async fn until_stopped(stop: &mut watch::Receiver<bool>) {
    // Who could stop it is there as long as the server is.
    let _ = stop.wait_for(|stop| *stop).await;
}

impl Stop {
    /// Stops. Clients of live streams are told so; their connections then end, so that an application that
    /// shuts down gracefully does not wait for them.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Server {
    /// Sets how it behaves.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Asks the application who may do what, in place of API keys. `authorize` is handed the head of each
    /// request and the [`Operation`], and answers who it is and which filter binds them, or a refusal. What a
    /// filter binds is all that they can read; who is bound by a tenant can log events of that tenant alone,
    /// and who is bound otherwise can log none.
    pub fn authorize<F, A>(mut self, authorize: F) -> Self
    where
        F: Fn(&Parts, &Operation) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Grant, Refusal>> + Send + 'static,
    {
        self.authorize = Some(Arc::new(move |parts, operation| Box::pin(authorize(parts, operation))));
        self
    }

    /// Sets what answers at all addresses that are not the server's own: pages that go with it.
    pub fn pages(mut self, pages: Router) -> Self {
        self.pages = Some(pages);
        self
    }

    /// What stops it.
    pub fn stopper(&self) -> Stop {
        self.stop.clone()
    }

    /// Makes the first key that may do everything, where there is none that is valid, and answers what `hand_over`
    /// makes of it. Nobody can be told it again, so it holds only once it was handed over.
    ///
    /// ```no_run
    /// # async fn first(server: &sealog_server::Server) -> Result<(), String> {
    /// let key: Option<String> = server.first_key(|key| Ok(key.to_owned())).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// What `hand_over` says; or what the log says, in words. Either way there is no key, and one that was handed over
    /// does not hold.
    pub async fn first_key<T>(&self, hand_over: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, String> {
        let keys = auth::keys::Keys::new(self.log.clone());
        let told = |problem: Problem| problem.told().to_owned();
        if keys.has_admin().await.map_err(told)? {
            return Ok(None);
        }
        let new = NewKey { name: "first".to_owned(), role: Role::Admin, scope: None, expires_at: None };
        let by = auth::Actor { id: "sealog-server".to_owned(), kind: "service", name: None };
        let key = keys.draw(&new).await.map_err(told)?;
        let handed_over = hand_over(&key.text())?;
        keys.keep(&key, new, &by).await.map_err(told)?;
        Ok(Some(handed_over))
    }

    fn into_parts(self) -> (Router, Arc<App>) {
        let Self { log, options, authorize, pages, stop, stopped } = self;
        let app = App::new(log, options, authorize, (stop, stopped));
        let (endpoints, document) = endpoints::all();
        let json = document.to_json().unwrap_or_default();
        let document = move || async move { endpoints::json_text(json) };
        let endpoints = endpoints
            .route("/openapi.json", axum::routing::get(document))
            // Below the server's own addresses there are no pages.
            .route("/v1/{*rest}", axum::routing::any(no_route))
            .method_not_allowed_fallback(wrong_method);
        let endpoints = match pages {
            Some(pages) => endpoints.fallback_service(pages),
            None => endpoints.fallback(no_route),
        };
        let router = endpoints
            .layer(CatchPanicLayer::custom(panicked))
            .layer(cors(&app.options.cors_origins))
            .layer(from_fn_with_state(app.clone(), around::around))
            .with_state(app.clone());
        (router, app)
    }

    /// The router, to nest or merge into another one. What its reads count together is logged when somebody
    /// reads again after the window.
    pub fn into_router(self) -> Router {
        self.into_parts().0
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("log", &self.log).field("options", &self.options).finish_non_exhaustive()
    }
}

/// The specification of all endpoints, OpenAPI 3.1, as it stands in `contract/openapi.json`.
pub fn openapi() -> String {
    let (_, document) = endpoints::all();
    document.to_pretty_json().unwrap_or_default() + "\n"
}

/// What is answered where there is nothing, for [`Server::pages`].
pub fn nothing_here() -> Response {
    Problem::new(Code::NoRoute, "there is nothing at this address; /openapi.json lists what there is").into_response()
}

async fn no_route() -> Response {
    nothing_here()
}

async fn wrong_method() -> Problem {
    Problem::new(Code::MethodNotAllowed, "this address does not take this method; /openapi.json says which it takes")
}

#[expect(clippy::needless_pass_by_value, reason = "tower-http hands it over")]
fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Problem::internal(format!("panicked: {}", text.unwrap_or("no message"))).into_response()
}

/// Closed, unless origins are named.
fn cors(origins: &[String]) -> CorsLayer {
    if origins.is_empty() {
        return CorsLayer::new();
    }
    let origins = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    let header = HeaderName::from_static;
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE])
        .allow_headers([
            header("authorization"),
            header("content-type"),
            header("last-event-id"),
            header("x-request-id"),
        ])
        .expose_headers([header("x-request-id"), header("retry-after"), header("content-disposition")])
        .max_age(Duration::from_mins(10))
}
