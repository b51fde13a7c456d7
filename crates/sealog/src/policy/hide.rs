//! What stands in the place of a hidden value.

use std::fmt::Write as _;

use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::Mode;
use crate::canonical;

/// What a hidden value becomes.
pub(super) const REDACTED: &str = "[REDACTED]";
/// What a mask begins with; at most [`MASK_SHOWN_CHARS`] characters follow.
const MASK: &str = "****";
/// How many characters a mask leaves, of a value that has more.
const MASK_SHOWN_CHARS: usize = 4;
/// What a hash begins with; 64 hexadecimal digits follow.
const HASH: &str = "hmac:";
const HASH_HEX_DIGITS: usize = 64;

/// HMAC-SHA256 under the log's own key, one domain for each use, so that a value of one kind is never
/// a value of another.
#[derive(Clone)]
pub(super) struct Keyed(Hmac<Sha256>);

/// What a keyed digest is of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Domain {
    /// An event as it was sent.
    Digest,
    /// A hidden value.
    Value,
    /// An id, for sampling.
    Sample,
    /// A staged event and the digest of what was sent.
    Staged,
    /// The id of an event that was removed.
    RemovedId,
    /// Whom an erasure was for.
    Subject,
    /// Nothing: what comes of it tells the secret from others.
    Check,
    /// What another secret is for.
    Derived,
}

impl Domain {
    /// Ended by NUL, so that none begins another.
    fn prefix(self) -> &'static [u8] {
        match self {
            Domain::Digest => b"sealog digest\0",
            Domain::Value => b"sealog value\0",
            Domain::Sample => b"sealog sample\0",
            Domain::Staged => b"sealog staged\0",
            Domain::RemovedId => b"sealog removed id\0",
            Domain::Subject => b"sealog subject\0",
            Domain::Check => b"sealog check\0",
            Domain::Derived => b"sealog derived\0",
        }
    }
}

/// What a secret is known by, in the log that it belongs to.
pub(crate) fn secret_check(secret: &[u8; 32]) -> i64 {
    let digest = Keyed::new(secret).digest(Domain::Check, b"");
    i64::from_be_bytes(*digest.first_chunk().expect("a digest has 32 bytes"))
}

impl Keyed {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("HMAC takes a key of any length"))
    }

    pub(super) fn digest(&self, domain: Domain, bytes: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(domain.prefix());
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }

    /// What stands for `value`: never the value itself, unless it is hidden already.
    pub(super) fn hide(&self, mode: Mode, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.hide_text(mode, text)),
            _ if mode == Mode::Hash => Value::String(self.hash(&canonical::to_vec(value))),
            // The digits of a number are as telling as those of a text.
            Value::Number(_) if mode == Mode::Mask => {
                Value::String(mask(&String::from_utf8_lossy(&canonical::to_vec(value))))
            }
            _ => Value::String(REDACTED.to_owned()),
        }
    }

    /// What stands for `text`. [`Mode::Remove`] is [`Mode::Redact`] here: the caller removes what it
    /// can, and what is left needs something in its place.
    pub(super) fn hide_text(&self, mode: Mode, text: &str) -> String {
        match mode {
            Mode::Redact | Mode::Remove => REDACTED.to_owned(),
            _ if is_hidden(text) => text.to_owned(),
            Mode::Mask => mask(text),
            Mode::Hash => {
                let mut json = Vec::new();
                canonical::write_string(&mut json, text);
                self.hash(&json)
            }
        }
    }

    fn hash(&self, canonical_json: &[u8]) -> String {
        let mut text = String::with_capacity(HASH.len() + HASH_HEX_DIGITS);
        text.push_str(HASH);
        for byte in self.digest(Domain::Value, canonical_json) {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

/// Leaves the last four characters. The stars are always four, so that the length does not show, and
/// a mask of a mask is the same mask.
fn mask(text: &str) -> String {
    let shown = match text.char_indices().rev().nth(MASK_SHOWN_CHARS) {
        Some((before, char)) => &text[before + char.len_utf8()..],
        None => "",
    };
    format!("{MASK}{shown}")
}

/// Whether `text` has the exact shape of a hidden value. The shape is exact so that nothing is kept by
/// beginning like one: all that a caller can keep this way is four characters after a mask, which is
/// what a mask shows anyway, or 64 hexadecimal digits in the place of a hash.
fn is_hidden(text: &str) -> bool {
    if text == REDACTED || text == MASK {
        return true;
    }
    if let Some(shown) = text.strip_prefix(MASK) {
        return shown.chars().count() == MASK_SHOWN_CHARS;
    }
    text.strip_prefix(HASH).is_some_and(|digits| {
        digits.len() == HASH_HEX_DIGITS && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mask_leaves_four_characters_and_hides_the_length() {
        for (text, masked) in [
            ("", "****"),
            ("1234", "****"),
            ("12345", "****2345"),
            ("4111111111111111", "****1111"),
            ("ünïcödé", "****cödé"),
        ] {
            assert_eq!(mask(text), masked);
            assert_eq!(mask(masked), masked);
        }
        let keyed = Keyed::new(&[7; 32]);
        assert_eq!(keyed.hide(Mode::Mask, &json!(123_456)), json!("****3456"));
        assert_eq!(keyed.hide(Mode::Mask, &json!(true)), json!(REDACTED));
        assert_eq!(keyed.hide(Mode::Mask, &json!(["123456"])), json!(REDACTED));
    }

    #[test]
    fn equal_values_have_equal_hashes_and_keys_differ() {
        let (ours, theirs) = (Keyed::new(&[7; 32]), Keyed::new(&[8; 32]));
        let hash = ours.hide(Mode::Hash, &json!({"b": 1.0, "a": 2}));
        assert_eq!(hash, ours.hide(Mode::Hash, &json!({"a": 2, "b": 1})));
        assert_ne!(hash, theirs.hide(Mode::Hash, &json!({"a": 2, "b": 1})));
        assert_ne!(ours.hide(Mode::Hash, &json!("1")), ours.hide(Mode::Hash, &json!(1)));
    }

    #[test]
    fn what_only_begins_like_a_hidden_value_is_hidden() {
        let keyed = Keyed::new(&[7; 32]);
        let upper = format!("hmac:{}", "A".repeat(64));
        for text in ["hmac:secret", "****secret", "[REDACTED] secret", "*****", upper.as_str()] {
            assert_ne!(keyed.hide_text(Mode::Hash, text), text);
            assert_eq!(keyed.hide_text(Mode::Redact, text), REDACTED);
        }
    }

    proptest! {
        #[test]
        fn hiding_what_is_hidden_changes_nothing(text in ".{0,9}", number in any::<i64>()) {
            let keyed = Keyed::new(&[7; 32]);
            for mode in [Mode::Redact, Mode::Mask, Mode::Hash, Mode::Remove] {
                for value in [json!(text), json!(number), json!([text]), json!(null)] {
                    let once = keyed.hide(mode, &value);
                    prop_assert_eq!(keyed.hide(mode, &once), once);
                }
            }
        }
    }
}
