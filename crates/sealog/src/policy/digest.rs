//! Digests with the log's key, of what is no event.

use super::compiled::Compiled;
use super::hide::Domain;

impl Compiled {
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
