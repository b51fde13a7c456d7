//! Kubernetes API-server audit events (`audit.k8s.io/v1`, `Event`).

use sealog::{Event, Outcome, Severity};
use serde_json::{Map, Value};

use super::time::{is_finer, parse_time};
use super::{require_text, take_text, text};

/// What a request was about, as the API server reads it out of the path.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    kind: String,
    id: Option<String>,
}

pub(super) fn map(mut record: Map<String, Value>) -> Result<Event, String> {
    let audit_id = require_text(&mut record, "auditID")?;
    let stage = record.get("stage").and_then(Value::as_str).unwrap_or("Unknown").to_owned();
    let verb = require_text(&mut record, "verb")?;
    let uri = record.get("requestURI").and_then(Value::as_str).unwrap_or_default();
    let target = object_ref(&record, uri).unwrap_or_else(|| from_uri(uri));

    let mut event = Event::new(format!("{}.{verb}", target.kind.replace('/', ".")));
    if target.kind == NON_RESOURCE {
        event.action = format!("url.{verb}");
    }
    // One request is several events, one a stage; its id alone would make them one.
    event.id = Some(format!("{audit_id}/{stage}"));
    event.resource_type = Some(target.kind);
    event.resource_id = target.id;

    let time_field =
        if record.contains_key("requestReceivedTimestamp") { "requestReceivedTimestamp" } else { "stageTimestamp" };
    let time = require_text(&mut record, time_field)?;
    event.timestamp = Some(parse_time(&time)?);
    if is_finer(&time) {
        record.insert(time_field.to_owned(), Value::String(time));
    }

    set_actor(&mut event, &mut record);
    set_outcome(&mut event, &record);
    event.request_id = Some(audit_id);
    event.user_agent = take_text(&mut record, "userAgent");
    // The client stands first; the proxies behind it stay in the metadata.
    event.ip_address = text(record.get("sourceIPs").unwrap_or(&Value::Null), "/0").map(str::to_owned);
    if record.get("sourceIPs").and_then(Value::as_array).is_some_and(|all| all.len() <= 1) {
        record.remove("sourceIPs");
    }
    event.tags = vec!["kubernetes".to_owned(), access(&verb).to_owned()];
    set_state(&mut event, &mut record, &verb);
    record.insert("verb".to_owned(), Value::String(verb));
    event.metadata = Some(record);
    Ok(event)
}

/// The type of what is asked by path and is no resource, in the words of Kubernetes' own roles.
const NON_RESOURCE: &str = "nonResourceURL";

fn access(verb: &str) -> &'static str {
    if matches!(verb, "get" | "list" | "watch" | "head" | "options") { "read" } else { "write" }
}

fn object_ref(record: &Map<String, Value>, uri: &str) -> Option<Target> {
    let reference = record.get("objectRef")?;
    let resource = text(reference, "/resource")?;
    let kind = match text(reference, "/subresource") {
        Some(sub) => format!("{resource}/{sub}"),
        None => resource.to_owned(),
    };
    // Some logs leave the namespace out; the path has it.
    let namespace = text(reference, "/namespace").map(str::to_owned).or_else(|| namespace_in(uri));
    let id = match (namespace, text(reference, "/name")) {
        // A namespace is not inside itself.
        (Some(namespace), Some(name)) if resource != "namespaces" => Some(format!("{namespace}/{name}")),
        (_, Some(name)) => Some(name.to_owned()),
        (namespace, None) => namespace,
    };
    Some(Target { kind, id })
}

fn segments(uri: &str) -> Vec<&str> {
    uri.split('?').next().unwrap_or_default().split('/').filter(|part| !part.is_empty()).collect()
}

fn namespace_in(uri: &str) -> Option<String> {
    let parts = segments(uri);
    let at = parts.iter().position(|part| *part == "namespaces")?;
    // `/api/v1/namespaces/x` is about the namespace itself, not about something in it.
    (parts.len() > at + 2).then(|| parts[at + 1].to_owned())
}

/// The target by the path alone, for requests without `objectRef`.
fn from_uri(uri: &str) -> Target {
    let parts = segments(uri);
    let rest = match parts.as_slice() {
        ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
        _ => &[],
    };
    let (namespace, rest) = match rest {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
        _ => (None, rest),
    };
    let Some(resource) = rest.first() else {
        let path = uri.split('?').next().unwrap_or_default();
        return Target { kind: NON_RESOURCE.to_owned(), id: (!path.is_empty()).then(|| path.to_owned()) };
    };
    let kind = rest.get(2).map_or_else(|| (*resource).to_owned(), |sub| format!("{resource}/{sub}"));
    let name = rest.get(1);
    let id = match (namespace, name) {
        (Some(namespace), Some(name)) => Some(format!("{namespace}/{name}")),
        (one, other) => one.or(other.copied()).map(str::to_owned),
    };
    Target { kind, id }
}

fn set_actor(event: &mut Event, record: &mut Map<String, Value>) {
    let user = record.get("user").unwrap_or(&Value::Null);
    if let Some(name) = text(user, "/username") {
        event.actor_type = Some(actor_type(name).to_owned());
        event.actor_id = Some(name.to_owned());
    }
    event.on_behalf_of = text(record.get("impersonatedUser").unwrap_or(&Value::Null), "/username").map(str::to_owned);
    // The groups and the uid of a user are worth keeping; the name alone stands in the event.
    if let Some(Value::Object(user)) = record.get_mut("user") {
        user.remove("username");
        if user.is_empty() {
            record.remove("user");
        }
    }
}

fn actor_type(username: &str) -> &'static str {
    match username {
        "system:anonymous" => "anonymous",
        name if name.starts_with("system:serviceaccount:") => "service_account",
        name if name.starts_with("system:node:") => "node",
        // The control plane's own parts: scheduler, controller manager, API server.
        name if name.starts_with("system:") => "service",
        _ => "user",
    }
}

fn set_outcome(event: &mut Event, record: &Map<String, Value>) {
    let code = record.get("responseStatus").and_then(|status| status.get("code")).and_then(Value::as_u64);
    let stage = record.get("stage").and_then(Value::as_str);
    (event.outcome, event.severity) = match code {
        _ if stage == Some("Panic") => (Some(Outcome::Failure), Severity::Error),
        Some(401 | 403) => (Some(Outcome::Denied), Severity::Warning),
        Some(500..) => (Some(Outcome::Failure), Severity::Error),
        Some(400..) => (Some(Outcome::Failure), Severity::Warning),
        Some(_) => (Some(Outcome::Success), Severity::Info),
        None => (None, Severity::Info),
    };
}

/// What a write left behind, where the audit policy has it recorded.
fn set_state(event: &mut Event, record: &mut Map<String, Value>, verb: &str) {
    let written = matches!(verb, "create" | "update" | "patch") && event.outcome == Some(Outcome::Success);
    let is_object = record
        .get("responseObject")
        .is_some_and(|object| object.is_object() && object.get("kind").and_then(Value::as_str) != Some("Status"));
    if written && is_object {
        event.after = record.remove("responseObject");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Format;
    use super::*;

    fn mapped(record: Value) -> Event {
        assert_eq!(Format::guess(&record), Some(Format::Kubernetes));
        Format::Kubernetes.map(record).unwrap()
    }

    #[test]
    fn a_refused_watch_is_denied_and_a_warning() {
        let event = mapped(json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "a1b86d5d", "stage": "ResponseStarted",
            "requestURI": "/api/v1/namespaces/kube-flannel/configmaps?fieldSelector=metadata.name%3Dkube-flannel-cfg",
            "verb": "watch", "user": {"username": "system:node:k8s-node-1"},
            "objectRef": {"resource": "configmaps", "name": "kube-flannel-cfg"},
            "responseStatus": {"code": 403}, "requestReceivedTimestamp": "2023-01-27T18:28:08.129781Z", "host": "m"
        }));
        assert_eq!(event.action, "configmaps.watch");
        assert_eq!(event.id.as_deref(), Some("a1b86d5d/ResponseStarted"));
        assert_eq!(event.timestamp, Some(1_674_844_088_129));
        assert_eq!(event.actor_id.as_deref(), Some("system:node:k8s-node-1"));
        assert_eq!(event.actor_type.as_deref(), Some("node"));
        assert_eq!(event.resource_type.as_deref(), Some("configmaps"));
        assert_eq!(event.resource_id.as_deref(), Some("kube-flannel/kube-flannel-cfg"));
        assert_eq!((event.outcome, event.severity), (Some(Outcome::Denied), Severity::Warning));
        assert_eq!(event.tags, ["kubernetes", "read"]);
        let metadata = event.metadata.unwrap();
        assert_eq!(metadata["requestReceivedTimestamp"], "2023-01-27T18:28:08.129781Z");
        assert_eq!(metadata["host"], "m");
        assert!(!metadata.contains_key("user"));
    }

    #[test]
    fn exec_by_a_service_account_for_somebody_else_keeps_all_of_it() {
        let event = mapped(json!({
            "apiVersion": "audit.k8s.io/v1", "auditID": "b2", "stage": "ResponseComplete", "verb": "create",
            "requestURI": "/api/v1/namespaces/prod/pods/web-0/exec?command=sh",
            "user": {"username": "system:serviceaccount:ci:deployer", "groups": ["system:authenticated"]},
            "impersonatedUser": {"username": "jane"}, "sourceIPs": ["203.0.113.7", "10.0.0.1"], "userAgent": "kubectl/v1.34",
            "objectRef": {"resource": "pods", "subresource": "exec", "namespace": "prod", "name": "web-0"},
            "responseStatus": {"code": 101}, "requestReceivedTimestamp": "2026-01-02T03:04:05Z"
        }));
        assert_eq!(event.action, "pods.exec.create");
        assert_eq!(event.resource_type.as_deref(), Some("pods/exec"));
        assert_eq!(event.resource_id.as_deref(), Some("prod/web-0"));
        assert_eq!(event.actor_type.as_deref(), Some("service_account"));
        assert_eq!(event.on_behalf_of.as_deref(), Some("jane"));
        assert_eq!(event.ip_address.as_deref(), Some("203.0.113.7"));
        assert_eq!(event.user_agent.as_deref(), Some("kubectl/v1.34"));
        let metadata = event.metadata.unwrap();
        assert_eq!(metadata["sourceIPs"], json!(["203.0.113.7", "10.0.0.1"]));
        assert_eq!(metadata["user"], json!({"groups": ["system:authenticated"]}));
    }

    #[test]
    fn paths_are_read_as_the_api_server_reads_them() {
        let target = |uri| {
            let target = from_uri(uri);
            (target.kind, target.id.unwrap_or_default())
        };
        let pair = |kind: &str, id: &str| (kind.to_owned(), id.to_owned());
        assert_eq!(target("/readyz?verbose"), pair("nonResourceURL", "/readyz"));
        assert_eq!(target("/apis/apps/v1"), pair("nonResourceURL", "/apis/apps/v1"));
        assert_eq!(target("/api/v1/nodes/n1/status"), pair("nodes/status", "n1"));
        assert_eq!(target("/api/v1/namespaces/prod"), pair("namespaces", "prod"));
        assert_eq!(target("/apis/apps/v1/namespaces/prod/deployments"), pair("deployments", "prod"));
        assert_eq!(
            target("/apis/apps/v1/namespaces/prod/deployments/web/scale"),
            pair("deployments/scale", "prod/web")
        );
    }

    #[test]
    fn a_health_check_is_found_under_url_get() {
        let event = mapped(json!({
            "auditID": "c3", "stage": "ResponseComplete", "requestURI": "/readyz", "verb": "get", "objectRef": null,
            "user": {"username": "system:anonymous"}, "responseStatus": {"code": 503},
            "requestReceivedTimestamp": "2026-01-02T03:04:05Z"
        }));
        assert_eq!(event.action, "url.get");
        assert_eq!(event.resource_id.as_deref(), Some("/readyz"));
        assert_eq!(event.actor_type.as_deref(), Some("anonymous"));
        assert_eq!((event.outcome, event.severity), (Some(Outcome::Failure), Severity::Error));
    }

    #[test]
    fn what_a_write_left_is_the_state_after() {
        let event = mapped(json!({
            "auditID": "d4", "stage": "ResponseComplete", "verb": "patch", "user": {"username": "jane"},
            "requestURI": "/api/v1/namespaces/prod/configmaps/flags",
            "objectRef": {"resource": "configmaps", "namespace": "prod", "name": "flags"},
            "responseObject": {"kind": "ConfigMap", "data": {"beta": "on"}},
            "responseStatus": {"code": 200}, "requestReceivedTimestamp": "2026-01-02T03:04:05Z"
        }));
        assert_eq!(event.after, Some(json!({"kind": "ConfigMap", "data": {"beta": "on"}})));
        assert_eq!(event.tags, ["kubernetes", "write"]);
    }

    #[test]
    fn a_record_without_its_id_says_so() {
        let error = Format::Kubernetes.map(json!({"verb": "get", "auditID": 3})).unwrap_err();
        assert_eq!(error, "the field auditID is text, and this is a number");
    }
}
