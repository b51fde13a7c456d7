//! Reading canonical JSON as it is written, without building the documents.
//!
//! Nothing but JSON without spaces passes: what a scan went over can be parsed. That names are sorted, and numbers and
//! strings in their one form, is not looked at.

use std::borrow::Cow;

/// Values within values; no event has more.
const MAX_DEPTH: u32 = u128::BITS;
/// So many bytes are looked through at once for what ends strings.
const BLOCK: usize = u64::BITS as usize;

/// Goes over bytes from one value to the next. Whatever is no JSON gives `None`, and ends the scan.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// The block that was looked through last, and where in it quotes and backslashes are.
    block: usize,
    marks: u64,
}

/// A string as it is written, without its quotes.
#[derive(Clone, Copy)]
pub(crate) struct Quoted<'a> {
    text: &'a str,
    start: usize,
    end: usize,
    escapes: bool,
}

impl<'a> Quoted<'a> {
    pub(crate) fn raw(self) -> &'a str {
        &self.text[self.start..self.end]
    }

    pub(crate) fn unescaped(self) -> Option<Cow<'a, str>> {
        if !self.escapes {
            return Some(self.raw().into());
        }
        serde_json::from_str(&["\"", self.raw(), "\""].concat()).ok().map(Cow::Owned)
    }
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        // They stand nowhere in canonical JSON, so that no string needs to be looked at for them.
        let has_controls = bytes.iter().copied().fold(u8::MAX, u8::min) < b' ';
        let text = std::str::from_utf8(bytes).ok()?;
        (!has_controls).then_some(Self { text, at: 0, block: usize::MAX, marks: 0 })
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    pub(crate) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// An object, whose members' values `member` goes over.
    pub(crate) fn object(&mut self, member: &mut dyn FnMut(&mut Self, Quoted<'a>) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        if self.is_closed_at_once(b'}') { Some(()) } else { self.members(member) }
    }

    /// The members of an object from one of them on, and its end.
    pub(crate) fn members(&mut self, member: &mut dyn FnMut(&mut Self, Quoted<'a>) -> Option<()>) -> Option<()> {
        loop {
            let name = self.name()?;
            member(self, name)?;
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// An array, whose items `item` goes over.
    pub(crate) fn array(&mut self, item: &mut dyn FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.expect(b'[')?;
        if self.is_closed_at_once(b']') {
            return Some(());
        }
        loop {
            item(self)?;
            match self.next()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// A value of any kind; its names and strings go to `text`.
    pub(crate) fn value(&mut self, mut text: impl FnMut(Quoted<'a>) -> Option<()>) -> Option<()> {
        // Which of the values around this one are objects, the innermost last.
        let (mut depth, mut objects) = (0, 0_u128);
        loop {
            match self.peek()? {
                b'"' => text(self.string()?)?,
                opening @ (b'{' | b'[') if depth < MAX_DEPTH => {
                    self.at += 1;
                    let is_object = opening == b'{';
                    if !self.is_closed_at_once(if is_object { b'}' } else { b']' }) {
                        depth += 1;
                        objects = objects << 1 | u128::from(is_object);
                        if is_object {
                            text(self.name()?)?;
                        }
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            loop {
                if depth == 0 {
                    return Some(());
                }
                match (self.next()?, objects & 1 == 1) {
                    (b'}', true) | (b']', false) => {
                        depth -= 1;
                        objects >>= 1;
                    }
                    (b',', true) => {
                        text(self.name()?)?;
                        break;
                    }
                    (b',', false) => break,
                    _ => return None,
                }
            }
        }
    }

    /// A value of any kind, as it is written.
    pub(crate) fn raw(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.value(|_| Some(()))?;
        self.text.get(start..self.at)
    }

    #[inline]
    pub(crate) fn string(&mut self) -> Option<Quoted<'a>> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escapes = false;
        loop {
            self.seek_mark()?;
            if self.next()? == b'"' {
                return Some(Quoted { text: self.text, start, end: self.at - 1, escapes });
            }
            escapes = true;
            self.escape()?;
        }
    }

    /// What follows a backslash.
    #[cold]
    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
            b'u' if self.rest().get(..4)?.iter().all(u8::is_ascii_hexdigit) => self.at += 4,
            _ => return None,
        }
        Some(())
    }

    /// Goes on to the next quote or backslash.
    #[inline]
    fn seek_mark(&mut self) -> Option<()> {
        loop {
            let (block, place) = (self.at / BLOCK, self.at % BLOCK);
            if block == self.block {
                let marks = self.marks >> place;
                if marks != 0 {
                    self.at += marks.trailing_zeros() as usize;
                    return Some(());
                }
                self.at += BLOCK - place;
            }
            self.look_through()?;
        }
    }

    /// Finds the quotes and backslashes of a block at once, which costs least where strings are short.
    #[inline(never)]
    fn look_through(&mut self) -> Option<()> {
        let block = self.at / BLOCK;
        let rest = self.text.as_bytes().get(block * BLOCK..).filter(|rest| !rest.is_empty())?;
        let marks = rest.first_chunk().map_or_else(
            || {
                let mut padded = [0; BLOCK];
                padded[..rest.len()].copy_from_slice(rest);
                marks(&padded)
            },
            marks,
        );
        (self.block, self.marks) = (block, marks);
        Some(())
    }

    /// A number that is none of the fractional ones.
    pub(crate) fn integer(&mut self) -> Option<u64> {
        let start = self.at;
        self.scalar()?;
        self.text.get(start..self.at)?.parse().ok()
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// Whether a list that ends with `close` is empty, which ends it.
    fn is_closed_at_once(&mut self, close: u8) -> bool {
        let closed = self.peek() == Some(close);
        self.at += usize::from(closed);
        closed
    }

    fn name(&mut self) -> Option<Quoted<'a>> {
        let name = self.string()?;
        self.expect(b':')?;
        Some(name)
    }

    /// A number, `true`, `false` or `null`.
    fn scalar(&mut self) -> Option<()> {
        let word: &[u8] = match self.peek()? {
            b't' => b"true",
            b'f' => b"false",
            b'n' => b"null",
            _ => return self.number(),
        };
        self.rest().starts_with(word).then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<()> {
        let _ = self.passes(|byte| byte == b'-', 1);
        if self.passes(|byte| byte == b'0', 1) == 0 {
            self.digits()?;
        }
        if self.passes(|byte| byte == b'.', 1) > 0 {
            self.digits()?;
        }
        if self.passes(|byte| matches!(byte, b'e' | b'E'), 1) > 0 {
            let _ = self.passes(|byte| matches!(byte, b'+' | b'-'), 1);
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        (self.passes(|byte| byte.is_ascii_digit(), usize::MAX) > 0).then_some(())
    }

    /// Passes bytes that are of a kind, `most` at the most. Answers how many.
    fn passes(&mut self, is: impl Fn(u8) -> bool, most: usize) -> usize {
        let passed = self.rest().iter().take(most).take_while(|byte| is(**byte)).count();
        self.at += passed;
        passed
    }
}

/// Which of the bytes are quotes or backslashes, a bit each, the first the lowest.
fn marks(block: &[u8; BLOCK]) -> u64 {
    const fn eight(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    // The highest bit of each byte that is not zero.
    let nonzero = |word: u64| ((word & eight(0x7f)) + eight(0x7f)) | word;
    block.as_chunks::<8>().0.iter().rfold(0, |marks, word| {
        let word = u64::from_le_bytes(*word);
        let others = nonzero(word ^ eight(b'"')) & nonzero(word ^ eight(b'\\'));
        // The product has the lowest bit of each byte in its highest byte, side by side.
        let found = ((!others & eight(0x80)) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        marks << 8 | found
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::policy::arbitrary;

    fn passes(json: &[u8]) -> bool {
        Scanner::new(json).is_some_and(|mut scanner| scanner.value(|_| Some(())).is_some() && scanner.is_at_end())
    }

    #[test]
    fn what_passes_is_json_without_spaces() {
        for json in [
            r#"{"a":[],"b":{},"c":[{"d":[[]]},null,true,false]}"#,
            r#""\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00é""#,
            "0",
            "-0.5e+10",
            "1E9",
            "120",
            r#""""#,
        ] {
            assert!(passes(json.as_bytes()), "{json}");
        }
        for json in [
            "",
            " 1",
            "1 ",
            "{",
            "[1,]",
            "[,1]",
            "[1}",
            r#"{"a":1]"#,
            r#"{"a"}"#,
            r#"{"a":}"#,
            "{a:1}",
            r#"{"a":1,}"#,
            "01",
            "1.",
            ".5",
            "-",
            "1e",
            "nul",
            "truefalse",
            "+1",
            r#""\x""#,
            r#""\u00g0""#,
            r#""\u00"#,
            "\"\\",
            "\"a",
            "\"\n\"",
            "{\"a\": 1}",
            "]",
            "}",
            ",",
        ] {
            assert!(!passes(json.as_bytes()), "{json}");
        }
        assert!(!passes(b"\"\xff\""));
        let nested = |depth| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(passes(&nested(MAX_DEPTH as usize)) && !passes(&nested(MAX_DEPTH as usize + 2)));
    }

    proptest! {
        #[test]
        fn marks_are_where_quotes_and_backslashes_are(
            block in prop::array::uniform32(prop_oneof![Just(b'"'), Just(b'\\'), any::<u8>()]),
            other in prop::array::uniform32(any::<u8>()),
        ) {
            let bytes: [u8; BLOCK] = [block, other].concat().try_into().unwrap();
            let is_mark = |index: usize| matches!(bytes[index], b'"' | b'\\');
            let expected = (0..BLOCK).fold(0, |marks, index| marks | u64::from(is_mark(index)) << index);
            prop_assert_eq!(marks(&bytes), expected);
        }

        #[test]
        fn strings_are_read_wherever_they_stand(before in 0..140_usize, text in "[a\"\\\\\n\u{e9}]{0,140}") {
            let json = serde_json::to_vec(&["-".repeat(before), text.clone()]).unwrap();
            let mut scanner = Scanner::new(&json).unwrap();
            let mut found = Vec::new();
            scanner.array(&mut |scanner| {
                found.push(scanner.string()?.unescaped()?.into_owned());
                Some(())
            });
            prop_assert_eq!(found, ["-".repeat(before), text]);
            prop_assert!(scanner.is_at_end());
        }

        #[test]
        fn canonical_json_passes_and_what_passes_can_be_parsed(
            document in arbitrary::value(),
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut json = super::super::to_vec(&document);
            prop_assert!(passes(&json));
            let place = place.index(json.len());
            json[place] = byte;
            if passes(&json) {
                // Half of a surrogate pair, and a number beyond all floats, are JSON that no parser can give.
                let parsed = serde_json::from_slice::<Value>(&json);
                let allowed = |error: &serde_json::Error| {
                    let said = error.to_string();
                    said.contains("surrogate") || said.contains("hex escape") || said.contains("out of range")
                };
                prop_assert!(parsed.as_ref().map_or_else(allowed, |_| true), "{parsed:?}");
            }
        }
    }
}
