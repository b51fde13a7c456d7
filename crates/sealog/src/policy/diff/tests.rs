use proptest::prelude::*;
use serde_json::json;
use std::io::Write as _;

use super::*;
use crate::policy::arbitrary;

/// What any implementation of JSON Patch does, in its shortest form.
fn apply(document: &Value, ops: &[DiffOp]) -> Value {
    let mut document = document.clone();
    for op in ops {
        if op.op != DiffKind::Add {
            let old = document.pointer(&op.path).expect("the place is there");
            assert!(canonical::equal(old, op.old.as_ref().unwrap()), "the old value is what stood there");
        }
        let Some((parent, _)) = op.path.rsplit_once('/') else {
            document = op.value.clone().expect("the root is only replaced");
            continue;
        };
        let name = pointer::segments(&op.path).last().unwrap().into_owned();
        match document.pointer_mut(parent).expect("the parent is there") {
            Value::Object(map) => match op.op {
                DiffKind::Remove => drop(map.remove(&name)),
                _ => drop(map.insert(name, op.value.clone().unwrap())),
            },
            Value::Array(items) => {
                let index: usize = name.parse().unwrap();
                match op.op {
                    DiffKind::Add => items.insert(index, op.value.clone().unwrap()),
                    DiffKind::Remove => drop(items.remove(index)),
                    DiffKind::Replace => items[index] = op.value.clone().unwrap(),
                }
            }
            _ => panic!("{parent} holds nothing"),
        }
    }
    document
}

fn assert_turns_into(before: &Value, after: &Value) -> Vec<DiffOp> {
    let ops = diff(before, after);
    let applied = apply(before, &ops);
    // Shortened, since some of the documents here are large.
    let shown = || format!("{before} with {ops:?} gives {applied}").chars().take(2_000).collect::<String>();
    assert!(canonical::equal(&applied, after), "{}", shown());
    ops
}

#[test]
fn equal_documents_give_an_empty_diff() {
    for (before, after) in [
        (json!(null), json!(null)),
        (json!(1), json!(1.0)),
        (json!({"a": [1, {"b": 0}]}), json!({"a": [1.0, {"b": -0.0}]})),
    ] {
        assert_eq!(diff(&before, &after), []);
    }
}

#[test]
fn scalars_and_null_at_the_root_are_replaced() {
    for (before, after) in [(json!(null), json!({})), (json!(1), json!("1")), (json!([]), json!({}))] {
        let ops = assert_turns_into(&before, &after);
        assert_eq!(ops, [DiffOp { op: DiffKind::Replace, old: Some(before), path: String::new(), value: Some(after) }]);
    }
}

#[test]
fn an_element_inserted_or_removed_is_one_operation() {
    let long: Vec<_> = (0..10_000).collect();
    let mut other = long.clone();
    other.remove(5_000);
    other.insert(0, -1);
    other.insert(9_000, -2);
    assert_eq!(assert_turns_into(&json!(long), &json!(other)).len(), 3);
}

#[test]
fn an_element_changed_in_one_field_shows_that_field() {
    let before = json!([{"id": 1, "n": 1}, {"id": 2, "n": 1}, {"id": 3, "n": 1}]);
    let after = json!([{"id": 1, "n": 2}, {"id": 2, "n": 1}, {"id": 3, "n": 2}]);
    let ops = assert_turns_into(&before, &after);
    assert_eq!(ops.iter().map(|op| op.path.as_str()).collect::<Vec<_>>(), ["/0/n", "/2/n"]);
}

#[test]
fn past_the_bounds_the_whole_is_replaced() {
    let (odd, even): (Vec<_>, Vec<_>) = (0..200_000).partition(|n| n % 2 == 1);
    let ops = assert_turns_into(&json!({ "list": odd }), &json!({ "list": even }));
    assert_eq!(ops.iter().map(|op| op.path.as_str()).collect::<Vec<_>>(), ["/list"]);
    assert_eq!(assert_turns_into(&json!([]), &json!(odd)).len(), 1);

    let many = |value: u32| (0..20_000).map(|n| (n.to_string(), json!(value))).collect::<Map<_, _>>();
    let ops = assert_turns_into(&Value::Object(many(1)), &Value::Object(many(2)));
    assert_eq!(ops.iter().map(|op| op.path.as_str()).collect::<Vec<_>>(), [""]);

    let name = "n".repeat(200_000);
    let inner = |value: u32| json!({ name.as_str(): { "a": value, "b": value, "c": value } });
    assert_eq!(assert_turns_into(&inner(1), &inner(2)).len(), 1);
}

#[test]
fn repetitive_arrays_stay_within_their_bounds() {
    // The worst case of the search: every element equals many others.
    let zeros = |count: usize, every: usize| json!((0..count).map(|n| u8::from(n % every == 0)).collect::<Vec<_>>());
    assert_turns_into(&zeros(300_000, 7), &zeros(300_400, 11));
}

#[test]
fn the_readable_form_is_safe_in_a_terminal() {
    let ops =
        diff(&json!({"k\u{1b}[31m": 1, "long": ""}), &json!({"k\u{1b}[31m": "\u{9b}x\n", "long": "é".repeat(500)}));
    let text = readable(&ops);
    assert!(text.starts_with("~ k\\u001b[31m: 1 → \"\\u009bx\\n\"\n~ long: \"\" → \"éé"), "{text}");
    assert!(text.ends_with("é…") && text.len() < 400);
    assert_eq!(readable(&diff(&json!(1), &json!(2))), "~ (whole): 1 → 2");
    assert_eq!(readable(&[]), "");
}

/// The cases of another project's suite for RFC 6902: whatever a patch turns into what, our diff does
/// too. Conditional: the folder stands beside the repository, not in it.
#[test]
fn diffs_of_the_json_patch_suite_apply() {
    for name in ["tests.json", "spec_tests.json"] {
        let path = format!("{}/../../../shared/vectors/json-patch/{name}", env!("CARGO_MANIFEST_DIR"));
        let Ok(text) = std::fs::read_to_string(&path) else {
            // Past the test runner, which hides what a test that passes prints.
            let _ = writeln!(std::io::stderr(), "NOT RUN: {path} is not there");
            continue;
        };
        let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
        let mut run = 0;
        for case in &cases {
            if let (Some(doc), Some(expected)) = (case.get("doc"), case.get("expected")) {
                assert_turns_into(doc, expected);
                run += 1;
            }
        }
        assert!(run > 10, "{name} has cases");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn applied_to_before_a_diff_gives_after((before, after) in arbitrary::pair()) {
        assert_turns_into(&before, &after);
        assert_turns_into(&after, &before);
        prop_assert_eq!(diff(&before, &before), []);
    }

    #[test]
    fn arrays_with_repetitions(a in prop::collection::vec(0..4_u8, 0..40), b in prop::collection::vec(0..4_u8, 0..40)) {
        assert_turns_into(&json!(a), &json!(b));
    }
}
