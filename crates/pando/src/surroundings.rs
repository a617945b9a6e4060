//! What the process tells of itself and of what it is connected to, by its configuration.

use std::sync::Arc;

use app::system::{Around, Own, Probe, System};
use base::Timestamp;
use store::Store;

use crate::assemble::{Purpose, own_address};
use crate::config::Config;
use crate::probes;

pub fn system(config: &Config, purpose: Purpose, store: Store, now: Timestamp) -> System {
    let role = match purpose {
        Purpose::Serve | Purpose::Command => "serve",
        Purpose::Web => "web",
        Purpose::Worker => "worker",
    };
    let address = own_address(config, purpose);
    let own = Own {
        key: key(config, purpose, &address),
        name: config.node_name(),
        role,
        address: match config.announce.address.as_str() {
            "" => address,
            announced => announced.to_owned(),
        },
        zone: config.node.zone.clone(),
        region: config.node.region.clone(),
        started: now.0,
    };
    let probes: Vec<Arc<dyn Probe>> = match purpose {
        Purpose::Command => Vec::new(),
        _ => probes::of(config),
    };
    System::new(own, around(config), store, probes)
}

/// The name that somebody chose; else that of the machine, and of processes that share a machine also the port.
fn key(config: &Config, purpose: Purpose, address: &str) -> String {
    if !config.node.name.is_empty() {
        return config.node.name.clone();
    }
    let system = rustix::system::uname();
    let machine = system.nodename().to_string_lossy();
    match (purpose, address.rsplit_once(':')) {
        (Purpose::Web | Purpose::Worker, Some((_, port))) => format!("{machine}-{port}"),
        _ => machine.into_owned(),
    }
}

fn around(config: &Config) -> Around {
    let bucket = &config.files.s3;
    Around {
        hosts: hosts(&config.data.url),
        files: match bucket.endpoint.is_empty() {
            true => config.dir.join("storage").display().to_string(),
            false => format!("{}/{}", bucket.endpoint, bucket.bucket),
        },
        bus: hosts(&config.bus.url).join(","),
        cache: hosts(&config.cache.redis.url).join(","),
        broker: config.has_broker(),
    }
}

/// Hosts and ports of an address that may name several, without users and passwords.
fn hosts(url: &str) -> Vec<String> {
    let parts = url.split(',').filter(|part| !part.trim().is_empty()).map(|part| {
        let rest = part.split_once("://").map_or(part, |(_, rest)| rest);
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        authority.rsplit_once('@').map_or(authority, |(_, host)| host).trim().to_owned()
    });
    parts.filter(|host| !host.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_without_secrets() {
        for (url, found) in [
            ("", &[][..]),
            ("postgres://u:p@a:1/db", &["a:1"]),
            ("postgres://u:p@a:1,b:2/db?x=y", &["a:1", "b:2"]),
            ("nats://u:p@a:1, tls://b:2", &["a:1", "b:2"]),
            ("redis://:p@c:6379/0", &["c:6379"]),
        ] {
            assert_eq!(hosts(url), found, "{url}");
        }
    }
}
