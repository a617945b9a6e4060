//! The store that Patroni's lease is in.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use base::limits::NODE_ASK_MS;
use rustix::process::Signal;

use crate::node::{Plan, Role};
use crate::probe;
use crate::site::Site;
use crate::spawn::Spec;

/// One of these members, of which each has a name, an address for clients and one for the others.
pub(crate) fn plan(
    program: &Path,
    number: usize,
    members: &[(String, SocketAddr, SocketAddr)],
    dir: &Path,
    site: Site,
) -> Option<Plan> {
    let (name, client, peer) = members.get(number)?.clone();
    let (place, ground) = site.take();
    let all: Vec<String> = members.iter().map(|(name, _, peer)| format!("{name}=http://{peer}")).collect();
    let spec = Spec::new(program, dir)
        .args(["--name", &name, "--data-dir", "data"])
        .args(["--listen-client-urls", &format!("http://{client}")])
        .args(["--advertise-client-urls", &format!("http://{client}")])
        .args(["--listen-peer-urls", &format!("http://{peer}")])
        .args(["--initial-advertise-peer-urls", &format!("http://{peer}")])
        .args(["--initial-cluster", &all.join(","), "--initial-cluster-state", "new"]);
    let ready = move || {
        let answer = probe::get(client, "/health", Duration::from_millis(NODE_ASK_MS));
        answer.is_some_and(|(status, _)| status == 200)
    };
    Some(Plan {
        name,
        role: Role::Etcd,
        address: client,
        monitor: None,
        https: None,
        dir: dir.to_path_buf(),
        spec: Spec { place, ..spec },
        ready: Box::new(ready),
        stop: Signal::TERM,
        data: None,
        renews: false,
        ground,
    })
}
