//! Where a log in PostgreSQL is: a URL as libpq takes it, with a parameter of ours.

use std::path::PathBuf;
use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::error::{Error, ErrorKind, Result};

/// The schema that a log is in unless the URL names one.
const DEFAULT_SCHEMA: &str = "sealog";
/// PostgreSQL cuts longer names off.
const MAX_SCHEMA_BYTES: usize = 63;

/// How far the server's certificate is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trust {
    /// Whoever answers: against those who listen, not against those who stand between.
    Anybody,
    /// Who has a certificate for the host's name, of the authorities in this file or of the system's.
    Authorities(Option<PathBuf>),
}

/// A URL, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) schema: String,
    pub(super) trust: Trust,
}

/// Whether a log's name is that of one in PostgreSQL.
pub(crate) fn is_url(name: &str) -> bool {
    name.starts_with("postgres://") || name.starts_with("postgresql://")
}

impl Address {
    /// Takes `schema`, `sslmode` and `sslrootcert` for itself; the rest is tokio-postgres's.
    pub(super) fn parse(url: &str) -> Result<Self> {
        // The URL holds a password, so no message quotes it.
        let invalid = |what: String| Error::new(ErrorKind::InvalidArgument, format!("the log's URL: {what}"));
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut schema = DEFAULT_SCHEMA.to_owned();
        let mut roots = None;
        let (mut mode, mut is_verified) = (SslMode::Prefer, false);
        let mut rest = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "schema" => schema = value.into_owned(),
                "sslrootcert" if value == "system" => roots = None,
                "sslrootcert" => roots = Some(PathBuf::from(&*value)),
                "sslmode" => {
                    (mode, is_verified) = match &*value {
                        "disable" => (SslMode::Disable, false),
                        "allow" | "prefer" => (SslMode::Prefer, false),
                        "require" => (SslMode::Require, false),
                        "verify-full" => (SslMode::Require, true),
                        other => {
                            return Err(invalid(format!(
                                "sslmode is disable, prefer, require or verify-full, and this is {other:?}"
                            )));
                        }
                    };
                }
                _ => {
                    rest.append_pair(&name, &value);
                }
            }
        }
        if schema.is_empty() || schema.len() > MAX_SCHEMA_BYTES || schema.contains('\0') {
            return Err(invalid(format!("a schema's name has 1 to {MAX_SCHEMA_BYTES} bytes")));
        }
        let rest = rest.finish();
        // tokio-postgres takes a plus sign for itself.
        let rest = rest.replace('+', "%20");
        let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{rest}") };
        let mut config = Config::from_str(&url).map_err(|error| {
            let what = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            invalid(what)
        })?;
        config.ssl_mode(mode);
        if config.get_hosts().is_empty() {
            config.host("localhost");
        }
        let trust = if is_verified { Trust::Authorities(roots) } else { Trust::Anybody };
        Ok(Self { config, schema, trust })
    }

    fn hosts(&self) -> String {
        let ports = self.config.get_ports();
        let hosts = self.config.get_hosts().iter().enumerate().map(|(index, host)| {
            let host = match host {
                Host::Tcp(name) => name.clone(),
                #[cfg(unix)]
                Host::Unix(path) => path.display().to_string(),
            };
            match ports.get(index).or(ports.first()) {
                Some(port) if *port != 5432 => format!("{host}:{port}"),
                _ => host,
            }
        });
        hosts.collect::<Vec<_>>().join(",")
    }

    fn database(&self) -> &str {
        self.config.get_dbname().or(self.config.get_user()).unwrap_or("postgres")
    }

    /// The URL without a password, for messages.
    pub(super) fn name(&self) -> String {
        let schema = if self.schema == DEFAULT_SCHEMA { String::new() } else { format!("?schema={}", self.schema) };
        format!("postgres://{}/{}{schema}", self.hosts(), self.database())
    }

    /// A name for local files that belong to this log.
    pub(super) fn file_name(&self) -> String {
        let name = format!("{}-{}-{}", self.hosts(), self.database(), self.schema);
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let address = Address::parse(
            "postgres://ada:s%3Fcret@db.example.com:6432/app?schema=audit&sslmode=verify-full&sslrootcert=/ca.pem&connect_timeout=3",
        );
        let address = address.unwrap();
        assert_eq!(address.schema, "audit");
        assert_eq!(address.trust, Trust::Authorities(Some("/ca.pem".into())));
        assert_eq!(address.config.get_password(), Some(&b"s?cret"[..]));
        assert_eq!(address.name(), "postgres://db.example.com:6432/app?schema=audit");
        assert_eq!(address.file_name(), "db.example.com_6432-app-audit");
        let two = Address::parse("postgresql://ada@a,b:5433/app?target_session_attrs=read-write").unwrap();
        assert_eq!((two.name(), two.schema.as_str()), ("postgres://a,b:5433/app".to_owned(), "sealog"));
        for wrong in ["postgres://h/d?sslmode=verify-ca", "postgres://h/d?schema=", "postgres://u:pw@h/d?no=1"] {
            let error = Address::parse(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(!error.message().contains("pw"), "{error}");
        }
    }
}
