//! Which events: the one filter that means the same in a query, a count, a statistic, a watch and a scope.

use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv6Addr};

use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, Deserializer, IntoDeserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::text::{self, Term};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Outcome, Severity};
use crate::object::object_or_null;
use crate::policy::address::resembles_address;
use crate::policy::pointer;

/// The longest value in a [`Filter`], in bytes of UTF-8. Four times [`MAX_FIELD_BYTES`](crate::MAX_FIELD_BYTES),
/// so that a text or a path has room.
pub const MAX_FILTER_VALUE_BYTES: usize = 4096;
/// The most values in one list of a [`Filter`].
pub const MAX_FILTER_VALUES: usize = 1000;

/// Which events are meant. What is left out does not matter; what is there must all hold.
///
/// ```
/// use sealog::{Filter, Severity};
///
/// let filter = Filter::new()
///     .actor("u-17")
///     .action("user.*")
///     .severity_from(Severity::Warning)
///     .text("\"reset link\" -expired");
/// assert_eq!(filter.to_string(), r#"severity>=warning action:user.* actor:u-17 "reset link" -expired"#);
/// assert_eq!(Filter::parse(&filter.to_string(), 0).unwrap(), filter);
/// ```
///
/// A list is met by any of its values (only `tags_all` by each), and an empty list, as an absent one, by
/// every event. A list has at most [`MAX_FILTER_VALUES`], and a value is not empty and at most
/// [`MAX_FILTER_VALUE_BYTES`] long.
///
/// # Forms
///
/// People write the compact form ([`Filter::parse`], and [`Display`](fmt::Display) back), programs JSON
/// ([`Filter::from_json`], and serde back) and addresses the query string ([`Filter::from_query`],
/// [`Filter::to_query`]). Each of the three can hold every filter.
///
/// In JSON the names are camelCase, and an unknown name is an error. A list may be a single value, and
/// also goes by the name of a field of the event: `severity`, `action`, `actorId`, `actorType`,
/// `resourceType`, `tags` (any of them), `outcome`, `ipAddress`, `retentionCategory`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Filter {
    /// Any of these severities.
    #[serde(alias = "severity", deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub severities: Vec<Severity>,
    /// Any of these actions: `user.login` is that action, `user.*` each that begins with `user.`.
    #[serde(alias = "action", deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<String>,
    /// Any of these actors.
    #[serde(alias = "actorId", deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub actor_ids: Vec<String>,
    /// Any of these kinds of actor.
    #[serde(alias = "actorType", deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub actor_types: Vec<String>,
    /// Any of these kinds of resource.
    #[serde(alias = "resourceType", deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub resource_types: Vec<String>,
    /// This one resource.
    #[serde(deserialize_with = "object_or_null", skip_serializing_if = "Option::is_none")]
    pub resource: Option<Resource>,
    /// At least one of these tags.
    #[serde(alias = "tags", deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub tags_any: Vec<String>,
    /// Every one of these tags.
    #[serde(deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub tags_all: Vec<String>,
    /// Any of these outcomes.
    #[serde(alias = "outcome", deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<Outcome>,
    /// Of this tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// From any of these addresses (`203.0.113.9`) or networks (`10.0.0.0/8`, `2001:db8::/32`). What is
    /// no address, such as the name of a service, is compared as text. Bits of a network past its prefix
    /// do not matter: `10.1.2.3/8` is `10.0.0.0/8`. IPv4 is a part of IPv6 (`::ffff:0:0/96`), so that
    /// `::/0` is every address.
    #[serde(alias = "ipAddress", deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub ip_addresses: Vec<String>,
    /// In this session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// In this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Any of these retention categories.
    #[serde(alias = "retentionCategory", deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub retention_categories: Vec<String>,
    /// Not before this time, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_timestamp: Option<i64>,
    /// Before this time, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_timestamp: Option<i64>,
    /// Words that the event's metadata, states, diff or actor's name hold, or ids of it: `reset link`
    /// both words, `"reset link"` the two in a row, `-expired` not that word. A backslash takes the meaning
    /// from the next character. The forms write it in one way: one space between terms, and double quotes
    /// around words with a `:` or `>=`, which are conditions in the compact form.
    #[serde(deserialize_with = "canonical_text", skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A path that the change touches, as a JSON Pointer (`/spec/replicas`) or with dots
    /// (`spec.replicas`): the value there has changed, something inside it, or the whole it is a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<String>,
}

impl Filter {
    /// A filter that asks for nothing, which every event meets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a filter from its JSON.
    ///
    /// ```
    /// use sealog::{Filter, Severity};
    ///
    /// let filter = Filter::from_json(r#"{"severity": "error", "actions": ["user.*"]}"#).unwrap();
    /// assert_eq!(filter, Filter::new().severity(Severity::Error).action("user.*"));
    /// assert_eq!(serde_json::to_string(&filter).unwrap(), r#"{"severities":["error"],"actions":["user.*"]}"#);
    ///
    /// let error = Filter::from_json(r#"{"fromTimestamp": "yesterday"}"#).unwrap_err();
    /// assert_eq!(error.pointer(), Some("/fromTimestamp"));
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] when it is no JSON, has an unknown name or a value of another
    /// type, or makes no sense; the pointer names the field.
    pub fn from_json(json: &str) -> Result<Self> {
        // Serde takes a list of values, too, for the fields in their order.
        if !json.trim_start().starts_with('{') {
            return Err(Error::new(ErrorKind::InvalidArgument, "this is no filter: it is no JSON object"));
        }
        let filter: Self = serde_json::from_str(json)
            .map_err(|error| misfit(&error, serde_json::from_str(json).unwrap_or_default()))?;
        filter.validate()?;
        Ok(filter)
    }

    /// Adds a severity.
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severities.push(severity);
        self
    }

    /// Adds this severity and every higher one.
    pub fn severity_from(mut self, severity: Severity) -> Self {
        self.severities.extend(&Severity::ALL[severity as usize..]);
        self
    }

    /// Adds an action: `user.login`, or `user.*` for each that begins with `user.`.
    pub fn action(mut self, action: impl Into<String>) -> Self {
        self.actions.push(action.into());
        self
    }

    /// Adds an actor.
    pub fn actor(mut self, id: impl Into<String>) -> Self {
        self.actor_ids.push(id.into());
        self
    }

    /// Adds a kind of actor.
    pub fn actor_type(mut self, kind: impl Into<String>) -> Self {
        self.actor_types.push(kind.into());
        self
    }

    /// Adds a kind of resource.
    pub fn resource_type(mut self, kind: impl Into<String>) -> Self {
        self.resource_types.push(kind.into());
        self
    }

    /// Asks for one resource.
    pub fn resource(mut self, kind: impl Into<String>, id: impl Into<String>) -> Self {
        self.resource = Some(Resource { kind: kind.into(), id: id.into() });
        self
    }

    /// Adds a tag to those of which an event must have one.
    pub fn tag_any(mut self, tag: impl Into<String>) -> Self {
        self.tags_any.push(tag.into());
        self
    }

    /// Adds a tag to those of which an event must have each.
    pub fn tag_all(mut self, tag: impl Into<String>) -> Self {
        self.tags_all.push(tag.into());
        self
    }

    /// Adds an outcome.
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcomes.push(outcome);
        self
    }

    /// Asks for one tenant.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Adds an address or a network: `203.0.113.9`, `10.0.0.0/8`.
    pub fn ip_address(mut self, address: impl Into<String>) -> Self {
        self.ip_addresses.push(address.into());
        self
    }

    /// Asks for one session.
    pub fn session(mut self, id: impl Into<String>) -> Self {
        self.session_id = Some(id.into());
        self
    }

    /// Asks for one request.
    pub fn request(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// Adds a retention category.
    pub fn retention_category(mut self, category: impl Into<String>) -> Self {
        self.retention_categories.push(category.into());
        self
    }

    /// Asks for events not before this time, in milliseconds since the Unix epoch.
    pub fn from_timestamp(mut self, ms: i64) -> Self {
        self.from_timestamp = Some(ms);
        self
    }

    /// Asks for events before this time, in milliseconds since the Unix epoch.
    pub fn to_timestamp(mut self, ms: i64) -> Self {
        self.to_timestamp = Some(ms);
        self
    }

    /// Asks for words: `reset link`, `"reset link"`, `-expired`. Without any, nothing is asked.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        let text = text.into();
        // What cannot be read is kept for `validate` to say why.
        self.text = text::canonical(&text).unwrap_or(Some(text));
        self
    }

    /// Asks for changes that touch a path: `spec.replicas`, `/spec/replicas`.
    pub fn changed(mut self, path: impl Into<String>) -> Self {
        self.changed = Some(path.into());
        self
    }

    /// Whether nothing is asked, so that every event meets it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks that the filter makes sense, in time linear in its size.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] with a pointer to the first thing that does not.
    pub(crate) fn validate(&self) -> Result<()> {
        check_sizes(&serde_json::to_value(self).expect("a filter is plain data"))?;
        for (i, action) in self.actions.iter().enumerate() {
            let prefix = action.strip_suffix(".*").unwrap_or(action);
            if prefix.is_empty() || prefix.contains('*') {
                let message = format!("{action:?} is no action: `*` can only be all of the last part, as in `user.*`");
                return Err(wrong(format!("/actions/{i}"), message));
            }
        }
        self.networks()?;
        if let (Some(from), Some(to)) = (self.from_timestamp, self.to_timestamp)
            && from >= to
        {
            let message = format!("the time to end before, {to}, is not after the time to begin at, {from}");
            return Err(wrong("/toTimestamp", message));
        }
        if let Some(text) = &self.text {
            let canonical = text::canonical(text).and_then(|text| check_sizes(&text.unwrap_or_default().into()));
            canonical.map_err(|error| error.inside("/text"))?;
        }
        if let Some(path) = &self.changed {
            let is_pointer = path.starts_with('/') && pointer::is_valid(path);
            let is_names = !path.starts_with('/') && path.split('.').all(|name| !name.is_empty());
            if !(is_pointer || is_names) {
                let message = format!(
                    "{path:?} is no path: it is names with dots, as in `spec.replicas`, or a JSON Pointer, as in \
                     `/spec/replicas`, where `~` is written `~0`"
                );
                return Err(wrong("/changed", message));
            }
        }
        Ok(())
    }

    /// The terms of the text.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] when a quote is not closed, which `validate` finds too.
    pub(crate) fn terms(&self) -> Result<Vec<Term>> {
        text::terms(self.text.as_deref().unwrap_or_default())
    }

    /// The addresses, as what an event's address is compared with.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] when one is a network that cannot be, which `validate` finds too.
    pub(crate) fn networks(&self) -> Result<Vec<Network>> {
        let networks = self.ip_addresses.iter().enumerate().map(|(i, text)| {
            Network::parse(text).ok_or_else(|| {
                let message = format!(
                    "{text:?} is no network: it is a whole address, `/`, and 0 to 32 for IPv4 or 0 to 128 for IPv6, \
                     as in `10.0.0.0/8`"
                );
                wrong(format!("/ipAddresses/{i}"), message)
            })
        });
        networks.collect()
    }

    /// The path that the change must touch, as a JSON Pointer.
    pub(crate) fn changed_pointer(&self) -> Option<String> {
        let path = self.changed.as_ref()?;
        if path.starts_with('/') {
            return Some(path.clone());
        }
        let mut pointer = String::new();
        path.split('.').for_each(|name| pointer::push(&mut pointer, name));
        Some(pointer)
    }
}

fn wrong(pointer: impl Into<String>, message: impl Into<String>) -> Error {
    Error::field(ErrorKind::InvalidArgument, pointer, message)
}

/// Checks that no text is empty or too long, and no list too long, whichever field it is in.
fn check_sizes(value: &Value) -> Result<()> {
    match value {
        Value::String(text) if text.is_empty() => Err(wrong("", "is empty; leave it out to ask for nothing")),
        Value::String(text) if text.len() > MAX_FILTER_VALUE_BYTES => {
            let message = format!("has {} bytes; MAX_FILTER_VALUE_BYTES is {MAX_FILTER_VALUE_BYTES}", text.len());
            Err(wrong("", message))
        }
        Value::Array(values) if values.len() > MAX_FILTER_VALUES => {
            let message = format!("has {} values; MAX_FILTER_VALUES is {MAX_FILTER_VALUES}", values.len());
            Err(wrong("", message))
        }
        Value::Array(values) => values
            .iter()
            .enumerate()
            .try_for_each(|(i, value)| check_sizes(value).map_err(|error| error.inside(&format!("/{i}")))),
        Value::Object(fields) => fields
            .iter()
            .try_for_each(|(name, value)| check_sizes(value).map_err(|error| error.inside(&format!("/{name}")))),
        _ => Ok(()),
    }
}

/// The error of fields that are no filter. Serde says what is wrong and not in which field, so each is
/// tried alone.
pub(super) fn misfit(error: &serde_json::Error, fields: Map<String, Value>) -> Error {
    let culprit = fields.into_iter().find_map(|(name, value)| {
        let mut place = String::new();
        pointer::push(&mut place, &name);
        serde_json::from_value::<Filter>(json!({ name: value })).err().map(|error| wrong(place, error.to_string()))
    });
    culprit.unwrap_or_else(|| Error::new(ErrorKind::InvalidArgument, format!("this is no filter: {error}")))
}

/// Takes a single value for a list of one.
fn one_or_many<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct OneOrMany<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMany<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string or a list of strings")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<T>, E> {
            Ok(vec![T::deserialize(text.into_deserializer())?])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, values: A) -> Result<Vec<T>, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(values))
        }
    }

    deserializer.deserialize_any(OneOrMany(PhantomData))
}

fn canonical_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    text::canonical(&text).map_err(de::Error::custom)
}

/// One resource: its type and its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// What kind of thing it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which one.
    pub id: String,
}

/// What an event's address is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Network {
    /// Addresses from the first to the last, both included. IPv4 is mapped into `::ffff:0:0/96`, and one
    /// address is a range of one.
    Range {
        /// The lowest address.
        first: Ipv6Addr,
        /// The highest address.
        last: Ipv6Addr,
    },
    /// What is no address.
    Text(String),
}

impl Network {
    /// Reads an address, a network or other text. `None` when it is meant for a network and is none.
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let (first, bits) = match address.parse() {
            Ok(IpAddr::V4(address)) => (address.to_ipv6_mapped(), 32),
            Ok(IpAddr::V6(address)) => (address, 128),
            Err(_) if prefix.is_some() && resembles_address(address) => return None,
            Err(_) => return Some(Self::Text(text.to_owned())),
        };
        let prefix = match prefix {
            Some(prefix) if prefix.starts_with('+') => return None,
            Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= bits)?,
            None => bits,
        };
        let host = u128::MAX.checked_shr(128 - (bits - prefix)).unwrap_or(0);
        Some(Self::Range {
            first: Ipv6Addr::from_bits(first.to_bits() & !host),
            last: Ipv6Addr::from_bits(first.to_bits() | host),
        })
    }
}

#[cfg(test)]
mod tests;
