//! The checkpoint: a signed statement of the tree's size and root.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use signed_note::{Note, NoteError, Signature, StandardVerifier, Verifier, VerifierError, VerifierList};

use super::key::Signer;
use super::{Hash, MAX_SIZE, Tree, check_consistency, mismatch};
use crate::error::{Error, ErrorKind, Result};

/// The longest checkpoint, in bytes, its signatures included. Room for the sixteen signatures that
/// a reader of notes must accept at the least, each as large as post-quantum ones are.
const MAX_CHECKPOINT_BYTES: usize = 256 * 1024;

/// A signed statement of the tree's size and root.
///
/// It is a signed note ([tlog-checkpoint](https://c2sp.org/tlog-checkpoint),
/// [signed-note](https://c2sp.org/signed-note)): the log's origin, the number of its events in
/// decimal, the root of its Merkle tree (RFC 6962) in base64, an empty line, and one line for each
/// signature. Lines of extension and signatures of others, such as witnesses, are kept as they are.
///
/// ```
/// use sealog::Checkpoint;
///
/// let checkpoint = Checkpoint::parse(
///     "example.com/log\n\
///      0\n\
///      47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\
///      \n\
///      — example.com/log KF3BYTY/21JULk/ls5j8e06hdPWptcQVtwGmNcacJZw2ThR28O43ev076jc+CVED7cROjogS5LfGEr9Osv0anguF3Q8=\n",
/// )?;
/// assert_eq!(checkpoint.origin(), "example.com/log");
/// assert_eq!(checkpoint.size(), 0);
/// checkpoint.verify("example.com/log+285dc161+Af+HoLCjx8DOgn6craX/eedaRKBjO/y1tQ+ZMH3bJrM3")?;
/// # Ok::<(), sealog::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Checkpoint {
    note: String,
    origin: String,
    pub(super) size: u64,
    pub(super) root: Hash,
}

impl Checkpoint {
    /// Signs a statement. The origin stands in the signers' key, where it was checked.
    pub(super) fn sign(origin: &str, size: u64, root: &Hash, signers: &[&Signer]) -> Self {
        let text = tlog_tiles::Checkpoint::new(origin, size, tlog_tiles::Hash(*root), "")
            .expect("a key has an origin that is not empty");
        let mut note = Note::new(&text.to_bytes(), &[]).expect("an origin holds no control characters");
        let signers: Vec<_> = signers.iter().map(|signer| *signer as &dyn signed_note::Signer).collect();
        note.add_sigs(&signers).expect("Ed25519 signs any text");
        let note = String::from_utf8(note.to_bytes()).expect("a note is UTF-8");
        Self { note, origin: origin.to_owned(), size, root: *root }
    }

    /// Checks that the tree of this checkpoint begins with the tree of an `older` one: that nothing in
    /// it was changed or removed since. `proof` is a consistency proof (RFC 6962, section 2.1.2), as
    /// [`AuditLog::consistency`](crate::AuditLog::consistency) gives it.
    ///
    /// # Errors
    ///
    /// `Integrity` when it does not, or the proof does not show it.
    pub fn extends(&self, older: &Checkpoint, proof: &[[u8; 32]]) -> Result<()> {
        let tree = |checkpoint: &Checkpoint| Tree { size: checkpoint.size, root: checkpoint.root };
        check_consistency(tree(older), tree(self), proof)
    }

    /// Reads notes that stand one after the other, as an anchor file keeps them. Empty lines between them,
    /// which people put there, are passed over.
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::parse`], for the first note that is wrong.
    pub fn parse_many(notes: &str) -> Result<Vec<Self>> {
        let notes = Self::split_notes(notes).into_iter().map(|note| note.trim_start_matches(['\r', '\n']));
        notes.filter(|note| !note.is_empty()).map(Self::parse).collect()
    }

    /// Reads what an anchor keeps: notes that stand one after the other, and behind the last whole signature
    /// perhaps the beginning of one that a crash cut off. Answers the checkpoints and that rest.
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::parse`], for the first note that is wrong.
    pub fn read_anchor(bytes: &[u8]) -> Result<(Vec<Self>, &[u8])> {
        let (mut whole, mut end) = (0, 0);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            end += line.len();
            if line.starts_with("\u{2014} ".as_bytes()) && line.ends_with(b"\n") {
                whole = end;
            }
        }
        let (notes, rest) = bytes.split_at(whole);
        // What is no UTF-8 is no note either, and the replacement for it says so.
        Ok((Self::parse_many(&String::from_utf8_lossy(notes))?, rest))
    }

    /// Cuts a text behind each note, which ends with its last signature. The pieces are not checked: they
    /// are all of the text, and the last one is what stands behind the last signature, if anything does.
    fn split_notes(notes: &str) -> Vec<&str> {
        let mut pieces = Vec::new();
        let (mut start, mut end) = (0, 0);
        let mut signed = false;
        for line in notes.split_inclusive('\n') {
            let is_signature = line.starts_with("\u{2014} ");
            if signed && !is_signature {
                pieces.push(&notes[start..end]);
                start = end;
            }
            signed = is_signature;
            end += line.len();
        }
        if start < end {
            pieces.push(&notes[start..end]);
        }
        pieces
    }

    /// Reads a checkpoint. Its signatures are not checked: that takes a key, and is done by
    /// [`Checkpoint::verify`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Integrity`] when the text is no checkpoint: no signed note, or one whose text is
    /// not exactly an origin, a size and a root, each in its one canonical form.
    pub fn parse(note: &str) -> Result<Self> {
        if note.len() > MAX_CHECKPOINT_BYTES {
            return Err(mismatch(
                "this is no checkpoint",
                format_args!("at most {MAX_CHECKPOINT_BYTES} bytes"),
                format_args!("{} bytes", note.len()),
            ));
        }
        let parsed = Note::from_bytes(note.as_bytes()).map_err(|error| {
            mismatch(
                "this is no checkpoint",
                "a signed note (a text, an empty line, signature lines that begin with an em dash)",
                format_args!("{:?}", excerpt(note)),
            )
            .with_source(error)
        })?;
        let malformed = || {
            mismatch(
                "this is no checkpoint",
                "the lines origin, size in decimal and root in base64",
                format_args!("{:?}", excerpt(note)),
            )
        };
        let text = tlog_tiles::Checkpoint::from_bytes(parsed.text()).map_err(|_| malformed())?;
        // One statement has one form, or two texts with different signatures would say the same.
        if text.to_bytes() != parsed.text() {
            return Err(malformed());
        }
        if text.size() > MAX_SIZE {
            return Err(mismatch("the size of the tree", format_args!("at most {MAX_SIZE}"), text.size()));
        }
        Ok(Self { note: note.to_owned(), origin: text.origin().to_owned(), size: text.size(), root: text.hash().0 })
    }

    /// The name of the log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many events the tree holds.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the Merkle tree over the first [`size`](Checkpoint::size) events.
    pub fn root(&self) -> [u8; 32] {
        self.root
    }

    /// The root as it stands in the checkpoint: base64 (RFC 4648, section 4).
    pub fn root_base64(&self) -> String {
        BASE64_STANDARD.encode(self.root)
    }

    /// The signed note, byte for byte as it was signed or parsed.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Checks that the log with the verifier key `vkey` signed this checkpoint. Signatures of other
    /// keys are neither needed nor looked at.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] when `vkey` is no Ed25519 verifier key;
    /// [`ErrorKind::Integrity`] when the checkpoint is of another log, not signed by that key, or
    /// signed wrongly.
    pub fn verify(&self, vkey: &str) -> Result<()> {
        let verifier = parse_vkey(vkey)?;
        if verifier.name() != self.origin {
            return Err(mismatch(
                "the checkpoint is of another log",
                format_args!("origin {:?}", verifier.name()),
                format_args!("{:?}", self.origin),
            ));
        }
        let signer = format!("{}+{:08x}", verifier.name(), verifier.key_id());
        let note = Note::from_bytes(self.note.as_bytes())
            .map_err(|error| Error::new(ErrorKind::Integrity, "the checkpoint is no signed note").with_source(error))?;
        match note.verify(&VerifierList::new(vec![Box::new(verifier)])) {
            Ok(_) => Ok(()),
            Err(NoteError::UnverifiedNote) => Err(mismatch(
                "the checkpoint is not signed by this key",
                format_args!("a signature of {signer}"),
                format_args!("signatures of {}", self.signers().join(", ")),
            )),
            Err(error) => Err(mismatch(
                &format!("the signature on the checkpoint of size {} is wrong", self.size),
                format_args!("one of {signer} over this origin, size and root"),
                "one that does not match them",
            )
            .with_source(error)),
        }
    }

    /// Who signed, as `name+id`, in order and unchecked.
    pub(crate) fn signers(&self) -> Vec<String> {
        let (_, signatures) = self.note.rsplit_once("\n\n").unwrap_or_default();
        let parsed = signatures.lines().filter_map(|line| Signature::from_bytes(line.as_bytes()).ok());
        parsed.map(|signature| format!("{}+{:08x}", signature.name(), signature.id())).collect()
    }
}

/// Whether this is a verifier key at all.
///
/// # Errors
///
/// [`ErrorKind::InvalidArgument`] when it is none.
pub(crate) fn check_vkey(vkey: &str) -> Result<()> {
    parse_vkey(vkey).map(drop)
}

/// Reads a verifier key, `name+id+base64(0x01 ‖ public key)`.
pub(super) fn parse_vkey(vkey: &str) -> Result<StandardVerifier> {
    StandardVerifier::new(vkey.trim()).map_err(|error| {
        let why = match &error {
            VerifierError::Format => "it is not of the form name+id+key",
            VerifierError::Alg => "it is not for Ed25519",
            VerifierError::Id => "its name, id and key do not belong together",
        };
        Error::new(
            ErrorKind::InvalidArgument,
            format!("this is no verifier key: {why}; take the vkey that the log's owner published"),
        )
        .with_source(error)
    })
}

/// The beginning of a text that is not what it should be, to show in an error.
fn excerpt(text: &str) -> String {
    const CHARS: usize = 80;
    // The wrong file may be the key file, and errors end up in logs.
    if text.contains("PRIVATE+KEY") {
        return "a signing key".to_owned();
    }
    let mut excerpt: String = text.chars().take(CHARS).collect();
    if excerpt.len() < text.len() {
        excerpt.push('…');
    }
    excerpt
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.note)
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint")
            .field("origin", &self.origin)
            .field("size", &self.size)
            .field("root", &self.root_base64())
            .field("signers", &self.signers())
            .finish_non_exhaustive()
    }
}
