//! Who looked at what, as events of the log: `sealog.read`.
//!
//! The first read of a caller and kind is logged before it is answered. Those that follow within the window
//! are counted, and logged together when it is over.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sealog::{AuditLog, Event, Filter};
use serde::Serialize;
use serde_json::{Value, json};

use crate::auth::{Actor, Caller};
use crate::problem::Problem;

const READ: &str = "sealog.read";
/// Of so many callers and kinds it is remembered what they read. Past that, the oldest are logged early.
const MAX_WINDOWS: usize = 10_000;
/// So many different filters are named of those reads that are logged together; all are counted.
const MAX_FILTERS: usize = 20;

/// Reads on their way into the log.
pub(crate) struct Reads {
    log: AuditLog,
    is_on: bool,
    window_ms: i64,
    windows: Mutex<HashMap<(String, &'static str), Window>>,
}

/// What a caller has read of late.
struct Window {
    actor: Actor,
    began: i64,
    last: i64,
    /// Reads after the one that was logged.
    more: u64,
    filters: Vec<Value>,
    scopes: Vec<Filter>,
}

impl Reads {
    pub(crate) fn new(log: AuditLog, is_on: bool, window_ms: i64) -> Self {
        Self { log, is_on, window_ms, windows: Mutex::default() }
    }

    /// Notes that a caller reads what `filter` selects: a filter, or the id of one event.
    pub(crate) async fn note(
        &self,
        caller: &Caller,
        kind: &'static str,
        filter: &(impl Serialize + Sync),
    ) -> Result<(), Problem> {
        // What people did themselves they may see without that being anybody's concern.
        if !self.is_on || caller.sees_only_own() {
            return Ok(());
        }
        let filter = json!(filter);
        let now = self.log.clock().now_ms();
        let key = (caller.counted.clone(), kind);
        let mut due = Vec::new();
        let is_first = {
            let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
            if windows.len() >= MAX_WINDOWS {
                due.extend(self.take(&mut windows, now));
                if windows.len() >= MAX_WINDOWS {
                    due.extend(windows.drain().map(|((_, kind), window)| (kind, window)));
                }
            }
            match windows.get_mut(&key) {
                Some(window) if now < window.began + self.window_ms => {
                    window.more += 1;
                    window.last = now;
                    if window.filters.len() < MAX_FILTERS && !window.filters.contains(&filter) {
                        window.filters.push(filter.clone());
                    }
                    false
                }
                known => {
                    if let Some(over) = known {
                        let over = std::mem::replace(over, Window::new(caller, now));
                        due.push((kind, over));
                    } else {
                        windows.insert(key, Window::new(caller, now));
                    }
                    true
                }
            }
        };
        self.tell(due).await?;
        if is_first {
            let mut metadata = json!({"kind": kind, "filter": filter});
            if !caller.is_whole() {
                metadata["scopes"] = json!(caller.scopes);
            }
            self.log.log_served(event(&caller.actor).metadata(metadata)).await?;
        }
        Ok(())
    }

    /// Logs what is over; all of it when the server stops.
    pub(crate) async fn flush(&self, all: bool) -> Result<(), Problem> {
        let now = if all { i64::MAX } else { self.log.clock().now_ms() };
        let due = {
            let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
            self.take(&mut windows, now)
        };
        self.tell(due).await
    }

    fn take(&self, windows: &mut HashMap<(String, &'static str), Window>, now: i64) -> Vec<(&'static str, Window)> {
        let over = windows.extract_if(|_, window| now >= window.began.saturating_add(self.window_ms));
        over.map(|((_, kind), window)| (kind, window)).collect()
    }

    async fn tell(&self, windows: Vec<(&'static str, Window)>) -> Result<(), Problem> {
        for (kind, window) in windows.into_iter().filter(|(_, window)| window.more > 0) {
            let mut metadata = json!({
                "kind": kind, "more": window.more, "from": window.began, "to": window.last, "filters": window.filters,
            });
            if !window.scopes.is_empty() {
                metadata["scopes"] = json!(window.scopes);
            }
            self.log.log_served(event(&window.actor).metadata(metadata)).await?;
        }
        Ok(())
    }
}

impl Window {
    fn new(caller: &Caller, now: i64) -> Self {
        let (actor, scopes) = (caller.actor.clone(), caller.scopes.clone());
        Self { actor, began: now, last: now, more: 0, filters: Vec::new(), scopes }
    }
}

fn event(actor: &Actor) -> Event {
    let mut event = Event::new(READ).actor(&actor.id).actor_type(actor.kind);
    event.actor_name.clone_from(&actor.name);
    event
}
