//! The reading half of `import`: a thread that reads a file, maps its records and hands over batches.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use indicatif::ProgressBar;
use sealog::{AuditLog, Event};
use serde_json::Value;
use tokio::sync::mpsc;

use super::budget::{Budget, Room};
use super::{is_stdin, name_of};
use crate::failure::Failure;
use crate::sources::{Format, Place, Records, Repeats};

/// How many events are written in one transaction.
const BATCH_EVENTS: usize = 1_000;
/// A batch is sent early past so much weight, so that large records stay few in memory.
const BATCH_WEIGHT: usize = 16 * 1024 * 1024;

/// Events, each with its place in the file.
pub(super) type Batch = Vec<(Place, Event)>;

/// What the thread has to say.
pub(super) enum Step {
    /// The format, once it is known.
    Is(Format),
    /// Events, in the order of the file, and the room that they take.
    Batch(Batch, Room),
    /// A record that is no event.
    Bad(Place, String),
    /// Reading cannot go on.
    Failed(Failure),
}

/// A file that is being read.
pub(super) struct Intake {
    pub(super) name: String,
    pub(super) steps: mpsc::Receiver<Step>,
}

impl Intake {
    /// Begins to read the file, on a thread of its own. At most two batches are held ahead of who takes them,
    /// and no more than the budget has room for.
    pub(super) fn open(
        path: &Path,
        format: Option<Format>,
        log: AuditLog,
        bar: &ProgressBar,
        budget: Budget,
        stop_at_bad: bool,
    ) -> Result<Self, Failure> {
        let name = name_of(path);
        let (sender, steps) = mpsc::channel(2);
        let (batch, weight) = (Batch::new(), 0);
        let reader = Reader { name: name.clone(), format, log, sender, stop_at_bad, budget, batch, weight };
        let (path, bar) = (path.to_owned(), bar.clone());
        let thread = std::thread::Builder::new().spawn(move || reader.run(&path, &bar));
        thread.map_err(|error| Failure::File(format!("cannot start a thread: {error}")))?;
        Ok(Self { name, steps })
    }
}

struct Reader {
    name: String,
    format: Option<Format>,
    log: AuditLog,
    sender: mpsc::Sender<Step>,
    stop_at_bad: bool,
    budget: Budget,
    /// What was read and is not sent yet, and its weight.
    batch: Batch,
    weight: usize,
}

/// Nobody takes any more, or reading failed and that was said.
struct Ended;

impl Reader {
    fn run(mut self, path: &Path, bar: &ProgressBar) {
        // Why it ended was sent, where there was somebody to send it to.
        let _: Result<(), Ended> = self.read(path, bar);
    }

    fn send(&self, step: Step) -> Result<(), Ended> {
        self.sender.blocking_send(step).map_err(|_| Ended)
    }

    /// Sends what was gathered, once there is room for it.
    fn flush(&mut self) -> Result<(), Ended> {
        let room = self.budget.take(std::mem::take(&mut self.weight)).ok_or(Ended)?;
        let batch = std::mem::take(&mut self.batch);
        self.send(Step::Batch(batch, room))
    }

    fn fail(&self, failure: Failure) -> Ended {
        let _ = self.send(Step::Failed(failure));
        Ended
    }

    fn unreadable(&self, error: &io::Error) -> Ended {
        self.fail(Failure::unreadable(&self.name, error))
    }

    fn read(&mut self, path: &Path, bar: &ProgressBar) -> Result<(), Ended> {
        let raw: Box<dyn Read + Send> = if is_stdin(path) {
            Box::new(io::stdin())
        } else {
            // Here, since a pipe opens when somebody writes to it.
            Box::new(bar.wrap_read(File::open(path).map_err(|error| self.unreadable(&error))?))
        };
        let records = Records::new(raw).map_err(|error| self.unreadable(&error))?;
        let mut repeats = Repeats::default();
        for record in records {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    // What was read before the damage is good.
                    self.flush()?;
                    return Err(self.unreadable(&error));
                }
            };
            let event = match record.value {
                Ok(value) => {
                    let format = self.format_of(&value)?;
                    format.map(value)
                }
                Err(reason) => Err(reason),
            };
            match event {
                Ok(event) => {
                    let event = self.with_id(event, record.place, &mut repeats)?;
                    self.weight += record.weight;
                    self.batch.push((record.place, event));
                }
                Err(reason) if self.stop_at_bad => {
                    self.flush()?;
                    return self.send(Step::Bad(record.place, reason));
                }
                Err(reason) => self.send(Step::Bad(record.place, reason))?,
            }
            if self.batch.len() >= BATCH_EVENTS || self.weight >= BATCH_WEIGHT {
                self.flush()?;
            }
        }
        self.flush()
    }

    fn format_of(&mut self, record: &Value) -> Result<Format, Ended> {
        if let Some(format) = self.format {
            return Ok(format);
        }
        let Some(format) = Format::guess(record) else {
            return Err(self.fail(Failure::Usage(format!(
                "cannot tell what {} holds: its first record is neither Sealog's (it would have an action), \
                 CloudTrail's (eventSource and eventName) nor Kubernetes' (auditID); say it with --format",
                self.name
            ))));
        };
        self.format = Some(format);
        self.send(Step::Is(format))?;
        Ok(format)
    }

    /// An event without an id gets one from its content.
    fn with_id(&self, mut event: Event, place: Place, repeats: &mut Repeats) -> Result<Event, Ended> {
        if event.id.is_none() {
            // Written by the same code from the same fields, whatever the order and space in the file.
            let content = serde_json::to_vec(&event).map_err(|error| self.fail(io::Error::from(error).into()))?;
            let digest = self.log.keyed_digest(&content).map_err(|error| self.fail(error.into()))?;
            event.id = Some(repeats.id(&digest, place.number()));
        }
        Ok(event)
    }
}
