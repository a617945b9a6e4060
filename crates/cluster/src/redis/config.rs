//! What servers and Sentinels are told in their configuration.

use std::fmt::Write;
use std::net::SocketAddr;

use super::SERVICE;

/// Where a member of a Redis Cluster notes who the others are.
pub(super) const MEMBERS: &str = "nodes.conf";
/// How long a primary is silent until it is taken to be gone. A busy machine is silent for a while, too.
const SILENT_MS: u32 = 3_000;
/// How long a failover may take until another one is tried.
const FAILOVER_MS: u32 = 10_000;
/// Sentinels that must agree that the primary is gone.
const QUORUM: u32 = 2;

/// One server as a cache: nothing is written to disk, and what was asked for least goes first.
pub(super) fn server(address: SocketAddr, memory_mb: u32) -> String {
    // Only on this machine: its own loopback, or a network that nobody else is in.
    format!(
        "bind {}\nport {}\nprotected-mode no\ndaemonize no\ndir .\nsave \"\"\nappendonly no\n\
         maxmemory {memory_mb}mb\nmaxmemory-policy allkeys-lru\n\
         repl-diskless-sync yes\nrepl-diskless-sync-delay 0\n",
        address.ip(),
        address.port()
    )
}

pub(super) fn replica(primary: SocketAddr) -> String {
    format!("replicaof {} {}\n", primary.ip(), primary.port())
}

pub(super) fn member(address: SocketAddr, bus: Option<u16>) -> String {
    let mut text = format!(
        "cluster-enabled yes\ncluster-config-file {MEMBERS}\ncluster-node-timeout {SILENT_MS}\n\
         cluster-announce-ip {}\ncluster-require-full-coverage no\n",
        address.ip()
    );
    if let Some(bus) = bus {
        let _ = writeln!(text, "cluster-port {bus}");
    }
    text
}

pub(super) fn sentinel(address: SocketAddr, primary: SocketAddr) -> String {
    format!(
        "bind {}\nport {}\nprotected-mode no\ndaemonize no\ndir .\n\
         sentinel monitor {SERVICE} {} {} {QUORUM}\n\
         sentinel down-after-milliseconds {SERVICE} {SILENT_MS}\n\
         sentinel failover-timeout {SERVICE} {FAILOVER_MS}\n\
         sentinel parallel-syncs {SERVICE} 8\n",
        address.ip(),
        address.port(),
        primary.ip(),
        primary.port()
    )
}
