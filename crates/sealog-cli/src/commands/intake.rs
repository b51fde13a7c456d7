//! The reading half of `import`: a thread that reads a file, maps its records and hands over batches.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use indicatif::ProgressBar;
use sealog::{AuditLog, Event};
use serde_json::Value;
use tokio::sync::mpsc;

use super::{is_stdin, name_of};
use crate::failure::Failure;
use crate::sources::{Format, Place, Records, Repeats};

/// How many events are written in one transaction.
const BATCH_EVENTS: usize = 1_000;
/// A batch is sent early past so many bytes of its file, so that large records stay few in memory.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// What the thread has to say.
pub(super) enum Step {
    /// The format, once it is known.
    Is(Format),
    /// Events, in the order of the file.
    Batch(Vec<(Place, Event)>),
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
    /// Opens the file and begins to read. At most two batches are held ahead of who takes them.
    pub(super) fn open(
        path: &Path,
        format: Option<Format>,
        log: AuditLog,
        bar: &ProgressBar,
        stop_at_bad: bool,
    ) -> Result<Self, Failure> {
        let name = name_of(path);
        let raw: Box<dyn Read + Send> = if is_stdin(path) {
            Box::new(io::stdin())
        } else {
            let file = File::open(path).map_err(|error| Failure::unreadable(&name, &error))?;
            Box::new(bar.wrap_read(file))
        };
        let (sender, steps) = mpsc::channel(2);
        let reader = Reader { name: name.clone(), format, log, sender, stop_at_bad };
        std::thread::spawn(move || reader.run(raw));
        Ok(Self { name, steps })
    }
}

struct Reader {
    name: String,
    format: Option<Format>,
    log: AuditLog,
    sender: mpsc::Sender<Step>,
    stop_at_bad: bool,
}

/// Nobody takes any more, or reading failed and that was said.
struct Ended;

impl Reader {
    fn run(mut self, raw: Box<dyn Read + Send>) {
        // Why it ended was sent, where there was somebody to send it to.
        let _: Result<(), Ended> = self.read(raw);
    }

    fn send(&self, step: Step) -> Result<(), Ended> {
        self.sender.blocking_send(step).map_err(|_| Ended)
    }

    fn fail(&self, failure: Failure) -> Ended {
        let _ = self.send(Step::Failed(failure));
        Ended
    }

    fn read(&mut self, raw: Box<dyn Read + Send>) -> Result<(), Ended> {
        let records = Records::new(raw).map_err(|error| self.fail(Failure::unreadable(&self.name, &error)))?;
        let mut repeats = Repeats::default();
        let mut batch = Vec::new();
        let mut bytes = 0;
        for record in records {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    // What was read before the damage is good.
                    self.send(Step::Batch(batch))?;
                    return Err(self.fail(Failure::unreadable(&self.name, &error)));
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
                    bytes += record.bytes;
                    batch.push((record.place, event));
                }
                Err(reason) if self.stop_at_bad => {
                    self.send(Step::Batch(batch))?;
                    return self.send(Step::Bad(record.place, reason));
                }
                Err(reason) => self.send(Step::Bad(record.place, reason))?,
            }
            if batch.len() >= BATCH_EVENTS || bytes >= BATCH_BYTES {
                self.send(Step::Batch(std::mem::take(&mut batch)))?;
                bytes = 0;
            }
        }
        self.send(Step::Batch(batch))
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
