//! The text of a key: `sealog_<id>_<secret>`, by which programs that look for leaked secrets know it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealog::Clock;
use sha2::{Digest as _, Sha256};

const PREFIX: &str = "sealog_";
/// Digits of an id.
const ID_DIGITS: usize = 16;
const SECRET_BYTES: usize = 32;

/// A key as its owner holds it.
pub(crate) struct ApiKey {
    pub(crate) id: String,
    secret: String,
}

impl ApiKey {
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        let mut id = [0; ID_DIGITS / 2];
        clock.fill(&mut id);
        Self::of_id(format!("{:016x}", u64::from_be_bytes(id)), clock)
    }

    /// Another key of this id.
    pub(crate) fn of_id(id: String, clock: &dyn Clock) -> Self {
        let mut secret = [0; SECRET_BYTES];
        clock.fill(&mut secret);
        Self { id, secret: URL_SAFE_NO_PAD.encode(secret) }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let is_id = id.len() == ID_DIGITS && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_secret = secret.len() == (SECRET_BYTES * 4).div_ceil(3);
        (is_id && is_secret).then(|| Self { id: id.to_owned(), secret: secret.to_owned() })
    }

    pub(crate) fn text(&self) -> String {
        format!("{PREFIX}{}_{}", self.id, self.secret)
    }

    /// What the log keeps of it. The secret is 256 random bits, so a plain hash cannot be guessed from.
    pub(crate) fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.secret.as_bytes()).into()
    }
}
