//! Notes that several people write, and who changed what in them.
//!
//! `cargo run -p sealog-notes -- DATA PAGE [ADDRESS]`: the folder for the data, the folder of the built page, and
//! where to listen.

mod notes;
mod sessions;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sealog::rusqlite::{self, Connection, ErrorCode};
use sealog::{AuditLog, Filter};
use sealog_server::{Access, Grant, Refusal, router};
use tower_http::services::ServeDir;

/// What all requests share.
#[derive(Clone)]
struct App {
    db: Arc<Mutex<Connection>>,
    log: AuditLog,
}

impl App {
    /// Does something with the database, on a thread that may wait: for the disk, or for who is writing. Those that
    /// answer requests have others to serve meanwhile.
    async fn with_db<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let db = self.db.clone();
        tokio::task::spawn_blocking(move || run(&mut db.lock().unwrap_or_else(PoisonError::into_inner))).await?
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let data = PathBuf::from(arguments.next().ok_or("usage: sealog-notes DATA PAGE [ADDRESS]")?);
    let page = PathBuf::from(arguments.next().ok_or("usage: sealog-notes DATA PAGE [ADDRESS]")?);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:7342".to_owned());

    let app = open(&data).await?;
    let audit = audit(&app);
    let stopper = audit.stopper();
    let routes = Router::new()
        .merge(sessions::routes())
        .merge(notes::routes())
        .with_state(app.clone())
        .nest("/audit", audit.into_router())
        .fallback_service(ServeDir::new(page));

    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, routes)
        .with_graceful_shutdown(async move {
            // Without a signal to wait for, it runs until it is killed, which the log survives as well.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
            // Pages that watch would otherwise keep their connections open for ever.
            stopper.stop();
        })
        .await?;
    app.log.close().await?;
    Ok(())
}

/// Opens the application's database, and the log whose inbox is a table in there.
async fn open(data: &Path) -> Result<App, Box<dyn Error>> {
    std::fs::create_dir_all(data)?;
    let file = data.join("app.db");
    let db = Connection::open(&file)?;
    db.execute_batch(include_str!("schema.sql"))?;
    let log = AuditLog::builder(data.join("audit.db")).inbox(&file).open().await?;
    Ok(App { db: Arc::new(Mutex::new(db)), log })
}

/// The log over HTTP, for those who are signed in here: they see what happened to notes, and log nothing themselves.
fn audit(app: &App) -> sealog_server::Server {
    let sessions = app.clone();
    router(app.log.clone()).authorize(move |parts, operation| {
        let (app, token) = (sessions.clone(), sessions::token_of(&parts.headers));
        let access = operation.access;
        async move {
            let user = app.user_of(token).await.map_err(|_| Refusal::unauthenticated("sign in first"))?;
            match access {
                Access::Read => Ok(Grant::scoped(user, Filter::new().resource_type("note"))),
                _ => Err(Refusal::forbidden("only the application itself logs events")),
            }
        }
    })
}

/// What goes wrong in a request.
enum Failure {
    SignInFirst,
    NotFound,
    Invalid,
    Broken,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::SignInFirst => (StatusCode::UNAUTHORIZED, "sign in first"),
            Self::NotFound => (StatusCode::NOT_FOUND, "there is no such note"),
            Self::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "a title has 1 to 100 characters"),
            Self::Broken => (StatusCode::INTERNAL_SERVER_ERROR, "that did not work"),
        };
        (status, text).into_response()
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => Self::Invalid,
            _ if error == rusqlite::Error::QueryReturnedNoRows => Self::NotFound,
            _ => {
                eprintln!("{error}");
                Self::Broken
            }
        }
    }
}

impl From<tokio::task::JoinError> for Failure {
    fn from(error: tokio::task::JoinError) -> Self {
        eprintln!("{error}");
        Self::Broken
    }
}

impl From<sealog::Error> for Failure {
    fn from(error: sealog::Error) -> Self {
        eprintln!("{error}");
        Self::Broken
    }
}
