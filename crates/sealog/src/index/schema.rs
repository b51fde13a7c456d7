//! The index's fields, and how an event becomes a document of it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::Ipv6Addr;
use std::sync::Arc;

use rustc_hash::FxBuildHasher;
use tantivy::Document;
use tantivy::schema::document::{ReferenceValue, ReferenceValueLeaf};
use tantivy::schema::{
    BytesOptions, Field, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions, Value,
};
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use super::documents::{Sink, visit, visit_from};
use super::facts::{Facts, Key};
use super::words::words;
use crate::error::Result;

/// Says which fields and terms there are. An index with another number is made anew.
pub(crate) const INDEX_VERSION: u32 = 3;
/// The name of the tokenizer for [`Document::text`].
pub(crate) const TOKENIZER: &str = "sealog-words";
/// Longer paths of the diff have no term of their own: no filter is that long.
const MAX_PATH_BYTES: usize = 4096;

/// The fields.
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    pub(crate) schema: Schema,
    pub(crate) seq: Field,
    pub(crate) timestamp: Field,
    pub(crate) severity: Field,
    pub(crate) outcome: Field,
    keys: [Field; Key::ALL.len()],
    /// `user.*` for each beginning of the action that ends with a dot.
    pub(crate) action_prefix: Field,
    pub(crate) tag: Field,
    pub(crate) address: Field,
    /// See [`changed_terms`].
    pub(crate) changed: Field,
    pub(crate) text: Field,
}

impl Fields {
    pub(crate) fn new() -> Self {
        let mut builder = Schema::builder();
        let column = NumericOptions::default().set_fast();
        let term = BytesOptions::default().set_indexed();
        let seq = builder.add_u64_field("seq", column.clone());
        let timestamp = builder.add_i64_field("timestamp", column.clone());
        let severity = builder.add_u64_field("severity", column.set_indexed());
        let outcome = builder.add_u64_field("outcome", NumericOptions::default().set_indexed());
        let keys = Key::ALL.map(|key| {
            // Of these, statistics count the values.
            let options =
                if matches!(key, Key::Action | Key::ActorId) { term.clone().set_fast() } else { term.clone() };
            builder.add_bytes_field(key.name(), options)
        });
        let text = TextFieldIndexing::default()
            .set_tokenizer(TOKENIZER)
            .set_fieldnorms(false)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions);
        Self {
            seq,
            timestamp,
            severity,
            outcome,
            keys,
            action_prefix: builder.add_bytes_field("action_prefix", term.clone()),
            tag: builder.add_bytes_field("tag", term.clone()),
            address: builder.add_bytes_field("address", term.clone()),
            changed: builder.add_bytes_field("changed", term),
            text: builder.add_text_field("text", TextOptions::default().set_indexing_options(text)),
            schema: builder.build(),
        }
    }

    pub(crate) fn key(&self, key: Key) -> Field {
        self.keys[key as usize]
    }
}

/// The term of an address.
pub(crate) fn address_term(address: Ipv6Addr) -> [u8; 17] {
    let mut term = [0; 17];
    term[1..].copy_from_slice(&address.octets());
    term
}

/// The term of what stands in the field of an address and is none: no address begins with this byte.
pub(crate) fn address_text_term(text: &str) -> Vec<u8> {
    [b"\x01", text.as_bytes()].concat()
}

/// Of an event with a state.
pub(crate) const STATE_TERM: &[u8] = b"s";

/// The term of a diff that touches `pointer` or something in it.
pub(crate) fn touched_term(pointer: &str) -> Vec<u8> {
    [b"t", pointer.as_bytes()].concat()
}

/// The term of a diff with a step at `pointer` itself.
pub(crate) fn step_term(pointer: &str) -> Vec<u8> {
    [b"p", pointer.as_bytes()].concat()
}

/// `pointer` and the places that hold it, from the inside out, the whole document last.
pub(crate) fn places(pointer: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(pointer), |place| place.rfind('/').map(|slash| &place[..slash]))
}

/// An event as tantivy takes it in.
#[derive(Debug)]
pub(crate) struct IndexDocument {
    fields: Arc<Fields>,
    seq: u64,
    facts: Arc<Facts>,
    prefixes: Vec<String>,
    addresses: Vec<Vec<u8>>,
    changed: Vec<Vec<u8>>,
    /// The words of all texts, lower case, with spaces between words and line feeds between texts.
    text: String,
}

impl IndexDocument {
    pub(crate) fn new(fields: Arc<Fields>, seq: u64, facts: Arc<Facts>, body: &[u8], full_text: bool) -> Result<Self> {
        let action = facts.text(Key::Action).unwrap_or_default();
        let prefixes = action.match_indices('.').map(|(dot, _)| [&action[..=dot], "*"].concat()).collect();
        let mut addresses: Vec<_> = facts.addresses().map(|address| address_term(address).to_vec()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses.extend(facts.ip_address.as_deref().map(address_text_term));
        let mut document = Self { fields, seq, facts, prefixes, addresses, changed: Vec::new(), text: String::new() };
        if document.facts.has_state {
            document.changed.push(STATE_TERM.to_vec());
        }
        if full_text || document.facts.has_state {
            let text = full_text.then_some(&mut document.text);
            let mut collect = Collect { text, seen: HashSet::default(), changed: HashSet::default() };
            match document.facts.diff {
                // Without words, what comes before the diff says nothing.
                Some(diff) if !full_text => visit_from(body, diff, &mut collect)?,
                _ => visit(body, &mut collect)?,
            }
            let changed = collect.changed;
            document.changed.extend(changed);
        }
        Ok(document)
    }
}

struct Collect<'d, 'b> {
    text: Option<&'d mut String>,
    /// Texts that stand in `text` already: names and values repeat, and once is enough to be found.
    seen: HashSet<Cow<'b, str>, FxBuildHasher>,
    changed: HashSet<Vec<u8>, FxBuildHasher>,
}

impl<'b> Sink<'b> for Collect<'_, 'b> {
    fn text(&mut self, text: Cow<'b, str>) {
        let Some(all) = &mut self.text else { return };
        if !self.seen.insert(text.clone()) {
            return;
        }
        if !all.is_empty() {
            all.push('\n');
        }
        words(&text, &mut |word| {
            if !all.is_empty() && !all.ends_with('\n') {
                all.push(' ');
            }
            all.push_str(word);
        });
    }

    fn id(&mut self, _: &str) {}

    fn changed(&mut self, path: &str) {
        if path.len() <= MAX_PATH_BYTES {
            self.changed.insert(step_term(path));
        }
        for place in places(path) {
            if place.len() <= MAX_PATH_BYTES && !self.changed.insert(touched_term(place)) {
                break;
            }
        }
    }
}

/// A value of a document.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Term<'a> {
    Bytes(&'a [u8]),
    U64(u64),
    I64(i64),
    Text(&'a str),
}

impl<'a> Value<'a> for Term<'a> {
    type ArrayIter = std::iter::Empty<Self>;
    type ObjectIter = std::iter::Empty<(&'a str, Self)>;

    fn as_value(&self) -> ReferenceValue<'a, Self> {
        ReferenceValue::Leaf(match *self {
            Term::Bytes(bytes) => ReferenceValueLeaf::Bytes(bytes),
            Term::U64(number) => ReferenceValueLeaf::U64(number),
            Term::I64(number) => ReferenceValueLeaf::I64(number),
            Term::Text(text) => ReferenceValueLeaf::Str(text),
        })
    }
}

impl Document for IndexDocument {
    type Value<'a> = Term<'a>;
    type FieldsValuesIter<'a> = std::vec::IntoIter<(Field, Term<'a>)>;

    fn iter_fields_and_values(&self) -> Self::FieldsValuesIter<'_> {
        let (fields, facts) = (&*self.fields, &*self.facts);
        let mut values = Vec::with_capacity(16 + self.changed.len());
        values.push((fields.seq, Term::U64(self.seq)));
        values.push((fields.timestamp, Term::I64(facts.timestamp)));
        values.push((fields.severity, Term::U64(facts.severity as u64)));
        values.extend(facts.outcome.map(|outcome| (fields.outcome, Term::U64(outcome as u64))));
        for key in Key::ALL {
            values.extend(facts.text(key).map(|text| (fields.key(key), Term::Bytes(text.as_bytes()))));
        }
        values.extend(self.prefixes.iter().map(|prefix| (fields.action_prefix, Term::Bytes(prefix.as_bytes()))));
        values.extend(facts.tags.iter().map(|tag| (fields.tag, Term::Bytes(tag.as_bytes()))));
        values.extend(self.addresses.iter().map(|term| (fields.address, Term::Bytes(term))));
        values.extend(self.changed.iter().map(|term| (fields.changed, Term::Bytes(term))));
        if !self.text.is_empty() {
            values.push((fields.text, Term::Text(&self.text)));
        }
        values.into_iter()
    }
}

/// Gives the words of an [`IndexDocument`]'s text. A line feed counts as a word, so that no phrase goes
/// over it.
#[derive(Debug, Clone, Default)]
pub(crate) struct WordTokenizer {
    token: Token,
}

impl Tokenizer for WordTokenizer {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        self.token.reset();
        WordStream { rest: text, token: &mut self.token }
    }
}

pub(crate) struct WordStream<'a> {
    rest: &'a str,
    token: &'a mut Token,
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        loop {
            if self.rest.is_empty() {
                return false;
            }
            self.token.position = self.token.position.wrapping_add(1);
            let end = self.rest.bytes().position(|byte| byte == b' ' || byte == b'\n').unwrap_or(self.rest.len());
            let (word, rest) = self.rest.split_at(end);
            self.rest = match rest.as_bytes().first() {
                Some(b'\n') if !word.is_empty() => rest,
                Some(_) => &rest[1..],
                None => rest,
            };
            if !word.is_empty() {
                self.token.text.clear();
                self.token.text.push_str(word);
                return true;
            }
        }
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}
