//! What changed between two documents, as operations of JSON Patch with the values they replaced.

mod array;
mod readable;

use serde_json::{Map, Value};

use super::pointer;
use crate::canonical;
use crate::event::{DiffKind, DiffOp, Step};

pub use readable::readable;

/// The most operations of one diff. Past it the whole document is replaced: a list nobody can read
/// says less than the two states, and would be many times their size.
const MAX_DIFF_OPS: usize = 10_000;
/// The most bytes of all pointers of one diff, for the same reason: a long name high up in the
/// document stands in the pointer of everything below it.
const MAX_DIFF_PATH_BYTES: usize = 512 * 1024;

/// The difference between two documents: what turns `before` into `after`.
///
/// The operations are those of JSON Patch (RFC 6902) and can be applied in order by any
/// implementation of it; each also holds the `old` value, which those pass over. Only `add`, `remove`
/// and `replace` occur. The order is always the same: members by name (by UTF-16 code units), and
/// elements by index. Equal documents give no operations; `1` and `1.0` are equal.
///
/// Two arrays are compared by their longest common subsequence, so that an element inserted at the
/// front is one `add`. That has a bound: where more than 512 elements were added or removed, or where
/// the search would take more than about a million steps, the whole array is replaced. Where a diff
/// would have more than 10,000 operations, or more than 512 KiB of pointers, the whole document is.
///
/// The documents are walked recursively: keep them as shallow as those of an event
/// ([`MAX_DEPTH`](crate::MAX_DEPTH)).
///
/// ```
/// use sealog::{diff, readable};
/// use serde_json::json;
///
/// let before = json!({"plan": "free", "seats": 3, "tags": ["a", "b"]});
/// let after = json!({"plan": "team", "seats": 3, "tags": ["new", "a", "b"], "trial": false});
/// let ops = diff(&before, &after);
/// assert_eq!(
///     serde_json::to_value(&ops).unwrap(),
///     json!([
///         {"op": "replace", "path": "/plan", "old": "free", "value": "team"},
///         {"op": "add", "path": "/tags/0", "value": "new"},
///         {"op": "add", "path": "/trial", "value": false}
///     ])
/// );
/// assert_eq!(readable(&ops), "~ plan: \"free\" → \"team\"\n+ tags.0\n+ trial");
/// ```
pub fn diff(before: &Value, after: &Value) -> Vec<DiffOp> {
    let mut ops = Vec::new();
    if !diff_guided(before, after, &Plain, &mut |step| ops.push(step.into())) {
        ops = vec![whole(before, after).into()];
    }
    ops
}

/// Says where the diff may look inside. A value that will be redacted is compared as a whole, so that
/// no name below it stands in a pointer.
pub(super) trait Guide {
    /// What the guide knows of a place.
    type Place;
    fn root(&self) -> Self::Place;
    /// The place of a member; `None` when its value is compared as a whole.
    fn member(&self, parent: &Self::Place, name: &str) -> Option<Self::Place>;
    /// The place of an array's elements; `None` when each is compared as a whole.
    fn element(&self, parent: &Self::Place) -> Option<Self::Place>;
}

/// Looks everywhere.
struct Plain;

impl Guide for Plain {
    type Place = ();
    fn root(&self) {}
    fn member(&self, (): &(), _name: &str) -> Option<()> {
        Some(())
    }
    fn element(&self, (): &()) -> Option<()> {
        Some(())
    }
}

/// Gives `each` the steps in order. Answers whether that was all: where there are too many of them, the step
/// is the [`whole`] document instead.
pub(super) fn diff_guided<G: Guide>(before: &Value, after: &Value, guide: &G, each: &mut dyn FnMut(Step<'_>)) -> bool {
    let mut differ = Differ { guide, each, ops: 0, path: String::new(), path_bytes: 0, exhausted: false };
    differ.compare(before, after, Some(&guide.root()));
    !differ.exhausted
}

/// The step that replaces the whole document.
pub(super) fn whole<'a>(before: &'a Value, after: &'a Value) -> Step<'a> {
    Step { op: DiffKind::Replace, old: Some(before), path: "", value: Some(after) }
}

struct Differ<'a, G> {
    guide: &'a G,
    each: &'a mut dyn FnMut(Step<'_>),
    ops: usize,
    /// The pointer of the place that is being compared.
    path: String,
    path_bytes: usize,
    /// The diff has become too large and will be thrown away.
    exhausted: bool,
}

impl<G: Guide> Differ<'_, G> {
    fn compare(&mut self, before: &Value, after: &Value, place: Option<&G::Place>) {
        match (before, after, place) {
            (Value::Object(before), Value::Object(after), Some(place)) => self.compare_objects(before, after, place),
            (Value::Array(old), Value::Array(new), Some(place)) => match array::script(old, new) {
                Some(script) => self.compare_arrays(old, new, script, place),
                None => self.emit(DiffKind::Replace, Some(before), Some(after)),
            },
            _ if canonical::equal(before, after) => {}
            _ => self.emit(DiffKind::Replace, Some(before), Some(after)),
        }
    }

    fn compare_objects(&mut self, before: &Map<String, Value>, after: &Map<String, Value>, place: &G::Place) {
        let mut before = canonical::members(before).peekable();
        let mut after = canonical::members(after).peekable();
        while !self.exhausted {
            let order = match (before.peek(), after.peek()) {
                (Some((a, _)), Some((b, _))) => canonical::compare_names(a, b),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (None, None) => break,
            };
            let old = if order.is_le() { before.next() } else { None };
            let new = if order.is_ge() { after.next() } else { None };
            let name = old.or(new).map_or("", |(name, _)| name.as_str());
            let parent = self.path.len();
            pointer::push(&mut self.path, name);
            match (old, new) {
                (Some((_, old)), Some((_, new))) => {
                    let place = self.guide.member(place, name);
                    self.compare(old, new, place.as_ref());
                }
                (Some((_, old)), None) => self.emit(DiffKind::Remove, Some(old), None),
                (_, new) => self.emit(DiffKind::Add, None, new.map(|(_, value)| value)),
            }
            self.path.truncate(parent);
        }
    }

    fn compare_arrays(&mut self, before: &[Value], after: &[Value], script: array::Script, place: &G::Place) {
        let place = self.guide.element(place);
        let parent = self.path.len();
        // The index in the array as it is after the operations so far, which is what each of them
        // is applied to.
        let mut index = script.start;
        for run in script.runs {
            let pairs = run.removed.len().min(run.added.len());
            let (changed, removed) = before[run.removed].split_at(pairs);
            let (changed_to, added) = after[run.added].split_at(pairs);
            for (old, new) in changed.iter().zip(changed_to) {
                self.enter_index(index);
                self.compare(old, new, place.as_ref());
                self.path.truncate(parent);
                index += 1;
            }
            for old in removed {
                self.enter_index(index);
                self.emit(DiffKind::Remove, Some(old), None);
                self.path.truncate(parent);
            }
            for new in added {
                self.enter_index(index);
                self.emit(DiffKind::Add, None, Some(new));
                self.path.truncate(parent);
                index += 1;
            }
            index += run.kept_after;
            if self.exhausted {
                return;
            }
        }
    }

    fn enter_index(&mut self, index: usize) {
        self.path.push('/');
        self.path.push_str(&index.to_string());
    }

    fn emit(&mut self, op: DiffKind, old: Option<&Value>, value: Option<&Value>) {
        self.ops += 1;
        self.path_bytes += self.path.len();
        self.exhausted |= self.ops > MAX_DIFF_OPS || self.path_bytes > MAX_DIFF_PATH_BYTES;
        if !self.exhausted {
            (self.each)(Step { op, old, path: &self.path, value });
        }
    }
}

#[cfg(test)]
mod tests;
