use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use sealog::Event;
use serde_json::{Value, json};

use crate::testing::Fixture;
use crate::{Options, Role};

/// A stream as a client reads it.
struct Stream {
    body: Body,
    text: String,
}

/// A frame as a client reads it.
#[derive(Debug, PartialEq)]
struct Frame {
    event: String,
    id: Option<i64>,
    data: Value,
}

impl Stream {
    async fn open(fixture: &Fixture, who: &str, line: &str, body: &'static str) -> Self {
        let response = fixture.send(fixture.request(who, &format!("{line}\naccept: text/event-stream"), body)).await;
        assert_eq!(response.status(), 200, "{line}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut stream = Self { body: response.into_body(), text: String::new() };
        assert_eq!(stream.block().await.as_deref(), Some("retry: 1000"));
        stream
    }

    /// The next block; `None` at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let frame = tokio::time::timeout(Duration::from_secs(20), self.body.frame()).await;
            let bytes = frame.expect("something comes")?.expect("the stream is whole").into_data().expect("data");
            self.text += std::str::from_utf8(&bytes).expect("text");
        }
    }

    /// The next frame that is no comment.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            let block = self.block().await?;
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            if let Some(event) = field("event") {
                return Some(Frame {
                    event: event.to_owned(),
                    id: field("id").map(|id| id.parse().expect("a number")),
                    data: serde_json::from_str(field("data").expect("data")).expect("JSON"),
                });
            }
        }
    }

    async fn ids(&mut self, count: usize) -> Vec<i64> {
        let mut ids = Vec::new();
        while ids.len() < count {
            ids.push(self.next().await.expect("it goes on").id.expect("an id"));
        }
        ids
    }
}

#[tokio::test]
async fn a_stream_begins_with_what_there_is_and_goes_on_with_what_comes() {
    let fixture = Fixture::filled().await;
    let mut stream = Stream::open(&fixture, "reader", "GET /v1/events?limit=2&actions=user.*", "").await;
    let first = stream.next().await.unwrap();
    assert_eq!((first.event.as_str(), first.id, &first.data["hasMore"]), ("snapshot", Some(9), &json!(true)));
    assert_eq!(first.data["events"][0]["id"], "e-3");
    fixture.log.log(Event::new("invoice.paid")).await.unwrap();
    fixture.log.log(Event::new("user.logout").id("out")).await.unwrap();
    let next = stream.next().await.unwrap();
    // That somebody watches is an event before those.
    assert_eq!((next.event.as_str(), next.id, &next.data["id"]), ("event", Some(12), &json!("out")));
}

#[tokio::test]
async fn a_scoped_stream_shows_its_scope_alone() {
    let fixture = Fixture::filled().await;
    let mut stream = Stream::open(&fixture, "acme", "GET /v1/events", "").await;
    let first = stream.next().await.unwrap();
    assert_eq!(first.data["events"].as_array().map(Vec::len), Some(2));
    for tenant in ["globex", "acme", "globex", "acme"] {
        fixture.log.log(Event::new("x").tenant(tenant)).await.unwrap();
    }
    for _ in 0..2 {
        assert_eq!(stream.next().await.unwrap().data["tenant"], "acme");
    }
    let mut again = Stream::open(&fixture, "acme", "GET /v1/events\nlast-event-id: 5", "").await;
    for _ in 0..4 {
        assert_eq!(again.next().await.unwrap().data["tenant"], "acme");
    }
}

/// Invariant 9: each event once, in order, across reconnects, whatever is written in the meantime, and also
/// for one who was so far behind that the hub has nothing left of it.
#[tokio::test]
async fn invariant_9_streams_resume_without_gap_or_repeat() {
    const EVENTS: i64 = 6000;
    let fixture = Fixture::new().await;
    let log = fixture.log.clone();
    let writer = tokio::spawn(async move {
        for round in 0..EVENTS / 20 {
            let events = (0..20).map(|i| Event::new("x").id(format!("{round}-{i}"))).collect();
            log.log_bulk(events).await.unwrap();
        }
    });
    // One that is never read from until all is written.
    let mut slow = Stream::open(&fixture, "reader", "GET /v1/events?actions=x&afterSeq=-1", "").await;
    let (mut last, mut seen) = (-1, Vec::new());
    while seen.len() < EVENTS as usize {
        let line = format!("GET /v1/events?actions=x\nlast-event-id: {last}");
        let mut stream = Stream::open(&fixture, "reader", &line, "").await;
        let ids = stream.ids(97.min(EVENTS as usize - seen.len())).await;
        last = *ids.last().unwrap();
        seen.extend(ids);
    }
    writer.await.unwrap();
    assert_eq!(slow.ids(EVENTS as usize).await, seen);
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]));
    let logged: Vec<i64> = {
        let page = fixture.log.select(&sealog::Filter::new().action("x"), 0, 10_000).await.unwrap();
        page.events.iter().map(|record| record.seq() as i64).collect()
    };
    assert_eq!(seen, logged);
}

#[tokio::test]
async fn statistics_and_findings_are_told_when_they_change() {
    let fixture = Fixture::filled().await;
    let mut stats = Stream::open(&fixture, "acme", "GET /v1/stats", "").await;
    let first = stats.next().await.unwrap();
    assert_eq!((first.event.as_str(), first.id, &first.data["total"]), ("stats", None, &json!(2)));
    let rules = r#"{"rules": [{"action": "x", "threshold": 2, "windowMs": 60000}]}"#;
    let line = "POST /v1/anomalies\ncontent-type: application/json";
    let mut findings = Stream::open(&fixture, "acme", line, rules).await;
    assert_eq!(findings.next().await.unwrap().data, json!({"total": 0, "findings": []}));
    for tenant in ["globex", "globex", "acme", "acme"] {
        fixture.log.log(Event::new("x").tenant(tenant)).await.unwrap();
    }
    let mut total = json!(2);
    while total != json!(4) {
        total = stats.next().await.unwrap().data["total"].clone();
    }
    let found = findings.next().await.unwrap();
    assert_eq!((found.event.as_str(), &found.data["findings"][0]["count"]), ("findings", &json!(2)));
}

#[tokio::test]
async fn a_server_that_stops_says_so() {
    let fixture = Fixture::filled().await;
    let mut events = Stream::open(&fixture, "reader", "GET /v1/events?afterSeq=99", "").await;
    let mut stats = Stream::open(&fixture, "reader", "GET /v1/stats", "").await;
    stats.next().await.unwrap();
    fixture.stop.stop();
    for stream in [&mut events, &mut stats] {
        let last = stream.next().await.unwrap();
        assert_eq!((last.event.as_str(), last.data), ("stop", json!({"reason": "shutdown"})));
        assert_eq!(stream.next().await, None);
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_key_and_with_its_token() {
    let mut fixture = Fixture::filled().await;
    let id = fixture.key("page", Role::Reader, None).await;
    let json_type = "POST /v1/tokens\ncontent-type: application/json";
    let minted = fixture.ask("page", json_type, r#"{"scope": {"tenant": "acme"}, "ttlMs": 1000}"#).await;
    let token = minted.json()["token"].as_str().unwrap().to_owned();
    let mut by_key = Stream::open(&fixture, "page", "GET /v1/events?afterSeq=99", "").await;
    let mut by_token = Stream::open(&fixture, &token, "GET /v1/events?afterSeq=99", "").await;
    assert_eq!(fixture.ask("admin", &format!("DELETE /v1/keys/{id}"), "").await.status, 200);
    for stream in [&mut by_key, &mut by_token] {
        let last = stream.next().await.unwrap();
        assert_eq!((last.event.as_str(), last.data), ("stop", json!({"reason": "expired"})));
        assert_eq!(stream.next().await, None);
    }
}

#[tokio::test]
async fn a_token_that_ends_ends_its_stream_before_anything_else_is_told() {
    let fixture = Fixture::filled().await;
    let json_type = "POST /v1/tokens\ncontent-type: application/json";
    let minted = fixture.ask("reader", json_type, r#"{"scope": {"tenant": "acme"}, "ttlMs": 1000}"#).await;
    let token = minted.json()["token"].as_str().unwrap().to_owned();
    let mut stream = Stream::open(&fixture, &token, "GET /v1/events", "").await;
    assert_eq!(stream.next().await.unwrap().event, "snapshot");
    fixture.clock.advance(1000);
    fixture.log.log(Event::new("x").tenant("acme")).await.unwrap();
    assert_eq!(stream.next().await.unwrap().data, json!({"reason": "expired"}));
}

#[tokio::test]
async fn comments_keep_the_line_alive() {
    let mut options = Options::default();
    options.limits.keep_alive_ms = 10;
    let mut fixture = Fixture::with(options).await;
    fixture.make_keys().await;
    let mut stream = Stream::open(&fixture, "reader", "GET /v1/events?afterSeq=99", "").await;
    for _ in 0..3 {
        assert_eq!(stream.block().await.as_deref(), Some(": keep-alive"));
    }
}

#[tokio::test]
async fn there_are_so_many_streams_and_no_more() {
    let mut options = Options::default();
    options.limits.max_streams_per_caller = 2;
    let mut fixture = Fixture::with(options).await;
    fixture.make_keys().await;
    let line = "GET /v1/events?afterSeq=99";
    let first = Stream::open(&fixture, "reader", line, "").await;
    let _second = Stream::open(&fixture, "reader", line, "").await;
    let third = fixture.ask("reader", &format!("{line}\naccept: text/event-stream"), "").await;
    assert_eq!((third.status.as_u16(), third.code().as_str()), (429, "too_many_streams"));
    assert_eq!(third.headers["retry-after"], "10");
    // Another key has its own, and one that ends makes room.
    let _other = Stream::open(&fixture, "acme", line, "").await;
    drop(first);
    let _third = Stream::open(&fixture, "reader", line, "").await;
}

#[tokio::test]
async fn a_stream_of_reads_does_not_feed_itself() {
    let fixture = Fixture::filled().await;
    let mut stream = Stream::open(&fixture, "reader", "GET /v1/events", "").await;
    assert_eq!(stream.next().await.unwrap().event, "snapshot");
    assert_eq!(stream.next().await.unwrap().data["action"], "sealog.read");
    fixture.log.log(Event::new("x")).await.unwrap();
    assert_eq!(stream.next().await.unwrap().data["action"], "x");
    assert_eq!(fixture.log.head().await.unwrap().size, 12);
}

#[tokio::test]
async fn a_stream_is_one_read_however_often_it_is_taken_up_again() {
    let rules = r#"{"rules": [{"action": "x", "threshold": 1, "windowMs": 60000}]}"#;
    for (line, body, kind) in [
        ("GET /v1/events", "", "stream"),
        ("GET /v1/events\nlast-event-id: 7", "", "stream"),
        ("GET /v1/stats?actions=x", "", "stats"),
        ("GET /v1/anomalies", "", "anomalies"),
        ("POST /v1/anomalies\ncontent-type: application/json", rules, "anomalies"),
    ] {
        let fixture = Fixture::filled().await;
        let reads = async || {
            let page = fixture.log.select(&sealog::Filter::new().action("sealog.read"), 0, 100).await.unwrap();
            let metadata = page.events.iter().map(|record| json!(record.metadata));
            metadata.map(|metadata| (metadata["kind"].clone(), metadata["more"].clone())).collect::<Vec<_>>()
        };
        for _ in 0..3 {
            let mut stream = Stream::open(&fixture, "reader", line, body).await;
            stream.next().await.unwrap();
            // What comes on it is no other read. Saved rules there are none, so nothing is told of them.
            fixture.log.log(Event::new("x")).await.unwrap();
            if line != "GET /v1/anomalies" {
                stream.next().await.unwrap();
            }
            assert_eq!(reads().await, [(json!(kind), Value::Null)], "{line}");
        }
        fixture.clock.advance(60_000);
        let _again = Stream::open(&fixture, "reader", line, body).await;
        let expected = [Value::Null, json!(2), Value::Null].map(|more| (json!(kind), more));
        assert_eq!(reads().await, expected, "{line}");
    }
}
