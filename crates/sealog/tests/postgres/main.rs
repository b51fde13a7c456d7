//! What every journal must do, with logs in PostgreSQL: the tests of `it` that are not about files.

#![cfg(feature = "postgres")]

#[path = "../it/anomalies.rs"]
mod anomalies;
mod application;
mod bodies;
#[path = "../it/concurrency.rs"]
mod concurrency;
#[path = "../it/conformance.rs"]
mod conformance;
mod connections;
#[path = "../it/excess.rs"]
mod excess;
mod functions;
#[path = "../it/handles.rs"]
mod handles;
mod inbox;
#[path = "../it/index_damage.rs"]
mod index_damage;
#[path = "../it/live_rules.rs"]
mod live_rules;
#[path = "../it/model.rs"]
mod model;
mod queries;
#[path = "../it/reports/mod.rs"]
mod reports;
#[path = "../it/retention.rs"]
mod retention;
#[path = "../it/retention_model.rs"]
mod retention_model;
mod roles;
#[path = "../it/scopes.rs"]
mod scopes;
#[path = "../it/search.rs"]
mod search;
#[path = "../it/settings.rs"]
mod settings;
mod standbys;
#[path = "../it/support.rs"]
mod support;
mod tampering;
mod tls;
mod tracking;
#[path = "../it/watching.rs"]
mod watching;

/// What these logs are in.
pub(crate) const BACKEND: support::Backend = support::Backend::Postgres;
