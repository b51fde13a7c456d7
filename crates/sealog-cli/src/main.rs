//! The command line of Sealog.
fn main() {}
