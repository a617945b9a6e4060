//! The series that are kept for charts: few, chosen for each tier, each made of metrics that are kept anyway.

/// One of them.
pub struct Chosen {
    /// As the API calls it.
    pub name: &'static str,
    pub unit: &'static str,
    pub of: Of,
}

/// How a value is made of metrics.
pub enum Of {
    /// What a counter grows by in a second.
    Rate(Source),
    Gauge(Source, Fold),
    /// What a histogram was told in a second.
    Observations(Source),
    /// Of what two counters grow by together, the first one's part.
    Share(Source, Source),
    /// Of a histogram's new observations.
    Quantile(Source, f64),
}

/// How the values of several label sets become one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    Sum,
    Max,
    Min,
}

/// All label sets of a metric that have this label, if one is named.
#[derive(Clone, Copy)]
pub struct Source {
    pub metric: &'static str,
    /// As it stands in the text: `name="value"`. Empty for any.
    pub label: &'static str,
}

const fn all(metric: &'static str) -> Source {
    Source { metric, label: "" }
}

const fn with(metric: &'static str, label: &'static str) -> Source {
    Source { metric, label }
}

const fn rate(name: &'static str, unit: &'static str, source: Source) -> Chosen {
    Chosen { name, unit, of: Of::Rate(source) }
}

const fn sum(name: &'static str, unit: &'static str, source: Source) -> Chosen {
    Chosen { name, unit, of: Of::Gauge(source, Fold::Sum) }
}

const fn max(name: &'static str, unit: &'static str, source: Source) -> Chosen {
    Chosen { name, unit, of: Of::Gauge(source, Fold::Max) }
}

const fn quantile(name: &'static str, source: Source, quantile: f64) -> Chosen {
    Chosen { name, unit: "s", of: Of::Quantile(source, quantile) }
}

const fn share(name: &'static str, part: Source, rest: Source) -> Chosen {
    Chosen { name, unit: "ratio", of: Of::Share(part, rest) }
}

const REQUESTS: &str = "pando_http_requests_total";
const REQUEST_SECONDS: &str = "pando_http_request_duration_seconds";
const STORE_SECONDS: &str = "pando_store_operation_duration_seconds";
const NODE_SECONDS: &str = "pando_front_node_seconds";

/// In the order in which they are shown. A name is what rows of earlier versions call it, and is not given to anything else.
pub const CHOSEN: &[Chosen] = &[
    // The API.
    rate("http.requests", "1/s", all(REQUESTS)),
    rate("http.errors", "1/s", with(REQUESTS, "status=\"5xx\"")),
    rate("http.refused", "1/s", with(REQUESTS, "status=\"4xx\"")),
    quantile("http.p50", all(REQUEST_SECONDS), 0.5),
    quantile("http.p99", all(REQUEST_SECONDS), 0.99),
    sum("http.inFlight", "", all("pando_http_requests_in_flight")),
    sum("http.connections", "", all("pando_http_connections")),
    // The database, as this process sees it.
    Chosen { name: "store.operations", unit: "1/s", of: Of::Observations(all(STORE_SECONDS)) },
    quantile("store.p50", all(STORE_SECONDS), 0.5),
    quantile("store.p99", all(STORE_SECONDS), 0.99),
    rate("store.errors", "1/s", all("pando_store_errors_total")),
    max("store.connections", "", all("pando_store_connections")),
    max("store.connectionsMax", "", all("pando_store_connections_max")),
    max("store.connectionsWaiting", "", all("pando_store_connections_waiting")),
    sum("store.writesWaiting", "", with("pando_store_writes_waiting", "database=\"data\"")),
    sum("store.bytes", "bytes", all("pando_store_database_bytes")),
    sum("store.walBytes", "bytes", all("pando_store_wal_bytes")),
    max("replica.lag", "s", all("pando_replica_lag_seconds")),
    // Caches.
    share(
        "cache.hits",
        with("pando_cache_hits_total", "tier=\"memory\""),
        with("pando_cache_misses_total", "tier=\"memory\""),
    ),
    sum("cache.bytes", "bytes", with("pando_cache_bytes", "tier=\"memory\"")),
    sum("cache.bytesMax", "bytes", with("pando_cache_bytes_max", "tier=\"memory\"")),
    share(
        "tier.hits",
        with("pando_cache_tier_looks_total", "outcome=\"hit\""),
        with("pando_cache_tier_looks_total", "outcome=\"miss\""),
    ),
    quantile("tier.p99", all("pando_cache_tier_seconds"), 0.99),
    sum("tier.open", "", all("pando_cache_tier_open")),
    // The bus and events.
    sum("bus.connected", "", all("pando_bus_connected")),
    rate("bus.published", "1/s", all("pando_bus_published_total")),
    quantile("bus.p99", all("pando_bus_acknowledged_seconds"), 0.99),
    sum("realtime.clients", "", all("pando_realtime_clients")),
    rate("realtime.events", "1/s", all("pando_realtime_events_delivered_total")),
    // Work after the answer. What waits is counted by the process that looks after the system.
    rate("jobs.done", "1/s", with("pando_jobs_total", "outcome=\"done\"")),
    rate("jobs.failed", "1/s", with("pando_jobs_total", "outcome=\"failed\"")),
    sum("jobs.running", "", all("pando_jobs_running")),
    sum("jobs.due", "", all("pando_jobs_queue_due")),
    max("jobs.oldest", "s", all("pando_jobs_oldest_due_seconds")),
    sum("jobs.dead", "", all("pando_jobs_dead")),
    // A front door.
    rate("front.requests", "1/s", all("pando_front_requests_total")),
    rate("front.errors", "1/s", with("pando_front_requests_total", "status=\"5xx\"")),
    sum("front.connections", "", all("pando_front_connections")),
    quantile("front.p50", all(NODE_SECONDS), 0.5),
    quantile("front.p99", all(NODE_SECONDS), 0.99),
    sum("front.nodesUp", "", with("pando_front_nodes", "state=\"up\"")),
    sum("front.nodesDown", "", with("pando_front_nodes", "state=\"down\"")),
    rate("front.retries", "1/s", all("pando_front_retries_total")),
    share(
        "edge.hits",
        with("pando_edge_requests_total", "cache=\"hit\""),
        with("pando_edge_requests_total", "cache=\"miss\""),
    ),
    sum("edge.bytes", "bytes", all("pando_edge_cache_bytes")),
    Chosen {
        name: "front.certificate",
        unit: "s",
        of: Of::Gauge(all("pando_front_certificate_expires_seconds"), Fold::Min),
    },
    // The process.
    rate("process.cpu", "cores", all("process_cpu_seconds_total")),
    sum("process.memory", "bytes", all("process_resident_memory_bytes")),
    sum("process.files", "", all("process_open_fds")),
    sum("process.filesMax", "", all("process_max_fds")),
    quantile("process.lag", all("pando_event_loop_lag_seconds"), 0.99),
    // Its machine.
    sum("host.cpu", "ratio", all("pando_host_cpu_ratio")),
    sum("host.cpus", "", all("pando_host_cpus")),
    sum("host.load", "", all("pando_host_load1")),
    sum("host.memory", "bytes", all("pando_host_memory_used_bytes")),
    sum("host.memoryMax", "bytes", all("pando_host_memory_bytes")),
    sum("host.diskFree", "bytes", all("pando_host_disk_free_bytes")),
    sum("host.diskMax", "bytes", all("pando_host_disk_bytes")),
    sum("host.files", "", all("pando_host_open_files")),
    rate("host.received", "bytes/s", with("pando_host_network_bytes_total", "direction=\"in\"")),
    rate("host.sent", "bytes/s", with("pando_host_network_bytes_total", "direction=\"out\"")),
];

/// Whether there is a series of that name, and where.
pub fn position(name: &str) -> Option<usize> {
    CHOSEN.iter().position(|chosen| chosen.name == name)
}
