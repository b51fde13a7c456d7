//! Erasure: the personal data of one actor or resource goes, whatever its age.

use std::collections::HashSet;

use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{ERASURE_APPLIED, Fate, Holds, Tally, in_parts, is_exempt, judge, remove};
use crate::canonical;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Record, Severity, is_own};
use crate::keeper::ANOMALY_DETECTED;
use crate::log::{AuditLog, record_of};
use crate::object::object;
use crate::query::{Resource, bodies};

/// The longest reason, in bytes.
pub const MAX_REASON_BYTES: usize = 64;
/// The longest case number, in bytes.
pub const MAX_CASE_BYTES: usize = 64;
/// A shorter id is found in too much that has nothing to do with it.
const MIN_MENTION_BYTES: usize = 4;
/// How many events are looked through under one snapshot.
const STRIDE_EVENTS: u64 = 4096;
/// What stands in the place of what was erased.
const ERASED: &str = "[ERASED]";

/// Whose data is erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Subject {
    /// Events that this actor caused, or that were caused on this one's behalf.
    Actor(String),
    /// Events that concern this resource.
    Resource(#[serde(deserialize_with = "object")] Resource),
}

impl Subject {
    /// The actor with this id.
    pub fn actor(id: impl Into<String>) -> Self {
        Self::Actor(id.into())
    }

    /// The resource of this type with this id.
    pub fn resource(kind: impl Into<String>, id: impl Into<String>) -> Self {
        Self::Resource(Resource { kind: kind.into(), id: id.into() })
    }

    fn id(&self) -> &str {
        match self {
            Self::Actor(id) => id,
            Self::Resource(resource) => &resource.id,
        }
    }

    /// What its keyed hash is of. No id holds a NUL.
    fn text(&self) -> String {
        match self {
            Self::Actor(id) => format!("actor\0{id}"),
            Self::Resource(resource) => format!("resource\0{}\0{}", resource.kind, resource.id),
        }
    }

    /// Whether the event is the subject's.
    fn owns(&self, event: &Event) -> bool {
        let metadata = |name: &str| event.metadata.as_ref().and_then(|metadata| metadata.get(name)?.as_str());
        match self {
            Self::Actor(id) => {
                let finding =
                    is_own(&event.action) && metadata("groupBy") == Some("actor") && metadata("group") == Some(id);
                event.actor_id.as_ref() == Some(id) || event.on_behalf_of.as_ref() == Some(id) || finding
            }
            Self::Resource(Resource { kind, id }) => {
                let finding = is_own(&event.action)
                    && metadata("groupBy") == Some("resource")
                    && metadata("group").and_then(|group| group.split_once('/')) == Some((kind.as_str(), id.as_str()));
                event.resource_type.as_ref() == Some(kind) && event.resource_id.as_ref() == Some(id) || finding
            }
        }
    }

    /// Whether a row of an inbox that was set aside is the subject's. It may have been set aside since its fields have
    /// wrong names, so the id alone says so, wherever it stands.
    fn is_in_copy(&self, copy: &Value) -> bool {
        match copy {
            Value::String(text) => text == self.id(),
            Value::Array(items) => items.iter().any(|item| self.is_in_copy(item)),
            Value::Object(members) => members.values().any(|value| self.is_in_copy(value)),
            _ => false,
        }
    }
}

/// What of the subject's events goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ErasureMode {
    /// All of them.
    #[default]
    Events,
    /// What tells of whom they are: ids, names, addresses, sessions, tags, metadata and states. The action, the
    /// times, the severity and the outcome stay, and with them the kinds of actor and resource, the tenant and the
    /// retention category; of an actor's events also the resource, and of a resource's events the actor.
    Fields,
}

/// An erasure: whose data, and why.
///
/// ```
/// use sealog::{AuditLog, Erasure, Event, Filter, Subject};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> sealog::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// let log = AuditLog::open(dir.path().join("audit.db")).await?;
/// log.log(Event::new("user.login").actor("ada").ip_address("203.0.113.9")).await?;
///
/// let erased = log.erase(&Erasure::new(Subject::actor("ada"), "gdpr-17").case("2026-114")).await?;
/// assert_eq!(erased.removed, 1);
/// assert_eq!(log.count(&Filter::new().actor("ada")).await?, 0);
/// assert!(log.verify(Default::default(), |_| {}).await?.is_ok());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Erasure {
    /// Whose data.
    pub subject: Subject,
    /// Why, as a code such as `gdpr-17`: letters, digits, `.`, `_` and `-`. It stands in the log for good, so it
    /// must not tell of whom it is.
    pub reason: String,
    /// The number that the case has elsewhere, of the same characters and `/`, `#` and `:`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// What of the subject's events goes; all of them unless given.
    #[serde(default)]
    pub mode: ErasureMode,
    /// Whether the subject's id also goes where other events mention it, as a word of any text in them: it becomes
    /// `[ERASED]` there and the rest stays. Not unless given. An id of fewer than four bytes is not looked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mentions: bool,
    /// Erases nothing, and counts what would go.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Erasure {
    /// The erasure of a subject's events, for this reason.
    pub fn new(subject: Subject, reason: impl Into<String>) -> Self {
        Self {
            subject,
            reason: reason.into(),
            case: None,
            mode: ErasureMode::default(),
            mentions: false,
            dry_run: false,
        }
    }

    /// Sets the number of the case.
    pub fn case(mut self, case: impl Into<String>) -> Self {
        self.case = Some(case.into());
        self
    }

    /// Sets what of the subject's events goes.
    pub fn mode(mut self, mode: ErasureMode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets whether the id also goes where other events mention it.
    pub fn mentions(mut self, mentions: bool) -> Self {
        self.mentions = mentions;
        self
    }

    /// Sets whether it only counts.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    fn check(&self) -> Result<()> {
        let wrong = |pointer: &str, message: String| Err(Error::field(ErrorKind::InvalidArgument, pointer, message));
        if self.subject.id().is_empty() {
            return wrong("/subject", "the subject's id is empty".to_owned());
        }
        if self.mentions && self.subject.id().len() < MIN_MENTION_BYTES {
            let message = format!(
                "an id of fewer than {MIN_MENTION_BYTES} bytes stands in texts that have nothing to do with it, so \
                 mentions of it cannot be erased"
            );
            return wrong("/mentions", message);
        }
        let coded = |text: &str, limit: usize, others: &[char]| {
            (1..=limit).contains(&text.len())
                && text.chars().all(|char| char.is_ascii_alphanumeric() || others.contains(&char))
        };
        if !coded(&self.reason, MAX_REASON_BYTES, &['.', '_', '-']) {
            let message = format!(
                "a reason is a code of 1 to {MAX_REASON_BYTES} letters, digits, `.`, `_` and `-`, since it stays in the log"
            );
            return wrong("/reason", message);
        }
        if self.case.as_deref().is_some_and(|case| !coded(case, MAX_CASE_BYTES, &['.', '_', '-', '/', '#', ':'])) {
            let message = format!(
                "a case is a number of 1 to {MAX_CASE_BYTES} letters, digits, `.`, `_`, `-`, `/`, `#` and `:`, since it \
                 stays in the log"
            );
            return wrong("/case", message);
        }
        Ok(())
    }

    fn judge(&self, record: &Record) -> Fate {
        if self.subject.owns(record) {
            return match self.mode {
                ErasureMode::Events => Fate::Goes,
                ErasureMode::Fields => {
                    let mut left = self.reduced(record);
                    if self.mentions {
                        hide_in(&mut left, self.subject.id());
                    }
                    Fate::Remains(Box::new(left))
                }
            };
        }
        let mut event = (**record).clone();
        if self.mentions && hide_in(&mut event, self.subject.id()) {
            return Fate::Remains(Box::new(event));
        }
        Fate::Stays
    }

    /// What does not tell of whom an event of the subject's is.
    fn reduced(&self, record: &Record) -> Event {
        let id = self.subject.id();
        let unless_it = |other: &Option<String>| other.clone().filter(|other| other != id);
        let mut event = Event::new(record.action.clone()).severity(record.severity).timestamp(record.timestamp());
        event.outcome = record.outcome;
        event.actor_type.clone_from(&record.actor_type);
        event.resource_type.clone_from(&record.resource_type);
        event.tenant = unless_it(&record.tenant);
        event.retention_category.clone_from(&record.retention_category);
        (event.seq, event.recorded_at) = (record.seq, record.recorded_at);
        match self.subject {
            Subject::Actor(_) => {
                event.actor_id = Some(ERASED.to_owned());
                event.resource_id = unless_it(&record.resource_id);
            }
            Subject::Resource(_) => {
                event.actor_id = unless_it(&record.actor_id);
                event.on_behalf_of = unless_it(&record.on_behalf_of);
                event.resource_id = Some(ERASED.to_owned());
            }
        }
        event
    }

    fn why(&self, subject: &str) -> Map<String, Value> {
        let kind = match self.subject {
            Subject::Actor(_) => "actor",
            Subject::Resource(_) => "resource",
        };
        let mut why = Map::new();
        for (name, value) in [
            ("subject", json!(subject)),
            ("subjectKind", json!(kind)),
            ("reason", json!(self.reason)),
            ("case", json!(self.case)),
            ("mode", json!(self.mode)),
        ] {
            if !value.is_null() {
                why.insert(name.to_owned(), value);
            }
        }
        why
    }
}

/// Gives `each` the ids of a finding's evidence.
fn each_evidence(metadata: &mut Value, each: &mut dyn FnMut(&mut String)) {
    for place in ["/first/id", "/last/id"] {
        if let Some(Value::String(id)) = metadata.pointer_mut(place) {
            each(id);
        }
    }
    for id in metadata.get_mut("ids").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Value::String(id) = id {
            each(id);
        }
    }
}

/// Hides `id` where it stands as a word in an event: in its texts, but for what it is found, ordered and kept by.
/// Answers whether it did.
fn hide_in(event: &mut Event, id: &str) -> bool {
    let texts = [
        &mut event.actor_id,
        &mut event.actor_name,
        &mut event.on_behalf_of,
        &mut event.resource_id,
        &mut event.ip_address,
        &mut event.user_agent,
        &mut event.session_id,
        &mut event.request_id,
        &mut event.tenant,
    ];
    let paths = event.diff.iter_mut().flatten().map(|step| &mut step.path);
    let mut hidden = false;
    for text in texts.into_iter().flatten().chain(&mut event.tags).chain(&mut event.changed).chain(paths) {
        if let Some(without) = without(text, id) {
            *text = without;
            hidden = true;
        }
    }
    let mut metadata = event.metadata.take().map(Value::Object);
    let values = event.diff.iter_mut().flatten().flat_map(|step| step.old.iter_mut().chain(&mut step.value));
    for value in values.chain(&mut metadata).chain(&mut event.before).chain(&mut event.after) {
        hidden |= hide_mentions(value, id);
    }
    if let Some(Value::Object(metadata)) = metadata {
        event.metadata = Some(metadata);
    }
    hidden
}

/// Hides `id` where it stands as a word in the texts and names of a document. Answers whether it did.
fn hide_mentions(value: &mut Value, id: &str) -> bool {
    match value {
        Value::String(text) => match without(text, id) {
            Some(hidden) => {
                *text = hidden;
                true
            }
            None => false,
        },
        Value::Array(items) => items.iter_mut().fold(false, |hidden, item| hide_mentions(item, id) | hidden),
        Value::Object(members) => {
            let mut hidden = members.values_mut().fold(false, |hidden, value| hide_mentions(value, id) | hidden);
            let named: Vec<_> = members.keys().filter(|name| without(name, id).is_some()).cloned().collect();
            for name in named {
                if let (Some(value), Some(mut new)) = (members.remove(&name), without(&name, id)) {
                    // Two names may have become one.
                    while members.contains_key(&new) {
                        new.push('_');
                    }
                    members.insert(new, value);
                    hidden = true;
                }
            }
            hidden
        }
        _ => false,
    }
}

/// `text` with `[ERASED]` wherever `id` stands in it as a word; `None` when it does not.
fn without(text: &str, id: &str) -> Option<String> {
    let mut hidden = String::new();
    let mut kept = 0;
    for (start, _) in text.match_indices(id) {
        let end = start + id.len();
        let in_word = |char: Option<char>| char.is_some_and(char::is_alphanumeric);
        if in_word(text[..start].chars().next_back()) || in_word(text[end..].chars().next()) {
            continue;
        }
        hidden.push_str(&text[kept..start]);
        hidden.push_str(ERASED);
        kept = end;
    }
    (kept > 0).then(|| hidden + &text[kept..])
}

/// What an erasure did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ErasureReport {
    /// Whether it only counted.
    pub dry_run: bool,
    /// What the receipts name the subject by: a keyed hash, 32 hex digits.
    pub subject: String,
    /// How many events went.
    pub removed: u64,
    /// Of how many events a part went: of findings, the ids of removed events that were their evidence.
    pub reduced: u64,
    /// How many would have gone, in whole or in part, but for a hold.
    pub held: u64,
    /// How many events of the log's own that nothing removes (holds, settings, receipts) name the subject's id. They
    /// stay: place holds by what names nobody.
    pub kept: u64,
    /// Of how many rows that were set aside the copy went.
    pub rejected: u64,
    /// Whether nothing of it is in any file any more. Otherwise a reader still looks at an older state of the log:
    /// the next clean-up sees to it, or closing the log.
    pub scrubbed: bool,
}

impl AuditLog {
    /// Erases the personal data of one actor or resource, for the right to be forgotten. The receipt, an event
    /// `sealog.erasure.applied`, names the subject by a keyed hash, and is there also when nothing was found.
    ///
    /// When this returns, no query finds what went, and it is in no file. Proofs that were made before stay valid, and
    /// a removed event that is sent again, or imported again, gets its old receipt and is not logged. What a hold
    /// selects stays: lift the hold and erase again.
    ///
    /// What the log itself keeps of state (holds, settings, receipts) is not looked at: no names belong there.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the subject, the reason or the case is wrong; `OutOfScope` on a scoped handle; else as
    /// [`AuditLog::log`].
    pub async fn erase(&self, erasure: &Erasure) -> Result<ErasureReport> {
        self.erase_with(erasure, |_| {}).await
    }

    /// [`AuditLog::erase`], which tells how far it is.
    ///
    /// # Errors
    ///
    /// As [`AuditLog::erase`].
    pub async fn erase_with(
        &self,
        erasure: &Erasure,
        mut progress: impl FnMut(super::CleanupProgress),
    ) -> Result<ErasureReport> {
        self.whole()?;
        erasure.check()?;
        let subject = self.writer()?.current.policy().subject_digest(&erasure.subject.text());
        let mut escaped = Vec::new();
        canonical::write_string(&mut escaped, erasure.subject.id());
        let needle = escaped[1..escaped.len() - 1].to_vec();
        // Who erases their own data is not named in what stays of it.
        let log = if erasure.subject.owns(&self.who) { self.acting(Event::default()) } else { self.clone() };
        let (mut tally, mut kept, mut next, mut findings) = (Tally::default(), 0, 0, Vec::new());
        loop {
            let (needle, id) = (needle.clone(), erasure.subject.id().to_owned());
            // The index has no field for all places where an id may stand, and the journal is soon read.
            let found = self.snapshot(move |snapshot| {
                let end = snapshot.head()?.checkpoint.size.min(next + STRIDE_EVENTS);
                let (finder, mut seqs, mut kept) = (Finder::new(&needle), Vec::new(), 0);
                let (finding, mut findings) = (Finder::new(ANOMALY_DETECTED), Vec::new());
                snapshot.rows(next, end, &mut |seq, row| {
                    if finding.find(row.body).is_some() {
                        findings.push(seq);
                    }
                    if finder.find(row.body).is_none() {
                        return Ok(());
                    }
                    let record = record_of(seq, row.body)?;
                    if !is_exempt(&record) {
                        seqs.push(seq);
                    } else if hide_in(&mut (*record).clone(), &id) {
                        kept += 1;
                    }
                    Ok(())
                })?;
                Ok((seqs, end, kept, findings))
            });
            let (seqs, end, kept_here, some_findings) = found.await?;
            findings.extend(some_findings);
            if end == next {
                break;
            }
            kept += kept_here;
            tally.add(&in_parts(seqs, |seqs| log.erase_some(erasure, seqs, erasure.why(&subject))).await?);
            next = end;
            progress(super::CleanupProgress { looked_at: next, removed: tally.removed + tally.reduced });
        }
        if !erasure.dry_run && tally.removed + tally.reduced > 0 {
            for seqs in findings.chunks(STRIDE_EVENTS as usize) {
                let erase = |seqs| log.erase_evidence(seqs, erasure.why(&subject));
                tally.add(&in_parts(seqs.to_vec(), erase).await?);
            }
        }
        let rejected = if erasure.dry_run { 0 } else { log.erase_rest(erasure, subject.clone(), &tally).await? };
        let scrubbed = erasure.dry_run || self.scrub().await?;
        let Tally { removed, reduced, held, .. } = tally;
        Ok(ErasureReport { dry_run: erasure.dry_run, subject, removed, reduced, held, kept, rejected, scrubbed })
    }

    async fn erase_some(&self, erasure: &Erasure, seqs: Vec<u64>, why: Map<String, Value>) -> Result<Tally> {
        let erasure = erasure.clone();
        if erasure.dry_run {
            return self
                .snapshot(move |snapshot| {
                    let holds = Holds::read(snapshot)?;
                    Ok(judge(snapshot, &seqs, &holds, &|record| Ok(erasure.judge(record)))?.1)
                })
                .await;
        }
        self.change(move |work| remove(work, &seqs, ERASURE_APPLIED, &why, &|record| Ok(erasure.judge(record)))).await
    }

    /// Takes the ids of removed events out of the findings that name them as evidence.
    async fn erase_evidence(&self, seqs: Vec<u64>, why: Map<String, Value>) -> Result<Tally> {
        self.change(move |work| {
            let mut ids = HashSet::new();
            bodies(&mut *work.transaction.snapshot(), &seqs, &mut |index, body| {
                if let Some(metadata) = record_of(seqs[index], body)?.metadata.clone() {
                    each_evidence(&mut Value::Object(metadata), &mut |id| {
                        ids.insert(id.clone());
                    });
                }
                Ok(())
            })?;
            let mut removed = HashSet::new();
            for id in ids {
                if work.transaction.find(&id)?.is_none() {
                    removed.insert(id);
                }
            }
            remove(work, &seqs, ERASURE_APPLIED, &why, &|record| {
                let mut event = (**record).clone();
                let (mut metadata, mut hidden) = (event.metadata.take().map(Value::Object), false);
                if let Some(metadata) = &mut metadata {
                    each_evidence(metadata, &mut |id| {
                        if removed.contains(id) && id != ERASED {
                            ERASED.clone_into(id);
                            hidden = true;
                        }
                    });
                }
                if let Some(Value::Object(metadata)) = metadata {
                    event.metadata = Some(metadata);
                }
                Ok(if hidden { Fate::Remains(Box::new(event)) } else { Fate::Stays })
            })
        })
        .await
    }

    /// Drops copies of rows that were set aside; says that it was asked for where no receipt does yet.
    async fn erase_rest(&self, erasure: &Erasure, subject: String, tally: &Tally) -> Result<u64> {
        let (erasure, has_receipt) = (erasure.clone(), tally.removed + tally.reduced > 0);
        self.change(move |work| {
            let rejected = work.transaction.forget_rejected(&|copy| erasure.subject.is_in_copy(copy))?;
            if rejected > 0 || !has_receipt {
                let mut metadata = erasure.why(&subject);
                metadata.insert("count".to_owned(), json!(0));
                metadata.insert("rejected".to_owned(), json!(rejected));
                let event = Event::new(ERASURE_APPLIED).severity(Severity::Warning);
                work.log(event.metadata(Value::Object(metadata)))?;
            }
            Ok(rejected)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_hidden_as_a_word_only() {
        for (text, hidden) in [
            ("u-17", Some("[ERASED]")),
            ("/users/u-17/keys", Some("/users/[ERASED]/keys")),
            ("u-17, u-17!", Some("[ERASED], [ERASED]!")),
            ("u-170", None),
            ("menu-17", None),
            ("über-u-17", Some("über-[ERASED]")),
            ("", None),
        ] {
            assert_eq!(without(text, "u-17").as_deref(), hidden, "{text}");
        }
        let mut value = json!({"u-17": [1, {"by": "u-17"}], "other": "u-170", "n": null});
        assert!(hide_mentions(&mut value, "u-17"));
        assert_eq!(value, json!({"[ERASED]": [1, {"by": "[ERASED]"}], "other": "u-170", "n": null}));
        assert!(!hide_mentions(&mut value, "u-17"));
    }

    #[test]
    fn what_stays_in_the_log_is_a_code() {
        let wrong = |erasure: Erasure| erasure.check().unwrap_err().pointer().map(str::to_owned);
        let of = |reason: &str| Erasure::new(Subject::actor("ada@example.com"), reason);
        assert!(of("gdpr-17").case("2026/114#3").mentions(true).check().is_ok());
        for reason in ["", "asked by Ada", "ada@example.com", &"x".repeat(65)] {
            assert_eq!(wrong(of(reason)).as_deref(), Some("/reason"), "{reason}");
        }
        assert_eq!(wrong(of("a").case("Ada Lovelace")).as_deref(), Some("/case"));
        assert_eq!(wrong(Erasure::new(Subject::actor(""), "a")).as_deref(), Some("/subject"));
        assert_eq!(wrong(Erasure::new(Subject::actor("u-1"), "a").mentions(true)).as_deref(), Some("/mentions"));
    }
}
