//! The server's numbers, in the text format of Prometheus.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use std::collections::BTreeMap;

/// Upper ends of the latency classes, in microseconds.
const CLASSES_US: [u64; 12] =
    [500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000];

/// What is counted of requests of one endpoint.
#[derive(Default)]
struct Latency {
    classes: [u64; CLASSES_US.len() + 1],
    sum_us: u64,
    /// Requests by status.
    statuses: BTreeMap<u16, u64>,
}

pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<String, Latency>>,
    pub(crate) events_logged: AtomicU64,
    pub(crate) events_rejected: AtomicU64,
    /// Connections that were closed at once, since their address had too many.
    pub(crate) connections_refused: AtomicU64,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            requests: Mutex::default(),
            events_logged: AtomicU64::new(0),
            events_rejected: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
        }
    }

    /// Counts one request. `endpoint` is one of the routes, so there are few.
    pub(crate) fn request(&self, endpoint: &str, status: u16, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let class = CLASSES_US.iter().position(|end| us <= *end).unwrap_or(CLASSES_US.len());
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if !requests.contains_key(endpoint) {
            requests.insert(endpoint.to_owned(), Latency::default());
        }
        if let Some(latency) = requests.get_mut(endpoint) {
            latency.classes[class] += 1;
            latency.sum_us += us;
            *latency.statuses.entry(status).or_default() += 1;
        }
    }

    /// What has been counted of requests, as text.
    pub(crate) fn requests_text(&self, text: &mut String) {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        head(text, "sealog_http_request_seconds", "histogram", "How long requests took, by endpoint.");
        for (endpoint, latency) in &*requests {
            let labels = format!("endpoint=\"{endpoint}\"");
            histogram(text, "sealog_http_request_seconds", &labels, &CLASSES_US, &latency.classes, latency.sum_us);
        }
        head(text, "sealog_http_requests_total", "counter", "Requests, by endpoint and status.");
        for (endpoint, latency) in &*requests {
            for (status, count) in &latency.statuses {
                let _ =
                    writeln!(text, "sealog_http_requests_total{{endpoint=\"{endpoint}\",status=\"{status}\"}} {count}");
            }
        }
    }
}

pub(crate) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

pub(crate) fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// One number with its head.
pub(crate) fn number(text: &mut String, name: &str, kind: &str, help: &str, value: u64) {
    head(text, name, kind, help);
    let _ = writeln!(text, "{name} {value}");
}

/// A histogram in seconds from classes in microseconds; the last class has no end.
pub(crate) fn histogram(text: &mut String, name: &str, labels: &str, ends_us: &[u64], classes: &[u64], sum_us: u64) {
    let separator = if labels.is_empty() { "" } else { "," };
    let mut below = 0;
    for (end, count) in ends_us.iter().zip(classes) {
        below += count;
        let _ = writeln!(text, "{name}_bucket{{{labels}{separator}le=\"{}\"}} {below}", *end as f64 / 1e6);
    }
    let all: u64 = classes.iter().sum();
    let _ = writeln!(text, "{name}_bucket{{{labels}{separator}le=\"+Inf\"}} {all}");
    let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    let _ = writeln!(text, "{name}_sum{braces} {}", sum_us as f64 / 1e6);
    let _ = writeln!(text, "{name}_count{braces} {all}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_add_up() {
        let mut text = String::new();
        histogram(&mut text, "x_seconds", "", &[500, 1_000], &[1, 2, 3], 2_500_000);
        let expected = "x_seconds_bucket{le=\"0.0005\"} 1\nx_seconds_bucket{le=\"0.001\"} 3\n\
                        x_seconds_bucket{le=\"+Inf\"} 6\nx_seconds_sum 2.5\nx_seconds_count 6\n";
        assert_eq!(text, expected);
    }
}
