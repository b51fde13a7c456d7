#![allow(missing_docs, clippy::all, clippy::pedantic)]
use sealog::*;
use serde_json::json;
fn event(i: u64) -> Event {
    let h = i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    Event::new(actions::ALL[(h >> 20) as usize % 25]).actor(format!("user-{}", h % 997)).actor_type("user").actor_name("Some Body")
        .resource("document", format!("doc-{}", h % 7919)).ip_address(format!("203.0.113.{}", h % 250))
        .user_agent("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36")
        .session(format!("sess-{:016x}", h)).request(format!("req-{:016x}{:016x}", h.rotate_left(13), h.rotate_left(29)))
        .metadata(json!({"path": format!("/api/v1/documents/{}", h % 7919), "method": "GET", "latencyMs": h % 300, "attempt": 1}))
        .tag("web").tenant(format!("tenant-{}", h % 17))
}
fn du(dir: &std::path::Path) -> u64 { std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum() }
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let n: u64 = std::env::args().nth(1).map_or(200_000, |s| s.parse().unwrap());
    let dir = tempfile::tempdir_in("/work").unwrap();
    let log = AuditLog::open(dir.path().join("a.db")).await.unwrap();
    let batches: Vec<Vec<Event>> = (0..n / 1000).map(|b| (0..1000).map(|i| event(b * 1000 + i)).collect()).collect();
    let t = std::time::Instant::now();
    let q = std::sync::Arc::new(std::sync::Mutex::new(batches));
    let mut tasks = vec![];
    for _ in 0..2 { let (log, q) = (log.clone(), q.clone()); tasks.push(tokio::spawn(async move { loop { let Some(b) = q.lock().unwrap().pop() else { break }; log.log_bulk(b).await.unwrap(); } })); }
    for t in tasks { t.await.unwrap(); }
    let s = t.elapsed().as_secs_f64();
    println!("bulk {:.0}/s, {} bytes/event", n as f64 / s, du(dir.path()) / n);
    let t = std::time::Instant::now();
    let r = log.verify(VerifyOptions::default(), |_| {}).await.unwrap();
    println!("verify {:.0}/s ok={} {:?}", n as f64 / t.elapsed().as_secs_f64(), r.is_ok(), r.problems.first());
    let dir2 = tempfile::tempdir_in("/work").unwrap();
    let log = AuditLog::open(dir2.path().join("a.db")).await.unwrap();
    let m = n / 4;
    let t = std::time::Instant::now();
    let mut tasks = vec![];
    for k in 0..64u64 { let log = log.clone(); tasks.push(tokio::spawn(async move { for i in 0..m / 64 { log.log(event(k * 1_000_000 + i)).await.unwrap(); } })); }
    for t in tasks { t.await.unwrap(); }
    println!("singles64 {:.0}/s, {} bytes/event", m as f64 / t.elapsed().as_secs_f64(), du(dir2.path()) / m);
    let t = std::time::Instant::now();
    for i in 0..2000 { log.log(event(900_000_000 + i)).await.unwrap(); }
    println!("lone {:.0}/s, {} bytes/event", 2000.0 / t.elapsed().as_secs_f64(), du(dir2.path()) / m);
    let r = log.verify(VerifyOptions::default(), |_| {}).await.unwrap();
    println!("ok={} {:?}", r.is_ok(), r.problems.first());
}
