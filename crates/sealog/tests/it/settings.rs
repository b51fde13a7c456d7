//! Settings: kept in the journal, changed only through it, in force at once.

use sealog::{AuditLog, ErrorKind, Event, Filter, Mode, PageOptions, Policy, Settings, Severity};
use serde_json::json;

use crate::support::{Fixture, check, receipt};

async fn metadata(log: &AuditLog, event: Event) -> serde_json::Value {
    let receipt = receipt(log.log(event).await.unwrap());
    log.get(&receipt.id).await.unwrap().metadata.clone().unwrap().into()
}

#[tokio::test]
async fn a_change_is_an_event_and_holds_for_every_handle_at_once() {
    let fixture = Fixture::new();
    let (log, other) = (fixture.open().await, fixture.open().await);
    let event = || Event::new("user.updated").metadata(json!({"shoeSize": 41, "colour": "red"}));
    assert_eq!(metadata(&other, event()).await, json!({"shoeSize": 41, "colour": "red"}));

    let admin = log.acting(Event::new("").actor("root").ip_address("203.0.113.9").request("r-1"));
    let changed = admin
        .update_settings(|settings| {
            settings.policy = Some(Policy::default().redact("shoeSize"));
            settings.default_retention_days = Some(7);
            Ok(())
        })
        .await
        .unwrap();
    let record = log.read(1, 1).await.unwrap().events.remove(0);
    assert_eq!((record.action.as_str(), record.actor_id.as_deref()), ("sealog.settings.changed", Some("root")));
    assert_eq!((record.ip_address.as_deref(), record.request_id.as_deref()), (Some("203.0.113.9"), Some("r-1")));
    assert_eq!(serde_json::from_value::<Settings>(record.after.clone().unwrap()).unwrap(), changed);
    let paths: Vec<_> = record.diff().unwrap().iter().map(|op| op.path.as_str()).collect();
    assert_eq!(paths, ["/defaultRetentionDays", "/policy"]);
    assert_eq!(record.severity, Severity::Warning);

    // The other handle has not looked at the log since, and must not write what is to be hidden.
    assert_eq!(metadata(&other, event()).await, json!({"shoeSize": "[REDACTED]", "colour": "red"}));
    assert_eq!(metadata(&log, event()).await, json!({"shoeSize": "[REDACTED]", "colour": "red"}));
    assert_eq!(other.settings().await.unwrap(), changed);
    check(&log).await;
    log.close().await.unwrap();
    other.close().await.unwrap();

    let log = fixture.open().await;
    assert_eq!(log.settings().await.unwrap(), changed);
    assert_eq!(metadata(&log, event()).await["shoeSize"], "[REDACTED]");
    // What changes nothing is no event.
    let size = check(&log).await;
    log.update_settings(|_| Ok(())).await.unwrap();
    assert_eq!(check(&log).await, size);
}

#[tokio::test]
async fn what_the_application_hides_stays_hidden() {
    let fixture = Fixture::new();
    let log = fixture.builder().policy(Policy::default().redact("pin").keep("token")).open().await.unwrap();
    log.update_settings(|settings| {
        settings.policy = Some(Policy::default().defaults(false).redact("token"));
        Ok(())
    })
    .await
    .unwrap();
    let event = Event::new("a").metadata(json!({"pin": 1, "token": 2, "password": 3, "name": 4}));
    let hidden = json!({"pin": "[REDACTED]", "token": "[REDACTED]", "password": "[REDACTED]", "name": 4});
    assert_eq!(metadata(&log, event).await, hidden);
    check(&log).await;
}

#[tokio::test]
async fn settings_that_make_no_sense_change_nothing() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let wrong = log.update_settings(|settings| {
        settings.default_retention_days = Some(0);
        Ok(())
    });
    let error = wrong.await.unwrap_err();
    assert_eq!((error.kind(), error.pointer()), (ErrorKind::InvalidArgument, Some("/defaultRetentionDays")));
    // A closure that panics is its caller's trouble alone.
    let error = log.update_settings(|_| panic!("no")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(check(&log).await, 0);

    let scoped = log.scoped(&Filter::new().tenant("acme")).unwrap();
    assert_eq!(scoped.settings().await.unwrap_err().kind(), ErrorKind::OutOfScope);
    assert_eq!(scoped.update_settings(|_| Ok(())).await.unwrap_err().kind(), ErrorKind::OutOfScope);
    let forged = log.log(Event::new("sealog.settings.changed").change(json!({}), json!({}))).await.unwrap_err();
    assert_eq!(forged.kind(), ErrorKind::ReservedAction);
    assert!(log.search(&Filter::new(), &PageOptions::new()).await.unwrap().events.is_empty());
}

/// Whatever the settings say, nothing is hidden less than the application or the defaults have it.
#[tokio::test]
async fn settings_never_show_more() {
    let fixture = Fixture::new();
    let own = Policy::default().redact("pin").redact_path_with("metadata.user.phone", Mode::Hash);
    let log = fixture.builder().policy(own).open().await.unwrap();
    for settings in [
        Policy::default().redact_with("password", Mode::Mask).redact_with("PIN", Mode::Mask),
        Policy::default()
            .redact_path_with("metadata.password", Mode::Mask)
            .redact_path_with("metadata.pin", Mode::Mask),
        Policy::default().redact_path_with("metadata.*", Mode::Mask),
        Policy::default().redact_path_with("metadata.User.Phone", Mode::Mask),
    ] {
        log.update_settings(move |all| {
            all.policy = Some(settings);
            Ok(())
        })
        .await
        .unwrap();
        let event = Event::new("a").metadata(json!({"password": "hunter2hunter2", "pin": "123456789",
            "user": {"phone": "+44 20 7946 0958"}}));
        let shown = metadata(&log, event).await.to_string();
        for part in ["ter2", "6789", "0958"] {
            assert!(!shown.contains(part), "{shown}");
        }
    }
    check(&log).await;
}
