//! The command line of Sealog, the audit log for applications.

mod generator;

pub use generator::Generator;
