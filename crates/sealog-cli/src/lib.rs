//! The command line of Sealog, the audit log for applications.

mod generator;
pub mod sources;

pub use generator::Generator;
