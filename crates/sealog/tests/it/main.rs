//! The library through its public API: one binary, so that it links once.

mod conformance;
mod inbox;
mod support;
mod tampering;
