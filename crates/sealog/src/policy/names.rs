//! Redaction by field name.

use std::borrow::Cow;
use std::collections::HashMap;

use super::Mode;

/// The longest name in the rules that is looked up without allocating.
const USUAL_NAME_BYTES: usize = 64;

/// A name as the rules compare it: lower case, without `_` and `-`.
pub(super) fn normalize(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        return Cow::Borrowed(name);
    }
    name.chars().filter(|char| !matches!(char, '_' | '-')).flat_map(char::to_lowercase).collect::<String>().into()
}

/// The rules by name. Looked up for each member of each event, so most names are turned away by their
/// length and first byte alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    modes: HashMap<Box<[u8]>, Mode>,
    longest: usize,
    /// For each length, the first bytes of the rules of that length, as bits of their lowest six.
    shapes: Vec<u64>,
}

impl Names {
    /// Adds a rule; it takes the place of an earlier one for the same name.
    pub(super) fn insert(&mut self, normalized: &str, mode: Mode) {
        let length = normalized.len();
        self.longest = self.longest.max(length);
        self.shapes.resize(self.longest + 1, 0);
        self.shapes[length] |= shape(normalized.as_bytes());
        self.modes.insert(normalized.as_bytes().into(), mode);
    }

    /// All rules, by normalized name.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, Mode)> {
        self.modes.iter().filter_map(|(name, mode)| Some((std::str::from_utf8(name).ok()?, *mode)))
    }

    /// How the field of this name is hidden, if it is.
    pub(super) fn mode(&self, name: &str) -> Option<Mode> {
        if self.longest > USUAL_NAME_BYTES || !name.is_ascii() {
            return self.look_up(normalize(name).as_bytes());
        }
        let mut normalized = [0; USUAL_NAME_BYTES];
        let mut length = 0;
        for byte in name.bytes().filter(|byte| !matches!(byte, b'_' | b'-')) {
            if length == self.longest {
                return None;
            }
            normalized[length] = byte.to_ascii_lowercase();
            length += 1;
        }
        self.look_up(&normalized[..length])
    }

    fn look_up(&self, normalized: &[u8]) -> Option<Mode> {
        if self.shapes.get(normalized.len())? & shape(normalized) == 0 {
            return None;
        }
        self.modes.get(normalized).copied()
    }
}

fn shape(name: &[u8]) -> u64 {
    name.first().map_or(0, |first| 1 << (first & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_whatever_their_case_and_joints() {
        let mut names = Names::default();
        names.insert(&normalize("apiKey"), Mode::Redact);
        names.insert(&normalize("Straße"), Mode::Mask);
        for name in ["apiKey", "API_KEY", "api-key", "ApiKey", "a_p_i-key", "api\u{212A}ey"] {
            assert_eq!(names.mode(name), Some(Mode::Redact), "{name}");
        }
        assert_eq!(names.mode("STRAßE"), Some(Mode::Mask));
        for name in ["", "_", "api key", "apikeys", "xapikey", "apike", &"a".repeat(100)] {
            assert_eq!(names.mode(name), None, "{name}");
        }
        names.insert(&"l".repeat(65), Mode::Hash);
        assert_eq!(names.mode(&"L".repeat(65)), Some(Mode::Hash));
        assert_eq!(names.mode("API_KEY"), Some(Mode::Redact));
    }
}
