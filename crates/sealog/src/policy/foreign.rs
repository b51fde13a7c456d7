//! What may be kept of JSON that is no event: an inbox's row that is set aside.

use serde_json::Value;

use super::compiled::Compiled;
use super::hide::Domain;
use super::paths::Paths;
use super::{IpPolicy, address};

impl Compiled {
    /// Redacts any JSON value as if it were an event: by path where its parts have an event's names,
    /// and by name everywhere.
    pub(crate) fn redact_foreign(&self, mut value: Value) -> Value {
        let rules = &self.rules;
        if let Value::Object(map) = &mut value {
            for (name, paths) in [("metadata", &rules.metadata), ("before", &rules.before), ("after", &rules.after)] {
                if let Some(part) = map.get_mut(name) {
                    rules.redact_value(paths, part);
                }
            }
            if self.ip_address != IpPolicy::Keep
                && let Some(Value::String(text)) = map.get_mut("ipAddress")
            {
                *text = address::reduce(self.ip_address, text, &rules.keyed);
            }
        }
        rules.redact_value(&Paths::default(), &mut value);
        value
    }

    /// The first 16 bytes of an HMAC-SHA256 with the log's key.
    pub(crate) fn digest(&self, bytes: &[u8]) -> [u8; 16] {
        self.rules.keyed.digest(Domain::Digest, bytes).first_chunk().copied().unwrap_or_default()
    }

    /// The same, in hex.
    pub(crate) fn keyed_digest(&self, bytes: &[u8]) -> String {
        hex_digest(self.digest(bytes))
    }
}

/// A digest as it stands in columns and messages.
pub(crate) fn hex_digest(digest: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(digest))
}
