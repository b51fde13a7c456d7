//! Words, quotes and backslashes: the grammar that [`Filter::text`](super::Filter) and the compact form share.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};

/// A character, and whether it is literal: in quotes or after a backslash, where nothing has a meaning.
pub(super) type Char = (char, bool);

/// What stands between white space.
#[derive(Default)]
pub(super) struct Token {
    pub(super) chars: Vec<Char>,
    /// Some of it, perhaps nothing, is in quotes.
    quoted: bool,
}

/// Splits text at white space. Double quotes hold it together, and a backslash takes the meaning from
/// the next character, inside quotes too.
///
/// # Errors
///
/// [`ErrorKind::InvalidArgument`] when a quote is not closed, or nothing follows a backslash.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut token: Option<Token> = None;
    let mut open = None;
    let mut chars = text.chars().zip(1..);
    while let Some((char, place)) = chars.next() {
        match char {
            '"' => {
                token.get_or_insert_default().quoted = true;
                open = if open.is_some() { None } else { Some(place) };
            }
            '\\' => {
                let (char, _) = chars
                    .next()
                    .ok_or_else(|| wrong("nothing follows the backslash at the end; write `\\\\` for the character"))?;
                token.get_or_insert_default().chars.push((char, true));
            }
            _ if char.is_whitespace() && open.is_none() => tokens.extend(token.take()),
            _ => token.get_or_insert_default().chars.push((char, open.is_some())),
        }
    }
    if let Some(place) = open {
        return Err(wrong(format!(
            "the double quote that is character {place} is not closed; write `\\\"` for the character"
        )));
    }
    tokens.extend(token);
    Ok(tokens)
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

impl Token {
    /// Where `:` or `>=` ends the key of a condition.
    pub(super) fn end_of_key(&self) -> Option<usize> {
        (0..self.chars.len()).find_map(|at| match self.chars[at..] {
            [(':', false), ..] => Some(at + 1),
            [('>', false), ('=', false), ..] => Some(at + 2),
            _ => None,
        })
    }

    /// The token as a term of text; empty quotes are none.
    pub(super) fn term(&self) -> Option<Term> {
        let (negated, chars) = match &self.chars[..] {
            [] => return None,
            [('-', false), rest @ ..] if !rest.is_empty() => (true, rest),
            all => (false, all),
        };
        Some(Term {
            negated,
            phrase: self.quoted || self.end_of_key().is_some() || chars.iter().any(|char| char.1),
            text: string(chars),
        })
    }
}

/// The characters, whatever they mean.
pub(super) fn string(chars: &[Char]) -> String {
    chars.iter().map(|char| char.0).collect()
}

/// A word or a phrase that an event's text must hold, or must not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Term {
    /// The text must not hold it.
    pub(crate) negated: bool,
    /// It was in quotes, or is written in them because it would otherwise mean something else. A bare
    /// word is displayed bare.
    pub(crate) phrase: bool,
    /// The word or the phrase itself.
    pub(crate) text: String,
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negated { "-" } else { "" };
        if self.phrase { write!(f, "{sign}{}", quote(&self.text)) } else { write!(f, "{sign}{}", self.text) }
    }
}

/// The terms of a text.
pub(super) fn terms(text: &str) -> Result<Vec<Term>> {
    Ok(tokens(text)?.iter().filter_map(Token::term).collect())
}

/// The one way to write a text: its terms with one space between them. `None` when there are none.
pub(super) fn canonical(text: &str) -> Result<Option<String>> {
    let terms: Vec<_> = terms(text)?.iter().map(Term::to_string).collect();
    Ok(Some(terms.join(" ")).filter(|text| !text.is_empty()))
}

/// The value in double quotes.
pub(super) fn quote(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_one_canonical_form() {
        for (text, expected) in [
            ("  reset \t link\n", "reset link"),
            (r#""reset  link" -expired -"not this""#, r#""reset  link" -expired -"not this""#),
            (r#""reset""#, r#""reset""#),
            // What would be a condition in the compact form is quoted.
            ("http://x a>=b -k:v a>b", r#""http://x" "a>=b" -"k:v" a>b"#),
            // Quotes hold together what they touch, and backslashes what follows them.
            (r#"a"b c"d e\ f \"g"#, r#""ab cd" "e f" "\"g""#),
            (r"- -- --x \-x", r#"- -- --x "-x""#),
            (r#""a\\b\"c""#, r#""a\\b\"c""#),
        ] {
            assert_eq!(canonical(text).unwrap().as_deref(), Some(expected));
            assert_eq!(canonical(expected).unwrap().as_deref(), Some(expected));
        }
        assert_eq!(canonical(" \"\" ").unwrap(), None);
    }

    #[test]
    fn terms_say_what_they_are() {
        let term = |negated, phrase, text: &str| Term { negated, phrase, text: text.to_owned() };
        assert_eq!(
            terms(r#"reset -expired "a b""#).unwrap(),
            [term(false, false, "reset"), term(true, false, "expired"), term(false, true, "a b")]
        );
    }

    #[test]
    fn what_is_not_closed_is_an_error() {
        assert!(canonical(r#"reset "link"#).unwrap_err().message().contains("character 7 is not closed"));
        assert!(canonical(r"reset\").unwrap_err().message().contains("nothing follows the backslash"));
    }
}
