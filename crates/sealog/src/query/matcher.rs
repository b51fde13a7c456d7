//! What a filter means: whether it selects an event, by the event's facts and documents.

use std::borrow::Cow;

use crate::error::Result;
use crate::event::{Outcome, Severity, is_own};
use crate::index::{Facts, Key, Sink, resource_text, visit};
use crate::policy::overlap;
use crate::query::filter::{Filter, Network};
use crate::query::needle::{Needle, Search};

/// A filter in the form it is asked in.
#[derive(Debug, Clone)]
pub(crate) struct Matcher {
    pub(crate) severities: Vec<Severity>,
    pub(crate) outcomes: Vec<Outcome>,
    /// Any of the values, for each key.
    pub(crate) keys: Vec<(Key, Vec<String>)>,
    pub(crate) tags_any: Vec<String>,
    pub(crate) tags_all: Vec<String>,
    pub(crate) networks: Vec<Network>,
    /// The first millisecond.
    pub(crate) from: i64,
    /// The first millisecond after.
    pub(crate) to: i64,
    pub(crate) needles: Vec<Needle>,
    /// A JSON Pointer.
    pub(crate) changed: Option<String>,
    /// Only events with a state before or after.
    pub(crate) has_state: bool,
    /// Not the log's own events.
    pub(crate) without_own: bool,
}

impl Matcher {
    pub(crate) fn new(filter: &Filter) -> Result<Self> {
        filter.validate()?;
        let one = |value: &Option<String>| value.iter().cloned().collect::<Vec<_>>();
        let resource = filter.resource.iter().map(|resource| resource_text(&resource.kind, &resource.id)).collect();
        let keys = [
            (Key::Action, filter.actions.clone()),
            (Key::ActorId, filter.actor_ids.clone()),
            (Key::ActorType, filter.actor_types.clone()),
            (Key::ResourceType, filter.resource_types.clone()),
            (Key::Resource, resource),
            (Key::Tenant, one(&filter.tenant)),
            (Key::SessionId, one(&filter.session_id)),
            (Key::RequestId, one(&filter.request_id)),
            (Key::RetentionCategory, filter.retention_categories.clone()),
        ];
        Ok(Self {
            severities: filter.severities.clone(),
            outcomes: filter.outcomes.clone(),
            keys: keys.into_iter().filter(|(_, values)| !values.is_empty()).collect(),
            tags_any: filter.tags_any.clone(),
            tags_all: filter.tags_all.clone(),
            networks: filter.networks()?,
            from: filter.from_timestamp.unwrap_or(i64::MIN),
            to: filter.to_timestamp.unwrap_or(i64::MAX),
            needles: filter.terms()?.into_iter().map(Needle::new).collect(),
            changed: filter.changed_pointer(),
            has_state: false,
            without_own: false,
        })
    }

    /// Whether it lets every event through.
    pub(crate) fn is_whole(&self) -> bool {
        self.severities.is_empty()
            && self.outcomes.is_empty()
            && self.keys.is_empty()
            && self.tags_any.is_empty()
            && self.tags_all.is_empty()
            && self.networks.is_empty()
            && (self.from, self.to) == (i64::MIN, i64::MAX)
            && !self.asks_documents()
            && !self.has_state
            && !self.without_own
    }

    /// Whether the event's facts are as they should be.
    pub(crate) fn facts(&self, facts: &Facts) -> bool {
        let in_time = (self.from..self.to).contains(&facts.timestamp);
        let severity = self.severities.is_empty() || self.severities.contains(&facts.severity);
        let outcome = self.outcomes.is_empty() || facts.outcome.is_some_and(|outcome| self.outcomes.contains(&outcome));
        in_time
            && severity
            && outcome
            && (facts.has_state || !self.has_state)
            && !(self.without_own && facts.text(Key::Action).is_some_and(is_own))
            && self.keys.iter().all(|(key, values)| {
                facts.text(*key).is_some_and(|text| values.iter().any(|value| is_value(*key, value, text)))
            })
            && (self.tags_any.is_empty() || self.tags_any.iter().any(|tag| facts.tags.contains(tag)))
            && self.tags_all.iter().all(|tag| facts.tags.contains(tag))
            && (self.networks.is_empty() || self.networks.iter().any(|network| is_in(network, facts)))
    }

    /// Whether it asks for anything in the documents.
    pub(crate) fn asks_documents(&self) -> bool {
        !self.needles.is_empty() || self.changed.is_some()
    }

    /// Whether the documents in an event's canonical JSON are as they should be.
    pub(crate) fn documents(&self, body: &[u8]) -> Result<bool> {
        if !self.asks_documents() {
            return Ok(true);
        }
        let mut check = Check {
            search: Search::new(&self.needles),
            changed: self.changed.as_deref(),
            touched: self.changed.is_none(),
        };
        visit(body, &mut check)?;
        Ok(check.touched && check.search.is_met())
    }
}

struct Check<'m> {
    search: Search<'m>,
    changed: Option<&'m str>,
    touched: bool,
}

impl<'b> Sink<'b> for Check<'_> {
    fn text(&mut self, text: Cow<'b, str>) {
        self.search.text(&text);
    }

    fn id(&mut self, id: &str) {
        self.search.id(id);
    }

    fn changed(&mut self, path: &str) {
        self.touched |= self.changed.is_some_and(|changed| overlap(changed, path));
    }
}

/// The beginning of the actions that a pattern such as `user.*` means.
pub(crate) fn action_prefix(pattern: &str) -> Option<&str> {
    pattern.strip_suffix('*').filter(|prefix| prefix.ends_with('.'))
}

fn is_value(key: Key, value: &str, text: &str) -> bool {
    match action_prefix(value).filter(|_| key == Key::Action) {
        Some(prefix) => text.starts_with(prefix),
        None => text == value,
    }
}

fn is_in(network: &Network, facts: &Facts) -> bool {
    match network {
        Network::Range { first, last } => facts.addresses().any(|address| (*first..=*last).contains(&address)),
        Network::Text(text) => facts.ip_address.as_ref() == Some(text),
    }
}
