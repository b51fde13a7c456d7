//! The report: a table for people, one JSON document for scripts.

use std::fmt;

use sealog_cli::count;
use serde::Serialize;

use crate::input::Input;
use crate::machine::Machine;
use crate::measure::{Run, median};

/// What a benchmark found, and what of it must be so.
pub(crate) trait Holds: Serialize + fmt::Display {
    fn holds(&self) -> &[Hold];
}

/// All of one benchmark.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) benchmark: &'static str,
    pub(crate) machine: Machine,
    pub(crate) input: Input,
    pub(crate) sections: Vec<Section>,
    pub(crate) holds: Vec<Hold>,
}

impl Holds for Report {
    fn holds(&self) -> &[Hold] {
        &self.holds
    }
}

/// The contestants at one kind of work; ours is the first.
#[derive(Debug, Serialize)]
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) contestants: Vec<Figures>,
}

/// What one contestant did: the median of its rounds, but for the events of all of them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figures {
    pub(crate) name: &'static str,
    events: u64,
    seconds: f64,
    pub(crate) events_per_second: f64,
    /// All files, write-ahead log included, before closing.
    pub(crate) bytes_per_event: f64,
    closed_bytes_per_event: f64,
    /// Each round's, in the order they were run.
    rounds_events_per_second: Vec<f64>,
    ratios: Ratios,
}

/// Ours over this contestant's.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Ratios {
    events_per_second: f64,
    bytes_per_event: f64,
}

impl Figures {
    pub(crate) fn of(name: &'static str, runs: &[Run]) -> Self {
        Self {
            name,
            events: median(runs.iter().map(|run| run.events).collect()),
            seconds: median(runs.iter().map(|run| run.elapsed.as_secs_f64()).collect()),
            events_per_second: median(runs.iter().map(Run::events_per_second).collect()),
            bytes_per_event: median(runs.iter().map(Run::bytes_per_event).collect()),
            closed_bytes_per_event: median(runs.iter().map(Run::closed_bytes_per_event).collect()),
            rounds_events_per_second: runs.iter().map(Run::events_per_second).collect(),
            ratios: Ratios::default(),
        }
    }
}

impl Section {
    pub(crate) fn new(name: &'static str, mut contestants: Vec<Figures>) -> Self {
        if let Some(ours) = contestants.first() {
            // The index goes on to be written behind the acknowledgements: the larger of both counts.
            let bytes = |figures: &Figures| figures.bytes_per_event.max(figures.closed_bytes_per_event);
            let (speed, our_bytes) = (ours.events_per_second, bytes(ours));
            for figures in &mut contestants {
                figures.ratios = Ratios {
                    events_per_second: speed / figures.events_per_second,
                    bytes_per_event: our_bytes / bytes(figures),
                };
            }
        }
        Self { name, contestants }
    }

    /// Our events a second over those of the contestant called `name`.
    pub(crate) fn speed_over(&self, name: &str) -> f64 {
        self.ratios(name).events_per_second
    }

    /// Our bytes an event over those of the contestant called `name`.
    pub(crate) fn bytes_over(&self, name: &str) -> f64 {
        self.ratios(name).bytes_per_event
    }

    fn ratios(&self, name: &str) -> &Ratios {
        &self.contestants.iter().find(|figures| figures.name == name).expect("a contestant of this section").ratios
    }
}

/// Whether a hold is a floor or a ceiling.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
enum Bound {
    AtLeast,
    AtMost,
}

/// One number that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
}

/// What must be so.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "scripts read the bound under the name `hold`")]
pub(crate) struct Hold {
    name: &'static str,
    value: f64,
    hold: f64,
    bound: Bound,
    ok: bool,
}

impl Hold {
    pub(crate) fn at_least(name: &'static str, value: f64, hold: f64) -> Self {
        Self { name, value, hold, bound: Bound::AtLeast, ok: value >= hold }
    }

    pub(crate) fn is_ok(&self) -> bool {
        self.ok
    }

    pub(crate) fn at_most(name: &'static str, value: f64, hold: f64) -> Self {
        Self { name, value, hold, bound: Bound::AtMost, ok: value <= hold }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, hold, bound, ok } = self;
        let (mark, sign) = (if *ok { "ok  " } else { "FAIL" }, if matches!(bound, Bound::AtLeast) { '≥' } else { '≤' });
        write!(f, "{mark} {name}: {value:.2} (hold {sign} {hold})")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "machine  {}", self.machine)?;
        if self.machine.is_volatile() {
            writeln!(f, "         this disk is memory: nothing below was durable (see --dir)")?;
        }
        let (events, bytes) = (self.input.count(), self.input.bytes());
        writeln!(f, "input    {}: {} events, {} bytes", self.input.name(), count(events), count(bytes))?;
        for section in &self.sections {
            writeln!(f, "\n{section}")?;
        }
        writeln!(f)?;
        self.holds.iter().try_for_each(|hold| writeln!(f, "{hold}"))
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<34}{:>9}{:>9}{:>12}{:>10}{:>10}{:>10}{:>10}",
            self.name, "events", "seconds", "events/s", "ours ×", "B/event", "closed", "ours ×"
        )?;
        for figures in &self.contestants {
            write!(
                f,
                "\n{:<34}{:>9}{:>9.2}{:>12}{:>10.2}{:>10.0}{:>10.0}{:>10.2}",
                figures.name,
                count(figures.events),
                figures.seconds,
                count(figures.events_per_second.round() as u64),
                figures.ratios.events_per_second,
                figures.bytes_per_event,
                figures.closed_bytes_per_event,
                figures.ratios.bytes_per_event,
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn run(events: u64, ms: u64, bytes: u64) -> Run {
        Run { events, elapsed: Duration::from_millis(ms), bytes, closed_bytes: bytes }
    }

    #[test]
    fn a_section_compares_medians_with_ours() {
        let ours = Figures::of("ours", &[run(100, 100, 1_000), run(100, 50, 1_000), run(100, 200, 1_000)]);
        let peer = Figures::of("peer", &[run(50, 100, 1_000)]);
        let section = Section::new("batches", vec![ours, peer]);
        assert!((section.speed_over("peer") - 2.0).abs() < 1e-9);
        assert!((section.bytes_over("peer") - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_hold_includes_its_bound() {
        assert!(Hold::at_least("speed", 2.5, 2.5).ok && !Hold::at_least("speed", 2.49, 2.5).ok);
        assert!(Hold::at_most("bytes", 0.45, 0.45).ok && !Hold::at_most("bytes", 0.46, 0.45).ok);
    }
}
