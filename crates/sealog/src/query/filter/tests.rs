use super::*;

fn pointer_and_message(filter: &Filter) -> (String, String) {
    let error = filter.validate().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    (error.pointer().unwrap().to_owned(), error.message().to_owned())
}

#[test]
fn the_builder_fills_every_field() {
    let filter = Filter::new()
        .severity(Severity::Info)
        .severity_from(Severity::Error)
        .action("user.*")
        .actor("u-17")
        .actor_type("user")
        .resource_type("invoice")
        .resource("invoice", "i-4")
        .tag_any("a")
        .tag_any("b")
        .tag_all("c")
        .outcome(Outcome::Denied)
        .tenant("acme")
        .ip_address("10.0.0.0/8")
        .session("s-1")
        .request("r-1")
        .retention_category("short")
        .from_timestamp(1000)
        .to_timestamp(2000)
        .text(" reset   link ")
        .changed("spec.replicas");
    filter.validate().unwrap();
    assert_eq!(
        serde_json::to_value(&filter).unwrap(),
        json!({
            "severities": ["info", "error", "critical"], "actions": ["user.*"], "actorIds": ["u-17"],
            "actorTypes": ["user"], "resourceTypes": ["invoice"], "resource": {"type": "invoice", "id": "i-4"},
            "tagsAny": ["a", "b"], "tagsAll": ["c"], "outcomes": ["denied"], "tenant": "acme",
            "ipAddresses": ["10.0.0.0/8"], "sessionId": "s-1", "requestId": "r-1", "retentionCategories": ["short"],
            "fromTimestamp": 1000, "toTimestamp": 2000, "text": "reset link", "changed": "spec.replicas"
        })
    );
}

#[test]
fn nothing_asked_is_empty() {
    assert!(Filter::new().is_empty() && Filter::new().text(" ").is_empty());
    assert!(Filter::from_json(r#"{"text": "", "actions": [], "tenant": null}"#).unwrap().is_empty());
    assert!(!Filter::new().to_timestamp(0).is_empty());
}

#[test]
fn other_names_are_read() {
    let expected = Filter::new()
        .severity(Severity::Error)
        .action("user.login")
        .actor("u-17")
        .actor_type("user")
        .resource_type("invoice")
        .tag_any("a")
        .outcome(Outcome::Failure)
        .ip_address("10.0.0.1")
        .retention_category("short");
    for json in [
        r#"{"severity": "error", "action": "user.login", "actorId": "u-17", "actorType": "user",
            "resourceType": "invoice", "tags": "a", "outcome": "failure", "ipAddress": "10.0.0.1",
            "retentionCategory": "short"}"#,
        r#"{"severity": ["error"], "action": ["user.login"], "actorId": ["u-17"], "actorType": ["user"],
            "resourceType": ["invoice"], "tags": ["a"], "outcome": ["failure"], "ipAddress": ["10.0.0.1"],
            "retentionCategory": ["short"]}"#,
    ] {
        assert_eq!(Filter::from_json(json).unwrap(), expected);
    }
}

#[test]
fn json_errors_name_what_is_wrong() {
    for (json, expected) in [
        (r#"{"actr": "u"}"#, "/actr: unknown field `actr`, expected one of `severities`"),
        (r#"{"tenant": "a", "severity": ["loud"]}"#, "/severity: unknown variant `loud`, expected one of `info`"),
        (r#"{"actions": 3}"#, "/actions: invalid type: integer `3`, expected a string or a list of strings"),
        (r#"{"resource": {"type": "invoice"}}"#, "/resource: missing field `id`"),
        (r#"{"fromTimestamp": "7d"}"#, "/fromTimestamp: invalid type: string \"7d\", expected i64"),
        (r#"{"text": "\"a"}"#, "/text: the double quote that is character 1 is not closed"),
        (r#"{"severity": "info", "severities": []}"#, "this is no filter: duplicate field `severities`"),
        (r#"{"tenant": "a", "tenant": "b"}"#, "this is no filter: duplicate field `tenant`"),
        ("[]", "this is no filter: it is no JSON object"),
        ("{", "this is no filter: EOF while parsing an object"),
        (r#"{"tenant": ""}"#, "/tenant: is empty"),
    ] {
        let error = Filter::from_json(json).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let long = "x".repeat(MAX_FILTER_VALUE_BYTES + 1);
    let many = Filter { tags_all: vec!["a".into(); MAX_FILTER_VALUES + 1], ..Filter::new() };
    let raw_text = |text: &str| Filter { text: Some(text.into()), ..Filter::new() };
    for (filter, pointer, message) in [
        (Filter::new().action("user.login").action("*"), "/actions/1", "`*` can only be all of the last part"),
        (Filter::new().action("user.*.failed"), "/actions/0", "`*` can only be"),
        (Filter::new().action("user.log*"), "/actions/0", "`*` can only be"),
        (Filter::new().action(".*"), "/actions/0", "`*` can only be"),
        (Filter::new().actor("u").actor(""), "/actorIds/1", "is empty"),
        (Filter::new().session(""), "/sessionId", "is empty"),
        (Filter::new().resource("invoice", ""), "/resource/id", "is empty"),
        (Filter::new().tag_any(&long), "/tagsAny/0", "has 4097 bytes; MAX_FILTER_VALUE_BYTES is 4096"),
        (many, "/tagsAll", "has 1001 values; MAX_FILTER_VALUES is 1000"),
        (Filter::new().ip_address("10.0.0.0/33"), "/ipAddresses/0", "is no network"),
        (Filter::new().from_timestamp(5).to_timestamp(5), "/toTimestamp", "is not after the time to begin at, 5"),
        (Filter::new().changed("spec..replicas"), "/changed", "is no path"),
        (Filter::new().changed("/spec/~2"), "/changed", "where `~` is written `~0`"),
        (Filter::new().text(&long), "/text", "has 4097 bytes"),
        // It fits as it is, and not with the quotes that it needs.
        (raw_text(&":".repeat(MAX_FILTER_VALUE_BYTES)), "/text", "has 4098 bytes"),
        (Filter::new().text("reset \"link"), "/text", "character 7 is not closed"),
        (raw_text(" "), "/text", "is empty"),
    ] {
        let (found, why) = pointer_and_message(&filter);
        assert!(found == pointer && why.contains(message), "{found}: {why}");
    }
}

#[test]
fn addresses_become_ranges() {
    let range = |first: &str, last: &str| Network::Range { first: first.parse().unwrap(), last: last.parse().unwrap() };
    let text = |text: &str| Network::Text(text.to_owned());
    for (address, expected) in [
        ("203.0.113.9", range("::ffff:203.0.113.9", "::ffff:203.0.113.9")),
        ("203.0.113.9/32", range("::ffff:203.0.113.9", "::ffff:203.0.113.9")),
        ("10.1.2.3/8", range("::ffff:10.0.0.0", "::ffff:10.255.255.255")),
        ("0.0.0.0/0", range("::ffff:0.0.0.0", "::ffff:255.255.255.255")),
        ("2001:db8::1", range("2001:db8::1", "2001:db8::1")),
        ("2001:db8::/32", range("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")),
        ("::ffff:10.0.0.0/104", range("::ffff:10.0.0.0", "::ffff:10.255.255.255")),
        ("::/0", range("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")),
        ("cloudtrail.amazonaws.com", text("cloudtrail.amazonaws.com")),
        ("AWS/Internal", text("AWS/Internal")),
        ("010.1.2.3", text("010.1.2.3")),
    ] {
        assert_eq!(Filter::new().ip_address(address).networks().unwrap(), [expected]);
    }
    for network in ["10.0.0.0/33", "10.0.0/8", "2001:db8::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8", "1:2:3/16"]
    {
        let error = Filter::new().ip_address("::1").ip_address(network).networks().unwrap_err();
        assert_eq!(error.pointer(), Some("/ipAddresses/1"));
        assert!(error.message().contains(&format!("{network:?} is no network")), "{error}");
    }
}

#[test]
fn a_path_becomes_a_pointer() {
    for (path, pointer) in [
        ("spec.replicas", "/spec/replicas"),
        ("a/b.m~n", "/a~1b/m~0n"),
        ("/labels/app.kubernetes.io~1name", "/labels/app.kubernetes.io~1name"),
        ("/", "/"),
    ] {
        let filter = Filter::new().changed(path);
        filter.validate().unwrap();
        assert_eq!(filter.changed_pointer().as_deref(), Some(pointer));
    }
    assert_eq!(Filter::new().changed_pointer(), None);
}

#[test]
fn the_text_is_read_as_terms() {
    let terms = Filter::new().text("reset -\"old link\"").terms().unwrap();
    assert_eq!(
        terms,
        [
            Term { negated: false, phrase: false, text: "reset".into() },
            Term { negated: true, phrase: true, text: "old link".into() },
        ]
    );
    assert_eq!(Filter::new().terms().unwrap(), []);
}
