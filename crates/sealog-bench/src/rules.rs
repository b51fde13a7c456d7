//! `sealog-bench rules`: what rules that are evaluated as events arrive add to taking events in.

use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::ingest::contest;
use crate::input::Input;
use crate::machine::Machine;
use crate::peers::{BATCH_EVENTS, Contestant as _, Sealog};
use crate::report::{Hold, Report};

/// Events at scale 1.
const EVENTS: f64 = 200_000.0;
/// After this long a round stops in its middle, which none should.
const BUDGET: Duration = Duration::from_mins(1);

/// Takes events in below `dir`, with the built-in rules saved and without any, in turn.
pub(crate) fn run(source: &str, scale: f64, dir: &Path) -> Result<Report> {
    let input = Input::load(source, ((EVENTS * scale) as usize).max(BATCH_EVENTS))?;
    let machine = Machine::look(dir)?;
    let (with, without) = (Sealog { full_text: true, rules: true }, Sealog { full_text: true, rules: false });
    let section = contest("batches of 1,000", &[(&with, BUDGET), (&without, BUDGET)], &input.events, dir)?;
    // Both until all events are in the index and seen by the rules, and the log is closed.
    let slower = 1.0 / section.speed_over(without.name());
    let holds = vec![Hold::at_most("time with the built-in rules over none", slower, 1.10)];
    Ok(Report { benchmark: "rules", machine, input, sections: vec![section], holds })
}
