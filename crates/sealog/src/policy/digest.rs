//! Digests with the log's key, of what is no event or no longer one as it was sent.

use super::compiled::{Compiled, Prepared};
use super::hide::Domain;

impl Compiled {
    /// The first 16 bytes of an HMAC-SHA256 with the log's key, hex.
    pub(crate) fn keyed_digest(&self, bytes: &[u8]) -> String {
        hex(self.short(Domain::Digest, bytes))
    }

    /// A secret for this purpose: HMAC-SHA256 with the log's key.
    pub(crate) fn derived_secret(&self, purpose: &str) -> [u8; 32] {
        self.rules.keyed.digest(Domain::Derived, purpose.as_bytes())
    }

    /// What stands for the id of an event once that was removed, in whole or in part: a UUIDv8 of an HMAC-SHA256
    /// with the log's key.
    pub(crate) fn removed_id(&self, id: &str) -> String {
        uuid::Builder::from_custom_bytes(self.short(Domain::RemovedId, id.as_bytes())).into_uuid().to_string()
    }

    /// What an erasure names its subject by, 32 hex digits.
    pub(crate) fn subject_digest(&self, subject: &str) -> String {
        hex(self.short(Domain::Subject, subject.as_bytes()))
    }

    /// What goes through an inbox beside a staged event: the digest of the event as it was sent, and a
    /// code that only this log can make for the two. It tells that the policy was applied, and a row that
    /// is drained twice. Answers the digest too.
    pub(crate) fn mark_staged(&self, prepared: &Prepared) -> (String, [u8; 16]) {
        let event = prepared.sealable.unsealed();
        // An id that was drawn here has no event as it was sent under it.
        let digest = prepared.digest.unwrap_or_else(|| self.short(Domain::Digest, event));
        (hex(digest) + &hex(self.staged_code(digest, event)), digest)
    }

    /// The digest in a mark, if the mark belongs to this event.
    pub(crate) fn read_staged(&self, mark: &str, event: &[u8]) -> Option<[u8; 16]> {
        let (digest, code) = mark.split_at_checked(32)?;
        let digest = u128::from_str_radix(digest, 16).ok()?.to_be_bytes();
        (code == hex(self.staged_code(digest, event))).then_some(digest)
    }

    fn staged_code(&self, digest: [u8; 16], event: &[u8]) -> [u8; 16] {
        self.short(Domain::Staged, &[&digest, event].concat())
    }

    fn short(&self, domain: Domain, bytes: &[u8]) -> [u8; 16] {
        self.rules.keyed.digest(domain, bytes).first_chunk().copied().unwrap_or_default()
    }
}

fn hex(bytes: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(bytes))
}
