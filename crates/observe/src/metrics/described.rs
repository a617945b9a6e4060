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

mod front;
mod host;
mod insight;

use Kind::{Counter, Gauge, Histogram};

/// All of them, in the document's order.
pub fn all() -> impl Iterator<Item = &'static Described> {
    METRICS.iter().chain(front::METRICS).chain(host::METRICS).chain(insight::METRICS)
}

const METRICS: &[Described] = &[
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
    metric!(
        Gauge,
        Count,
        "pando_store_behind_records",
        ["database"],
        "Records with acknowledged updates that are not written yet (write-behind)."
    ),
    metric!(
        Gauge,
        Seconds,
        "pando_store_behind_age_seconds",
        ["database"],
        "For how long the oldest of these has waited."
    ),
    metric!(
        Counter,
        Count,
        "pando_store_behind_updates_total",
        [],
        "Updates that were acknowledged before they were written (write-behind)."
    ),
    metric!(Counter, Count, "pando_store_behind_writes_total", [], "Rows that were written of them."),
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
    // Caches. The tier tells where: in memory of the process, or in a cache that processes share.
    metric!(
        Counter,
        Count,
        "pando_cache_hits_total",
        ["cache", "tier"],
        "Looks that found what they were for."
    ),
    metric!(
        Counter,
        Count,
        "pando_cache_negative_hits_total",
        ["cache", "tier"],
        "Looks that found that there is no such thing."
    ),
    metric!(
        Counter,
        Count,
        "pando_cache_misses_total",
        ["cache", "tier"],
        "Looks that found nothing, or nothing that still holds."
    ),
    metric!(
        Counter,
        Count,
        "pando_cache_expirations_total",
        ["cache", "tier", "reason"],
        "Looks that found what holds no more: because it may have changed, or because its time was over (ttl)."
    ),
    metric!(
        Counter,
        Count,
        "pando_cache_evictions_total",
        ["cache", "tier"],
        "Entries that had to go because there was no room."
    ),
    metric!(Gauge, Bytes, "pando_cache_bytes", ["cache", "tier"], "What a cache holds."),
    metric!(Gauge, Bytes, "pando_cache_bytes_max", ["cache", "tier"], "What it may hold."),
    metric!(Gauge, Count, "pando_cache_entries", ["cache", "tier"], "Entries of a cache."),
    metric!(Counter, Count, "pando_cache_loads_total", ["cache"], "Loads of what a cache did not have."),
    metric!(
        Counter,
        Count,
        "pando_cache_loads_shared_total",
        ["cache"],
        "Looks that were answered by a load that another had begun."
    ),
    metric!(
        Counter,
        Count,
        "pando_cache_loads_refused_total",
        [],
        "Loads that were refused because too many went on for too long."
    ),
    metric!(
        Histogram(SECONDS),
        Seconds,
        "pando_cache_load_duration_seconds",
        ["cache"],
        "Time that a load took."
    ),
    metric!(
        Counter,
        Count,
        "pando_cache_tier_looks_total",
        ["outcome"],
        "Looks into the cache that processes share: hit, absent (known to be no record), miss (this process loads), busy \
         (another one does, for too long), hidden (being written) or away."
    ),
    metric!(
        Counter,
        Count,
        "pando_cache_tier_waits_total",
        [],
        "How often it was waited for a record that another process loads."
    ),
    metric!(
        Counter,
        Count,
        "pando_cache_tier_fills_total",
        ["outcome"],
        "What was loaded for the shared cache: kept, void (written meanwhile) or failed."
    ),
    metric!(
        Counter,
        Count,
        "pando_cache_tier_lifts_total",
        ["outcome"],
        "Records that were written: whole (hidden all the time), lost (hidden no more, so deleted) or failed."
    ),
    metric!(
        Histogram(SECONDS),
        Seconds,
        "pando_cache_tier_seconds",
        ["operation"],
        "How long the shared cache's servers take: look, fill, hide, lift or turn."
    ),
    metric!(
        Gauge,
        Count,
        "pando_cache_tier_open",
        [],
        "Whether this process works by the shared cache; all nodes must for it to be used."
    ),
    metric!(
        Counter,
        Count,
        "pando_cache_tier_generations_total",
        [],
        "How often this process came to the shared cache, anew or to another generation of it, which begins empty."
    ),
    metric!(
        Counter,
        Count,
        "pando_cache_tier_outages_total",
        [],
        "How often this process left the shared cache because it could not rely on it."
    ),
    // Front doors, and what processes tell them.
    metric!(
        Counter,
        Count,
        "pando_announcements_total",
        ["outcome"],
        "Announcements of this process to front doors: heard, or unheard and sent again."
    ),
    // The bus, where several processes work on one database.
    metric!(Gauge, Count, "pando_bus_connected", [], "1 while there is a connection to the bus."),
    metric!(Counter, Count, "pando_bus_published_total", [], "Changes that this process told the others of."),
    metric!(Counter, Count, "pando_bus_received_total", [], "Messages of other nodes, beacons included."),
    metric!(
        Counter,
        Count,
        "pando_bus_missed_total",
        [],
        "How often changes of others were missed: caches began anew, and realtime clients were told to."
    ),
    metric!(
        Counter,
        Count,
        "pando_bus_looks_total",
        ["proofs"],
        "Looks, at every beacon, whether caches may be used: proofs that no write is unknown are good, or have ended."
    ),
    metric!(
        Histogram(SECONDS),
        Seconds,
        "pando_bus_writers_waited_seconds",
        [],
        "Time that a writer waited, after its commit, for other nodes to forget what they had cached."
    ),
    metric!(
        Histogram(SECONDS),
        Seconds,
        "pando_bus_acknowledged_seconds",
        [],
        "Time from a commit until the last of the other nodes had forgotten what it had cached of it."
    ),
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
    metric!(
        Gauge,
        Count,
        "pando_jobs_queue_due",
        ["queue"],
        "Due jobs of a queue that nobody works on, of all nodes together."
    ),
    metric!(
        Gauge,
        Count,
        "pando_jobs_queue_later",
        ["queue"],
        "Jobs of a queue that are under way, or to be done or tried again later."
    ),
    metric!(
        Gauge,
        Seconds,
        "pando_jobs_queue_oldest_due_seconds",
        ["queue"],
        "How long the oldest due job of a queue waits."
    ),
    metric!(
        Counter,
        Count,
        "pando_jobs_overtaken_total",
        [],
        "Jobs that another process had taken over when this one was to begin or had ended: they may have run twice."
    ),
    metric!(Gauge, Count, "pando_jobs_broker_up", [], "Whether the queue's NATS can be used: 1 or 0."),
    metric!(Counter, Count, "pando_jobs_relayed_total", [], "Jobs that this process handed to the broker."),
    metric!(
        Counter,
        Count,
        "pando_jobs_relayed_twice_total",
        [],
        "Jobs that the broker had already when they were handed over, and kept once."
    ),
    metric!(
        Counter,
        Count,
        "pando_jobs_stale_messages_total",
        [],
        "Messages of the broker whose job was over or handed over anew, and not run again."
    ),
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
    // Webhooks.
    metric!(Gauge, Count, "pando_webhooks", [], "Webhooks that are switched on."),
    metric!(
        Counter,
        Count,
        "pando_webhook_events_total",
        [],
        "Events that were written down for webhooks, those of failed commits included."
    ),
    metric!(
        Counter,
        Count,
        "pando_webhook_deliveries_total",
        ["outcome"],
        "Attempts to deliver: delivered, retried (failed, and tried again), failed (given up), refused (an address that may not be called), gone (the receiver wants no more)."
    ),
    metric!(
        Histogram(SECONDS),
        Seconds,
        "pando_webhook_delivery_duration_seconds",
        ["outcome"],
        "How long receivers take."
    ),
    metric!(
        Gauge,
        Count,
        "pando_webhook_deliveries_waiting",
        [],
        "Deliveries that wait for their next attempt or are being made, of all nodes together."
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
    // The application's own queues.
    metric!(Counter, Count, "pando_stream_published_total", ["stream"], "Messages that were published here."),
    metric!(
        Counter,
        Count,
        "pando_stream_delivered_total",
        ["stream"],
        "Messages that were handed to members of groups and to subscribers by this process."
    ),
    metric!(
        Counter,
        Count,
        "pando_stream_redelivered_total",
        ["stream"],
        "Those of them that a member of the group had been handed before."
    ),
    metric!(Counter, Count, "pando_stream_acked_total", ["stream"], "Messages that members acknowledged."),
    metric!(
        Counter,
        Count,
        "pando_stream_dead_total",
        ["stream"],
        "Messages that became dead letters, as they were delivered too often."
    ),
    metric!(
        Counter,
        Count,
        "pando_stream_expired_total",
        ["stream"],
        "Messages that a group had not consumed when they were too old."
    ),
    metric!(
        Gauge,
        Count,
        "pando_stream_waiting",
        ["stream", "group"],
        "Messages that wait in a group, those that are not due yet included. Of the first groups only."
    ),
    metric!(Gauge, Count, "pando_stream_in_flight", ["stream", "group"], "Those that members hold."),
    metric!(Gauge, Count, "pando_stream_dead", ["stream", "group"], "Dead letters that are kept."),
    metric!(
        Gauge,
        Seconds,
        "pando_stream_oldest_seconds",
        ["stream", "group"],
        "How long the oldest message that may be delivered waits."
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
    for metric in all() {
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
    for metric in all() {
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
mod tests;
