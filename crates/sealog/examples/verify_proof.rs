//! Checks a proof file without the log:
//!
//! ```console
//! $ cargo run -p sealog --example verify_proof -- FILE VKEY
//! ```
//!
//! `contract/vectors/example.tlog-proof` is such a file, and `vkey` in `proof.json` beside it its key.

use std::process::ExitCode;

use sealog::Proof;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [file, vkey] = arguments.as_slice() else {
        eprintln!("usage: verify_proof FILE VKEY");
        return ExitCode::from(2);
    };
    match check(file, vkey) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("not proven: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check(file: &str, vkey: &str) -> Result<(), Box<dyn std::error::Error>> {
    // The file holds the event, its place in the tree, and a checkpoint: the log's signed statement of that
    // tree. Who made the file need not be trusted, but the vkey must come from the log's owner.
    let proven = Proof::parse(&std::fs::read_to_string(file)?)?.verify(vkey)?;
    let (record, checkpoint) = (proven.record(), proven.checkpoint());
    println!("proven: the log {} holds this event at seq {}", checkpoint.origin(), proven.seq());
    println!("action: {} by {}", record.action, record.actor_id.as_deref().unwrap_or("nobody named"));
    println!("time:   {} ms since 1970, recorded at {}", record.timestamp(), record.recorded_at());
    println!("tree:   {} events under the root {}", checkpoint.size(), checkpoint.root_base64());
    println!("event:  {}", proven.canonical_json());
    Ok(())
}
