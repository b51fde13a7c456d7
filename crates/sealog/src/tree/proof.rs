//! The proof file: that an event is in a log, in one file that is checked without the log.
//!
//! It is a [tlog-proof](https://c2sp.org/tlog-proof), which any tool for that format reads:
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra <base64>
//! index <seq>
//! <base64 of a hash>           the siblings from the leaf up to the root, one a line
//!
//! <checkpoint>
//! ```
//!
//! The format leaves `extra` to the application. Here it is base64 (RFC 4648, section 4) of
//!
//! ```text
//! 0x01 ‖ salt (16 bytes) ‖ canonical JSON of the event (UTF-8, to the end)
//! ```
//!
//! where the first byte is the version of this encoding. Nobody has to believe it: the tree's leaf is
//! `SHA-256(0x00 ‖ SHA-256(salt ‖ canonical JSON))`, so that what stands there either leads to the
//! signed root or is not what was sealed.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::check::check_inclusion;
use super::leaves::{Leaves, inclusion_proof};
use super::{Checkpoint, Hash, commitment, leaf_hash, mismatch};
use crate::error::{Error, Result};
use crate::event::{MAX_EVENT_BYTES, Record};

/// The first line.
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// The version of what `extra` holds.
const VERSION: u8 = 1;
/// The longest proof file, in bytes: the largest event in base64, and room for the hashes and a
/// checkpoint with many signatures.
const MAX_PROOF_BYTES: usize = MAX_EVENT_BYTES / 3 * 4 + 512 * 1024;
/// The most hashes: one for each level of the largest tree.
const MAX_HASHES: usize = 63;

/// That an event is in a log: the event, its place, and the way from it to a signed checkpoint.
///
/// Its text is a [tlog-proof](https://c2sp.org/tlog-proof) file, usually named `*.tlog-proof`, which
/// holds all that is needed to check it but the log's verifier key. It holds the event in clear.
///
/// ```
/// use sealog::Proof;
///
/// # let vkey = "example.com/log+285dc161+Af+HoLCjx8DOgn6craX/eedaRKBjO/y1tQ+ZMH3bJrM3";
/// # let file = include_str!("../../../../contract/vectors/example.tlog-proof");
/// let proven = Proof::parse(file)?.verify(vkey)?;
/// assert_eq!(proven.record().action, "user.login");
/// assert_eq!(proven.seq(), 2);
/// # Ok::<(), sealog::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proof {
    seq: u64,
    hashes: Vec<Hash>,
    checkpoint: Checkpoint,
    salt: [u8; 16],
    canonical: String,
}

impl Proof {
    /// Puts a proof together; whether it holds is for [`Proof::verify`] to say.
    pub(crate) fn new(seq: u64, hashes: Vec<Hash>, checkpoint: Checkpoint, salt: [u8; 16], canonical: String) -> Self {
        Self { seq, hashes, checkpoint, salt, canonical }
    }

    /// Reads a proof file. Nothing is checked but its form.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Integrity`](crate::ErrorKind::Integrity) when it is not in the form of a proof
    /// file, or holds no event; the message names the line.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MAX_PROOF_BYTES {
            return Err(malformed("the file", format_args!("at most {MAX_PROOF_BYTES} bytes"), text.len()));
        }
        let mut lines = Lines { rest: text, number: 0 };
        lines.expect(HEADER, |line| (line == HEADER).then_some(()))?;
        let (salt, canonical) = lines.expect("extra and an event with its salt, in base64", |line| {
            let bytes = BASE64_STANDARD.decode(line.strip_prefix("extra ")?).ok()?;
            let (salt, canonical) = bytes.strip_prefix(&[VERSION])?.split_first_chunk::<16>()?;
            Some((*salt, String::from_utf8(canonical.to_vec()).ok()?))
        })?;
        let seq = lines.expect("index and a number", |line| {
            let digits = line.strip_prefix("index ")?;
            // One number has one form: no sign, no leading zeros.
            digits.parse().ok().filter(|seq: &u64| seq.to_string() == digits)
        })?;
        let mut hashes = Vec::new();
        while let Some(hash) = lines.expect("a hash of 32 bytes in base64, or an empty line", |line| {
            if line.is_empty() {
                return Some(None);
            }
            BASE64_STANDARD.decode(line).ok()?.try_into().ok().map(Some)
        })? {
            if hashes.len() == MAX_HASHES {
                return Err(malformed("the inclusion proof", format_args!("at most {MAX_HASHES} hashes"), "more"));
            }
            hashes.push(hash);
        }
        let checkpoint = Checkpoint::parse(lines.rest)?;
        Ok(Self { seq, hashes, checkpoint, salt, canonical })
    }

    /// The text of the file, as it was parsed or will be.
    pub fn to_text(&self) -> String {
        let extra = [&[VERSION], self.salt.as_slice(), self.canonical.as_bytes()].concat();
        let extra = format!("extra {}\n", BASE64_STANDARD.encode(extra));
        file(&extra, self.seq, &self.hashes, &self.checkpoint)
    }

    /// The event's place in the log, as the proof claims.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The checkpoint that the proof leads to; nothing is known of its signature yet.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Checks, without the log, that the log with the verifier key `vkey` holds this event: the
    /// signature on the checkpoint, the way from the event to the root, and that the event itself
    /// says that it stands there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) when `vkey` is no verifier
    /// key; [`ErrorKind::Integrity`](crate::ErrorKind::Integrity) when something does not hold, with
    /// what was expected and what was found.
    pub fn verify(&self, vkey: &str) -> Result<ProvenEvent> {
        self.checkpoint.verify(vkey)?;
        let leaf = leaf_hash(&commitment(&self.salt, self.canonical.as_bytes()));
        check_inclusion(self.seq, self.checkpoint.size, &self.checkpoint.root, &leaf, &self.hashes)?;
        let record = Record::from_canonical(self.canonical.clone()).ok_or_else(|| {
            mismatch(
                &format!("leaf {} of the tree is no event", self.seq),
                "an object with id, seq, timestamp and recordedAt",
                format_args!("{} bytes that are none", self.canonical.len()),
            )
        })?;
        if record.seq() != self.seq {
            return Err(mismatch(
                "the event stands at another place than it says",
                format_args!("seq {}", self.seq),
                format_args!("seq {}", record.seq()),
            ));
        }
        Ok(ProvenEvent { record, checkpoint: self.checkpoint.clone() })
    }
}

/// A proof file without `extra`: that the leaf at `seq`, which is there, is in the tree, and not what is sealed in it.
pub(crate) fn leaf_proof(seq: u64, checkpoint: &Checkpoint, leaves: &dyn Leaves) -> Result<String> {
    let hashes = inclusion_proof(seq, checkpoint.size, leaves)?;
    for leaf in leaves.leaf_hashes(seq, seq + 1)? {
        check_inclusion(seq, checkpoint.size, &checkpoint.root, &leaf, &hashes)?;
    }
    Ok(file("", seq, &hashes, checkpoint))
}

/// The text of a proof file, whose line of `extra` is given, or empty.
fn file(extra: &str, seq: u64, hashes: &[Hash], checkpoint: &Checkpoint) -> String {
    let mut text = format!("{HEADER}\n{extra}index {seq}\n");
    for hash in hashes {
        BASE64_STANDARD.encode_string(hash, &mut text);
        text.push('\n');
    }
    text.push('\n');
    text.push_str(checkpoint.note());
    text
}

/// The text of the file, as [`Proof::to_text`].
impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

/// Leaves out the event, which may be long and is nobody's business in an application's own log.
impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof").field("seq", &self.seq).field("checkpoint", &self.checkpoint).finish_non_exhaustive()
    }
}

/// An event of which [`Proof::verify`] found that it is in the log, unchanged, at its place.
#[derive(Debug, Clone, PartialEq)]
pub struct ProvenEvent {
    record: Record,
    checkpoint: Checkpoint,
}

impl ProvenEvent {
    /// Its place in the log.
    pub fn seq(&self) -> u64 {
        self.record.seq()
    }

    /// The event.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The very bytes that were sealed: canonical JSON (RFC 8785).
    pub fn canonical_json(&self) -> &str {
        self.record.canonical_json()
    }

    /// The signed checkpoint whose tree holds the event.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }
}

/// The lines of a file, with their numbers.
struct Lines<'a> {
    rest: &'a str,
    number: u64,
}

impl<'a> Lines<'a> {
    /// Takes the next line, which must be one that `read` can read.
    fn expect<T>(&mut self, expected: &str, read: impl FnOnce(&'a str) -> Option<T>) -> Result<T> {
        self.number += 1;
        let place = format!("line {}", self.number);
        let Some((line, rest)) = self.rest.split_once('\n') else {
            return Err(malformed(&place, expected, "the end of the file"));
        };
        self.rest = rest;
        // The line itself is not shown: it may hold the event.
        let kind = line.split(' ').next().filter(|word| word.len() < 32 && line.len() > word.len());
        read(line).ok_or_else(|| match kind {
            Some(word) => malformed(&place, expected, format_args!("{} bytes that begin with {word:?}", line.len())),
            None => malformed(&place, expected, format_args!("{} bytes of something else", line.len())),
        })
    }
}

fn malformed(place: &str, expected: impl fmt::Display, found: impl fmt::Display) -> Error {
    mismatch(&format!("this is no proof file: {place}"), expected, found)
}
