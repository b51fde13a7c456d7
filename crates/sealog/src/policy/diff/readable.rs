//! A diff for people.

use std::fmt::Write as _;

use serde_json::Value;

use super::pointer;
use crate::canonical;
use crate::event::{DiffKind, DiffOp};

/// The longest value that is shown whole, in characters.
const MAX_SHOWN_CHARS: usize = 120;
/// What stands for the document itself, whose pointer is empty.
const WHOLE: &str = "(whole)";

/// A diff as text for people, one line for each operation: `- key` for what is gone, `+ key` for what
/// is new, `~ key: old → new` for what changed.
///
/// The key is the pointer with dots (`user.emails.0`); values are JSON, cut after 120 characters.
/// Control characters are escaped, so that the text is safe in a terminal. To be read, not parsed: the
/// operations are the machine form.
///
/// ```
/// use sealog::{diff, readable};
/// use serde_json::json;
///
/// let ops = diff(&json!({"a": 1, "b": {"c": 2}}), &json!({"b": {"c": null}, "d": 3}));
/// assert_eq!(readable(&ops), "- a\n~ b.c: 2 → null\n+ d");
/// ```
pub fn readable(ops: &[DiffOp]) -> String {
    let mut text = String::new();
    for op in ops {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(match op.op {
            DiffKind::Remove => "- ",
            DiffKind::Add => "+ ",
            DiffKind::Replace => "~ ",
        });
        if op.path.is_empty() {
            text.push_str(WHOLE);
        }
        for (i, segment) in pointer::segments(&op.path).enumerate() {
            if i > 0 {
                text.push('.');
            }
            push_printable(&mut text, segment.chars());
        }
        if op.op == DiffKind::Replace {
            text.push_str(": ");
            push_value(&mut text, op.old.as_ref());
            text.push_str(" → ");
            push_value(&mut text, op.value.as_ref());
        }
    }
    text
}

fn push_value(text: &mut String, value: Option<&Value>) {
    let Some(value) = value else {
        text.push('?');
        return;
    };
    let json = String::from_utf8_lossy(&canonical::to_vec(value)).into_owned();
    match json.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((cut, _)) => {
            push_printable(text, json[..cut].chars());
            text.push('…');
        }
        None => push_printable(text, json.chars()),
    }
}

fn push_printable(text: &mut String, chars: impl Iterator<Item = char>) {
    for char in chars {
        // Besides control characters, those that turn the direction of the text around.
        if char.is_control() || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\u{:04x}", u32::from(char));
        } else {
            text.push(char);
        }
    }
}
