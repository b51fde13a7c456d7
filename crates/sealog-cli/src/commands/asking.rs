//! What the commands share that ask the log: the filter, the pages, and the wait for the index.

use std::fmt::Write as _;
use std::pin::pin;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use sealog::{
    AuditLog, Clock as _, Error, EventPage, Filter, MAX_PAGE_EVENTS, Order, PageOptions, Record, SystemClock,
};
use serde_json::json;

use super::unless_damaged;
use crate::cli::Shared;
use crate::failure::Failure;
use crate::output::{self, Output, shows_progress};
use crate::render::{self, DIM, quoted};
use crate::sources::parse_time;

/// How often the progress of the index is drawn. What is answered sooner shows none.
const DRAW_INTERVAL: Duration = Duration::from_millis(150);
/// How many events a page of the command line has.
const DEFAULT_LIMIT: u64 = 50;

/// Which events, in the compact form.
#[derive(Debug, Args)]
pub(crate) struct WithFilter {
    /// Which events, such as 'actor:u-17 since:7d'; `sealog search --help` tells all of it [default: all
    /// events]
    #[arg(value_name = "FILTER")]
    filter: Vec<String>,
}

impl WithFilter {
    /// The filter. Several arguments are one, as if a space stood between them.
    pub(super) fn read(&self) -> Result<Filter, Failure> {
        read_filter(&self.filter)
    }
}

/// The filter in these arguments.
pub(super) fn read_filter(arguments: &[String]) -> Result<Filter, Failure> {
    let (text, now_ms) = (arguments.join(" "), now_ms());
    Filter::parse(&text, now_ms).map_err(|error| shown_in(&text, error, now_ms))
}

/// The time that an option says, as people write it, and as this program shows it.
pub(super) fn moment(option: &str, text: &str, now_ms: i64) -> Result<i64, Failure> {
    if let Ok(ms) = parse_time(text).or_else(|_| parse_time(&format!("{text}Z"))) {
        return Ok(ms);
    }
    // A filter knows ages and dates.
    let time = Filter::parse(&format!("since:\"{}\"", text.replace(['"', '\\'], "?")), now_ms);
    match time.map(|filter| filter.from_timestamp) {
        Ok(ms) => Ok(ms.unwrap_or(now_ms)),
        Err(error) => Err(Failure::Usage(format!("{option}: {}", error.message()))),
    }
}

pub(super) fn now_ms() -> i64 {
    SystemClock::new().now_ms()
}

/// The error, with the place in the filter for a person: it is in the last word of the shortest beginning
/// that has the same error.
fn shown_in(text: &str, error: Error, now_ms: i64) -> Failure {
    let words = text.split_whitespace().map(|word| {
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        (start, start + word.len())
    });
    let is_same = |end| {
        Filter::parse(&text[..end], now_ms)
            .is_err_and(|other| (other.message(), other.pointer()) == (error.message(), error.pointer()))
    };
    let Some((start, end)) = words.into_iter().find(|(_, end)| is_same(*end)) else { return error.into() };
    let word = render::safe(&text[start..end]);
    let about = if error.pointer().is_some() { format!("`{word}`: ") } else { String::new() };
    let before = render::safe(&text[..start]);
    let told = format!(
        "{about}{}\n  {}\n  {}{}",
        error.message(),
        render::safe(text),
        " ".repeat(render::width(&before)),
        "^".repeat(render::width(&word).max(1))
    );
    Failure::Explained(error, told)
}

/// Waits for the answer to a question, and shows on a terminal how far the index is where it has to catch
/// up with the log first.
pub(super) async fn answer<T>(log: &AuditLog, question: impl Future<Output = sealog::Result<T>>) -> Result<T, Failure> {
    let progress = log.index_progress().map_err(asked)?;
    let mut bar = None;
    let mut question = pin!(question);
    let answer = loop {
        tokio::select! {
            answer = &mut question => break answer,
            () = tokio::time::sleep(DRAW_INTERVAL), if shows_progress() => {}
        }
        let now = *progress.borrow();
        if now.events < now.total {
            let bar = bar.get_or_insert_with(progress_bar);
            bar.set_length(now.total);
            bar.set_position(now.events);
        }
    };
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    answer.map_err(asked)
}

fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("indexing {wide_bar} {human_pos}/{human_len} events  {eta}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The option that each part of a question comes from.
const OPTIONS: [(&str, &str); 6] = [
    ("/cursor", "--cursor"),
    ("/bucketMs", "--bucket"),
    ("/top", "--top"),
    ("/fields", "--fields"),
    ("/groupBy", "--group-by"),
    ("/requestedBy", "--actor"),
];

/// What was wrong in the question was wrong in an option.
fn asked(error: Error) -> Failure {
    if error.pointer() == Some("/text") {
        let text = "the index holds no words to search for; `sealog reindex` makes one that does";
        return Failure::Explained(error, text.to_owned());
    }
    let is_in = |option: &str| {
        let rest = error.pointer().and_then(|pointer| pointer.strip_prefix(option));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match OPTIONS.iter().find(|(pointer, _)| is_in(pointer)) {
        Some((_, option)) => {
            let text = format!("{option}: {}", error.message());
            Failure::Explained(error, text)
        }
        None => unless_damaged(error),
    }
}

/// Which of many events are shown, and in which order.
#[derive(Debug, Args)]
pub(crate) struct Paging {
    /// At most so many
    #[arg(long, short = 'n', value_name = "N", default_value_t = DEFAULT_LIMIT,
        value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// The oldest first
    #[arg(long)]
    oldest_first: bool,
    /// Go on behind a page, by the cursor that was told with it
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    /// All of them, however many
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

impl Paging {
    /// The first page, as it is asked for.
    fn first(&self) -> PageOptions {
        let options = PageOptions::new().order(if self.oldest_first { Order::OldestFirst } else { Order::NewestFirst });
        match &self.cursor {
            Some(cursor) => options.after(cursor),
            None => options,
        }
    }

    /// Shows page after page; answers how many events there were, and the cursor to what was not asked for.
    pub(super) async fn show(
        &self,
        log: &AuditLog,
        out: Output,
        ask: impl AsyncFn(&PageOptions) -> sealog::Result<EventPage>,
        line: impl Fn(&Record) -> String,
    ) -> Result<(u64, Option<String>), Failure> {
        let most = if self.all { u64::MAX } else { self.limit };
        let line = |record: &Record| {
            if out.json { format!("{}\n", record.canonical_json()) } else { line(record) }
        };
        let (mut options, mut shown) = (self.first(), 0);
        loop {
            let limit = usize::try_from(most - shown).unwrap_or(MAX_PAGE_EVENTS).min(MAX_PAGE_EVENTS);
            options = options.limit(limit);
            let page = answer(log, ask(&options)).await?;
            output::write(&page.events.iter().map(&line).collect::<String>())?;
            shown += page.events.len() as u64;
            match page.next_cursor {
                Some(cursor) if shown < most => options = options.after(cursor),
                next => return Ok((shown, next)),
            }
        }
    }

    /// Says how to go on: to a person the command, to a program the cursor. On standard error, so that the
    /// result stays one line an event.
    pub(super) fn more(&self, shared: &Shared, command: &str, arguments: &[&str], cursor: &str) {
        if shared.json {
            return output::note(&json!({ "nextCursor": cursor }).to_string());
        }
        let mut text = format!("sealog {command}");
        if self.limit != DEFAULT_LIMIT {
            let _ = write!(text, " -n {}", self.limit);
        }
        if self.oldest_first {
            text += " --oldest-first";
        }
        // A URL may hold a password, and is printed without.
        let location = shared.location();
        let log = if location.is_file { shared.log.clone() } else { location.name.into() };
        for (option, value, is_explicit) in
            [("log", Some(&log), shared.is_explicit.log), ("index", shared.index.as_ref(), shared.is_explicit.index)]
        {
            if let Some(value) = value.filter(|_| is_explicit) {
                let _ = write!(text, " --{option} {}", quoted(&value.display().to_string()));
            }
        }
        let _ = write!(text, " --cursor={cursor}");
        if arguments.iter().any(|argument| argument.starts_with('-')) {
            text += " --";
        }
        for argument in arguments.iter().filter(|argument| !argument.is_empty()) {
            let _ = write!(text, " {}", quoted(argument));
        }
        output::note(&format!("{DIM}There are more:{DIM:#} {text}"));
    }
}

/// One resource.
#[derive(Debug, Args)]
pub(crate) struct OneResource {
    /// What kind of thing it is, or TYPE/ID in one
    #[arg(value_name = "TYPE")]
    kind: String,
    /// Which one
    #[arg(value_name = "ID")]
    id: Option<String>,
}

impl OneResource {
    /// Its type and id.
    pub(super) fn read(&self) -> Result<(&str, &str), Failure> {
        let parts = match &self.id {
            Some(id) => Some((&*self.kind, &**id)),
            None => self.kind.split_once('/'),
        };
        parts.ok_or_else(|| Failure::Usage(format!("which {}? Give its id too, as in `invoice i-4`", self.kind)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_a_filter_shows_where() {
        for (text, marked) in [
            ("actor:u1 actr:u2 since:7d", "         ^^^^^^^"),
            ("actor:u1 \"reset link", "         ^^^^^^"),
            ("severity:loud", "^^^^^^^^^^^^^"),
            ("é tenant:a tenant:b x", "           ^^^^^^^^"),
            ("action:a,* x", "^^^^^^^^^^"),
            ("since:1d  until:2d", "          ^^^^^^^^"),
        ] {
            let failure = shown_in(text, Filter::parse(text, 0).unwrap_err(), 0);
            let told = anstream::adapter::strip_str(&failure.text().unwrap()).to_string();
            let lines: Vec<_> = told.lines().rev().take(2).collect();
            assert_eq!(lines, [format!("  {marked}"), format!("  {text}")], "{told}");
        }
    }

    #[test]
    fn a_moment_is_read_as_it_is_shown() {
        let now = 1_772_434_800_000;
        for (text, expected) in [
            ("2026-03-02 07:00:00.123", now + 123),
            ("2026-03-02 07:00:00", now),
            ("2026-03-02T07:00:00Z", now),
            ("2026-03-02", now - 7 * 3_600_000),
            ("12h", now - 12 * 3_600_000),
            ("-5", -5),
        ] {
            assert_eq!(moment("--at", text, now).unwrap(), expected, "{text}");
        }
        for text in ["", "yesterday", "1\" actor:\"x", "1d until:2d"] {
            assert!(moment("--at", text, now).unwrap_err().text().unwrap().contains("is no time"), "{text}");
        }
    }
}
