use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::policy::{Detector, Policy, arbitrary};

const NOW_MS: i64 = 1_700_000_000_000;

fn compile(policy: &Policy) -> Compiled {
    policy.compile([7; 32]).unwrap()
}

fn keep(policy: &Compiled, event: Event) -> Prepared {
    match policy.apply(event, NOW_MS, || "new-id".to_owned()).unwrap() {
        Applied::Keep(prepared) => prepared,
        Applied::Sampled { id } => panic!("{id} was sampled away"),
    }
}

fn kept(policy: &Policy, event: Event) -> Value {
    serde_json::to_value(keep(&compile(policy), event).event()).unwrap()
}

fn changed(policy: &Policy, before: Value, after: Value) -> Value {
    kept(policy, Event::new("record.updated").change(before, after))
}

#[test]
fn defaults_are_filled_in_and_digests_are_of_what_was_sent() {
    let policy = compile(&Policy::default());
    let drawn = keep(&policy, Event::new("a"));
    assert_eq!((drawn.id.as_str(), drawn.timestamp, drawn.digest), ("new-id", NOW_MS, None));

    let given = keep(&policy, Event::new("a").id("i"));
    let later = policy.apply(Event::new("a").id("i"), NOW_MS + 9, String::new).unwrap();
    let Applied::Keep(later) = later else { panic!("all are kept") };
    assert!(given.digest.is_some() && given.digest == later.digest);
    let secret = |value: &str| keep(&policy, Event::new("a").id("i").metadata(json!({ "password": value })));
    assert_eq!(secret("1").sealable, secret("2").sealable);
    assert_ne!(secret("1").digest, secret("2").digest);

    let mut bytes = Vec::new();
    given.sealable.seal(5, 6, &mut bytes);
    assert_eq!(
        String::from_utf8(bytes).unwrap(),
        format!(r#"{{"action":"a","id":"i","recordedAt":5,"seq":6,"severity":"info","timestamp":{NOW_MS}}}"#)
    );
}

#[test]
fn a_change_of_a_hidden_field_shows_as_a_change() {
    let before = json!({"password": "one", "profile": {"secret": {"hunter2": 1}}, "kept": 1});
    let after = json!({"password": "two", "profile": {"secret": {"hunter3": 2}}, "kept": 1});
    let event = changed(&Policy::default(), before.clone(), after.clone());
    assert_eq!(
        event["diff"],
        json!([
            {"op": "replace", "path": "/password", "old": "[REDACTED]", "value": "[REDACTED]"},
            {"op": "replace", "path": "/profile/secret", "old": "[REDACTED]", "value": "[REDACTED]"}
        ])
    );
    assert_eq!(event["after"], json!({"password": "[REDACTED]", "profile": {"secret": "[REDACTED]"}, "kept": 1}));

    let policy = Policy::default().redact_with("password", Mode::Remove).redact_with("secret", Mode::Hash);
    let event = changed(&policy, before, after);
    assert_eq!(
        event["diff"][0],
        json!({"op": "replace", "path": "/password", "old": "[REDACTED]", "value": "[REDACTED]"})
    );
    assert_eq!(event["diff"][1]["old"], event["before"]["profile"]["secret"]);
    assert_eq!(event["diff"][1]["value"], event["after"]["profile"]["secret"]);
    assert_ne!(event["diff"][1]["value"], event["diff"][1]["old"]);
    assert!(event["before"].get("password").is_none());
}

#[test]
fn what_the_caller_says_has_changed_is_kept() {
    let hidden = json!({"ssn": "[REDACTED]", "name": "Ada", "deep": {"token": "[REDACTED]"}});
    let mut event = Event::new("record.updated").change(hidden, json!({"ssn": "[REDACTED]", "name": "Eve"}));
    event.changed = ["/ssn", "/name", "/deep/token", "/gone", "/gone"].map(str::to_owned).into();
    let event = kept(&Policy::default(), event);
    assert!(event.get("changed").is_none());
    assert_eq!(
        event["diff"],
        json!([
            {"op": "remove", "path": "/deep", "old": {"token": "[REDACTED]"}},
            {"op": "replace", "path": "/name", "old": "Ada", "value": "Eve"},
            {"op": "replace", "path": "/ssn", "old": "[REDACTED]", "value": "[REDACTED]"},
            {"op": "replace", "path": "/gone", "old": "[REDACTED]", "value": "[REDACTED]"}
        ])
    );

    // Also without states, and never with a name that stands below a hidden value.
    let mut event = Event::new("record.updated");
    event.changed = vec!["/user/password/hunter2".into()];
    let event = kept(&Policy::default(), event);
    assert_eq!(event["diff"][0]["path"], json!("/user/password"));
}

#[test]
fn a_diff_is_only_made_of_two_states() {
    let policy = Policy::default();
    let mut event = Event::new("record.created");
    event.after = Some(json!(null));
    assert!(kept(&policy, event).get("diff").is_none());
    assert_eq!(changed(&policy, json!(null), json!(null))["diff"], json!([]));
}

#[test]
fn sampling_spares_changes_and_severity_and_falls_alike() {
    let policy = compile(&Policy::default().sample_info(0.25));
    let is_kept = |event: Event| matches!(policy.apply(event, NOW_MS, String::new).unwrap(), Applied::Keep(_));
    let count = (0..4_000).filter(|n| is_kept(Event::new("a").id(n.to_string()))).count();
    assert!((900..1_100).contains(&count), "{count}");
    for n in 0..50 {
        let event = |action: &str| Event::new(action).id(n.to_string());
        assert_eq!(is_kept(event("a")), is_kept(event("b").metadata(json!({"retry": true}))));
        assert!(is_kept(event("a").severity(Severity::Warning)));
        assert!(is_kept(event("a").change(json!(1), json!(1))));
    }
    let none = compile(&Policy::default().sample_info(0.0));
    assert!((0..100).all(|n| matches!(
        none.apply(Event::new("a"), NOW_MS, || n.to_string()).unwrap(),
        Applied::Sampled { id } if id == n.to_string()
    )));
}

#[test]
fn the_events_own_fields_are_hidden_by_name_where_asked() {
    let mut event =
        Event::new("a").id("i").actor("u").actor_name("Ada Byron").user_agent("ua").ip_address("203.0.113.9");
    event.tags = vec!["x".into(), "y".into(), "x".into()];
    let policy = Policy::default()
        .redact_with("actor_name", Mode::Mask)
        .redact_with("userAgent", Mode::Remove)
        .ip_address(IpPolicy::Truncate);
    let out = kept(&policy, event.clone());
    assert_eq!(out["actorName"], json!("****yron"));
    assert_eq!(
        (&out["ipAddress"], out.get("userAgent"), &out["tags"]),
        (&json!("203.0.113.0"), None, &json!(["x", "y"]))
    );

    let all = ["id", "action", "severity", "tags", "tenant"].into_iter().fold(policy, Policy::redact);
    let out = kept(&all, event.tenant("t"));
    assert_eq!((&out["id"], &out["action"], &out["tenant"]), (&json!("i"), &json!("a"), &json!("t")));
    assert_eq!(out["tags"], json!(["[REDACTED]"]));
}

#[test]
fn the_logs_own_events_are_neither_sampled_nor_hidden() {
    let policy = compile(&Policy::default().sample_info(0.0));
    let event = Event::new("sealog.settings.changed").change(json!({"token": 1}), json!({"token": 2}));
    let own = policy.apply_own(event.clone(), NOW_MS, || "i".into()).unwrap();
    assert_eq!(own.event().after, Some(json!({"token": 2})));
    assert_eq!(own.event().diff.map(|ops| ops.len()), Some(1));
    assert_eq!(policy.apply(event, NOW_MS, String::new).unwrap_err().kind(), ErrorKind::ReservedAction);
}

#[test]
fn an_event_that_grows_past_the_whole_limit_is_refused() {
    // Two states of the largest size that have nothing in common fit.
    let state = |letter: &str| json!({ "text": letter.repeat(1_040_000) });
    let event = Event::new("a").metadata(json!({"x": "y".repeat(200_000)})).change(state("a"), state("b"));
    assert!(compile(&Policy::default()).apply(event, NOW_MS, String::new).is_ok());

    // Short values that are hashed grow.
    let event = Event { before: Some(json!(vec![json!({"pwd": "x"}); 80_000])), ..Event::new("a") };
    let policy = Policy::default().redact_with("pwd", Mode::Hash);
    let error = compile(&policy).apply(event, NOW_MS, String::new).map(|_| ()).unwrap_err();
    assert_eq!((error.kind(), error.pointer()), (ErrorKind::LimitExceeded, Some("")));
    assert!(error.message().contains("MAX_EVENT_BYTES") && error.message().contains("5242880"), "{error}");
}

#[test]
fn a_document_that_nests_too_deep_is_refused_without_overflow() {
    let deep = (0..200_000).fold(json!(1), |inner, _| Value::Array(vec![inner]));
    let error = compile(&Policy::default()).apply(Event::new("a").change(deep, json!(1)), NOW_MS, String::new);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::LimitExceeded);
}

#[test]
fn staged_events_need_what_staging_gives() {
    let policy = compile(&Policy::default());
    let error = policy.apply_staged(Event::new("a").timestamp(1), None, NOW_MS).unwrap_err();
    assert_eq!(error.pointer(), Some("/id"));
    let error = policy.apply_staged(Event::new("a").id("i"), None, NOW_MS).unwrap_err();
    assert_eq!(error.pointer(), Some("/timestamp"));

    // Hashes are longer than what they stand for: staging must not make an event too large.
    let pins: Vec<_> = (0..15_000).map(|n| json!({ "pin": n })).collect();
    let policy = compile(&Policy::default().redact_with("pin", Mode::Hash));
    let staged = keep(&policy, Event::new("a").metadata(json!({ "pins": pins })));
    let again = policy.apply_staged(staged.event().clone(), None, NOW_MS).unwrap();
    assert_eq!(again.sealable, staged.sealable);
}

#[test]
fn a_forged_diff_is_hidden_too() {
    let json = r#"{"action":"a","id":"i","timestamp":1,"diff":[
        {"op":"replace","path":"/user/password","old":"one","value":"two"},
        {"op":"add","path":"/secret/hunter2/0","value":"three"},
        {"op":"remove","path":"/secret/hunter3","old":"four"},
        {"op":"add","path":"/x","value":{"token":"five"}}]}"#;
    let event = Event::from_json(json).unwrap();
    let prepared = compile(&Policy::default()).apply_staged(event, Some([9; 16]), NOW_MS).unwrap();
    assert_eq!(prepared.digest, Some([9; 16]));
    let hidden = json!("[REDACTED]");
    assert_eq!(
        serde_json::to_value(prepared.event().diff).unwrap(),
        json!([
            {"op": "replace", "path": "/user/password", "old": hidden, "value": hidden},
            {"op": "replace", "path": "/secret", "old": hidden, "value": hidden},
            {"op": "add", "path": "/x", "value": {"token": hidden}}
        ])
    );
}

#[test]
fn the_copy_of_what_is_no_event_is_redacted_too() {
    let policy = compile(&Policy::default().redact_path("after.list.x").ip_address(IpPolicy::Truncate));
    let row = json!({
        "acton": "a", "password": 1, "after": {"list": [{"x": 2, "TOKEN": 3, "y": 4}]}, "ipAddress": "203.0.113.9",
        "diff": [{"op": "add", "path": "/password", "value": 5}], "changed": ["/password/hunter2"]
    });
    let hidden = "[REDACTED]";
    assert_eq!(
        policy.redacted_copy(&row),
        json!({
            "acton": "a", "password": hidden, "after": {"list": [{"x": hidden, "TOKEN": hidden, "y": 4}]},
            "ipAddress": "203.0.113.0", "diff": hidden, "changed": hidden
        })
    );
    assert_eq!(policy.redacted_copy(&json!([{"password": 1}])), json!([{ "password": hidden }]));
}

/// Policies that differ in all that idempotence could break on.
fn policies() -> impl Strategy<Value = Policy> {
    let mode = || prop::sample::select(vec![Mode::Redact, Mode::Mask, Mode::Hash, Mode::Remove]);
    let path =
        prop::sample::select(vec!["after.a", "before.x.deep.0", "metadata.*.b", "after.0", "after.*", "before.b"]);
    let ip = prop::sample::select(vec![IpPolicy::Keep, IpPolicy::Truncate, IpPolicy::Hash]);
    (mode(), mode(), path, mode(), any::<bool>(), mode(), ip).prop_map(|(a, b, path, at_path, detect, found, ip)| {
        let policy = Policy::default()
            .redact_with("password", a)
            .redact_with("b", b)
            .redact_with("actorName", b)
            .redact_with("tags", b)
            .redact_path_with(path, at_path)
            .detector_mode(found)
            .ip_address(ip);
        let all = [Detector::Email, Detector::CardNumber, Detector::Jwt, Detector::BearerToken, Detector::CloudKeyId];
        if detect { all.into_iter().fold(policy, Policy::detect) } else { policy }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn applied_to_its_own_result_the_policy_changes_nothing(
        policy in policies(),
        mut event in arbitrary::event(false),
        states in arbitrary::pair(),
        paired in any::<bool>(),
        pointers in prop::collection::vec("(/[a-c0-2]{1,2}|/password){0,3}", 0..3),
    ) {
        if paired {
            (event.before, event.after) = (Some(states.0), Some(states.1));
        }
        event.changed = pointers;
        let policy = compile(&policy);
        let once = keep(&policy, event);

        // As it travels: as JSON.
        let staged: Event = serde_json::from_slice(once.sealable.unsealed()).unwrap();
        let twice = policy.apply_staged(staged, once.digest, NOW_MS + 1_000).unwrap();
        prop_assert_eq!(
            std::str::from_utf8(twice.sealable.unsealed()).unwrap(),
            std::str::from_utf8(once.sealable.unsealed()).unwrap()
        );
        prop_assert_eq!((twice.id, twice.timestamp, twice.digest), (once.id, once.timestamp, once.digest));
    }

    #[test]
    fn a_hidden_value_is_nowhere_in_what_is_stored(
        before in arbitrary::value(),
        after in arbitrary::value(),
        mode in prop::sample::select(vec![Mode::Redact, Mode::Hash, Mode::Remove]),
    ) {
        // A needle in the value and in a name below it, at the places a document has.
        let with = |inner: Value, needle: &str| {
            json!([{"deep": {"Pass-Word": {needle: [needle], "n": inner}}}, {"PASSWORD": needle}, {"x": "kept"}])
        };
        let mut event = Event::new("a").change(with(before, "needle1"), with(after, "needle2"));
        event.metadata = json!({"list": [[{"pass_word": "needle3"}]]}).as_object().cloned();
        event.changed = vec!["/0/deep/password/needle1".into()];
        let stored = keep(&compile(&Policy::default().redact_with("password", mode)), event);
        let stored = std::str::from_utf8(stored.sealable.unsealed()).unwrap();
        prop_assert!(!stored.contains("needle"), "{}", stored);
        prop_assert!(stored.contains("kept"));
    }
}
