#![doc = include_str!("../README.md")]

mod anchor;
mod builder;
mod canonical;
mod clock;
mod error;
mod event;
mod inbox;
mod index;
mod journal;
mod keeper;
mod keyfile;
mod log;
mod meter;
mod object;
mod policy;
mod query;
mod ranges;
mod report;
mod retention;
mod sampled;
mod sequencer;
mod serving;
mod settings;
mod track;
mod tree;
mod verify;
mod watch;

pub use anchor::AnchorState;
pub use builder::Builder;
pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{Error, ErrorKind, Result};
pub use event::{
    Change, DiffKind, DiffOp, Event, Logged, MAX_ACTION_BYTES, MAX_BULK_BYTES, MAX_BULK_EVENTS, MAX_CHANGED_POINTERS,
    MAX_DEPTH, MAX_EVENT_BYTES, MAX_FIELD_BYTES, MAX_ID_BYTES, MAX_METADATA_BYTES, MAX_STATE_BYTES, MAX_TAG_BYTES,
    MAX_TAGS, MAX_USER_AGENT_BYTES, Outcome, Receipt, Record, Severity, actions,
};
pub use inbox::InboxState;
pub use index::{IndexProgress, Order};
#[cfg(feature = "postgres")]
pub use journal::postgres::DatabaseRoles;
pub use keeper::Upkeep;
pub use log::{AuditLog, Head, InboxSql, MAX_READ_EVENTS, Page, Rejected, Staged};
pub use meter::{COMMIT_CLASSES_US, Vitals};
pub use policy::{Detector, IpPolicy, Mode, Policy, RedactField, RedactPath, diff, readable};
pub use query::{
    Bucket, BySeverity, DEFAULT_MIN_WEEKS, DEFAULT_PAGE_EVENTS, DEFAULT_SENSITIVITY, DEFAULT_TOP, EventPage, Filter,
    Finding, FindingEvent, Findings, GroupBy, HISTORY_WEEKS, MAX_BUCKETS, MAX_FILTER_VALUE_BYTES, MAX_FILTER_VALUES,
    MAX_FINDING_IDS, MAX_FINDINGS, MAX_PAGE_EVENTS, MAX_RULE_NAME_BYTES, MAX_RULES, MAX_SUGGESTIONS, MAX_THRESHOLD,
    MAX_TOP, MAX_WINDOW_MS, PageOptions, Resource, Rule, RuleKind, StateAt, Stats, StatsOptions, SuggestField,
    TimeRange, TopEntry,
};
pub use report::{
    MAX_REPORT_FIELDS, MAX_REPORT_FINDINGS, MAX_REPORT_GROUP_FIELDS, MAX_REPORT_GROUPS, ReportFormat, ReportOptions,
    ReportProgress, ReportSummary,
};
pub use retention::{
    CleanupOptions, CleanupProgress, CleanupReport, DEFAULT_CLEANUP_BATCH_EVENTS, Erasure, ErasureMode, ErasureReport,
    Hold, HoldOptions, MAX_CASE_BYTES, MAX_CLEANUP_BATCH_EVENTS, MAX_HOLD_REASON_BYTES, MAX_HOLDS, MAX_REASON_BYTES,
    Subject,
};
/// The rusqlite that [`AuditLog::log_in`] takes transactions of.
pub use rusqlite;
pub use serving::{Examined, Location, Selector};
pub use settings::{CategoryRetention, MAX_CUSTOM_RETENTION, MAX_RETENTION_DAYS, Settings};
/// The tokio-postgres that [`AuditLog::log_in_postgres`] takes transactions of.
#[cfg(feature = "postgres")]
pub use tokio_postgres;
pub use track::{TrackOptions, TrackedTable, acting_in};
pub use tree::{Checkpoint, Cosignature, Key, Proof, ProvenEvent, Witness};
pub use verify::{Problem, Trust, VerifyOptions, VerifyProgress, VerifyReport};
pub use watch::{Watch, WatchFrom};
