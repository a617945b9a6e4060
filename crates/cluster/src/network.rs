//! A network of a cluster's own: each node in a namespace, with an address of its own, on one bridge that the host can
//! reach as well. Existing interfaces are never touched.
//!
//! Names and aliases hold who made them, as those of control groups do, so that leftovers are told without a note.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base::limits::NODE_ASK_MS;

use crate::Result;
use crate::error::Error;
use crate::groups::{hash, owner};
use crate::process::Identity;
use crate::spawn::{Spec, run};
use crate::topology::Network as Wanted;

const INTERFACES: &str = "/sys/class/net";
const NAMESPACES: &str = "/run/netns";
/// Networks are `10.213.N.0/24`.
const NETWORK: [u8; 2] = [10, 213];
/// The host's own number on the bridge.
const HOST: u8 = 1;
const TRIES_MAX: usize = 20;
/// The first node's.
const FIRST_NODE: usize = 10;

/// The bridge, and what a packet on its way is to suffer.
pub(crate) struct Network {
    bridge: String,
    third: u8,
    prefix: String,
    short: String,
    delay: Vec<String>,
}

/// One node's end of it; gone when removed or dropped.
pub(crate) struct Link {
    /// Kept as long as any node is on it.
    _network: Arc<Network>,
    namespace: String,
    /// The host's end, in the bridge.
    device: String,
    pub ip: IpAddr,
}

impl Network {
    /// `known` is the number that an earlier run in `dir` had: programs note addresses among their data.
    pub fn make(dir: &Path, wanted: &Wanted, known: Option<u8>) -> Result<Network> {
        if !rustix::process::getuid().is_root() {
            return Err(Error::Refused("network.namespaces needs root".into()));
        }
        let own = Identity::own().ok_or_else(|| Error::Refused("/proc does not show this process".into()))?;
        sweep();
        let short = format!("{:08x}", hash(dir) ^ own.pid.rotate_left(16));
        let prefix = format!("pando.{}.{}.{short}", own.pid, own.start);
        let bridge = format!("pd{short}");
        ip(&["link", "add", &bridge, "type", "bridge"])?;
        let mut network = Network { bridge, third: 0, prefix, short, delay: delay(wanted) };
        let bridge = network.bridge.clone();
        let bridge = bridge.as_str();
        ip(&["link", "set", bridge, "alias", &network.prefix])?;
        network.third = choose(bridge, known)?;
        if known.is_some_and(|known| known != network.third) {
            tracing::warn!(
                "the network of the last run is taken: what noted its addresses does not find them"
            );
        }
        ip(&["link", "set", bridge, "up"])?;
        if !network.delay.is_empty() {
            // Asked of a device that nothing depends on yet, before anything is started.
            network.delay_on(bridge)?;
            tc(&["qdisc", "del", "dev", bridge, "root"])?;
        }
        Ok(network)
    }

    /// The N of its `10.213.N.0/24`.
    pub fn number(&self) -> u8 {
        self.third
    }

    fn address(&self, last: u8) -> IpAddr {
        address(self.third, last)
    }

    /// A namespace for the node of this name, which is number `n` of all.
    pub fn link(self: &Arc<Self>, node: &str, n: usize) -> Result<Link> {
        let last = u8::try_from(FIRST_NODE + n)
            .map_err(|_| Error::Refused("a network has 200 nodes at most".into()))?;
        let link = Link {
            _network: self.clone(),
            namespace: format!("{}.{node}", self.prefix),
            device: format!("pv{}{n:02}", self.short),
            ip: self.address(last),
        };
        let (namespace, device) = (link.namespace.as_str(), link.device.as_str());
        ip(&["netns", "add", namespace])?;
        ip(&["link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", namespace])?;
        ip(&["link", "set", device, "alias", namespace])?;
        ip(&["link", "set", device, "master", &self.bridge, "up"])?;
        ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        ip(&["-n", namespace, "addr", "add", &format!("{}/24", link.ip), "dev", "eth0"])?;
        ip(&["-n", namespace, "link", "set", "eth0", "up"])?;
        self.delay_on(device)?;
        Ok(link)
    }

    /// On the way to a node, so that each packet between two nodes meets it once.
    fn delay_on(&self, device: &str) -> Result<()> {
        if self.delay.is_empty() {
            return Ok(());
        }
        let mut args = vec!["qdisc", "add", "dev", device, "root", "netem"];
        args.extend(self.delay.iter().map(String::as_str));
        tc(&args).map(drop).map_err(|error| match error {
            Error::Program { said, .. } if said.contains("kind is unknown") => Error::Refused(
                "network.latency_ms, jitter_ms and loss_percent need the kernel's netem (sch_netem), which this kernel \
                 does not have: leave them out here"
                    .into(),
            ),
            other => other,
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = ip(&["link", "del", &self.bridge]);
    }
}

impl Link {
    /// The file through which a process enters the namespace.
    pub fn entrance(&self) -> PathBuf {
        Path::new(NAMESPACES).join(&self.namespace)
    }

    /// Nothing goes in or out, and nobody is told.
    pub fn cut(&self) -> Result<()> {
        ip(&["link", "set", &self.device, "down"]).map(drop)
    }

    pub fn heal(&self) -> Result<()> {
        ip(&["link", "set", &self.device, "up"]).map(drop)
    }

    /// Once all processes in it have ended.
    pub fn remove(&self) {
        // The pair of devices goes with either end; the namespace may be held a little longer.
        let _ = ip(&["link", "del", &self.device]);
        if self.entrance().exists() {
            let _ = ip(&["netns", "del", &self.namespace]);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.entrance().exists() {
            self.remove();
        }
    }
}

/// Removes what those that are gone have left.
pub(crate) fn sweep() {
    let names = |dir: &str| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok())
    };
    let left = |name: &str| owner(name).is_some_and(|owner| !owner.is_alive());
    for name in names(NAMESPACES).filter(|name| left(name)) {
        let _ = ip(&["netns", "del", &name]);
    }
    for name in names(INTERFACES) {
        let alias = std::fs::read_to_string(format!("{INTERFACES}/{name}/ifalias")).unwrap_or_default();
        if left(alias.trim()) {
            let _ = ip(&["link", "del", &name]);
        }
    }
}

fn address(third: u8, last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(NETWORK[0], NETWORK[1], third, last))
}

/// Gives the bridge an address in a network that is nobody else's.
fn choose(bridge: &str, known: Option<u8>) -> Result<u8> {
    let none = || Error::Refused("no network 10.213.N.0/24 is free".into());
    for n in 0..TRIES_MAX {
        let from = known.filter(|_| n == 0).unwrap_or_else(|| RandomState::new().hash_one(bridge) as u8);
        let taken = ip(&["-o", "-4", "addr", "show"])? + &ip(&["-4", "route", "show", "table", "all"])?;
        let third = free(&taken, from).ok_or_else(none)?;
        let own = format!("{}/24", address(third, HOST));
        ip(&["addr", "add", &own, "dev", bridge])?;
        // Another one that started at the same moment may have chosen the same: then both choose again.
        if ip(&["-o", "-4", "addr", "show"])?.matches(&own).count() == 1 {
            return Ok(third);
        }
        ip(&["addr", "del", &own, "dev", bridge])?;
    }
    Err(none())
}

/// A network that no address and no route of the host touches, looked for from a number on.
fn free(taken: &str, from: u8) -> Option<u8> {
    let all = (0..=255).map(|n: u8| from.wrapping_add(n)).filter(|third| (1..255).contains(third));
    let is_free = |third: &u8| !taken.contains(&format!("{}.{}.{third}.", NETWORK[0], NETWORK[1]));
    all.into_iter().find(is_free)
}

fn delay(wanted: &Wanted) -> Vec<String> {
    let mut words = Vec::new();
    if wanted.latency_ms > 0.0 {
        words.extend(["delay".to_owned(), format!("{}ms", wanted.latency_ms)]);
        if wanted.jitter_ms > 0.0 {
            words.push(format!("{}ms", wanted.jitter_ms));
        }
    }
    if wanted.loss_percent > 0.0 {
        words.extend(["loss".to_owned(), format!("{}%", wanted.loss_percent)]);
    }
    words
}

fn ip(args: &[&str]) -> Result<String> {
    tool("ip", args)
}

fn tc(args: &[&str]) -> Result<String> {
    tool("tc", args)
}

fn tool(name: &str, args: &[&str]) -> Result<String> {
    let program = crate::programs::on_path(name)
        .ok_or_else(|| Error::Missing(vec![format!("{name} (apt-get install iproute2)")]))?;
    let outcome =
        run(&Spec::new(program, "/").args(args.iter().copied()), Duration::from_millis(NODE_ASK_MS));
    outcome.map_err(|error| match error {
        Error::Program { what, said } => {
            Error::Program { what: format!("{name} {}: {what}", args.join(" ")), said }
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_others_are_left_alone() {
        assert_eq!(free("", 1), Some(1));
        let taken = "4: pd1 inet 10.213.1.1/24 brd\nblackhole 10.213.2.0/24 dev x\n";
        assert_eq!(free(taken, 1), Some(3));
        assert_eq!(free(taken, 255), Some(3));
    }

    #[test]
    fn delays_are_spelt_as_tc_reads_them() {
        let wanted = |latency_ms, jitter_ms, loss_percent| {
            delay(&Wanted { namespaces: true, latency_ms, jitter_ms, loss_percent }).join(" ")
        };
        assert_eq!(wanted(0.0, 0.0, 0.0), "");
        assert_eq!(wanted(2.5, 1.0, 0.1), "delay 2.5ms 1ms loss 0.1%");
        assert_eq!(wanted(0.0, 0.0, 5.0), "loss 5%");
    }

    /// Needs root and a kernel with namespaces, which not every place has.
    #[test]
    fn a_node_is_reached_cut_off_and_reached_again() {
        let made = Network::make(Path::new("/a"), &Wanted { namespaces: true, ..Wanted::default() }, None);
        let network = match made {
            Ok(network) => Arc::new(network),
            Err(error) => return println!("skipped: {error}"),
        };
        let link = network.link("web-1", 0).unwrap();
        let mut sleep = std::process::Command::new("nsenter");
        let net = format!("--net={}", link.entrance().display());
        let mut sleep = sleep.args([net.as_str(), "--", "sleep", "60"]).spawn().unwrap();
        // A refused connection is an answer of the node; none at all is a cut.
        let ask = || {
            let wait = Duration::from_millis(300);
            let answer = std::net::TcpStream::connect_timeout(&(link.ip, 9).into(), wait);
            answer.map(drop).map_err(|error| error.kind())
        };
        let refused = Err(std::io::ErrorKind::ConnectionRefused);
        let until = std::time::Instant::now() + Duration::from_secs(20);
        while ask() != refused {
            assert!(std::time::Instant::now() < until, "{:?}", ask());
        }
        link.cut().unwrap();
        assert_ne!(ask(), refused);
        link.heal().unwrap();
        while ask() != refused {
            assert!(std::time::Instant::now() < until, "{:?}", ask());
        }
        sleep.kill().unwrap();
        sleep.wait().unwrap();
        let (bridge, entrance) = (network.bridge.clone(), link.entrance());
        drop((link, network));
        assert!(!entrance.exists() && !Path::new(INTERFACES).join(bridge).exists());
    }
}
