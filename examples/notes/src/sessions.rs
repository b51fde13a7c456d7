//! Who is signed in. A real application asks for a password; what matters here is that its own sessions also open
//! the log.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use sealog::rusqlite::{OptionalExtension, TransactionBehavior};
use sealog::{Event, actions};
use serde::Deserialize;

use crate::{App, Failure};

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/api/session", post(sign_in).get(who))
}

/// What a request carries of its session.
pub(crate) fn token_of(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix("session=")).map(str::to_owned)
}

impl App {
    /// The user whose session it is.
    pub(crate) async fn user_of(&self, token: Option<String>) -> Result<String, Failure> {
        let token = token.ok_or(Failure::SignInFirst)?;
        let sql = "SELECT user FROM session WHERE token = ?1";
        let user = self.with_db(move |db| Ok(db.query_row(sql, [token], |row| row.get(0)).optional()?)).await?;
        user.ok_or(Failure::SignInFirst)
    }
}

#[derive(Deserialize)]
struct SignIn {
    user: String,
}

async fn sign_in(State(app): State<App>, Json(asked): Json<SignIn>) -> Result<Response, Failure> {
    let log = app.log.clone();
    let token = app
        .with_db(move |db| {
            let mut tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let sql = "INSERT INTO session (token, user) VALUES (hex(randomblob(32)), ?1) RETURNING token";
            let token: String = tx.query_row(sql, [&asked.user], |row| row.get(0))?;
            log.log_in(&mut tx, Event::new(actions::USER_LOGIN).actor(&asked.user))?;
            tx.commit()?;
            Ok(token)
        })
        .await?;
    let cookie = format!("session={token}; Path=/; HttpOnly; SameSite=Strict");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

async fn who(State(app): State<App>, headers: HeaderMap) -> Result<Json<String>, Failure> {
    app.user_of(token_of(&headers)).await.map(Json)
}
