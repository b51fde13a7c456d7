//! `sealog settings`

use std::fmt::Write as _;
use std::path::Path;
use std::sync::mpsc;

use clap::{Args, Subcommand};
use sealog::{AuditLog, Settings};
use serde_json::{Value, json};

use super::changing::{Changing, explained};
use super::{name_of, read_text, unless_damaged};
use crate::cli::{Shared, finish};
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::render::{self, BOLD, DIM, GOOD};

/// The narrowest that the name of a category is cut to, in columns.
const MIN_NAME_COLUMNS: usize = 8;

/// Show or change the log's settings: how long events are kept, what is hidden, which rules run
///
/// Without a command, shows them. They are kept in the log itself: each change is an event,
/// sealog.settings.changed, which nothing removes, and holds at once for every program that has the log open.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealog settings
  sealog settings --json > settings.json
  sealog settings set '{\"defaultRetentionDays\": 30}' --by ops
  sealog search action:sealog.settings.changed")]
pub(crate) struct SettingsArgs {
    #[command(subcommand)]
    command: Option<SettingsCommand>,
}

#[derive(Debug, Subcommand)]
enum SettingsCommand {
    /// Change settings by a JSON merge patch: what it names takes the place of what was there
    ///
    /// null brings back the default, and \"forever\" as a number of days keeps events for ever. Whole settings, as
    /// `sealog settings --json` prints them, are such a patch too.
    #[command(after_help = "\
Examples:
  sealog settings set '{\"defaultRetentionDays\": 30, \"criticalRetentionDays\": \"forever\"}'
  sealog settings set '{\"customRetention\": [{\"category\": \"debug\", \"retentionDays\": 7}]}' --by ops
  sealog settings set '{\"policy\": {\"redactFields\": [{\"name\": \"email\", \"mode\": \"hash\"}]}}'
  sealog settings set settings.json
  sealog settings set '{\"policy\": null}'

The names are defaultRetentionDays, criticalRetentionDays, customRetention, policy (as for --policy,
which `sealog --help` shows; it adds to what programs say) and rules (as `sealog rules` prints them).
docs/RETENTION.md tells all of it.")]
    Set {
        /// The change: JSON that begins with {, or a file that holds it; - is standard input
        #[arg(value_name = "PATCH")]
        patch: String,
        #[command(flatten)]
        changing: Changing,
    },
}

impl SettingsArgs {
    pub(crate) async fn run(self, shared: &Shared, out: Output) -> Result<(), Failure> {
        match self.command {
            None => {
                let log = shared.open_to_read().await?;
                let settings = log.settings().await.map_err(unless_damaged)?;
                if out.json {
                    return output::document(&document(&settings)?);
                }
                output::write(&text(&settings, output::columns())?)
            }
            Some(SettingsCommand::Set { patch, changing }) => {
                let patch = read_patch(&patch)?;
                let log = changing.open(shared).await?;
                let acting = changing.acting(&log);
                let changed = change(&acting, move |settings| {
                    *settings = settings.patched(patch)?;
                    Ok(())
                });
                let told = match changed.await {
                    Ok(changed) => changed.tell(out),
                    Err(failure) => Err(failure),
                };
                finish(log, told, out).await
            }
        }
    }
}

/// The change in an argument, or in the file that it names.
fn read_patch(argument: &str) -> Result<Value, Failure> {
    let is_json = argument.trim_start().starts_with('{');
    let path = Path::new(argument);
    let (name, text) =
        if is_json { ("the change".to_owned(), argument.to_owned()) } else { (name_of(path), read_text(path)?) };
    serde_json::from_str(&text).map_err(|error| {
        let message = format!("{name} is no JSON: {error}; `sealog settings set --help` shows changes");
        Failure::Usage(message)
    })
}

/// Settings before and after a change.
pub(super) struct Changed {
    before: Settings,
    pub(super) after: Settings,
}

impl Changed {
    fn tell(&self, out: Output) -> Result<(), Failure> {
        let document = document(&self.after)?;
        let steps = sealog::diff(&self::document(&self.before)?, &document);
        let mut text = String::new();
        if steps.is_empty() {
            text.push_str("They are so already; nothing was changed.\n");
        } else {
            let _ = writeln!(text, "{GOOD}Changed:{GOOD:#}");
            for step in &steps {
                let _ = writeln!(text, "  {}", render::step(step, None));
            }
        }
        out.either(&document, &text)
    }
}

/// Changes the settings, and tells what they were.
pub(super) async fn change(
    log: &AuditLog,
    change: impl FnOnce(&mut Settings) -> sealog::Result<()> + Send + 'static,
) -> Result<Changed, Failure> {
    // They are looked at where nobody else changes them.
    let (was, before) = mpsc::channel();
    let changed = log.update_settings(move |settings| {
        let _ = was.send(settings.clone());
        change(settings)
    });
    let after = changed.await.map_err(explained)?;
    let before = before.try_recv().unwrap_or_else(|_| after.clone());
    Ok(Changed { before, after })
}

/// The settings for a program, as a change that makes them what they are: there `null` would be the default.
fn document(settings: &Settings) -> Result<Value, Failure> {
    let mut document = serde_json::to_value(settings).map_err(std::io::Error::from)?;
    for name in ["defaultRetentionDays", "criticalRetentionDays"] {
        if document[name].is_null() {
            document[name] = json!("forever");
        }
    }
    Ok(document)
}

/// The settings for a person.
fn text(settings: &Settings, columns: Option<usize>) -> Result<String, Failure> {
    let mut text = format!("{BOLD}Events are kept{BOLD:#}\n");
    let mut rows = vec![
        ["unless said otherwise".to_owned(), days(settings.default_retention_days)],
        ["if critical".to_owned(), days(settings.critical_retention_days)],
    ];
    rows.extend(
        settings
            .custom_retention
            .iter()
            .map(|custom| [format!("in the category {}", render::safe(&custom.category)), days(custom.retention_days)]),
    );
    let plain = anstyle::Style::new();
    text.push_str(&render::table(["which", "how long"], [plain; 2], &rows, &[(0, MIN_NAME_COLUMNS)], columns));
    let _ = writeln!(text, "\n{BOLD}Policy{BOLD:#}  {DIM}on top of what programs say{DIM:#}");
    match &settings.policy {
        None => text.push_str("  none\n"),
        Some(policy) => {
            let policy = serde_json::to_string_pretty(policy).map_err(std::io::Error::from)?;
            for line in policy.lines() {
                let _ = writeln!(text, "  {}", render::safe(line));
            }
        }
    }
    let _ = writeln!(text, "\n{BOLD}Rules{BOLD:#}  {DIM}evaluated as events arrive{DIM:#}");
    if settings.rules.is_empty() {
        text.push_str("  none; `sealog rules save` saves some\n");
    }
    for rule in &settings.rules {
        let _ = writeln!(text, "  {}", render::safe(&rule.name));
    }
    Ok(text)
}

fn days(days: Option<u32>) -> String {
    days.map_or_else(|| "for ever".to_owned(), |days| render::counted(days.into(), "day"))
}
