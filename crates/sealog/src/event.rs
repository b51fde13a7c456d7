//! What an event is: the fields a caller sends, what the log stores, and the limits on each.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};

/// The longest id of an event, in bytes of UTF-8.
pub const MAX_ID_BYTES: usize = 256;
/// The longest action, in bytes of UTF-8.
pub const MAX_ACTION_BYTES: usize = 256;
/// The longest of the short text fields (actor, resource, session, request, tenant, address,
/// retention category), in bytes of UTF-8.
pub const MAX_FIELD_BYTES: usize = 1024;
/// The longest user agent, in bytes of UTF-8. Larger than the other fields, since browsers and
/// SDKs add to it freely.
pub const MAX_USER_AGENT_BYTES: usize = 4096;
/// How the log's own actions begin.
pub(crate) const OWN_ACTIONS: &str = "sealog.";

/// Whether an action is of the log's own.
pub(crate) fn is_own(action: &str) -> bool {
    action.starts_with(OWN_ACTIONS)
}

/// The most tags of one event.
pub const MAX_TAGS: usize = 64;
/// The longest tag, in bytes of UTF-8.
pub const MAX_TAG_BYTES: usize = 256;
/// The most metadata of one event, in bytes of canonical JSON.
pub const MAX_METADATA_BYTES: usize = 256 * 1024;
/// The largest `before` or `after`, each, in bytes of canonical JSON.
pub const MAX_STATE_BYTES: usize = 1024 * 1024;
/// The largest event as it is stored, in bytes of canonical JSON, its diff included. Two states of
/// [`MAX_STATE_BYTES`] that have nothing in common fit, with the diff that repeats them both.
pub const MAX_EVENT_BYTES: usize = 5 * 1024 * 1024;
/// How deep metadata, `before` and `after` may nest: a scalar has depth 0, `[[]]` depth 2.
pub const MAX_DEPTH: usize = 64;
/// The most changed pointers a caller may send along with a change it redacted itself.
pub const MAX_CHANGED_POINTERS: usize = 1024;
/// The most events of one [`log_bulk`](crate::AuditLog::log_bulk).
pub const MAX_BULK_EVENTS: usize = 10_000;
/// The most bytes of canonical JSON of one [`log_bulk`](crate::AuditLog::log_bulk).
pub const MAX_BULK_BYTES: usize = 64 * 1024 * 1024;

/// The predefined actions. Any other action is welcome too, except those under `sealog.`, which are
/// the log's own.
pub mod actions {
    /// Somebody signed in.
    pub const USER_LOGIN: &str = "user.login";
    /// Somebody tried to sign in and could not.
    pub const USER_LOGIN_FAILED: &str = "user.login.failed";
    /// Somebody signed out.
    pub const USER_LOGOUT: &str = "user.logout";
    /// Somebody opened an account.
    pub const USER_SIGNUP: &str = "user.signup";

    /// A password was changed.
    pub const PASSWORD_CHANGED: &str = "user.password.changed";
    /// Somebody asked for a password reset.
    pub const PASSWORD_RESET_REQUESTED: &str = "user.password.reset_requested";
    /// A password reset was completed.
    pub const PASSWORD_RESET_COMPLETED: &str = "user.password.reset_completed";
    /// A second factor was turned on.
    pub const MFA_ENABLED: &str = "user.mfa.enabled";
    /// A second factor was turned off.
    pub const MFA_DISABLED: &str = "user.mfa.disabled";

    /// A user was created by somebody else.
    pub const USER_CREATED: &str = "user.created";
    /// A user's data was changed.
    pub const USER_UPDATED: &str = "user.updated";
    /// A user was deleted.
    pub const USER_DELETED: &str = "user.deleted";
    /// A user was given another role.
    pub const USER_ROLE_CHANGED: &str = "user.role.changed";
    /// A user was given other permissions.
    pub const USER_PERMISSIONS_CHANGED: &str = "user.permissions.changed";

    /// A record was created.
    pub const RECORD_CREATED: &str = "record.created";
    /// A record was changed.
    pub const RECORD_UPDATED: &str = "record.updated";
    /// A record was deleted.
    pub const RECORD_DELETED: &str = "record.deleted";
    /// A record was looked at.
    pub const RECORD_VIEWED: &str = "record.viewed";
    /// Records were exported.
    pub const RECORD_EXPORTED: &str = "record.exported";

    /// A setting was changed.
    pub const SETTINGS_CHANGED: &str = "settings.changed";
    /// An API key was created.
    pub const API_KEY_CREATED: &str = "api_key.created";
    /// An API key was revoked.
    pub const API_KEY_REVOKED: &str = "api_key.revoked";

    /// Somebody asked for what they may not have.
    pub const UNAUTHORIZED_ACCESS: &str = "security.unauthorized_access";
    /// Something looked like an attack.
    pub const SUSPICIOUS_ACTIVITY: &str = "security.suspicious_activity";
    /// Somebody asked too often.
    pub const RATE_LIMIT_EXCEEDED: &str = "security.rate_limit_exceeded";

    /// All predefined actions.
    pub const ALL: [&str; 25] = [
        USER_LOGIN,
        USER_LOGIN_FAILED,
        USER_LOGOUT,
        USER_SIGNUP,
        PASSWORD_CHANGED,
        PASSWORD_RESET_REQUESTED,
        PASSWORD_RESET_COMPLETED,
        MFA_ENABLED,
        MFA_DISABLED,
        USER_CREATED,
        USER_UPDATED,
        USER_DELETED,
        USER_ROLE_CHANGED,
        USER_PERMISSIONS_CHANGED,
        RECORD_CREATED,
        RECORD_UPDATED,
        RECORD_DELETED,
        RECORD_VIEWED,
        RECORD_EXPORTED,
        SETTINGS_CHANGED,
        API_KEY_CREATED,
        API_KEY_REVOKED,
        UNAUTHORIZED_ACCESS,
        SUSPICIOUS_ACTIVITY,
        RATE_LIMIT_EXCEEDED,
    ];
}

/// How much an event matters, least first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Everyday life.
    #[default]
    Info,
    /// Worth a look.
    Warning,
    /// Something failed that should not have.
    Error,
    /// Somebody should be woken up.
    Critical,
}

impl Severity {
    /// All severities, least first.
    pub const ALL: [Severity; 4] = [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical];

    /// The word in JSON: `info`, `warning`, `error` or `critical`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
            Severity::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == text).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("unknown severity {text:?}; it is one of info, warning, error, critical"),
            )
        })
    }
}

/// How what was tried ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was tried and failed.
    Failure,
    /// It was refused.
    Denied,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Outcome; 3] = [Outcome::Success, Outcome::Failure, Outcome::Denied];

    /// The word in JSON: `success`, `failure` or `denied`.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Failure => "failure",
            Outcome::Denied => "denied",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Outcome {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("unknown outcome {text:?}; it is one of success, failure, denied"),
            )
        })
    }
}

/// What happened. Only the action is required; the more of the rest is there, the more questions
/// the log can answer.
///
/// ```
/// use sealog::{Event, Outcome, Severity, actions};
/// use serde_json::json;
///
/// let event = Event::new(actions::USER_LOGIN_FAILED)
///     .actor("u-17")
///     .severity(Severity::Warning)
///     .outcome(Outcome::Failure)
///     .ip_address("203.0.113.9")
///     .metadata(json!({"attempt": 3}));
/// assert_eq!(
///     serde_json::to_value(&event).unwrap(),
///     json!({
///         "action": "user.login.failed", "actorId": "u-17", "severity": "warning",
///         "outcome": "failure", "ipAddress": "203.0.113.9", "metadata": {"attempt": 3}
///     })
/// );
/// ```
///
/// In JSON the names are camelCase (`actorId`), absent fields are left out, and an unknown name is
/// an error.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Event {
    /// The event's identity, chosen by the caller so that sending it twice is one event; a UUIDv7
    /// unless given. At most [`MAX_ID_BYTES`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When it happened, milliseconds since the Unix epoch; by default when it was accepted. Not
    /// before 1970 and at most five minutes ahead (settable).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<i64>,
    /// What was done, a dotted verb such as `user.login`. At most [`MAX_ACTION_BYTES`].
    pub action: String,
    /// Who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<String>,
    /// What kind of actor it is: `user`, `service`, `api_key`, `agent`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_type: Option<String>,
    /// The actor's name, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_name: Option<String>,
    /// For whom the actor acted: the user behind an agent or a support session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// What kind of thing it was done to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// Which one. Requires a `resource_type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    /// How much it matters; [`Severity::Info`] unless given.
    #[serde(default)]
    pub severity: Severity,
    /// How it ended, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Anything else, by name. At most [`MAX_METADATA_BYTES`], nested at most [`MAX_DEPTH`] deep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// The resource before the change; `null` is a state too. At most [`MAX_STATE_BYTES`].
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The resource after the change; `null` is a state too. At most [`MAX_STATE_BYTES`].
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// JSON Pointers to what changed, from a caller that redacted `before` and `after` itself: they
    /// are kept in the diff even where the redacted values are equal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// From which address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// With which program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// In which session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// In which request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Words to find it by. At most [`MAX_TAGS`] of [`MAX_TAG_BYTES`] each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Whose log it is, in an application with several customers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Which retention rule it falls under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_category: Option<String>,

    /// Set by the policy: the diff of before and after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) diff: Option<Vec<DiffOp>>,
    /// Set by the sequencer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seq: Option<u64>,
    /// Set by the sequencer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recorded_at: Option<i64>,
}

/// Serde would take a list of values, too, for the fields in their order.
fn no_list(json: &str) -> Result<()> {
    if json.trim_start().starts_with('[') {
        return Err(Error::new(ErrorKind::InvalidEvent, "this is no event: it is a list, and an event is an object"));
    }
    Ok(())
}

/// Keeps an explicit `null` apart from an absent field.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Event {
    /// An event with this action, `info`, and nothing else yet. See [`actions`].
    pub fn new(action: impl Into<String>) -> Self {
        Self { action: action.into(), ..Self::default() }
    }

    /// Reads an event from its JSON.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidEvent`] when it is no JSON, has an unknown field, or a field of another
    /// type. Limits are checked when the event is logged.
    pub fn from_json(json: &str) -> Result<Self> {
        no_list(json)?;
        serde_json::from_str(json)
            .map_err(|error| Error::new(ErrorKind::InvalidEvent, format!("this is no event: {error}")))
    }

    /// As [`Event::from_json`], with errors that say what was expected and never quote what was found:
    /// for messages that are kept.
    pub(crate) fn from_json_unquoted(json: &str) -> Result<Self> {
        no_list(json)?;
        serde_json::from_str(json).map_err(|error| {
            let mut message = error.to_string();
            let quotes = ["invalid type: ", "invalid value: ", "unknown variant "];
            if quotes.iter().any(|quote| message.starts_with(quote))
                && let Some(expected) = message.rfind(", expected")
            {
                message.replace_range(..expected + 2, "");
            }
            Error::new(ErrorKind::InvalidEvent, format!("this is no event: {message}"))
        })
    }

    /// Sets the id: sending the event again with it is safe.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets when it happened, in milliseconds since the Unix epoch.
    pub fn timestamp(mut self, ms: i64) -> Self {
        self.timestamp = Some(ms);
        self
    }

    /// Sets who did it.
    pub fn actor(mut self, id: impl Into<String>) -> Self {
        self.actor_id = Some(id.into());
        self
    }

    /// Sets the kind of actor: `user`, `service`, `api_key`, `agent`, …
    pub fn actor_type(mut self, kind: impl Into<String>) -> Self {
        self.actor_type = Some(kind.into());
        self
    }

    /// Sets the actor's name.
    pub fn actor_name(mut self, name: impl Into<String>) -> Self {
        self.actor_name = Some(name.into());
        self
    }

    /// Sets for whom the actor acted.
    pub fn on_behalf_of(mut self, id: impl Into<String>) -> Self {
        self.on_behalf_of = Some(id.into());
        self
    }

    /// Sets what it was done to.
    pub fn resource(mut self, kind: impl Into<String>, id: impl Into<String>) -> Self {
        self.resource_type = Some(kind.into());
        self.resource_id = Some(id.into());
        self
    }

    /// Sets how much it matters.
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Sets how it ended.
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// Sets the metadata.
    ///
    /// # Panics
    ///
    /// When `metadata` is not a JSON object. To hand over data whose shape is not known, set the
    /// field [`Event::metadata`].
    pub fn metadata(mut self, metadata: Value) -> Self {
        match metadata {
            Value::Object(map) => self.metadata = Some(map),
            other => panic!("metadata is a JSON object, and this is {other}"),
        }
        self
    }

    /// Sets the states around a change.
    pub fn change(mut self, before: Value, after: Value) -> Self {
        self.before = Some(before);
        self.after = Some(after);
        self
    }

    /// Sets the address it came from.
    pub fn ip_address(mut self, address: impl Into<String>) -> Self {
        self.ip_address = Some(address.into());
        self
    }

    /// Sets the program it came from.
    pub fn user_agent(mut self, agent: impl Into<String>) -> Self {
        self.user_agent = Some(agent.into());
        self
    }

    /// Sets the session.
    pub fn session(mut self, id: impl Into<String>) -> Self {
        self.session_id = Some(id.into());
        self
    }

    /// Sets the request.
    pub fn request(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// Adds a tag.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Sets the tenant.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Sets the retention category.
    pub fn retention_category(mut self, category: impl Into<String>) -> Self {
        self.retention_category = Some(category.into());
        self
    }
}

/// An event with at least one of the states around it: what [`log_change`](crate::AuditLog::log_change)
/// takes.
///
/// ```
/// use sealog::{Change, actions};
/// use serde_json::json;
///
/// let change = Change::new(actions::RECORD_UPDATED, "invoice", "i-4")
///     .before(json!({"paid": false}))
///     .after(json!({"paid": true}))
///     .with(|event| event.actor("u-17"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Change(Event);

impl Change {
    /// A change of one resource.
    pub fn new(action: impl Into<String>, resource_type: impl Into<String>, resource_id: impl Into<String>) -> Self {
        Self(Event::new(action).resource(resource_type, resource_id))
    }

    /// The resource before the change; leave it out for one that was created.
    pub fn before(mut self, before: Value) -> Self {
        self.0.before = Some(before);
        self
    }

    /// The resource after the change; leave it out for one that was deleted.
    pub fn after(mut self, after: Value) -> Self {
        self.0.after = Some(after);
        self
    }

    /// Sets the event's other fields.
    pub fn with(self, set: impl FnOnce(Event) -> Event) -> Self {
        Self(set(self.0))
    }
}

impl From<Change> for Event {
    fn from(change: Change) -> Self {
        change.0
    }
}

/// One step of a diff: an operation of JSON Patch (RFC 6902), with the value it replaced.
///
/// Only `add`, `remove` and `replace` occur, and `path` is a JSON Pointer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiffOp {
    /// What is done.
    pub op: DiffKind,
    /// The value that was there, of a `remove` or `replace`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// Where.
    pub path: String,
    /// The value that is there now, of an `add` or `replace`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// A step of a diff whose values stand elsewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'a> {
    pub(crate) op: DiffKind,
    pub(crate) old: Option<&'a Value>,
    pub(crate) path: &'a str,
    pub(crate) value: Option<&'a Value>,
}

impl DiffOp {
    pub(crate) fn step(&self) -> Step<'_> {
        Step { op: self.op, old: self.old.as_ref(), path: &self.path, value: self.value.as_ref() }
    }
}

impl From<Step<'_>> for DiffOp {
    fn from(Step { op, old, path, value }: Step<'_>) -> Self {
        Self { op, old: old.cloned(), path: path.to_owned(), value: value.cloned() }
    }
}

/// What one step of a diff does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiffKind {
    /// A value appears.
    Add,
    /// A value goes.
    Remove,
    /// A value becomes another one.
    Replace,
}

/// An event as the log holds it: after policy, with its place and the time it was sequenced.
///
/// Reads like the [`Event`] it is (`record.action`). A clone shares it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record(Arc<Sealed>);

#[derive(Debug, PartialEq)]
struct Sealed {
    event: Event,
    canonical: String,
}

impl Record {
    /// How many hold this very record.
    #[cfg(test)]
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// Reads a record from its canonical JSON. `None` when a field that each record has is missing.
    pub(crate) fn from_canonical(canonical: String) -> Option<Self> {
        let event: Event = serde_json::from_str(&canonical).ok()?;
        let whole =
            event.id.is_some() && event.timestamp.is_some() && event.seq.is_some() && event.recorded_at.is_some();
        whole.then(|| Self(Arc::new(Sealed { event, canonical })))
    }

    /// The event's identity.
    pub fn id(&self) -> &str {
        self.0.event.id.as_deref().unwrap_or_default()
    }

    /// Its place in the log: 0, 1, 2, … without gaps.
    pub fn seq(&self) -> u64 {
        self.0.event.seq.unwrap_or_default()
    }

    /// When it happened, milliseconds since the Unix epoch.
    pub fn timestamp(&self) -> i64 {
        self.0.event.timestamp.unwrap_or_default()
    }

    /// When it was sequenced, milliseconds since the Unix epoch.
    pub fn recorded_at(&self) -> i64 {
        self.0.event.recorded_at.unwrap_or_default()
    }

    /// What changed between before and after; `None` unless both are there or the caller named what
    /// changed. Empty when they are equal.
    pub fn diff(&self) -> Option<&[DiffOp]> {
        self.0.event.diff.as_deref()
    }

    /// The very bytes that were sealed: canonical JSON (RFC 8785).
    pub fn canonical_json(&self) -> &str {
        &self.0.canonical
    }
}

impl Deref for Record {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.0.event
    }
}

impl Serialize for Record {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.event.serialize(serializer)
    }
}

/// What `log` answers: the event is durable, sealed and visible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Receipt {
    /// The event's identity.
    pub id: String,
    /// Its place in the log.
    pub seq: u64,
    /// When it happened, milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// The size of the tree that first held it: a checkpoint of this size or a larger one proves it.
    pub tree_size: u64,
    /// The event was there before: this call sent it again and added nothing. All else is as in its first
    /// receipt.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub existed: bool,
    /// The event was logged before and its body has been removed since.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
}

/// What became of an event that was logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Logged {
    /// It is in the log.
    Recorded(Receipt),
    /// Sampling left it out, as the settings say; it was counted.
    Sampled {
        /// The id it had or was given.
        id: String,
    },
}

impl Logged {
    /// The receipt, unless the event was sampled away.
    pub fn receipt(&self) -> Option<&Receipt> {
        match self {
            Logged::Recorded(receipt) => Some(receipt),
            Logged::Sampled { .. } => None,
        }
    }

    /// The event's identity.
    pub fn id(&self) -> &str {
        match self {
            Logged::Recorded(receipt) => &receipt.id,
            Logged::Sampled { id } => id,
        }
    }
}

impl Serialize for Logged {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Logged::Recorded(receipt) => receipt.serialize(serializer),
            Logged::Sampled { id } => {
                use serde::ser::SerializeStruct;
                let mut map = serializer.serialize_struct("Sampled", 2)?;
                map.serialize_field("id", id)?;
                map.serialize_field("sampled", &true)?;
                map.end()
            }
        }
    }
}
