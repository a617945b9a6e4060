//! Every metric there is: what it is called, what it tells, which labels it has. Documentation is made from it, and a
//! test refuses what is kept without standing here.

use std::fmt::Write;

use metrics::Unit;

pub struct Described {
    pub name: &'static str,
    pub kind: Kind,
    pub unit: Unit,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

#[derive(Clone, Copy)]
pub enum Kind {
    Counter,
    Gauge,
    /// With its buckets' upper bounds.
    Histogram(&'static [f64]),
}

/// From what memory answers to what a client gives up on.
const SECONDS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

macro_rules! metric {
    ($kind:expr, $unit:ident, $name:literal, [$($label:literal),*], $help:literal) => {
        Described { name: $name, kind: $kind, unit: Unit::$unit, labels: &[$($label),*], help: $help }
    };
}

use Kind::{Counter, Gauge, Histogram};

pub const METRICS: &[Described] = &[
    metric!(
        Gauge,
        Count,
        "pando_build_info",
        ["version", "role", "engine"],
        "Always 1; the labels tell which version runs as what."
    ),
    metric!(
        Histogram(SECONDS),
        Seconds,
        "pando_event_loop_lag_seconds",
        [],
        "How late a timer of the event loop fires."
    ),
    metric!(
        Counter,
        Count,
        "pando_http_requests_total",
        ["route", "method", "status"],
        "Requests that were answered, by kind of route and class of status."
    ),
    metric!(
        Histogram(SECONDS),
        Seconds,
        "pando_http_request_duration_seconds",
        ["route"],
        "Time from a request's head to the head of its answer."
    ),
    metric!(Gauge, Count, "pando_http_requests_in_flight", [], "Requests that are being answered."),
    metric!(
        Gauge,
        Count,
        "pando_http_connections",
        [],
        "Open connections of clients, event streams included."
    ),
];

pub fn describe() {
    for metric in METRICS {
        let Described { name, unit, help, .. } = *metric;
        match metric.kind {
            Counter => metrics::describe_counter!(name, unit, help),
            Gauge => metrics::describe_gauge!(name, unit, help),
            Histogram(_) => metrics::describe_histogram!(name, unit, help),
        }
    }
}

/// The list for people, as Markdown.
pub fn document() -> String {
    let mut text = String::from("| metric | kind | labels | what it tells |\n| --- | --- | --- | --- |\n");
    for metric in METRICS {
        let kind = match metric.kind {
            Counter => "counter",
            Gauge => "gauge",
            Histogram(_) => "histogram",
        };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(text, "| `{}` | {kind} | {} | {} |", metric.name, labels.join(", "), metric.help);
    }
    text
}
