//! Suggestions: the values of a field that begin with what was typed so far.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use tantivy::TantivyError;
use tantivy::schema::Field;

use super::search::{count_in_segments, each_in_tail};
use super::stats::top;
use super::{Filter, Matcher, Selection, TopEntry};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Facts, Key, View, damaged};
use crate::journal::Snapshot;
use crate::log::AuditLog;

/// The most suggestions at once.
pub const MAX_SUGGESTIONS: usize = 1000;
/// So many values with the prefix are looked at, in the order of their bytes: who needs those behind them
/// types another letter.
const MAX_LOOKED_AT: usize = 10_000;

/// A field whose values can be suggested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum SuggestField {
    /// What was done.
    Action,
    /// Who did it.
    ActorId,
    /// What kind of actor it is.
    ActorType,
    /// What kind of thing it was done to.
    ResourceType,
    /// A tag.
    Tag,
    /// Whose log it is.
    Tenant,
    /// Which retention rule it falls under.
    RetentionCategory,
}

impl SuggestField {
    /// Its key, but for tags, of which an event has several.
    fn key(self) -> Option<Key> {
        match self {
            SuggestField::Action => Some(Key::Action),
            SuggestField::ActorId => Some(Key::ActorId),
            SuggestField::ActorType => Some(Key::ActorType),
            SuggestField::ResourceType => Some(Key::ResourceType),
            SuggestField::Tag => None,
            SuggestField::Tenant => Some(Key::Tenant),
            SuggestField::RetentionCategory => Some(Key::RetentionCategory),
        }
    }

    fn values(self, facts: &Facts) -> impl Iterator<Item = &str> {
        let tags: &[String] = if self.key().is_none() { &facts.tags } else { &[] };
        self.key().and_then(|key| facts.text(key)).into_iter().chain(tags.iter().map(String::as_str))
    }

    /// The filter for one of its values.
    fn filter(self, value: &str) -> Filter {
        let filter = Filter::new();
        match self {
            SuggestField::Action => filter.action(value),
            SuggestField::ActorId => filter.actor(value),
            SuggestField::ActorType => filter.actor_type(value),
            SuggestField::ResourceType => filter.resource_type(value),
            SuggestField::Tag => filter.tag_any(value),
            SuggestField::Tenant => filter.tenant(value),
            SuggestField::RetentionCategory => filter.retention_category(value),
        }
    }
}

impl AuditLog {
    /// The values of `field` that begin with `prefix`, each with how many events have it, the most
    /// frequent first: for whoever types a filter. Of a scoped handle only the scope's events count, and
    /// what none of them has is not suggested.
    ///
    /// ```
    /// use sealog::{AuditLog, Event, SuggestField};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sealog::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let log = AuditLog::open(dir.path().join("audit.db")).await?;
    /// log.log(Event::new("user.login").actor("ada")).await?;
    ///
    /// let found = log.suggest(SuggestField::Action, "us", 10).await?;
    /// assert_eq!((found[0].value.as_str(), found[0].count), ("user.login", 1));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the limit is not from 1 to [`MAX_SUGGESTIONS`]; else as
    /// [`AuditLog::search`].
    pub async fn suggest(&self, field: SuggestField, prefix: &str, limit: usize) -> Result<Vec<TopEntry>> {
        if !(1..=MAX_SUGGESTIONS).contains(&limit) {
            let message = format!("the limit is from 1 to {MAX_SUGGESTIONS}, and this is {limit}");
            return Err(Error::field(ErrorKind::InvalidArgument, "/limit", message));
        }
        let prefix = prefix.to_owned();
        self.ask(self.scope.clone(), move |view, selection, snapshot| {
            suggest(view, selection, field, &prefix, limit, snapshot)
        })
        .await
    }
}

fn suggest(
    view: &View,
    selection: &Selection,
    field: SuggestField,
    prefix: &str,
    limit: usize,
    snapshot: &mut dyn Snapshot,
) -> Result<Vec<TopEntry>> {
    let mut counts: HashMap<Box<str>, u64> = HashMap::new();
    each_in_tail(view, selection, 0, &mut |_, entry| {
        for value in field.values(&entry.facts).filter(|value| value.starts_with(prefix)) {
            *counts.entry(value.into()).or_default() += 1;
        }
        true
    })?;
    let fields = &view.generation.fields;
    let indexed = field.key().map_or(fields.tag, |key| fields.key(key));
    for (value, all) in terms(view, indexed, prefix).map_err(damaged)? {
        let count = match Matcher::new(&field.filter(&value)) {
            _ if selection.is_whole() && view.removed.is_empty() => all,
            Ok(matcher) => count_in_segments(view, &selection.and(matcher), snapshot)?,
            // A value that no filter can name cannot be filtered by.
            Err(_) => 0,
        };
        if count > 0 {
            *counts.entry(value.into()).or_default() += count;
        }
    }
    Ok(top(counts, limit))
}

/// The first values in the segments that begin with `prefix`, each with how many events have it.
fn terms(view: &View, field: Field, prefix: &str) -> Result<BTreeMap<String, u64>, TantivyError> {
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    let mut last = None;
    for segment in &view.generation.segments {
        let index = segment.reader.inverted_index(field)?;
        let mut stream = index.terms().range().ge(prefix.as_bytes()).into_stream()?;
        while let Some((term, info)) = stream.next() {
            let Ok(value) = std::str::from_utf8(term) else { continue };
            if !value.starts_with(prefix) || last.as_deref().is_some_and(|last: &str| value > last) {
                break;
            }
            *found.entry(value.to_owned()).or_default() += u64::from(info.doc_freq);
            if found.len() > MAX_LOOKED_AT {
                found.pop_last();
                last = found.keys().next_back().cloned();
            }
        }
    }
    Ok(found)
}
