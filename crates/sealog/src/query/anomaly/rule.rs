//! Rules: what is an anomaly, and when.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Outcome, actions};
use crate::index::{Facts, Key};
use crate::object::object_or_null;
use crate::policy::pointer;
use crate::query::Filter;

/// The most rules that are evaluated at once.
pub const MAX_RULES: usize = 100;
/// The longest name of a [`Rule`], in bytes of UTF-8.
pub const MAX_RULE_NAME_BYTES: usize = 256;
/// The highest threshold of a [`Rule`]. A rule remembers so many events of each group.
pub const MAX_THRESHOLD: u64 = 10_000;
/// The longest window of a [`Rule`], in milliseconds: 366 days.
pub const MAX_WINDOW_MS: i64 = 366 * 24 * 60 * 60 * 1000;
/// How many weeks a rule for unusual activity looks back.
pub const HISTORY_WEEKS: u32 = 8;
/// How many weeks of history such a rule needs at least, unless told otherwise.
pub const DEFAULT_MIN_WEEKS: u32 = 3;
/// How many deviations from the median are unusual, unless told otherwise: the cutoff that Iglewicz and
/// Hoaglin recommend for the modified z-score (How to Detect and Handle Outliers, 1993).
pub const DEFAULT_SENSITIVITY: f64 = 3.5;
/// The highest sensitivity.
const MAX_SENSITIVITY: f64 = 1000.0;
const MINUTE_MS: i64 = 60 * 1000;

/// What a rule counts apart. An event that has no such field is in no group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum GroupBy {
    /// Each actor, by id.
    Actor,
    /// Each address, as the events say it.
    IpAddress,
    /// Each resource, by type and id.
    Resource,
    /// Each session.
    Session,
    /// Each tenant.
    Tenant,
}

impl GroupBy {
    /// Its name in JSON, such as `ipAddress`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Actor => "actor",
            Self::IpAddress => "ipAddress",
            Self::Resource => "resource",
            Self::Session => "session",
            Self::Tenant => "tenant",
        }
    }

    pub(super) fn of(self, facts: &Facts) -> Option<&str> {
        match self {
            Self::Actor => facts.text(Key::ActorId),
            Self::IpAddress => facts.ip_address.as_deref(),
            Self::Resource => facts.text(Key::Resource),
            Self::Session => facts.text(Key::SessionId),
            Self::Tenant => facts.text(Key::Tenant),
        }
    }
}

/// How a rule tells an anomaly.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum RuleKind {
    /// So many events within a window.
    Threshold {
        /// How many events, 1 to [`MAX_THRESHOLD`].
        threshold: u64,
        /// Within how many milliseconds, 1 to [`MAX_WINDOW_MS`].
        window_ms: i64,
    },
    /// More events in an hour than in the same hour of the weeks before.
    Unusual {
        /// How many deviations above the median are unusual; more than 0, at most 1,000.
        sensitivity: f64,
        /// Of how many weeks the same hour must be known, 1 to [`HISTORY_WEEKS`].
        min_weeks: u32,
    },
}

/// What is an anomaly: events that a filter selects, too many at a time.
///
/// ```
/// use sealog::{Filter, GroupBy, Rule};
///
/// let rule = Rule::new("guessing", Filter::new().action("user.login.failed"), 5, 300_000).group_by(GroupBy::Actor);
/// let json = r#"{"name":"guessing","action":"user.login.failed","groupBy":"actor","threshold":5,"windowMs":300000}"#;
/// assert_eq!(serde_json::to_string(&rule).unwrap(), json);
/// assert_eq!(Rule::from_json(json).unwrap(), rule);
///
/// let error = Rule::from_json(r#"{"name": "guessing", "threshold": 0, "windowMs": 300000}"#).unwrap_err();
/// assert_eq!(error.pointer(), Some("/threshold"));
/// ```
///
/// # What a rule finds
///
/// A rule looks at the events that its filter and the scope select, one after the other in the order of
/// `seq`, and for each group (for all of them, without `group_by`) apart. The log's own events, `sealog.*`,
/// trigger no rule.
///
/// **A threshold.** With each event ends a window: the group's events up to it in `seq`, whose timestamp is
/// at most `window_ms - 1` milliseconds before the latest that the group had so far. An event with a
/// timestamp before that comes too late, and is left out. A window that holds at least `threshold` events is
/// an alarm. Alarms that share an event are one finding, and its events are all that stand in one of its
/// alarms.
///
/// **Unusual activity.** Hours begin with the hour in UTC. The count of an hour is held against that of
/// the same hour of the week in the [`HISTORY_WEEKS`] weeks before it, as far as the group was known by
/// then; at least `min_weeks` of them. It is unusual when it is greater than `m + sensitivity × d`, where
/// `m` is the median of those counts and `d` the greatest of 1.4826 times their median absolute deviation
/// (which is the standard deviation where counts are normally distributed), the square root of `m` (which
/// is what chance alone does to a count), and 1. An unusual hour is a finding, and its events are those of
/// the hour. An event that is more than one hour behind the group's latest is left out.
///
/// **Memory.** Of each rule the 100,000 groups are remembered that had an event most recently, or fewer
/// where they take more than 1,000,000 events or hours to remember. A group that is forgotten begins anew.
///
/// # JSON
///
/// `name`, `filter` (see [`Filter`]) or `action` alone, `groupBy`, and either `threshold` and `windowMs`, or
/// `unusual` with `sensitivity` and `minWeeks`. `windowMinutes` is taken for `windowMs` as well, and the name
/// may be left out where there is an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>", into = "Fields")]
#[non_exhaustive]
pub struct Rule {
    /// What it is called in its findings; each rule in another way.
    pub name: String,
    /// Which events count.
    pub filter: Filter,
    /// What is counted apart.
    pub group_by: Option<GroupBy>,
    /// How it tells an anomaly.
    pub kind: RuleKind,
}

/// A rule in JSON.
#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Fields {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_by: Option<GroupBy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_ms: Option<i64>,
    #[serde(skip_serializing)]
    window_minutes: Option<i64>,
    #[serde(deserialize_with = "object_or_null", skip_serializing_if = "Option::is_none")]
    unusual: Option<Unusual>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Unusual {
    sensitivity: f64,
    min_weeks: u32,
}

impl Default for Unusual {
    fn default() -> Self {
        Self { sensitivity: DEFAULT_SENSITIVITY, min_weeks: DEFAULT_MIN_WEEKS }
    }
}

impl Rule {
    /// A rule for `threshold` events that `filter` selects within `window_ms` milliseconds.
    pub fn new(name: impl Into<String>, filter: Filter, threshold: u64, window_ms: i64) -> Self {
        Self { name: name.into(), filter, group_by: None, kind: RuleKind::Threshold { threshold, window_ms } }
    }

    /// A rule for hours in which `filter` selects more events than is usual.
    pub fn unusual(name: impl Into<String>, filter: Filter) -> Self {
        let Unusual { sensitivity, min_weeks } = Unusual::default();
        Self { name: name.into(), filter, group_by: None, kind: RuleKind::Unusual { sensitivity, min_weeks } }
    }

    /// Counts each group apart.
    pub fn group_by(mut self, group_by: GroupBy) -> Self {
        self.group_by = Some(group_by);
        self
    }

    /// Sets how many deviations above the median are unusual, for a rule of that kind.
    pub fn sensitivity(mut self, deviations: f64) -> Self {
        if let RuleKind::Unusual { sensitivity, .. } = &mut self.kind {
            *sensitivity = deviations;
        }
        self
    }

    /// Sets how many weeks of history a rule for unusual activity needs.
    pub fn min_weeks(mut self, weeks: u32) -> Self {
        if let RuleKind::Unusual { min_weeks, .. } = &mut self.kind {
            *min_weeks = weeks;
        }
        self
    }

    /// Rules to begin with, for events that go by the names in [`actions`]: failed logins of one
    /// account and from one address, denied access, mass export, mass deletion, unusual activity.
    pub fn built_in() -> Vec<Self> {
        let failed = || Filter::new().action(actions::USER_LOGIN_FAILED);
        let deleted = Filter::new().action(actions::RECORD_DELETED).action(actions::USER_DELETED);
        vec![
            Self::new("failed-logins-by-actor", failed(), 5, 5 * MINUTE_MS).group_by(GroupBy::Actor),
            Self::new("failed-logins-by-address", failed(), 10, 10 * MINUTE_MS).group_by(GroupBy::IpAddress),
            Self::new("denied-access", Filter::new().outcome(Outcome::Denied), 10, 10 * MINUTE_MS)
                .group_by(GroupBy::Actor),
            Self::new("mass-export", Filter::new().action(actions::RECORD_EXPORTED), 20, 60 * MINUTE_MS)
                .group_by(GroupBy::Actor),
            Self::new("mass-deletion", deleted, 20, 10 * MINUTE_MS).group_by(GroupBy::Actor),
            Self::unusual("unusual-activity", Filter::new()),
        ]
    }

    /// Reads a rule from its JSON.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] when it is no JSON, has an unknown name or a value of another type,
    /// or makes no sense; the pointer names the field.
    pub fn from_json(json: &str) -> Result<Self> {
        let fields = serde_json::from_str(json)
            .map_err(|error| Error::new(ErrorKind::InvalidArgument, format!("this is no rule: {error}")))?;
        Self::from_fields(fields)
    }

    /// Reads rules from a JSON list of them.
    ///
    /// ```
    /// use sealog::Rule;
    ///
    /// let error = Rule::list_from_json(r#"[{"action": "a", "threshold": 1, "windowMs": 0}]"#).unwrap_err();
    /// assert_eq!(error.pointer(), Some("/0/windowMs"));
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Rule::from_json`]; where there are more than [`MAX_RULES`], or two of one name.
    pub fn list_from_json(json: &str) -> Result<Vec<Self>> {
        let list: Vec<Map<String, Value>> = serde_json::from_str(json)
            .map_err(|error| Error::new(ErrorKind::InvalidArgument, format!("this is no list of rules: {error}")))?;
        let read =
            |(place, fields)| Self::from_fields(fields).map_err(|error: Error| error.inside(&format!("/{place}")));
        let rules = list.into_iter().enumerate().map(read).collect::<Result<Vec<_>>>()?;
        validate(&rules)?;
        Ok(rules)
    }

    fn from_fields(map: Map<String, Value>) -> Result<Self> {
        let fields = match serde_json::from_value::<Fields>(map.clone().into()) {
            Ok(fields) => fields,
            Err(error) => return Err(misfit(&error, map)),
        };
        let name = fields.name.or_else(|| fields.action.clone()).unwrap_or_default();
        let filter = match (fields.action, fields.filter) {
            (Some(_), Some(_)) => return Err(wrong("/action", "stands in the filter, where there is one")),
            (Some(action), None) => Filter::new().action(action),
            (None, Some(filter)) => Filter::from_json(&filter.to_string()).map_err(|error| error.inside("/filter"))?,
            (None, None) => Filter::new(),
        };
        let window = match (fields.window_ms, fields.window_minutes) {
            (Some(_), Some(_)) => return Err(wrong("/windowMinutes", "says the same as windowMs; give one of them")),
            (window_ms, minutes) => window_ms.or(minutes.map(|minutes| minutes.saturating_mul(MINUTE_MS))),
        };
        let kind = match (fields.threshold, window, fields.unusual) {
            (Some(threshold), Some(window_ms), None) => RuleKind::Threshold { threshold, window_ms },
            (None, None, Some(Unusual { sensitivity, min_weeks })) => RuleKind::Unusual { sensitivity, min_weeks },
            (_, _, Some(_)) => return Err(wrong("/unusual", "goes without a threshold and a window")),
            (None, _, None) => return Err(wrong("/threshold", "is missing; give threshold and windowMs, or unusual")),
            (Some(_), None, None) => return Err(wrong("/windowMs", "is missing; it goes with the threshold")),
        };
        let rule = Self { name, filter, group_by: fields.group_by, kind };
        rule.validate()?;
        Ok(rule)
    }

    fn validate(&self) -> Result<()> {
        if self.name.is_empty() || self.name.len() > MAX_RULE_NAME_BYTES {
            let message = format!(
                "has {} bytes; a rule has a name of 1 to MAX_RULE_NAME_BYTES, which is {MAX_RULE_NAME_BYTES}",
                self.name.len()
            );
            return Err(wrong("/name", message));
        }
        self.filter.validate().map_err(|error| error.inside("/filter"))?;
        match self.kind {
            RuleKind::Threshold { threshold, .. } if !(1..=MAX_THRESHOLD).contains(&threshold) => {
                Err(wrong("/threshold", format!("is 1 to {MAX_THRESHOLD} events, and this is {threshold}")))
            }
            RuleKind::Threshold { window_ms, .. } if !(1..=MAX_WINDOW_MS).contains(&window_ms) => {
                Err(wrong("/windowMs", format!("is 1 to {MAX_WINDOW_MS} milliseconds, and this is {window_ms}")))
            }
            RuleKind::Unusual { sensitivity, .. } if !(sensitivity > 0.0 && sensitivity <= MAX_SENSITIVITY) => {
                let message =
                    format!("is more than 0 and at most {MAX_SENSITIVITY} deviations, and this is {sensitivity}");
                Err(wrong("/unusual/sensitivity", message))
            }
            RuleKind::Unusual { min_weeks, .. } if !(1..=HISTORY_WEEKS).contains(&min_weeks) => {
                Err(wrong("/unusual/minWeeks", format!("is 1 to {HISTORY_WEEKS} weeks, and this is {min_weeks}")))
            }
            _ => Ok(()),
        }
    }
}

/// Checks rules that are evaluated together.
pub(crate) fn validate(rules: &[Rule]) -> Result<()> {
    if rules.len() > MAX_RULES {
        return Err(wrong("", format!("there are {} rules; MAX_RULES is {MAX_RULES}", rules.len())));
    }
    for (place, rule) in rules.iter().enumerate() {
        rule.validate().map_err(|error| error.inside(&format!("/{place}")))?;
        if rules[..place].iter().any(|other| other.name == rule.name) {
            let message = format!("{:?} is the name of another rule already", rule.name);
            return Err(wrong(format!("/{place}/name"), message));
        }
    }
    Ok(())
}

fn wrong(pointer: impl Into<String>, message: impl Into<String>) -> Error {
    Error::field(ErrorKind::InvalidArgument, pointer, message)
}

/// The error of fields that are no rule. Serde says what is wrong and not in which field, so each is tried
/// alone, and those of `unusual` after it.
fn misfit(error: &serde_json::Error, fields: Map<String, Value>) -> Error {
    fn culprit<T: serde::de::DeserializeOwned>(fields: Map<String, Value>) -> Option<Error> {
        fields.into_iter().find_map(|(name, value)| {
            let mut place = String::new();
            pointer::push(&mut place, &name);
            let alone = Map::from_iter([(name, value)]);
            serde_json::from_value::<T>(alone.into()).err().map(|error| wrong(place, error.to_string()))
        })
    }

    let inside = fields.get("unusual").and_then(Value::as_object).cloned().and_then(culprit::<Unusual>);
    let inside = inside.map(|error| error.inside("/unusual"));
    let culprit = inside.or_else(|| culprit::<Fields>(fields));
    culprit.unwrap_or_else(|| Error::new(ErrorKind::InvalidArgument, format!("this is no rule: {error}")))
}

impl TryFrom<Map<String, Value>> for Rule {
    type Error = Error;

    fn try_from(fields: Map<String, Value>) -> Result<Self> {
        Self::from_fields(fields)
    }
}

impl From<Rule> for Fields {
    fn from(rule: Rule) -> Self {
        let mut fields = Self { name: Some(rule.name), group_by: rule.group_by, ..Self::default() };
        match &rule.filter.actions[..] {
            [action] if rule.filter == Filter::new().action(action.as_str()) => fields.action = Some(action.clone()),
            _ if rule.filter.is_empty() => {}
            _ => fields.filter = serde_json::to_value(&rule.filter).ok(),
        }
        match rule.kind {
            RuleKind::Threshold { threshold, window_ms } => {
                (fields.threshold, fields.window_ms) = (Some(threshold), Some(window_ms));
            }
            RuleKind::Unusual { sensitivity, min_weeks } => fields.unusual = Some(Unusual { sensitivity, min_weeks }),
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_point_to_the_field() {
        let long = "n".repeat(257);
        for (json, pointer) in [
            (r#"{"name": "n", "thresold": 5}"#, "/thresold"),
            (r#"{"name": "n", "threshold": "5"}"#, "/threshold"),
            (r#"{"name": "n", "threshold": -1, "windowMs": 1}"#, "/threshold"),
            (r#"{"name": "n", "threshold": 10001, "windowMs": 1}"#, "/threshold"),
            (r#"{"name": "n", "windowMs": 1}"#, "/threshold"),
            (r#"{"name": "n", "threshold": 5}"#, "/windowMs"),
            (r#"{"name": "n", "threshold": 5, "windowMs": 0}"#, "/windowMs"),
            (r#"{"name": "n", "threshold": 5, "windowMs": 31622400001}"#, "/windowMs"),
            (r#"{"name": "n", "threshold": 5, "windowMs": 1, "windowMinutes": 1}"#, "/windowMinutes"),
            (r#"{"name": "n", "threshold": 5, "windowMs": 1, "groupBy": "colour"}"#, "/groupBy"),
            (r#"{"threshold": 5, "windowMs": 1}"#, "/name"),
            (&format!(r#"{{"name": "{long}", "threshold": 5, "windowMs": 1}}"#), "/name"),
            (r#"{"name": "n", "action": "a", "filter": {}, "threshold": 5, "windowMs": 1}"#, "/action"),
            (r#"{"name": "n", "action": "*", "threshold": 5, "windowMs": 1}"#, "/filter/actions/0"),
            (r#"{"name": "n", "filter": {"actr": "a"}, "threshold": 5, "windowMs": 1}"#, "/filter/actr"),
            (r#"{"name": "n", "filter": "a", "threshold": 5, "windowMs": 1}"#, "/filter"),
            (r#"{"name": "n", "threshold": 5, "windowMs": 1, "unusual": {}}"#, "/unusual"),
            (r#"{"name": "n", "unusual": {"weeks": 3}}"#, "/unusual/weeks"),
            (r#"{"name": "n", "unusual": {"sensitivity": 0}}"#, "/unusual/sensitivity"),
            (r#"{"name": "n", "unusual": {"minWeeks": 9}}"#, "/unusual/minWeeks"),
        ] {
            let error = Rule::from_json(json).unwrap_err();
            assert_eq!((error.kind(), error.pointer()), (ErrorKind::InvalidArgument, Some(pointer)), "{json}: {error}");
            let error = Rule::list_from_json(&format!(r#"[{{"name": "m", "unusual": {{}}}}, {json}]"#)).unwrap_err();
            assert_eq!(error.pointer(), Some(&*format!("/1{pointer}")), "{json}");
        }
        let twice = r#"[{"action": "a", "unusual": {}}, {"name": "a", "unusual": {}}]"#;
        assert_eq!(Rule::list_from_json(twice).unwrap_err().pointer(), Some("/1/name"));
        assert!(Rule::from_json("[]").is_err() && Rule::list_from_json("{}").is_err());
        let many = vec![Rule::unusual("n", Filter::new()); MAX_RULES + 1];
        assert!(validate(&many).unwrap_err().message().contains("MAX_RULES is 100"));
        assert!(Rule::unusual("n", Filter::new()).sensitivity(f64::NAN).validate().is_err());
    }

    #[test]
    fn a_pattern_of_action_threshold_and_minutes_is_a_rule() {
        let rule = Rule::from_json(r#"{"action": "user.login.failed", "threshold": 5, "windowMinutes": 5}"#).unwrap();
        let filter = Filter::new().action("user.login.failed");
        assert_eq!(rule, Rule::new("user.login.failed", filter, 5, 300_000));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let rules = Rule::built_in();
        let json = serde_json::to_string(&rules).unwrap();
        assert_eq!(Rule::list_from_json(&json).unwrap(), rules);
        assert_eq!(serde_json::from_str::<Vec<Rule>>(&json).unwrap(), rules);
        assert!(json.contains(r#""unusual":{"sensitivity":3.5,"minWeeks":3}"#), "{json}");
        let error = serde_json::from_str::<Rule>(r#"{"name": "n", "threshold": 0, "windowMs": 1}"#).unwrap_err();
        assert!(error.to_string().contains("/threshold"), "{error}");
    }
}
