//! The whole check of a log.

/// What a check of the log is measured against.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// The public key that must have signed the log (`vkey`).
    pub vkey: Option<String>,
    /// Older checkpoints (signed notes), that today's tree must extend.
    pub checkpoints: Vec<String>,
}

/// How far a check has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyProgress {
    /// Events checked.
    pub checked: u64,
    /// Events to check.
    pub total: u64,
}

/// On what the result rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// The log is consistent with itself; whoever holds file and key could have rewritten both.
    SelfConsistent,
    /// It is signed by the key that was given.
    Key,
    /// It extends the older checkpoints that were given.
    Checkpoint,
    /// Both.
    KeyAndCheckpoint,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Where: the first seq concerned.
    pub seq: u64,
    /// What, as a stable word: `commitment`, `column`, `tile`, `checkpoint`, `signature`, `missing`, …
    pub code: String,
    /// In words.
    pub message: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyReport {
    /// The size of the tree.
    pub size: u64,
    /// The root, base64.
    pub root: String,
    /// How many checkpoints were checked.
    pub checkpoints: u64,
    /// On what the result rests.
    pub trust: Trust,
    /// What is wrong; empty when the log is whole.
    pub problems: Vec<Problem>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }
}
