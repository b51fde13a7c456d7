//! The log's keys: what signs its checkpoints, and the secret behind its keyed hashes.

use std::fmt;
use std::hint::black_box;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{SignatureError, Signer as _, SigningKey};
use signed_note::{SignerError, StandardSigner};

use super::{Checkpoint, Hash};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};

/// The longest origin, in bytes of UTF-8.
const MAX_ORIGIN_BYTES: usize = 256;
/// The longest text of a key, in bytes.
const MAX_TEXT_BYTES: usize = 64 * 1024;
/// The most signers of one key. A rotation beyond that drops the oldest.
const MAX_SIGNERS: usize = 16;
/// The byte that stands for Ed25519 before a key (c2sp.org/signed-note, "Signature types").
const ALG_ED25519: u8 = 1;
/// The word before the secret in the text of a key.
const SECRET: &str = "secret ";

/// The keys of a log, which are **secret**: whoever has them can sign for the log.
///
/// They are the log's origin (its name in each checkpoint), one or more Ed25519 signing keys of
/// which the newest signs, and a secret of 32 bytes for the log's keyed hashes, which stays the same
/// when the signing key is rotated.
///
/// The text form is what a key file or an environment variable holds. Lines that begin with `#` are
/// comments. A signing key is a line `PRIVATE+KEY+name+id+base64`, as Go's `note` package writes it,
/// the newest last; the secret is a line `secret base64`.
///
/// ```
/// use sealog::{Key, SystemClock};
///
/// let key = Key::generate("example.com/log", &SystemClock::new())?;
/// assert!(key.vkey().starts_with("example.com/log+"));
///
/// let same = Key::parse(&key.to_text())?;
/// assert_eq!(same.vkey(), key.vkey());
/// # Ok::<(), sealog::Error>(())
/// ```
#[derive(Clone)]
pub struct Key {
    /// All of one name; never empty; the newest last.
    signers: Vec<Signer>,
    secret: Secret,
}

/// One signing key and the name it signs for.
#[derive(Clone)]
pub(crate) struct Signer {
    name: String,
    id: u32,
    vkey: String,
    /// Overwrites itself when it is dropped.
    key: SigningKey,
}

/// Bytes that are overwritten when they are dropped.
#[derive(Clone)]
struct Secret([u8; 32]);

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        // Without this the compiler may leave out a write that nobody reads.
        black_box(&self.0);
    }
}

impl Key {
    /// Makes the keys of a new log.
    ///
    /// `origin` names the log in each checkpoint. It should be an address without a scheme, such as
    /// `example.com/audit`, that nobody else uses; nothing needs to answer there. At most 256 bytes,
    /// not empty, without spaces, control characters and `+`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] when `origin` breaks these rules.
    pub fn generate(origin: &str, clock: &dyn Clock) -> Result<Self> {
        check_origin(origin).map_err(|why| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("{origin:?} cannot name a log: {why}; use an address such as example.com/audit"),
            )
        })?;
        let signer = Signer::generate(origin, clock);
        let mut secret = Secret([0; 32]);
        clock.fill(&mut secret.0);
        Ok(Self { signers: vec![signer], secret })
    }

    /// Reads the text form.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Key`] when something in it is missing or malformed. The message names the line,
    /// never what stands there.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(wrong(&format!("the key is {} bytes long, and at most {MAX_TEXT_BYTES} are read", text.len())));
        }
        let mut signers: Vec<Signer> = Vec::new();
        let mut secret = None;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(encoded) = line.strip_prefix(SECRET) {
                let parsed = Secret::parse(encoded.trim())
                    .ok_or_else(|| wrong(&format!("line {number} of the key: the secret is not 32 bytes in base64")))?;
                if secret.replace(parsed).is_some() {
                    return Err(wrong(&format!("line {number} of the key is a second secret, and a log has one")));
                }
            } else if line.starts_with("PRIVATE+KEY+") {
                let signer = Signer::parse(line).map_err(|why| wrong(&format!("line {number} of the key: {why}")))?;
                if let Some(first) = signers.first()
                    && first.name != signer.name
                {
                    return Err(wrong(&format!(
                        "line {number} of the key is for {:?} and a line before it for {:?}",
                        signer.name, first.name
                    )));
                }
                if signers.iter().any(|other| other.vkey == signer.vkey) {
                    return Err(wrong(&format!("line {number} of the key repeats a signing key")));
                }
                signers.push(signer);
            } else {
                return Err(wrong(&format!(
                    "line {number} of the key is neither a signing key, a secret nor a comment"
                )));
            }
        }
        if signers.is_empty() {
            return Err(wrong("the key holds no line that begins with PRIVATE+KEY+"));
        }
        if signers.len() > MAX_SIGNERS {
            return Err(wrong(&format!(
                "the key holds {} signing keys, and at most {MAX_SIGNERS} are read",
                signers.len()
            )));
        }
        let secret = secret.ok_or_else(|| wrong("the key holds no line that begins with \"secret\""))?;
        Ok(Self { signers, secret })
    }

    /// The text form, which [`Key::parse`] reads. **Secret**: write it only to a place that the log's
    /// owner alone can read.
    pub fn to_text(&self) -> String {
        let mut text =
            format!("# Sealog: the keys of {}. Secret: whoever has them can sign for this log.\n", self.origin());
        for signer in &self.signers {
            text.push_str(&signer.to_text());
            text.push('\n');
        }
        text.push_str(SECRET);
        BASE64_STANDARD.encode_string(self.secret.0, &mut text);
        text.push('\n');
        text
    }

    /// The verifier key of the newest signing key, `name+id+base64`, which is public: with it anybody
    /// can check the log's checkpoints and proofs.
    pub fn vkey(&self) -> &str {
        &self.newest().vkey
    }

    /// The log's name in its checkpoints.
    pub fn origin(&self) -> &str {
        &self.newest().name
    }

    /// The same key with a new signing key, the newest from now on. Those before are kept, so that a
    /// log which has not yet taken up the new one can still be signed; the secret stays.
    ///
    /// # Errors
    ///
    /// None today; a source of randomness may come to fail.
    pub fn rotated(&self, clock: &dyn Clock) -> Result<Self> {
        let mut signers = self.signers.clone();
        signers.push(Signer::generate(self.origin(), clock));
        let surplus = signers.len().saturating_sub(MAX_SIGNERS);
        signers.drain(..surplus);
        Ok(Self { signers, secret: self.secret.clone() })
    }

    /// The same key with the signing key of this verifier key as the newest one, if it is here. The
    /// others stay: one that the log seems never to have taken up may yet be in what a crash left of it.
    pub(crate) fn with_newest(mut self, vkey: &str) -> Option<Self> {
        let place = self.signers.iter().position(|signer| signer.vkey == vkey)?;
        let signer = self.signers.remove(place);
        self.signers.push(signer);
        Some(self)
    }

    /// The signing key whose verifier key this is, if it is here.
    pub(crate) fn signer_for(&self, vkey: &str) -> Option<&Signer> {
        self.signers.iter().find(|signer| signer.vkey == vkey)
    }

    /// The signing key that signs now.
    pub(crate) fn newest(&self) -> &Signer {
        self.signers.last().expect("a key has at least one signing key")
    }

    /// The secret of the log's keyed hashes.
    pub(crate) fn secret(&self) -> &[u8; 32] {
        &self.secret.0
    }

    /// The checkpoint of a tree, signed by the newest signing key.
    pub(crate) fn sign_checkpoint(&self, size: u64, root: &Hash) -> Checkpoint {
        self.newest().sign_checkpoint(size, root)
    }

    /// The checkpoint with which `old` hands over to the newest signing key: signed by both, so that
    /// whoever trusts only `old` can see that it stands behind the tree that the new one continues.
    pub(crate) fn sign_handover(&self, old: &Signer, size: u64, root: &Hash) -> Checkpoint {
        Checkpoint::sign(self.origin(), size, root, &[old, self.newest()])
    }
}

/// Shows what is public.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let vkeys: Vec<_> = self.signers.iter().map(|signer| &signer.vkey).collect();
        f.debug_struct("Key").field("vkeys", &vkeys).finish_non_exhaustive()
    }
}

impl Signer {
    fn generate(name: &str, clock: &dyn Clock) -> Self {
        let mut seed = Secret([0; 32]);
        clock.fill(&mut seed.0);
        Self::new(name, &seed)
    }

    fn new(name: &str, seed: &Secret) -> Self {
        let key = SigningKey::from_bytes(&seed.0);
        let public = key.verifying_key();
        let id = signed_note::key_id(name, &[&[ALG_ED25519], public.as_bytes().as_slice()].concat());
        let vkey = signed_note::new_ed25519_verifier_key(name, &public);
        Self { name: name.to_owned(), id, vkey, key }
    }

    /// Reads `PRIVATE+KEY+name+id+base64(0x01 ‖ seed)`. The error says why it cannot.
    fn parse(line: &str) -> Result<Self, String> {
        StandardSigner::new(line).map_err(|error| match error {
            SignerError::Format => "this is not of the form PRIVATE+KEY+name+id+key".to_owned(),
            SignerError::Alg => "this is not for Ed25519".to_owned(),
            SignerError::Id => "its name, id and key do not belong together".to_owned(),
        })?;
        let mut parts = line.splitn(5, '+').skip(2);
        let (name, _id, encoded) = (parts.next(), parts.next(), parts.next());
        let (Some(name), Some(encoded)) = (name, encoded) else {
            return Err("this is not of the form PRIVATE+KEY+name+id+key".to_owned());
        };
        check_origin(name)?;
        let seed = BASE64_STANDARD.decode(encoded).ok().and_then(|bytes| Secret::from_slice(bytes.get(1..)?));
        let seed = seed.ok_or("its key is not 32 bytes long")?;
        Ok(Self::new(name, &seed))
    }

    fn to_text(&self) -> String {
        let key = [&[ALG_ED25519], self.key.as_bytes().as_slice()].concat();
        format!("PRIVATE+KEY+{}+{:08x}+{}", self.name, self.id, BASE64_STANDARD.encode(key))
    }

    /// The checkpoint of a tree, signed by this key alone.
    pub(crate) fn sign_checkpoint(&self, size: u64, root: &Hash) -> Checkpoint {
        Checkpoint::sign(&self.name, size, root, &[self])
    }
}

impl signed_note::Signer for Signer {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        self.id
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        Ok(self.key.try_sign(message)?.to_vec())
    }
}

impl Secret {
    fn parse(encoded: &str) -> Option<Self> {
        Self::from_slice(&BASE64_STANDARD.decode(encoded).ok()?)
    }

    fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

/// The rules for an origin; the error says which is broken.
fn check_origin(origin: &str) -> Result<(), String> {
    if origin.len() > MAX_ORIGIN_BYTES {
        return Err(format!("it is {} bytes long, and the limit is {MAX_ORIGIN_BYTES}", origin.len()));
    }
    if !signed_note::is_key_name_valid(origin) || origin.chars().any(char::is_control) {
        return Err("it must not be empty nor hold spaces, control characters or +".to_owned());
    }
    Ok(())
}

/// The error for a key that cannot be used.
fn wrong(why: &str) -> Error {
    Error::new(ErrorKind::Key, format!("{why}; restore the key from a backup, or open the log for reading only"))
}
