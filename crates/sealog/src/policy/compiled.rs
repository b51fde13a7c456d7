//! The policy at work: from the event as it was sent to the event as it may be stored.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::address;
use super::hide::{Domain, Keyed, REDACTED};
use super::names::Names;
use super::paths::Paths;
use super::redact::{Rules, Steps};
use super::validate::{self, Source};
use super::{IpPolicy, Mode, diff, pointer};
use crate::canonical::{self, Documents, Sealable};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{DiffKind, Event, MAX_EVENT_BYTES, Severity, Step, is_own};
use crate::index::{Facts, Key};

/// How much of a keyed digest tells whether an event is the one that had the same id, in bytes. The key
/// is secret, so nobody can look for two events with the same digest.
const DIGEST_BYTES: usize = 16;

/// A policy with its rules in the form they are looked up in, and the key.
#[derive(Clone)]
pub(crate) struct Compiled {
    pub(super) rules: Rules,
    /// For the log's own events.
    pub(super) no_rules: Rules,
    pub(super) fields: Fields,
    pub(super) ip_address: IpPolicy,
    /// Events of which 64 bits of a keyed digest lie below are kept; `None` keeps all.
    pub(super) sampling: Option<u64>,
    pub(super) max_future_ms: i64,
    /// The seq of the event that made the settings it is of, where there is one.
    pub(crate) settings: Option<u64>,
}

/// The key is in here.
impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").finish_non_exhaustive()
    }
}

/// How the event's own text fields are hidden. Not among them: what an event is found, ordered, scoped
/// and kept by (id, action, kinds, severity, outcome, timestamp, tenant, retention category).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fields {
    actor_id: Option<Mode>,
    actor_name: Option<Mode>,
    on_behalf_of: Option<Mode>,
    resource_id: Option<Mode>,
    ip_address: Option<Mode>,
    user_agent: Option<Mode>,
    session_id: Option<Mode>,
    request_id: Option<Mode>,
    tags: Option<Mode>,
}

impl Fields {
    pub(super) fn new(names: &Names) -> Self {
        let mode_of = |name| names.mode(name);
        Self {
            actor_id: mode_of("actorId"),
            actor_name: mode_of("actorName"),
            on_behalf_of: mode_of("onBehalfOf"),
            resource_id: mode_of("resourceId"),
            ip_address: mode_of("ipAddress"),
            user_agent: mode_of("userAgent"),
            session_id: mode_of("sessionId"),
            request_id: mode_of("requestId"),
            tags: mode_of("tags"),
        }
    }

    fn redact(self, event: &mut Event, keyed: &Keyed) {
        let fields = [
            (self.actor_id, &mut event.actor_id),
            (self.actor_name, &mut event.actor_name),
            (self.on_behalf_of, &mut event.on_behalf_of),
            (self.resource_id, &mut event.resource_id),
            (self.ip_address, &mut event.ip_address),
            (self.user_agent, &mut event.user_agent),
            (self.session_id, &mut event.session_id),
            (self.request_id, &mut event.request_id),
        ];
        for (mode, field) in fields {
            match (mode, &mut *field) {
                (Some(Mode::Remove), field) => *field = None,
                (Some(mode), Some(text)) => *text = keyed.hide_text(mode, text),
                _ => {}
            }
        }
        match self.tags {
            Some(Mode::Remove) => event.tags.clear(),
            Some(mode) => event.tags.iter_mut().for_each(|tag| *tag = keyed.hide_text(mode, tag)),
            None => {}
        }
    }
}

/// What the policy made of an event.
#[derive(Debug)]
pub(crate) enum Applied {
    /// It goes into the log.
    Keep(Prepared),
    /// Sampling leaves it out.
    Sampled {
        /// The id it had or was given.
        id: String,
    },
}

/// An event ready for its place in the log.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) id: String,
    /// Milliseconds since the Unix epoch.
    pub(crate) timestamp: i64,
    /// A keyed digest of what the caller sent; only where the caller gave the id, since nobody can
    /// send an event again under an id that was drawn here.
    pub(crate) digest: Option<[u8; DIGEST_BYTES]>,
    pub(crate) sealable: Sealable,
    pub(crate) facts: Arc<Facts>,
    /// See [`Compiled::settings`].
    settings: Option<u64>,
}

impl Prepared {
    /// How many bytes of canonical JSON it takes at the most.
    pub(crate) fn max_len(&self) -> usize {
        self.sealable.max_len()
    }

    /// The event after policy, with its id, timestamp and diff.
    #[cfg(test)]
    pub(crate) fn event(&self) -> Event {
        serde_json::from_slice(self.sealable.unsealed()).expect("what was prepared is an event")
    }
}

impl Compiled {
    /// Applies the policy to what a caller sends now.
    ///
    /// # Errors
    ///
    /// What is wrong with the event, with a pointer to it.
    pub(crate) fn apply(&self, event: Event, now_ms: i64, new_id: impl FnOnce() -> String) -> Result<Applied> {
        self.apply_accepted(event, now_ms, now_ms, new_id)
    }

    /// Applies the policy to what was accepted at `accepted_ms`, when it was put into an inbox.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply).
    pub(crate) fn apply_accepted(
        &self,
        event: Event,
        now_ms: i64,
        accepted_ms: i64,
        new_id: impl FnOnce() -> String,
    ) -> Result<Applied> {
        let event = self.checked(event, Source::Caller, now_ms)?;
        // It becomes the timestamp where the event names none, so it is bounded like one.
        if event.timestamp.is_none() && accepted_ms.saturating_sub(now_ms) > self.max_future_ms {
            return Err(Error::field(
                ErrorKind::InvalidEvent,
                "/timestamp",
                format!(
                    "it was accepted {} ms after the log's clock; the limit is {} ms",
                    accepted_ms.saturating_sub(now_ms),
                    self.max_future_ms
                ),
            ));
        }
        let (event, id, digest) = self.identify(event, new_id);
        if !self.keeps(&event, &id) {
            return Ok(Applied::Sampled { id });
        }
        self.prepare(event, id, digest, accepted_ms, true).map(Applied::Keep)
    }

    /// Applies the policy to an event of the log's own: nothing is sampled away or hidden.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply), but for the reserved actions.
    pub(crate) fn apply_own(&self, event: Event, now_ms: i64, new_id: impl FnOnce() -> String) -> Result<Prepared> {
        let event = self.checked(event, Source::Own, now_ms)?;
        let (event, id, digest) = self.identify(event, new_id);
        self.prepare(event, id, digest, now_ms, false)
    }

    /// Applies the policy again to an event that it was applied to before, and that went through an
    /// inbox since. Under the same settings the bytes are the same.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply), and when the event lacks its id or timestamp.
    pub(crate) fn apply_staged(
        &self,
        event: Event,
        digest: Option<[u8; DIGEST_BYTES]>,
        now_ms: i64,
    ) -> Result<Prepared> {
        let event = self.checked(event, Source::Staged, now_ms)?;
        let id = event.id.clone().unwrap_or_default();
        self.prepare(event, id, digest, now_ms, true)
    }

    /// Applies the policy to an event that another one was applied to, under settings that have changed since.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply).
    pub(crate) fn renew(&self, event: &mut Prepared, now_ms: i64) -> Result<()> {
        if event.settings == self.settings || event.facts.text(Key::Action).is_some_and(is_own) {
            return Ok(());
        }
        let sent = serde_json::from_slice(event.sealable.unsealed())
            .map_err(|error| Error::new(ErrorKind::InvalidEvent, format!("this is no event: {error}")))?;
        *event = self.apply_staged(sent, event.digest, now_ms)?;
        Ok(())
    }

    /// A copy of what was meant as an event and is none, with the same values hidden: a row of an inbox
    /// that is set aside. Whatever shape it has, it must be no deeper than a JSON parser reads.
    pub(crate) fn redacted_copy(&self, row: &Value) -> Value {
        let (mut row, rules) = (row.clone(), &self.rules);
        let redact = |paths: &Paths, value: &mut Value| {
            let mut left = Vec::new();
            rules.write_value(&mut left, paths, value);
            *value = serde_json::from_slice(&left).unwrap_or_else(|_| REDACTED.into());
        };
        let documents = [("metadata", &rules.metadata), ("before", &rules.before), ("after", &rules.after)];
        for (name, paths) in documents {
            if let Some(document) = row.get_mut(name) {
                redact(paths, document);
            }
        }
        // Metadata that is no object has no names to go by.
        if let Some(metadata) = row.get_mut("metadata").filter(|metadata| !metadata.is_object()) {
            *metadata = REDACTED.into();
        }
        // A diff names its fields in pointers, where the rules by name would not find them.
        for name in ["diff", "changed"] {
            if let Some(pointers) = row.get_mut(name) {
                *pointers = REDACTED.into();
            }
        }
        if let Some(Value::String(text)) = row.get_mut("ipAddress") {
            *text = address::reduce(self.ip_address, text, &rules.keyed);
        }
        redact(&Paths::default(), &mut row);
        row
    }

    fn checked(&self, event: Event, source: Source, now_ms: i64) -> Result<Event> {
        match validate::check(&event, source, now_ms, self.max_future_ms) {
            Ok(()) => Ok(event),
            Err(error) => {
                validate::dismantle(event);
                Err(error)
            }
        }
    }

    fn identify(&self, mut event: Event, new_id: impl FnOnce() -> String) -> (Event, String, Option<[u8; 16]>) {
        if let Some(id) = event.id.clone() {
            let digest = canonical::with_event(&event, |sent| self.rules.keyed.digest(Domain::Digest, sent));
            (event, id, digest.first_chunk().copied())
        } else {
            let id = new_id();
            event.id = Some(id.clone());
            (event, id, None)
        }
    }

    /// Whether sampling keeps the event: a function of its id alone, so that a retry falls alike.
    fn keeps(&self, event: &Event, id: &str) -> bool {
        let Some(threshold) = self.sampling else { return true };
        let is_change = event.before.is_some() || event.after.is_some() || !event.changed.is_empty();
        if is_change || event.severity != Severity::Info {
            return true;
        }
        let digest = self.rules.keyed.digest(Domain::Sample, id.as_bytes());
        digest.first_chunk().is_some_and(|bytes| u64::from_be_bytes(*bytes) < threshold)
    }

    fn prepare(
        &self,
        mut event: Event,
        id: String,
        digest: Option<[u8; DIGEST_BYTES]>,
        accepted_ms: i64,
        redact: bool,
    ) -> Result<Prepared> {
        // A clock before 1970 gives 0, which a later check of the same event lets pass.
        let timestamp = *event.timestamp.get_or_insert(accepted_ms.max(0));
        if redact {
            self.redact_fields(&mut event);
        }
        remove_repeated(&mut event.tags);
        let rules = if redact { &self.rules } else { &self.no_rules };
        let changed = std::mem::take(&mut event.changed);
        let sealable = canonical::sealed_parts(&event, &Allowed { rules, changed: &changed });
        let size = sealable.max_len();
        if size > MAX_EVENT_BYTES {
            let message = format!(
                "the event has {size} bytes of canonical JSON, its diff included; the limit is {MAX_EVENT_BYTES} \
                 (MAX_EVENT_BYTES)"
            );
            return Err(Error::field(ErrorKind::LimitExceeded, "", message));
        }
        let facts = Arc::new(Facts::of_event(event, sealable.diff()));
        Ok(Prepared { id, timestamp, digest, sealable, facts, settings: self.settings })
    }

    fn redact_fields(&self, event: &mut Event) {
        self.fields.redact(event, &self.rules.keyed);
        if self.ip_address != IpPolicy::Keep
            && let Some(text) = &mut event.ip_address
        {
            *text = address::reduce(self.ip_address, text, &self.rules.keyed);
        }
    }
}

/// Writes what the rules allow of an event's documents.
struct Allowed<'a> {
    rules: &'a Rules,
    /// What the caller says has changed.
    changed: &'a [String],
}

impl Documents for Allowed<'_> {
    fn metadata(&self, out: &mut Vec<u8>, metadata: &Map<String, Value>) {
        self.rules.write_object(out, &self.rules.metadata, metadata);
    }

    fn before(&self, out: &mut Vec<u8>, before: &Value) {
        self.rules.write_value(out, &self.rules.before, before);
    }

    fn after(&self, out: &mut Vec<u8>, after: &Value) {
        self.rules.write_value(out, &self.rules.after, after);
    }

    /// Compares the states as they were sent, so that a change of a hidden value still shows, and adds
    /// what the caller says has changed.
    fn diff(&self, out: &mut Vec<u8>, event: &Event) {
        let states = event.before.as_ref().zip(event.after.as_ref());
        if event.diff.is_none() && states.is_none() && self.changed.is_empty() {
            return;
        }
        out.extend_from_slice(canonical::DIFF_MEMBER);
        out.push(b'[');
        let mut steps = Steps::new(self.rules, out);
        // Their pointers, where there is something to compare them with.
        let mut computed = Vec::new();
        let mut push = |steps: &mut Steps<'_>, step: Step<'_>| {
            if !self.changed.is_empty() {
                computed.push(step.path.to_owned());
            }
            steps.push(step);
        };
        if let Some(ops) = &event.diff {
            for op in ops {
                push(&mut steps, op.step());
            }
        } else if let Some((before, after)) = states
            && !diff::diff_guided(before, after, self.rules, &mut |step| push(&mut steps, step))
        {
            steps.clear();
            push(&mut steps, diff::whole(before, after));
        }
        // Where the caller took the value out of its states, all that is known is that it changed.
        let unknown = Value::from(REDACTED);
        let mut seen = HashSet::new();
        for path in self.changed {
            let path = self.rules.visible(path);
            if seen.insert(path) && !computed.iter().any(|known| pointer::overlap(known, path)) {
                let [old, value] = [&event.before, &event.after]
                    .map(|state| state.as_ref().and_then(|state| state.pointer(path)).or(Some(&unknown)));
                steps.push(Step { op: DiffKind::Replace, old, path, value });
            }
        }
        out.push(b']');
    }
}

/// Keeps the first of equal tags. There are few of them.
fn remove_repeated(tags: &mut Vec<String>) {
    let mut kept = 0;
    while kept < tags.len() {
        if tags[..kept].contains(&tags[kept]) {
            tags.remove(kept);
        } else {
            kept += 1;
        }
    }
}

#[cfg(test)]
mod tests;
