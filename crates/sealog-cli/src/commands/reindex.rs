//! `sealog reindex`

use std::time::Instant;

use clap::Args;
use sealog::ErrorKind;
use serde_json::json;

use super::asking::answer;
use crate::cli::Shared;
use crate::failure::Failure;
use crate::output::Output;
use crate::render::{self, GOOD};

/// Make the index anew from the log
///
/// It is made and kept up by itself, and made anew where it is missing or damaged; this does so at once.
/// The log itself is only read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog reindex
  sealog reindex --full-text=false        A smaller index, which finds no words
  sealog reindex --index /fast/audit.index")]
pub(crate) struct Reindex {
    /// Whether words can be searched for; it stays so until another reindex [default: true]
    #[arg(long, value_name = "BOOL")]
    full_text: Option<bool>,
}

impl Reindex {
    pub(crate) async fn run(self, shared: &Shared, out: Output) -> Result<(), Failure> {
        let log = shared.open_to_index(self.full_text).await?;
        let started = Instant::now();
        answer(&log, log.reindex()).await.map_err(in_use)?;
        let size = log.head().await?.size;
        // Only now is all of it on the disk.
        log.close().await?;
        let (seconds, folder) = (started.elapsed().as_secs_f64(), shared.index_folder());
        let text = format!(
            "{GOOD}Indexed{GOOD:#} {} in {seconds:.2} s, in {}\n",
            render::counted(size, "event"),
            folder.display()
        );
        out.either(&json!({"events": size, "seconds": seconds, "index": folder}), &text)
    }
}

/// The one that has the log open for writing keeps its index.
fn in_use(failure: Failure) -> Failure {
    match failure {
        Failure::Log(error) if error.kind() == ErrorKind::Busy => {
            let text = "another process has this index open; end it first, or give --index another folder";
            Failure::Explained(error, text.to_owned())
        }
        failure => failure,
    }
}
