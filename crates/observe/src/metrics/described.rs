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

const SIZES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

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
        ["version", "role", "engine", "node", "zone", "region"],
        "Always 1; the labels tell which version runs as what."
    ),
    metric!(
        Histogram(SECONDS),
        Seconds,
        "pando_event_loop_lag_seconds",
        [],
        "How late a timer of the event loop fires."
    ),
    metric!(Gauge, Count, "pando_runtime_threads", [], "Threads of the event loop."),
    metric!(Gauge, Count, "pando_runtime_tasks", [], "Tasks of the event loop that have not ended."),
    metric!(Gauge, Count, "pando_runtime_queue", [], "Tasks that wait for any thread of the event loop."),
    // Requests.
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
    metric!(
        Counter,
        Count,
        "pando_http_rate_limited_total",
        [],
        "Requests that were refused because their client asked too often."
    ),
    metric!(
        Counter,
        Count,
        "pando_request_log_dropped_total",
        [],
        "Entries of the request log that were dropped because its queue was full."
    ),
    // Databases.
    metric!(
        Histogram(SECONDS),
        Seconds,
        "pando_store_operation_duration_seconds",
        ["database", "operation"],
        "Time that an operation of a database took, failed ones included."
    ),
    metric!(
        Counter,
        Count,
        "pando_store_errors_total",
        ["database", "operation", "kind"],
        "Operations that failed. Conflicts (taken, guard) are part of ordinary work."
    ),
    metric!(Gauge, Count, "pando_store_connections", ["database"], "Connections to PostgreSQL."),
    metric!(Gauge, Count, "pando_store_connections_idle", ["database"], "Those that nobody uses."),
    metric!(Gauge, Count, "pando_store_connections_waiting", ["database"], "Operations that wait for one."),
    metric!(Gauge, Count, "pando_store_connections_max", ["database"], "How many there may be."),
    metric!(Gauge, Count, "pando_database_primary", ["host"], "1 for the host that this process writes to."),
    metric!(
        Gauge,
        Count,
        "pando_database_timeline",
        [],
        "The primary's timeline; it grows with each promotion."
    ),
    metric!(
        Gauge,
        Count,
        "pando_database_fenced",
        ["host"],
        "1 for a host that takes writes on a timeline that has ended, and is left alone."
    ),
    metric!(Counter, Count, "pando_database_reads_total", ["host"], "Reads that a host of several answered."),
    metric!(
        Counter,
        Count,
        "pando_database_reads_repeated_total",
        ["host"],
        "Reads that failed on a host and were done again."
    ),
    metric!(
        Gauge,
        Count,
        "pando_replica_in",
        ["host"],
        "1 for a replica that is read from, and that writers wait for."
    ),
    metric!(
        Gauge,
        Seconds,
        "pando_replica_lag_seconds",
        ["host"],
        "How long a replica has missed what the primary has."
    ),
    metric!(
        Gauge,
        Count,
        "pando_store_writes_waiting",
        ["database"],
        "Batches that wait for the writer of a SQLite file, or are being written."
    ),
    metric!(
        Histogram(SIZES),
        Count,
        "pando_store_commit_group_size",
        ["database"],
        "Batches that shared a transaction of a SQLite file."
    ),
    metric!(Gauge, Bytes, "pando_store_database_bytes", ["database"], "Size of a SQLite file."),
    metric!(Gauge, Bytes, "pando_store_wal_bytes", ["database"], "Size of its write-ahead log."),
    metric!(Gauge, Count, "pando_collections", [], "Collections that this process knows."),
    metric!(
        Gauge,
        Count,
        "pando_schema_version",
        [],
        "The version of the schema that this process serves; the same on all nodes but for moments."
    ),
    // Caches.
    metric!(Counter, Count, "pando_cache_hits_total", ["cache"], "Looks that found what they were for."),
    metric!(
        Counter,
        Count,
        "pando_cache_misses_total",
        ["cache"],
        "Looks that found nothing, or nothing that still holds."
    ),
    metric!(Gauge, Bytes, "pando_cache_bytes", ["cache"], "What a cache holds."),
    metric!(Gauge, Bytes, "pando_cache_bytes_max", ["cache"], "What it may hold."),
    metric!(Gauge, Count, "pando_cache_entries", ["cache"], "Entries of a cache."),
    // Realtime.
    metric!(Gauge, Count, "pando_realtime_clients", [], "Clients with an open stream of events."),
    metric!(Gauge, Count, "pando_realtime_topics", [], "Different topics that somebody is subscribed to."),
    metric!(Gauge, Bytes, "pando_realtime_topics_bytes", [], "What all subscriptions' texts take."),
    metric!(
        Counter,
        Count,
        "pando_realtime_events_delivered_total",
        [],
        "Events that were given to a stream."
    ),
    metric!(
        Counter,
        Count,
        "pando_realtime_events_dropped_total",
        [],
        "Events that a client never got, because it read too slowly or was gone."
    ),
    // Work after the answer.
    metric!(
        Gauge,
        Count,
        "pando_jobs_due",
        ["kind"],
        "Due jobs that nobody works on, of all nodes together."
    ),
    metric!(Gauge, Seconds, "pando_jobs_oldest_due_seconds", [], "How long the oldest of them is due."),
    metric!(Gauge, Count, "pando_nodes", [], "Processes that serve the same database, this one included."),
    metric!(Gauge, Count, "pando_jobs_dead", [], "Jobs that were given up and are kept to be looked at."),
    metric!(Gauge, Count, "pando_jobs_running", ["kind"], "Jobs that this process works on."),
    metric!(
        Counter,
        Count,
        "pando_jobs_total",
        ["kind", "outcome"],
        "Runs of jobs: done, failed (and tried again), dead (given up), cut (by the end of the process)."
    ),
    metric!(
        Histogram(SECONDS),
        Seconds,
        "pando_job_duration_seconds",
        ["kind"],
        "Time that a run of a job took."
    ),
    metric!(
        Gauge,
        Seconds,
        "pando_cron_last_success_timestamp_seconds",
        ["cron"],
        "When this process last did what a schedule is for, in seconds since 1970."
    ),
    metric!(
        Counter,
        Count,
        "pando_mails_total",
        ["outcome"],
        "Mails that were sent, refused, or are to be tried again."
    ),
    // Processor and the outside.
    metric!(
        Gauge,
        Count,
        "pando_pool_tasks",
        ["pool"],
        "Passwords that are hashed and thumbnails that are made, those that wait included."
    ),
    metric!(
        Counter,
        Count,
        "pando_pool_refused_total",
        ["pool"],
        "Those that were refused because too many waited."
    ),
    metric!(
        Histogram(SECONDS),
        Seconds,
        "pando_pool_task_duration_seconds",
        ["pool"],
        "Time that one took, its wait aside."
    ),
    metric!(
        Histogram(SECONDS),
        Seconds,
        "pando_fetch_duration_seconds",
        ["outcome"],
        "Time that a call to the outside took."
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    const INTRODUCTION: &str = "# Metrics\n\n\
        What `/metrics` tells, in Prometheus' text format. This list is made from `crates/observe/src/metrics/described.rs`;\n\
        `PANDO_WRITE_DOCS=1 cargo test -p observe` writes it anew, and a test fails where it is not the same.\n\n\
        Besides these there are the process's own under the usual names: `process_cpu_seconds_total`,\n\
        `process_resident_memory_bytes`, `process_virtual_memory_bytes`, `process_open_fds`, `process_max_fds`,\n\
        `process_threads`, `process_start_time_seconds`.\n\n";

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            match path.extension() {
                _ if path.is_dir() => sources(&path, found),
                Some(ending) if ending == "rs" => found.push(path),
                _ => {}
            }
        }
    }

    /// Every name that what ships gives to a macro of the facade, and what stores tell of their inside.
    fn kept() -> BTreeSet<String> {
        let mut files = Vec::new();
        for part in std::fs::read_dir(root().join("crates")).unwrap().flatten() {
            sources(&part.path().join("src"), &mut files);
        }
        files.retain(|path| {
            !path.ends_with("metrics/described.rs") && !path.to_string_lossy().contains("testkit")
        });
        let mut names = BTreeSet::new();
        for file in files {
            let text = std::fs::read_to_string(file).unwrap();
            for (at, _) in text.match_indices("\"pando_") {
                let (before, name) = (text[..at].trim_end(), &text[at + 1..]);
                let name = &name[..name.find('"').unwrap_or_default()];
                let kept = ["counter!(", "gauge!(", "histogram!("].iter().any(|made| before.ends_with(made));
                if kept || name.starts_with("pando_store_") {
                    names.insert(name.to_owned());
                }
            }
        }
        names
    }

    #[test]
    fn all_that_is_kept_is_described_and_the_other_way_round() {
        let described: BTreeSet<String> = METRICS.iter().map(|metric| metric.name.to_owned()).collect();
        assert_eq!(described.len(), METRICS.len(), "one is there twice");
        assert_eq!(kept(), described);
    }

    #[test]
    fn names_tell_units() {
        for metric in METRICS {
            let name = metric.name;
            let is_counter = matches!(metric.kind, Counter);
            assert_eq!(name.ends_with("_total"), is_counter, "{name}");
            assert_eq!(name.ends_with("_seconds"), matches!(metric.unit, Unit::Seconds), "{name}");
            let bytes = name.ends_with("_bytes") || name.ends_with("_bytes_max");
            assert_eq!(bytes, matches!(metric.unit, Unit::Bytes), "{name}");
            assert!(metric.help.ends_with('.'), "{name}");
        }
    }

    #[test]
    fn the_document_lists_them_all() {
        let path = root().join("docs/metrics.md");
        let text = format!("{INTRODUCTION}{}", document());
        if std::env::var_os("PANDO_WRITE_DOCS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        assert!(
            std::fs::read_to_string(&path).unwrap_or_default() == text,
            "docs/metrics.md is of another list"
        );
    }
}
