//! Bodies between canonical JSON and jsonb.
//!
//! jsonb keeps a document's values, and the canonical JSON of those is what was sealed. The one thing that it cannot
//! hold, U+0000 in a text, the policy refuses.

use std::error::Error as StdError;

use bytes::{BufMut as _, BytesMut};
use serde_json::Value;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::canonical::{self, Scanner};

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
        let Some(members) = members(self.0) else { return out.put_slice(self.0) };
        for (i, (name, value)) in members.iter().enumerate() {
            out.put_slice(if i == 0 { b"{\"" } else { b",\"" });
            out.put_slice(name.as_bytes());
            out.put_slice(b"\":");
            out.put_slice(value.as_bytes());
        }
        out.put_u8(b'}');
    }

    /// How many bytes [`write`](Self::write) writes.
    pub(super) fn len(self) -> usize {
        1 + self.0.len()
    }
}

/// The members of an object in the order that jsonb keeps them in: short names first. The database sorts them
/// anyway, and that is a fifth of what a batch costs it, unless they are in order. `None` when there are none.
fn members(text: &[u8]) -> Option<Vec<(&str, &str)>> {
    let mut scanner = Scanner::new(text)?;
    let mut members = Vec::with_capacity(24);
    scanner.object(&mut |scanner, name| {
        members.push((name.raw(), scanner.raw()?));
        Some(())
    })?;
    members.sort_unstable_by_key(|(name, _)| (name.len(), *name));
    (scanner.is_at_end() && !members.is_empty()).then_some(members)
}

/// Appends the sealed bytes of a stored body. Answers why there are none.
pub(super) fn sealed(Jsonb(text): Jsonb<'_>, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    canonical::write_value(out, &serde_json::from_slice::<Value>(text)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_come_first_and_the_rest_stays_as_it_is() {
        let written = |text: &str| {
            let mut out = BytesMut::new();
            Jsonb(text.as_bytes()).write(&mut out);
            assert_eq!((out[0], out.len()), (JSONB_VERSION, Jsonb(text.as_bytes()).len()));
            String::from_utf8(out[1..].to_vec()).unwrap()
        };
        assert_eq!(
            written(r#"{"action":"a","id":"1","seq":7,"tags":["x"],"aa":{"long":1,"b":[]}}"#),
            r#"{"aa":{"long":1,"b":[]},"id":"1","seq":7,"tags":["x"],"action":"a"}"#
        );
        for text in ["{}", "[1,2]", "null", r#""text""#, r#"{"a":1,}"#, r#"{"b": 1,"a":2}"#] {
            assert_eq!(written(text), text);
        }
    }
}
