//! What a history says of availability: counts, errors, latencies and the longest time without a success.

use std::collections::BTreeMap;

use super::history::{Event, History, Instant, Outcome};

/// Requests of one kind within a span of time.
#[derive(Clone, Debug, Default)]
pub struct Share {
    pub done: usize,
    pub refused: usize,
    /// Those that failed, by why.
    pub failed: BTreeMap<String, usize>,
    /// Nodes that did not answer before another did.
    pub retries: usize,
    /// The longest time between two successes, or between one and an end of the span, in milliseconds.
    pub gap_ms: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Share {
    pub fn failures(&self) -> usize {
        self.failed.values().sum()
    }
}

/// What ended within the span, reads or writes.
pub fn share(history: &History, writes: bool, span: std::ops::Range<Instant>) -> Share {
    let of = |event: &&Event| event.action.is_write() == writes && span.contains(&event.end);
    let mut events: Vec<&Event> = history.events.iter().filter(of).collect();
    events.sort_by_key(|event| event.end);
    let mut share = Share::default();
    let mut latencies = Vec::new();
    let mut last = span.start;
    let mut gap = 0;
    for event in events {
        share.retries += event.retries;
        match &event.outcome {
            Outcome::Done => share.done += 1,
            Outcome::Refused(_) => share.refused += 1,
            Outcome::Unknown(why) => {
                *share.failed.entry(why.to_string()).or_default() += 1;
                continue;
            }
        }
        latencies.push(event.end - event.asked);
        gap = gap.max(event.end - last);
        last = event.end;
    }
    latencies.sort();
    share.gap_ms = ms(gap.max(span.end.saturating_sub(last)));
    share.p50_ms = percentile(&latencies, 0.5);
    share.p99_ms = percentile(&latencies, 0.99);
    share
}

fn ms(nanoseconds: Instant) -> f64 {
    nanoseconds as f64 / 1e6
}

fn percentile(sorted: &[Instant], part: f64) -> f64 {
    let at = ((sorted.len() as f64 * part) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, |value| ms(*value))
}
