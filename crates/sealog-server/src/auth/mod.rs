//! Who asks, what for, and which part of the log they may see.

pub(crate) mod api_key;
pub(crate) mod keys;
#[cfg(test)]
mod tests;
pub(crate) mod token;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use axum::http::request::Parts;
use sealog::{AuditLog, Event, Filter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::{Code, Problem};

/// What somebody wants to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// Of which kind it is.
    pub access: Access,
    /// What it is about.
    pub asked: Asked,
}

/// Kinds of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// To see events, or what is derived from them.
    Read,
    /// To log events.
    Write,
    /// To change what the log does, or who may do what.
    Admin,
}

/// What an operation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Asked {
    /// Events, by a filter or as they come.
    Events,
    /// One event, by its id.
    Event(String),
    /// What one resource was.
    Resource {
        /// Its type.
        kind: String,
        /// Its id.
        id: String,
    },
    /// Counts.
    Stats,
    /// Values of a field.
    Suggestions,
    /// What rules find.
    Anomalies,
    /// A report of events.
    Report,
    /// The checkpoint and the tiles of the tree.
    Tree,
    /// A check of the whole log.
    Verification,
    /// Who asks, and what they may do.
    Caller,
    /// The server's own numbers.
    Metrics,
    /// API keys.
    Keys,
    /// View tokens.
    Tokens,
    /// The log's settings.
    Settings,
    /// The saved rules.
    Rules,
    /// Removal of what is past its time.
    Cleanup,
    /// Legal holds.
    Holds,
    /// Erasure of a person's data.
    Erasures,
}

impl Operation {
    pub(crate) fn read(asked: Asked) -> Self {
        Self { access: Access::Read, asked }
    }

    pub(crate) fn write(asked: Asked) -> Self {
        Self { access: Access::Write, asked }
    }

    pub(crate) fn admin(asked: Asked) -> Self {
        Self { access: Access::Admin, asked }
    }
}

/// Who asks, and which filter binds them: what an application answers from [`Server::authorize`](crate::Server::authorize).
///
/// ```
/// use sealog::Filter;
/// use sealog_server::Grant;
///
/// let support = Grant::whole("u-1");
/// let customer = Grant::scoped("u-17", Filter::new().tenant("acme"));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Grant {
    who: String,
    scope: Option<Filter>,
}

impl Grant {
    /// Everything that the operation asks for, to the one with this id.
    pub fn whole(who: impl Into<String>) -> Self {
        Self { who: who.into(), scope: None }
    }

    /// What the filter selects, to the one with this id. A filter that asks for nothing grants nothing.
    pub fn scoped(who: impl Into<String>, scope: Filter) -> Self {
        Self { who: who.into(), scope: Some(scope) }
    }
}

/// Why somebody may not do it: what else an application answers.
#[derive(Debug, Clone)]
#[must_use]
pub struct Refusal {
    code: Code,
    detail: String,
}

impl Refusal {
    /// Nobody knows who asks. The text is for them.
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self { code: Code::Unauthenticated, detail: detail.into() }
    }

    /// It is known who asks, and they may not. The text is for them.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self { code: Code::Forbidden, detail: detail.into() }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Problem::new(refusal.code, refusal.detail)
    }
}

/// The answer of an application, on its way.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Grant, Refusal>> + Send>>;
/// The application's own authorization.
pub(crate) type Authorize = Arc<dyn Fn(&Parts, &Operation) -> Answer + Send + Sync>;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Logs events, and reads nothing.
    Writer,
    /// Reads, and mints view tokens for a part of what it reads.
    Reader,
    /// Does everything.
    Admin,
}

impl Role {
    pub(crate) fn may(self, access: Access) -> bool {
        matches!((self, access), (Self::Admin, _) | (Self::Writer, Access::Write) | (Self::Reader, Access::Read))
    }
}

/// Who was let in.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// As events name them.
    pub(crate) actor: Actor,
    /// All of these bind what they see; none when it is everything.
    pub(crate) scopes: Vec<Filter>,
    /// What keeps them in, as long as they stay.
    pub(crate) lease: Lease,
    /// What their rate and their streams are counted by.
    pub(crate) counted: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Actor {
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    pub(crate) name: Option<String>,
}

/// Until when, and by which key, somebody is let in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) key_id: Option<String>,
    pub(crate) until: Option<i64>,
}

impl Caller {
    pub(crate) fn of_grant(grant: Grant) -> Self {
        let Grant { who, scope } = grant;
        Self {
            counted: format!("user {who}"),
            actor: Actor { id: who, kind: "user", name: None },
            scopes: scope.into_iter().collect(),
            lease: Lease::default(),
        }
    }

    /// The log as they see it.
    pub(crate) fn view(&self, log: &AuditLog) -> Result<AuditLog, Problem> {
        let mut log = log.clone();
        for scope in &self.scopes {
            log = log.scoped(scope).map_err(|error| {
                Problem::new(Code::Forbidden, format!("the scope that binds you cannot be used: {}", error.message()))
            })?;
        }
        Ok(log)
    }

    /// The log, which names them in what it records of itself.
    pub(crate) fn acting(&self, log: &AuditLog) -> AuditLog {
        let mut who = Event::new("").actor(&self.actor.id).actor_type(self.actor.kind);
        who.actor_name.clone_from(&self.actor.name);
        log.acting(who)
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.scopes.is_empty()
    }

    /// Refuses what concerns the log as a whole.
    pub(crate) fn must_be_whole(&self) -> Result<(), Problem> {
        if self.is_whole() {
            return Ok(());
        }
        Err(Problem::new(Code::Forbidden, "this concerns the log as a whole, and what you may see of it is bounded"))
    }

    /// Whether all that they see is what they did themselves.
    pub(crate) fn sees_only_own(&self) -> bool {
        self.scopes.iter().any(|scope| scope.actor_ids.len() == 1 && scope.actor_ids[0] == self.actor.id)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "administer",
        })
    }
}

/// The text after `Authorization: Bearer `.
pub(crate) fn bearer(parts: &Parts) -> Result<&str, Problem> {
    let missing = || {
        Problem::new(
            Code::Unauthenticated,
            "this needs a key or a token: send it as `Authorization: Bearer …`, and nothing else in that header",
        )
    };
    let mut values = parts.headers.get_all(axum::http::header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(missing()) };
    let (scheme, secret) = value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(missing)?;
    let secret = secret.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || secret.is_empty() {
        return Err(missing());
    }
    Ok(secret)
}

/// The same for whatever is wrong with a key or a token: who guesses learns nothing from the answer.
pub(crate) fn not_valid() -> Problem {
    Problem::new(Code::Unauthenticated, "this key or token is not valid here: it is wrong, over, or was taken back")
}
