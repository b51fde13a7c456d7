//! View tokens: `sealogv1.<payload>.<code>`. The payload is JSON in base64url, the code an HMAC-SHA256 of
//! all that stands before it, with a secret that derives from the log's: nothing is stored, every server on
//! the log takes them, and they end with the key that they were minted with.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sealog::Filter;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::not_valid;
use crate::limits::MAX_TOKEN_BYTES;
use crate::problem::Problem;

/// How each token begins.
pub(crate) const PREFIX: &str = "sealogv1.";
/// What the secret is derived for.
pub(crate) const PURPOSE: &str = "sealog-server view tokens v1";

/// What a token says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ViewToken {
    /// The key that it was minted with.
    #[serde(rename = "k")]
    pub(crate) key_id: String,
    /// When it ends, in milliseconds since the Unix epoch.
    #[serde(rename = "e")]
    pub(crate) expires_at: i64,
    /// What it shows, of what the key shows.
    #[serde(rename = "s")]
    pub(crate) scope: Filter,
    /// Who it is for.
    #[serde(rename = "u", skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
}

impl ViewToken {
    /// The token's text.
    pub(crate) fn sign(&self, secret: &[u8; 32]) -> Result<String, Problem> {
        let json = serde_json::to_string(self).map_err(Problem::internal)?;
        let signed = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json));
        let text = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(code(&signed, secret)));
        if text.len() > MAX_TOKEN_BYTES {
            let detail = format!("the token would have {} bytes, and the limit is {MAX_TOKEN_BYTES}", text.len());
            return Err(Problem::argument("/scope", detail));
        }
        Ok(text)
    }

    /// Reads a token that was signed with this secret and has not ended.
    pub(crate) fn read(text: &str, secret: &[u8; 32], now_ms: i64) -> Result<Self, Problem> {
        let (signed, given) = text.rsplit_once('.').filter(|_| text.len() <= MAX_TOKEN_BYTES).ok_or_else(not_valid)?;
        let given = URL_SAFE_NO_PAD.decode(given).map_err(|_| not_valid())?;
        if !bool::from(code(signed, secret).as_slice().ct_eq(&given)) {
            return Err(not_valid());
        }
        let payload = signed.strip_prefix(PREFIX).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
        let token: Self = payload.and_then(|payload| serde_json::from_slice(&payload).ok()).ok_or_else(not_valid)?;
        if token.expires_at <= now_ms {
            return Err(not_valid());
        }
        Ok(token)
    }
}

fn code(signed: &str, secret: &[u8; 32]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(signed.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> ViewToken {
        ViewToken {
            key_id: "00000000000000aa".to_owned(),
            expires_at: 1_000,
            scope: Filter::new().tenant("acme"),
            subject: Some("u-17".to_owned()),
        }
    }

    #[test]
    fn a_token_is_read_as_it_was_signed_until_it_ends() {
        let text = token().sign(&[1; 32]).unwrap();
        assert_eq!(
            text,
            "sealogv1.eyJrIjoiMDAwMDAwMDAwMDAwMDBhYSIsImUiOjEwMDAsInMiOnsidGVuYW50IjoiYWNtZSJ9LCJ1IjoidS0xNyJ9.\
             0VRwuAMazBMagDtWkIZrPEb6NWe-BTIi3EMfoMJtn5k"
        );
        assert_eq!(ViewToken::read(&text, &[1; 32], 999).unwrap(), token());
        assert!(ViewToken::read(&text, &[1; 32], 1_000).is_err());
        assert!(ViewToken::read(&text, &[2; 32], 999).is_err());
    }

    #[test]
    fn no_byte_of_a_token_can_be_another_one() {
        let text = token().sign(&[1; 32]).unwrap();
        for at in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert!(ViewToken::read(&String::from_utf8(forged).unwrap(), &[1; 32], 0).is_err(), "{at}");
        }
        for text in ["", "sealogv1.", "sealogv1..", "..", "sealogv1.e30.", &"x.".repeat(9000)] {
            assert!(ViewToken::read(text, &[1; 32], 0).is_err(), "{text}");
        }
    }
}
