//! The metrics of the machine that a process runs on.

use super::Kind::{Counter, Gauge};
use super::{Described, Unit};

pub const METRICS: &[Described] = &[
    metric!(
        Gauge,
        Count,
        "pando_host_cpu_ratio",
        [],
        "How much of the machine's processors was busy in the last seconds, from 0 to 1."
    ),
    metric!(Gauge, Count, "pando_host_cpus", [], "Processors of the machine."),
    metric!(
        Gauge,
        Count,
        "pando_host_load1",
        [],
        "Tasks that run or wait for a processor or a disk, over a minute."
    ),
    metric!(Gauge, Bytes, "pando_host_memory_bytes", [], "Memory of the machine."),
    metric!(Gauge, Bytes, "pando_host_memory_used_bytes", [], "What of it cannot be had without swapping."),
    metric!(
        Gauge,
        Bytes,
        "pando_host_disk_bytes",
        [],
        "Size of the disk that the data directory, with a SQLite file's write-ahead log, is on."
    ),
    metric!(Gauge, Bytes, "pando_host_disk_free_bytes", [], "What of it may still be written."),
    metric!(Gauge, Count, "pando_host_open_files", [], "Open files of the machine."),
    metric!(
        Counter,
        Count,
        "pando_host_network_bytes_total",
        ["direction"],
        "Bytes that all interfaces but the loopback received (in) and sent (out)."
    ),
];
