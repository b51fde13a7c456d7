//! What `sealog serve` is set to: by its options, else by the environment, else by a file.

use std::path::PathBuf;

use sealog::Witness;
use sealog_server::{Limits, Network, Options};
use serde::{Deserialize, Serialize};

use super::Serve;
use crate::cli::Shared;
use crate::commands::read_text;
use crate::failure::Failure;

/// Where it listens unless told otherwise: for this machine alone.
const DEFAULT_LISTEN: &str = "127.0.0.1:7341";

/// How it is told what happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogFormat {
    #[default]
    Text,
    Json,
}

/// The file of settings. Each is what the option of its name is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "they are named like the options")]
struct File {
    log: Option<PathBuf>,
    key: Option<PathBuf>,
    index: Option<PathBuf>,
    policy: Option<PathBuf>,
    anchor: Option<PathBuf>,
    inbox: Option<PathBuf>,
    listen: Option<String>,
    admin_key_file: Option<PathBuf>,
    state_file: Option<PathBuf>,
    tls_certificate: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    cors_origins: Option<Vec<String>>,
    trusted_proxies: Option<Vec<String>>,
    witnesses: Option<Vec<String>>,
    public_proofs: Option<bool>,
    public_metrics: Option<bool>,
    read_events: Option<bool>,
    log_level: Option<String>,
    log_format: Option<LogFormat>,
    limits: Option<toml::Table>,
}

/// All settings, as they hold.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(super) struct Settings {
    log: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) policy: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) anchor: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) inbox: Option<PathBuf>,
    pub(super) listen: String,
    pub(super) admin_key_file: PathBuf,
    #[serde(skip)]
    pub(super) admin_key_file_is_named: bool,
    state_file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls_certificate: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls_key: Option<PathBuf>,
    cors_origins: Vec<String>,
    trusted_proxies: Vec<String>,
    witnesses: Vec<String>,
    public_proofs: bool,
    public_metrics: bool,
    read_events: bool,
    pub(super) log_level: String,
    pub(super) log_format: LogFormat,
    limits: Limits,
}

impl Settings {
    /// Puts together what the options, the environment and the file say.
    pub(super) fn gather(serve: &Serve, shared: &Shared) -> Result<Self, Failure> {
        let file = match &serve.config {
            Some(path) => {
                let text = read_text(path)?;
                toml::from_str::<File>(&text)
                    .map_err(|error| Failure::Usage(format!("{}: {}", path.display(), error.to_string().trim())))?
            }
            None => File::default(),
        };
        let log = match file.log {
            Some(log) if shared.log_is_default => log,
            _ => shared.log.clone(),
        };
        let beside = |suffix: &str| Shared { log: log.clone(), ..shared.clone() }.beside(suffix);
        let list = |given: &[String], file: Option<Vec<String>>| {
            let given = if given.is_empty() { file.unwrap_or_default() } else { given.to_vec() };
            given.into_iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect::<Vec<_>>()
        };
        let log_format = match serve.log_format.as_deref() {
            None => file.log_format.unwrap_or_default(),
            Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => return Err(Failure::Usage(format!("log format {other:?}: it is text or json"))),
        };
        let admin_key_file = serve.admin_key_file.clone().or(file.admin_key_file);
        Ok(Self {
            key: shared.key.clone().or(file.key),
            index: shared.index.clone().or(file.index),
            policy: serve.writing.policy.clone().or(file.policy),
            anchor: serve.writing.anchor.clone().or(file.anchor),
            inbox: serve.inbox.clone().or(file.inbox),
            listen: serve.listen.clone().or(file.listen).unwrap_or_else(|| DEFAULT_LISTEN.to_owned()),
            admin_key_file_is_named: admin_key_file.is_some(),
            admin_key_file: admin_key_file.unwrap_or_else(|| beside(".admin-key")),
            state_file: serve.state_file.clone().or(file.state_file).unwrap_or_else(|| beside(".server")),
            tls_certificate: serve.tls_certificate.clone().or(file.tls_certificate),
            tls_key: serve.tls_key.clone().or(file.tls_key),
            cors_origins: list(&serve.cors_origin, file.cors_origins),
            trusted_proxies: list(&serve.trusted_proxy, file.trusted_proxies),
            witnesses: list(&serve.witness, file.witnesses),
            public_proofs: serve.public_proofs.or(file.public_proofs).unwrap_or(false),
            public_metrics: serve.public_metrics.or(file.public_metrics).unwrap_or(false),
            read_events: serve.read_events.or(file.read_events).unwrap_or(true),
            log_level: serve.log_level.clone().or(file.log_level).unwrap_or_else(|| "info".to_owned()),
            log_format,
            limits: limits(file.limits.unwrap_or_default(), &serve.limit)?,
            log,
        })
    }

    pub(super) fn to_toml(&self) -> Result<String, Failure> {
        toml::to_string(self).map_err(|error| Failure::File(format!("the settings cannot be written: {error}")))
    }

    /// What all commands share, as the settings have it.
    pub(super) fn shared(&self, shared: &Shared) -> Shared {
        let mut shared = shared.clone();
        shared.log.clone_from(&self.log);
        shared.key.clone_from(&self.key);
        shared.index.clone_from(&self.index);
        shared
    }

    /// What the server is set to.
    pub(super) fn options(&self) -> Result<Options, Failure> {
        let mut options = Options::default();
        options.limits = self.limits.clone();
        for origin in &self.cors_origins {
            let is_origin = origin.split_once("://").is_some_and(|(scheme, host)| {
                matches!(scheme, "http" | "https") && !host.is_empty() && !host.contains(['/', '*', ' '])
            });
            if !is_origin {
                let text = format!("{origin:?} is no origin: it is a scheme and a host, as in https://app.example.com");
                return Err(Failure::Usage(text));
            }
        }
        options.cors_origins.clone_from(&self.cors_origins);
        let networks: Result<Vec<Network>, String> = self.trusted_proxies.iter().map(|text| text.parse()).collect();
        options.trusted_proxies = networks.map_err(Failure::Usage)?;
        let witnesses: sealog::Result<Vec<Witness>> = self.witnesses.iter().map(|text| Witness::parse(text)).collect();
        options.witnesses = witnesses?;
        options.public_proofs = self.public_proofs;
        options.public_metrics = self.public_metrics;
        options.read_events = self.read_events;
        options.state_file = Some(self.state_file.clone());
        Ok(options)
    }
}

/// The limits of the file, and over them those that were given one by one.
fn limits(mut table: toml::Table, given: &[String]) -> Result<Limits, Failure> {
    for text in given {
        let parsed =
            text.split_once('=').and_then(|(name, number)| Some((name.trim(), number.trim().parse::<i64>().ok()?)));
        let (name, number) = parsed.ok_or_else(|| {
            Failure::Usage(format!("limit {text:?}: it is a name, `=`, and a whole number, as in max_streams=100"))
        })?;
        table.insert(name.to_owned(), number.into());
    }
    if let Some((name, number)) = table.iter().find(|(_, number)| number.as_integer().is_some_and(|number| number <= 0))
    {
        return Err(Failure::Usage(format!("limit {name}: it is 1 at the least, and this is {number}")));
    }
    let names = toml::Table::try_from(Limits::default()).unwrap_or_default();
    if let Some(name) = table.keys().find(|name| !names.contains_key(*name)) {
        let names = names.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(Failure::Usage(format!("there is no limit {name:?}; the limits are {names}")));
    }
    table.try_into().map_err(|error: toml::de::Error| Failure::Usage(format!("limits: {}", error.message())))
}
