//! Who is signed in. A real application asks for a password; what matters here is that its own sessions also open
//! the log.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use sealog::rusqlite::{Connection, TransactionBehavior};
use sealog::{Event, actions};
use serde::Deserialize;

use crate::{App, Failure};

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/api/session", post(sign_in).get(who))
}

/// The user whose session a request carries.
pub(crate) fn user_of(db: &Connection, headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';'));
    let token = pairs.find_map(|pair| pair.trim().strip_prefix("session="))?;
    db.query_row("SELECT user FROM session WHERE token = ?1", [token], |row| row.get(0)).ok()
}

#[derive(Deserialize)]
struct SignIn {
    user: String,
}

async fn sign_in(State(app): State<App>, Json(asked): Json<SignIn>) -> Result<Response, Failure> {
    let mut db = app.db();
    let mut tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let sql = "INSERT INTO session (token, user) VALUES (hex(randomblob(32)), ?1) RETURNING token";
    let token: String = tx.query_row(sql, [&asked.user], |row| row.get(0))?;
    app.log.log_in(&mut tx, Event::new(actions::USER_LOGIN).actor(&asked.user))?;
    tx.commit()?;
    let cookie = format!("session={token}; Path=/; HttpOnly; SameSite=Strict");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

async fn who(State(app): State<App>, headers: HeaderMap) -> Result<Json<String>, Failure> {
    user_of(&app.db(), &headers).map(Json).ok_or(Failure::SignInFirst)
}
