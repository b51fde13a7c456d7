//! `sealog verify-proof`

use std::path::PathBuf;

use clap::Args;
use sealog::Proof;
use serde_json::{Value, json};

use super::read_file;
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::render::{self, GOOD};

/// Check a proof, without the log
///
/// Says whether the event in the file is, unchanged, in the log that the vkey belongs to. Get the
/// vkey from the log's owner some other way than the proof.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sealog verify-proof 42.tlog-proof --vkey 'audit.example.com+285dc161+Af+HoLCjx8DOgn6craX/eedaRKBjO/y1tQ+ZMH3bJrM3'")]
pub(crate) struct VerifyProof {
    /// The proof file
    file: PathBuf,
    /// The public key of the log, as `sealog key show` prints it
    #[arg(long, value_name = "VKEY", env = "SEALOG_VKEY")]
    vkey: String,
}

impl VerifyProof {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let proven = Proof::parse(&read_file(&self.file)?)?.verify(self.vkey.trim())?;
        let checkpoint = proven.checkpoint();
        if out.json {
            let event: Value = serde_json::from_str(proven.canonical_json()).unwrap_or_default();
            return output::document(&json!({
                "ok": true,
                "seq": proven.seq(),
                "origin": checkpoint.origin(),
                "size": checkpoint.size(),
                "root": checkpoint.root_base64(),
                "event": event,
            }));
        }
        output::write(&format!(
            "{GOOD}Proven:{GOOD:#} this event is number {} of the {} that {} signed for.\n\n{}",
            proven.seq(),
            render::counted(checkpoint.size(), "event"),
            render::safe(checkpoint.origin()),
            render::card(proven.record()),
        ))
    }
}
