//! What is counted of a shared cache.

use std::time::Instant;

use crate::cache::tier::Look;

pub fn looked(look: &Look) {
    let outcome = match look {
        Look::Found(_) => "hit",
        Look::Absent => "absent",
        Look::Load(_) => "miss",
        Look::Busy => "busy",
        Look::Hidden => "hidden",
        Look::Away => "away",
    };
    metrics::counter!("pando_cache_tier_looks_total", "outcome" => outcome).increment(1);
}

pub fn waited() {
    metrics::counter!("pando_cache_tier_waits_total").increment(1);
}

pub fn filled(outcome: &'static str) {
    metrics::counter!("pando_cache_tier_fills_total", "outcome" => outcome).increment(1);
}

pub fn lifted(outcome: &'static str) {
    metrics::counter!("pando_cache_tier_lifts_total", "outcome" => outcome).increment(1);
}

pub fn called(operation: &'static str, since: Instant) {
    metrics::histogram!("pando_cache_tier_seconds", "operation" => operation)
        .record(since.elapsed().as_secs_f64());
}

pub fn left() {
    metrics::counter!("pando_cache_tier_outages_total").increment(1);
}

pub fn entered() {
    metrics::counter!("pando_cache_tier_generations_total").increment(1);
}

pub fn is_open(open: bool) {
    metrics::gauge!("pando_cache_tier_open").set(if open { 1.0 } else { 0.0 });
}
