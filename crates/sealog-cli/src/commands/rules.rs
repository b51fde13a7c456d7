//! `sealog rules`

use clap::Args;
use sealog::Rule;

use crate::failure::Failure;
use crate::output::{self, Output};

/// Print the rules that `sealog anomalies` goes by, as JSON to edit and give back
///
/// A rule selects events by a filter, or an action alone, and counts them: for each actor, ipAddress,
/// resource, session or tenant apart where it has groupBy. It finds a threshold of events within a window
/// of windowMs milliseconds, or an hour with more events than the same hour of the weeks before (unusual).
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sealog rules > rules.json
  sealog anomalies --rules rules.json

A rule, with all that it may have:
  {\"name\": \"night-exports\", \"filter\": {\"actions\": [\"record.exported\"], \"actorType\": \"service\"},
   \"groupBy\": \"actor\", \"threshold\": 5, \"windowMs\": 3600000}
  {\"name\": \"busy-tenant\", \"groupBy\": \"tenant\", \"unusual\": {\"sensitivity\": 3.5, \"minWeeks\": 3}}
Sensitivity is how many robust standard deviations above the median an hour must be.")]
pub(crate) struct RulesArgs {}

impl RulesArgs {
    pub(crate) fn run(out: Output) -> Result<(), Failure> {
        let rules = Rule::built_in();
        if out.json {
            return output::document(&rules);
        }
        output::write(&(serde_json::to_string_pretty(&rules).map_err(std::io::Error::from)? + "\n"))
    }
}
