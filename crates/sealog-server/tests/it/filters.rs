//! Each parameter of `GET /v1/events`, and what it selects.

use std::collections::BTreeSet;

use sealog::{Event, Outcome, Severity};
use serde_json::{Value, json};

use crate::support::{Mounted, NOW_MS};

const HOUR_MS: i64 = 3_600_000;

/// Two events that have no value in common but where both are meant, and one that has none at all.
fn events() -> Vec<Event> {
    let left = Event::new("team.joined").actor("ada").actor_type("user").resource("invoice", "i-4").tenant("acme");
    let left = left.severity(Severity::Error).outcome(Outcome::Denied).tag("a").tag("b").ip_address("203.0.113.9");
    let left = left.session("s-1").request("r-1").retention_category("short").metadata(json!({"note": "reset link"}));
    let left = left.change(json!({"spec": {"replicas": 1}}), json!({"spec": {"replicas": 2}}));
    let right = Event::new("team.left").actor("bob").actor_type("service").resource("invoice", "i-5").tenant("globex");
    let right = right.severity(Severity::Warning).outcome(Outcome::Success).tag("b").tag("c").ip_address("10.1.2.3");
    let right = right.session("s-2").request("r-2").retention_category("long").metadata(json!({"note": "link reset"}));
    let right = right.change(json!({"name": "x"}), json!({"name": "y"}));
    vec![
        left.id("left").timestamp(NOW_MS - 2 * HOUR_MS),
        right.id("right").timestamp(NOW_MS - HOUR_MS),
        Event::new("user.login").id("bare").timestamp(NOW_MS - HOUR_MS / 2),
    ]
}

/// A parameter, a query that has it, and what that selects, the newest first.
const QUERIES: &[(&str, &str, &str)] = &[
    ("severities", "severities=error", "left"),
    ("severities", "severities=error&severities=warning", "right left"),
    ("actions", "actions=team.joined", "left"),
    ("actions", "actions=team.*", "right left"),
    ("actorIds", "actorIds=ada", "left"),
    ("actorIds", "actorIds=ada&actorIds=bob", "right left"),
    ("actorTypes", "actorTypes=service", "right"),
    ("resourceTypes", "resourceTypes=invoice", "right left"),
    ("resource", "resource=invoice:i-4", "left"),
    ("tagsAny", "tagsAny=a&tagsAny=c", "right left"),
    ("tagsAll", "tagsAll=a&tagsAll=b", "left"),
    ("outcomes", "outcomes=denied", "left"),
    ("tenant", "tenant=globex", "right"),
    ("ipAddresses", "ipAddresses=10.0.0.0/8", "right"),
    ("ipAddresses", "ipAddresses=203.0.113.9", "left"),
    ("sessionId", "sessionId=s-1", "left"),
    ("requestId", "requestId=r-2", "right"),
    ("retentionCategories", "retentionCategories=short", "left"),
    ("fromTimestamp", "fromTimestamp=1767222000000", "bare right"),
    ("toTimestamp", "toTimestamp=1767222000000", "left"),
    ("text", "text=%22reset+link%22", "left"),
    ("text", "text=reset+-i-5", "left"),
    ("changed", "changed=spec.replicas", "left"),
    ("changed", "changed=/name", "right"),
    ("q", "q=severity:error", "left"),
    ("q", "q=severity%3E%3Dwarning", "right left"),
    ("q", "q=action:team.*", "right left"),
    ("q", "q=actor:ada,bob", "right left"),
    ("q", "q=actor-type:service", "right"),
    ("q", "q=resource-type:invoice", "right left"),
    ("q", "q=resource:invoice:i-4", "left"),
    ("q", "q=tag:a,c", "right left"),
    ("q", "q=tag:a+tag:b", "left"),
    ("q", "q=outcome:denied", "left"),
    ("q", "q=tenant:globex", "right"),
    ("q", "q=ip:10.0.0.0/8", "right"),
    ("q", "q=session:s-1", "left"),
    ("q", "q=request:r-2", "right"),
    ("q", "q=retention:short", "left"),
    ("q", "q=since:1h", "bare right"),
    ("q", "q=until:2025-12-31T23:00:00Z", "left"),
    ("q", "q=changed:spec.replicas", "left"),
    ("q", "q=%22reset+link%22", "left"),
    ("q", "q=action:team.*&tenant=acme", "left"),
    ("limit", "actions=team.*&limit=1", "right"),
    ("order", "actions=team.*&order=oldestFirst", "left right"),
    ("afterSeq", "actions=team.*&afterSeq=1", "right"),
];

/// The ids of what a query finds, but for the log's own events.
async fn found(mounted: &Mounted, query: &str) -> (String, Value) {
    let (status, _, body) = mounted.ask(&format!("GET /v1/events?{query}"), "", "").await;
    assert_eq!(status, 200, "{query}: {}", String::from_utf8_lossy(&body));
    let page: Value = serde_json::from_slice(&body).expect("JSON");
    let events = page["events"].as_array().expect("events").iter();
    let own = events.filter(|event| !event["action"].as_str().is_some_and(|action| action.starts_with("sealog.")));
    let ids: Vec<_> = own.filter_map(|event| event["id"].as_str()).collect();
    (ids.join(" "), page)
}

#[tokio::test]
async fn each_parameter_selects_what_it_says() {
    let mounted = Mounted::new().await;
    mounted.log.log_bulk(events()).await.expect("they are logged");
    assert_eq!(found(&mounted, "").await.0, "bare right left");
    for (name, query, expected) in QUERIES {
        assert_eq!(found(&mounted, query).await.0, *expected, "{query}");
        if !["limit", "order", "afterSeq"].contains(name) {
            let polled = found(&mounted, &format!("afterSeq=-1&{query}")).await.0;
            assert_eq!(polled.split(' ').rev().collect::<Vec<_>>().join(" "), *expected, "{query}");
        }
    }
    let (first, page) = found(&mounted, "actions=team.*&limit=1").await;
    let cursor = page["nextCursor"].as_str().expect("there is more");
    let (second, _) = found(&mounted, &format!("actions=team.*&limit=1&cursor={cursor}")).await;
    assert_eq!((first.as_str(), second.as_str()), ("right", "left"));
}

#[test]
fn no_parameter_is_left_untried() {
    let document: Value = serde_json::from_str(&sealog_server::openapi()).expect("JSON");
    let parameters = document["paths"]["/v1/events"]["get"]["parameters"].as_array().expect("parameters").iter();
    let described = parameters.filter(|parameter| parameter["in"] == "query").filter_map(|one| one["name"].as_str());
    let tried = QUERIES.iter().map(|(name, ..)| *name).chain(["cursor"]);
    assert_eq!(described.collect::<BTreeSet<_>>(), tried.collect::<BTreeSet<_>>());
}
