//! Words: what full text is made of, in the index, in the tail and in a plain scan alike.

use std::borrow::Cow;

/// A longer word is known by so many bytes of its beginning.
const MAX_WORD_BYTES: usize = 128;

/// Gives `each` the words of `text`, in order: the runs of letters and digits, in lower case. Scripts
/// that put no spaces between words have one word a character, so that a phrase finds what is inside.
pub(crate) fn words(text: &str, each: &mut impl FnMut(&str)) {
    if text.is_ascii() {
        let ends = text.bytes().enumerate().filter(|(_, byte)| !byte.is_ascii_alphanumeric()).map(|(at, _)| at);
        let mut start = 0;
        for end in ends.chain([text.len()]) {
            if start < end {
                each(&folded(&text[start..end]));
            }
            start = end + 1;
        }
        return;
    }
    let mut start = None;
    for (at, char) in text.char_indices() {
        if is_a_word_itself(char) {
            if let Some(start) = start.take() {
                each(&folded(&text[start..at]));
            }
            each(&text[at..at + char.len_utf8()]);
        } else if char.is_alphanumeric() {
            start.get_or_insert(at);
        } else if let Some(start) = start.take() {
            each(&folded(&text[start..at]));
        }
    }
    if let Some(start) = start {
        each(&folded(&text[start..]));
    }
}

/// Chinese characters and the Japanese syllabaries.
fn is_a_word_itself(char: char) -> bool {
    matches!(char, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{2fa1f}')
}

fn folded(word: &str) -> Cow<'_, str> {
    let word = &word[..word.floor_char_boundary(MAX_WORD_BYTES)];
    if word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        return word.into();
    }
    word.to_lowercase().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        words(text, &mut |word| found.push(word.to_owned()));
        found
    }

    #[test]
    fn words_are_runs_of_letters_and_digits_in_lower_case() {
        assert_eq!(
            all("Reset-link sent to ADA@example.com, 2nd"),
            ["reset", "link", "sent", "to", "ada", "example", "com", "2nd"]
        );
        assert_eq!(all("Ünïcode ΣΊΣΥΦΟΣ"), ["ünïcode", "σίσυφος"]);
        assert_eq!(all("会议 記録a"), ["会", "议", "記", "録", "a"]);
        assert!(all(" -!\u{301}").is_empty());
    }

    #[test]
    fn a_long_word_is_known_by_its_beginning() {
        assert_eq!(all(&"é".repeat(100)), ["é".repeat(64)]);
        assert_eq!(all(&"x".repeat(200)), ["x".repeat(128)]);
    }
}
