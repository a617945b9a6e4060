//! Where on the machine each node runs: its share of the processor, and its network.

use std::path::Path;

use crate::Result;
use crate::error::Error;
use crate::groups::{Group, Groups};
use crate::spawn::Place;
use crate::topology::{Share, Topology};

/// Makes a place for each node of a cluster.
pub(crate) struct Sites {
    groups: Option<Groups>,
}

/// One node's.
#[derive(Default)]
pub(crate) struct Site {
    group: Option<Group>,
}

impl Sites {
    pub fn new(topology: &Topology, dir: &Path) -> Result<Sites> {
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
        Ok(Sites { groups })
    }

    pub fn find(&self, node: &str, share: &Share) -> Result<Site> {
        let group = self.groups.as_ref().map(|groups| groups.make(node, share)).transpose()?;
        Ok(Site { group })
    }
}

impl Site {
    /// How a program gets there, and what is to be kept as long as it may.
    pub fn take(self) -> (Place, Option<Group>) {
        let groups = self.group.as_ref().map(Group::entrances).unwrap_or_default();
        (Place { groups, namespace: None }, self.group)
    }
}
