//! API keys. A key is what the log says of it: `sealog.api_key.created`, `.rotated` and `.revoked` are the
//! only place where keys stand, so that making one and its being an event are one step, and every server on the
//! log knows the same keys. Secrets stand there as SHA-256.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sealog::{AuditLog, ErrorKind, Event, Filter, MAX_PAGE_EVENTS, Order, PageOptions, Record, Severity, WatchFrom};
use serde::{Deserialize, Serialize};
use serde_json::json;
use subtle::ConstantTimeEq as _;
use tokio::sync::{OnceCell, watch};
use tokio::task::JoinHandle;
use utoipa::ToSchema;

use super::api_key::ApiKey;
use super::{Actor, Lease, Role, not_valid};
use crate::limits::{MAX_KEYS, MAX_NAME_BYTES};
use crate::problem::{Code, Problem};
use crate::schema::FilterBody;

const CREATED: &str = "sealog.api_key.created";
const ROTATED: &str = "sealog.api_key.rotated";
const REVOKED: &str = "sealog.api_key.revoked";
/// What all of them begin with.
const ACTIONS: &str = "sealog.api_key.*";
/// The kind of resource that a key is.
const RESOURCE_TYPE: &str = "api_key";
/// So many of a key's secrets before the newest work at once.
const MAX_PREVIOUS_SECRETS: usize = 8;
/// How long keys wait before they are followed again, after the log could not be read.
const RETRY: Duration = Duration::from_millis(250);

/// A key, without its secret.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ApiKey)]
pub(crate) struct KeyInfo {
    /// Its id, which is a part of the key.
    pub(crate) id: String,
    /// What it is called.
    pub(crate) name: String,
    /// What it is for.
    pub(crate) role: Role,
    /// What binds it: a reader sees nothing else, a writer logs for this tenant alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<FilterBody>)]
    pub(crate) scope: Option<Filter>,
    /// When it was made, in milliseconds since the Unix epoch.
    pub(crate) created_at: i64,
    /// When it stops being valid, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<i64>,
    /// When its secret was last replaced, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rotated_at: Option<i64>,
    /// Until when the secrets before that may work as well, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) previous_until: Option<i64>,
    /// When it was taken back, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revoked_at: Option<i64>,
    /// When it was last used, in milliseconds since the Unix epoch, to a minute or so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_used_at: Option<i64>,
}

/// What the event of a key says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<Filter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_until: Option<i64>,
    /// The SHA-256 of the secret, hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

struct Known {
    info: KeyInfo,
    digest: [u8; 32],
    /// Those before it that still work, the newest last.
    previous: Vec<Previous>,
}

struct Previous {
    digest: [u8; 32],
    until: i64,
}

impl Known {
    fn is_live(&self, now_ms: i64) -> bool {
        self.info.revoked_at.is_none() && self.info.expires_at.is_none_or(|end| now_ms < end)
    }
}

#[derive(Default)]
struct Ring {
    keys: BTreeMap<String, Known>,
    /// What is said below this seq is known.
    next_seq: u64,
}

/// All keys of a log.
pub(crate) struct Keys {
    log: AuditLog,
    ring: Arc<Mutex<Ring>>,
    /// Changes when a key does.
    changed: watch::Sender<u64>,
    follower: OnceCell<Follower>,
}

/// What keeps up with what other processes say of keys.
struct Follower(JoinHandle<()>);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A key that was shown to be its owner's.
pub(crate) struct Shown {
    pub(crate) actor: Actor,
    pub(crate) role: Role,
    pub(crate) scope: Option<Filter>,
    pub(crate) lease: Lease,
}

/// A key that is to be made.
pub(crate) struct NewKey {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) scope: Option<Filter>,
    pub(crate) expires_at: Option<i64>,
}

impl Keys {
    pub(crate) fn new(log: AuditLog) -> Self {
        Self { log, ring: Arc::default(), changed: watch::Sender::new(0), follower: OnceCell::new() }
    }

    /// Reads what the log says of keys, once, and keeps up with it from then on.
    async fn load(&self) -> Result<(), Problem> {
        if self.log.is_scoped() {
            return Err(Problem::internal("API keys take the whole log: mount a scoped one with authorize()"));
        }
        self.follower
            .get_or_try_init(|| async {
                let (size, filter) = (self.log.head().await?.size, Filter::new().action(ACTIONS));
                let mut page = PageOptions::new().limit(MAX_PAGE_EVENTS).order(Order::OldestFirst);
                let mut records = Vec::new();
                loop {
                    let found = self.log.search(&filter, &page).await?;
                    records.extend(found.events);
                    let Some(cursor) = found.next_cursor else { break };
                    page = page.after(cursor);
                }
                records.sort_by_key(Record::seq);
                {
                    let mut ring = locked(&self.ring);
                    for record in &records {
                        ring.hear(record);
                    }
                    ring.next_seq = ring.next_seq.max(size);
                }
                let mut watch = self.log.watch(&filter, WatchFrom::Seq(size)).await?;
                let (log, ring, changed) = (self.log.clone(), self.ring.clone(), self.changed.clone());
                Ok::<_, Problem>(Follower(tokio::spawn(async move {
                    let mut next_seq = size;
                    loop {
                        match watch.next().await {
                            Some(Ok(record)) => {
                                next_seq = record.seq() + 1;
                                locked(&ring).hear(&record);
                                changed.send_modify(|version| *version += 1);
                            }
                            // A database may be away for a while, and then nobody is answered anything of the log.
                            Some(Err(error)) if error.kind() != ErrorKind::Closed => {
                                tokio::time::sleep(RETRY).await;
                                if let Ok(again) = log.watch(&filter, WatchFrom::Seq(next_seq)).await {
                                    watch = again;
                                }
                            }
                            _ => break,
                        }
                    }
                    // The log was closed: nobody is let in any more.
                    locked(&ring).keys.clear();
                    changed.send_modify(|version| *version += 1);
                })))
            })
            .await
            .map(drop)
    }

    /// Told when a key changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Whose key this is.
    pub(crate) async fn show(&self, text: &str) -> Result<Shown, Problem> {
        let key = ApiKey::parse(text).ok_or_else(not_valid)?;
        self.load().await?;
        let (now, digest) = (self.log.clock().now_ms(), key.digest());
        let mut ring = locked(&self.ring);
        let known = ring.keys.get_mut(&key.id).filter(|known| known.is_live(now)).ok_or_else(not_valid)?;
        let is_new = bool::from(known.digest.ct_eq(&digest));
        let previous = known.previous.iter().find(|previous| bool::from(previous.digest.ct_eq(&digest)));
        let previous_until = previous.map(|previous| previous.until).filter(|until| now < *until);
        if !is_new && previous_until.is_none() {
            return Err(not_valid());
        }
        known.info.last_used_at = Some(now);
        let until = if is_new { known.info.expires_at } else { previous_until };
        Ok(Shown {
            actor: Actor { id: key.id.clone(), kind: RESOURCE_TYPE, name: Some(known.info.name.clone()) },
            role: known.info.role,
            scope: known.info.scope.clone(),
            lease: Lease { key_id: Some(key.id), until },
        })
    }

    /// What binds the key of this id, as long as it is valid.
    pub(crate) async fn scope_of(&self, id: &str) -> Result<Option<Filter>, Problem> {
        self.load().await?;
        let now = self.log.clock().now_ms();
        let ring = locked(&self.ring);
        let known = ring.keys.get(id).filter(|known| known.is_live(now) && known.info.role.may(super::Access::Read));
        Ok(known.ok_or_else(not_valid)?.info.scope.clone())
    }

    /// Whether a lease still holds.
    pub(crate) fn holds(&self, lease: &Lease) -> bool {
        let now = self.log.clock().now_ms();
        let is_live = |id| locked(&self.ring).keys.get(id).is_some_and(|known| known.is_live(now));
        lease.until.is_none_or(|until| now < until) && lease.key_id.as_deref().is_none_or(is_live)
    }

    /// When keys were last used, as far as this process knows.
    pub(crate) fn uses(&self) -> Vec<(String, i64)> {
        let ring = locked(&self.ring);
        ring.keys.iter().filter_map(|(id, known)| Some((id.clone(), known.info.last_used_at?))).collect()
    }

    /// All keys, the oldest first.
    pub(crate) async fn list(&self) -> Result<Vec<KeyInfo>, Problem> {
        self.load().await?;
        let mut infos: Vec<_> = locked(&self.ring).keys.values().map(|known| known.info.clone()).collect();
        infos.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        Ok(infos)
    }

    /// Whether there is a key that may do everything.
    pub(crate) async fn has_admin(&self) -> Result<bool, Problem> {
        self.load().await?;
        let now = self.log.clock().now_ms();
        Ok(locked(&self.ring).is_administered(now, None))
    }

    /// Makes a key. Answers its text, which nobody can be told again.
    pub(crate) async fn create(&self, new: NewKey, by: &Actor) -> Result<(String, KeyInfo), Problem> {
        let key = self.draw(&new).await?;
        let info = self.keep(&key, new, by).await?;
        Ok((key.text(), info))
    }

    /// A key that may be kept, and is not yet.
    pub(crate) async fn draw(&self, new: &NewKey) -> Result<ApiKey, Problem> {
        self.load().await?;
        new.check(self.log.clock().now_ms())?;
        if locked(&self.ring).keys.values().filter(|known| known.info.revoked_at.is_none()).count() >= MAX_KEYS {
            return Err(Problem::new(Code::Conflict, format!("there are {MAX_KEYS} keys; revoke one first")));
        }
        Ok(ApiKey::new(&**self.log.clock()))
    }

    /// From here on the key that was drawn holds.
    pub(crate) async fn keep(&self, key: &ApiKey, new: NewKey, by: &Actor) -> Result<KeyInfo, Problem> {
        let NewKey { name, role, scope, expires_at } = new;
        let sha256 = Some(hex(&key.digest()));
        let told = Told { name: Some(name), role: Some(role), scope, expires_at, previous_until: None, sha256 };
        self.say(CREATED, &key.id, &told, by).await
    }

    /// Gives a key another secret. Those before work on until `previous_until`, if they did not end sooner.
    pub(crate) async fn rotate(&self, id: &str, previous_until: i64, by: &Actor) -> Result<(String, KeyInfo), Problem> {
        self.must_be_live(id).await?;
        let key = ApiKey::of_id(id.to_owned(), &**self.log.clock());
        let told = Told {
            name: None,
            role: None,
            scope: None,
            expires_at: None,
            previous_until: Some(previous_until),
            sha256: Some(hex(&key.digest())),
        };
        let info = self.say(ROTATED, id, &told, by).await?;
        Ok((key.text(), info))
    }

    /// Takes a key back.
    pub(crate) async fn revoke(&self, id: &str, by: &Actor) -> Result<KeyInfo, Problem> {
        self.must_be_live(id).await?;
        let now = self.log.clock().now_ms();
        if !locked(&self.ring).is_administered(now, Some(id)) {
            let detail = "this is the last key that may administer; create another one first";
            return Err(Problem::new(Code::Conflict, detail));
        }
        let told = Told { name: None, role: None, scope: None, expires_at: None, previous_until: None, sha256: None };
        self.say(REVOKED, id, &told, by).await
    }

    async fn must_be_live(&self, id: &str) -> Result<(), Problem> {
        self.load().await?;
        let now = self.log.clock().now_ms();
        if locked(&self.ring).keys.get(id).is_some_and(|known| known.is_live(now)) {
            return Ok(());
        }
        Err(Problem::of_kind(sealog::ErrorKind::NotFound, format!("there is no valid key with the id {id:?}")))
    }

    /// Says something of a key, in the log, and hears it.
    async fn say(&self, action: &str, id: &str, told: &Told, by: &Actor) -> Result<KeyInfo, Problem> {
        let mut event = Event::new(action)
            .resource(RESOURCE_TYPE, id)
            .severity(Severity::Warning)
            .actor(&by.id)
            .actor_type(by.kind)
            .metadata(json!(told));
        event.actor_name.clone_from(&by.name);
        let receipt = self.log.log_served(event).await?;
        let record = self.log.get(&receipt.id).await?;
        let info = {
            let mut ring = locked(&self.ring);
            ring.hear(&record);
            ring.keys.get(id).map(|known| known.info.clone())
        };
        self.changed.send_modify(|version| *version += 1);
        info.ok_or_else(|| Problem::internal("a key was logged and is not there"))
    }
}

impl NewKey {
    fn check(&self, now_ms: i64) -> Result<(), Problem> {
        if self.name.is_empty() || self.name.len() > MAX_NAME_BYTES {
            return Err(Problem::argument("/name", format!("a key's name has 1 to {MAX_NAME_BYTES} bytes")));
        }
        if self.expires_at.is_some_and(|end| end <= now_ms) {
            return Err(Problem::argument("/expiresAt", format!("this is over: it is {now_ms} now")));
        }
        let Some(scope) = &self.scope else { return Ok(()) };
        if scope.is_empty() {
            return Err(Problem::argument("/scope", "this scope lets everything through; leave it out for that"));
        }
        let is_tenant = *scope == scope.tenant.iter().fold(Filter::new(), Filter::tenant);
        match self.role {
            Role::Admin => Err(Problem::argument(
                "/scope",
                "who administers a log does so as a whole; a key with a scope is a reader's or a writer's",
            )),
            Role::Writer if !is_tenant => Err(Problem::argument(
                "/scope",
                "a writer's scope is one tenant, {\"tenant\": \"…\"}, which every event it logs is given",
            )),
            Role::Writer | Role::Reader => Ok(()),
        }
    }
}

impl Ring {
    /// Takes in what the log says of a key. Each event counts once, in the order of `seq`.
    fn hear(&mut self, record: &Record) {
        if record.seq() < self.next_seq {
            return;
        }
        let Some(id) = record.resource_id.clone() else { return };
        let metadata = record.metadata.clone().unwrap_or_default();
        let Ok(told) = serde_json::from_value::<Told>(metadata.into()) else { return };
        let digest = told.sha256.as_deref().and_then(unhex);
        let at = record.recorded_at();
        match (&*record.action, self.keys.get_mut(&id), digest) {
            (CREATED, None, Some(digest)) => {
                let info = KeyInfo {
                    id: id.clone(),
                    name: told.name.unwrap_or_default(),
                    // What is not said is not allowed.
                    role: told.role.unwrap_or(Role::Writer),
                    scope: told.scope,
                    created_at: at,
                    expires_at: told.expires_at,
                    rotated_at: None,
                    previous_until: None,
                    revoked_at: None,
                    last_used_at: None,
                };
                self.keys.insert(id, Known { info, digest, previous: Vec::new() });
            }
            (ROTATED, Some(known), Some(digest)) => {
                let until = told.previous_until.unwrap_or(at);
                known.previous.push(Previous { digest: std::mem::replace(&mut known.digest, digest), until: i64::MAX });
                // Nobody may have got the secret of a rotation whose answer was lost, so those before it work on; and
                // who wants them to end sooner says so by rotating once more.
                known.previous.iter_mut().for_each(|previous| previous.until = previous.until.min(until));
                known.previous.retain(|previous| at < previous.until);
                let too_many = known.previous.len().saturating_sub(MAX_PREVIOUS_SECRETS);
                known.previous.drain(..too_many);
                known.info.rotated_at = Some(at);
                known.info.previous_until = told.previous_until;
            }
            (REVOKED, Some(known), _) => known.info.revoked_at = Some(at),
            _ => return,
        }
        self.next_seq = record.seq() + 1;
    }

    /// Whether there is a key that may do everything, other than this one.
    fn is_administered(&self, now_ms: i64, without: Option<&str>) -> bool {
        self.keys
            .iter()
            .any(|(id, known)| known.info.role == Role::Admin && known.is_live(now_ms) && without != Some(id))
    }
}

fn locked(ring: &Mutex<Ring>) -> MutexGuard<'_, Ring> {
    ring.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hex(bytes: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}
