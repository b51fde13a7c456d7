//! What nobody should send, and somebody will: nothing gets past a clear refusal, nothing is lost, nothing
//! leaks.

use std::time::Duration;

use sealog::Event;
use sealog_server::Options;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{PATIENCE, Served, read_to_end, status_of};

const JSON: &str = "content-type: application/json\r\n";
const MIB: usize = 1024 * 1024;

/// The memory of this process that nobody else has, in MiB.
fn memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux says");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, bytes).expect("it is written");
    encoder.finish().expect("it ends")
}

/// Zeros, so many of them, in very little.
fn zstd_bomb(mib: usize) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 19).expect("an encoder");
    encoder.window_log(20).expect("a small window");
    for _ in 0..mib {
        std::io::Write::write_all(&mut encoder, &vec![b' '; MIB]).expect("it is written");
    }
    encoder.finish().expect("it ends")
}

#[tokio::test]
async fn bad_bodies_are_refused_with_what_is_wrong() {
    let served = Served::with(Options::default()).await;
    let nested = |depth: usize| {
        format!("{{\"action\":\"x\",\"metadata\":{{\"a\":{}1{}}}}}", "[".repeat(depth), "]".repeat(depth))
    };
    let utf16: Vec<u8> = "{\"action\":\"x\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wide_window = {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).expect("an encoder");
        encoder.window_log(27).expect("a large window");
        std::io::Write::write_all(&mut encoder, &vec![b' '; 32 * MIB]).expect("it is written");
        encoder.finish().expect("it ends")
    };
    let large_array = format!("[{}{{\"action\":\"x\"}}]", "{\"action\":\"x\"},".repeat(10_000));
    let cases: Vec<(&str, String, Vec<u8>, u16, &str)> = vec![
        ("nothing", JSON.into(), Vec::new(), 400, "malformed"),
        ("cut off", JSON.into(), b"{\"action\":\"x\"".to_vec(), 400, "malformed"),
        ("a hundred thousand brackets", JSON.into(), "[".repeat(100_000).into(), 400, "malformed"),
        ("a hundred thousand braces", JSON.into(), "{\"a\":".repeat(100_000).into(), 400, "malformed"),
        ("too deep for the parser", JSON.into(), nested(1000).into(), 422, "invalid_event"),
        ("too deep for an event", JSON.into(), nested(70).into(), 422, "limit_exceeded"),
        ("no UTF-8", JSON.into(), b"{\"action\":\"\xff\"}".to_vec(), 400, "malformed"),
        ("UTF-16", JSON.into(), utf16, 400, "malformed"),
        ("a number for a text", JSON.into(), b"{\"action\":7}".to_vec(), 422, "invalid_event"),
        ("a list for an event", JSON.into(), b"[[]]".to_vec(), 422, "invalid_event"),
        (
            "a number that is none",
            JSON.into(),
            b"{\"action\":\"x\",\"timestamp\":1e999}".to_vec(),
            422,
            "invalid_event",
        ),
        ("two of one field", JSON.into(), b"{\"action\":\"x\",\"action\":\"y\"}".to_vec(), 422, "invalid_event"),
        ("no type", String::new(), b"{}".to_vec(), 415, "unsupported_media_type"),
        (
            "a form",
            "content-type: application/x-www-form-urlencoded\r\n".into(),
            b"a=b".to_vec(),
            415,
            "unsupported_media_type",
        ),
        ("no gzip", format!("{JSON}content-encoding: gzip\r\n"), b"{}".to_vec(), 400, "malformed"),
        (
            "two encodings",
            format!("{JSON}content-encoding: gzip, zstd\r\n"),
            b"{}".to_vec(),
            415,
            "unsupported_media_type",
        ),
        ("a large event", JSON.into(), format!("{{\"action\":\"{}\"}}", "x".repeat(5 * MIB)).into(), 413, "too_large"),
        ("a large body", JSON.into(), vec![b' '; 17 * MIB], 413, "too_large"),
        ("a bomb of gzip", format!("{JSON}content-encoding: gzip\r\n"), gzip(&vec![b' '; 200 * MIB]), 413, "too_large"),
        ("a bomb of zstd", format!("{JSON}content-encoding: zstd\r\n"), zstd_bomb(1024), 413, "too_large"),
        ("a window too wide", format!("{JSON}content-encoding: zstd\r\n"), wide_window, 400, "malformed"),
        ("too many events", JSON.into(), large_array.into(), 422, "limit_exceeded"),
    ];
    let before = memory_mib();
    for (name, headers, body, status, code) in cases {
        let (found, text) = served.ask("POST /v1/events", &headers, &body).await;
        assert_eq!(found, status, "{name}: {text}");
        assert!(text.contains(&format!("\"code\":\"{code}\"")), "{name}: {text}");
        assert!(text.contains("application/problem+json"), "{name}: {text}");
        assert!(text.len() < 4096, "{name}: {} bytes", text.len());
    }
    // One bomb was a gibibyte. The allocator keeps some of what it had, and other tests run in this process.
    let grown = memory_mib().saturating_sub(before);
    assert!(grown < 700, "{grown} MiB more than before");
    served.check().await;
}

#[tokio::test]
async fn bad_heads_are_refused_or_dropped() {
    let served = Served::with(Options::default()).await;
    let long = "x".repeat(MIB);
    let cases: Vec<(&str, Vec<u8>, &[u16])> = vec![
        ("garbage", b"\x00\x01\x02\xff\r\n\r\n".to_vec(), &[0, 400]),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), &[0, 400]),
        ("half a head", b"GET /healthz HTTP/1.1\r\nhost:".to_vec(), &[0, 400]),
        ("HTTP/9", b"GET /healthz HTTP/9.9\r\n\r\n".to_vec(), &[0, 400, 505]),
        ("a long address", format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n").into(), &[0, 414, 431]),
        ("a long header", format!("GET /healthz HTTP/1.1\r\nhost: x\r\na: {long}\r\n\r\n").into(), &[0, 431]),
        ("many headers", format!("GET /healthz HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1000)).into(), &[0, 431]),
        ("two lengths", served.head("POST /v1/events", "content-length: 2\r\ncontent-length: 3\r\n").into(), &[0, 400]),
        ("a negative length", served.head("POST /v1/events", "content-length: -1\r\n").into(), &[0, 400]),
        ("a split header", served.head("GET /healthz", "a: b\r\n c: d\r\n").into(), &[0, 200, 400]),
        ("another method", served.head("BREW /v1/events", "").into(), &[405]),
        ("a path outside", served.head("GET /../../etc/passwd", "").into(), &[404]),
        ("a NUL in the path", served.head("GET /v1/events/%00", "").into(), &[404]),
        ("no UTF-8 in the path", served.head("GET /v1/events/%ff%fe", "").into(), &[400]),
        ("two credentials", served.head("GET /v1/events", "authorization: Bearer x\r\n").into(), &[401]),
    ];
    for (name, bytes, statuses) in cases {
        let mut stream = served.connect().await;
        let _ = stream.write_all(&bytes).await;
        if statuses.contains(&0) {
            // Whoever sends half a request and goes.
            let _ = stream.shutdown().await;
        }
        let (status, text) = status_of(&read_to_end(&mut stream).await);
        assert!(statuses.contains(&status), "{name}: {status} {text}");
    }
    served.check().await;
}

/// A request that says one length and has another never becomes two.
#[tokio::test]
async fn requests_are_not_smuggled() {
    let served = Served::with(Options::default()).await;
    let inner = format!("GET /v1/keys HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", served.key);
    let head = "POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let both = format!("{head}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{inner}");
    let mut stream = served.connect().await;
    stream.write_all(both.as_bytes()).await.expect("it is sent");
    let _ = stream.shutdown().await;
    let answer = read_to_end(&mut stream).await;
    // Either the first is refused, or it is one request with an empty body and the second is another, with
    // credentials of its own: never are they mixed.
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    served.check().await;
}

#[tokio::test]
async fn who_is_slow_is_not_waited_for() {
    let mut options = Options::default();
    (options.limits.head_timeout_ms, options.limits.body_pause_ms) = (300, 300);
    let served = Served::with(options).await;
    // A head, a byte now and then.
    let mut stream = served.connect().await;
    let trickle = async {
        for byte in b"GET /healthz HTTP/1.1\r\nhost: slow.example.com\r\naccept: text/plain\r\n" {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    trickle.await;
    let (status, text) = status_of(&read_to_end(&mut stream).await);
    assert!([0, 408].contains(&status), "{text}");

    // A body that pauses; of an array and of lines.
    for kind in ["application/json", "application/x-ndjson"] {
        let mut stream = served.connect().await;
        let head = served.head("POST /v1/events", &format!("content-type: {kind}\r\ncontent-length: 1000\r\n"));
        stream.write_all(format!("{head}{{\"action\":\"x\"}}\n").as_bytes()).await.expect("it is sent");
        let (_, text) = status_of(&read_to_end(&mut stream).await);
        assert!(text.contains("body_timeout"), "{kind}: {text}");
    }
    // A connection that says nothing at all, and one that is idle after a request.
    let mut silent = served.connect().await;
    assert_eq!(read_to_end(&mut silent).await, "");
    let mut idle = served.connect().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("it is sent");
    assert!(read_to_end(&mut idle).await.starts_with("HTTP/1.1 200"));
    served.check().await;
}

#[tokio::test]
async fn half_open_connections_hold_up_nobody() {
    let mut options = Options::default();
    options.limits.max_connections = 300;
    options.limits.head_timeout_ms = 2000;
    let served = Served::with(options).await;
    // More than there is room for; each sends a little and nothing more.
    let mut open = Vec::new();
    for _ in 0..400 {
        let mut stream = served.connect().await;
        let _ = stream.write_all(b"GET /v1/ev").await;
        open.push(stream);
    }
    // Those that were accepted are dropped in time, and then there is room.
    let (status, text) = served.ask("POST /v1/events", JSON, br#"{"action": "patient"}"#).await;
    assert_eq!(status, 201, "{text}");
    drop(open);
    served.check().await;
}

/// Thousands of them, from one address, and somebody from another who is answered at once.
#[tokio::test]
async fn one_address_does_not_take_all_the_places() {
    let mut options = Options::default();
    (options.limits.max_connections, options.limits.max_connections_per_address) = (60, 40);
    options.limits.head_timeout_ms = 600_000;
    let served = Served::with(options).await;
    let from_elsewhere = async |line: &str| {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.2:0".parse().expect("an address")).expect("it is this machine's");
        let mut stream = socket.connect(served.running.address()).await.expect("it accepts");
        stream.write_all(served.head(line, "").as_bytes()).await.expect("it is sent");
        // Long before a half-open head is given up.
        status_of(&read_to_end(&mut stream).await)
    };
    let mut open = Vec::new();
    // In waves, since a process may have no more files open than a thousand.
    for _ in 0..50 {
        let mut wave = Vec::new();
        for _ in 0..60 {
            let mut stream = served.connect().await;
            let _ = stream.write_all(b"GET /v1/ev").await;
            wave.push(stream);
        }
        let (status, text) = from_elsewhere("GET /healthz").await;
        assert_eq!(status, 200, "{text}");
        // Those that were closed end here, and the others stay.
        for mut stream in wave {
            if tokio::time::timeout(Duration::from_millis(5), stream.read(&mut [0])).await.is_err() {
                open.push(stream);
            }
        }
        assert_eq!(open.len(), 40);
    }
    let (_, metrics) = from_elsewhere("GET /metrics").await;
    assert!(metrics.contains("\nsealog_http_connections_refused_total 2960\n"), "{metrics}");
    // When one goes, there is a place for another.
    drop(open);
    let again = async {
        loop {
            let answer = served.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
            if answer.starts_with("HTTP/1.1 200") {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("there is room again");
    served.check().await;
}

/// Lines are read no faster than their answers are taken.
#[tokio::test]
async fn who_sends_lines_and_reads_no_answers_is_held_back() {
    let served = Served::with(Options::default()).await;
    let mut stream = served.connect().await;
    let head = served.head("POST /v1/events", "content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n");
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    let lines = "{\"action\":\"x\"}\n".repeat(4096);
    let chunk = format!("{:x}\r\n{lines}\r\n", lines.len());
    let mut sent = 0;
    while let Ok(written) = tokio::time::timeout(Duration::from_secs(2), stream.write_all(chunk.as_bytes())).await {
        written.expect("the connection stays");
        sent += lines.len();
        assert!(sent < 64 * MIB, "all of it is taken");
    }
    // Others go on meanwhile, and whoever reads at last gets an answer for each line that was taken.
    served.check().await;
    let mut answers = vec![0; MIB];
    assert!(stream.read(&mut answers).await.expect("it answers") > 0);
    drop(stream);
    served.check().await;
}

#[tokio::test]
async fn who_takes_nothing_is_let_go_and_harms_nobody() {
    let mut options = Options::default();
    options.limits.write_pause_ms = 500;
    let served = Served::with(options).await;
    let text = "x".repeat(100_000);
    for _ in 0..100 {
        let event = Event::new("large").metadata(serde_json::json!({ "text": text }));
        served.log.log(event).await.expect("it is logged");
    }
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = served.connect().await;
        let head = served.head("GET /v1/events?afterSeq=-1", "accept: text/event-stream\r\n");
        stream.write_all(head.as_bytes()).await.expect("it is sent");
        streams.push(stream);
    }
    let gone = async {
        loop {
            let (_, metrics) = served.ask("GET /metrics", "", b"").await;
            if metrics.contains("\nsealog_watchers 0\n") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // They have to have been there before they are gone.
    tokio::time::sleep(Duration::from_millis(100)).await;
    tokio::time::timeout(PATIENCE, gone).await.expect("they are let go");
    served.check().await;
}

#[tokio::test]
async fn a_server_stops_within_its_time_whoever_is_there() {
    let mut options = Options::default();
    options.limits.drain_ms = 500;
    let served = Served::with(options).await;
    let mut watcher = served.connect().await;
    watcher.write_all(served.head("GET /v1/events", "accept: text/event-stream\r\n").as_bytes()).await.expect("sent");
    let mut first = vec![0; 16 * 1024];
    assert!(watcher.read(&mut first).await.expect("it answers") > 0);
    // Somebody who is in the middle of a body, and will stay there.
    let mut stuck = served.connect().await;
    let head = served.head("POST /v1/events", &format!("{JSON}content-length: 1000\r\n"));
    stuck.write_all(head.as_bytes()).await.expect("it is sent");
    tokio::time::sleep(Duration::from_millis(50)).await;
    let Served { running, log, .. } = served;
    tokio::time::timeout(Duration::from_secs(5), running.stop()).await.expect("it stops");
    let rest = read_to_end(&mut watcher).await;
    assert!(rest.contains("event: stop\ndata: {\"reason\":\"shutdown\"}"), "{rest}");
    log.close().await.expect("the log closes");
}

#[tokio::test]
async fn refusals_from_one_address_become_fewer() {
    let mut options = Options::default();
    options.limits.max_refusals_per_minute = 5;
    let served = Served::with(options).await;
    let ask = async |key: &str| {
        let request =
            format!("GET /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n");
        status_of(&served.send(request.as_bytes()).await).0
    };
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(ask("wrong").await);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429, 429]);
    // Whoever has a key is not kept out by others behind the same address.
    assert_eq!(ask(&served.key).await, 200);
}
