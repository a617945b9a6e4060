//! The second cache tier: one Redis, a primary with replicas under Sentinels, or a Redis Cluster. Nothing of it is kept:
//! each start begins empty.

mod ask;
mod config;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::limits::NODE_START_MS;

use crate::Result;
use crate::error::{Error, tail, write};
use crate::node::{Node, Plan, Role};
use crate::programs::redis_cli;
use crate::site::Spot;
use crate::spawn::{Spec, run};
use crate::topology::{Redis, RedisMode};

pub(crate) use ask::{answers, look};

/// What Sentinels call the primary.
const SERVICE: &str = "pando";
const CONFIG: &str = "redis.conf";
const LOOK: Duration = Duration::from_millis(50);

/// Servers and Sentinels, and how they belong together.
pub(crate) struct Caches {
    pub settings: Redis,
    pub servers: Vec<Arc<Node>>,
    pub sentinels: Vec<Arc<Node>>,
}

/// Server number `number` of these addresses. `bus` is where members of a Redis Cluster talk to each other.
pub(crate) fn plan(
    program: &Path,
    settings: &Redis,
    (number, addresses, bus): (usize, &[SocketAddr], Option<u16>),
    spot: Spot,
) -> Result<Plan> {
    let address = addresses[number];
    let mut text = config::server(address, settings.memory_mb);
    match settings.mode {
        RedisMode::Sentinel if number > 0 => text += &config::replica(addresses[0]),
        RedisMode::Cluster => text += &config::member(address, bus),
        _ => {}
    }
    // A member notes who the others were, under addresses that may be others now.
    let _ = std::fs::remove_file(spot.dir.join(config::MEMBERS));
    node(program, Role::Redis, &text, spot)
}

/// A Sentinel of the primary that the first server is at the start.
pub(crate) fn plan_sentinel(program: &Path, primary: SocketAddr, spot: Spot) -> Result<Plan> {
    let text = config::sentinel(spot.address, primary);
    let mut plan = node(program, Role::Sentinel, &text, spot)?;
    plan.spec = plan.spec.args(["--sentinel"]);
    Ok(plan)
}

fn node(program: &Path, role: Role, text: &str, spot: Spot) -> Result<Plan> {
    // Written anew at each start of the topology: while it runs, the program writes to it who the primary is.
    write(&spot.dir.join(CONFIG), text)?;
    let spec = Spec::new(program, &spot.dir).args([CONFIG]);
    let address = spot.address;
    Ok(Plan::new(spot, role, spec, move || ask::answers(address)))
}

/// Where clients find them, as fred and other clients read it.
pub(crate) fn url(mode: RedisMode, servers: &[SocketAddr], sentinels: &[SocketAddr]) -> Option<String> {
    let many = |scheme: &str, addresses: &[SocketAddr], first: &str| {
        let (one, others) = addresses.split_first()?;
        let first = std::iter::once(first.to_owned()).filter(|first| !first.is_empty());
        let query: Vec<String> = first.chain(others.iter().map(|other| format!("node={other}"))).collect();
        Some(format!("{scheme}://{one}?{}", query.join("&")))
    };
    match mode {
        RedisMode::None => None,
        RedisMode::Single => servers.first().map(|address| format!("redis://{address}")),
        RedisMode::Sentinel => many("redis-sentinel", sentinels, &format!("sentinelServiceName={SERVICE}")),
        RedisMode::Cluster => many("redis-cluster", servers, ""),
    }
}

impl Caches {
    /// Starts all of them without waiting.
    pub fn start(&self) -> Result<()> {
        self.servers.iter().try_for_each(|node| node.start())
    }

    /// Until all belong together and answer.
    pub fn wait_ready(&self) -> Result<()> {
        self.servers.iter().try_for_each(|node| node.wait_ready())?;
        // They look who the replicas are when they begin, and then rarely: so the replicas are there before.
        if self.settings.mode == RedisMode::Sentinel {
            self.wait("the replicas to follow", || self.missing_replicas() == 0)?;
        }
        self.sentinels.iter().try_for_each(|node| node.start())?;
        self.sentinels.iter().try_for_each(|node| node.wait_ready())?;
        if self.settings.mode == RedisMode::Cluster {
            self.join()?;
        }
        self.wait("all to know each other", || self.is_whole())
    }

    /// Whether each server and each Sentinel knows all the others that it should.
    pub fn is_whole(&self) -> bool {
        let servers = self.servers.len();
        match self.settings.mode {
            RedisMode::None | RedisMode::Single => self.servers.iter().all(|node| node.is_ready()),
            RedisMode::Sentinel => {
                let knows = |node: &Arc<Node>| ask::sees(node.address(), servers - 1, self.sentinels.len());
                self.missing_replicas() == 0 && self.sentinels.iter().all(knows)
            }
            RedisMode::Cluster => {
                self.servers.iter().all(|node| ask::is_joined(node.address(), servers))
                    && self.missing_replicas() == 0
            }
        }
    }

    /// The primary's name; of a Redis Cluster, the first one's.
    pub fn primary(&self) -> Option<&Arc<Node>> {
        let told = self.sentinels.iter().find_map(|node| ask::primary(node.address()));
        match told {
            Some(address) => self.servers.iter().find(|node| node.address() == address),
            None => self
                .servers
                .iter()
                .find(|node| node.is_alive() && look(node.address()).is_some_and(|state| state.is_primary)),
        }
    }

    /// Replicas that there should be and that do not follow.
    fn missing_replicas(&self) -> usize {
        let mode = self.settings.mode;
        if mode != RedisMode::Sentinel && mode != RedisMode::Cluster {
            return 0;
        }
        let copies = self.settings.copies() as usize;
        let wanted =
            if mode == RedisMode::Sentinel { copies } else { self.servers.len() * copies / (1 + copies) };
        let follows = |node: &&Arc<Node>| {
            look(node.address()).is_some_and(|state| !state.is_primary && state.is_linked)
        };
        wanted.saturating_sub(self.servers.iter().filter(follows).count())
    }

    /// Makes a Redis Cluster of servers that know nothing of each other.
    fn join(&self) -> Result<()> {
        let cli = redis_cli().ok_or_else(|| Error::Missing(vec!["redis-cli".into()]))?;
        let addresses = self.servers.iter().map(|node| node.address().to_string());
        let spec = Spec::new(cli, "/").args(["--cluster", "create"]).args(addresses).args([
            "--cluster-yes",
            "--cluster-replicas",
            &self.settings.copies().to_string(),
        ]);
        run(&spec, Duration::from_millis(NODE_START_MS)).map(drop)
    }

    fn wait(&self, what: &str, is_so: impl Fn() -> bool) -> Result<()> {
        let until = Instant::now() + Duration::from_millis(NODE_START_MS);
        while !is_so() {
            let nodes = || self.servers.iter().chain(&self.sentinels);
            nodes().try_for_each(|node| node.check())?;
            if Instant::now() > until {
                let said = nodes().map(|node| format!("{}:\n{}", node.name(), tail(&node.log())));
                return Err(Error::Program {
                    what: format!("waiting for {what} took more than {NODE_START_MS} ms"),
                    said: said.collect::<Vec<_>>().join("\n"),
                });
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_as_clients_read_them() {
        let at = |ports: &[u16]| ports.iter().map(|port| ([127, 0, 0, 1], *port).into()).collect::<Vec<_>>();
        let (servers, sentinels) = (at(&[1, 2, 3]), at(&[7, 8]));
        let told = |mode| url(mode, &servers, &sentinels).unwrap();
        assert_eq!(told(RedisMode::Single), "redis://127.0.0.1:1");
        assert_eq!(
            told(RedisMode::Sentinel),
            "redis-sentinel://127.0.0.1:7?sentinelServiceName=pando&node=127.0.0.1:8"
        );
        assert_eq!(told(RedisMode::Cluster), "redis-cluster://127.0.0.1:1?node=127.0.0.1:2&node=127.0.0.1:3");
        assert_eq!(url(RedisMode::None, &servers, &[]), None);
    }
}
