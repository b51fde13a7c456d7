//! Random documents and events for the property tests.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::event::{DiffKind, DiffOp, Event, Outcome, Severity};

/// Any JSON value, some levels deep, with names and numbers that are known to be difficult.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 40, 5, |inner| {
        prop_oneof![vec(inner.clone(), 0..5).prop_map(Value::Array), object_of(inner).prop_map(Value::Object)]
    })
}

/// Any JSON object.
pub(crate) fn object() -> impl Strategy<Value = Map<String, Value>> {
    object_of(value())
}

/// A document and another one that is near it, as the states around a change are.
pub(crate) fn pair() -> impl Strategy<Value = (Value, Value)> {
    prop_oneof![
        (value(), value()),
        (vec(few(), 0..12), vec(few(), 0..12)).prop_map(|(a, b)| (Value::from(a), Value::from(b))),
        (object(), few(), few()).prop_map(|(map, a, b)| {
            let (mut before, mut after) = (map.clone(), map);
            before.insert("x".into(), json!({ "deep": [a, 1], "y/~": true }));
            after.insert("x".into(), json!({ "deep": [b, 1] }));
            (Value::Object(before), Value::Object(after))
        }),
    ]
}

/// Any event within the limits, with or without what the log itself sets.
pub(crate) fn event(with_place: bool) -> impl Strategy<Value = Event> {
    let texts = vec(option::of("[a-z\u{e9}\"\\\\\n]{1,8}"), 12);
    let states = (option::of(object()), option::of(value()), option::of(value()));
    let place = (any::<u64>(), any::<i64>(), option::of(vec(op(), 0..3)));
    let words = (vec("[a-z]{1,6}", 0..3), 0..4_usize, 0..4_usize, option::of(0..1_700_000_000_000_i64));
    (texts, states, place, words).prop_map(move |(mut texts, states, place, words)| {
        let mut next = || texts.pop().flatten();
        let mut event = Event::new("record.updated");
        event.id = next();
        event.actor_id = next();
        event.actor_type = next();
        event.actor_name = next();
        event.on_behalf_of = next();
        event.resource_type = Some("thing".into());
        event.resource_id = next();
        event.ip_address = next();
        event.user_agent = next();
        event.session_id = next();
        event.request_id = next();
        event.tenant = next();
        event.retention_category = next();
        (event.metadata, event.before, event.after) = states;
        event.tags = words.0;
        event.severity = Severity::ALL[words.1];
        event.outcome = Outcome::ALL.get(words.2).copied();
        event.timestamp = words.3;
        if with_place {
            event.seq = Some(place.0);
            event.recorded_at = Some(place.1);
            event.diff = place.2;
        }
        event
    })
}

fn object_of(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    btree_map(name(), inner, 0..5).prop_map(|members| members.into_iter().collect())
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{1,2}",
        "[ -~]{0,6}",
        prop::sample::select(vec!["password", "API_KEY", "email", "~", "/", "", "\u{1F600}", "\u{FB33}", "\u{20AC}"])
            .prop_map(str::to_owned),
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        (-3_i32..3).prop_map(|n| Value::from(f64::from(n))),
        any::<f64>().prop_filter("JSON has finite numbers only", |float| float.is_finite()).prop_map(Value::from),
        "[^\u{0}]{0,8}".prop_map(Value::from),
        prop::sample::select(vec![
            "mail ada@example.com, please",
            "4111 1111 1111 1111",
            "Bearer abcdefghijklmnop",
            "AKIAIOSFODNN7EXAMPLE",
            "[REDACTED]",
            "****1234",
        ])
        .prop_map(Value::from),
    ]
}

fn few() -> impl Strategy<Value = Value> {
    prop_oneof![Just(json!(1)), Just(json!(1.0)), Just(json!(2)), Just(json!({"a": 1})), Just(json!({"a": 2}))]
}

fn op() -> impl Strategy<Value = DiffOp> {
    let kinds = prop::sample::select(vec![DiffKind::Add, DiffKind::Remove, DiffKind::Replace]);
    (kinds, option::of(value()), "(/[a-c])?", option::of(value())).prop_map(|(op, old, path, value)| DiffOp {
        op,
        old,
        path,
        value,
    })
}
