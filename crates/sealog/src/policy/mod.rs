//! What turns a caller's event into what may be stored: validate, sample, diff, redact.
//!
//! The policy runs before anything is written, depends on nothing but the event, the settings and the
//! log's key, and gives the same bytes when it is applied again to its own result.

pub(crate) mod address;
#[cfg(test)]
pub(crate) mod arbitrary;
mod compiled;
mod database;
mod detect;
mod diff;
mod digest;
mod hide;
mod names;
mod paths;
pub(crate) mod pointer;
mod redact;
mod validate;
#[cfg(test)]
mod vectors;

use serde::{Deserialize, Serialize};

use self::compiled::Fields;
use self::detect::Detectors;
use self::hide::Keyed;
use self::names::{Names, normalize};
use self::paths::Paths;
use self::redact::Rules;
use crate::error::{Error, ErrorKind, Result};
use crate::object::objects;

pub(crate) use address::addresses;
pub(crate) use compiled::{Applied, Compiled, Prepared};
pub use diff::{diff, readable};
pub(crate) use hide::secret_check;
pub(crate) use pointer::overlap;
pub(crate) use validate::dismantle;

/// How the log treats what it is sent. Plain data, so that it can be kept in a file; in JSON the names
/// are camelCase, and what is left out is as in [`Policy::default`].
///
/// The default redacts the fields that have exactly one of the [`DEFAULT_NAMES`](Policy::DEFAULT_NAMES)
/// (`password`, `token`, `apiKey`, `authorization`, `creditCard`, `ssn`, …) and changes nothing else.
/// What a policy lists comes on top of that.
///
/// ```
/// use sealog::{Detector, IpPolicy, Mode, Policy};
///
/// let policy = Policy::default()
///     .redact("dateOfBirth")
///     .redact_with("email", Mode::Hash)
///     .redact_path_with("metadata.user.phone", Mode::Mask)
///     .detect(Detector::CardNumber)
///     .ip_address(IpPolicy::Truncate)
///     .sample_info(0.1);
///
/// let json = serde_json::to_string(&policy).unwrap();
/// assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), policy);
/// ```
///
/// # What is hidden, and where
///
/// Fields by [name](Policy::redact) and by [path](Policy::redact_path) and values by
/// [shape](Policy::detect), in `metadata`, `before`, `after` and the diff between them, at any depth
/// and through arrays. A name also hides the event's own text field of that name: `actorId`,
/// `actorName`, `onBehalfOf`, `resourceId`, `ipAddress`, `userAgent`, `sessionId`, `requestId` and
/// `tags`; the others are what a log finds, orders and keeps its events by.
///
/// The diff is computed first and hidden after, so that a change of a hidden field still shows as a
/// change. A hidden object is compared as a whole: no name inside it is in the diff.
///
/// What is hidden already stays as it is, so that applying the policy again changes nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Policy {
    /// Whether the fields with one of the [`DEFAULT_NAMES`](Policy::DEFAULT_NAMES) are redacted; `true`
    /// by default.
    pub defaults: bool,
    /// Which of the default names are kept nevertheless; none by default. A name cannot be both here and
    /// in `redact_fields`.
    pub keep: Vec<String>,
    /// Which fields are hidden, by name, at any depth, beside the defaults; none by default. Of several
    /// rules for a name the last one holds.
    #[serde(deserialize_with = "objects")]
    pub redact_fields: Vec<RedactField>,
    /// Which fields are hidden, by path. A path goes before a name; of several paths that lead to the
    /// same value, the one whose mode leaves least holds.
    #[serde(deserialize_with = "objects")]
    pub redact_paths: Vec<RedactPath>,
    /// Which values are hidden by their shape; none by default.
    pub detectors: Vec<Detector>,
    /// What becomes of what a detector finds; [`Mode::Redact`] by default. The text around stays.
    pub detector_mode: Mode,
    /// What is stored of the field `ip_address`; all of it by default.
    pub ip_address: IpPolicy,
    /// Which share of `info` events is kept, from 0.0 to 1.0; 1.0 by default.
    pub sampling: f64,
    /// How far ahead of the log's clock a timestamp may be, in milliseconds; 300,000 (five minutes) by
    /// default, which covers clocks that nobody sets.
    pub max_future_ms: i64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            defaults: true,
            keep: Vec::new(),
            redact_fields: Vec::new(),
            redact_paths: Vec::new(),
            detectors: Vec::new(),
            detector_mode: Mode::Redact,
            ip_address: IpPolicy::Keep,
            sampling: 1.0,
            max_future_ms: 5 * 60 * 1000,
        }
    }
}

impl Policy {
    /// What no log should hold, under the names it usually has. A field is redacted whose whole name is
    /// one of these; case, `_` and `-` do not matter.
    pub const DEFAULT_NAMES: [&str; 51] = [
        "password",
        "passwd",
        "pwd",
        "passphrase",
        "passwordHash",
        "oldPassword",
        "newPassword",
        "currentPassword",
        "confirmPassword",
        "passwordConfirmation",
        "secret",
        "secretKey",
        "secretAccessKey",
        "clientSecret",
        "appSecret",
        "apiSecret",
        "webhookSecret",
        "totpSecret",
        "otp",
        "recoveryCodes",
        "backupCodes",
        "token",
        "accessToken",
        "refreshToken",
        "idToken",
        "authToken",
        "bearerToken",
        "sessionToken",
        "securityToken",
        "csrfToken",
        "xCsrfToken",
        "resetToken",
        "apiKey",
        "xApiKey",
        "apiToken",
        "privateKey",
        "signingKey",
        "encryptionKey",
        "sshKey",
        "authorization",
        "proxyAuthorization",
        "cookie",
        "setCookie",
        "creditCard",
        "creditCardNumber",
        "cardNumber",
        "cvv",
        "cvc",
        "ssn",
        "socialSecurityNumber",
        "connectionString",
    ];

    /// Sets whether the fields with one of the [`DEFAULT_NAMES`](Self::DEFAULT_NAMES) are redacted.
    ///
    /// ```
    /// let policy = sealog::Policy::default().defaults(false).redact("pin"); // nothing but `pin`
    /// assert!(policy.keep("token").redact("token").keep.is_empty());
    /// ```
    pub fn defaults(mut self, defaults: bool) -> Self {
        self.defaults = defaults;
        self
    }

    /// Hides the fields of this name, at any depth: they become `[REDACTED]`.
    ///
    /// The whole name must be the same: `email` is not `userEmail`. Case, `_` and `-` do not matter:
    /// `apiKey`, `API_KEY` and `api-key` are one name. The whole value is hidden, whatever it is.
    pub fn redact(self, name: impl Into<String>) -> Self {
        self.redact_with(name, Mode::Redact)
    }

    /// Hides the fields of this name in another way. See [`Policy::redact`].
    pub fn redact_with(mut self, name: impl Into<String>, mode: Mode) -> Self {
        let name = name.into();
        self.keep.retain(|kept| normalize(kept) != normalize(&name));
        self.redact_fields.push(RedactField { name, mode });
        self
    }

    /// Keeps the fields of this name, where the default or an earlier call hides them. What a path or a
    /// detector finds in them is hidden all the same.
    pub fn keep(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.redact_fields.retain(|field| normalize(&field.name) != normalize(&name));
        self.keep.push(name);
        self
    }

    /// Hides the field at this path: it becomes `[REDACTED]`.
    ///
    /// A path begins with `metadata`, `before` or `after` and goes on with the names of members:
    /// `metadata.user.email`. Names are compared as in [`Policy::redact`]. Through an array it goes into
    /// each element: `metadata.users.email` is the e-mail of each of them. A number is one element
    /// (`metadata.users.0`), and `*` any member or element. Names that hold dots are written as a JSON
    /// Pointer (RFC 6901): `/metadata/labels/app.kubernetes.io~1name`.
    ///
    /// In the diff, a rule for either state hides both values, and a rule for one element of an array
    /// each of them, since there the elements have moved.
    pub fn redact_path(self, path: impl Into<String>) -> Self {
        self.redact_path_with(path, Mode::Redact)
    }

    /// Hides the field at this path in another way. See [`Policy::redact_path`].
    pub fn redact_path_with(mut self, path: impl Into<String>, mode: Mode) -> Self {
        self.redact_paths.push(RedactPath { path: path.into(), mode });
        self
    }

    /// Hides values of this shape in all texts, and in the names of members too: a map by e-mail address
    /// holds addresses.
    ///
    /// A detector finds what looks like the real thing and misses what does not (`ada at example.com`):
    /// hide fields that are known to hold such values by their name.
    pub fn detect(mut self, detector: Detector) -> Self {
        if !self.detectors.contains(&detector) {
            self.detectors.push(detector);
        }
        self
    }

    /// Sets what becomes of what a detector finds.
    pub fn detector_mode(mut self, mode: Mode) -> Self {
        self.detector_mode = mode;
        self
    }

    /// Sets what is stored of the field `ip_address`.
    pub fn ip_address(mut self, policy: IpPolicy) -> Self {
        self.ip_address = policy;
        self
    }

    /// Keeps this share of the `info` events, from 0.0 (none) to 1.0 (all), and counts the others.
    ///
    /// Changes and events of a higher severity are always kept. Which events are kept is a function of
    /// their ids, so a retry falls alike.
    pub fn sample_info(mut self, rate: f64) -> Self {
        self.sampling = rate;
        self
    }

    /// Sets how far ahead of the log's clock a timestamp may be, in milliseconds.
    pub fn max_future_ms(mut self, ms: i64) -> Self {
        self.max_future_ms = ms;
        self
    }

    /// Makes the policy ready for use. `secret` is the log's own key, for hashes and digests.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] when a name is empty or both hidden and kept, a path leads
    /// nowhere, the share is no number from 0 to 1, or the time ahead is negative.
    pub(crate) fn compile(&self, secret: [u8; 32]) -> Result<Compiled> {
        let names = self.compile_names()?;
        let (mut metadata, mut before, mut after) = (Paths::default(), Paths::default(), Paths::default());
        for rule in &self.redact_paths {
            let (root, segments) = split_path(&rule.path)?;
            match root.as_str() {
                "metadata" => metadata.insert(&segments, rule.mode),
                "before" => before.insert(&segments, rule.mode),
                _ => after.insert(&segments, rule.mode),
            }
        }
        if !(0.0..=1.0).contains(&self.sampling) {
            return Err(wrong(format!(
                "the share of info events to keep is {}; it is a number from 0.0 to 1.0",
                self.sampling
            )));
        }
        if self.max_future_ms < 0 {
            return Err(wrong(format!("max_future_ms is {}; it is not negative", self.max_future_ms)));
        }
        let no_rules = Rules::none(Keyed::new(&secret));
        Ok(Compiled {
            fields: Fields::new(&names),
            rules: Rules {
                names,
                metadata,
                before,
                after,
                detectors: Detectors::new(&self.detectors),
                detector_mode: self.detector_mode,
                ..no_rules.clone()
            },
            no_rules,
            ip_address: self.ip_address,
            // The product rounds to 2^64 only for 1.0, which keeps all; a cast saturates.
            sampling: (self.sampling < 1.0).then_some((self.sampling * 2_f64.powi(64)) as u64),
            max_future_ms: self.max_future_ms,
            settings: None,
        })
    }

    /// A policy that hides what this one hides and what `other` hides, and keeps of `info` events no larger a share
    /// than either. Of two ways to hide one field the one that leaves less holds.
    pub(crate) fn and(&self, other: &Policy) -> Policy {
        let mut both = self.clone();
        both.defaults |= other.defaults;
        both.keep.extend(other.keep.iter().cloned());
        both.keep.retain(|name| !self.hides(name) && !other.hides(name));
        both.redact_fields.extend(other.redact_fields.iter().cloned());
        for field in &mut both.redact_fields {
            let modes = (self.mode_of(&field.name), other.mode_of(&field.name));
            field.mode = paths::stronger(modes.0, modes.1).unwrap_or_default();
        }
        // A path goes before a name, and must not lead around what the other policy hides by name.
        both.redact_paths.extend(other.redact_paths.iter().cloned());
        for path in &mut both.redact_paths {
            let modes = (self.mode_at(path), other.mode_at(path));
            path.mode = paths::stronger(modes.0, modes.1).unwrap_or_default();
        }
        let mode = |policy: &Policy| Some(policy.detector_mode).filter(|_| !policy.detectors.is_empty());
        both.detector_mode = paths::stronger(mode(self), mode(other)).unwrap_or_default();
        for detector in &other.detectors {
            both = both.detect(*detector);
        }
        both.ip_address = self.ip_address.max(other.ip_address);
        both.sampling = self.sampling.min(other.sampling);
        both.max_future_ms = self.max_future_ms.min(other.max_future_ms);
        both
    }

    /// Whether the fields of this name are hidden.
    fn hides(&self, name: &str) -> bool {
        self.mode_of(name).is_some()
    }

    /// How the fields of this name are hidden, if they are.
    fn mode_of(&self, name: &str) -> Option<Mode> {
        let name = normalize(name);
        let is = |other: &str| normalize(other) == name;
        let field = self.redact_fields.iter().rfind(|field| is(&field.name)).map(|field| field.mode);
        let default =
            self.defaults && Self::DEFAULT_NAMES.into_iter().any(is) && !self.keep.iter().any(|kept| is(kept));
        field.or(Some(Mode::Redact).filter(|_| default))
    }

    /// How what this path leads to is hidden, by path or by name. A path that ends in no name may lead to any, so it
    /// hides as the names do.
    fn mode_at(&self, path: &RedactPath) -> Option<Mode> {
        let segments = |path: &str| {
            split_path(path).ok().map(|(root, segments)| {
                let names = segments.iter().map(|segment| normalize(segment).into_owned()).collect::<Vec<_>>();
                (root, names)
            })
        };
        let wanted = segments(&path.path)?;
        let same = |mine: &&RedactPath| segments(&mine.path).as_ref() == Some(&wanted);
        if let Some(mine) = self.redact_paths.iter().rfind(same) {
            return Some(mine.mode);
        }
        let last = wanted.1.last()?;
        if last == "*" || last.parse::<usize>().is_ok() { Some(Mode::Redact) } else { self.mode_of(last) }
    }

    fn compile_names(&self) -> Result<Names> {
        let mut names = Names::default();
        let kept: Vec<_> = self.keep.iter().map(|name| normalize(name)).collect();
        if let Some(at) = kept.iter().position(|name| name.is_empty()) {
            return Err(wrong(format!("the name of a field to keep is empty: {:?}", self.keep[at])));
        }
        let defaults = Self::DEFAULT_NAMES.iter().filter(|_| self.defaults);
        for name in defaults.map(|name| normalize(name)).filter(|name| !kept.contains(name)) {
            names.insert(&name, Mode::Redact);
        }
        for field in &self.redact_fields {
            let name = normalize(&field.name);
            if name.is_empty() {
                return Err(wrong(format!("the name of a field to redact is empty: {:?}", field.name)));
            }
            if kept.contains(&name) {
                return Err(wrong(format!("the field {:?} is both to be redacted and to be kept", field.name)));
            }
            names.insert(&name, field.mode);
        }
        Ok(names)
    }
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

/// Splits a path, or a JSON Pointer, into the document it begins in and the way from there.
fn split_path(path: &str) -> Result<(String, Vec<String>)> {
    let mut segments: Vec<String> = if path.starts_with('/') {
        if !pointer::is_valid(path) {
            return Err(wrong(format!("the path to redact {path:?} is no JSON Pointer: `~` is written `~0`")));
        }
        pointer::segments(path).map(std::borrow::Cow::into_owned).collect()
    } else {
        path.split('.').map(str::to_owned).collect()
    };
    let root = segments.remove(0);
    if !["metadata", "before", "after"].contains(&root.as_str()) {
        return Err(wrong(format!("the path to redact {path:?} does not begin with metadata, before or after")));
    }
    if segments.is_empty() {
        return Err(wrong(format!("the path to redact {path:?} names no field of {root}")));
    }
    if segments.iter().any(|segment| normalize(segment).is_empty()) {
        return Err(wrong(format!("the path to redact {path:?} has an empty name in it")));
    }
    Ok((root, segments))
}

/// A field to hide, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object such as {\"name\": \"email\", \"mode\": \"hash\"}")]
pub struct RedactField {
    /// The name; case, `_` and `-` do not matter.
    pub name: String,
    /// How it is hidden; [`Mode::Redact`] unless given.
    #[serde(default)]
    pub mode: Mode,
}

/// A field to hide, by path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object such as {\"path\": \"metadata.user.email\"}")]
pub struct RedactPath {
    /// The path, such as `metadata.user.email`; see [`Policy::redact_path`].
    pub path: String,
    /// How it is hidden; [`Mode::Redact`] unless given.
    #[serde(default)]
    pub mode: Mode,
}

/// How a value is hidden.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It becomes `[REDACTED]`.
    #[default]
    Redact,
    /// Its last four characters stay, after `****`: `****1111`. Of a value with four characters or
    /// fewer nothing stays, and of what is neither text nor number neither. Four of five characters are
    /// almost all: mask only what is long.
    Mask,
    /// It becomes `hmac:` and 64 hexadecimal digits, the HMAC-SHA256 of its canonical JSON under the
    /// log's own key: equal values stay comparable within this log, and nobody without the key can
    /// try out values.
    Hash,
    /// It goes, name and all. An element of an array becomes `[REDACTED]` instead, so that the others
    /// keep their places, and so do the values of the diff, so that the change shows.
    Remove,
}

/// Values that are personal or secret by their shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Detector {
    /// E-mail addresses whose domain has a dot.
    Email,
    /// Payment card numbers: 13 to 19 digits, also in groups with spaces or dashes, with a right check
    /// digit and a first digit that card networks use; also as a JSON number.
    CardNumber,
    /// JSON Web Tokens, signed or encrypted.
    Jwt,
    /// What follows the word `Bearer`.
    BearerToken,
    /// Key ids of cloud providers: AWS, Google, Alibaba, Tencent, DigitalOcean.
    CloudKeyId,
}

/// What is stored of an address. What is no address, such as the name of a service, is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpPolicy {
    /// All of it.
    #[default]
    Keep,
    /// Its network: /24 of IPv4 (`203.0.113.0`), /48 of IPv6 (`2001:db8:1::`). A port or zone goes.
    Truncate,
    /// A keyed hash, as [`Mode::Hash`] gives.
    Hash,
}

#[cfg(test)]
mod tests;
