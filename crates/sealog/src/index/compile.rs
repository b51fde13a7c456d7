//! A selection as a query of tantivy: exactly the events that [`Matcher`] means, but for their time,
//! which the segments look at themselves.

use std::collections::BTreeSet;
use std::ops::{Bound, Range};
use std::sync::Arc;

use tantivy::query::{
    AllQuery, BooleanQuery, EmptyQuery, EnableScoring, InvertedIndexRangeQuery, Occur, PhraseQuery, Query, Weight,
};
use tantivy::schema::Field;
use tantivy::{Searcher, Term};

use super::facts::Key;
use super::generation::Generation;
use super::schema::{Fields, STATE_TERM, address_term, address_text_term, places, step_term, touched_term};
use super::seq_query::SeqQuery;
use super::term_query::{KnownTermQuery, Terms};

use crate::event::OWN_ACTIONS;
use crate::query::{Matcher, Needle, Network, Selection, action_prefix};
use crate::ranges::Ranges;

/// The query for all that `selection` asks, with `seq_of` to look up the ids of events; only of the seqs
/// before `end`, where the segments hold more than that, and not of `removed`.
pub(crate) fn weight(
    selection: &Selection,
    end: Option<u64>,
    removed: &Arc<Ranges>,
    generation: &Generation,
    seq_of: &mut dyn FnMut(&str) -> crate::Result<Option<u64>>,
) -> crate::Result<Box<dyn Weight>> {
    let Generation { searcher, fields, terms, .. } = generation;
    let mut compiler = Compiler { searcher, fields, terms, seq_of, clauses: Vec::new() };
    for matcher in selection.matchers() {
        compiler.matcher(matcher)?;
    }
    if let Some(end) = end {
        compiler.seqs(0..end);
    }
    if !removed.is_empty() {
        let query = compiler.seq_query(removed.clone());
        compiler.clauses.push((Occur::MustNot, query));
    }
    let mut clauses = compiler.clauses;
    if clauses.iter().all(|(occur, _)| *occur == Occur::MustNot) {
        clauses.push((Occur::Must, Box::new(AllQuery)));
    }
    let query: Box<dyn Query> = match clauses.len() {
        1 => clauses.swap_remove(0).1,
        _ => Box::new(BooleanQuery::new(clauses)),
    };
    query.weight(EnableScoring::disabled_from_searcher(searcher)).map_err(super::damaged)
}

struct Compiler<'a> {
    searcher: &'a Searcher,
    fields: &'a Fields,
    terms: &'a Arc<Terms>,
    seq_of: &'a mut dyn FnMut(&str) -> crate::Result<Option<u64>>,
    clauses: Vec<(Occur, Box<dyn Query>)>,
}

impl Compiler<'_> {
    fn must(&mut self, query: Box<dyn Query>) {
        self.clauses.push((Occur::Must, query));
    }

    fn seq_query(&self, seqs: Arc<Ranges>) -> Box<dyn Query> {
        let column = self.fields.schema.get_field_name(self.fields.seq).to_owned();
        Box::new(SeqQuery { seqs, column })
    }

    fn seqs(&mut self, seqs: Range<u64>) {
        let query = self.seq_query(Arc::new(Ranges::from(seqs)));
        self.must(query);
    }

    fn matcher(&mut self, matcher: &Matcher) -> crate::Result<()> {
        let fields = self.fields;
        if !matcher.severities.is_empty() {
            self.must(any(matcher.severities.iter().map(|severity| self.number(fields.severity, *severity as u64))));
        }
        if !matcher.outcomes.is_empty() {
            self.must(any(matcher.outcomes.iter().map(|outcome| self.number(fields.outcome, *outcome as u64))));
        }
        for (key, values) in &matcher.keys {
            self.must(any(values.iter().map(|value| {
                let is_pattern = *key == Key::Action && action_prefix(value).is_some();
                self.bytes(if is_pattern { fields.action_prefix } else { fields.key(*key) }, value.as_bytes())
            })));
        }
        if !matcher.tags_any.is_empty() {
            self.must(any(matcher.tags_any.iter().map(|tag| self.bytes(fields.tag, tag.as_bytes()))));
        }
        for tag in &matcher.tags_all {
            self.must(self.bytes(fields.tag, tag.as_bytes()));
        }
        if !matcher.networks.is_empty() {
            self.must(any(matcher.networks.iter().map(|network| match network {
                Network::Range { first, last } if first == last => self.bytes(fields.address, &address_term(*first)),
                Network::Range { first, last } => {
                    let bound =
                        |address| Bound::Included(Term::from_field_bytes(fields.address, &address_term(address)));
                    Box::new(InvertedIndexRangeQuery::new(bound(*first), bound(*last)))
                }
                Network::Text(text) => self.bytes(fields.address, &address_text_term(text)),
            })));
        }
        if let Some(pointer) = &matcher.changed {
            let outside = places(pointer).skip(1).map(|place| self.bytes(fields.changed, &step_term(place)));
            self.must(any(std::iter::once(self.bytes(fields.changed, &touched_term(pointer))).chain(outside)));
        }
        if matcher.has_state {
            self.must(self.bytes(fields.changed, STATE_TERM));
        }
        if matcher.without_own {
            let own = self.bytes(fields.action_prefix, [OWN_ACTIONS, "*"].concat().as_bytes());
            self.clauses.push((Occur::MustNot, own));
        }
        for needle in &matcher.needles {
            let query = self.needle(needle)?;
            self.clauses.push((if needle.not { Occur::MustNot } else { Occur::Must }, query));
        }
        Ok(())
    }

    fn needle(&mut self, needle: &Needle) -> crate::Result<Box<dyn Query>> {
        let fields = self.fields;
        let mut queries: Vec<Box<dyn Query>> = Vec::new();
        let word = |word: &String| Term::from_field_text(fields.text, word);
        match &needle.words[..] {
            [] => {}
            [one] => queries.push(self.term(word(one))),
            several => queries.push(Box::new(PhraseQuery::new(several.iter().map(word).collect()))),
        }
        for key in [Key::ActorId, Key::SessionId, Key::RequestId] {
            queries.push(self.bytes(fields.key(key), needle.id.as_bytes()));
        }
        for resource in self.resources(&needle.id)? {
            queries.push(self.bytes(fields.key(Key::Resource), &resource));
        }
        if let Some(seq) = (self.seq_of)(&needle.id)? {
            queries.push(self.seq_query(Arc::new((seq..seq + 1).into())));
        }
        Ok(any(queries))
    }

    fn term(&self, term: Term) -> Box<dyn Query> {
        Box::new(KnownTermQuery { term, terms: self.terms.clone() })
    }

    fn bytes(&self, field: Field, value: &[u8]) -> Box<dyn Query> {
        self.term(Term::from_field_bytes(field, value))
    }

    fn number(&self, field: Field, value: u64) -> Box<dyn Query> {
        self.term(Term::from_field_u64(field, value))
    }

    /// The terms of the resources with this id, whatever their type.
    fn resources(&self, id: &str) -> crate::Result<BTreeSet<Vec<u8>>> {
        let from = [id.as_bytes(), b"\0"].concat();
        let to = [id.as_bytes(), b"\x01"].concat();
        let mut found = BTreeSet::new();
        for segment in self.searcher.segment_readers() {
            let index = segment.inverted_index(self.fields.key(Key::Resource)).map_err(super::damaged)?;
            let stream = index.terms().range().ge(&from).lt(&to).into_stream();
            let mut stream = stream.map_err(|error| super::damaged(error.into()))?;
            while let Some((term, _)) = stream.next() {
                found.insert(term.to_vec());
            }
        }
        Ok(found)
    }
}

fn any(queries: impl IntoIterator<Item = Box<dyn Query>>) -> Box<dyn Query> {
    let mut queries: Vec<_> = queries.into_iter().collect();
    match queries.len() {
        0 => Box::new(EmptyQuery),
        1 => queries.swap_remove(0),
        _ => Box::new(BooleanQuery::union(queries)),
    }
}
