//! Ports for servers to listen on.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, TcpListener};

/// Below those that the system gives to outgoing connections, so that none takes a port while its server is down.
const PORTS: std::ops::Range<u16> = 12_000..32_000;
const TRIES_MAX: usize = 10_000;

pub(crate) fn is_free(ip: IpAddr, port: u16) -> bool {
    TcpListener::bind((ip, port)).is_ok()
}

/// A free port that none of `taken` is.
pub(crate) fn free(ip: IpAddr, taken: &[u16]) -> Option<u16> {
    let random = RandomState::new();
    let span = u64::from(PORTS.end - PORTS.start);
    (0..TRIES_MAX)
        .map(|n| PORTS.start + (random.hash_one(n) % span) as u16)
        .find(|port| !taken.contains(port) && is_free(ip, *port))
}
