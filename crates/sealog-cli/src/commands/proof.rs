//! `sealog proof`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{find, write_file};
use crate::cli::Shared;
use crate::failure::Failure;
use crate::output::Output;
use crate::render;

/// Write the proof that an event is in the log
///
/// The proof is one file (C2SP tlog-proof) with the event, its place and the way to a signed
/// checkpoint. Whoever has the log's vkey checks it without the log. It holds the event in clear.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog proof 42 --output 42.tlog-proof
  sealog verify-proof 42.tlog-proof --vkey \"$(sealog key show)\"")]
pub(crate) struct ProofArgs {
    /// The event's seq, or its id
    #[arg(value_name = "SEQ|ID")]
    which: String,
    /// Write it to a file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl ProofArgs {
    pub(crate) async fn run(self, shared: &Shared, out: Output) -> Result<(), Failure> {
        let log = shared.open_to_read().await?;
        let record = find(&log, &self.which).await?;
        let proof = log.proof(record.seq()).await?;
        let text = proof.to_text();
        let size = proof.checkpoint().size();
        let document = json!({"seq": record.seq(), "id": record.id(), "size": size, "proof": text});
        let Some(path) = &self.output else { return out.either(&document, &text) };
        write_file(path, &text)?;
        let said = format!(
            "Wrote the proof of event {} in the log of {} to {}\n",
            record.seq(),
            render::counted(size, "event"),
            path.display()
        );
        out.either(&document, &said)
    }
}
