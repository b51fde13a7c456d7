//! What is asked of the log, in each of the forms it is asked in.

mod compact;
mod filter;
mod params;
#[cfg(test)]
mod tests;
mod text;

pub use filter::{Filter, MAX_FILTER_VALUE_BYTES, MAX_FILTER_VALUES, Resource};
