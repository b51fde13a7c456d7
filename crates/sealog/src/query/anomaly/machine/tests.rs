//! The machine beside the plain definition, which looks at all events for each event.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::query::anomaly::found::{Evidence, MAX_FINDING_IDS};
use crate::query::anomaly::hours::{HOUR_MS, threshold as unusual_from};
use crate::query::anomaly::rule::HISTORY_WEEKS;

/// An event: its timestamp and its group. Its seq is its place in the list.
type Seen = (i64, u8);
/// A finding, with its group.
type Told = (u8, Evidence, u64);

fn by_machine(machine: &mut Machine, events: &[Seen]) -> Vec<Told> {
    let mut found = Vec::new();
    for (seq, (time, group)) in (0..).zip(events) {
        machine.feed((*time, seq), Some(&group.to_string().into()), &mut |complete| found.push(complete));
    }
    machine.open(|_| true, |open| found.push(open));
    let told = |found: Found| (found.group.unwrap().parse().unwrap(), found.raised.evidence, found.raised.threshold);
    let mut told: Vec<Told> = found.into_iter().map(told).collect();
    told.sort_by_key(|(group, evidence, _)| (*group, evidence.seqs.clone()));
    told
}

fn evidence(events: &BTreeSet<(u64, i64)>) -> Evidence {
    let places = || events.iter().map(|(seq, time)| (*time, *seq));
    Evidence {
        count: events.len() as u64,
        first: places().min().unwrap(),
        last: places().max().unwrap(),
        seqs: events.iter().map(|(seq, _)| *seq).take(MAX_FINDING_IDS).collect(),
    }
}

/// The events of each group that are not too late, as `is_late` says of the latest timestamp before and the
/// event's own.
fn in_time(events: &[Seen], group: u8, is_late: impl Fn(i64, i64) -> bool) -> Vec<(u64, i64)> {
    let mut kept: Vec<(u64, i64)> = Vec::new();
    for (seq, (time, _)) in (0..).zip(events).filter(|(_, (_, of))| *of == group) {
        let latest = kept.iter().map(|(_, time)| *time).max();
        if !latest.is_some_and(|latest| is_late(latest, *time)) {
            kept.push((seq, *time));
        }
    }
    kept
}

fn groups(events: &[Seen]) -> BTreeSet<u8> {
    events.iter().map(|(_, group)| *group).collect()
}

/// The definition of a rule with a threshold.
fn bursts(events: &[Seen], threshold: u64, window_ms: i64) -> Vec<Told> {
    let mut told = Vec::new();
    for group in groups(events) {
        let kept = in_time(events, group, |latest, time| time <= latest - window_ms);
        let alarms = (0..kept.len()).filter_map(|last| {
            let so_far = &kept[..=last];
            let latest = so_far.iter().map(|(_, time)| *time).max()?;
            let window: BTreeSet<_> = so_far.iter().filter(|(_, time)| *time > latest - window_ms).copied().collect();
            (window.len() as u64 >= threshold).then_some(window)
        });
        let mut findings: Vec<BTreeSet<(u64, i64)>> = Vec::new();
        for mut alarm in alarms {
            // Whatever shares an event with it is one finding with it.
            findings.retain(|finding| {
                let shares = !finding.is_disjoint(&alarm);
                if shares {
                    alarm.extend(finding);
                }
                !shares
            });
            findings.push(alarm);
        }
        told.extend(findings.iter().map(|events| (group, evidence(events), threshold)));
    }
    told.sort_by_key(|(group, evidence, _)| (*group, evidence.seqs.clone()));
    told
}

/// The definition of a rule for unusual activity.
fn unusual(events: &[Seen], sensitivity: f64, min_weeks: u32) -> Vec<Told> {
    let hour = |time: i64| time.div_euclid(HOUR_MS);
    let mut told = Vec::new();
    for group in groups(events) {
        let kept = in_time(events, group, |latest, time| hour(time) < hour(latest) - 1);
        let of = |number| kept.iter().filter(|(_, time)| hour(*time) == number).copied().collect::<BTreeSet<_>>();
        let numbers: BTreeSet<_> = kept.iter().map(|(_, time)| hour(*time)).collect();
        for number in &numbers {
            let before = (1..=i64::from(HISTORY_WEEKS)).map(|week| number - week * 7 * 24);
            let before = before.filter(|hour| hour >= numbers.first().unwrap());
            let before: Vec<_> = before.map(|hour| of(hour).len() as u64).collect();
            let threshold = unusual_from(&before, sensitivity, min_weeks);
            let events = of(*number);
            if events.len() as u64 >= threshold {
                told.push((group, evidence(&events), threshold));
            }
        }
    }
    told.sort_by_key(|(group, evidence, _)| (*group, evidence.seqs.clone()));
    told
}

/// Events that mostly go on in time, and sometimes come late or from a clock that is ahead.
fn events(step: i64, most: usize) -> impl Strategy<Value = Vec<Seen>> {
    let late = prop_oneof![6 => Just(0), 2 => -3 * step..0, 1 => -40 * step..40 * step];
    vec((0..step * 3, late, 0..3_u8), 0..most).prop_map(|steps| {
        let mut now = 0;
        let event = |(step, off, group)| {
            now += step;
            (now + off, group)
        };
        steps.into_iter().map(event).collect()
    })
}

/// Weeks with something at the same hours, and one after the other.
fn weeks() -> impl Strategy<Value = Vec<Seen>> {
    let at = (0..14_i64, prop_oneof![Just(0_i64), Just(1), Just(5)], 0..HOUR_MS, 0..2_u8, 1..6_usize);
    (vec(at, 0..60), any::<bool>(), vec((0..60_usize, 0..60_usize), 0..6)).prop_map(|(times, sorted, swaps)| {
        let mut events = Vec::new();
        for (week, hour, ms, group, times) in times {
            events.extend((0..times).map(|_| ((week * 7 * 24 + hour) * HOUR_MS + ms, group)));
        }
        if sorted {
            events.sort_unstable();
        }
        for (a, b) in swaps {
            if a.max(b) < events.len() {
                events.swap(a, b);
            }
        }
        events
    })
}

proptest! {
    #[test]
    fn bursts_are_what_their_definition_says(
        events in events(10, 120), threshold in 1..8_u64, window_ms in prop_oneof![1..5_i64, 5..120_i64],
    ) {
        let mut machine = Machine::new(0, RuleKind::Threshold { threshold, window_ms });
        prop_assert_eq!(by_machine(&mut machine, &events), bursts(&events, threshold, window_ms));
    }

    #[test]
    fn unusual_hours_are_what_their_definition_says(
        events in weeks(), sensitivity in 0.1..4.0_f64, min_weeks in 1..5_u32,
    ) {
        let mut machine = Machine::new(0, RuleKind::Unusual { sensitivity, min_weeks });
        prop_assert_eq!(by_machine(&mut machine, &events), unusual(&events, sensitivity, min_weeks));
    }

    /// What is remembered is what is counted, whatever is forgotten; and a machine with little memory finds
    /// nothing that the groups' own events would not say.
    #[test]
    fn memory_is_bounded(events in events(10, 200), max_groups in 1..4_usize, max_remembered in 1..20_usize) {
        let mut machine = Machine::new(0, RuleKind::Threshold { threshold: 3, window_ms: 50 });
        (machine.max_groups, machine.max_remembered) = (max_groups, max_remembered);
        by_machine(&mut machine, &events);
        let counted: usize = machine.groups.values().map(|group| group.state.remembered()).sum();
        prop_assert_eq!(machine.remembered, counted);
        prop_assert_eq!(machine.by_last.len(), machine.groups.len());
        prop_assert!(machine.groups.len() <= max_groups);
        prop_assert!(counted <= max_remembered || machine.groups.len() == 1);
    }
}

#[test]
fn bursts_that_occur_are_found() {
    let mut events: Vec<Seen> = (0..1000).map(|i| (i, 0)).collect();
    events.extend([(5_000, 0), (5_001, 0)]);
    let found = by_machine(&mut Machine::new(0, RuleKind::Threshold { threshold: 5, window_ms: 10 }), &events);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].1.count, found[0].1.seqs.len(), found[0].1.last), (1000, MAX_FINDING_IDS, (999, 999)));
}

/// Among 50,000 groups, each with events in two rounds, each burst is found and nothing is forgotten; where
/// there are more, memory stays what it may be.
#[test]
fn many_groups_stay_bounded() {
    let name = |group: u64| -> Arc<str> { format!("198.51.{}.{}", group / 256, group % 256).into() };
    let mut machine = Machine::new(0, RuleKind::Threshold { threshold: 4, window_ms: 1_000_000 });
    let (mut seq, mut found) = (0, 0);
    for _ in 0..2 {
        for group in 0..50_000 {
            for _ in 0..if group % 1000 == 0 { 2 } else { 1 } {
                machine.feed((seq as i64, seq), Some(&name(group)), &mut |_| found += 1);
                seq += 1;
            }
        }
    }
    machine.open(|_| true, |_| found += 1);
    assert_eq!((found, machine.groups.len()), (50, 50_000));

    for group in 50_000..150_000 {
        machine.feed((seq as i64, seq), Some(&name(group)), &mut |_| found += 1);
        seq += 1;
        assert!(machine.groups.len() <= MAX_GROUPS);
    }
    assert_eq!((found, machine.groups.len()), (100, MAX_GROUPS), "what was found stays found");

    let mut machine = Machine::new(0, RuleKind::Threshold { threshold: 1000, window_ms: 1_000_000 });
    machine.max_remembered = 50_000;
    for seq in 0..100_000 {
        machine.feed((0, seq), Some(&name(seq % 100)), &mut |_| {});
        assert!(machine.remembered <= 50_000);
    }
}
