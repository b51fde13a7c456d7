//! A log in an application: write, read, prove, verify. `cargo run -p sealog --example embed`

use sealog::{
    AuditLog, Change, Event, Filter, Outcome, PageOptions, Policy, Severity, VerifyOptions, actions, readable,
};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Your own folder, in your own program. The log is one SQLite file; its signing key stands beside it.
    let folder = tempfile::tempdir()?;

    // Passwords, tokens and the like are hidden by default. Add what is personal in your application.
    let policy = Policy::default().redact("email");
    let log = AuditLog::builder(folder.path().join("audit.db")).policy(policy).open().await?;

    // When this returns, the event is on disk, sealed in the Merkle tree, and there for every reader.
    let failed = Event::new(actions::USER_LOGIN_FAILED)
        .actor("ada")
        .severity(Severity::Warning)
        .outcome(Outcome::Failure)
        .ip_address("203.0.113.9")
        .metadata(json!({"password": "hunter2", "attempt": 3}));
    log.log(failed).await?;

    // A change holds both states and what differs between them, even where the value itself is hidden.
    let change = Change::new(actions::USER_UPDATED, "user", "grace")
        .before(json!({"role": "member", "email": "grace@example.com"}))
        .after(json!({"role": "admin", "email": "grace@example.org"}))
        .with(|event| event.actor("ada"));
    let logged = log.log_change(change).await?;

    // An event with an id of yours may be sent again, after a timeout for example: it is one event.
    let paid = Event::new("invoice.paid").id("payment-77").resource("invoice", "i-4");
    let (first, again) = (log.log(paid.clone()).await?, log.log(paid).await?);
    assert_eq!(first.receipt().map(|receipt| receipt.seq), again.receipt().map(|receipt| receipt.seq));

    // A question is answered with everything that was acknowledged before it.
    let page = log.search(&Filter::new().actor("ada").action("user.*"), &PageOptions::new().limit(10)).await?;
    println!("ada: {} events, the newest {}", page.events.len(), page.events[0].action);

    // `read` gives the events in order, without loss; go on from `next_seq`.
    for record in log.read(0, 100).await?.events {
        println!("{} {:8} {}", record.seq(), record.severity, record.action);
        for line in readable(record.diff().unwrap_or_default()).lines() {
            println!("    {line}");
        }
    }
    println!("as stored: {}", log.get(logged.id()).await?.canonical_json());

    // One event, proven to somebody who has the log's public key and nothing else of the log.
    let proven = log.proof(1).await?.verify(&log.vkey().await?)?;
    println!("proven: {} at seq {}", proven.record().action, proven.seq());

    let report = log.verify(VerifyOptions::default(), |_| {}).await?;
    println!("verified: {} events, {} problems", report.size, report.problems.len());
    log.close().await?;
    Ok(())
}
