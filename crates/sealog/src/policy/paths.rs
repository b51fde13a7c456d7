//! Redaction by path.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::Mode;
use super::names::normalize;

/// A segment that stands for any member or element.
const ANY: &str = "*";

/// The rules by path below one document, as a tree of their segments.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, Default)]
struct Node {
    /// Set where a rule ends.
    mode: Option<Mode>,
    /// By normalized name; numbers too, since a member may be called `0`.
    members: HashMap<String, usize>,
    elements: HashMap<usize, usize>,
    any: Option<usize>,
}

/// How far a rule has been followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    node: usize,
    /// The rule went on into an array without naming an element: what it names next is a member of an
    /// object in it.
    inside_array: bool,
}

impl Default for Paths {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Paths {
    pub(super) fn insert(&mut self, segments: &[String], mode: Mode) {
        let mut at = 0;
        for segment in segments {
            let next = self.nodes.len();
            let node = &mut self.nodes[at];
            at = if segment == ANY {
                *node.any.get_or_insert(next)
            } else {
                let child = *node.members.entry(normalize(segment).into_owned()).or_insert(next);
                if let Ok(index) = segment.parse() {
                    node.elements.insert(index, child);
                }
                child
            };
            if at == next {
                self.nodes.push(Node::default());
            }
        }
        // The rule that was added last takes the place of an earlier one for the same path.
        self.nodes[at].mode = Some(mode);
    }

    /// Where the rules begin, each place with the tree of them below it, as JSON.
    pub(super) fn places(&self) -> Value {
        let place = |at: &At| json!({"node": self.tree(at.node), "inside": at.inside_array});
        self.start().iter().map(place).collect()
    }

    fn tree(&self, node: usize) -> Value {
        let node = &self.nodes[node];
        let mut tree = Map::new();
        if let Some(mode) = node.mode {
            tree.insert("mode".to_owned(), json!(mode));
        }
        if !node.members.is_empty() {
            let members = node.members.iter().map(|(name, child)| (name.clone(), self.tree(*child)));
            tree.insert("members".to_owned(), members.collect());
        }
        if !node.elements.is_empty() {
            let elements = node.elements.iter().map(|(index, child)| (index.to_string(), self.tree(*child)));
            tree.insert("elements".to_owned(), elements.collect());
        }
        if let Some(child) = node.any {
            tree.insert("any".to_owned(), self.tree(child));
        }
        Value::Object(tree)
    }

    /// Where the rules begin; nothing when there are none.
    pub(super) fn start(&self) -> Vec<At> {
        if self.nodes.len() == 1 { Vec::new() } else { vec![At { node: 0, inside_array: false }] }
    }

    /// Follows the rules to a member. Answers how it is hidden when one ends there.
    pub(super) fn enter_member(&self, from: &[At], name: &str, into: &mut Vec<At>) -> Option<Mode> {
        if from.is_empty() {
            return None;
        }
        let name = normalize(name);
        let mut mode = None;
        for at in from {
            let node = &self.nodes[at.node];
            self.arrive(node.members.get(&*name).copied(), into, &mut mode);
            self.arrive(node.any.filter(|_| !at.inside_array), into, &mut mode);
        }
        mode
    }

    /// Follows the rules to an element; `None` stands for any of them. A rule that names no element
    /// goes on into each.
    pub(super) fn enter_element(&self, from: &[At], index: Option<usize>, into: &mut Vec<At>) -> Option<Mode> {
        let mut mode = None;
        for at in from {
            if !at.inside_array {
                let node = &self.nodes[at.node];
                self.arrive(node.any, into, &mut mode);
                match index {
                    Some(index) => self.arrive(node.elements.get(&index).copied(), into, &mut mode),
                    None => node.elements.values().for_each(|child| self.arrive(Some(*child), into, &mut mode)),
                }
            }
            let passing = At { node: at.node, inside_array: true };
            if !into.contains(&passing) {
                into.push(passing);
            }
        }
        mode
    }

    fn arrive(&self, child: Option<usize>, into: &mut Vec<At>, mode: &mut Option<Mode>) {
        let Some(node) = child else { return };
        *mode = stronger(*mode, self.nodes[node].mode);
        let at = At { node, inside_array: false };
        if !into.contains(&at) {
            into.push(at);
        }
    }
}

/// Of two ways to hide the same value, the one that leaves less.
pub(super) fn stronger(a: Option<Mode>, b: Option<Mode>) -> Option<Mode> {
    fn strength(mode: Mode) -> u8 {
        match mode {
            Mode::Mask => 0,
            Mode::Hash => 1,
            Mode::Redact => 2,
            Mode::Remove => 3,
        }
    }
    a.into_iter().chain(b).max_by_key(|mode| strength(*mode))
}
