//! Charts as inline SVG.

use std::fmt::Write as _;

use super::field::written;
use super::html::push_text;
use crate::event::Severity;
use crate::query::{Finding, Stats};

/// The size of the chart over time, and the plot inside it, in units of its own.
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 950.0;
const TOP: f64 = 10.0;
/// The lane above the plot that shows when findings were, and how far it pushes the plot down.
const LANE_TOP: f64 = 4.0;
const LANE_HEIGHT: f64 = 7.0;
const LANE: f64 = 16.0;
const BOTTOM: f64 = 196.0;
/// What occurs is seen, however rare it is beside the rest.
const LEAST_HEIGHT: f64 = 1.5;
/// Times below the chart.
const LABELS: usize = 6;
const DAY_MS: i64 = 86_400_000;

/// The events over time, each bar a stretch of it, in it the severities.
pub(super) fn over_time(text: &mut String, stats: &Stats, findings: &[Finding]) {
    let top = if findings.is_empty() { TOP } else { TOP + LANE };
    let most = stats.series.iter().map(|bucket| bucket.by_severity.total()).max().unwrap_or(0);
    let step = nice_step(most);
    let scale = (most.div_ceil(step) * step).max(1);
    let y = |count: f64| BOTTOM - (BOTTOM - top) * count / scale as f64;
    let _ = write!(
        text,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"over-time\">\
         <title id=\"over-time\">Events over time by severity</title>"
    );
    lane(text, stats, findings);
    let mut tick = 0;
    while tick <= scale {
        let at = y(tick as f64);
        let _ = write!(
            text,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            at + 4.0,
            number(tick)
        );
        tick += step;
    }
    let width = (RIGHT - LEFT) / stats.series.len().max(1) as f64;
    // Few stretches would be walls.
    let bar = (width * 0.84).min(60.0);
    let format = time_format(stats);
    for (index, bucket) in stats.series.iter().enumerate() {
        let left = LEFT + width * index as f64;
        if index % stats.series.len().div_ceil(LABELS) == 0 {
            let _ = write!(
                text,
                "<text x=\"{left:.1}\" y=\"{:.1}\">{}</text>",
                BOTTOM + 20.0,
                written(bucket.start, format)
            );
        }
        let counts = bucket.by_severity;
        if counts.total() == 0 {
            continue;
        }
        let _ = write!(text, "<g><title>{}: ", written(bucket.start, "%Y-%m-%d %H:%M UTC"));
        let mut bottom = BOTTOM;
        let mut bars = String::new();
        let occurring = Severity::ALL.into_iter().filter(|severity| counts.get(*severity) > 0);
        for (place, severity) in occurring.enumerate() {
            let count = counts.get(severity);
            let height = (BOTTOM - y(count as f64)).max(LEAST_HEIGHT);
            bottom -= height;
            let _ = write!(text, "{}{} {severity}", if place > 0 { ", " } else { "" }, number(count));
            let _ = write!(
                bars,
                "<rect class=\"{severity}\" x=\"{:.1}\" y=\"{bottom:.1}\" width=\"{bar:.1}\" height=\"{height:.1}\"/>",
                left + (width - bar) / 2.0
            );
        }
        let _ = write!(text, "</title>{bars}</g>");
    }
    text.push_str("</svg>\n");
}

/// When findings were: each from its first event to its last, over the bars of that time.
fn lane(text: &mut String, stats: &Stats, findings: &[Finding]) {
    let Some(start) = stats.series.first().map(|bucket| bucket.start) else { return };
    let whole = stats.bucket_ms.saturating_mul(stats.series.len() as i64).max(1);
    let x = |ms: i64| {
        let part = ms.saturating_sub(start) as f64 / whole as f64;
        LEFT + (RIGHT - LEFT) * part.clamp(0.0, 1.0)
    };
    for finding in findings {
        let (from, to) = (x(finding.first.timestamp), x(finding.last.timestamp));
        // One of a moment is seen too, and stays inside.
        let width = (to - from).max(LANE_HEIGHT);
        let left = ((from + to - width) / 2.0).clamp(LEFT, RIGHT - width);
        let _ = write!(
            text,
            "<rect class=\"finding\" x=\"{left:.1}\" y=\"{LANE_TOP}\" width=\"{width:.1}\" height=\"{LANE_HEIGHT}\" \
             rx=\"{:.1}\"><title>{}: ",
            LANE_HEIGHT / 2.0,
            written(finding.first.timestamp, "%Y-%m-%d %H:%M UTC")
        );
        push_text(text, &finding.rule);
        if let Some(group) = &finding.group {
            text.push_str(", ");
            push_text(text, group);
        }
        let _ = write!(text, ", {} events</title></rect>", number(finding.count));
    }
}

/// A bar that shows a part of the most.
pub(super) fn bar(text: &mut String, class: &str, count: u64, most: u64) {
    let width = (200.0 * count as f64 / most.max(1) as f64).max(LEAST_HEIGHT);
    let _ = write!(
        text,
        "<svg viewBox=\"0 0 200 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"{class}\" \
         width=\"{width:.1}\" height=\"10\"/></svg>"
    );
}

/// The distance of lines that makes about four of them, at 1, 2 or 5 times a power of ten.
fn nice_step(most: u64) -> u64 {
    let mut power = 1_u64;
    loop {
        for step in [power, power.saturating_mul(2), power.saturating_mul(5)] {
            if step.saturating_mul(4) >= most {
                return step;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// How a time below the chart is written, by how much of it the chart shows.
fn time_format(stats: &Stats) -> &'static str {
    let span = stats.bucket_ms.saturating_mul(stats.series.len() as i64);
    if span <= DAY_MS {
        "%H:%M"
    } else if span <= 14 * DAY_MS {
        "%m-%d %H:%M"
    } else {
        "%Y-%m-%d"
    }
}

/// 1234567 → `1,234,567`.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_few_and_round() {
        for (most, step) in [(0, 1), (1, 1), (4, 1), (5, 2), (17, 5), (40, 10), (41, 20), (1_000_000, 500_000)] {
            assert_eq!(nice_step(most), step, "{most}");
        }
        assert!(nice_step(u64::MAX) > 0);
        assert_eq!([7, 1234, 1_234_567].map(number), ["7", "1,234", "1,234,567"]);
    }
}
