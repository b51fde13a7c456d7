//! Sequencing: one thread of each handle takes what is waiting, takes the journal's write lock, gives
//! each event its place, seals it, commits, and answers.
//!
//! While one batch is being made durable the next one gathers in the queue; no timer delays a lone
//! event. Nothing is remembered from one batch to the next of where the log stands: it is read under
//! the lock, since other processes write too.

mod seal;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use self::seal::{Contents, Stored, seal_and_store};
use crate::anchor::Anchor;
use crate::clock::{Clock, new_id};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Receipt};
use crate::inbox::{Sorted, sort_out};
use crate::index::{Entry as TailEntry, Index, Key};
use crate::journal::{Entry, Head, Journal, Transaction};
use crate::keyfile::KeySource;
use crate::log::Rejected;
use crate::meter::Meter;
use crate::policy::{Compiled, Prepared};
use crate::sampled::Sampled;
use crate::settings::{Current, Effective, SETTINGS_CHANGED};
use crate::tree::{self, Hash, Key as SigningKey};
use crate::verify::KEY_ROTATED;

/// A batch takes no further request once it has so many events: other processes wait for it.
const MAX_BATCH_EVENTS: usize = 4096;
/// The same, in bytes of canonical JSON.
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;

/// How often the thread steps aside for the next of several callers before it goes on without: some
/// ten microseconds on an idle machine.
const PATIENCE_YIELDS: u32 = 32;

/// What the thread is asked for.
pub(crate) enum Request {
    /// To go into a batch with others.
    Batched(Work),
    /// To be done alone, after what was asked for before it.
    Alone(Task),
}

/// What goes into a batch. Each holds its room in the queue until it is answered.
pub(crate) enum Work {
    /// All of these events, or none.
    Append { events: Vec<Prepared>, reply: oneshot::Sender<Appended>, room: OwnedSemaphorePermit },
    /// Rows of an inbox: each event for itself; what cannot be logged is set aside.
    Drain { rows: Vec<InboxRow>, rejected: Vec<Rejected>, reply: oneshot::Sender<Result<()>> },
    /// What waits in the inbox that stands beside the journal, in the journal's own transaction.
    /// Answers how many rows there were.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "SQLite's journal has no inbox beside it"))]
    Inbox { sorted: Sorted, reply: oneshot::Sender<Result<u64>> },
    /// Store what is only counted.
    Count,
}

/// What is done alone.
pub(crate) enum Task {
    /// A new signing key; the answer is its public half.
    Rotate { policy: Arc<Compiled>, reply: oneshot::Sender<Result<String>> },
    /// Something of the log's own, with all that the thread has. Answers whether the journal took it.
    Own(Box<dyn FnOnce(&mut Sequencer) -> bool + Send>),
    /// Finish.
    Close,
}

/// What becomes of the events of one call.
pub(crate) type Appended = Result<Vec<Receipt>, Refused>;

/// Why the events of one call are not in the log.
#[derive(Clone)]
pub(crate) struct Refused {
    /// Which of them is wrong, where one of them is.
    pub(crate) index: Option<usize>,
    pub(crate) error: Error,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { index: None, error }
    }
}

/// An event from an inbox.
pub(crate) struct InboxRow {
    /// Keyed digest of what stood there.
    pub(crate) digest: String,
    pub(crate) event: Prepared,
}

/// Where an event is, or will be with this batch: then the size of the tree is not known yet.
struct Place {
    seq: u64,
    timestamp: i64,
    tree_size: Option<u64>,
    /// It was there before, or stands earlier in this batch.
    existed: bool,
    /// Its body was removed.
    removed: bool,
}

fn receipt(event: Prepared, place: &Place, size: u64) -> Receipt {
    Receipt {
        id: event.id,
        seq: place.seq,
        timestamp: place.timestamp,
        tree_size: place.tree_size.unwrap_or(size),
        existed: place.existed,
        removed: place.removed,
    }
}

/// What a batch makes of one part of it: the place of each of its events, or what is wrong with one.
type Answer = Result<Vec<Place>, Refused>;

/// The thread's state.
pub(crate) struct Sequencer {
    pub(crate) journal: Box<dyn Journal>,
    pub(crate) key: SigningKey,
    pub(crate) key_source: KeySource,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) current: Arc<Current>,
    pub(crate) anchor: Option<Anchor>,
    /// Events sampled away that are not stored yet.
    pub(crate) sampled: Arc<Sampled>,
    pub(crate) index: Arc<Index>,
    pub(crate) meter: Arc<Meter>,
    /// Told the log's size after each commit.
    pub(crate) size: watch::Sender<u64>,
}

impl Sequencer {
    /// Works until it is asked to close or nobody can ask any more.
    ///
    /// Who waits for the thread's end finds the journal closed: all that it holds is gone by then.
    pub(crate) fn run(mut self, mut queue: mpsc::UnboundedReceiver<Request>) -> Result<()> {
        let mut batch = Vec::new();
        let mut answered = 0;
        while let Some(first) = queue.blocking_recv() {
            let task = gather(first, &mut queue, &mut batch, answered);
            answered = batch.len();
            let mut works = self.answer(&mut batch);
            match task {
                Some(Task::Rotate { policy, reply }) => {
                    let rotated = self.rotate(&policy);
                    works = rotated.is_ok();
                    let _ = reply.send(rotated);
                }
                Some(Task::Own(work)) => works = work(&mut self),
                Some(Task::Close) => break,
                None => {}
            }
            // Packing only saves space: what keeps it from working now keeps the next batch from
            // working too, and is reported there. After a batch that failed it would only wait once more
            // for the same lock.
            if works {
                let _ = self.journal.pack();
            }
        }
        self.finish()
    }

    /// Commits a batch and answers each part of it. Answers whether the journal took it.
    fn answer(&mut self, batch: &mut Vec<Work>) -> bool {
        if batch.is_empty() {
            return true;
        }
        self.meter.begin();
        let committed = loop {
            match self.commit(batch) {
                Err(_) if self.journal.try_again() => {}
                committed => break committed,
            }
        };
        let (size, answers) = match committed {
            Ok((size, added, answers)) => {
                self.meter.end(Some(added));
                (size, answers)
            }
            Err(error) => {
                self.meter.end(None);
                for work in batch.drain(..) {
                    match work {
                        Work::Append { reply, .. } => drop(reply.send(Err(error.clone().into()))),
                        Work::Drain { reply, .. } => drop(reply.send(Err(error.clone()))),
                        Work::Inbox { reply, .. } => drop(reply.send(Err(error.clone()))),
                        Work::Count => {}
                    }
                }
                return false;
            }
        };
        for (work, answer) in batch.drain(..).zip(answers) {
            match work {
                // A caller that no longer waits has dropped its end.
                Work::Append { events, reply, room } => {
                    drop(room);
                    let receipts = answer.map(|places| {
                        events.into_iter().zip(places).map(|(event, place)| receipt(event, &place, size)).collect()
                    });
                    let _ = reply.send(receipts);
                }
                Work::Drain { reply, .. } => {
                    let _ = reply.send(answer.map(drop).map_err(|refused| refused.error));
                }
                Work::Inbox { sorted, reply } => {
                    // Counted once the rows cannot come again.
                    self.sampled.add(sorted.sampled);
                    let rows = (sorted.rows.len() + sorted.rejected.len() + sorted.sampled) as u64;
                    let _ = reply.send(answer.map(|_| rows).map_err(|refused| refused.error));
                }
                Work::Count => {}
            }
        }
        true
    }

    /// One batch: the log's size afterwards, how many events it added, and an answer for each part of it.
    fn commit(&mut self, batch: &mut [Work]) -> Result<(u64, u64, Vec<Answer>)> {
        let mut transaction = self.journal.begin()?;
        let head = transaction.head()?;
        let signer = adopt_key(&mut self.key, &self.key_source, &head)?;
        let now_ms = self.clock.now_ms();
        let policy = self.current.refresh(head.settings, &mut *transaction.snapshot())?.policy.clone();

        let removed = head.removal.map(|_| &*policy);
        let mut plan = Plan { first_seq: head.checkpoint.size, removed, ..Plan::default() };
        let mut answers = Vec::with_capacity(batch.len());
        let mut has_drained = false;
        for work in &mut *batch {
            if let Work::Inbox { sorted, .. } = work {
                let found = transaction.drain()?;
                has_drained |= found.is_some();
                *sorted = sort_out(&policy, found.unwrap_or_default(), now_ms);
            }
        }
        plan.look_up(&mut *transaction, batch)?;
        for work in batch {
            match work {
                Work::Append { events, .. } => {
                    let mut renewed = events.iter_mut().map(|event| policy.renew(event, now_ms)).enumerate();
                    let wrong = renewed.find_map(|(index, result)| Some((index, result.err()?)));
                    answers.push(match wrong {
                        Some((index, error)) => Err(Refused { index: Some(index), error }),
                        None => plan.all_or_none(events)?,
                    });
                }
                Work::Drain { rows, rejected, .. } | Work::Inbox { sorted: Sorted { rows, rejected, .. }, .. } => {
                    plan.rejected.extend_from_slice(rejected);
                    for row in rows {
                        let planned = match policy.renew(&mut row.event, now_ms) {
                            Ok(()) => plan.one(&row.event)?,
                            Err(error) => Err(error),
                        };
                        if let Err(error) = planned {
                            let copy = serde_json::from_slice(row.event.sealable.unsealed()).ok();
                            plan.rejected.push(Rejected::new(&row.event.id, &row.digest, now_ms, &error, copy));
                        }
                    }
                    answers.push(Ok(Vec::new()));
                }
                Work::Count => answers.push(Ok(Vec::new())),
            }
        }
        if plan.fresh.is_empty() && plan.rejected.is_empty() && self.sampled.is_empty() && !has_drained {
            drop(transaction);
            let size = head.checkpoint.size;
            self.publish(Stored { size, ..Stored::default() }, now_ms, false);
            return Ok((size, 0, answers));
        }

        let mut bodies = Vec::new();
        let stored = self.sampled.store(|sampled| {
            let contents =
                Contents { events: &plan.fresh, next_vkey: None, rejected: &plan.rejected, sampled, state: &[] };
            let sign = |size, root: &Hash| signer.sign_checkpoint(size, root);
            seal_and_store(transaction, &head, &contents, now_ms, &*self.clock, &mut bodies, sign)
        })?;
        let size = stored.size;
        self.show(head.checkpoint.size, &plan.fresh, &stored.ends, bodies);
        self.publish(stored, now_ms, false);
        Ok((size, plan.fresh.len() as u64, answers))
    }

    /// Does something of the log's own under the write lock, with what it logs, all in one transaction. `who` is
    /// named in what it logs.
    pub(crate) fn own<T>(
        &mut self,
        who: &Event,
        work: impl FnOnce(&mut OwnWork<'_>) -> Result<T>,
    ) -> Result<(T, Vec<Receipt>)> {
        let mut transaction = self.journal.begin()?;
        let head = transaction.head()?;
        let signer = adopt_key(&mut self.key, &self.key_source, &head)?;
        let now_ms = self.clock.now_ms();
        let current = self.current.refresh(head.settings, &mut *transaction.snapshot())?;
        let mut own = OwnWork {
            transaction: &mut *transaction,
            current,
            clock: &*self.clock,
            now_ms,
            who,
            events: Vec::new(),
            state: Vec::new(),
        };
        let done = work(&mut own)?;
        let (events, state) = (own.events, own.state);
        if events.is_empty() && state.is_empty() {
            return Ok((done, Vec::new()));
        }
        let events: Vec<_> = events.iter().collect();
        let mut bodies = Vec::new();
        let contents = Contents { events: &events, next_vkey: None, rejected: &[], sampled: 0, state: &state };
        let sign = |size, root: &Hash| signer.sign_checkpoint(size, root);
        let stored = seal_and_store(transaction, &head, &contents, now_ms, &*self.clock, &mut bodies, sign)?;
        let size = stored.size;
        self.show(head.checkpoint.size, &events, &stored.ends, bodies);
        self.publish(stored, now_ms, false);
        let is_settings = |event: &&Prepared| event.facts.text(Key::Action) == Some(SETTINGS_CHANGED);
        if events.iter().any(is_settings)
            && let Ok(mut transaction) = self.journal.begin()
            && let Ok(head) = transaction.head()
        {
            // Who fails here learns of the change with the next batch.
            let _ = self.current.refresh(head.settings, &mut *transaction.snapshot());
        }
        let place = |(seq, event): (u64, &&Prepared)| {
            let place = Place { seq, timestamp: event.timestamp, tree_size: None, existed: false, removed: false };
            receipt((*event).clone(), &place, size)
        };
        Ok((done, (head.checkpoint.size..).zip(&events).map(place).collect()))
    }

    /// Puts what was committed into the index's tail, so that it is visible before it is acknowledged.
    /// `ends` says where in `bodies` each event's ends.
    fn show(&self, first_seq: u64, events: &[&Prepared], ends: &[usize], bodies: Vec<u8>) {
        let bodies = Arc::new(bodies);
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let entries = events
            .iter()
            .zip(starts.zip(ends))
            .map(|(event, (start, end))| TailEntry::new(event.facts.clone(), bodies.clone(), start..*end));
        self.index.feed(first_seq, entries.collect());
    }

    /// Tells those who wait, and the anchor, what was stored.
    fn publish(&mut self, stored: Stored, now_ms: i64, at_once: bool) {
        let size = stored.size;
        self.size.send_if_modified(|known| std::mem::replace(known, size.max(*known)) < size);
        if let (Some(anchor), Some(note)) = (&mut self.anchor, stored.note) {
            anchor.offer(note, now_ms, at_once);
        }
    }

    /// Lets the old key sign the event that names the new one, and signs with the new one from then on.
    ///
    /// All of it under the write lock: of two that rotate at once, the second must find the first one's
    /// key in the file, or it would overwrite it. And it is the log that says which key is the old one:
    /// a rotation that failed may have left others in the file.
    fn rotate(&mut self, policy: &Compiled) -> Result<String> {
        let mut transaction = self.journal.begin()?;
        let head = transaction.head()?;
        let kept = self.key_source.load()?;
        if kept.as_ref().is_some_and(|kept| kept.secret() != self.key.secret()) {
            return Err(wrong_secret(&self.key_source));
        }
        let kept = kept.and_then(|key| key.with_newest(&head.vkey));
        let key = kept.ok_or_else(|| wrong_key(&self.key_source, &head.vkey))?.rotated(&*self.clock)?;
        // First the file: whatever happens afterwards, it holds the key that the log asks for.
        self.key_source.save(&key)?;
        let vkey = key.vkey().to_owned();
        let event = Event::new(KEY_ROTATED).metadata(serde_json::json!({"oldVkey": head.vkey, "newVkey": vkey}));
        let event = policy.apply_own(event, self.clock.now_ms(), || new_id(&*self.clock))?;
        let old = key.signer_for(&head.vkey).ok_or_else(|| wrong_key(&self.key_source, &head.vkey))?;
        let now_ms = self.clock.now_ms();
        let contents = Contents { events: &[&event], next_vkey: Some(&vkey), rejected: &[], sampled: 0, state: &[] };
        let sign = |size, root: &Hash| key.sign_handover(old, size, root);
        let stored = seal_and_store(transaction, &head, &contents, now_ms, &*self.clock, &mut Vec::new(), sign)?;
        self.key = key;
        // A change of keys is worth a line elsewhere at once.
        self.publish(stored, now_ms, true);
        Ok(vkey)
    }

    fn finish(&mut self) -> Result<()> {
        if !self.sampled.is_empty() {
            self.answer(&mut vec![Work::Count]);
        }
        self.anchor.take().map_or(Ok(()), Anchor::close)
    }
}

/// What the log itself does under the write lock.
pub(crate) struct OwnWork<'w> {
    pub(crate) transaction: &'w mut dyn Transaction,
    pub(crate) current: Arc<Effective>,
    pub(crate) clock: &'w dyn Clock,
    pub(crate) now_ms: i64,
    who: &'w Event,
    events: Vec<Prepared>,
    /// Small numbers to store, no evidence.
    pub(crate) state: Vec<(&'static str, i64)>,
}

impl OwnWork<'_> {
    /// Logs an event of the log's own, with who is behind it.
    pub(crate) fn log(&mut self, event: Event) -> Result<()> {
        let event = named(event, self.who);
        let prepared = self.current.policy.apply_own(event, self.now_ms, || new_id(self.clock))?;
        self.events.push(prepared);
        Ok(())
    }

    /// Logs an event whose id says what it is, unless it is in the log or was removed from it.
    pub(crate) fn log_once(&mut self, event: Event) -> Result<()> {
        let id = event.id.clone().unwrap_or_default();
        let known = self.transaction.find(&id)?.is_some()
            || self.transaction.find(&self.current.policy.removed_id(&id))?.is_some()
            || self.events.iter().any(|event| event.id == id);
        if known { Ok(()) } else { self.log(event) }
    }
}

/// An event of the log's own, in which `who` is behind it.
pub(crate) fn named(mut event: Event, who: &Event) -> Event {
    for (field, of) in [
        (&mut event.actor_id, &who.actor_id),
        (&mut event.actor_type, &who.actor_type),
        (&mut event.actor_name, &who.actor_name),
        (&mut event.on_behalf_of, &who.on_behalf_of),
        (&mut event.ip_address, &who.ip_address),
        (&mut event.user_agent, &who.user_agent),
        (&mut event.session_id, &who.session_id),
        (&mut event.request_id, &who.request_id),
        (&mut event.tenant, &who.tenant),
    ] {
        if field.is_none() {
            field.clone_from(of);
        }
    }
    event
}

/// Gathers what is waiting into `batch`. Answers the task that must come after it, if there is one.
///
/// Callers who were `answered` together come back one by one. Without a moment's patience the first of
/// them would get a batch of its own, and the others would wait for that. So as long as some keep
/// coming, the thread steps aside for as many as there were; a lone caller never waits.
fn gather(
    first: Request,
    queue: &mut mpsc::UnboundedReceiver<Request>,
    batch: &mut Vec<Work>,
    answered: usize,
) -> Option<Task> {
    let (mut events, mut bytes) = (0, 0);
    let mut next = Some(first);
    while let Some(request) = next {
        let work = match request {
            Request::Batched(work) => work,
            Request::Alone(task) => return Some(task),
        };
        match &work {
            Work::Append { events: list, .. } => {
                events += list.len();
                bytes += list.iter().map(Prepared::max_len).sum::<usize>();
            }
            Work::Drain { rows, .. } => {
                events += rows.len();
                bytes += rows.iter().map(|row| row.event.max_len()).sum::<usize>();
            }
            Work::Inbox { .. } | Work::Count => {}
        }
        batch.push(work);
        if events >= MAX_BATCH_EVENTS || bytes >= MAX_BATCH_BYTES {
            return None;
        }
        next = queue.try_recv().ok();
        let mut yields = 0;
        while next.is_none() && batch.len() < answered && yields < PATIENCE_YIELDS {
            yields += 1;
            std::thread::yield_now();
            next = queue.try_recv().ok();
        }
    }
    None
}

/// The key that signs the next checkpoint, taken from the key file where another process has changed it.
fn adopt_key<'a>(key: &'a mut SigningKey, source: &KeySource, head: &Head) -> Result<&'a tree::Signer> {
    if key.signer_for(&head.vkey).is_none()
        && let Some(reloaded) = source.load()?.filter(|key| key.signer_for(&head.vkey).is_some())
    {
        if reloaded.secret() != key.secret() {
            return Err(wrong_secret(source));
        }
        *key = reloaded;
    }
    key.signer_for(&head.vkey).ok_or_else(|| wrong_key(source, &head.vkey))
}

pub(crate) fn wrong_key(source: &KeySource, vkey: &str) -> Error {
    Error::new(
        ErrorKind::Key,
        format!(
            "the log is signed by {vkey}, and {} does not hold that key; open the log with its own",
            source.describe()
        ),
    )
}

/// With another secret the same event, sent again, would be another one.
pub(crate) fn wrong_secret(source: &KeySource) -> Error {
    Error::new(
        ErrorKind::Key,
        format!(
            "{} signs for the log, but its `secret` is not the one that the log began with; put the original line back",
            source.describe()
        ),
    )
}

/// Which events of a batch are new, and what is known of the others.
#[derive(Default)]
struct Plan<'a> {
    first_seq: u64,
    /// What knows events that were removed, where some were.
    removed: Option<&'a Compiled>,
    fresh: Vec<&'a Prepared>,
    /// Where in `fresh` an id that a caller chose stands.
    chosen: HashMap<&'a str, usize>,
    rejected: Vec<Rejected>,
    /// What was found of ids, all at once.
    known: HashMap<String, Result<Option<Entry>>>,
}

impl<'a> Plan<'a> {
    /// Looks for the ids that callers chose, all at once: a journal may be far away.
    fn look_up(&mut self, transaction: &mut dyn Transaction, batch: &[Work]) -> Result<()> {
        let events = batch.iter().flat_map(|work| -> Vec<&Prepared> {
            match work {
                Work::Append { events, .. } => events.iter().collect(),
                Work::Drain { rows, .. } | Work::Inbox { sorted: Sorted { rows, .. }, .. } => {
                    rows.iter().map(|row| &row.event).collect()
                }
                Work::Count => Vec::new(),
            }
        });
        let chosen = events.filter(|event| event.digest.is_some());
        let mut ids = Vec::new();
        for event in chosen {
            ids.extend(self.removed.map(|policy| policy.removed_id(&event.id)));
            ids.push(event.id.clone());
        }
        if ids.is_empty() {
            return Ok(());
        }
        let found = transaction.snapshot().find_all(&ids.iter().map(String::as_str).collect::<Vec<_>>())?;
        self.known = ids.into_iter().zip(found).collect();
        Ok(())
    }

    /// Plans a caller's events. The outer error is the journal's, the inner one the caller's.
    fn all_or_none(&mut self, events: &'a [Prepared]) -> Result<Answer> {
        let mark = self.fresh.len();
        let mut places = Vec::with_capacity(events.len());
        for (index, event) in events.iter().enumerate() {
            match self.one(event)? {
                Ok(place) => places.push(place),
                Err(error) => {
                    self.fresh.truncate(mark);
                    self.chosen.retain(|_, place| *place < mark);
                    return Ok(Err(Refused { index: Some(index), error }));
                }
            }
        }
        Ok(Ok(places))
    }

    /// Plans one event.
    fn one(&mut self, event: &'a Prepared) -> Result<Result<Place>> {
        // An id that the log has just drawn is nobody else's.
        if let Some(digest) = event.digest {
            if let Some(&index) = self.chosen.get(&*event.id) {
                let seq = self.first_seq + index as u64;
                if self.fresh[index].digest != Some(digest) {
                    return Ok(Err(conflict(&event.id, seq)));
                }
                return Ok(Ok(Place {
                    seq,
                    timestamp: self.fresh[index].timestamp,
                    tree_size: None,
                    existed: true,
                    removed: false,
                }));
            }
            let known = |id: &str| self.known.get(id).cloned().unwrap_or(Ok(None));
            let found = match known(&event.id) {
                // Damage to one event is no reason to refuse the others of the batch.
                Err(error) => return Ok(Err(error)),
                Ok(found) => found,
            };
            let found = match (found, self.removed) {
                (None, Some(policy)) => known(&policy.removed_id(&event.id))?,
                (found, _) => found,
            };
            if let Some(Entry { seq, tree_size, digest: known, timestamp, removed }) = found {
                // Nothing is known any more of what was removed.
                if known != Some(digest) && !removed {
                    return Ok(Err(conflict(&event.id, seq)));
                }
                return Ok(Ok(Place { seq, timestamp, tree_size: Some(tree_size), existed: true, removed }));
            }
            self.chosen.insert(&event.id, self.fresh.len());
        }
        let seq = self.first_seq + self.fresh.len() as u64;
        self.fresh.push(event);
        Ok(Ok(Place { seq, timestamp: event.timestamp, tree_size: None, existed: false, removed: false }))
    }
}

fn conflict(id: &str, seq: u64) -> Error {
    Error::field(
        ErrorKind::IdConflict,
        "/id",
        format!(
            "the id {id:?} belongs to another event, at seq {seq}; an id may be sent again only with the same event"
        ),
    )
}
