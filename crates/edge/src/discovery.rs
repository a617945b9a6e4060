//! How a front door knows the nodes behind it: by what they announce, by names that are looked up, and by a list.

pub mod names;
pub mod registry;
mod roster;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::limits::{FRONT_RESOLVE_MS, FRONT_TICK_MS};
use parking_lot::Mutex;

use crate::announce::Announcement;
use crate::announce::heard::Heard;
use crate::upstream::{Described, Nodes};
use names::{Names, Resolver};
use registry::{Follows, Life, Member, Registry};

/// Keeps the list of nodes, and tells the cache what nodes write.
pub struct Discovery {
    registry: Mutex<Registry>,
    nodes: Nodes,
    heard: Arc<Heard>,
}

impl Discovery {
    /// `fixed` is the list of the configuration.
    pub fn new(fixed: Vec<String>, nodes: Nodes, heard: Arc<Heard>) -> Self {
        let discovery = Discovery { registry: Mutex::new(Registry::new(fixed)), nodes, heard };
        discovery.follow(Follows { changed: true, ..Follows::default() });
        discovery
    }

    /// Whom the process before this one asked: they are asked until they have announced themselves here.
    pub fn inherit(&self, addresses: &[String]) {
        self.registry.lock().inherit(Instant::now(), addresses);
        self.follow(Follows { changed: true, ..Follows::default() });
    }

    /// Those that announce themselves are listened to and not asked.
    pub fn only_hear(&self) {
        self.registry.lock().only_hear();
        self.follow(Follows { changed: true, ..Follows::default() });
    }

    /// What a process says of itself and of what it wrote.
    pub fn hear(&self, said: &Announcement) -> Result<(), &'static str> {
        let follows = self.registry.lock().hear(Instant::now(), said)?;
        metrics::counter!("pando_front_announcements_total").increment(1);
        if !said.purge.is_empty() {
            metrics::counter!("pando_front_purges_total", "from" => "node").increment(1);
        }
        if follows.gap {
            metrics::counter!("pando_front_announcements_missed_total").increment(1);
        }
        self.heard.hear(&said.life, said.position, &said.purge, follows.gap);
        self.follow(follows);
        Ok(())
    }

    /// The connection has ended on which a process spoke.
    pub fn lose(&self, life: &str, way: &str) {
        let follows = self.registry.lock().lose(life, way);
        self.follow(follows);
    }

    /// Announcements were lost, and nobody knows whose.
    pub fn missed(&self) {
        self.follow(Follows { missed: true, ..Follows::default() });
    }

    /// Takes a node out, or lets it in again. Whether there is one of that name or address.
    pub fn drain(&self, node: &str, out: bool) -> bool {
        let known = self.registry.lock().drain(node, out);
        self.follow(Follows { changed: known, ..Follows::default() });
        known
    }

    pub fn members(&self) -> Vec<Member> {
        self.registry.lock().members()
    }

    pub fn lives(&self) -> Vec<(String, Life)> {
        let registry = self.registry.lock();
        let mut lives: Vec<_> = registry.lives().map(|(id, life)| (id.to_owned(), life.clone())).collect();
        lives.sort_by(|left, right| left.0.cmp(&right.0));
        lives
    }

    /// Looks for silence, and looks names up, until `stop` completes.
    pub async fn run(&self, dns: Names, stop: impl Future<Output = ()>) {
        let look = async {
            let mut resolver = Resolver::new(dns.clone());
            while !dns.is_empty() {
                let found = resolver.look().await.into_iter().map(|address| address.to_string()).collect();
                let follows = self.registry.lock().found(found);
                self.follow(follows);
                tokio::time::sleep(Duration::from_millis(FRONT_RESOLVE_MS)).await;
            }
            std::future::pending::<()>().await;
        };
        let tick = async {
            loop {
                tokio::time::sleep(Duration::from_millis(FRONT_TICK_MS)).await;
                let follows = self.registry.lock().tick(Instant::now(), |address| self.is_well(address));
                self.follow(follows);
            }
        };
        tokio::select! {
            () = look => {}
            () = tick => {}
            () = stop => {}
        }
    }

    fn follow(&self, follows: Follows) {
        if follows.missed {
            metrics::counter!("pando_front_announcements_missed_total").increment(1);
            self.heard.doubt();
        }
        if follows.changed {
            let registry = self.registry.lock();
            metrics::gauge!("pando_front_lives").set(registry.lives().count() as f64);
            // Under the lock, so that an older list never takes the place of a newer one.
            self.nodes.update(registry.members().into_iter().map(described).collect());
        }
    }

    fn is_well(&self, address: &str) -> bool {
        self.nodes.load().iter().any(|node| node.address == address && node.is_up())
    }
}

fn described(member: Member) -> Described {
    let leaving = member.leaving || member.drained;
    Described { name: member.name, address: member.address, zone: member.zone, weight: 1, leaving }
}
