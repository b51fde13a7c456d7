//! Settings: how long events are kept, what is hidden, which rules are evaluated as events arrive.
//!
//! They are kept in the journal and nowhere else: each change is an event, `sealog.settings.changed`, whose
//! state after the change is the settings from there on.

use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Record, Severity};
use crate::journal::{OwnKind, Snapshot};
use crate::log::{AuditLog, record_of};
use crate::object::{object_or_null, objects};
use crate::policy::{Compiled, Policy};
use crate::query::{Rule, validate_rules};

/// The action of the event that changes the settings.
pub(crate) const SETTINGS_CHANGED: &str = "sealog.settings.changed";
/// The longest that events can be told to be kept, in days; no number at all keeps them for ever.
pub const MAX_RETENTION_DAYS: u32 = 100 * 366;
/// The most retention categories with a time of their own.
pub const MAX_CUSTOM_RETENTION: usize = 1000;
/// A day, in milliseconds.
pub(crate) const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What a log keeps, hides and looks for. In JSON the names are camelCase, and what is left out is as in
/// [`Settings::default`].
///
/// ```
/// use sealog::{AuditLog, Event, Policy};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> sealog::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// let log = AuditLog::open(dir.path().join("audit.db")).await?;
/// let changed = log
///     .update_settings(|settings| {
///         settings.default_retention_days = Some(30);
///         settings.policy = Some(Policy::default().redact("dateOfBirth"));
///         Ok(())
///     })
///     .await?;
/// assert_eq!(log.settings().await?, changed);
///
/// // From now on, whoever logs.
/// let event = Event::new("user.updated").metadata(serde_json::json!({"dateOfBirth": "1815-12-10"}));
/// let logged = log.log(event).await?;
/// assert_eq!(log.get(logged.id()).await?.metadata.as_ref().unwrap()["dateOfBirth"], "[REDACTED]");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Settings {
    /// How many days events are kept; 90 by default, and for ever where it is `null`.
    pub default_retention_days: Option<u32>,
    /// How many days events of the severity `critical` are kept; 365 by default, for ever where it is `null`.
    pub critical_retention_days: Option<u32>,
    /// How many days events of a retention category are kept, whatever their severity; none by default.
    #[serde(deserialize_with = "objects")]
    pub custom_retention: Vec<CategoryRetention>,
    /// What is hidden and sampled away, on top of what the application's own policy says
    /// ([`Builder::policy`](crate::Builder::policy)): what either hides is hidden.
    #[serde(deserialize_with = "object_or_null")]
    pub policy: Option<Policy>,
    /// Rules that are evaluated as events arrive; none by default. What they find is logged as
    /// `sealog.anomaly.detected`.
    pub rules: Vec<Rule>,
}

/// How long events of one retention category are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CategoryRetention {
    /// The events' `retentionCategory`.
    pub category: String,
    /// How many days; for ever where it is `null`.
    pub retention_days: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_retention_days: Some(90),
            critical_retention_days: Some(365),
            custom_retention: Vec::new(),
            policy: None,
            rules: Vec::new(),
        }
    }
}

impl Settings {
    /// Reads settings from their JSON.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when it is no JSON, has an unknown name or a value of another type, or makes no sense.
    pub fn from_json(json: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(json)
            .map_err(|error| Error::new(ErrorKind::InvalidArgument, format!("these are no settings: {error}")))?;
        Self::from_value(value)
    }

    fn from_value(value: Value) -> Result<Self> {
        // Rules say by themselves which of their fields is wrong.
        if let Some(rules) = value.get("rules") {
            Rule::list_from_json(&rules.to_string()).map_err(|error| error.inside("/rules"))?;
        }
        let settings: Self = serde_path_to_error::deserialize(value)
            .map_err(|error| Error::of_document("these are no settings", &error))?;
        settings.check()?;
        Ok(settings)
    }

    /// These settings with a change to them, as a JSON Merge Patch (RFC 7396): what is named takes the place of
    /// what was there, and `null` brings back the default. To keep events for ever, give `"forever"` for the
    /// number of days.
    ///
    /// ```
    /// use sealog::Settings;
    /// use serde_json::json;
    ///
    /// let settings = Settings::default().patched(json!({"defaultRetentionDays": 30})).unwrap();
    /// assert_eq!((settings.default_retention_days, settings.critical_retention_days), (Some(30), Some(365)));
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Settings::from_json`].
    pub fn patched(&self, patch: Value) -> Result<Self> {
        let Value::Object(patch) = patch else {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "a change of the settings is an object with the names of those that change",
            ));
        };
        let mut value = serde_json::to_value(self).unwrap_or_default();
        for (name, new) in patch {
            let is_days = name.ends_with("RetentionDays");
            match new {
                Value::Null => drop(value.as_object_mut().and_then(|settings| settings.remove(&name))),
                Value::String(text) if is_days && text == "forever" => value[name] = Value::Null,
                Value::Object(inner) if value[&name].is_object() => {
                    for (name_inside, new) in inner {
                        if new.is_null() {
                            value[&name].as_object_mut().and_then(|inner| inner.remove(&name_inside));
                        } else {
                            value[&name][name_inside] = new;
                        }
                    }
                }
                new => value[name] = new,
            }
        }
        Self::from_value(value)
    }

    /// How many days an event is kept, `None` for ever.
    pub fn retention_days(&self, severity: Severity, category: Option<&str>) -> Option<u32> {
        let custom = self.custom_retention.iter().find(|custom| Some(&*custom.category) == category);
        match custom {
            Some(custom) => custom.retention_days,
            None if severity == Severity::Critical => self.critical_retention_days,
            None => self.default_retention_days,
        }
    }

    fn check(&self) -> Result<()> {
        let wrong = |pointer: String, message: String| Error::field(ErrorKind::InvalidArgument, pointer, message);
        let days = [
            ("/defaultRetentionDays".to_owned(), self.default_retention_days),
            ("/criticalRetentionDays".to_owned(), self.critical_retention_days),
        ];
        let custom = self.custom_retention.iter().enumerate();
        let custom = custom.map(|(at, custom)| (format!("/customRetention/{at}/retentionDays"), custom.retention_days));
        for (pointer, days) in days.into_iter().chain(custom) {
            if let Some(days) = days.filter(|days| !(1..=MAX_RETENTION_DAYS).contains(days)) {
                let message = format!("events are kept for 1 to {MAX_RETENTION_DAYS} days, and this is {days}");
                return Err(wrong(pointer, message));
            }
        }
        if self.custom_retention.len() > MAX_CUSTOM_RETENTION {
            let message = format!(
                "these are {} categories; MAX_CUSTOM_RETENTION is {MAX_CUSTOM_RETENTION}",
                self.custom_retention.len()
            );
            return Err(wrong("/customRetention".to_owned(), message));
        }
        for (at, custom) in self.custom_retention.iter().enumerate() {
            let pointer = format!("/customRetention/{at}/category");
            if custom.category.is_empty() {
                return Err(wrong(pointer, "the name of a category is empty".to_owned()));
            }
            if self.custom_retention[..at].iter().any(|other| other.category == custom.category) {
                return Err(wrong(pointer, format!("the category {:?} has a time already", custom.category)));
            }
        }
        if let Some(policy) = &self.policy {
            policy.compile([0; 32]).map_err(|error| error.inside("/policy"))?;
        }
        validate_rules(&self.rules).map_err(|error| error.inside("/rules"))
    }

    /// The settings that a snapshot's newest change of them made, and the seq of that.
    pub(crate) fn read(snapshot: &mut dyn Snapshot) -> Result<(Option<u64>, Self)> {
        let Some(seq) = snapshot.own(OwnKind::Settings, 0)?.pop() else { return Ok((None, Self::default())) };
        let mut found = None;
        snapshot.rows(seq, seq + 1, &mut |seq, row| {
            found = Some(record_of(seq, row.body)?);
            Ok(())
        })?;
        let settings = found.as_ref().filter(|record: &&Record| record.action == SETTINGS_CHANGED);
        let settings = settings.and_then(|record| serde_json::from_value(record.after.clone()?).ok());
        let settings = settings.ok_or_else(|| {
            Error::new(ErrorKind::Integrity, format!("seq {seq}: expected a change of the settings, found none"))
        })?;
        Ok((Some(seq), settings))
    }
}

/// The settings and the policy as they are now, for those who write.
pub(crate) struct Current {
    /// The application's own policy.
    own: Policy,
    secret: [u8; 32],
    now: RwLock<Arc<Effective>>,
}

/// The settings as of one moment.
pub(crate) struct Effective {
    /// The seq of the event that made them.
    pub(crate) seq: Option<u64>,
    pub(crate) settings: Settings,
    pub(crate) policy: Arc<Compiled>,
}

impl Current {
    pub(crate) fn new(own: Policy, secret: [u8; 32], snapshot: &mut dyn Snapshot) -> Result<Self> {
        let now = effective(&own, secret, Settings::read(snapshot)?)?;
        Ok(Self { own, secret, now: RwLock::new(Arc::new(now)) })
    }

    pub(crate) fn get(&self) -> Arc<Effective> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The policy that holds now.
    pub(crate) fn policy(&self) -> Arc<Compiled> {
        self.get().policy.clone()
    }

    /// Takes up what another handle has changed, if `newest` says so.
    pub(crate) fn refresh(&self, newest: Option<u64>, snapshot: &mut dyn Snapshot) -> Result<Arc<Effective>> {
        let known = self.get();
        if known.seq == newest {
            return Ok(known);
        }
        let now = Arc::new(effective(&self.own, self.secret, Settings::read(snapshot)?)?);
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = now.clone();
        Ok(now)
    }
}

fn effective(own: &Policy, secret: [u8; 32], (seq, settings): (Option<u64>, Settings)) -> Result<Effective> {
    let both = settings.policy.as_ref().map(|policy| own.and(policy));
    let mut policy = both.as_ref().unwrap_or(own).compile(secret)?;
    policy.settings = seq;
    Ok(Effective { seq, settings, policy: Arc::new(policy) })
}

impl AuditLog {
    /// The settings as they are now.
    ///
    /// # Errors
    ///
    /// `OutOfScope` on a scoped handle; when the log cannot be read.
    pub async fn settings(&self) -> Result<Settings> {
        self.whole()?;
        self.snapshot(|snapshot| Ok(Settings::read(snapshot)?.1)).await
    }

    /// Changes the settings, as the event `sealog.settings.changed`, and answers what they are then. They hold at
    /// once, for every handle: what is sequenced after the change obeys it. Where `change` changes nothing,
    /// nothing is logged.
    ///
    /// Nobody else changes them while `change` runs, so it can look at what they are.
    ///
    /// # Errors
    ///
    /// What `change` answers; `InvalidArgument` when the settings make no sense; else as [`AuditLog::log`].
    pub async fn update_settings(
        &self,
        change: impl FnOnce(&mut Settings) -> Result<()> + Send + 'static,
    ) -> Result<Settings> {
        self.whole()?;
        let changed = self
            .change(move |work| {
                let before = work.current.settings.clone();
                let mut after = before.clone();
                change(&mut after)?;
                after.check()?;
                if after != before {
                    let json = |settings: &Settings| serde_json::to_value(settings).unwrap_or_default();
                    work.log(
                        Event::new(SETTINGS_CHANGED).severity(Severity::Warning).change(json(&before), json(&after)),
                    )?;
                }
                Ok(after)
            })
            .await?;
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_names_what_is_wrong() {
        let settings = Settings::default();
        for (patch, pointer) in [
            (json!({"defaultRetentionDays": 0}), Some("/defaultRetentionDays")),
            (json!({"criticalRetentionDays": 1_000_000}), Some("/criticalRetentionDays")),
            (
                json!({"customRetention": [{"category": "a", "retentionDays": 0}]}),
                Some("/customRetention/0/retentionDays"),
            ),
            (json!({"customRetention": [{"category": "", "retentionDays": 1}]}), Some("/customRetention/0/category")),
            (
                json!({"customRetention": [{"category": "a", "retentionDays": 1}, {"category": "a", "retentionDays": 2}]}),
                Some("/customRetention/1/category"),
            ),
            (json!({"policy": {"sampling": 2.0}}), Some("/policy")),
            (json!({"rules": [{"action": "a", "threshold": 0, "windowMs": 1}]}), Some("/rules/0/threshold")),
            (json!({"retention": 3}), Some("/retention")),
            (
                json!({"customRetention": [{"category": "a", "retentionDays": "x"}]}),
                Some("/customRetention/0/retentionDays"),
            ),
            (json!([]), None),
        ] {
            let error = settings.patched(patch.clone()).unwrap_err();
            assert_eq!((error.kind(), error.pointer()), (ErrorKind::InvalidArgument, pointer), "{patch}: {error}");
        }
    }

    #[test]
    fn a_change_leaves_the_rest_alone() {
        let settings =
            Settings::default().patched(json!({"defaultRetentionDays": 7, "policy": {"sampling": 0.5}})).unwrap();
        let settings = settings.patched(json!({"policy": {"redactFields": [{"name": "a"}]}})).unwrap();
        assert_eq!(settings.policy, Some(Policy::default().sample_info(0.5).redact("a")));
        let forever =
            settings.patched(json!({"criticalRetentionDays": "forever", "defaultRetentionDays": null})).unwrap();
        assert_eq!((forever.default_retention_days, forever.critical_retention_days), (Some(90), None));
        assert_eq!(forever.patched(json!({})).unwrap(), forever);
        assert_eq!(forever.patched(json!({"policy": null})).unwrap().policy, None);
    }

    #[test]
    fn each_event_is_kept_as_its_kind_is() {
        let tax = CategoryRetention { category: "tax".to_owned(), retention_days: None };
        let settings = Settings { custom_retention: vec![tax], ..Settings::default() };
        assert_eq!(settings.retention_days(Severity::Error, None), Some(90));
        assert_eq!(settings.retention_days(Severity::Critical, Some("other")), Some(365));
        assert_eq!(settings.retention_days(Severity::Critical, Some("tax")), None);
    }
}
