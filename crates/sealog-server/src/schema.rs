//! The shapes of what goes in and out, for the specification. The library's own types are what is read and
//! written; tests hold that the two agree.
#![allow(dead_code, reason = "these types are only described")]
#![allow(clippy::large_enum_variant, reason = "these types are only described")]

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

/// How much an event matters, least first.
#[derive(ToSchema, Serialize, Deserialize)]
#[schema(as = Severity)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SeverityBody {
    Info,
    Warning,
    Error,
    Critical,
}

/// How what was tried ended.
#[derive(ToSchema, Serialize, Deserialize)]
#[schema(as = Outcome)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OutcomeBody {
    Success,
    Failure,
    Denied,
}

/// What happened. Only the action is required. With `before`, `after` or both it is a change, and its diff is
/// made by the log.
#[derive(ToSchema, Serialize)]
#[schema(as = Event)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EventBody {
    /// The event's identity: sent twice it is one event. A UUIDv7 unless given. At most 256 bytes.
    id: Option<String>,
    /// When it happened, milliseconds since the Unix epoch; by default when it was accepted. At most five
    /// minutes ahead.
    timestamp: Option<i64>,
    /// What was done, a dotted verb such as `user.login`. `sealog.*` is the log's own.
    #[schema(example = "user.login", max_length = 256)]
    action: String,
    /// Who did it.
    actor_id: Option<String>,
    /// What kind of actor it is: `user`, `service`, `api_key`, `agent`, …
    actor_type: Option<String>,
    /// The actor's name, for people.
    actor_name: Option<String>,
    /// For whom the actor acted.
    on_behalf_of: Option<String>,
    /// What kind of thing it was done to.
    resource_type: Option<String>,
    /// Which one. Requires a `resourceType`.
    resource_id: Option<String>,
    /// How much it matters; `info` unless given.
    severity: Option<SeverityBody>,
    /// How it ended.
    outcome: Option<OutcomeBody>,
    /// Anything else, by name. At most 256 KiB, nested at most 64 deep.
    metadata: Option<Map<String, Value>>,
    /// The resource before the change, any JSON; `null` is a state too. At most 1 MiB.
    before: Option<Value>,
    /// The resource after the change, any JSON; `null` is a state too. At most 1 MiB.
    after: Option<Value>,
    /// JSON Pointers to what changed, from a caller that redacted the states itself.
    changed: Option<Vec<String>>,
    /// From which address.
    ip_address: Option<String>,
    /// With which program.
    user_agent: Option<String>,
    /// In which session.
    session_id: Option<String>,
    /// In which request.
    request_id: Option<String>,
    /// Words to find it by. At most 64 of 256 bytes each.
    tags: Option<Vec<String>>,
    /// Whose log it is, in an application with several customers.
    tenant: Option<String>,
    /// Which retention rule it falls under.
    retention_category: Option<String>,
}

/// One event, or several that are logged together or not at all.
#[derive(ToSchema, Serialize)]
#[schema(as = EventOrEvents)]
#[serde(untagged)]
pub(crate) enum EventsBody {
    One(EventBody),
    Many(Vec<EventBody>),
}

/// One step of a diff: an operation of JSON Patch (RFC 6902), with the value it replaced.
#[derive(ToSchema, Serialize)]
#[schema(as = DiffOp)]
pub(crate) struct DiffOpBody {
    /// `add`, `remove` or `replace`.
    #[schema(example = "replace")]
    op: String,
    /// The value that was there.
    old: Option<Value>,
    /// Where, as a JSON Pointer.
    path: String,
    /// The value that is there now.
    value: Option<Value>,
}

/// An event as the log holds it, after policy.
#[derive(ToSchema, Serialize)]
#[schema(as = Record)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecordBody {
    /// The event's identity.
    id: String,
    /// Its place in the log: 0, 1, 2, …
    seq: u64,
    /// When it happened, milliseconds since the Unix epoch.
    timestamp: i64,
    /// When it was sequenced, milliseconds since the Unix epoch.
    recorded_at: i64,
    /// What was done.
    action: String,
    actor_id: Option<String>,
    actor_type: Option<String>,
    actor_name: Option<String>,
    on_behalf_of: Option<String>,
    resource_type: Option<String>,
    resource_id: Option<String>,
    severity: SeverityBody,
    outcome: Option<OutcomeBody>,
    metadata: Option<Map<String, Value>>,
    before: Option<Value>,
    after: Option<Value>,
    /// What changed between before and after.
    diff: Option<Vec<DiffOpBody>>,
    ip_address: Option<String>,
    user_agent: Option<String>,
    session_id: Option<String>,
    request_id: Option<String>,
    tags: Option<Vec<String>>,
    tenant: Option<String>,
    retention_category: Option<String>,
}

/// What became of an event. By now it is durable, sealed and visible.
#[derive(ToSchema, Serialize)]
#[schema(as = Receipt)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReceiptBody {
    /// The event's identity.
    id: String,
    /// Its place in the log. Absent when the event was sampled away.
    seq: Option<u64>,
    /// When it happened, milliseconds since the Unix epoch.
    timestamp: Option<i64>,
    /// The size of the tree that first held it.
    tree_size: Option<u64>,
    /// `true` when the event was there before, and nothing was added.
    existed: Option<bool>,
    /// `true` when the event was logged before and its body has been removed since.
    removed: Option<bool>,
    /// `true` when sampling left it out, as the settings say.
    sampled: Option<bool>,
}

/// What became of several events, in their order.
#[derive(ToSchema, Serialize)]
#[schema(as = Receipts)]
pub(crate) struct ReceiptsBody {
    receipts: Vec<ReceiptBody>,
}

/// A receipt, or several.
#[derive(ToSchema, Serialize)]
#[schema(as = ReceiptOrReceipts)]
#[serde(untagged)]
pub(crate) enum ReceiptsOrOneBody {
    One(ReceiptBody),
    Many(ReceiptsBody),
}

/// One resource.
#[derive(ToSchema, Serialize)]
#[schema(as = Resource)]
pub(crate) struct ResourceBody {
    /// Its type.
    r#type: String,
    /// Its id.
    id: String,
}

/// Which events. What is left out does not matter; what is there must all hold. A list is met by any of its
/// values (`tagsAll` by each), and an empty list by every event.
#[derive(ToSchema, Serialize)]
#[schema(as = Filter)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FilterBody {
    severities: Option<Vec<SeverityBody>>,
    /// `user.login` is that action, `user.*` each that begins with `user.`
    actions: Option<Vec<String>>,
    actor_ids: Option<Vec<String>>,
    actor_types: Option<Vec<String>>,
    resource_types: Option<Vec<String>>,
    resource: Option<ResourceBody>,
    /// At least one of these tags.
    tags_any: Option<Vec<String>>,
    /// Every one of these tags.
    tags_all: Option<Vec<String>>,
    outcomes: Option<Vec<OutcomeBody>>,
    tenant: Option<String>,
    /// Addresses or networks: `203.0.113.9`, `10.0.0.0/8`.
    ip_addresses: Option<Vec<String>>,
    session_id: Option<String>,
    request_id: Option<String>,
    retention_categories: Option<Vec<String>>,
    /// Not before this time, milliseconds since the Unix epoch.
    from_timestamp: Option<i64>,
    /// Before this time, milliseconds since the Unix epoch.
    to_timestamp: Option<i64>,
    /// Words that the event holds: `reset link`, `"reset link"`, `-expired`.
    text: Option<String>,
    /// A path that the change touches: `spec.replicas`, `/spec/replicas`.
    changed: Option<String>,
}

/// The filter of a question, as query parameters. Lists repeat their name.
#[derive(IntoParams, Serialize)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FilterParams {
    /// A filter in the compact form, as people write it: `actor:u-17 severity>=warning since:7d "reset link"`.
    q: Option<String>,
    severities: Option<Vec<SeverityBody>>,
    /// `user.login` is that action, `user.*` each that begins with `user.`
    actions: Option<Vec<String>>,
    actor_ids: Option<Vec<String>>,
    actor_types: Option<Vec<String>>,
    resource_types: Option<Vec<String>>,
    /// Its type and its id with a `:` between them.
    #[param(example = "invoice:i-4")]
    resource: Option<String>,
    /// At least one of these tags.
    tags_any: Option<Vec<String>>,
    /// Every one of these tags.
    tags_all: Option<Vec<String>>,
    outcomes: Option<Vec<OutcomeBody>>,
    tenant: Option<String>,
    /// Addresses or networks: `203.0.113.9`, `10.0.0.0/8`.
    ip_addresses: Option<Vec<String>>,
    session_id: Option<String>,
    request_id: Option<String>,
    retention_categories: Option<Vec<String>>,
    /// Not before this time, milliseconds since the Unix epoch.
    from_timestamp: Option<i64>,
    /// Before this time, milliseconds since the Unix epoch.
    to_timestamp: Option<i64>,
    /// Words that the event holds: `reset link`, `"reset link"`, `-expired`.
    text: Option<String>,
    /// A path that the change touches: `spec.replicas`, `/spec/replicas`.
    changed: Option<String>,
}

/// Which page.
#[derive(IntoParams, Serialize)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PageParams {
    /// How many events, 1 to 1,000; 50 unless given.
    limit: Option<u16>,
    /// `newestFirst` (the default) or `oldestFirst`.
    order: Option<String>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// A page of events.
#[derive(ToSchema, Serialize)]
#[schema(as = EventPage)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventPageBody {
    /// The events, in the order that was asked for.
    events: Vec<RecordBody>,
    /// Whether there are more behind them.
    has_more: Option<bool>,
    /// What `cursor` takes for the page behind this one.
    next_cursor: Option<String>,
    /// Of a poll with `afterSeq`: what `afterSeq` takes to go on.
    after_seq: Option<i64>,
}

/// The document of a resource as of a moment.
#[derive(ToSchema, Serialize)]
#[schema(as = StateAt)]
pub(crate) struct StateAtBody {
    /// The document; absent when it had been deleted, did not exist yet, or nothing is known of it.
    state: Option<Value>,
    /// The change that the state is known from.
    change: Option<RecordBody>,
}

/// How many events of each severity.
#[derive(ToSchema, Serialize)]
#[schema(as = BySeverity)]
pub(crate) struct BySeverityBody {
    info: u64,
    warning: u64,
    error: u64,
    critical: u64,
}

/// One value and how many events have it.
#[derive(ToSchema, Serialize)]
#[schema(as = TopEntry)]
pub(crate) struct TopEntryBody {
    value: String,
    count: u64,
}

/// What happened within a while.
#[derive(ToSchema, Serialize)]
#[schema(as = Bucket)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BucketBody {
    /// Its first millisecond since the Unix epoch.
    start: i64,
    by_severity: BySeverityBody,
}

/// Statistics, exact at every size.
#[derive(ToSchema, Serialize)]
#[schema(as = Stats)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatsBody {
    total: u64,
    by_severity: BySeverityBody,
    top_actions: Vec<TopEntryBody>,
    top_actors: Vec<TopEntryBody>,
    /// The length of a bucket, in milliseconds.
    bucket_ms: i64,
    /// Buckets in order, without those that are empty at both ends.
    series: Vec<BucketBody>,
}

/// One event of a finding.
#[derive(ToSchema, Serialize)]
#[schema(as = FindingEvent)]
pub(crate) struct FindingEventBody {
    seq: u64,
    timestamp: i64,
    id: String,
}

/// What a rule has found.
#[derive(ToSchema, Serialize)]
#[schema(as = Finding)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FindingBody {
    /// The rule's name.
    rule: String,
    /// `actor`, `ipAddress`, `resource`, `session` or `tenant`.
    group_by: Option<String>,
    group: Option<String>,
    count: u64,
    threshold: u64,
    window_ms: i64,
    first: FindingEventBody,
    last: FindingEventBody,
    /// The ids of its events, of the first hundred of them.
    ids: Vec<String>,
}

/// What rules have found, the newest first.
#[derive(ToSchema, Serialize)]
#[schema(as = Findings)]
pub(crate) struct FindingsBody {
    /// How many there are, also where they are more than are listed.
    total: u64,
    findings: Vec<FindingBody>,
}

/// An hour with more events than is usual.
#[derive(ToSchema, Serialize)]
#[schema(as = Unusual)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UnusualBody {
    /// How many deviations above the median are unusual; 3.5 unless given.
    sensitivity: Option<f64>,
    /// Of how many weeks the same hour must be known; 3 unless given.
    min_weeks: Option<u32>,
}

/// What is an anomaly: either `threshold` events within `windowMs`, or `unusual`.
#[derive(ToSchema, Serialize)]
#[schema(as = Rule)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RuleBody {
    name: Option<String>,
    /// A filter for one action, in short.
    action: Option<String>,
    filter: Option<FilterBody>,
    /// `actor`, `ipAddress`, `resource`, `session` or `tenant`.
    group_by: Option<String>,
    threshold: Option<u64>,
    window_ms: Option<i64>,
    unusual: Option<UnusualBody>,
}

/// From when to when, in milliseconds since the Unix epoch.
#[derive(ToSchema, Serialize)]
#[schema(as = TimeRange)]
pub(crate) struct TimeRangeBody {
    /// The first millisecond.
    from: Option<i64>,
    /// The first one after it.
    to: Option<i64>,
}

/// How long events of one retention category are kept.
#[derive(ToSchema, Serialize)]
#[schema(as = CategoryRetention)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CategoryRetentionBody {
    category: String,
    /// For ever where it is `null`.
    retention_days: Option<u32>,
}

/// What a log keeps, hides and looks for.
#[derive(ToSchema, Serialize)]
#[schema(as = Settings)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SettingsBody {
    /// How many days events are kept; 90 by default, for ever where it is `null` (in a change, `"forever"`).
    default_retention_days: Option<u32>,
    /// The same of events of the severity `critical`; 365 by default.
    critical_retention_days: Option<u32>,
    /// The same of events of a retention category, whatever their severity.
    custom_retention: Option<Vec<CategoryRetentionBody>>,
    /// What is hidden and sampled away, as docs/POLICY.md has it.
    policy: Option<Map<String, Value>>,
    /// Rules that are evaluated as events arrive.
    rules: Option<Vec<RuleBody>>,
}

/// One thing that is wrong with a log.
#[derive(ToSchema, Serialize)]
#[schema(as = Damage)]
pub(crate) struct DamageBody {
    /// Where: the first seq concerned.
    seq: u64,
    /// What, as a stable word such as `commitment` or `missing`.
    code: String,
    /// What, in words.
    message: String,
    expected: String,
    found: String,
}

/// What a check of the whole log found.
#[derive(ToSchema, Serialize)]
#[schema(as = VerifyReport)]
pub(crate) struct VerifyReportBody {
    /// The size of the tree that was checked.
    size: u64,
    /// Its root as the events give it, in base64.
    root: String,
    /// The keys that signed the log, the oldest first.
    vkeys: Vec<String>,
    /// How many checkpoints were checked, the given ones included.
    checkpoints: u64,
    /// Of how many events nothing is left, as removal receipts say.
    removed: u64,
    /// Of how many events a part is left that a removal receipt seals.
    reduced: u64,
    /// On what the result rests: `self-consistent`, `key`, `checkpoint` or `key-and-checkpoint`.
    trust: String,
    /// What is wrong; empty when the log is whole. At most 1,000.
    problems: Vec<DamageBody>,
}

/// What a clean-up removes.
#[derive(ToSchema, Serialize)]
#[schema(as = Cleanup)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CleanupBody {
    /// What is at least so many days old; as the settings say of each kind unless given.
    older_than_days: Option<u32>,
    /// Removes no events of these severities.
    preserve_severity: Option<Vec<SeverityBody>>,
    /// Removes events of this retention category only.
    retention_category: Option<String>,
    /// How many events are looked at in one transaction, 1 to 65,536; 4,096 unless given.
    batch_size: Option<u32>,
    /// Removes nothing, and counts what would go.
    dry_run: Option<bool>,
}

/// What a clean-up did, or would do.
#[derive(ToSchema, Serialize)]
#[schema(as = CleanupReport)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CleanupReportBody {
    dry_run: bool,
    /// How many events went.
    removed: u64,
    /// How many would have gone, but for a hold.
    held: u64,
    by_severity: BySeverityBody,
    /// How many of each retention category went.
    by_category: std::collections::BTreeMap<String, u64>,
    oldest: Option<i64>,
    newest: Option<i64>,
    /// Whether nothing of it is in any file any more.
    scrubbed: bool,
}

/// A hold that is in force.
#[derive(ToSchema, Serialize)]
#[schema(as = Hold)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HoldBody {
    /// Its id, which is that of the event that placed it.
    id: String,
    filter: FilterBody,
    reason: String,
    owner: Option<String>,
    /// When it was placed, milliseconds since the Unix epoch.
    placed_at: i64,
    /// The seq of the event that placed it.
    seq: u64,
}

/// Whose data is erased: an actor's, by id, or a resource's.
#[derive(ToSchema, Serialize)]
#[schema(as = Subject)]
#[serde(rename_all = "camelCase")]
pub(crate) enum SubjectBody {
    Actor(String),
    Resource(ResourceBody),
}

/// What of the subject's events goes: all of them, or what tells of whom they are.
#[derive(ToSchema, Serialize)]
#[schema(as = ErasureMode)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ErasureModeBody {
    Events,
    Fields,
}

/// An erasure: whose data, and why.
#[derive(ToSchema, Serialize)]
#[schema(as = Erasure)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ErasureBody {
    subject: SubjectBody,
    /// Why, as a code such as `gdpr-17`, which must not tell of whom it is.
    reason: String,
    /// The number that the case has elsewhere.
    case: Option<String>,
    mode: Option<ErasureModeBody>,
    /// Whether the subject's id also goes where other events mention it.
    mentions: Option<bool>,
    /// Erases nothing, and counts what would go.
    dry_run: Option<bool>,
}

/// What an erasure did, or would do.
#[derive(ToSchema, Serialize)]
#[schema(as = ErasureReport)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErasureReportBody {
    dry_run: bool,
    /// What the receipts name the subject by: a keyed hash.
    subject: String,
    /// How many events went.
    removed: u64,
    /// Of how many events a part went.
    reduced: u64,
    /// How many would have gone, but for a hold.
    held: u64,
    /// How many events of the log's own that nothing removes name the subject's id.
    kept: u64,
    /// Of how many rows that were set aside the copy went.
    rejected: u64,
    /// Whether nothing of it is in any file any more.
    scrubbed: bool,
}
