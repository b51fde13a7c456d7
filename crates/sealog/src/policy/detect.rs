//! Finding what is personal or secret by its shape, in one walk along the text.

use std::ops::Range;

use serde_json::Number;

use super::Detector;
use super::hide::REDACTED;
use crate::canonical;

/// How often a text is searched until nothing more is found. What takes the place of one find can
/// together with its neighbours be another; a text in which that happens more often is hidden whole.
const MAX_PASSES: usize = 8;

/// The digits of a payment card number (ISO/IEC 7812).
const CARD_DIGITS: Range<usize> = 13..20;
/// A JSON Web Token's header is never shorter: `{"alg":""}` in base64url has 14 characters.
const MIN_JWT_HEADER_CHARS: usize = 14;
const MIN_BEARER_CHARS: usize = 8;
/// After a `bearer` without its capital, a shorter token without a digit is taken for a word.
const MIN_BEARER_WITHOUT_DIGIT_CHARS: usize = 20;

/// The detectors that are on.
#[derive(Debug, Clone)]
pub(super) struct Detectors {
    list: Vec<Detector>,
    finders: Vec<Finder>,
    cards: bool,
}

/// Finds the first match at or after a position.
type Finder = fn(&str, usize) -> Option<Range<usize>>;

impl Detectors {
    pub(super) fn new(detectors: &[Detector]) -> Self {
        // Always in this order, whatever the order of the settings: the most specific first.
        let all: [(Detector, Finder); 5] = [
            (Detector::Jwt, find_jwt),
            (Detector::BearerToken, find_bearer_token),
            (Detector::CloudKeyId, find_cloud_key_id),
            (Detector::CardNumber, find_card_number),
            (Detector::Email, find_email),
        ];
        let finders = all.iter().filter(|(detector, _)| detectors.contains(detector)).map(|(_, finder)| *finder);
        let (finders, cards) = (finders.collect(), detectors.contains(&Detector::CardNumber));
        Self { list: detectors.to_vec(), finders, cards }
    }

    pub(super) fn list(&self) -> &[Detector] {
        &self.list
    }

    pub(super) fn is_empty(&self) -> bool {
        self.finders.is_empty()
    }

    /// The text with each find replaced, or `None` when nothing was found. Searching the result again
    /// finds nothing.
    pub(super) fn clean(&self, text: &str, replace: impl Fn(&str) -> String) -> Option<String> {
        let mut cleaned = self.pass(text, &replace)?;
        for _ in 1..MAX_PASSES {
            match self.pass(&cleaned, &replace) {
                Some(next) => cleaned = next,
                None => return Some(cleaned),
            }
        }
        Some(REDACTED.to_owned())
    }

    fn pass(&self, text: &str, replace: &impl Fn(&str) -> String) -> Option<String> {
        let mut current: Option<String> = None;
        for finder in &self.finders {
            let source = current.as_deref().unwrap_or(text);
            let mut out = String::new();
            let mut done = 0;
            while let Some(found) = finder(source, done) {
                out.push_str(&source[done..found.start]);
                out.push_str(&replace(&source[found.clone()]));
                done = found.end;
            }
            if done > 0 {
                out.push_str(&source[done..]);
                current = Some(out);
            }
        }
        current
    }

    /// Whether a number is a card number written without quotes. Looked at as it will be stored, where
    /// a float without a fraction is an integer too.
    pub(super) fn is_card_number(&self, number: &Number) -> bool {
        if !self.cards {
            return false;
        }
        let mut text = Vec::with_capacity(24);
        canonical::write_number(&mut text, number);
        let text = String::from_utf8(text).unwrap_or_default();
        text.bytes().all(|byte| byte.is_ascii_digit()) && find_card_number(&text, 0).is_some()
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn starts_word(bytes: &[u8], at: usize) -> bool {
    at == 0 || !is_word(bytes[at - 1])
}

/// How many bytes from `at` on are in `set`.
fn run(bytes: &[u8], at: usize, set: fn(u8) -> bool) -> usize {
    bytes[at..].iter().take_while(|byte| set(**byte)).count()
}

/// `local@domain.tld`. The local part is what is usual in one; the domain has a dot and does not end
/// in a number.
fn find_email(text: &str, from: usize) -> Option<Range<usize>> {
    fn in_local(char: char) -> bool {
        char.is_alphanumeric() || "._%+-'".contains(char)
    }
    fn in_domain(char: char) -> bool {
        char.is_alphanumeric() || char == '.' || char == '-'
    }

    let mut search = from;
    while let Some(at) = text[search..].find('@').map(|offset| search + offset) {
        // What another find has taken is not looked at again, hence `from`.
        let local = text[from..at].trim_end_matches(in_local).len() + from;
        let local = local + (text[local..at].len() - text[local..at].trim_start_matches(['.', '\'', '-']).len());
        let rest = &text[at + 1..];
        let domain = &rest[..rest.len() - rest.trim_start_matches(in_domain).len()];
        if local < at
            && let Some(length) = domain_length(domain)
        {
            return Some(local..at + 1 + length);
        }
        search = at + 1;
    }
    None
}

/// The longest part of a run of domain characters that is a domain with at least two labels.
fn domain_length(run: &str) -> Option<usize> {
    let mut domain = run;
    loop {
        domain = domain.trim_end_matches(['.', '-']);
        let (before, last) = domain.rsplit_once('.')?;
        let mut chars = last.chars();
        if !before.is_empty()
            && !before.starts_with('.')
            && chars.next().is_some_and(char::is_alphabetic)
            && chars.next().is_some()
        {
            return Some(domain.len());
        }
        domain = before;
    }
}

/// 13 to 19 digits, alone or in groups with single spaces or dashes, with a right check digit (Luhn)
/// and a first digit that card networks use: without it, one in ten timestamps would be a card.
fn find_card_number(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = from;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let is_fraction = at >= 2 && bytes[at - 1] == b'.' && bytes[at - 2].is_ascii_digit();
        if starts_word(bytes, at)
            && !is_fraction
            && let Some(end) = card_number_end(bytes, at)
        {
            return Some(at..end);
        }
        at += run(bytes, at, |byte| byte.is_ascii_digit());
    }
    None
}

fn card_number_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut digits = [0_u8; CARD_DIGITS.end];
    let mut count = 0;
    let mut longest = None;
    let mut at = start;
    while at < bytes.len() && count < digits.len() {
        if bytes[at].is_ascii_digit() {
            digits[count] = bytes[at] - b'0';
            count += 1;
            at += 1;
            let ends_group = bytes.get(at).is_none_or(|next| !is_word(*next));
            if ends_group && CARD_DIGITS.contains(&count) && is_card(&digits[..count]) {
                longest = Some(at);
            }
        } else if matches!(bytes[at], b' ' | b'-') && bytes.get(at + 1).is_some_and(u8::is_ascii_digit) {
            at += 1;
        } else {
            break;
        }
    }
    longest
}

fn is_card(digits: &[u8]) -> bool {
    let leading = digits[..4].iter().fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    let known_network = matches!(digits[0], 3..=6) || (2221..=2720).contains(&leading);
    let sum: u32 = (digits.iter().rev().enumerate())
        .map(|(i, digit)| match u32::from(*digit) * (1 + i as u32 % 2) {
            doubled @ 10.. => doubled - 9,
            single => single,
        })
        .sum();
    known_network && sum.is_multiple_of(10)
}

/// A JSON Web Token, signed (three parts, the last may be empty) or encrypted (five): its header begins
/// with `{"`, which is `eyJ` in base64url.
fn find_jwt(text: &str, from: usize) -> Option<Range<usize>> {
    fn in_part(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
    }

    let bytes = text.as_bytes();
    let mut search = from;
    while let Some(start) = text[search..].find("eyJ").map(|offset| search + offset) {
        search = start + 3;
        if !starts_word(bytes, start) {
            continue;
        }
        let header = run(bytes, start, in_part);
        let mut end = start + header;
        let mut dots = 0;
        while dots < 4 && bytes.get(end) == Some(&b'.') {
            let part = run(bytes, end + 1, in_part);
            // The dot that ends a sentence is not part of the token.
            if dots >= 2 && part == 0 {
                break;
            }
            dots += 1;
            end += 1 + part;
        }
        if dots >= 2 && header >= MIN_JWT_HEADER_CHARS {
            return Some(start..end);
        }
        // Nothing that begins inside the header can have more parts.
        search = search.max(start + header);
    }
    None
}

/// The token after `Bearer`, in any case (RFC 6750). The word itself stays.
fn find_bearer_token(text: &str, from: usize) -> Option<Range<usize>> {
    const WORD: &[u8] = b"bearer";
    fn in_token(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
    }

    let bytes = text.as_bytes();
    let mut at = from;
    while at + WORD.len() < bytes.len() {
        let word = &bytes[at..at + WORD.len()];
        if !(word[0] | 0x20 == b'b' && starts_word(bytes, at) && word.eq_ignore_ascii_case(WORD)) {
            at += 1;
            continue;
        }
        let after = at + WORD.len();
        let gap = run(bytes, after, |byte| byte == b' ' || byte == b'\t');
        let start = after + gap;
        let token = text[start..start + run(bytes, start, in_token)].trim_end_matches('.');
        let long_enough = if word[0] == b'B' || token.bytes().any(|byte| byte.is_ascii_digit()) {
            MIN_BEARER_CHARS
        } else {
            MIN_BEARER_WITHOUT_DIGIT_CHARS
        };
        if gap > 0 && token.len() >= long_enough {
            return Some(start..start + token.len());
        }
        at = after;
    }
    None
}

/// Where key ids begin, what they go on with, and how long what follows is.
struct KeyShape {
    prefix: &'static str,
    set: fn(u8) -> bool,
    length: Range<usize>,
}

const fn key(prefix: &'static str, set: fn(u8) -> bool, length: Range<usize>) -> KeyShape {
    KeyShape { prefix, set, length }
}

fn upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn base64url(byte: u8) -> bool {
    is_word(byte) || byte == b'-' || byte == b'_'
}

fn lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// AWS (access key, temporary, bearer, context-specific), Google (API key, storage HMAC key), Alibaba,
/// Tencent, DigitalOcean.
const KEY_SHAPES: [KeyShape; 11] = [
    key("AKIA", upper, 16..17),
    key("ASIA", upper, 16..17),
    key("ABIA", upper, 16..17),
    key("ACCA", upper, 16..17),
    key("AIza", base64url, 35..36),
    key("GOOG1", upper, 15..62),
    key("LTAI", is_word, 12..27),
    key("AKID", is_word, 32..33),
    key("dop_v1_", lower_hex, 64..65),
    key("doo_v1_", lower_hex, 64..65),
    key("dor_v1_", lower_hex, 64..65),
];

fn find_cloud_key_id(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    (from..bytes.len()).find_map(|at| {
        if !(matches!(bytes[at], b'A' | b'G' | b'L' | b'd') && starts_word(bytes, at)) {
            return None;
        }
        KEY_SHAPES.iter().find_map(|shape| {
            let rest = bytes[at..].strip_prefix(shape.prefix.as_bytes())?;
            // One more than the longest is enough to see that it is too long.
            let rest = &rest[..rest.len().min(shape.length.end)];
            let length = run(rest, 0, shape.set);
            let end = at + shape.prefix.len() + length;
            let ends_word = bytes.get(end).is_none_or(|next| !is_word(*next));
            (shape.length.contains(&length) && ends_word).then_some(at..end)
        })
    })
}

#[cfg(test)]
mod tests;
