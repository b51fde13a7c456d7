//! `sealog proof`

use clap::Args;
use serde_json::json;

use super::to_file::ToFile;
use super::unless_damaged;
use super::which::Which;
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
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    to_file: ToFile,
}

impl ProofArgs {
    pub(crate) async fn run(self, shared: &Shared, out: Output) -> Result<(), Failure> {
        let log = shared.open_to_read().await?;
        let record = self.which.find(&log).await?;
        let proof = log.proof(record.seq()).await.map_err(unless_damaged)?;
        // A proof of what was altered since would fail later, and with somebody else.
        proof.verify(&log.vkey().await?).map_err(unless_damaged)?;
        let text = proof.to_text();
        let size = proof.checkpoint().size();
        let document = json!({"seq": record.seq(), "id": record.id(), "size": size, "proof": text});
        let Some(path) = self.to_file.write(shared, &text)? else { return out.either(&document, &text) };
        let said = format!(
            "Wrote the proof of event {} in the log of {} to {}\n",
            record.seq(),
            render::counted(size, "event"),
            path.display()
        );
        out.either(&document, &said)
    }
}
