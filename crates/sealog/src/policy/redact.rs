//! Hiding what the policy names: by field, by path, by shape.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::detect::Detectors;
use super::diff::Guide;
use super::hide::{Keyed, REDACTED};
use super::names::Names;
use super::paths::{At, Paths, stronger};
use super::{Mode, pointer};
use crate::event::{DiffKind, DiffOp};

/// What is hidden in metadata, `before`, `after` and the diff.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) names: Names,
    pub(super) metadata: Paths,
    pub(super) before: Paths,
    pub(super) after: Paths,
    pub(super) detectors: Detectors,
    pub(super) detector_mode: Mode,
    pub(super) keyed: Keyed,
}

impl Rules {
    pub(super) fn redact_object(&self, paths: &Paths, map: &mut Map<String, Value>) {
        self.walk_object(paths, &paths.start(), map);
    }

    pub(super) fn redact_value(&self, paths: &Paths, value: &mut Value) {
        self.walk(paths, &paths.start(), value);
    }

    fn walk(&self, paths: &Paths, at: &[At], value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(cleaned) = self.clean(text) {
                    *text = cleaned;
                }
            }
            Value::Number(number) if self.detectors.is_card_number(number) => {
                *value = self.keyed.hide(self.detector_mode, value);
            }
            Value::Array(items) => {
                let mut inner = Vec::new();
                for (index, item) in items.iter_mut().enumerate() {
                    inner.clear();
                    match paths.enter_element(at, Some(index), &mut inner) {
                        // Also where the mode is to remove: the others keep their places, so that the
                        // rule means the same element when it is applied again.
                        Some(mode) => *item = self.keyed.hide(mode, item),
                        None => self.walk(paths, &inner, item),
                    }
                }
            }
            Value::Object(map) => self.walk_object(paths, at, map),
            _ => {}
        }
    }

    fn walk_object(&self, paths: &Paths, at: &[At], map: &mut Map<String, Value>) {
        let mut inner = Vec::new();
        let (mut renamed, mut removed) = (false, false);
        for (name, value) in map.iter_mut() {
            inner.clear();
            match self.mode_of(paths, at, name, &mut inner, &mut renamed) {
                Some(Mode::Remove) => {
                    removed = true;
                    *value = Value::Null;
                }
                Some(mode) => *value = self.keyed.hide(mode, value),
                None => self.walk(paths, &inner, value),
            }
        }
        // Few rules remove, and going through a map that shrinks costs more.
        if removed {
            self.remove(paths, at, map);
        }
        if renamed {
            self.rename(map);
        }
    }

    /// Takes out the members that a rule removes.
    fn remove(&self, paths: &Paths, at: &[At], map: &mut Map<String, Value>) {
        map.retain(|name, _| self.mode_of(paths, at, name, &mut Vec::new(), &mut false) != Some(Mode::Remove));
    }

    /// How a member is hidden, if it is. `inner` gets where its rules go on.
    fn mode_of(&self, paths: &Paths, at: &[At], name: &str, inner: &mut Vec<At>, renamed: &mut bool) -> Option<Mode> {
        let mode = paths.enter_member(at, name, inner).or_else(|| self.names.mode(name));
        // A name that will be another one after its shape was hidden is judged by both, so that
        // applying the rules again finds nothing new.
        let Some(cleaned) = self.clean(name) else { return mode };
        *renamed = true;
        let by_path = paths.enter_member(at, &cleaned, inner);
        stronger(mode, by_path.or_else(|| self.names.mode(&cleaned)))
    }

    /// Hides what the detectors find in names. Where two names become the same, the later one (in the
    /// order of canonical JSON) is numbered, so that no value is lost.
    fn rename(&self, map: &mut Map<String, Value>) {
        let mut members: Vec<_> = std::mem::take(map).into_iter().collect();
        members.sort_unstable_by(|a, b| crate::canonical::compare_names(&a.0, &b.0));
        let (clean, found): (Vec<_>, Vec<_>) = members.into_iter().partition(|(name, _)| self.clean(name).is_none());
        map.extend(clean);
        for (name, value) in found {
            let cleaned = self.clean(&name).unwrap_or(name);
            let mut unique = cleaned.clone();
            for number in 2.. {
                if !map.contains_key(&unique) {
                    break;
                }
                unique = format!("{cleaned}#{number}");
            }
            map.insert(unique, value);
        }
    }

    fn clean(&self, text: &str) -> Option<String> {
        if self.detectors.is_empty() {
            return None;
        }
        self.detectors.clean(text, |found| match self.detector_mode {
            Mode::Remove => String::new(),
            mode => self.keyed.hide_text(mode, found),
        })
    }

    /// Hides what the operations of a diff show, with the same rules as in the states themselves.
    pub(super) fn redact_diff(&self, ops: &mut Vec<DiffOp>) {
        let mut cut = HashSet::new();
        ops.retain_mut(|op| !self.redact_op(op) || cut.insert(op.path.clone()));
    }

    /// Answers whether the operation was cut off at a hidden value that is around its place.
    fn redact_op(&self, op: &mut DiffOp) -> bool {
        let way = self.follow(&op.path);
        let cut = way.end < op.path.len();
        if cut {
            // Below a hidden value even names are not shown. Of the value around, only that it changed
            // is known here.
            *op = DiffOp {
                op: DiffKind::Replace,
                old: Some(REDACTED.into()),
                path: op.path[..way.end].to_owned(),
                value: Some(REDACTED.into()),
            };
        }
        let sides = [(&mut op.old, &self.before, &way.before), (&mut op.value, &self.after, &way.after)];
        for (side, paths, at) in sides {
            let Some(value) = side else { continue };
            match way.mode {
                Some(mode) => *value = self.keyed.hide(mode, value),
                None => self.walk(paths, at, value),
            }
        }
        if !self.detectors.is_empty() {
            let mut path = String::new();
            for segment in pointer::segments(&op.path) {
                pointer::push(&mut path, self.clean(&segment).as_deref().unwrap_or(&segment));
            }
            op.path = path;
        }
        cut
    }

    /// The part of a pointer up to the outermost hidden value.
    pub(super) fn visible<'a>(&self, path: &'a str) -> &'a str {
        &path[..self.follow(path).end]
    }

    /// Follows a pointer along the rules.
    fn follow(&self, path: &str) -> Way {
        let mut place = self.root();
        let mut end = 0;
        for segment in pointer::segments(path) {
            end = path[end + 1..].find('/').map_or(path.len(), |offset| end + 1 + offset);
            // Without the document, a number may be an element or a member. Indices in a diff are those
            // of the array half-way between its states, so a rule for one element holds for each here.
            let is_index = segment == "-" || !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
            let (mut mode, mut inner) = self.enter(&place, Some(&segment), is_index);
            if let Some(cleaned) = self.clean(&segment) {
                let (by_cleaned, further) = self.enter(&place, Some(&cleaned), false);
                mode = stronger(mode, by_cleaned);
                inner.before.extend(further.before);
                inner.after.extend(further.after);
            }
            place = inner;
            if mode.is_some() {
                return Way { end, mode, before: place.before, after: place.after };
            }
        }
        Way { end: path.len(), mode: None, before: place.before, after: place.after }
    }

    fn enter(&self, place: &Place, member: Option<&str>, element: bool) -> (Option<Mode>, Place) {
        let (mut mode, mut inner) = (None, Place::default());
        let states = [(&self.before, &place.before, &mut inner.before), (&self.after, &place.after, &mut inner.after)];
        for (paths, from, into) in states {
            if let Some(name) = member {
                mode = stronger(mode, paths.enter_member(from, name, into));
            }
            if element {
                mode = stronger(mode, paths.enter_element(from, None, into));
            }
        }
        (mode.or_else(|| self.names.mode(member?)), inner)
    }
}

/// Where a pointer leads.
struct Way {
    /// How much of the pointer, in bytes, leads to the outermost hidden value, or all of it.
    end: usize,
    /// How the value there is hidden, if it is.
    mode: Option<Mode>,
    before: Vec<At>,
    after: Vec<At>,
}

/// How far the rules by path have been followed, in both states.
#[derive(Default)]
pub(super) struct Place {
    before: Vec<At>,
    after: Vec<At>,
}

/// The diff does not look inside what will be hidden.
impl Guide for Rules {
    type Place = Place;

    fn root(&self) -> Place {
        Place { before: self.before.start(), after: self.after.start() }
    }

    fn member(&self, parent: &Place, name: &str) -> Option<Place> {
        let (mode, place) = self.enter(parent, Some(name), false);
        let by_cleaned_name = || self.clean(name).and_then(|name| self.enter(parent, Some(&name), false).0);
        if mode.is_some() || by_cleaned_name().is_some() { None } else { Some(place) }
    }

    fn element(&self, parent: &Place) -> Option<Place> {
        let (mode, place) = self.enter(parent, None, true);
        if mode.is_some() { None } else { Some(place) }
    }
}
