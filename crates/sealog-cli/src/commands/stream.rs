//! `sealog log -`: events from standard input, receipts to standard output.

use std::collections::VecDeque;
use std::io;

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use sealog::{AuditLog, Event};
use tokio::sync::mpsc;

use super::budget::{Budget, Room};
use super::is_of_the_event;
use super::lines::{BadLines, OnError, Reason};
use super::log::receipt;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::{Output, Telling};
use crate::sources::{self, Place, Records};

/// How many events may wait for their acknowledgement: enough that each commit takes many.
const MAX_IN_FLIGHT: usize = 1_024;

const NAME: &str = "standard input";

type Line = Result<(Place, Result<Event, String>, Room), io::Error>;

/// Logs each line, in order, and prints each receipt when its event is acknowledged. Where nobody reads the
/// receipts any more, the lines are logged all the same.
pub(super) async fn run(log: &AuditLog, out: Output, on_error: OnError, interrupt: &Interrupt) -> Result<(), Failure> {
    let mut bad = BadLines::new(out, on_error);
    let mut lines = Some(read_lines()?);
    let mut in_flight = FuturesOrdered::new();
    let mut failure = None;
    let mut telling = Telling::default();
    while lines.is_some() || !in_flight.is_empty() {
        tokio::select! {
            biased;
            Some(first) = in_flight.next(), if !in_flight.is_empty() => {
                // All that one commit acknowledged, in one write.
                let mut done = VecDeque::from([first]);
                while let Some(Some(next)) = in_flight.next().now_or_never() {
                    done.push_back(next);
                }
                let mut receipts = String::new();
                for (place, result) in done {
                    match result {
                        Ok(logged) => receipts.push_str(&receipt(&logged, out)),
                        Err(error) if is_of_the_event(&error) => bad.report(NAME, place, &Reason::Refused(error)),
                        // The log itself failed: what follows would fare no better.
                        Err(error) => failure = failure.or(Some(Failure::Log(error))),
                    }
                }
                telling.write(&receipts);
            }
            line = async { lines.as_mut().expect("polled only while there is one").recv().await },
                if lines.is_some() && in_flight.len() < MAX_IN_FLIGHT =>
            {
                match line {
                    Some(Ok((place, Ok(event), room))) => {
                        in_flight.push_back(async move {
                            let logged = log.log(event).await;
                            drop(room);
                            (place, logged)
                        });
                    }
                    Some(Ok((place, Err(reason), _))) => bad.report(NAME, place, &Reason::Unreadable(reason)),
                    Some(Err(error)) => failure = Some(Failure::unreadable(NAME, &error)),
                    None => lines = None,
                }
            }
            // What was read is still acknowledged.
            () = interrupt.pressed(), if lines.is_some() => lines = None,
        }
        // Asked again here: while lines keep coming, nobody waits for the press.
        if bad.must_stop() || failure.is_some() || interrupt.is_pressed() {
            lines = None;
        }
    }
    match failure {
        Some(failure) => Err(failure),
        None if interrupt.is_pressed() => Err(Failure::Interrupted),
        None => bad.result().and_then(|()| telling.result()),
    }
}

/// Reads on a thread of its own, which may wait for input for ever without holding up the rest.
fn read_lines() -> Result<mpsc::Receiver<Line>, Failure> {
    let (sender, receiver) = mpsc::channel(MAX_IN_FLIGHT);
    let budget = Budget::new();
    let thread = std::thread::Builder::new().spawn(move || {
        let records = match Records::new(io::stdin()) {
            Ok(records) => records,
            Err(error) => {
                let _ = sender.blocking_send(Err(error));
                return;
            }
        };
        for record in records {
            let line = match record {
                Ok(record) => {
                    let Some(room) = budget.take(record.weight) else { return };
                    Ok((record.place, record.value.and_then(sources::event), room))
                }
                Err(error) => Err(error),
            };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    thread.map_err(|error| Failure::File(format!("cannot start a thread: {error}")))?;
    Ok(receiver)
}
