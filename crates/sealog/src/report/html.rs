//! HTML: one page for a person, which needs nothing else: no script, no font, no picture from elsewhere.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;

use super::ReportSummary;
use super::chart::{bar, number, over_time};
use super::field::{Body, Field, Kind, milliseconds, plain, written};
use super::layout::{Head, TextLayout};
use super::source::Group;
use crate::event::Severity;
use crate::query::{Finding, Findings, GroupBy, Rule, RuleKind, Stats, TopEntry};

const STYLE: &str = include_str!("style.css");
/// How a time is written for a person, in UTC.
const TIME: &str = "%Y-%m-%d %H:%M:%S%.3f";
/// How many groups the table of groups has; all of them stand over their rows.
const LISTED_GROUPS: usize = 50;

/// How many findings the page has; all of them are counted.
const LISTED_FINDINGS: usize = 100;

pub(super) struct Html {
    head: Head,
    groups: Arc<Vec<Group>>,
    /// The events that the findings point to.
    pointed: HashSet<u64>,
    /// Whether rows of a group, or of none, are being written.
    is_open: bool,
}

impl Html {
    pub(super) fn new(head: Head, groups: Arc<Vec<Group>>) -> Self {
        let pointed = listed(&head).iter().flat_map(|finding| [finding.first.seq, finding.last.seq]).collect();
        Self { head, groups, pointed, is_open: false }
    }

    fn fields(&self) -> &[Field] {
        self.head.columns.rows.as_deref().unwrap_or_default()
    }

    /// What was asked for.
    fn facts(&self, text: &mut String) {
        let ReportSummary { generated_at, range, filter, group_by, checkpoint, vkey, .. } = &self.head.summary;
        text.push_str("<dl class=\"facts\">\n");
        let mut fact = |name: &str, value: &dyn Fn(&mut String)| {
            let _ = write!(text, "<dt>{name}</dt><dd>");
            value(text);
            text.push_str("</dd>\n");
        };
        fact("Log", &|text| push_text(text, checkpoint.origin()));
        fact("Range", &|text| match (range.start(), range.end()) {
            (None, None) => text.push_str("all of time"),
            (from, to) => {
                let end = |text: &mut String, end: Option<i64>, otherwise| match end {
                    Some(ms) => {
                        push_time(text, ms);
                        text.push_str(" UTC");
                    }
                    None => text.push_str(otherwise),
                };
                end(text, from, "the beginning");
                text.push_str(" up to ");
                end(text, to, "now");
            }
        });
        fact("Filter", &|text| {
            if filter.is_empty() {
                text.push_str("none: every event");
            } else {
                push_code(text, &filter.to_string());
            }
        });
        if !group_by.is_empty() {
            fact("Grouped by", &|text| push_text(text, &group_by.join(", ")));
        }
        fact("Generated", &|text| {
            push_time(text, *generated_at);
            text.push_str(" UTC");
        });
        fact("Sealed by", &|text| {
            let _ = write!(text, "the checkpoint of {} events, ", number(checkpoint.size()));
            text.push_str("<a href=\"#checkpoint\">below</a>");
        });
        fact("Signed by", &|text| push_code(text, vkey));
        text.push_str("</dl>\n");
    }

    /// What the rules have found, or that they have found nothing.
    fn findings(&self, text: &mut String) {
        let ReportSummary { rules, findings: Some(findings), .. } = &self.head.summary else { return };
        text.push_str("<h2 id=\"findings\">Findings</h2>\n");
        let told = &findings.findings;
        let counted = match findings.total - told.len() as u64 {
            0 => String::new(),
            _ => format!("; counted by rule are the newest {}", number(told.len() as u64)),
        };
        let _ = write!(
            text,
            "<div class=\"wide\"><table class=\"rules\">\n<caption>What rules find among these events{counted}</caption>\n<thead><tr>\
             <th scope=\"col\">Rule</th><th scope=\"col\">Looks for</th><th scope=\"col\" class=\"number\">Findings</th>\
             <th scope=\"col\" class=\"number\">Events</th><td class=\"draw\"></td></tr></thead>\n<tbody>\n"
        );
        let of = |rule: &Rule| {
            let found = told.iter().filter(|finding| finding.rule == rule.name);
            found.fold((0, 0), |(findings, events), finding| (findings + 1, events + finding.count))
        };
        let most = rules.iter().map(|rule| of(rule).0).max().unwrap_or(0);
        for rule in rules {
            let (count, events) = of(rule);
            let _ = write!(text, "<tr{}><th scope=\"row\">", if count == 0 { " class=\"soft\"" } else { "" });
            push_text(text, &rule.name);
            text.push_str("</th><td>");
            push_looks_for(text, rule);
            let (count_text, events) = (number(count), number(events));
            let _ = write!(
                text,
                "</td><td class=\"number\">{count_text}</td><td class=\"number\">{events}</td><td class=\"draw\">"
            );
            if count > 0 {
                bar(text, "finding", count, most);
            }
            text.push_str("</td></tr>\n");
        }
        text.push_str("</tbody>\n</table></div>\n");
        let listed = listed(&self.head);
        if listed.is_empty() {
            return;
        }
        let older = match findings.total - listed.len() as u64 {
            0 => String::new(),
            older => format!("; {} older ones are not listed", number(older)),
        };
        let _ = write!(
            text,
            "<div class=\"wide\"><table class=\"findings\">\n<caption>Each finding, the newest first{older}</caption>\n\
             <thead><tr><th scope=\"col\">From</th><th scope=\"col\">Rule</th><th scope=\"col\">Of</th>\
             <th scope=\"col\" class=\"number\">Events</th><th scope=\"col\" class=\"number\">Lasted</th>\
             <th scope=\"col\">First and last seq</th><th scope=\"col\">Evidence</th></tr></thead>\n<tbody>\n"
        );
        for finding in listed {
            push_finding(text, finding);
        }
        text.push_str("</tbody>\n</table></div>\n");
    }

    fn list_groups(&self, text: &mut String) {
        if self.groups.is_empty() {
            return;
        }
        let mut largest: Vec<_> = self.groups.iter().collect();
        largest.sort_by_key(|group| std::cmp::Reverse(group.count));
        largest.truncate(LISTED_GROUPS);
        let more = match self.groups.len() - largest.len() {
            0 => String::new(),
            more => format!("; {} smaller ones are in the table of events", number(more as u64)),
        };
        let _ = write!(
            text,
            "<h2>Groups</h2>\n<div class=\"wide\"><table>\n<caption>{} in all, the largest first{more}</caption>\n<thead><tr>",
            number(self.groups.len() as u64)
        );
        for field in &self.head.columns.groups {
            text.push_str("<th scope=\"col\">");
            push_text(text, &field.name);
            text.push_str("</th>");
        }
        text.push_str(
            "<th scope=\"col\" class=\"number\">Events</th><th scope=\"col\">First</th><th scope=\"col\">Last</th>\
             </tr></thead>\n<tbody>\n",
        );
        for group in largest {
            text.push_str("<tr>");
            for (field, value) in self.head.columns.groups.iter().zip(group.values()) {
                text.push_str("<td>");
                push_value(text, field, value);
                text.push_str("</td>");
            }
            let _ = write!(text, "<td class=\"number\">{}</td><td>", number(group.count));
            push_time(text, group.first);
            text.push_str("</td><td>");
            push_time(text, group.last);
            text.push_str("</td></tr>\n");
        }
        text.push_str("</tbody>\n</table></div>\n");
    }

    fn close(&mut self, text: &mut String) {
        if std::mem::take(&mut self.is_open) {
            text.push_str("</tbody>\n");
        }
    }
}

impl TextLayout for Html {
    fn begin(&mut self, text: &mut String) {
        // The policy is a second wall: whatever were to slip through the escaping would not run.
        let _ = write!(
            text,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n<title>Audit report of "
        );
        push_text(text, self.head.summary.checkpoint.origin());
        let _ = write!(text, "</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>Audit report</h1>\n");
        self.facts(text);
        if let Some(stats) = &self.head.stats {
            let findings = self.head.summary.findings.as_ref();
            tiles(text, stats, findings);
            if stats.total > 0 {
                chart(text, stats, findings.map_or(&[], |findings| &findings.findings));
            }
            self.findings(text);
            tops(text, stats);
        }
        self.list_groups(text);
        text.push_str(
            "<h2>Events</h2>\n<div class=\"wide\"><table class=\"events\">\n<caption>The oldest first, by the time at \
             which they happened; times are in UTC</caption>\n<thead><tr>",
        );
        for field in self.fields() {
            text.push_str("<th scope=\"col\">");
            push_text(text, &field.name);
            text.push_str("</th>");
        }
        text.push_str("</tr></thead>\n");
    }

    fn group(&mut self, text: &mut String, group: &Group) {
        self.close(text);
        let _ =
            write!(text, "<tbody>\n<tr class=\"group\"><th colspan=\"{}\" scope=\"rowgroup\">", self.fields().len());
        for (field, value) in self.head.columns.groups.iter().zip(group.values()) {
            push_text(text, &field.name);
            text.push_str(": ");
            push_value(text, field, value);
            text.push_str(" · ");
        }
        let _ =
            writeln!(text, "{} {}</th></tr>", number(group.count), if group.count == 1 { "event" } else { "events" });
        self.is_open = true;
    }

    fn row(&mut self, text: &mut String, body: &Body<'_>) {
        if !std::mem::replace(&mut self.is_open, true) {
            text.push_str("<tbody>\n");
        }
        match body.seq().filter(|seq| self.pointed.contains(seq)) {
            Some(seq) => {
                let _ = write!(text, "<tr id=\"seq-{seq}\">");
            }
            None => text.push_str("<tr>"),
        }
        for field in self.fields() {
            text.push_str("<td>");
            if let Some(value) = body.get(field) {
                push_value(text, field, Some(&value));
            }
            text.push_str("</td>");
        }
        text.push_str("</tr>\n");
    }

    fn end(&mut self, text: &mut String, rows: u64) {
        self.close(text);
        let _ = write!(
            text,
            "</table></div>\n<p class=\"soft\">End of the table: {} {}.</p>\n<section id=\"checkpoint\">\n\
             <h2>Checkpoint</h2>\n<p>This signed statement of the log's size and root seals the state that the report \
             shows (C2SP tlog-checkpoint). Saved as a file, it is what <code>sealog verify --checkpoint FILE</code> \
             checks the log against: nothing up to it was changed since.</p>\n<pre>",
            number(rows),
            if rows == 1 { "event" } else { "events" }
        );
        push_text(text, self.head.summary.checkpoint.note());
        text.push_str("</pre>\n</section>\n</main>\n</body>\n</html>\n");
    }
}

/// The findings that have a line of their own.
fn listed(head: &Head) -> &[Finding] {
    let all = head.summary.findings.as_ref().map_or(&[][..], |findings| &findings.findings);
    &all[..all.len().min(LISTED_FINDINGS)]
}

/// What a rule looks for, in words.
fn push_looks_for(text: &mut String, rule: &Rule) {
    if !rule.filter.is_empty() {
        push_code(text, &rule.filter.to_string());
        text.push_str(", ");
    }
    let _ = match rule.kind {
        RuleKind::Threshold { threshold, window_ms } => {
            write!(text, "{} or more in {}", number(threshold), span(window_ms))
        }
        RuleKind::Unusual { .. } => write!(text, "more in an hour than is usual for it"),
    };
    if let Some(by) = rule.group_by {
        let _ = write!(text, ", by {}", group_name(by));
    }
}

fn group_name(by: GroupBy) -> &'static str {
    match by {
        GroupBy::IpAddress => "address",
        _ => by.as_str(),
    }
}

fn push_finding(text: &mut String, finding: &Finding) {
    text.push_str("<tr><td>");
    push_time(text, finding.first.timestamp);
    text.push_str("</td><th scope=\"row\">");
    push_text(text, &finding.rule);
    text.push_str("</th><td>");
    match &finding.group {
        Some(group) => {
            push_text(text, group);
            let _ = write!(text, " <small>{}</small>", finding.group_by.map_or("", group_name));
        }
        None => text.push_str("<span class=\"soft\">all together</span>"),
    }
    let (first, last) = (finding.first.seq, finding.last.seq);
    let _ = write!(
        text,
        "</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td><a href=\"#seq-{first}\">{first}</a> … \
         <a href=\"#seq-{last}\">{last}</a></td>",
        number(finding.count),
        length(finding.last.timestamp.saturating_sub(finding.first.timestamp))
    );
    let ids = match finding.ids.len() as u64 {
        all if all == finding.count => "ids".to_owned(),
        first => format!("the first {first} ids"),
    };
    let _ = write!(text, "<td><details><summary>{ids}</summary><ul>");
    for id in &finding.ids {
        text.push_str("<li>");
        push_code(text, id);
        text.push_str("</li>");
    }
    text.push_str("</ul></details></td></tr>\n");
}

/// The counts.
fn tiles(text: &mut String, stats: &Stats, findings: Option<&Findings>) {
    let _ = write!(
        text,
        "<h2>Summary</h2>\n<ul class=\"tiles\">\n<li><b>{}</b> {}</li>\n",
        number(stats.total),
        if stats.total == 1 { "event" } else { "events" }
    );
    for severity in Severity::ALL {
        let count = number(stats.by_severity.get(severity));
        let _ = writeln!(text, "<li class=\"{severity}\"><b>{count}</b> {severity}</li>");
    }
    if let Some(findings) = findings {
        let class = if findings.total > 0 { "finding" } else { "" };
        let what = if findings.total == 1 { "finding" } else { "findings" };
        let count = number(findings.total);
        let _ = writeln!(text, "<li class=\"{class}\"><b>{count}</b> <a href=\"#findings\">{what}</a></li>");
    }
    text.push_str("</ul>\n");
}

fn chart(text: &mut String, stats: &Stats, findings: &[Finding]) {
    text.push_str("<h2>Over time</h2>\n<figure>\n");
    over_time(text, stats, findings);
    text.push_str("<figcaption><ul class=\"legend\">");
    for severity in Severity::ALL.into_iter().filter(|severity| stats.by_severity.get(*severity) > 0) {
        let _ = write!(text, "<li><i class=\"{severity}\"></i>{severity}</li>");
    }
    if !findings.is_empty() {
        text.push_str("<li><i class=\"finding\"></i>finding</li>");
    }
    let _ = write!(text, "<li>a bar is {}, in UTC</li></ul></figcaption>\n</figure>\n", span(stats.bucket_ms));
    numbers(text, stats);
}

fn tops(text: &mut String, stats: &Stats) {
    text.push_str("<div class=\"tops\">\n");
    top(text, "Top actions", "Action", &stats.top_actions, stats.total);
    top(text, "Top actors", "Actor", &stats.top_actors, stats.total);
    text.push_str("</div>\n");
}

/// The numbers of the chart, for who cannot see it.
fn numbers(text: &mut String, stats: &Stats) {
    text.push_str(
        "<details><summary>The chart in numbers</summary>\n<table>\n<caption>Events over time by severity</caption>\n\
         <thead><tr><th scope=\"col\">From</th>",
    );
    for severity in Severity::ALL {
        let _ = write!(text, "<th scope=\"col\" class=\"number\">{severity}</th>");
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for bucket in stats.series.iter().filter(|bucket| bucket.by_severity.total() > 0) {
        text.push_str("<tr><th scope=\"row\">");
        push_time(text, bucket.start);
        text.push_str("</th>");
        for severity in Severity::ALL {
            let _ = write!(text, "<td class=\"number\">{}</td>", number(bucket.by_severity.get(severity)));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody>\n</table></details>\n");
}

fn top(text: &mut String, title: &str, what: &str, entries: &[TopEntry], total: u64) {
    let Some(most) = entries.first().map(|entry| entry.count) else { return };
    let _ = write!(
        text,
        "<section>\n<h2>{title}</h2>\n<table class=\"top\">\n<thead><tr><th scope=\"col\">{what}</th>\
         <th scope=\"col\" class=\"number\">Events</th><th scope=\"col\" class=\"number\">Share</th>\
         <td class=\"draw\"></td></tr></thead>\n\
         <tbody>\n"
    );
    for entry in entries {
        text.push_str("<tr><th scope=\"row\">");
        push_text(text, &entry.value);
        let share = entry.count as f64 * 100.0 / total.max(1) as f64;
        let _ = write!(
            text,
            "</th><td class=\"number\">{}</td><td class=\"number\">{share:.1} %</td><td class=\"draw\">",
            number(entry.count)
        );
        bar(text, "bar", entry.count, most);
        text.push_str("</td></tr>\n");
    }
    text.push_str("</tbody>\n</table>\n</section>\n");
}

/// A length of time in the largest unit that measures it whole.
fn span(ms: i64) -> String {
    let units =
        [(7 * 86_400_000, "week"), (86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second")];
    let unit = units.iter().find(|(unit, _)| ms >= *unit && ms % unit == 0);
    unit.map_or_else(
        || format!("{ms} ms"),
        |(unit, name)| format!("{} {name}{}", ms / unit, if ms == *unit { "" } else { "s" }),
    )
}

/// A length of time as people say it, in its two largest units.
fn length(ms: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    let Some(place) = UNITS.iter().position(|(unit, _)| ms >= *unit) else { return format!("{ms} ms") };
    let (unit, name) = UNITS[place];
    match UNITS.get(place + 1) {
        Some((below, below_name)) if ms % unit >= *below => {
            format!("{} {name} {} {below_name}", ms / unit, ms % unit / below)
        }
        Some(_) => format!("{} {name}", ms / unit),
        None => format!("{:.1} {name}", ms as f64 / unit as f64),
    }
}

fn push_value(text: &mut String, field: &Field, json: Option<&str>) {
    let Some(json) = json else { return text.push_str("<span class=\"soft\">none</span>") };
    let value = plain(json);
    if field.kind() == Kind::Severity {
        // Of a class that the style knows, or of none.
        let class = Severity::ALL.into_iter().find(|severity| severity.as_str() == value);
        let _ = write!(text, "<span class=\"sev {}\">", class.map_or("", Severity::as_str));
        push_text(text, &value);
        text.push_str("</span>");
    } else if let Some(ms) =
        Some(json).filter(|_| matches!(field.kind(), Kind::Millis | Kind::Time)).and_then(milliseconds)
    {
        push_time(text, ms);
    } else if json.starts_with(['{', '[']) {
        push_code(text, json);
    } else {
        push_text(text, &value);
    }
}

fn push_time(text: &mut String, ms: i64) {
    let _ = write!(
        text,
        "<time datetime=\"{}\">{}</time>",
        super::field::rfc3339(ms),
        written(ms, TIME).trim_end_matches(".000")
    );
}

fn push_code(text: &mut String, value: &str) {
    text.push_str("<code>");
    push_text(text, value);
    text.push_str("</code>");
}

/// Appends text so that nothing in it is markup, in an element or in quotes. What would hide text, turn
/// it around, or may not stand in a page is shown by its number.
pub(super) fn push_text(text: &mut String, value: &str) {
    for char in value.chars() {
        match char {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&#39;"),
            '\n' | '\t' => text.push(char),
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => {
                hidden(text, char);
            }
            _ if char.is_control() => hidden(text, char),
            _ => text.push(char),
        }
    }
}

fn hidden(text: &mut String, char: char) {
    let _ = write!(text, "<span class=\"hidden\">\\u{{{:x}}}</span>", u32::from(char));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        let mut text = String::new();
        push_text(&mut text, "<script>alert('x')</script> \"&amp;\" \u{202e}\u{0}\u{85}");
        assert_eq!(
            text,
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &quot;&amp;amp;&quot; \
             <span class=\"hidden\">\\u{202e}</span><span class=\"hidden\">\\u{0}</span>\
             <span class=\"hidden\">\\u{85}</span>"
        );
        assert_eq!([1_000, 5_400_000, 7 * 86_400_000, 14].map(span), ["1 second", "90 minutes", "1 week", "14 ms"]);
        let lengths = [999, 1_950, 60_000, 250_000, 3_600_000, 190_000_000].map(length);
        assert_eq!(lengths, ["999 ms", "1.9 s", "1 min", "4 min 10 s", "1 h", "2 d 4 h"]);
    }
}
