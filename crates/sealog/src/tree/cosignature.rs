//! Signatures of witnesses: [cosignature/v1](https://c2sp.org/tlog-cosignature), by Ed25519.
//!
//! A witness signs the time and the checkpoint's text: `cosignature/v1`, `time <seconds since the Unix
//! epoch>`, and the text, each line ended by LF. Its signature line in the note holds the time as eight
//! bytes, the highest first, and then the signature.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Signature as Ed25519Signature, VerifyingKey};
use signed_note::{Note, Signature};

use super::{Checkpoint, mismatch};
use crate::error::{Error, ErrorKind, Result};

/// The kind of key, in a vkey, that signs timestamped cosignatures by Ed25519.
const ALG_COSIGNATURE: u8 = 0x04;

/// A witness, by its verifier key `name+id+base64(0x04 ‖ public key)`.
///
/// ```
/// # let vkey = "witness.example/w+9f6b7fb2+BAehB/T0QPKI8jNEzWZZMmzi6cXHBk5Iu3Ky9ab05LW3";
/// # let vkey = sealog::Witness::vkey_of("witness.example/w", &[7; 32]);
/// let witness = sealog::Witness::parse(&vkey)?;
/// assert_eq!(witness.name(), "witness.example/w");
/// # Ok::<(), sealog::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Witness {
    name: String,
    id: u32,
    key: VerifyingKey,
}

/// What a witness says of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cosignature {
    /// The witness's name.
    pub witness: String,
    /// When it saw the checkpoint, in seconds since the Unix epoch.
    pub time_s: u64,
    /// Its line in the note, without the line's end.
    pub line: String,
}

impl Witness {
    /// Reads a witness's verifier key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] when it is none for cosignature/v1 by Ed25519.
    pub fn parse(vkey: &str) -> Result<Self> {
        let wrong = |why: &str| {
            let message = format!("this is no key of a witness: {why}; take the vkey that the witness published");
            Error::new(ErrorKind::InvalidArgument, message)
        };
        let mut parts = vkey.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong("it is not of the form name+id+key"));
        };
        let bytes = BASE64_STANDARD.decode(key).map_err(|_| wrong("its key is no base64"))?;
        if bytes.first() != Some(&ALG_COSIGNATURE) {
            return Err(wrong("it is not for cosignature/v1"));
        }
        if !signed_note::is_key_name_valid(name) || id != format!("{:08x}", signed_note::key_id(name, &bytes)) {
            return Err(wrong("its name, id and key do not belong together"));
        }
        let key = bytes[1..].try_into().ok().and_then(|key| VerifyingKey::from_bytes(key).ok());
        let key = key.ok_or_else(|| wrong("its key is none of Ed25519"))?;
        Ok(Self { name: name.to_owned(), id: signed_note::key_id(name, &bytes), key })
    }

    /// The verifier key of the witness of this name whose private key (RFC 8032, section 5.1.5) is `seed`.
    #[doc(hidden)]
    pub fn vkey_of(name: &str, seed: &[u8; 32]) -> String {
        let key = ed25519_dalek::SigningKey::from_bytes(seed).verifying_key();
        let bytes = [&[ALG_COSIGNATURE], key.as_bytes().as_slice()].concat();
        format!("{name}+{:08x}+{}", signed_note::key_id(name, &bytes), BASE64_STANDARD.encode(bytes))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What this witness says of the checkpoint, if anything: its signature there, which is checked.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Integrity`] when it does not match the checkpoint.
    pub fn cosignature(&self, checkpoint: &Checkpoint) -> Result<Option<Cosignature>> {
        let note = Note::from_bytes(checkpoint.note().as_bytes())
            .map_err(|error| Error::new(ErrorKind::Integrity, "the checkpoint is no signed note").with_source(error))?;
        let (_, lines) = checkpoint.note().rsplit_once("\n\n").unwrap_or_default();
        let parsed = lines.lines().filter_map(|line| Some((line, Signature::from_bytes(line.as_bytes()).ok()?)));
        let own = parsed.into_iter().find(|(_, signature)| signature.name() == self.name && signature.id() == self.id);
        let Some((line, signature)) = own else { return Ok(None) };
        let wrong = || {
            mismatch(
                &format!("the cosignature on the checkpoint of size {} is wrong", checkpoint.size()),
                format_args!("one of {}+{:08x} over this origin, size and root", self.name, self.id),
                "one that does not match them",
            )
        };
        let (time, bytes) = signature.signature().split_at_checked(8).ok_or_else(wrong)?;
        let time_s = u64::from_be_bytes(time.try_into().map_err(|_| wrong())?);
        let signature = Ed25519Signature::from_slice(bytes).map_err(|_| wrong())?;
        let mut signed = format!("cosignature/v1\ntime {time_s}\n").into_bytes();
        signed.extend_from_slice(note.text());
        self.key.verify_strict(&signed, &signature).map_err(|_| wrong())?;
        Ok(Some(Cosignature { witness: self.name.clone(), time_s, line: line.to_owned() }))
    }

    /// The line with which the witness whose private key is `seed` signs a checkpoint at this time.
    #[doc(hidden)]
    pub fn cosign(name: &str, seed: &[u8; 32], checkpoint: &Checkpoint, time_s: u64) -> String {
        use ed25519_dalek::Signer as _;
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let public = [&[ALG_COSIGNATURE], key.verifying_key().as_bytes().as_slice()].concat();
        let text = checkpoint.note().rsplit_once("\n\n").map_or("", |(text, _)| text);
        let signature = key.sign(format!("cosignature/v1\ntime {time_s}\n{text}\n").as_bytes());
        let bytes =
            [signed_note::key_id(name, &public).to_be_bytes().as_slice(), &time_s.to_be_bytes(), &signature.to_bytes()]
                .concat();
        format!("\u{2014} {name} {}", BASE64_STANDARD.encode(bytes))
    }
}
