//! The metrics of front doors: balancers and edges.

use super::Kind::{Counter, Gauge, Histogram};
use super::{Described, SECONDS, Unit};

pub const METRICS: &[Described] = &[
    // Clients at a front door.
    metric!(Gauge, Count, "pando_front_connections", [], "Connections of clients that are open."),
    metric!(
        Counter,
        Count,
        "pando_front_handshakes_failed_total",
        [],
        "TLS handshakes that came to nothing, or took too long."
    ),
    metric!(
        Gauge,
        Seconds,
        "pando_front_certificate_expires_seconds",
        ["certificate"],
        "How long a certificate that is served is still valid; below 0 when it no longer is."
    ),
    metric!(
        Counter,
        Count,
        "pando_front_certificate_reloads_total",
        ["outcome"],
        "Changes of certificates' files: changed, or refused because they cannot be used."
    ),
    metric!(
        Counter,
        Count,
        "pando_front_acme_orders_total",
        ["outcome"],
        "Certificates that an authority granted, and orders that failed."
    ),
    // Nodes behind a front door.
    metric!(
        Counter,
        Count,
        "pando_front_node_requests_total",
        ["node", "outcome"],
        "Requests that a node was asked: its answer's class of status, or `failed` without one."
    ),
    metric!(
        Histogram(SECONDS),
        Seconds,
        "pando_front_node_seconds",
        ["node"],
        "Time from asking a node to its answer's head."
    ),
    metric!(
        Counter,
        Count,
        "pando_front_retries_total",
        ["after"],
        "Requests that were asked again: after a `failure`, or after an `answer` that sent elsewhere."
    ),
    metric!(
        Counter,
        Count,
        "pando_front_retries_refused_total",
        [],
        "Requests that were not asked again, as too many were already."
    ),
    metric!(
        Counter,
        Count,
        "pando_front_ejections_total",
        ["node"],
        "Times that a node was not asked for a while because of what it answered."
    ),
    metric!(Gauge, Count, "pando_front_nodes", ["state"], "Nodes that are `up`, `down` or `draining`."),
    metric!(
        Gauge,
        Count,
        "pando_front_node_connections",
        ["node", "state"],
        "Connections to a node: all that are `open`, and those of them that are `idle`."
    ),
    metric!(Gauge, Count, "pando_front_upgraded", [], "Open connections that changed their protocol."),
    metric!(Gauge, Bytes, "pando_edge_cache_bytes", ["tier"], "What kept answers take of memory and disk."),
    metric!(
        Gauge,
        Count,
        "pando_edge_cache_entries",
        ["tier"],
        "Answers that are kept in memory and on disk."
    ),
    metric!(
        Counter,
        Count,
        "pando_edge_cache_evictions_total",
        [],
        "Kept answers that left memory to make room."
    ),
    metric!(
        Counter,
        Count,
        "pando_edge_cache_refused_total",
        [],
        "Answers that were not kept because they would have displaced too much."
    ),
    metric!(
        Counter,
        Count,
        "pando_edge_coalesced_total",
        [],
        "Requests that waited for what another one had asked of the origin already."
    ),
    metric!(
        Counter,
        Count,
        "pando_edge_compress_made_total",
        ["coding"],
        "Codings of kept answers that the edge made by itself."
    ),
    metric!(
        Counter,
        Count,
        "pando_edge_compress_refused_total",
        ["reason"],
        "Codings that were not made or not kept, by the reason: size (it did not shrink by enough), gone (the answer was purged or replaced meanwhile), room, queue (too much was waiting), failed."
    ),
    metric!(
        Counter,
        Count,
        "pando_edge_compress_saved_bytes_total",
        [],
        "Bytes of bodies that were not sent, as the edge had compressed them."
    ),
    metric!(
        Counter,
        Count,
        "pando_edge_disk_dropped_total",
        [],
        "Answers that stayed in memory only, as the disk was busy, full or broken."
    ),
    metric!(
        Counter,
        Count,
        "pando_edge_disk_errors_total",
        [],
        "Answers that could not be written to disk, or read from it."
    ),
    metric!(
        Counter,
        Count,
        "pando_edge_disk_evictions_total",
        [],
        "Kept answers that left the disk to make room."
    ),
    metric!(Counter, Count, "pando_edge_disk_hits_total", [], "Answers that were read from disk."),
    // Edges that ask an edge.
    metric!(Counter, Count, "pando_edge_shield_asked_total", [], "Questions to a shield."),
    metric!(
        Counter,
        Count,
        "pando_edge_shield_fallbacks_total",
        ["reason"],
        "Questions that went to the nodes although there are shields: none answered (`away`), or more processes purge than a question can tell (`lives`)."
    ),
    metric!(
        Counter,
        Count,
        "pando_edge_shield_waited_total",
        [],
        "Questions of edges for which a shield waited until it had heard what they had."
    ),
    metric!(
        Counter,
        Count,
        "pando_edge_shield_behind_total",
        [],
        "Times that a shield doubted all it kept because an edge had heard of purges that did not reach it."
    ),
    metric!(Counter, Count, "pando_edge_purges_total", [], "Purges that were applied."),
    metric!(
        Counter,
        Count,
        "pando_edge_requests_total",
        ["cache"],
        "Requests by how they fared in the edge's cache: hit, stale, revalidated, expired, miss, variant, bypass, method."
    ),
    metric!(
        Counter,
        Count,
        "pando_edge_kept_bytes_total",
        [],
        "Bytes of bodies that were answered from what the edge keeps."
    ),
    metric!(
        Counter,
        Count,
        "pando_edge_not_kept_total",
        ["reason"],
        "Answers that the edge did not keep, by the reason: status, no-store, private, authorization, set-cookie, vary, no-freshness, size."
    ),
    metric!(
        Counter,
        Count,
        "pando_front_announcements_total",
        [],
        "Announcements of processes that this front door heard."
    ),
    metric!(
        Counter,
        Count,
        "pando_front_announcements_missed_total",
        [],
        "Times that announcements may have been missed, so that all that is kept must be confirmed before it is used."
    ),
    metric!(
        Gauge,
        Count,
        "pando_front_lives",
        [],
        "Processes that have announced themselves and are not forgotten."
    ),
    metric!(
        Counter,
        Count,
        "pando_front_purges_total",
        ["from"],
        "Purges, by who asked: a node that wrote, an operator, another front door."
    ),
    metric!(
        Counter,
        Count,
        "pando_front_purges_passed_total",
        ["outcome"],
        "Operators' purges that were passed on to another front door, by whether it has confirmed."
    ),
    metric!(
        Counter,
        Count,
        "pando_front_control_refused_total",
        [],
        "Requests to the control address without its secret."
    ),
    // Front doors: who is let in.
    metric!(
        Counter,
        Count,
        "pando_front_requests_total",
        ["status"],
        "Requests that a front door answered, by the class of the status, such as 2xx."
    ),
    metric!(
        Counter,
        Count,
        "pando_front_refused_total",
        ["reason"],
        "Requests that a front door refused, by what was wrong with them."
    ),
    metric!(
        Counter,
        Count,
        "pando_front_limited_total",
        ["of"],
        "Connections and requests of clients that had too many of them."
    ),
    metric!(
        Counter,
        Count,
        "pando_front_slow_total",
        ["kind"],
        "Connections that ended because a client was too slow: with a request's head, or in reading its answer."
    ),
    metric!(
        Counter,
        Count,
        "pando_front_access_log_dropped_total",
        ["reason"],
        "Lines of the access log that were lost: queue (too many at once) or disk (it could not be written)."
    ),
];
