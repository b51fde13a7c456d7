//! Bodies between canonical JSON and jsonb.
//!
//! jsonb keeps a document's values, and the canonical JSON of those is what was sealed. One thing it cannot hold:
//! U+0000 in a text.

use std::borrow::Cow;
use std::error::Error as StdError;

use bytes::{BufMut as _, BytesMut};
use serde_json::Value;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::canonical;

/// The version that jsonb's binary form begins with.
const JSONB_VERSION: u8 = 1;

/// The text of a document that is stored as jsonb.
#[derive(Debug, Clone, Copy)]
pub(super) struct Jsonb<'a>(pub(super) &'a [u8]);

impl<'a> FromSql<'a> for Jsonb<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        match raw.split_first() {
            Some((&JSONB_VERSION, text)) => Ok(Self(text)),
            _ => Err("this jsonb is of an unknown version".into()),
        }
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::JSONB
    }
}

impl ToSql for Jsonb<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        self.write(out);
        Ok(IsNull::No)
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::JSONB
    }

    to_sql_checked!();
}

impl Jsonb<'_> {
    pub(super) fn write(self, out: &mut BytesMut) {
        out.put_u8(JSONB_VERSION);
        out.put_slice(self.0);
    }

    /// How many bytes [`write`](Self::write) writes.
    pub(super) fn len(self) -> usize {
        1 + self.0.len()
    }
}

/// What of a body goes into the column `body`. Where that is not the body itself, the body goes into `exact`.
pub(super) fn storable(body: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memmem::find(body, b"\\u0000").is_none() {
        return Cow::Borrowed(body);
    }
    let mut out = Vec::with_capacity(body.len());
    let (mut rest, mut is_changed) = (body, false);
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (before, escape) = rest.split_at(at);
        out.extend_from_slice(before);
        rest = if escape.starts_with(b"\\u0000") {
            out.extend_from_slice(b"\\ufffd");
            is_changed = true;
            &escape[6..]
        } else {
            let (escape, rest) = escape.split_at(escape.len().min(2));
            out.extend_from_slice(escape);
            rest
        };
    }
    out.extend_from_slice(rest);
    if is_changed { Cow::Owned(out) } else { Cow::Borrowed(body) }
}

/// Appends the sealed bytes of a stored body. Answers why there are none.
pub(super) fn sealed(jsonb: &[u8], exact: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), String> {
    let parse = |text: &[u8]| serde_json::from_slice::<Value>(text).map_err(|error| error.to_string());
    let value = parse(jsonb)?;
    let Some(exact) = exact else {
        canonical::write_value(out, &value);
        return Ok(());
    };
    // What SQL shows must be what was sealed.
    if !canonical::equal(&parse(&storable(exact))?, &value) {
        return Err("the column body shows another document than the column exact holds".to_owned());
    }
    out.extend_from_slice(exact);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_jsonb_cannot_hold_is_known() {
        for (body, stored) in [
            (r#"{"a":"x"}"#, r#"{"a":"x"}"#),
            (r#"{"a":"\u0000x"}"#, r#"{"a":"\ufffdx"}"#),
            // A backslash, and then four noughts.
            (r#"{"a":"\\u0000"}"#, r#"{"a":"\\u0000"}"#),
            (r#"{"a":"\\\u0000\n\u0000"}"#, r#"{"a":"\\\ufffd\n\ufffd"}"#),
            (r#"{"\u0000":1}"#, r#"{"\ufffd":1}"#),
        ] {
            let found = storable(body.as_bytes());
            assert_eq!(std::str::from_utf8(&found), Ok(stored));
            assert_eq!(matches!(found, Cow::Owned(_)), body != stored);
            let mut out = Vec::new();
            sealed(&found, (body != stored).then_some(body.as_bytes()), &mut out).unwrap();
            assert_eq!(std::str::from_utf8(&out), Ok(body));
        }
        assert!(sealed(br#"{"a":1}"#, Some(br#"{"a":"\u0000"}"#), &mut Vec::new()).is_err());
        assert!(sealed(br#"{"a":1e400}"#, None, &mut Vec::new()).is_err());
    }
}
