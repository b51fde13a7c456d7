//! Bodies between canonical JSON and jsonb.
//!
//! jsonb keeps a document's values, and the canonical JSON of those is what was sealed. The one thing that it cannot
//! hold, U+0000 in a text, the policy refuses.

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

/// Appends the sealed bytes of a stored body. Answers why there are none.
pub(super) fn sealed(Jsonb(text): Jsonb<'_>, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    canonical::write_value(out, &serde_json::from_slice::<Value>(text)?);
    Ok(())
}
