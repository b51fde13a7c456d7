//! Notes. Each change and its event are one transaction: both are there, or neither is.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::get;
use axum::{Json, Router};
use sealog::rusqlite::{Connection, Row, Transaction, TransactionBehavior};
use sealog::{AuditLog, Change, actions};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::sessions::token_of;
use crate::{App, Failure};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/notes", get(list).post(create))
        .route("/api/notes/{id}", get(read).put(update).delete(remove))
}

#[derive(Serialize)]
struct Note {
    id: String,
    title: String,
    body: String,
}

#[derive(Deserialize)]
struct NewNote {
    title: String,
    body: String,
}

impl Note {
    fn from_row(row: &Row<'_>) -> sealog::rusqlite::Result<Self> {
        Ok(Self { id: row.get(0)?, title: row.get(1)?, body: row.get(2)? })
    }

    fn find(db: &Connection, id: &str) -> sealog::rusqlite::Result<Self> {
        db.query_row("SELECT id, title, body FROM note WHERE id = ?1", [id], Self::from_row)
    }

    /// What the log keeps of a note's state.
    fn state(&self) -> serde_json::Value {
        json!({"title": self.title, "body": self.body})
    }
}

/// Runs `change` in a transaction, with who asks for it. When it fails, nothing of it remains: no note, and no event.
async fn changing<T: Send + 'static>(
    app: &App,
    headers: &HeaderMap,
    change: impl FnOnce(&mut Transaction<'_>, &AuditLog, &str) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let user = app.user_of(token_of(headers)).await?;
    let log = app.log.clone();
    app.with_db(move |db| {
        let mut tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let changed = change(&mut tx, &log, &user)?;
        tx.commit()?;
        Ok(changed)
    })
    .await
}

async fn list(State(app): State<App>, headers: HeaderMap) -> Result<Json<Vec<Note>>, Failure> {
    app.user_of(token_of(&headers)).await?;
    app.with_db(|db| {
        let mut statement = db.prepare("SELECT id, title, body FROM note ORDER BY title, id")?;
        let notes = statement.query_map([], Note::from_row)?.collect::<Result<_, _>>()?;
        Ok(Json(notes))
    })
    .await
}

async fn read(State(app): State<App>, headers: HeaderMap, Path(id): Path<String>) -> Result<Json<Note>, Failure> {
    app.user_of(token_of(&headers)).await?;
    app.with_db(move |db| Ok(Json(Note::find(db, &id)?))).await
}

async fn create(State(app): State<App>, headers: HeaderMap, Json(new): Json<NewNote>) -> Result<Json<Note>, Failure> {
    changing(&app, &headers, |tx, log, user| {
        let id = tx.query_row("SELECT lower(hex(randomblob(8)))", [], |row| row.get(0))?;
        let note = Note { id, title: new.title, body: new.body };
        let change = Change::new(actions::RECORD_CREATED, "note", &note.id).after(note.state());
        log.log_in(tx, change.with(|event| event.actor(user)).into())?;
        tx.execute("INSERT INTO note (id, title, body) VALUES (?1, ?2, ?3)", [&note.id, &note.title, &note.body])?;
        Ok(Json(note))
    })
    .await
}

async fn update(
    State(app): State<App>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Json(new): Json<NewNote>,
) -> Result<Json<Note>, Failure> {
    changing(&app, &headers, |tx, log, user| {
        let before = Note::find(tx, &id)?;
        let note = Note { id, title: new.title, body: new.body };
        let change = Change::new(actions::RECORD_UPDATED, "note", &note.id).before(before.state()).after(note.state());
        log.log_in(tx, change.with(|event| event.actor(user)).into())?;
        // A title that is too long fails here: the event above goes with the rest of the transaction.
        tx.execute("UPDATE note SET title = ?2, body = ?3 WHERE id = ?1", [&note.id, &note.title, &note.body])?;
        Ok(Json(note))
    })
    .await
}

async fn remove(State(app): State<App>, headers: HeaderMap, Path(id): Path<String>) -> Result<(), Failure> {
    changing(&app, &headers, move |tx, log, user| {
        let before = Note::find(tx, &id)?;
        let change = Change::new(actions::RECORD_DELETED, "note", &id).before(before.state());
        log.log_in(tx, change.with(|event| event.actor(user)).into())?;
        tx.execute("DELETE FROM note WHERE id = ?1", [&id])?;
        Ok(())
    })
    .await
}
