//! Removal receipts: events of the log's own that say which bodies are gone, and why.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Record};
use crate::journal::{OwnKind, Snapshot};
use crate::log::record_of;
use crate::ranges::Ranges;
use crate::tree::Hash;

/// The action of the receipt for what was kept long enough.
pub(crate) const RETENTION_APPLIED: &str = "sealog.retention.applied";
/// The action of the receipt for what somebody has a right to be forgotten.
pub(crate) const ERASURE_APPLIED: &str = "sealog.erasure.applied";

/// What a receipt of one seq more may add, in bytes: a seq with its comma, and a commitment in base64. A receipt is
/// full before it could exceed [`MAX_METADATA_BYTES`](crate::MAX_METADATA_BYTES).
const FULL_BYTES: usize = 200 * 1024;
const REMAINS_BYTES: usize = 44;

/// What one receipt covers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Covered {
    /// These seqs have no body any more. Of a receipt that has commitments, they have another one.
    pub(crate) seqs: Ranges,
    /// The commitment to what is left at each of the seqs; none where nothing is left.
    pub(crate) remains: Vec<Hash>,
}

impl Covered {
    /// What the receipt in this record covers; `None` when it is no receipt.
    pub(crate) fn of_record(record: &Record) -> Result<Option<Self>> {
        if ![RETENTION_APPLIED, ERASURE_APPLIED].contains(&record.action.as_str()) {
            return Ok(None);
        }
        let metadata = record.metadata.as_ref();
        let text = |name: &str| metadata.and_then(|metadata| metadata.get(name)).and_then(Value::as_str);
        // An erasure may concern nothing but copies of rows that were set aside.
        if metadata.is_some_and(|metadata| metadata.get("count") == Some(&json!(0))) {
            return Ok(Some(Self::default()));
        }
        let covered = text("seqs").and_then(Ranges::parse).and_then(|seqs| {
            let remains = match text("remains") {
                None => Vec::new(),
                Some(remains) => {
                    let bytes = BASE64_STANDARD.decode(remains).ok()?;
                    let (hashes, rest) = bytes.as_chunks::<32>();
                    (rest.is_empty() && hashes.len() as u64 == seqs.len()).then(|| hashes.to_vec())?
                }
            };
            Some(Self { seqs, remains })
        });
        covered.map(Some).ok_or_else(|| {
            let message =
                format!("seq {}: expected a removal receipt with its seqs, found something else", record.seq());
            Error::new(ErrorKind::Integrity, message)
        })
    }

    /// The receipts for all of `gone`, in order, each with the commitment to what is left if anything is; each
    /// receipt says `why`.
    pub(crate) fn receipts(action: &str, why: &Map<String, Value>, gone: &[(u64, Option<Hash>)]) -> Vec<Event> {
        let mut receipts = Vec::new();
        let (whole, partly): (Vec<_>, Vec<_>) = gone.iter().partition(|(_, remains)| remains.is_none());
        for alike in [whole, partly] {
            let mut rest = &alike[..];
            while !rest.is_empty() {
                let mut bytes = 0;
                let fit = rest.iter().take_while(|(seq, remains)| {
                    bytes += seq.to_string().len() + 1 + if remains.is_some() { REMAINS_BYTES } else { 0 };
                    bytes <= FULL_BYTES
                });
                let (now, later) = rest.split_at(fit.count());
                let seqs: Ranges = now.iter().map(|(seq, _)| *seq).collect();
                let mut metadata = why.clone();
                metadata.insert("count".to_owned(), json!(now.len()));
                metadata.insert("seqs".to_owned(), json!(seqs.to_string()));
                let remains: Vec<_> = now.iter().filter_map(|(_, remains)| *remains).collect();
                if !remains.is_empty() {
                    metadata.insert("remains".to_owned(), json!(BASE64_STANDARD.encode(remains.as_flattened())));
                }
                receipts.push(Event::new(action).metadata(Value::Object(metadata)));
                rest = later;
            }
        }
        receipts
    }
}

/// What all receipts so far cover.
#[derive(Debug, Clone, Default)]
pub(crate) struct Removals {
    /// Nothing is left of these.
    pub(crate) gone: Ranges,
    /// The commitment to what is left of an event, by its seq.
    pub(crate) remains: BTreeMap<u64, Hash>,
    /// The receipts before this seq are in here.
    pub(crate) next: u64,
}

impl Removals {
    /// Adds the receipts that a snapshot has beyond those that are in here. Answers whether there were some.
    pub(crate) fn read(&mut self, snapshot: &mut dyn Snapshot) -> Result<bool> {
        let seqs = snapshot.own(OwnKind::Removal, self.next)?;
        for seq in &seqs {
            let mut body = None;
            snapshot.rows(*seq, seq + 1, &mut |_, row| {
                body = Some(row.body.to_vec());
                Ok(())
            })?;
            let covered = body.map(|body| Covered::of_record(&record_of(*seq, &body)?)).transpose()?.flatten();
            let covered = covered.ok_or_else(|| {
                Error::new(ErrorKind::Integrity, format!("seq {seq}: expected a removal receipt, found none"))
            })?;
            self.add(*seq, &covered);
        }
        Ok(!seqs.is_empty())
    }

    /// Adds what the receipt at `seq` covers, which is only what came before it.
    pub(crate) fn add(&mut self, seq: u64, covered: &Covered) {
        self.next = self.next.max(seq + 1);
        if covered.remains.is_empty() {
            for range in covered.seqs.iter() {
                self.gone.add(range.start..range.end.min(seq));
                let over: Vec<_> = self.remains.range(range.clone()).map(|(seq, _)| *seq).collect();
                for seq in over {
                    self.remains.remove(&seq);
                }
            }
        } else {
            self.remains.extend(covered.seqs.seqs().zip(covered.remains.iter().copied()).filter(|(of, _)| *of < seq));
        }
    }
}
