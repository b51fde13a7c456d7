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
    /// with the log's key. Of an id that begins with its time, as those do that logs make, the time stays: it tells
    /// nothing that is not kept anyway, and ids that are neighbours in the journal remain so, where a removal of many
    /// would otherwise write a page for each of them.
    pub(crate) fn removed_id(&self, id: &str) -> String {
        let mut bytes = self.short(Domain::RemovedId, id.as_bytes());
        if let Some(time) = time_of(id) {
            bytes[..time.len()].copy_from_slice(&time);
        }
        uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
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

/// The 48 bits of time in a UUIDv7 that is written as usual.
fn time_of(id: &str) -> Option<[u8; 6]> {
    let uuid = uuid::Uuid::try_parse(id).ok().filter(|uuid| uuid.get_version_num() == 7)?;
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let is_usual = *uuid.hyphenated().encode_lower(&mut text) == *id;
    uuid.as_bytes().first_chunk().copied().filter(|_| is_usual)
}

fn hex(bytes: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use crate::policy::Policy;

    #[test]
    fn a_removed_id_tells_the_time_of_one_that_had_it_and_nothing_else() {
        let [ours, others] = [[1; 32], [2; 32]].map(|secret| Policy::default().compile(secret).unwrap());
        let id = "0199a6f3-9d5e-7c31-b5a1-6f0c4b8e2d17";
        let removed = ours.removed_id(id);
        let parts: Vec<_> = removed.split('-').collect();
        assert_eq!((parts[0], parts[1], &parts[2][..1]), ("0199a6f3", "9d5e", "8"), "{removed}");
        assert_ne!((parts[2], parts[3], parts[4]), ("8c31", "b5a1", "6f0c4b8e2d17"));
        assert_eq!(ours.removed_id(id), removed);
        assert_ne!(others.removed_id(id)[14..], removed[14..]);
        assert_ne!(ours.removed_id("0199a6f3-9d5e-7c31-b5a1-6f0c4b8e2d18")[14..], removed[14..]);
        // No other form, and no other version.
        for id in ["0199A6F3-9D5E-7C31-B5A1-6F0C4B8E2D17", "0199a6f3-9d5e-4c31-b5a1-6f0c4b8e2d17", "ada@example.com"] {
            let removed = ours.removed_id(id);
            assert!(!removed.starts_with("0199a6f3") && removed[14..].starts_with('8'), "{id}: {removed}");
        }
    }
}
