//! `sealog log`

use clap::Args;
use sealog::{Event, Logged, Outcome, Severity};
use serde_json::{Map, Value};

use super::lines::OnError;
use super::stream;
use crate::cli::{Shared, WithInbox, Writing, finish};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::{self, Output};
use crate::render::{BOLD, DIM, GOOD};
use crate::sources::parse_time;

/// Log one event, or a stream of them
///
/// When a receipt is printed, the event is on the disk, sealed in the tree, and visible to every
/// reader. With `-` as the action, events are read from standard input, one JSON object a line, and
/// each receipt is printed as soon as its event is acknowledged, in the order of the lines.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog log user.login --actor u-17 --ip 203.0.113.9
  sealog log invoice.paid --actor u-17 --resource invoice/i-4 --set amount=1200 --set currency=EUR
  sealog log user.role.changed --actor admin --resource user/u-17 \\
      --before '{\"role\":\"viewer\"}' --after '{\"role\":\"admin\"}' --severity warning
  application | sealog log - --on-error skip

Metadata values given with --set are JSON where they parse as JSON (1200, true, [1,2]) and text
otherwise. Fields with one of the default names (password, token, apiKey, …) are redacted before
anything is written; --policy hides more.")]
pub(crate) struct Log {
    /// What was done, a dotted verb such as user.login; `-` reads events from standard input
    action: String,
    /// Who did it
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// What kind of actor it is: user, service, api_key, agent, …
    #[arg(long, value_name = "TYPE")]
    actor_type: Option<String>,
    /// The actor's name
    #[arg(long, value_name = "NAME")]
    actor_name: Option<String>,
    /// For whom the actor acted
    #[arg(long, value_name = "ID")]
    on_behalf_of: Option<String>,
    /// What it was done to
    #[arg(long, value_name = "TYPE/ID")]
    resource: Option<String>,
    /// How much it matters: info, warning, error, critical [default: info]
    #[arg(long)]
    severity: Option<Severity>,
    /// How it ended: success, failure, denied
    #[arg(long)]
    outcome: Option<Outcome>,
    /// Anything else, as a JSON object
    #[arg(long, value_name = "JSON", value_parser = object)]
    metadata: Option<JsonObject>,
    /// One entry of the metadata; may be given again
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, JsonValue)>,
    /// The resource before the change
    #[arg(long, value_name = "JSON", value_parser = json)]
    before: Option<JsonValue>,
    /// The resource after the change
    #[arg(long, value_name = "JSON", value_parser = json)]
    after: Option<JsonValue>,
    /// From which address
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<String>,
    /// With which program
    #[arg(long, value_name = "TEXT")]
    user_agent: Option<String>,
    /// In which session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// In which request
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// A word to find it by; may be given again
    #[arg(long, value_name = "WORD")]
    tag: Vec<String>,
    /// Whose log it is, in an application with several customers
    #[arg(long, value_name = "ID")]
    tenant: Option<String>,
    /// Which retention rule it falls under
    #[arg(long, value_name = "NAME")]
    retention_category: Option<String>,
    /// When it happened, RFC 3339 or milliseconds since 1970 [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    timestamp: Option<i64>,
    /// The event's identity, so that sending it twice is one event [default: a new UUIDv7]
    #[arg(long)]
    id: Option<String>,
    /// What a bad line of standard input does
    #[arg(long, value_name = "WHAT", default_value = "stop")]
    on_error: OnError,
    #[command(flatten)]
    writing: Writing,
    #[command(flatten)]
    inbox: WithInbox,
}

/// A JSON value as one argument; the wrapper keeps clap from taking it for a list of arguments.
#[derive(Debug, Clone)]
struct JsonValue(Value);

#[derive(Debug, Clone)]
struct JsonObject(Map<String, Value>);

fn json(text: &str) -> Result<JsonValue, String> {
    serde_json::from_str(text).map(JsonValue).map_err(|error| format!("this is no JSON: {error}"))
}

fn object(text: &str) -> Result<JsonObject, String> {
    match json(text)?.0 {
        Value::Object(map) => Ok(JsonObject(map)),
        _ => Err("metadata is a JSON object, such as {\"attempt\": 3}".to_owned()),
    }
}

fn pair(text: &str) -> Result<(String, JsonValue), String> {
    let (key, value) = text.split_once('=').ok_or("give it as key=value")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((key.to_owned(), JsonValue(value)))
}

impl Log {
    pub(crate) async fn run(mut self, shared: &Shared, out: Output, interrupt: &Interrupt) -> Result<(), Failure> {
        let (on_error, writing, inbox) = (self.on_error, std::mem::take(&mut self.writing), self.inbox.inbox.take());
        let event = self.event()?;
        let is_stream = event.action == "-";
        if is_stream && event != Event::new("-") {
            let message = "with `-` each line is a whole event; leave the other options of the event out";
            return Err(Failure::Usage(message.to_owned()));
        }
        let log = shared.open_to_write(true, &writing, inbox.as_deref()).await?;
        let logged = if is_stream {
            stream::run(&log, out, on_error, interrupt).await
        } else {
            // The receipt stands, whatever closing says.
            log.log(event).await.map_err(of_option).and_then(|logged| output::write(&receipt(&logged, out)))
        };
        finish(log, logged, out).await
    }

    fn event(self) -> Result<Event, Failure> {
        for (place, (key, _)) in self.set.iter().enumerate() {
            if self.set[..place].iter().any(|(earlier, _)| earlier == key) {
                return Err(Failure::Usage(format!("--set gives {key:?} twice")));
            }
        }
        let mut event = Event::new(self.action);
        event.id = self.id;
        event.timestamp = self.timestamp;
        event.actor_id = self.actor;
        event.actor_type = self.actor_type;
        event.actor_name = self.actor_name;
        event.on_behalf_of = self.on_behalf_of;
        if let Some(resource) = self.resource {
            match resource.split_once('/') {
                Some((kind, id)) => event = event.resource(kind, id),
                None => event.resource_type = Some(resource),
            }
        }
        event.severity = self.severity.unwrap_or_default();
        event.outcome = self.outcome;
        event.metadata = self.metadata.map(|map| map.0);
        if !self.set.is_empty() {
            let entries = self.set.into_iter().map(|(key, value)| (key, value.0));
            event.metadata.get_or_insert_default().extend(entries);
        }
        event.before = self.before.map(|value| value.0);
        event.after = self.after.map(|value| value.0);
        event.ip_address = self.ip;
        event.user_agent = self.user_agent;
        event.session_id = self.session;
        event.request_id = self.request;
        event.tags = self.tag;
        event.tenant = self.tenant;
        event.retention_category = self.retention_category;
        Ok(event)
    }
}

/// The option that fills each field, where its name is not the field's own.
const OPTIONS: [(&str, &str); 13] = [
    ("/action", "the action"),
    ("/actorId", "--actor"),
    ("/actorType", "--actor-type"),
    ("/actorName", "--actor-name"),
    ("/onBehalfOf", "--on-behalf-of"),
    ("/resourceType", "--resource"),
    ("/resourceId", "--resource"),
    ("/ipAddress", "--ip"),
    ("/userAgent", "--user-agent"),
    ("/sessionId", "--session"),
    ("/requestId", "--request"),
    ("/tags", "--tag"),
    ("/retentionCategory", "--retention-category"),
];

/// What was wrong in the event was wrong in an option.
fn of_option(error: sealog::Error) -> Failure {
    let field = error.pointer().and_then(|pointer| pointer.get(1..)?.split('/').next());
    let Some(field) = field.filter(|field| !field.is_empty()) else { return error.into() };
    let known = OPTIONS.iter().find(|(pointer, _)| pointer[1..] == *field);
    let option = known.map_or_else(|| format!("--{field}"), |(_, option)| (*option).to_owned());
    let place = error.pointer().and_then(|pointer| pointer.get(1 + field.len()..)).filter(|rest| !rest.is_empty());
    let place = place.map_or_else(String::new, |place| format!(" at {place}"));
    let text = format!("{option}{place}: {}", error.message());
    Failure::Explained(error, text)
}

/// One receipt, as a line.
pub(super) fn receipt(logged: &Logged, out: Output) -> String {
    if out.json {
        return format!("{}\n", serde_json::to_string(logged).unwrap_or_default());
    }
    match logged {
        Logged::Recorded(receipt) => {
            let removed = if receipt.removed { "  (its body has been removed since)" } else { "" };
            format!(
                "{GOOD}sealed{GOOD:#}  seq {BOLD}{}{BOLD:#}  {DIM}id{DIM:#} {}  {DIM}tree size {}{DIM:#}{removed}\n",
                receipt.seq, receipt.id, receipt.tree_size
            )
        }
        Logged::Sampled { id } => format!("{DIM}sampled away  id{DIM:#} {id}\n"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        log: Log,
    }

    #[test]
    fn arguments_become_the_event() {
        let arguments = [
            "log",
            "invoice.paid",
            "--actor",
            "u-17",
            "--resource",
            "invoice/2026/4",
            "--set",
            "amount=1200",
            "--set",
            "note=a=b",
            "--metadata",
            "{\"x\":null}",
            "--before",
            "null",
            "--after",
            "[1]",
            "--severity",
            "error",
            "--tag",
            "a",
            "--tag",
            "b",
            "--timestamp",
            "2026-03-02T07:00:00Z",
        ];
        let event = Alone::parse_from(arguments).log.event().unwrap();
        let expected = json!({
            "action": "invoice.paid", "actorId": "u-17", "resourceType": "invoice", "resourceId": "2026/4",
            "severity": "error", "metadata": {"amount": 1200, "note": "a=b", "x": null}, "before": null, "after": [1],
            "tags": ["a", "b"], "timestamp": 1_772_434_800_000_i64,
        });
        assert_eq!(serde_json::to_value(event).unwrap(), expected);
        assert!(Alone::try_parse_from(["log", "x", "--severity", "loud"]).is_err());
        assert!(Alone::try_parse_from(["log", "x", "--metadata", "[1]"]).is_err());
        assert!(Alone::parse_from(["log", "x", "--set", "a=1", "--set", "a=2"]).log.event().is_err());
    }
}
