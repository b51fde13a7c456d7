//! The one event that a command is about.

use clap::Args;
use sealog::{AuditLog, ErrorKind, Record};

use super::unless_damaged;
use crate::failure::Failure;
use crate::render;

/// Which event: exactly one of the three.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// The event's seq, or its id; a number is taken for a seq first
    #[arg(value_name = "SEQ|ID")]
    seq_or_id: Option<String>,
    /// The event's seq
    #[arg(long, value_name = "SEQ")]
    seq: Option<u64>,
    /// The event's id, even where it is a number
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

impl Which {
    /// The event itself.
    pub(super) async fn find(&self, log: &AuditLog) -> Result<Record, Failure> {
        if let Some(id) = &self.id {
            return log.get(id).await.map_err(unless_damaged);
        }
        let either = self.seq_or_id.as_deref().unwrap_or_default();
        let seq = self.seq.or_else(|| either.parse().ok());
        let Some(seq) = seq else { return log.get(either).await.map_err(unless_damaged) };
        let page = log.read(seq, 1).await.map_err(unless_damaged)?;
        if let Some(record) = page.events.into_iter().next().filter(|record| record.seq() == seq) {
            return Ok(record);
        }
        if self.seq.is_none() {
            match log.get(either).await {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                found => return found.map_err(unless_damaged),
            }
        }
        let size = log.head().await?.size;
        if seq < size {
            let message = format!("the event with the seq {seq} was removed; a removal receipt says why");
            return Err(Failure::NotFound(message));
        }
        let size = render::counted(size, "event");
        let or_id = if self.seq.is_none() { ", or with that id" } else { "" };
        Err(Failure::NotFound(format!("there is no event with the seq {seq}{or_id}; the log holds {size}")))
    }
}
