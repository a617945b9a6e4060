//! The metrics of what is sent to collectors, and of the business.

use super::Kind::{Counter, Gauge};
use super::{Described, Unit};

pub const METRICS: &[Described] = &[
    metric!(Counter, Count, "pando_otlp_sent_total", [], "Entries of the log that a collector took."),
    metric!(
        Counter,
        Count,
        "pando_otlp_dropped_total",
        ["reason"],
        "Entries that no collector got: because too many waited (queue), or because it refused them (refused)."
    ),
    // Business figures.
    metric!(Gauge, Count, "pando_accounts", ["collection"], "Accounts of an auth collection."),
    metric!(
        Gauge,
        Count,
        "pando_accounts_active",
        ["collection", "window"],
        "Different accounts that made a request in the day, week (7 days) or month (30 days) that ends today."
    ),
    metric!(Gauge, Count, "pando_accounts_new", ["collection"], "Accounts that were made today."),
];
