//! Where on the machine each node runs: its share of the processor, and its network.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Result;
use crate::error::Error;
use crate::groups::{Group, Groups};
use crate::network::{Link, Network};
use crate::spawn::Place;
use crate::topology::{Share, Topology};

/// Makes a place for each node of a cluster.
pub(crate) struct Sites {
    groups: Option<Groups>,
    network: Option<Arc<Network>>,
    /// How many have been given away.
    given: Cell<usize>,
}

/// One node's.
#[derive(Default)]
pub(crate) struct Site {
    group: Option<Group>,
    link: Option<Link>,
}

/// One node before it is known what it runs: what it is called, and where it is found.
pub(crate) struct Spot {
    pub name: String,
    /// Its private directory.
    pub dir: PathBuf,
    pub address: SocketAddr,
    pub site: Site,
}

/// What is to be kept as long as a node may be started, and taken away at its end.
#[derive(Default)]
pub(crate) struct Ground {
    pub group: Option<Group>,
    pub link: Option<Link>,
}

impl Sites {
    /// `known` is the number of the network that an earlier run had.
    pub fn new(topology: &Topology, dir: &Path, known: Option<u8>) -> Result<Sites> {
        let groups = match Groups::find(dir) {
            Ok(groups) => Some(groups),
            Err(error) if topology.is_limited() => {
                return Err(Error::Refused(format!(
                    "the topology limits processors (cpu, cpus), and this process may not: {error}. Be root, or leave \
                     the limits out with --no-limits"
                )));
            }
            // Without limits they only count, which is no reason not to start.
            Err(error) => {
                tracing::debug!(%error, "processor time is not counted by node");
                None
            }
        };
        let wanted = &topology.network;
        let network = wanted.namespaces.then(|| Network::make(dir, wanted, known)).transpose()?.map(Arc::new);
        Ok(Sites { groups, network, given: Cell::new(0) })
    }

    /// The number of the network, if there is one.
    pub fn network(&self) -> Option<u8> {
        self.network.as_ref().map(|network| network.number())
    }

    pub fn find(&self, node: &str, share: &Share) -> Result<Site> {
        let group = self.groups.as_ref().map(|groups| groups.make(node, share)).transpose()?;
        let n = self.given.replace(self.given.get() + 1);
        let link = self.network.as_ref().map(|network| network.link(node, n)).transpose()?;
        Ok(Site { group, link })
    }
}

impl Site {
    /// Its own address, if it has one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.link.as_ref().map(|link| link.ip)
    }

    /// How a program gets there, and what that stands on.
    pub fn take(self) -> (Place, Ground) {
        let groups = self.group.as_ref().map(Group::entrances).unwrap_or_default();
        let namespace = self.link.as_ref().map(Link::entrance);
        (Place { groups, namespace }, Ground { group: self.group, link: self.link })
    }
}

impl Ground {
    pub fn clear(&self) {
        if let Some(group) = &self.group {
            group.remove();
        }
        if let Some(link) = &self.link {
            link.remove();
        }
    }
}
