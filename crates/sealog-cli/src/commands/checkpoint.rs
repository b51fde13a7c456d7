//! `sealog checkpoint`

use clap::Args;
use serde_json::json;

use super::to_file::ToFile;
use crate::cli::Shared;
use crate::failure::Failure;
use crate::output::Output;

/// Print the newest signed checkpoint
///
/// A checkpoint states the log's size and root under the log's signature (C2SP tlog-checkpoint).
/// Keep one somewhere that the log's owner cannot reach: `verify --checkpoint` then proves that
/// nothing up to it was changed since.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog checkpoint --output 2026-03-02.checkpoint
  sealog verify --checkpoint 2026-03-02.checkpoint")]
pub(crate) struct CheckpointArgs {
    #[command(flatten)]
    to_file: ToFile,
}

impl CheckpointArgs {
    pub(crate) async fn run(self, shared: &Shared, out: Output) -> Result<(), Failure> {
        let head = shared.open_to_read().await?.head().await?;
        let checkpoint = &head.checkpoint;
        let written = self.to_file.write(shared, checkpoint.note())?;
        let document = json!({
            "origin": checkpoint.origin(),
            "size": checkpoint.size(),
            "root": checkpoint.root_base64(),
            "note": checkpoint.note(),
        });
        match written {
            Some(path) => {
                let text = format!("Wrote the checkpoint of size {} to {}\n", checkpoint.size(), path.display());
                out.either(&document, &text)
            }
            None => out.either(&document, checkpoint.note()),
        }
    }
}
