//! Free text: what is looked for in an event's documents.

use super::text::Term;
use crate::index::words;

/// One thing that must be there, or must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Needle {
    /// Whether it must not be there.
    pub(crate) not: bool,
    /// Words in a row.
    pub(crate) words: Vec<String>,
    /// The same as it was written: an id holds it all, case and all.
    pub(crate) id: String,
}

impl Needle {
    pub(crate) fn new(term: Term) -> Self {
        let mut found = Vec::new();
        words(&term.text, &mut |word| found.push(word.to_owned()));
        Self { not: term.negated, words: found, id: term.text }
    }

    /// Whether the words stand in `words` in a row.
    fn is_in(&self, words: &[String]) -> bool {
        !self.words.is_empty() && words.windows(self.words.len()).any(|window| window == self.words)
    }
}

/// Which needles were found in one event.
pub(crate) struct Search<'n> {
    needles: &'n [Needle],
    found: Vec<bool>,
    words: Vec<String>,
}

impl<'n> Search<'n> {
    pub(crate) fn new(needles: &'n [Needle]) -> Self {
        Self { needles, found: vec![false; needles.len()], words: Vec::new() }
    }

    /// Looks through one text.
    pub(crate) fn text(&mut self, text: &str) {
        if self.found.iter().all(|found| *found) {
            return;
        }
        self.words.clear();
        words(text, &mut |word| self.words.push(word.to_owned()));
        for (needle, found) in self.needles.iter().zip(&mut self.found) {
            *found |= needle.is_in(&self.words);
        }
    }

    /// Looks at one id.
    pub(crate) fn id(&mut self, id: &str) {
        for (needle, found) in self.needles.iter().zip(&mut self.found) {
            *found |= needle.id == id;
        }
    }

    /// Whether each needle is where it should be, or is not.
    pub(crate) fn is_met(&self) -> bool {
        self.needles.iter().zip(&self.found).all(|(needle, found)| needle.not != *found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(text: &str, by: &[&str], ids: &[&str]) -> bool {
        let needles: Vec<_> = crate::Filter::new().text(text).terms().unwrap().into_iter().map(Needle::new).collect();
        let mut search = Search::new(&needles);
        for text in by {
            search.text(text);
        }
        for id in ids {
            search.id(id);
        }
        search.is_met()
    }

    #[test]
    fn words_phrases_and_their_absence() {
        let texts = ["A reset link was sent", "the Link reset"];
        assert!(met("reset SENT the", &texts, &[]));
        assert!(met("\"reset link\" -expired", &texts, &[]));
        assert!(!met("\"sent the\"", &texts, &[]), "no phrase goes over the end of a text");
        assert!(!met("reset -sent", &texts, &[]));
        assert!(!met("-\"link reset\"", &texts, &[]));
        assert!(met("", &texts, &[]) && met("  ", &texts, &[]));
        assert!(met("sent-the - link", &["sent, the link"], &["-"]), "a dash alone is no absence");
    }

    #[test]
    fn an_id_is_found_as_it_is_written() {
        assert!(met("U-17", &[], &["U-17"]) && met("\"a b\"", &[], &["a b"]) && met(r#""a\"b""#, &[], &["a\"b"]));
        assert!(!met("u-17", &[], &["U-17"]) && !met("-U-17", &[], &["U-17"]));
        assert!(met("u-17", &["U-17"], &[]), "in a text, its words");
    }
}
