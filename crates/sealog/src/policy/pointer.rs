//! JSON Pointers (RFC 6901).

use std::borrow::Cow;

/// Whether `pointer` is well formed: empty, or begun by `/`, with `~` only in `~0` and `~1`.
pub(crate) fn is_valid(pointer: &str) -> bool {
    if !(pointer.is_empty() || pointer.starts_with('/')) {
        return false;
    }
    pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
}

/// The segments of a well-formed pointer, unescaped.
pub(crate) fn segments(pointer: &str) -> impl Iterator<Item = Cow<'_, str>> {
    pointer.split('/').skip(1).map(|segment| {
        if segment.contains('~') {
            Cow::Owned(segment.replace("~1", "/").replace("~0", "~"))
        } else {
            Cow::Borrowed(segment)
        }
    })
}

/// Appends one segment, escaped.
pub(crate) fn push(pointer: &mut String, segment: &str) {
    pointer.push('/');
    for part in segment.split_inclusive(['~', '/']) {
        match part.as_bytes().last() {
            Some(b'~') => pointer.extend([&part[..part.len() - 1], "~0"]),
            Some(b'/') => pointer.extend([&part[..part.len() - 1], "~1"]),
            _ => pointer.push_str(part),
        }
    }
}

/// Whether one of the two places holds the other, or they are the same.
pub(crate) fn overlap(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_checked_and_escaped() {
        assert!(["", "/", "/a~0b/~1", "/0/-"].into_iter().all(is_valid));
        assert!(["a", "/~", "/~2", "/a~"].into_iter().all(|pointer| !is_valid(pointer)));
        let mut pointer = String::new();
        for segment in ["", "a/b", "m~n", "~1", "plain"] {
            push(&mut pointer, segment);
        }
        assert_eq!(pointer, "//a~1b/m~0n/~01/plain");
        assert_eq!(segments(&pointer).collect::<Vec<_>>(), ["", "a/b", "m~n", "~1", "plain"]);
    }

    #[test]
    fn places_overlap_by_whole_segments() {
        assert!(overlap("/a", "/a/b") && overlap("/a/b", "") && overlap("/a", "/a"));
        assert!(!overlap("/a", "/ab"));
    }
}
