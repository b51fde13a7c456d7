//! The library through its public API: one binary, so that it links once.

mod anomalies;
mod application;
mod bounds;
mod concurrency;
mod conformance;
mod excess;
mod faults;
mod files;
mod format;
mod handles;
mod inbox;
mod index_damage;
mod killed;
mod live_rules;
mod model;
mod older_copy;
mod queries;
mod removed_rows;
mod reports;
mod retention;
mod retention_model;
mod scopes;
mod search;
mod settings;
mod support;
mod tampering;
mod tracking;
mod upgrade;
mod watching;

/// What these logs are in.
pub(crate) const BACKEND: support::Backend = support::Backend::File;
