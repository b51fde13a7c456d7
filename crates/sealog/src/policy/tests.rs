use serde_json::{Value, json};

use super::*;
use crate::event::Event;

fn metadata(policy: &Policy, metadata: Value) -> Value {
    let event = Event::new("a").metadata(metadata);
    match policy.compile([7; 32]).unwrap().apply(event, 1, || "i".into()).unwrap() {
        Applied::Keep(prepared) => prepared.event().metadata.unwrap().into(),
        Applied::Sampled { .. } => panic!("all are kept"),
    }
}

fn bare() -> Policy {
    Policy::default().defaults(false)
}

#[test]
fn secrets_are_redacted_by_default() {
    for name in ["password", "API_KEY", "x-api-key", "Set-Cookie", "Authorization", "creditCard", "SSN", "access_token"]
    {
        assert_eq!(metadata(&Policy::default(), json!({ name: "x" })), json!({ name: "[REDACTED]" }));
    }
    let harmless = json!({"email": "ada@example.com", "tokens": 3, "nextToken": "x", "sshKeys": 1});
    assert_eq!(metadata(&Policy::default(), harmless.clone()), harmless);
    let mut names: Vec<_> = Policy::DEFAULT_NAMES.iter().map(|name| normalize(name)).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Policy::DEFAULT_NAMES.len());
}

#[test]
fn a_later_rule_for_a_name_takes_the_place_of_an_earlier_one() {
    let policy = Policy::default().redact_with("pass_word", Mode::Mask);
    assert_eq!(metadata(&policy, json!({"password": "123456"})), json!({"password": "****3456"}));
    assert_eq!(metadata(&Policy::default().keep("pass-word"), json!({"password": "x"})), json!({"password": "x"}));
}

#[test]
fn paths_lead_through_objects_and_arrays() {
    let document =
        || json!({"users": [{"email": "a", "x": 1}, [{"email": "b"}]], "email": "c", "rows": [[1, 2], [3, 4]]});
    for (path, expected) in [
        (
            "metadata.users.email",
            json!({"users": [{"email": "#", "x": 1}, [{"email": "#"}]], "email": "c", "rows": [[1, 2], [3, 4]]}),
        ),
        (
            "metadata.users.0.email",
            json!({"users": [{"email": "#", "x": 1}, [{"email": "b"}]], "email": "c", "rows": [[1, 2], [3, 4]]}),
        ),
        (
            "metadata.users.*.E-Mail",
            json!({"users": [{"email": "#", "x": 1}, [{"email": "#"}]], "email": "c", "rows": [[1, 2], [3, 4]]}),
        ),
        (
            "/metadata/email",
            json!({"users": [{"email": "a", "x": 1}, [{"email": "b"}]], "email": "#", "rows": [[1, 2], [3, 4]]}),
        ),
        (
            "metadata.rows.0",
            json!({"users": [{"email": "a", "x": 1}, [{"email": "b"}]], "email": "c", "rows": ["#", [3, 4]]}),
        ),
        (
            "metadata.rows.1.0",
            json!({"users": [{"email": "a", "x": 1}, [{"email": "b"}]], "email": "c", "rows": [[1, 2], ["#", 4]]}),
        ),
        (
            "metadata.*.email",
            json!({"users": [{"email": "#", "x": 1}, [{"email": "#"}]], "email": "c", "rows": [[1, 2], [3, 4]]}),
        ),
        ("before.email", document()),
    ] {
        let redacted = metadata(&bare().redact_path(path), document());
        let shown: Value = serde_json::from_str(&redacted.to_string().replace("[REDACTED]", "#")).unwrap();
        assert_eq!(shown, expected, "{path}");
    }
    let labels = json!({"labels": {"app.kubernetes.io/name": "x"}});
    let policy = bare().redact_path_with("/metadata/labels/app.kubernetes.io~1name", Mode::Remove);
    assert_eq!(metadata(&policy, labels), json!({"labels": {}}));
}

#[test]
fn a_path_goes_before_a_name_and_the_stronger_path_holds() {
    let policy = bare().redact("email").redact_path_with("metadata.user.email", Mode::Mask);
    let document = json!({"email": "ada@example.com", "user": {"email": "ada@example.com"}});
    assert_eq!(metadata(&policy, document.clone()), json!({"email": "[REDACTED]", "user": {"email": "****.com"}}));
    let policy = policy.redact_path_with("metadata.*.email", Mode::Remove);
    assert_eq!(metadata(&policy, document), json!({"email": "[REDACTED]", "user": {}}));
}

#[test]
fn removed_elements_keep_their_places() {
    let policy = bare().redact_path_with("metadata.list.0", Mode::Remove);
    assert_eq!(metadata(&policy, json!({"list": [1, 2]})), json!({"list": ["[REDACTED]", 2]}));
}

#[test]
fn detectors_look_into_values_and_names() {
    let policy = bare().detect(Detector::Email).detect(Detector::CardNumber);
    let document = json!({
        "note": "ask ada@example.com", "n": 4_111_111_111_111_111_u64,
        "by": {"ada@example.com": 1, "eve@example.com": 2, "x": ["eve@example.com"]}
    });
    assert_eq!(
        metadata(&policy, document.clone()),
        json!({
            "note": "ask [REDACTED]", "n": "[REDACTED]",
            "by": {"[REDACTED]": 1, "[REDACTED]#2": 2, "x": ["[REDACTED]"]}
        })
    );
    let policy = policy.detector_mode(Mode::Remove);
    assert_eq!(metadata(&policy, document)["note"], json!("ask "));
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    for (policy, part) in [
        (Policy::default().redact(""), "empty"),
        (Policy::default().redact("_-"), "empty"),
        (Policy::default().keep("-"), "empty"),
        (Policy::default().redact_path("user.email"), "begin with"),
        (Policy::default().redact_path("Metadata.email"), "begin with"),
        (Policy::default().redact_path(""), "begin with"),
        (Policy::default().redact_path("metadata"), "names no field"),
        (Policy::default().redact_path("metadata..email"), "empty name"),
        (Policy::default().redact_path("/metadata/~2"), "JSON Pointer"),
        (Policy::default().sample_info(f64::NAN), "0.0 to 1.0"),
        (Policy::default().sample_info(-0.1), "0.0 to 1.0"),
        (Policy::default().sample_info(1.1), "0.0 to 1.0"),
        (Policy::default().max_future_ms(-1), "max_future_ms"),
    ] {
        let error = policy.compile([7; 32]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains(part), "{error}");
    }
}

#[test]
fn a_policy_is_plain_data() {
    assert_eq!(serde_json::from_str::<Policy>("{}").unwrap(), Policy::default());
    let text = r#"{"redactFields": [{"name": "x"}], "detectors": ["cardNumber"], "detectorMode": "mask",
        "ipAddress": "truncate", "redactPaths": [{"path": "after.y", "mode": "remove"}]}"#;
    let policy: Policy = serde_json::from_str(text).unwrap();
    assert_eq!(policy.redact_fields, [RedactField { name: "x".into(), mode: Mode::Redact }]);
    assert_eq!((policy.sampling, policy.ip_address), (1.0, IpPolicy::Truncate));
    assert!(serde_json::from_str::<Policy>(r#"{"sampleing": 1}"#).is_err());
    let error = serde_json::from_str::<Policy>(r#"{"redactFields": ["email"]}"#).unwrap_err().to_string();
    assert!(error.contains(r#"an object such as {"name": "email""#), "{error}");
}

#[test]
fn what_a_policy_lists_comes_on_top_of_the_defaults() {
    let sent = || json!({"email": "e", "password": "p", "token": "t"});
    for (policy, stored) in [
        (r#"{"redactFields": [{"name": "email"}]}"#, json!({"email": "#", "password": "#", "token": "#"})),
        (r#"{"keep": ["TOKEN"]}"#, json!({"email": "e", "password": "#", "token": "t"})),
        (r#"{"defaults": false}"#, sent()),
        (
            r#"{"defaults": false, "redactFields": [{"name": "email"}]}"#,
            json!({"email": "#", "password": "p", "token": "t"}),
        ),
        (r#"{"redactFields": [{"name": "token", "mode": "remove"}]}"#, json!({"email": "e", "password": "#"})),
    ] {
        let redacted = metadata(&serde_json::from_str(policy).unwrap(), sent());
        let shown: Value = serde_json::from_str(&redacted.to_string().replace("[REDACTED]", "#")).unwrap();
        assert_eq!(shown, stored, "{policy}");
    }
    let both: Policy = serde_json::from_str(r#"{"keep": ["e_mail"], "redactFields": [{"name": "email"}]}"#).unwrap();
    assert!(both.compile([7; 32]).unwrap_err().message().contains("both"));
    // Of calls, the last one holds.
    let token = |policy: &Policy| metadata(policy, json!({"token": "t"}))["token"] == "t";
    assert!(!token(&Policy::default().keep("token").redact("Token")));
    assert!(token(&Policy::default().redact("token").keep("Token")));
}

/// `docs/POLICY.md` is what people write their policies by.
#[test]
fn the_document_of_the_policy_is_true() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/POLICY.md");
    let document = std::fs::read_to_string(path).unwrap();
    let mut examples = 0;
    for block in document.split("```json\n").skip(1) {
        let policy: Policy = serde_json::from_str(block.split("```").next().unwrap()).unwrap();
        policy.compile([7; 32]).unwrap();
        examples += 1;
    }
    assert!(examples >= 2);
    let listed = document.split("\n## ").find(|part| part.starts_with("The default names")).unwrap();
    let listed: Vec<_> = listed.split('`').skip(1).step_by(2).collect();
    assert_eq!(listed, Policy::DEFAULT_NAMES);
    for word in ["email", "cardNumber", "jwt", "bearerToken", "cloudKeyId", "redact", "mask", "hash", "remove"] {
        assert!(document.contains(&format!("| `{word}` |")), "{word}");
    }
}

#[test]
fn a_compiled_policy_is_shared_between_threads() {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Compiled>();
}
