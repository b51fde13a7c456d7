//! Hiding what the policy names: by field, by path, by shape.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value};

use super::detect::Detectors;
use super::diff::Guide;
use super::hide::{Keyed, REDACTED};
use super::names::Names;
use super::paths::{At, Paths, stronger};
use super::{Mode, pointer};
use crate::canonical;
use crate::event::{DiffKind, Step};

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
    /// Rules that hide nothing.
    pub(super) fn none(keyed: Keyed) -> Self {
        Self {
            names: Names::default(),
            metadata: Paths::default(),
            before: Paths::default(),
            after: Paths::default(),
            detectors: Detectors::new(&[]),
            detector_mode: Mode::default(),
            keyed,
        }
    }

    /// Appends the canonical JSON of what the rules leave of an object.
    pub(super) fn write_object(&self, out: &mut Vec<u8>, paths: &Paths, map: &Map<String, Value>) {
        self.write_members(out, paths, &paths.start(), map);
    }

    /// Appends the canonical JSON of what the rules leave of a value.
    pub(super) fn write_value(&self, out: &mut Vec<u8>, paths: &Paths, value: &Value) {
        self.write(out, paths, &paths.start(), None, value);
    }

    /// `mode` is how the value as a whole is hidden, if it is.
    fn write(&self, out: &mut Vec<u8>, paths: &Paths, at: &[At], mode: Option<Mode>, value: &Value) {
        if let Some(mode) = mode {
            return canonical::write_value(out, &self.keyed.hide(mode, value));
        }
        match value {
            Value::String(text) => canonical::write_string(out, self.clean(text).as_deref().unwrap_or(text)),
            Value::Number(number) if self.detectors.is_card_number(number) => {
                canonical::write_value(out, &self.keyed.hide(self.detector_mode, value));
            }
            Value::Array(items) => {
                let mut inner = Vec::new();
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    inner.clear();
                    // What is removed leaves something in its place: the others keep theirs, so that the rule
                    // means the same element when it is applied again.
                    let mode = paths.enter_element(at, Some(index), &mut inner);
                    self.write(out, paths, &inner, mode, item);
                }
                out.push(b']');
            }
            Value::Object(map) => self.write_members(out, paths, at, map),
            _ => canonical::write_value(out, value),
        }
    }

    fn write_members(&self, out: &mut Vec<u8>, paths: &Paths, at: &[At], map: &Map<String, Value>) {
        let renames = !self.detectors.is_empty() && map.keys().any(|name| self.clean(name).is_some());
        out.push(b'{');
        let start = out.len();
        let mut inner = Vec::new();
        let mut write = |shown: &str, name: &str, value: &Value| {
            inner.clear();
            let mode = self.mode_of(paths, at, name, renames, &mut inner);
            if mode != Some(Mode::Remove) {
                if out.len() > start {
                    out.push(b',');
                }
                canonical::write_string(out, shown);
                out.push(b':');
                self.write(out, paths, &inner, mode, value);
            }
        };
        if renames {
            let is_kept = |name: &str| self.mode_of(paths, at, name, true, &mut Vec::new()) != Some(Mode::Remove);
            for (shown, name, value) in self.renamed(canonical::members(map).filter(|(name, _)| is_kept(name))) {
                write(&shown, name, value);
            }
        } else {
            canonical::members(map).for_each(|(name, value)| write(name, name, value));
        }
        out.push(b'}');
    }

    /// How a member is hidden, if it is. `inner` gets where its rules go on.
    fn mode_of(&self, paths: &Paths, at: &[At], name: &str, renames: bool, inner: &mut Vec<At>) -> Option<Mode> {
        let mode = paths.enter_member(at, name, inner).or_else(|| self.names.mode(name));
        // A name that will be another one after its shape was hidden is judged by both, so that
        // applying the rules again finds nothing new.
        let Some(cleaned) = Some(name).filter(|_| renames).and_then(|name| self.clean(name)) else { return mode };
        let by_path = paths.enter_member(at, &cleaned, inner);
        stronger(mode, by_path.or_else(|| self.names.mode(&cleaned)))
    }

    /// The members with their names as the detectors leave them, in the order of these. Where two names become
    /// the same, the later one (in the order of canonical JSON) is numbered, so that no value is lost.
    fn renamed<'m>(
        &self,
        members: impl Iterator<Item = (&'m String, &'m Value)>,
    ) -> Vec<(String, &'m String, &'m Value)> {
        let (clean, found): (Vec<_>, Vec<_>) = members.partition(|(name, _)| self.clean(name).is_none());
        let mut taken: HashSet<_> = clean.iter().map(|(name, _)| (*name).clone()).collect();
        let mut renamed: Vec<_> = clean.into_iter().map(|(name, value)| (name.clone(), name, value)).collect();
        for (name, value) in found {
            let cleaned = self.clean(name).unwrap_or_default();
            let mut unique = cleaned.clone();
            for number in 2.. {
                if taken.insert(unique.clone()) {
                    break;
                }
                unique = format!("{cleaned}#{number}");
            }
            renamed.push((unique, name, value));
        }
        renamed.sort_unstable_by(|a, b| canonical::compare_names(&a.0, &b.0));
        renamed
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

    fn clean_path<'p>(&self, path: &'p str) -> Cow<'p, str> {
        if self.detectors.is_empty() {
            return path.into();
        }
        let mut cleaned = String::new();
        for segment in pointer::segments(path) {
            pointer::push(&mut cleaned, self.clean(&segment).as_deref().unwrap_or(&segment));
        }
        cleaned.into()
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

/// Appends the steps of a diff, each as the rules leave it: they are the same as in the states themselves.
pub(super) struct Steps<'a> {
    rules: &'a Rules,
    out: &'a mut Vec<u8>,
    start: usize,
    /// Places that steps were cut off at.
    cut: HashSet<String>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(rules: &'a Rules, out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        Self { rules, out, start, cut: HashSet::new() }
    }

    /// Takes back what was written.
    pub(super) fn clear(&mut self) {
        self.out.truncate(self.start);
        self.cut.clear();
    }

    pub(super) fn push(&mut self, step: Step<'_>) {
        let rules = self.rules;
        let way = rules.follow(step.path);
        let path = rules.clean_path(&step.path[..way.end]);
        let redacted;
        let step = if way.end < step.path.len() {
            if !self.cut.insert(path.clone().into_owned()) {
                return;
            }
            // Below a hidden value even names are not shown. Of the value around, only that it changed
            // is known here.
            redacted = Value::from(REDACTED);
            Step { op: DiffKind::Replace, old: Some(&redacted), path: &path, value: Some(&redacted) }
        } else {
            Step { path: &path, ..step }
        };
        if self.out.len() > self.start {
            self.out.push(b',');
        }
        canonical::write_step(self.out, &step, |out, value, is_new| {
            let (paths, at) = if is_new { (&rules.after, &way.after) } else { (&rules.before, &way.before) };
            rules.write(out, paths, at, way.mode, value);
        });
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
