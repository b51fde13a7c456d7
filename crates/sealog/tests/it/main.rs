//! The library through its public API: one binary, so that it links once.

mod conformance;
mod faults;
mod format;
mod inbox;
mod support;
mod tampering;
