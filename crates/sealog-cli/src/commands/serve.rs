//! `sealog serve`

mod settings;

use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use sealog::Location;
use sealog_server::{Tls, router, serve};
use serde_json::json;
use tokio::net::TcpListener;

use self::settings::{LogFormat, Settings};
use crate::cli::{Shared, Writing, finish};
use crate::dashboard;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::{self, Output};
use crate::render::{DIM, GOOD};

/// Serve the log over HTTP
///
/// Applications in any language log events and ask questions with API keys; browsers look at a part of the
/// log with view tokens, live if they want to. docs/HTTP.md tells all of it. The first start makes a key that
/// may do everything, and shows it once on the terminal; where there is none, it goes into a file that only
/// its owner can read.
///
/// Each setting is taken from its option, else from the environment, else from the file of --config.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog serve
  sealog serve --listen 0.0.0.0:7341 --tls-certificate chain.pem --tls-key key.pem
  sealog serve --config sealog.toml --print-config
  sealog serve --limit max_body_bytes=1048576 --limit max_streams_per_caller=20")]
pub(crate) struct Serve {
    #[command(flatten)]
    writing: Writing,
    /// The application's SQLite file whose sealog_inbox is drained as well
    #[arg(long, value_name = "FILE", env = "SEALOG_INBOX")]
    inbox: Option<PathBuf>,
    /// A file of settings, in TOML
    #[arg(long, value_name = "FILE", env = "SEALOG_CONFIG")]
    config: Option<PathBuf>,
    /// Print all settings as TOML, and end
    #[arg(long)]
    print_config: bool,
    /// Where to listen; port 0 is any that is free [default: 127.0.0.1:7341]
    #[arg(long, value_name = "ADDRESS", env = "SEALOG_LISTEN")]
    listen: Option<String>,
    /// Where the first key goes when standard output is no terminal [default: the log's path with .admin-key
    /// added]
    #[arg(long, value_name = "FILE", env = "SEALOG_ADMIN_KEY_FILE")]
    admin_key_file: Option<PathBuf>,
    /// Where it is kept when keys were last used, and what witnesses signed; no evidence [default: the log's
    /// path with .server added]
    #[arg(long, value_name = "FILE", env = "SEALOG_STATE_FILE")]
    state_file: Option<PathBuf>,
    /// The chain of certificates, in PEM; with it, connections are encrypted
    #[arg(long, value_name = "FILE", env = "SEALOG_TLS_CERTIFICATE")]
    tls_certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM
    #[arg(long, value_name = "FILE", env = "SEALOG_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// The origin of pages that may ask from a browser; may be repeated [default: none]
    #[arg(long, value_name = "ORIGIN", env = "SEALOG_CORS_ORIGINS", value_delimiter = ',')]
    cors_origin: Vec<String>,
    /// A proxy or network of proxies whose X-Forwarded-For is believed; may be repeated [default: none]
    #[arg(long, value_name = "NETWORK", env = "SEALOG_TRUSTED_PROXIES", value_delimiter = ',')]
    trusted_proxy: Vec<String>,
    /// The vkey of a witness that may cosign checkpoints; may be repeated [default: none]
    #[arg(long, value_name = "VKEY", env = "SEALOG_WITNESSES", value_delimiter = ',')]
    witness: Vec<String>,
    /// Whether anybody may fetch the checkpoint, the tiles, and proofs by seq, which hold hashes alone [default: false]
    #[arg(long, value_name = "BOOL", env = "SEALOG_PUBLIC_PROOFS", num_args = 0..=1, default_missing_value = "true")]
    public_proofs: Option<bool>,
    /// Whether anybody may fetch the metrics [default: false]
    #[arg(long, value_name = "BOOL", env = "SEALOG_PUBLIC_METRICS", num_args = 0..=1, default_missing_value = "true")]
    public_metrics: Option<bool>,
    /// Whether reads are events, sealog.read [default: true]
    #[arg(long, value_name = "BOOL", env = "SEALOG_READ_EVENTS")]
    read_events: Option<bool>,
    /// A limit, by its name; may be repeated. --print-config shows all of them
    #[arg(long, value_name = "NAME=NUMBER", env = "SEALOG_LIMITS", value_delimiter = ',')]
    limit: Vec<String>,
    /// What is told on standard error: error, warn, info or debug [default: info]
    #[arg(long, value_name = "LEVEL", env = "SEALOG_LOG_LEVEL")]
    log_level: Option<String>,
    /// How it is told: text or json [default: text]
    #[arg(long, value_name = "FORMAT", env = "SEALOG_LOG_FORMAT")]
    log_format: Option<String>,
}

impl Serve {
    pub(crate) async fn run(self, shared: &Shared, out: Output, interrupt: &Interrupt) -> Result<(), Failure> {
        let settings = Settings::gather(&self, shared)?;
        if self.print_config {
            return output::write(&settings.to_toml()?);
        }
        let options = settings.options()?;
        let tls = settings.tls()?;
        tell(&settings)?;
        let terminated = terminated();

        let shared = settings.shared(shared);
        let writing = Writing { policy: settings.policy.clone(), anchor: settings.anchor.clone() };
        let log = shared.open_to_write(true, &writing, settings.inbox.as_deref()).await?;
        if let Some(log) = Location::of(&shared.log).ok().filter(|log| !log.is_file) {
            // The folder of the server's own files may not be there yet. What is wrong with it is told where they are
            // written.
            let _ = log.local.parent().map(std::fs::create_dir_all);
        }
        let served = async {
            let server = router(log.clone()).options(options).pages(dashboard::pages());
            let mut file = None;
            let first = server.first_key(|key| hand_over(key, &settings).map(|path| file = path)).await;
            if let (Err(_), Some(file)) = (&first, &file) {
                // The key in it is none.
                let _ = std::fs::remove_file(file);
            }
            first.map_err(Failure::File)?;
            let listener = TcpListener::bind(&settings.listen).await;
            let listener =
                listener.map_err(|error| Failure::Usage(format!("cannot listen on {}: {error}", settings.listen)))?;
            let scheme = if tls.is_some() { "https" } else { "http" };
            let running = serve(server, listener, tls)
                .map_err(|error| Failure::File(format!("cannot listen on {}: {error}", settings.listen)))?;
            let url = format!("{scheme}://{}", running.address());
            if out.json {
                output::document(&json!({"url": url, "log": shared.location().name, "adminKeyFile": file}))?;
            } else {
                let log = shared.location().name;
                output::note(&format!("{GOOD}Serving{GOOD:#} {log} at {url} {DIM}(Ctrl-C ends it){DIM:#}"));
            }
            tokio::select! {
                () = interrupt.pressed() => {}
                () = terminated => {}
            }
            tracing::info!("stopping");
            running.stop().await;
            Ok(())
        };
        let served = served.await;
        finish(log, served, out).await
    }
}

/// Gives the first key to whoever started the server: to a terminal, or to a file of theirs, which is answered.
/// Never where it would be gathered with other output.
fn hand_over(key: &str, settings: &Settings) -> Result<Option<PathBuf>, String> {
    if std::io::stdout().is_terminal() && !settings.admin_key_file_is_named {
        let text = format!("This key may do everything. It is shown this once, so keep it well:\n\n  {key}\n\n");
        output::write(&text).map_err(|_| "cannot show the first key: standard output is closed".to_owned())?;
        return Ok(None);
    }
    let path = &settings.admin_key_file;
    write_secret(path, key).map_err(|error| {
        let advice = match error.kind() {
            ErrorKind::AlreadyExists => {
                "it is of another log, or of a start that did not get through: move it away, or name another file by \
                 --admin-key-file"
            }
            _ => "name another file by --admin-key-file",
        };
        format!("cannot write the first key to {}: {error}; {advice}", path.display())
    })?;
    output::note(&format!("A key that may do everything is in {}; keep it well.", path.display()));
    Ok(Some(path.clone()))
}

/// Writes a file that only its owner can read, and none that was there.
fn write_secret(path: &Path, secret: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let written = file.write_all(format!("{secret}\n").as_bytes()).and_then(|()| file.sync_all());
    // A part of it would be in the way of the next one.
    written.inspect_err(|_| drop(std::fs::remove_file(path)))
}

/// Starts to tell on standard error what happens.
fn tell(settings: &Settings) -> Result<(), Failure> {
    let level: tracing::Level = settings
        .log_level
        .parse()
        .map_err(|_| Failure::Usage(format!("log level {:?}: it is error, warn, info or debug", settings.log_level)))?;
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    let set = match settings.log_format {
        LogFormat::Json => tracing::subscriber::set_global_default(builder.json().flatten_event(true).finish()),
        LogFormat::Text => tracing::subscriber::set_global_default(builder.with_ansi(false).finish()),
    };
    set.map_err(|error| Failure::File(error.to_string()))
}

/// Waits for what service managers end programs with. It is listened for from the call on, and not only once somebody
/// waits.
pub(super) fn terminated() -> impl Future<Output = ()> {
    #[cfg(unix)]
    let signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    async move {
        #[cfg(unix)]
        if let Ok(mut signal) = signal {
            signal.recv().await;
            return;
        }
        std::future::pending::<()>().await;
    }
}

impl Settings {
    #[cfg(feature = "tls")]
    fn tls(&self) -> Result<Option<Tls>, Failure> {
        let (certificate, key) = match (&self.tls_certificate, &self.tls_key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => (certificate, key),
            _ => return Err(Failure::Usage("a certificate and its key go together; give both or neither".to_owned())),
        };
        let tls = Tls::from_pem(&super::read_file(certificate)?, &super::read_file(key)?);
        tls.map(Some).map_err(|why| Failure::Usage(format!("{}: {why}", certificate.display())))
    }

    #[cfg(not(feature = "tls"))]
    fn tls(&self) -> Result<Option<Tls>, Failure> {
        if self.tls_certificate.is_some() || self.tls_key.is_some() {
            let text = "this program was built without TLS; build it with --features tls, or put a proxy before it";
            return Err(Failure::Usage(text.to_owned()));
        }
        Ok(None)
    }
}
