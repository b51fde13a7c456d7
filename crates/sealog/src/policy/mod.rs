//! What turns a caller's event into what may be stored: validate, sample, diff, redact.

#[cfg(test)]
pub(crate) mod arbitrary;

use serde::{Deserialize, Serialize};

/// How the log treats what it is sent. Plain data, so that it can be kept in a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Policy {
    /// Which fields are redacted, by name, at any depth.
    pub redact_fields: Vec<RedactField>,
    /// Which fields are redacted, by path.
    pub redact_paths: Vec<RedactPath>,
    /// Which values are redacted wherever they stand.
    pub detectors: Vec<Detector>,
    /// What is done with what a detector finds.
    pub detector_mode: Mode,
    /// What is stored of `ip_address`.
    pub ip_address: IpPolicy,
    /// Which share of `info` events is kept, from 0.0 to 1.0.
    pub sampling: f64,
    /// How far ahead of the log's clock a timestamp may be, in milliseconds.
    pub max_future_ms: i64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            redact_fields: Vec::new(),
            redact_paths: Vec::new(),
            detectors: Vec::new(),
            detector_mode: Mode::Redact,
            ip_address: IpPolicy::Keep,
            sampling: 1.0,
            max_future_ms: 5 * 60 * 1000,
        }
    }
}

/// A field to redact, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedactField {
    /// The name; case, `_` and `-` do not matter.
    pub name: String,
    /// How.
    #[serde(default)]
    pub mode: Mode,
}

/// A field to redact, by path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedactPath {
    /// The path, such as `metadata.user.email`.
    pub path: String,
    /// How.
    #[serde(default)]
    pub mode: Mode,
}

/// How a value is redacted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Becomes `[REDACTED]`.
    #[default]
    Redact,
    /// Keeps the last four characters.
    Mask,
    /// Becomes a keyed hash.
    Hash,
    /// Goes.
    Remove,
}

/// Values that are personal or secret by their shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Detector {
    /// E-mail addresses.
    Email,
    /// Payment card numbers.
    CardNumber,
    /// JSON Web Tokens.
    Jwt,
    /// Bearer tokens.
    BearerToken,
    /// Key ids of cloud providers.
    CloudKeyId,
}

/// What is stored of an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpPolicy {
    /// All of it.
    #[default]
    Keep,
    /// Its network: /24 of IPv4, /48 of IPv6.
    Truncate,
    /// A keyed hash.
    Hash,
}
