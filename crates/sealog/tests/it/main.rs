//! The library through its public API: one binary, so that it links once.

mod concurrency;
mod conformance;
mod excess;
mod faults;
mod files;
mod format;
mod inbox;
mod model;
mod queries;
mod search;
mod support;
mod tampering;
mod upgrade;
