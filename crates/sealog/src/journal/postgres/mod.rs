//! The journal in the user's PostgreSQL: tables in a schema of its own.
//!
//! An event is a row. Writers take a transaction-level advisory lock, so that each batch goes on from the last
//! row's seq, and the primary key is the fence. Nothing is updated per batch. The SQL is in `queries/`, the
//! schema in `migrations/`.
//!
//! The seam blocks and tokio-postgres does not: each handle has a runtime of one thread that minds its
//! connections, and callers wait for it on threads that may block.

mod address;
mod body;
mod functions;
mod inbox;
mod listen;
mod read;
mod roles;
mod schema;
mod tls;
mod write;

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError};
use deadpool_postgres::{RecyclingMethod, Runtime as PoolRuntime};
use tokio::runtime::Runtime;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Error as PgError, Statement};

pub(crate) use address::is_url;
pub(crate) use functions::{set_redaction, track, tracked, untrack};
pub(crate) use read::Reader;
pub use roles::DatabaseRoles;
pub(crate) use roles::set_up;
pub(crate) use write::PostgresJournal;

use self::address::Address;
use self::tls::Tls;
use crate::clock::Stopwatch;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::Birth;

/// The schema's migrations, in order, with SQLite's numbers.
const MIGRATIONS: [&str; 2] =
    [include_str!("migrations/0001_journal.sql"), include_str!("migrations/0002_own_events.sql")];
/// How long a call waits for the database, for its lock, or for an answer, unless told otherwise.
pub(crate) const DEFAULT_PATIENCE: Duration = Duration::from_secs(30);
/// How long it waits before it tries again to connect.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// Connections of a handle at the most, beside those that write and listen.
const MAX_CONNECTIONS: usize = 24;
/// The oldest PostgreSQL that works, as the server numbers itself.
const OLDEST_VERSION: i32 = 140_000;

/// A database with a log, or for one.
pub(crate) struct Database {
    address: Address,
    tls: Tls,
    pool: Pool,
    patience: Duration,
    runtime: Option<Runtime>,
    listener: OnceLock<listen::Listener>,
    inbox_insert: OnceLock<&'static str>,
    /// It was there once, so that it is waited for when it is away.
    was_reached: AtomicBool,
}

impl Database {
    /// Connects to nothing yet.
    pub(crate) fn new(url: &str, patience: Duration) -> Result<Arc<Self>> {
        let mut address = Address::parse(url)?;
        let tls = Tls::new(&address.trust)?;
        let config = &mut address.config;
        config.application_name(config.get_application_name().unwrap_or("sealog").to_owned());
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(patience);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(patience);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("sealog-postgres")
            .enable_all()
            .build()
            .map_err(|error| Error::new(ErrorKind::Storage, "cannot start a runtime").with_source(error))?;
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(config.clone(), tls.clone(), recycling);
        let session = session(&address.schema, patience);
        let configure = Hook::async_fn(move |client: &mut ClientWrapper, _| {
            let session = session.clone();
            Box::pin(async move { client.batch_execute(&session).await.map_err(HookError::Backend) })
        });
        let pool = Pool::builder(manager)
            .max_size(MAX_CONNECTIONS)
            .wait_timeout(Some(patience))
            .create_timeout(Some(patience))
            .runtime(PoolRuntime::Tokio1)
            .post_create(configure)
            .build()
            .map_err(|error| Error::new(ErrorKind::Storage, error.to_string()).with_source(error))?;
        Ok(Arc::new(Self {
            address,
            tls,
            pool,
            patience,
            runtime: Some(runtime),
            listener: OnceLock::new(),
            inbox_insert: OnceLock::new(),
            was_reached: AtomicBool::new(false),
        }))
    }

    /// The URL without the password, for messages.
    pub(crate) fn name(&self) -> String {
        self.address.name()
    }

    /// The statement that stages an event, whatever the search path of who runs it. Drivers trust a text that is
    /// there for as long as the program, so it is made once for each database that is opened, and stays.
    pub(crate) fn inbox_insert(&self) -> &'static str {
        self.inbox_insert.get_or_init(|| {
            let schema = quoted(&self.address.schema);
            include_str!("queries/inbox_insert.sql").trim_ascii_end().replace("$schema", &schema).leak()
        })
    }

    /// A name for files that belong to the log on this machine.
    pub(crate) fn file_name(&self) -> String {
        self.address.file_name()
    }

    fn runtime(&self) -> &tokio::runtime::Handle {
        // It is there until the database is dropped.
        self.runtime.as_ref().expect("the runtime runs").handle()
    }

    /// Waits for `future` on this thread, which may block.
    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime().block_on(future)
    }

    /// A connection. While the database cannot be reached it is tried again for `patience`.
    fn connect(self: &Arc<Self>, patience: Duration) -> Result<Link> {
        let waiting = Stopwatch::start();
        loop {
            let error = match self.block_on(self.pool.get()) {
                Ok(client) => {
                    self.was_reached.store(true, Ordering::Relaxed);
                    return Ok(Link { database: self.clone(), client: Some(client), is_lost: Cell::new(false) });
                }
                Err(error) => error,
            };
            let may_come = match &error {
                PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                    is_lost(error) || error.code() == Some(&SqlState::CANNOT_CONNECT_NOW)
                }
                PoolError::Timeout(_) => true,
                _ => false,
            };
            if !may_come || waiting.elapsed() + RETRY_INTERVAL > patience {
                return Err(self.unreachable(error, patience));
            }
            std::thread::sleep(RETRY_INTERVAL);
        }
    }

    fn unreachable(&self, error: PoolError, waited: Duration) -> Error {
        let text = match &error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => told(error),
            PoolError::Timeout(_) => "there was no answer, or no free connection".to_owned(),
            other => other.to_string(),
        };
        let waited = if waited.is_zero() { String::new() } else { format!(", after {} s", waited.as_secs_f32()) };
        Error::new(ErrorKind::Storage, format!("cannot connect to {}{waited}: {text}", self.name())).with_source(error)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The last handle may be dropped where nothing may block.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// What each connection is set to.
fn session(schema: &str, patience: Duration) -> String {
    include_str!("queries/configure.sql")
        .replace("$schema", &quoted(schema))
        .replace("$patience_ms", &patience.as_millis().max(1).to_string())
}

/// A name as an identifier.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A connection, until it is dropped: it goes back to the pool unless something is wrong with it.
pub(crate) struct Link {
    database: Arc<Database>,
    /// None once it is given back.
    client: Option<Object>,
    is_lost: Cell<bool>,
}

impl Link {
    fn client(&self) -> &ClientWrapper {
        self.client.as_ref().expect("a connection is given back at its end only")
    }

    /// Waits for the answer to `ask`, as long as the database's patience.
    fn run<T>(&self, ask: impl Future<Output = Result<T, PgError>>) -> Result<T> {
        let patience = self.database.patience;
        let answer = self.database.block_on(async { tokio::time::timeout(patience, ask).await });
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                if is_lost(&error) {
                    self.is_lost.set(true);
                }
                Err(storage(error))
            }
            Err(_) => {
                self.is_lost.set(true);
                let message = format!("the database did not answer within {} s", patience.as_secs_f32());
                Err(Error::new(ErrorKind::Storage, message))
            }
        }
    }

    fn batch(&self, sql: &str) -> Result<()> {
        self.run(self.client().batch_execute(sql))
    }

    fn prepared(&self, sql: &str) -> Result<Statement> {
        self.run(async { prepared(self.client(), sql).await })
    }

    fn is_lost(&self) -> bool {
        self.is_lost.get() || self.client.as_ref().is_none_or(|client| client.is_closed())
    }

    /// Closes the connection instead of giving it back: nobody knows what is going on there.
    fn discard(&mut self) {
        if let Some(client) = self.client.take() {
            let _runtime = self.database.runtime().enter();
            drop(Object::take(client));
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.is_lost() {
            self.discard();
        }
    }
}

/// The statement, which each connection prepares once.
async fn prepared(client: &ClientWrapper, sql: &str) -> Result<Statement, PgError> {
    client.prepare_cached(sql).await
}

/// Whether it is the connection that failed, and another one may do better: the server is gone, ends, or is no
/// primary any more.
fn is_lost(error: &PgError) -> bool {
    use std::error::Error as _;
    let Some(code) = error.code() else {
        return error.is_closed() || error.source().is_some_and(<dyn std::error::Error>::is::<std::io::Error>);
    };
    let ends = [
        &SqlState::ADMIN_SHUTDOWN,
        &SqlState::CRASH_SHUTDOWN,
        &SqlState::CANNOT_CONNECT_NOW,
        &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        &SqlState::READ_ONLY_SQL_TRANSACTION,
    ];
    code.code().starts_with("08") || ends.contains(&code)
}

/// What PostgreSQL says, with all that it says it with.
fn told(error: &PgError) -> String {
    use std::error::Error as _;
    match error.as_db_error() {
        Some(error) => format!("{} ({})", error.message(), error.code().code()),
        None => match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}

/// What PostgreSQL reports, as an error for callers.
fn storage(error: PgError) -> Error {
    let code = error.code().cloned();
    let (kind, advice) = match &code {
        _ if is_lost(&error) => (ErrorKind::Storage, "the connection to the database was lost"),
        Some(code) if *code == SqlState::LOCK_NOT_AVAILABLE => {
            (ErrorKind::Busy, "another writer held the log for too long; send the events again")
        }
        Some(code) if *code == SqlState::QUERY_CANCELED => {
            (ErrorKind::Busy, "the database took too long; send the events again")
        }
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => (
            ErrorKind::Storage,
            "the database role may not do that; `sealog database setup` makes roles, and docs/POSTGRES.md tells which",
        ),
        Some(code) if *code == SqlState::UNIQUE_VIOLATION => {
            // The primary key is the fence.
            (ErrorKind::Busy, "another writer was faster; send the events again")
        }
        Some(code)
            if [&SqlState::DISK_FULL, &SqlState::OUT_OF_MEMORY, &SqlState::INSUFFICIENT_RESOURCES].contains(&code) =>
        {
            (ErrorKind::Storage, "the database has no room; make room and send the events again")
        }
        Some(code)
            if code.code().starts_with("XX") || code.code().starts_with("22") || code.code().starts_with("42") =>
        {
            (ErrorKind::Integrity, "the log's tables are not as they should be; `sealog verify` says where")
        }
        // A column that is none of what it should be.
        None if std::error::Error::source(&error).is_some() => {
            (ErrorKind::Integrity, "the log's tables hold a value that nobody wrote there")
        }
        _ => (ErrorKind::Storage, "the database could not be read or written"),
    };
    Error::new(kind, format!("{advice} ({})", told(&error))).with_source(error)
}

/// Opens the journal for writing; makes schema and log where they are not there yet, with what `birth` gives, and
/// brings an older schema forward.
pub(crate) fn open(
    database: &Arc<Database>,
    create: bool,
    birth: impl FnOnce() -> Result<Birth>,
) -> Result<PostgresJournal> {
    let link = database.connect(Duration::ZERO)?;
    schema::check_server(&link)?;
    if !schema::exists(&link)? && !create {
        return Err(no_log(database));
    }
    schema::bring_forward(&link, |link| {
        if read::is_born(link)? {
            return Ok(());
        }
        if !create {
            return Err(no_log(database));
        }
        write::give_birth(link, &birth()?)
    })?;
    schema::check(&link)?;
    schema::check_writable(&link)?;
    drop(link);
    Ok(PostgresJournal::new(database.clone()))
}

/// Opens the journal for reading.
pub(crate) fn open_reader(database: &Arc<Database>) -> Result<Reader> {
    // A URL that leads nowhere is told at once.
    let is_known = database.was_reached.load(Ordering::Relaxed);
    let link = database.connect(if is_known { database.patience } else { Duration::ZERO })?;
    schema::check_server(&link)?;
    if !schema::exists(&link)? || !read::is_born(&link)? {
        return Err(no_log(database));
    }
    schema::check_version(schema::version(&link)?)?;
    Ok(Reader::new(database.clone()))
}

fn no_log(database: &Database) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no log at {}", database.name()))
}

/// What the log at this URL is called, without a password, and what its local files are.
pub(crate) fn locate(url: &str) -> Result<(String, String)> {
    let address = Address::parse(url)?;
    Ok((address.name(), address.file_name()))
}

/// Where files of a log in PostgreSQL are on this machine: below the cache, those that can be made anew; below the
/// settings, its key.
pub(crate) fn local_file(variable: &str, of_home: &str, name: &str) -> Result<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(of_home)));
    let folder = folder.ok_or_else(|| {
        let message = "there is no home folder for the log's key and index; name a key file and a folder for the index";
        Error::new(ErrorKind::InvalidArgument, message)
    })?;
    Ok(folder.join("sealog").join(name))
}
