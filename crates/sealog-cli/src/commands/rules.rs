//! `sealog rules`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use sealog::Rule;

use super::anomalies::{read_rules, saved_or_built_in};
use super::changing::Changing;
use super::settings;
use crate::cli::{Shared, finish};
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::render::{self, DIM, GOOD};

/// Print the rules that `sealog anomalies` goes by, as JSON to edit and give back, or save rules in the log
///
/// A rule selects events by a filter, or an action alone, and counts them: for each actor, ipAddress,
/// resource, session or tenant apart where it has groupBy. It finds a threshold of events within a window
/// of windowMs milliseconds, or an hour with more events than the same hour of the weeks before (unusual).
///
/// Printed are the rules that the log has saved, or else the built-in ones. Saved rules are evaluated as events
/// arrive, by whichever program writes the log's index; what they find is logged as sealog.anomaly.detected.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog rules > rules.json
  sealog anomalies --rules rules.json
  sealog rules save rules.json
  sealog rules --built-in | sealog rules save -
  sealog search action:sealog.anomaly.detected

A rule, with all that it may have:
  {\"name\": \"night-exports\", \"filter\": {\"actions\": [\"record.exported\"], \"actorType\": \"service\"},
   \"groupBy\": \"actor\", \"threshold\": 5, \"windowMs\": 3600000}
  {\"name\": \"busy-tenant\", \"groupBy\": \"tenant\", \"unusual\": {\"sensitivity\": 3.5, \"minWeeks\": 3}}
Sensitivity is how many robust standard deviations above the median an hour must be.")]
pub(crate) struct RulesArgs {
    /// The built-in rules, whatever the log has saved
    #[arg(long)]
    built_in: bool,
    #[command(subcommand)]
    command: Option<RulesCommand>,
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// Save rules in the log's settings, in place of those that it has
    #[command(after_help = "\
Examples:
  sealog rules save rules.json --by ada
  sealog rules --built-in | sealog rules save -")]
    Save {
        /// Rules as JSON, in the form that `sealog rules` prints; - is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        changing: Changing,
    },
    /// Take the saved rules out of the settings; nothing is evaluated any more as events arrive
    #[command(after_help = "\
Example:
  sealog rules clear")]
    Clear {
        #[command(flatten)]
        changing: Changing,
    },
}

impl RulesArgs {
    pub(crate) async fn run(self, shared: &Shared, out: Output) -> Result<(), Failure> {
        match self.command {
            Some(_) if self.built_in => {
                Err(Failure::Usage("--built-in is about what is printed; leave it out to save or clear".to_owned()))
            }
            None => print(self.built_in, shared, out).await,
            Some(RulesCommand::Save { file, changing }) => save(&file, &changing, shared, out).await,
            Some(RulesCommand::Clear { changing }) => {
                replace(Vec::new(), &changing, shared, out, "The log has no saved rules any more.\n").await
            }
        }
    }
}

async fn print(built_in: bool, shared: &Shared, out: Output) -> Result<(), Failure> {
    // Before the first event there are rules to look at, and no log yet.
    let (rules, is_saved) = if built_in || shared.is_missing() && !shared.is_explicit.log {
        (Rule::built_in(), false)
    } else {
        saved_or_built_in(&shared.open_to_read().await?).await?
    };
    if out.json {
        return output::document(&rules);
    }
    let which = if is_saved { "the rules that the log has saved" } else { "built-in rules" };
    output::note(&format!("{DIM}These are {which}.{DIM:#}"));
    output::write(&(serde_json::to_string_pretty(&rules).map_err(std::io::Error::from)? + "\n"))
}

async fn save(file: &Path, changing: &Changing, shared: &Shared, out: Output) -> Result<(), Failure> {
    let rules = read_rules(file)?;
    if rules.is_empty() {
        return Err(Failure::Usage(
            "these are no rules; `sealog rules clear` takes out those that are saved".to_owned(),
        ));
    }
    let count = render::counted(rules.len() as u64, "rule");
    let text = format!("{GOOD}Saved{GOOD:#} {count}, which are evaluated as events arrive.\n");
    replace(rules, changing, shared, out, &text).await
}

async fn replace(
    rules: Vec<Rule>,
    changing: &Changing,
    shared: &Shared,
    out: Output,
    text: &str,
) -> Result<(), Failure> {
    let log = changing.open(shared).await?;
    let acting = changing.acting(&log);
    let changed = settings::change(&acting, move |settings| {
        settings.rules = rules;
        Ok(())
    });
    let told = match changed.await {
        Ok(changed) if out.json => output::document(&changed.after.rules),
        Ok(_) => output::write(text),
        Err(failure) => Err(failure),
    };
    finish(log, told, out).await
}
