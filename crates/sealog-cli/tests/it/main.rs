//! The program `sealog`, as its users run it.

mod anomalies;
mod contract;
mod docs;
mod help;
mod histories;
mod mistakes;
mod nodes;
mod outside;
mod processes;
mod questions;
mod reports;
mod retention;
mod serve;
mod support;
mod tracking;
