//! The library through its public API: one binary, so that it links once.

mod concurrency;
mod conformance;
mod faults;
mod inbox;
mod model;
mod support;
mod tampering;
