//! `sealog verify-proof`

use std::path::PathBuf;

use clap::Args;
use sealog::{ErrorKind, Proof};
use serde_json::{Value, json};

use super::{name_of, read_text};
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::render::{self, GOOD};

/// Check a proof, without the log
///
/// Says whether the event in the file is, unchanged, in the log that the vkey belongs to. Get the
/// vkey from the log's owner some other way than the proof.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog verify-proof 42.tlog-proof --vkey 'audit.example.com+285dc161+Af+HoLCjx8DOgn6craX/eedaRKBjO/y1tQ+ZMH3bJrM3'
  sealog proof 42 | sealog verify-proof - --vkey \"$(cat audit.vkey)\"")]
pub(crate) struct VerifyProof {
    /// The proof file; `-` is standard input
    file: PathBuf,
    /// The public key that signed the log when the proof was made, as `sealog key list` prints it
    #[arg(long, value_name = "VKEY", env = "SEALOG_VKEY")]
    vkey: String,
}

impl VerifyProof {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let text = read_text(&self.file)?;
        let malformed = |error: sealog::Error| Failure::Usage(format!("{}: {error}", name_of(&self.file)));
        let proof = Proof::parse(&text).map_err(malformed)?;
        let proven = proof.verify(self.vkey.trim()).map_err(explained)?;
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

/// A key that was saved before the log's key was rotated is the commonest reason.
fn explained(error: sealog::Error) -> Failure {
    if error.kind() != ErrorKind::Integrity {
        return error.into();
    }
    let text = format!(
        "{error}; where the log's key was rotated since the vkey was saved, take the newer one that its owner \
         published (`sealog key list`)"
    );
    Failure::Explained(error, text)
}
