//! What all endpoints share, and how somebody is let in.

use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use sealog::AuditLog;
use tokio::sync::{OnceCell, Semaphore, watch};

use crate::auth::keys::Keys;
use crate::auth::token::{PREFIX, PURPOSE, ViewToken};
use crate::auth::{Access, Actor, Authorize, Caller, Lease, Operation, bearer, not_valid};
use crate::live::hub::Hub;
use crate::metrics::Metrics;
use crate::peer::client_of;
use crate::problem::{Code, Problem};
use crate::rate::{Pace, Places, Rates, too_soon};
use crate::reads::Reads;
use crate::state_file::StateFile;
use crate::{Options, Stop};

/// The server, as endpoints see it.
pub(crate) struct App {
    pub(crate) log: AuditLog,
    pub(crate) options: Options,
    pub(crate) keys: Keys,
    pub(crate) authorize: Option<Authorize>,
    pub(crate) reads: Reads,
    pub(crate) metrics: Metrics,
    pub(crate) hub: Arc<Hub>,
    pub(crate) rates: Rates,
    pub(crate) streams: Arc<Places>,
    /// Room for bodies, in KiB.
    pub(crate) room: Arc<Semaphore>,
    /// Taken by whoever has the log verified.
    pub(crate) verifying: Arc<Semaphore>,
    /// Turns true when the server stops.
    pub(crate) stop: watch::Receiver<bool>,
    /// As long as the server is there, so is what stops it.
    _stopper: Stop,
    pub(crate) state_file: StateFile,
    pub(crate) readiness: crate::endpoints::Known,
    token_secret: OnceCell<[u8; 32]>,
}

/// What the axum handlers are handed.
pub(crate) type Shared = Arc<App>;

impl App {
    pub(crate) fn new(
        log: AuditLog,
        options: Options,
        authorize: Option<Authorize>,
        (stopper, stop): (Stop, watch::Receiver<bool>),
    ) -> Arc<Self> {
        Arc::new(Self {
            keys: Keys::new(log.clone()),
            reads: Reads::new(log.clone(), options.read_events, options.limits.read_event_window_ms),
            hub: Hub::new(log.clone()),
            room: Arc::new(Semaphore::new(options.limits.max_buffered_bytes.div_ceil(1024).max(1))),
            verifying: Arc::new(Semaphore::new(1)),
            state_file: StateFile::new(options.state_file.clone()),
            metrics: Metrics::new(),
            rates: Rates::new(),
            streams: Places::new(),
            readiness: crate::endpoints::Known::default(),
            token_secret: OnceCell::new(),
            log,
            options,
            authorize,
            stop,
            _stopper: stopper,
        })
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.log.clock().now_ms()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Lets somebody in, or says why not.
    pub(crate) async fn admit(&self, parts: &Parts, operation: Operation) -> Result<Caller, Problem> {
        let limits = &self.options.limits;
        let caller = match self.identify(parts, &operation).await {
            Ok(caller) => caller,
            // Who shares an address with somebody who is refused, and has a key, is let in all the same.
            Err(problem) => {
                if problem.code() == Code::Unauthenticated.as_str()
                    && let Some(client) = client_of(parts, &self.options.trusted_proxies)
                {
                    let most = limits.max_refusals_per_minute;
                    let refusals = Pace { requests: most, within: Duration::from_mins(1), burst: most };
                    self.rates.count(&format!("address {client}"), refusals).map_err(too_soon)?;
                }
                return Err(problem);
            }
        };
        let pace = if caller.actor.kind == "api_key" { limits.key_pace() } else { limits.view_pace() };
        self.rates.count(&caller.counted, pace).map_err(too_soon)?;
        Ok(caller)
    }

    async fn identify(&self, parts: &Parts, operation: &Operation) -> Result<Caller, Problem> {
        if let Some(authorize) = &self.authorize {
            return Ok(Caller::of_grant(authorize(parts, operation).await?));
        }
        let secret = bearer(parts)?;
        if secret.starts_with(PREFIX) {
            return self.viewer(secret, operation).await;
        }
        let shown = self.keys.show(secret).await?;
        if !shown.role.may(operation.access) {
            let (role, access) = (format!("{:?}", shown.role).to_lowercase(), operation.access);
            return Err(Problem::new(
                Code::Forbidden,
                format!("this is a {role}'s key, and a {role} may not {access}"),
            ));
        }
        Ok(Caller {
            counted: format!("key {}", shown.actor.id),
            actor: shown.actor,
            scopes: shown.scope.into_iter().collect(),
            lease: shown.lease,
        })
    }

    async fn viewer(&self, text: &str, operation: &Operation) -> Result<Caller, Problem> {
        let token = ViewToken::read(text, &self.token_secret().await?, self.now_ms())?;
        if operation.access != Access::Read || operation.asked == crate::Asked::Tokens {
            return Err(Problem::new(
                Code::Forbidden,
                format!("a view token shows events, and may not {}", operation.access),
            ));
        }
        let of_key = self.keys.scope_of(&token.key_id).await?;
        let id = token.subject.unwrap_or_else(|| token.key_id.clone());
        if token.scope.is_empty() {
            return Err(not_valid());
        }
        Ok(Caller {
            counted: format!("token {} {id}", token.key_id),
            actor: Actor { id, kind: "view_token", name: None },
            scopes: of_key.into_iter().chain([token.scope]).collect(),
            lease: Lease { key_id: Some(token.key_id), until: Some(token.expires_at) },
        })
    }

    /// The end of a time of so many milliseconds, which is within bounds.
    pub(crate) fn until(&self, pointer: &str, ms: i64, least: i64, most: i64) -> Result<i64, Problem> {
        if !(least..=most).contains(&ms) {
            return Err(Problem::argument(
                pointer,
                format!("this is from {least} to {most} milliseconds, and it is {ms}"),
            ));
        }
        Ok(self.now_ms().saturating_add(ms))
    }

    /// What view tokens are signed with.
    pub(crate) async fn token_secret(&self) -> Result<[u8; 32], Problem> {
        let secret = self.token_secret.get_or_try_init(|| async { self.log.derived_secret(PURPOSE) }).await?;
        Ok(*secret)
    }

    /// Waits for the answer to a question, not for ever.
    pub(crate) async fn in_time<T>(&self, answer: impl Future<Output = sealog::Result<T>>) -> Result<T, Problem> {
        match tokio::time::timeout(Duration::from_millis(self.options.limits.question_timeout_ms), answer).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Problem::new(
                Code::TimedOut,
                "this took too long; ask for a shorter range, or again when /readyz says that the index is ready",
            )
            .retry_after(5)),
        }
    }
}
