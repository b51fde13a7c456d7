//! What of an event a filter asks for without reading its documents.

use std::net::Ipv6Addr;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Outcome, Severity};
use crate::policy::addresses;

/// A field with one text, of which a filter names the values it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Action,
    ActorId,
    ActorType,
    ResourceType,
    /// See [`resource_text`].
    Resource,
    Tenant,
    SessionId,
    RequestId,
    RetentionCategory,
}

impl Key {
    pub(crate) const ALL: [Key; 9] = [
        Key::Action,
        Key::ActorId,
        Key::ActorType,
        Key::ResourceType,
        Key::Resource,
        Key::Tenant,
        Key::SessionId,
        Key::RequestId,
        Key::RetentionCategory,
    ];

    /// The name of its field in the index.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Key::Action => "action",
            Key::ActorId => "actor_id",
            Key::ActorType => "actor_type",
            Key::ResourceType => "resource_type",
            Key::Resource => "resource",
            Key::Tenant => "tenant",
            Key::SessionId => "session_id",
            Key::RequestId => "request_id",
            Key::RetentionCategory => "retention_category",
        }
    }
}

/// A resource as one text: its id first, so that all resources with an id stand together. No field
/// holds a NUL.
pub(crate) fn resource_text(kind: &str, id: &str) -> String {
    [id, "\0", kind].concat()
}

/// The facts of one event.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) timestamp: i64,
    pub(crate) severity: Severity,
    pub(crate) outcome: Option<Outcome>,
    texts: [Option<Box<str>>; Key::ALL.len()],
    pub(crate) tags: Vec<String>,
    pub(crate) ip_address: Option<String>,
    /// Whether there is a state before or after.
    pub(crate) has_state: bool,
    /// Where in its canonical JSON the members from `diff` on begin, if that is known.
    pub(crate) diff: Option<usize>,
}

/// The part of an event's canonical JSON that facts are made of.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    id: String,
    timestamp: i64,
    severity: Severity,
    outcome: Option<Outcome>,
    action: Box<str>,
    actor_id: Option<Box<str>>,
    actor_type: Option<Box<str>>,
    resource_type: Option<Box<str>>,
    resource_id: Option<Box<str>>,
    tenant: Option<Box<str>>,
    session_id: Option<Box<str>>,
    request_id: Option<Box<str>>,
    retention_category: Option<Box<str>>,
    #[serde(default)]
    tags: Vec<String>,
    ip_address: Option<String>,
    #[serde(default, deserialize_with = "present")]
    before: bool,
    #[serde(default, deserialize_with = "present")]
    after: bool,
}

/// Whether a field is there, `null` or not.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

impl Facts {
    /// The facts of an event that has its timestamp, and in whose canonical JSON `diff` belongs there.
    pub(crate) fn of_event(event: Event, diff: usize) -> Self {
        let boxed = |text: Option<String>| text.map(String::into_boxed_str);
        let resource = resource(event.resource_type.as_deref(), event.resource_id.as_deref());
        Self {
            timestamp: event.timestamp.unwrap_or_default(),
            severity: event.severity,
            outcome: event.outcome,
            has_state: event.before.is_some() || event.after.is_some(),
            texts: [
                Some(event.action.into()),
                boxed(event.actor_id),
                boxed(event.actor_type),
                boxed(event.resource_type),
                resource,
                boxed(event.tenant),
                boxed(event.session_id),
                boxed(event.request_id),
                boxed(event.retention_category),
            ],
            tags: event.tags,
            ip_address: event.ip_address,
            diff: Some(diff),
        }
    }

    /// The facts of a stored event, and its id.
    pub(crate) fn of_body(body: &[u8]) -> Result<(Self, String)> {
        let body: Body = serde_json::from_slice(body).map_err(|error| {
            Error::new(
                ErrorKind::Integrity,
                format!("expected an event's canonical JSON, found something else: {error}"),
            )
        })?;
        let resource = resource(body.resource_type.as_deref(), body.resource_id.as_deref());
        let facts = Self {
            timestamp: body.timestamp,
            severity: body.severity,
            outcome: body.outcome,
            has_state: body.before || body.after,
            texts: [
                Some(body.action),
                body.actor_id,
                body.actor_type,
                body.resource_type,
                resource,
                body.tenant,
                body.session_id,
                body.request_id,
                body.retention_category,
            ],
            tags: body.tags,
            ip_address: body.ip_address,
            diff: None,
        };
        Ok((facts, body.id))
    }

    pub(crate) fn text(&self, key: Key) -> Option<&str> {
        self.texts[key as usize].as_deref()
    }

    /// The addresses it came from, IPv4 as IPv6. A field may hold several.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.ip_address.as_deref().into_iter().flat_map(addresses)
    }

    /// An estimate of what it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        let texts: usize = self.texts.iter().flatten().map(|text| text.len() + 16).sum();
        let tags: usize = self.tags.iter().map(|tag| tag.len() + 40).sum();
        size_of::<Self>() + texts + tags + self.ip_address.as_ref().map_or(0, String::len)
    }
}

fn resource(kind: Option<&str>, id: Option<&str>) -> Option<Box<str>> {
    Some(resource_text(kind?, id?).into())
}
