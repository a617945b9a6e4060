//! The nodes that clients meet first: edges, which keep answers, and balancers, which spread requests.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use base::limits::NODE_ASK_MS;

use crate::node::{Plan, Role};
use crate::probe;
use crate::site::Spot;
use crate::spawn::Spec;
use crate::topology::Doors;

/// One front door before it is known what it is told.
pub(crate) struct Door {
    pub spot: Spot,
    /// Where nodes announce themselves to it.
    pub control: SocketAddr,
    pub https: Option<SocketAddr>,
}

/// What all front doors of a kind are told.
pub(crate) struct Told<'a> {
    pub pando: &'a Path,
    pub role: Role,
    pub doors: &'a Doors,
    /// Whom they ask.
    pub behind: &'a [SocketAddr],
    /// Whether others stand between them and those who announce themselves.
    pub is_apart: bool,
    /// The control addresses of those of their kind.
    pub peers: &'a [SocketAddr],
    /// Those of their kind that the others ask.
    pub shields: &'a [SocketAddr],
    /// The front doors before them, whose word on who asks is taken.
    pub before: &'a [IpAddr],
    pub secret: &'a str,
}

/// What web nodes and workers are told, so that they announce themselves.
pub(crate) fn variables(controls: &[SocketAddr], secret: &str) -> BTreeMap<String, String> {
    if controls.is_empty() {
        return BTreeMap::new();
    }
    let named = [("PANDO_ANNOUNCE_TO", urls(controls)), ("PANDO_ANNOUNCE_SECRET", secret.to_owned())];
    named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(crate) fn plan(told: &Told<'_>, door: Door) -> Plan {
    let Door { spot, control, https } = door;
    let address = spot.address;
    let word = if told.role == Role::Edge { "edge" } else { "balance" };
    let peers: Vec<SocketAddr> = told.peers.iter().copied().filter(|peer| *peer != control).collect();
    let mut spec = Spec::new(told.pando, &spot.dir)
        .args([word, "--http", &spot.address.to_string()])
        .args(told.doors.args.iter())
        .env("PANDO_NODE_NAME", &spot.name)
        .env("PANDO_FRONT_NODES", listed(told.behind, ""))
        .env("PANDO_FRONT_CONTROL", control.to_string())
        .env("PANDO_FRONT_SECRET", told.secret)
        .env("PANDO_EDGE_PEERS", urls(&peers))
        // In the directory that it works in: a socket's address is short.
        .env("PANDO_FRONT_HANDOVER", "handover");
    if !told.shields.contains(&address) {
        spec = spec.env("PANDO_EDGE_SHIELD", listed(told.shields, ""));
    }
    if let Some(https) = https {
        spec = spec
            .env("PANDO_FRONT_HTTPS", https.to_string())
            .env("PANDO_FRONT_TLS_CERTIFICATES", told.doors.certificates.join(","));
    }
    if told.is_apart {
        spec = spec.env("PANDO_FRONT_ANNOUNCED_NODES", "false");
    }
    if !told.before.is_empty() {
        let networks: Vec<String> = told.before.iter().map(|ip| format!("{ip}/32")).collect();
        spec = spec.env("PANDO_FRONT_TRUSTED", networks.join(","));
    }
    let plan = Plan::new(spot, told.role, spec.envs(&told.doors.env), move || is_ready(control));
    Plan { monitor: Some(control), https, renews: true, ..plan }
}

/// Whether it has somebody to ask, and takes requests.
pub(crate) fn is_ready(control: SocketAddr) -> bool {
    let answer = probe::get(control, "/readyz", Duration::from_millis(NODE_ASK_MS));
    answer.is_some_and(|(status, _)| status == 200)
}

fn urls(addresses: &[SocketAddr]) -> String {
    listed(addresses, "http://")
}

fn listed(addresses: &[SocketAddr], scheme: &str) -> String {
    addresses.iter().map(|address| format!("{scheme}{address}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_announces_itself_where_there_are_no_doors() {
        assert!(variables(&[], "s").is_empty());
        let controls = [([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 1).into()];
        assert_eq!(variables(&controls, "s")["PANDO_ANNOUNCE_TO"], "http://10.0.0.1:1,http://10.0.0.2:1");
    }
}
