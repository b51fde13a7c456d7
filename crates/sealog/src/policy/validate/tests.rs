use serde_json::json;

use super::*;

const NOW_MS: i64 = 1_700_000_000_000;
const AHEAD_MS: i64 = 300_000;

fn check_from(event: &Event, source: Source) -> Result<()> {
    check(event, source, NOW_MS, AHEAD_MS)
}

/// What is wrong: kind, pointer, message.
fn refused(event: &Event) -> (ErrorKind, String, String) {
    let error = check_from(event, Source::Caller).expect_err("the event is refused");
    (error.kind(), error.pointer().unwrap().to_owned(), error.message().to_owned())
}

fn event() -> Event {
    Event::new("a")
}

#[test]
fn every_limit_holds_exactly_and_names_field_limit_and_size() {
    type Make = fn(usize) -> Event;
    let metadata_of: Make = |size| event().metadata(json!({ "x": "y".repeat(size - 8) }));
    let before_of: Make = |size| Event { before: Some(json!("y".repeat(size - 2))), ..event() };
    let after_of: Make = |size| Event { after: Some(json!("\n".repeat(size / 2 - 1))), ..event() };
    let cases: [(&str, &str, usize, Make); 15] = [
        ("/id", "MAX_ID_BYTES", MAX_ID_BYTES, |size| event().id("x".repeat(size))),
        ("/action", "MAX_ACTION_BYTES", MAX_ACTION_BYTES, |size| Event::new("x".repeat(size))),
        ("/actorId", "MAX_FIELD_BYTES", MAX_FIELD_BYTES, |size| event().actor("x".repeat(size))),
        ("/actorName", "MAX_FIELD_BYTES", MAX_FIELD_BYTES, |size| event().actor_name("x".repeat(size))),
        ("/actorType", "MAX_FIELD_BYTES", MAX_FIELD_BYTES, |size| event().actor_type("x".repeat(size))),
        ("/onBehalfOf", "MAX_FIELD_BYTES", MAX_FIELD_BYTES, |size| event().on_behalf_of("x".repeat(size))),
        ("/resourceId", "MAX_FIELD_BYTES", MAX_FIELD_BYTES, |size| event().resource("t", "x".repeat(size))),
        ("/ipAddress", "MAX_FIELD_BYTES", MAX_FIELD_BYTES, |size| event().ip_address("x".repeat(size))),
        ("/tenant", "MAX_FIELD_BYTES", MAX_FIELD_BYTES, |size| event().tenant("x".repeat(size))),
        ("/userAgent", "MAX_USER_AGENT_BYTES", MAX_USER_AGENT_BYTES, |size| event().user_agent("x".repeat(size))),
        ("/tags", "MAX_TAGS", MAX_TAGS, |size| Event { tags: vec!["x".into(); size], ..event() }),
        ("/tags/1", "MAX_TAG_BYTES", MAX_TAG_BYTES, |size| event().tag("t").tag("x".repeat(size))),
        ("/metadata", "MAX_METADATA_BYTES", MAX_METADATA_BYTES, metadata_of),
        ("/before", "MAX_STATE_BYTES", MAX_STATE_BYTES, before_of),
        ("/changed", "MAX_CHANGED_POINTERS", MAX_CHANGED_POINTERS, |size| Event {
            changed: vec!["/x".into(); size],
            ..event()
        }),
    ];
    for (pointer, name, limit, make) in cases {
        check_from(&make(limit), Source::Caller).unwrap();
        let (kind, at, message) = refused(&make(limit + 1));
        assert_eq!((kind, at.as_str()), (ErrorKind::LimitExceeded, pointer));
        for part in [name, &limit.to_string(), &(limit + 1).to_string()] {
            assert!(message.contains(part), "{message} does not name {part}");
        }
    }
    // Escapes count: what is limited is the canonical JSON.
    check_from(&after_of(MAX_STATE_BYTES), Source::Caller).unwrap();
    assert_eq!(refused(&after_of(MAX_STATE_BYTES + 2)).1, "/after");
    let long = Event { changed: vec![format!("/{}", "x".repeat(MAX_CHANGED_BYTES))], ..event() };
    assert_eq!(refused(&long).0, ErrorKind::LimitExceeded);
}

#[test]
fn nesting_is_limited_and_the_place_is_named() {
    let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!({ "a": inner }));
    let before = |depth| Event { before: Some(nested(depth)), ..event() };
    check_from(&before(MAX_DEPTH), Source::Caller).unwrap();
    let (kind, pointer, message) = refused(&before(MAX_DEPTH + 1));
    assert_eq!((kind, pointer), (ErrorKind::LimitExceeded, format!("/before{}", "/a".repeat(MAX_DEPTH))));
    assert!(message.contains("64"));
    check_from(&event().metadata(nested(MAX_DEPTH)), Source::Caller).unwrap();
    assert_eq!(refused(&event().metadata(nested(MAX_DEPTH + 1))).0, ErrorKind::LimitExceeded);
}

#[test]
fn nul_characters_are_refused_everywhere() {
    for (event, pointer) in [
        (Event::new("a\0"), "/action"),
        (event().id("\0"), "/id"),
        (event().user_agent("x\0"), "/userAgent"),
        (event().tag("x\0"), "/tags/0"),
        (event().metadata(json!({"a": [1, {"b/c": "x\0"}]})), "/metadata/a/1/b~1c"),
        (event().change(json!({"a": {"\0": 1}}), json!(1)), "/before/a"),
        (event().change(json!(1), json!("\0")), "/after"),
        (Event { changed: vec!["/a".into(), "/\0".into()], ..event() }, "/changed/1"),
    ] {
        let (kind, at, message) = refused(&event);
        assert_eq!((kind, at.as_str()), (ErrorKind::InvalidEvent, pointer));
        assert!(message.contains("NUL"), "{message}");
    }
}

#[test]
fn actions_of_the_log_itself_are_reserved() {
    for action in ["sealog", "sealog.x", "SEALOG.x", "SeaLog", " sealog.x", "sealog .x", "sealog."] {
        let (kind, pointer, _) = refused(&Event::new(action));
        assert_eq!((kind, pointer.as_str()), (ErrorKind::ReservedAction, "/action"), "{action}");
        check_from(&Event::new(action), Source::Own).unwrap();
        let staged = Event::new(action).id("i").timestamp(1);
        assert_eq!(check_from(&staged, Source::Staged).unwrap_err().kind(), ErrorKind::ReservedAction);
    }
    check_from(&Event::new("sealogs.x"), Source::Caller).unwrap();
    for action in ["", " ", "\t\n", "\u{a0}"] {
        assert_eq!(refused(&Event::new(action)).0, ErrorKind::InvalidEvent);
    }
}

#[test]
fn times_outside_the_window_are_refused() {
    check_from(&event().timestamp(0), Source::Caller).unwrap();
    check_from(&event().timestamp(NOW_MS + AHEAD_MS), Source::Caller).unwrap();
    for timestamp in [-1, i64::MIN, NOW_MS + AHEAD_MS + 1, i64::MAX] {
        let (kind, pointer, _) = refused(&event().timestamp(timestamp));
        assert_eq!((kind, pointer.as_str()), (ErrorKind::InvalidEvent, "/timestamp"));
    }
    check(&event().timestamp(i64::MAX), Source::Caller, NOW_MS, i64::MAX).unwrap();
}

#[test]
fn fields_that_identify_are_not_empty() {
    for (event, pointer) in [
        (event().id(""), "/id"),
        (event().actor(""), "/actorId"),
        (event().resource("", "x"), "/resourceType"),
        (event().resource("x", ""), "/resourceId"),
        (event().tag("x").tag(""), "/tags/1"),
        (Event { resource_id: Some("x".into()), ..event() }, "/resourceId"),
    ] {
        assert_eq!(refused(&event).1, pointer);
    }
    check_from(&event().user_agent("").ip_address("").actor_name(""), Source::Caller).unwrap();
}

#[test]
fn what_the_log_assigns_cannot_be_sent() {
    let from = |member: &str| Event::from_json(&format!(r#"{{"action":"a",{member}}}"#)).unwrap();
    for (member, pointer) in [(r#""seq":1"#, "/seq"), (r#""recordedAt":1"#, "/recordedAt"), (r#""diff":[]"#, "/diff")] {
        let (kind, at, _) = refused(&from(member));
        assert_eq!((kind, at.as_str()), (ErrorKind::InvalidEvent, pointer));
    }
}

#[test]
fn pointers_are_checked() {
    for pointer in ["a", "/~2", "~"] {
        let event = Event { changed: vec![String::new(), pointer.into()], ..event() };
        assert_eq!(refused(&event).1, "/changed/1");
    }
    let staged = r#"{"action":"a","id":"i","timestamp":1,"diff":[{"op":"add","path":"a","value":1}]}"#;
    let error = check_from(&Event::from_json(staged).unwrap(), Source::Staged).unwrap_err();
    assert_eq!(error.pointer(), Some("/diff/0/path"));
}

proptest::proptest! {
    #[test]
    fn measured_sizes_are_those_of_canonical_json(value in crate::policy::arbitrary::value()) {
        let size = measure(&value, MAX_DEPTH).ok().expect("random values are within the limits");
        proptest::prop_assert_eq!(size, canonical::to_vec(&value).len());
    }
}
