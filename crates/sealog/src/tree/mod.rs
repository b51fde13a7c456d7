//! The tree: commitments, tiles, proofs, checkpoints and keys. Pure: no I/O, no clock.

/// A signed statement of the tree's size and root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {}

/// The keys of a log.
#[derive(Clone)]
pub struct Key {}

/// That an event is in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {}

/// What a proof proves.
#[derive(Debug, Clone, PartialEq)]
pub struct ProvenEvent {}
