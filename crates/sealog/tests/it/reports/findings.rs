//! What rules find among the events of a report.

use sealog::{AuditLog, Event, Filter, GroupBy, MAX_REPORT_FINDINGS, ReportFormat, ReportOptions, Rule};
use serde_json::{Value, json};

use super::report;
use crate::support::{Fixture, NOW_MS, check};

const MINUTE_MS: i64 = 60_000;

fn guessing() -> Rule {
    Rule::new("guessing <b>", Filter::new().action("user.login.failed"), 3, 5 * MINUTE_MS).group_by(GroupBy::Actor)
}

/// Guesses at the passwords of two people, an hour and half an hour ago, and of the first one today as well.
async fn guesses(log: &AuditLog) {
    for (who, start, count) in [("u-1", -60, 4), ("u-2 <i>", -30, 3), ("u-1", -10, 5)] {
        for i in 0..count {
            let event = Event::new("user.login.failed").actor(who).tenant(&who[..3]);
            log.log(event.timestamp(NOW_MS + start * MINUTE_MS + i * 1_000)).await.unwrap();
        }
    }
    log.log(Event::new("user.login").actor("u-1")).await.unwrap();
}

fn options(format: ReportFormat) -> ReportOptions {
    ReportOptions::new(format).rules([guessing(), Rule::unusual("busy", Filter::new())])
}

#[tokio::test]
async fn a_report_tells_what_a_backtest_finds() {
    for tail_events in [3, 100_000] {
        let fixture = Fixture::new();
        let log = fixture.builder().tail_events(tail_events).open().await.unwrap();
        guesses(&log).await;
        let (summary, text) = report(&log, &options(ReportFormat::Json)).await;
        let document: Value = serde_json::from_str(&text).unwrap();
        let backtest = log.backtest(&options(ReportFormat::Json).rules, ..).await.unwrap();
        assert_eq!(backtest.findings.iter().map(|finding| finding.count).collect::<Vec<_>>(), [5, 3, 4]);
        assert_eq!(document["findings"], serde_json::to_value(&backtest).unwrap());
        assert_eq!(document["rules"][0]["name"], "guessing <b>");
        let event = log.get(&summary.receipt.as_ref().unwrap().id).await.unwrap();
        assert_eq!(event.metadata.as_ref().unwrap()["findingCount"], 3);
        assert_eq!(summary.findings, Some(backtest));

        // Every format has them, or what stands beside it: a table of text has no place.
        for format in ReportFormat::ALL.iter().copied().filter(|format| *format != ReportFormat::Csv) {
            let (other, text) = report(&log, &options(format)).await;
            assert_eq!(other.findings, summary.findings, "{format}");
            assert!(text.contains("guessing"), "{format}");
            let (without, text) = report(&log, &ReportOptions::new(format).filter(Filter::new().actor("u-1"))).await;
            assert!(
                without.findings.is_none() && !text.contains("findings\"") && !text.contains("finding\""),
                "{format}"
            );
        }
        let (csv, text) = report(&log, &options(ReportFormat::Csv)).await;
        assert_eq!(csv.findings, summary.findings);
        assert!(text.starts_with("seq,") && !text.contains("guessing"));
        check(&log).await;
    }
}

/// Of other events than those that are reported nothing is told.
#[tokio::test]
async fn findings_are_of_the_events_that_are_reported() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    guesses(&log).await;
    let counts = async |log: &AuditLog, options: &ReportOptions| {
        let findings = report(log, options).await.0.findings.unwrap();
        assert_eq!(findings.total, findings.findings.len() as u64);
        findings.findings.iter().map(|finding| finding.count).collect::<Vec<_>>()
    };
    let of_one = options(ReportFormat::Ndjson).filter(Filter::new().actor("u-1"));
    assert_eq!(counts(&log, &of_one).await, [5, 4]);
    let early = options(ReportFormat::Ndjson).range(..NOW_MS - 20 * MINUTE_MS);
    assert_eq!(counts(&log, &early).await, [3, 4]);
    assert_eq!(counts(&log, &early.filter(Filter::new().actor("u-1"))).await, [4]);
    let scoped = log.scoped(&Filter::new().tenant("u-2")).unwrap();
    assert_eq!(counts(&scoped, &options(ReportFormat::Html)).await, [3]);
    let (_, text) = report(&log, &options(ReportFormat::Html).filter(Filter::new().action("user.login"))).await;
    assert!(text.contains("<b>0</b> <a href=\"#findings\">findings</a>"), "{text}");
    assert_eq!(text.matches("<tr class=\"soft\"><th scope=\"row\">").count(), 2, "two rules found nothing");
    assert!(!text.contains("Each finding"), "{text}");

    let error = |rules: Vec<Rule>| {
        let (log, options) = (log.clone(), ReportOptions::new(ReportFormat::Html).rules(rules));
        async move { log.generate_report(&options, std::io::sink(), |_| {}).await.unwrap_err() }
    };
    let size = log.head().await.unwrap().size;
    assert_eq!(error(vec![guessing(), guessing()]).await.pointer(), Some("/rules/1/name"));
    let none = Rule::new("none", Filter::new(), 0, 1);
    assert_eq!(error(vec![none]).await.pointer(), Some("/rules/0/threshold"));
    assert_eq!(log.head().await.unwrap().size, size, "nothing was handed out");
}

#[tokio::test]
async fn the_page_points_from_a_finding_to_its_events() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    guesses(&log).await;
    let (_, text) = report(&log, &options(ReportFormat::Html)).await;
    assert!(text.contains("<b>3</b> <a href=\"#findings\">findings</a>"), "{text}");
    let rule = "<tr><th scope=\"row\">guessing &lt;b&gt;</th><td><code>action:user.login.failed</code>, 3 or more in 5 minutes, \
                by actor</td><td class=\"number\">3</td><td class=\"number\">12</td>";
    assert!(text.contains(rule), "{text}");
    assert_eq!(text.matches("</td><th scope=\"row\">guessing &lt;b&gt;</th>").count(), 3);
    assert!(
        text.contains(
            "u-2 &lt;i&gt; <small>actor</small></td><td class=\"number\">3</td><td class=\"number\">2.0 s</td>"
        )
    );
    // One for each over the chart, and the bar of their rule.
    assert_eq!(text.matches("<rect class=\"finding\"").count(), 3 + 1);
    for seq in [0, 3, 4, 6, 7, 11] {
        assert_eq!(text.matches(&format!("href=\"#seq-{seq}\"")).count(), 1, "{seq}");
        assert_eq!(text.matches(&format!("<tr id=\"seq-{seq}\"><td>{seq}</td>")).count(), 1, "{seq}");
    }
    assert_eq!(text.matches("<tr id=").count(), 6);
    let id = log.read(8, 1).await.unwrap().events[0].id().to_owned();
    assert!(text.contains(&format!("<li><code>{id}</code></li>")), "the ids of all");
}

#[tokio::test]
async fn many_findings_are_counted_and_the_newest_told() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let events =
        (0..1_200).map(|i| Event::new("user.login.failed").actor(format!("u-{i}")).timestamp(NOW_MS - 5_000 + i));
    log.log_bulk(events.collect()).await.unwrap();
    let each = Rule::new("each", Filter::new(), 1, 1).group_by(GroupBy::Actor);
    let options = ReportOptions::new(ReportFormat::Html).rules([each]).fields(["seq"]);
    let (summary, text) = report(&log, &options).await;
    let findings = summary.findings.unwrap();
    assert_eq!((findings.total, findings.findings.len()), (1_200, MAX_REPORT_FINDINGS));
    assert_eq!(json!(findings.findings[0].group), "u-1199");
    assert_eq!(text.matches("<small>actor</small>").count(), 100);
    assert!(text.contains("the newest first; 1,100 older ones are not listed"), "{text}");
}
