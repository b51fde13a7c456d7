//! The library through its public API: one binary, so that it links once.

mod anomalies;
mod concurrency;
mod conformance;
mod faults;
mod format;
mod handles;
mod inbox;
mod index_damage;
mod killed;
mod model;
mod queries;
mod scopes;
mod search;
mod support;
mod tampering;
mod upgrade;
mod watching;
