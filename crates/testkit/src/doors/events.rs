//! What happens to a node: something that its operator planned, or something that nobody did.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use cluster::{Cluster, Node, Role, Topology};

use super::certificates::Certificates;
use super::{Load, Plan, Row};
use crate::checker::matrix;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Web,
    /// One after another.
    EveryWeb,
    Balancer,
    Edge,
    /// One after another, until clients have only balancers left.
    EveryEdge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// SIGKILL, and later a start.
    Kill,
    /// SIGSTOP, and later SIGCONT.
    Freeze,
    /// Nothing goes in or out of its network, and later it does again.
    Cut,
    /// SIGTERM, and later a start.
    Stop,
    /// Of a front door: by its successor, who takes its listeners over.
    Restart,
    /// Of front doors: another certificate, then a broken one, then a good one again, in files that are looked at.
    Certify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    pub target: Target,
    pub act: Act,
}

const TARGETS: [(Target, &str); 5] = [
    (Target::Web, "web"),
    (Target::EveryWeb, "every-web"),
    (Target::Balancer, "balancer"),
    (Target::Edge, "edge"),
    (Target::EveryEdge, "every-edge"),
];
const ACTS: [(Act, &str); 6] = [
    (Act::Stop, "stop"),
    (Act::Restart, "restart"),
    (Act::Certify, "certify"),
    (Act::Kill, "kill"),
    (Act::Freeze, "freeze"),
    (Act::Cut, "cut"),
];

impl Event {
    /// All that can happen to the nodes of a topology.
    pub fn all(topology: &Topology) -> Vec<Event> {
        let is_there = |target: &Target| match target {
            Target::Web => true,
            Target::EveryWeb => topology.web.nodes > 1,
            Target::Balancer => topology.balancers.nodes > 0,
            Target::Edge => topology.edges.nodes > 0,
            Target::EveryEdge => topology.edges.nodes > 1 && topology.balancers.nodes > 0,
        };
        let targets = TARGETS.iter().map(|(target, _)| *target).filter(is_there);
        let events = targets.flat_map(|target| ACTS.map(|(act, _)| Event { target, act }));
        events
            .filter(|event| event.act == Act::Restart || event.target != Target::EveryWeb)
            // A client cannot be told how long to wait for each of those that are silent.
            .filter(|event| !matches!(event.act, Act::Freeze | Act::Cut) || event.target != Target::EveryEdge)
            .filter(|event| event.act != Act::Certify || event.target == Target::EveryEdge)
            .filter(|event| event.act != Act::Cut || topology.network.namespaces)
            .collect()
    }

    /// Whether the node knows beforehand.
    pub fn is_planned(self) -> bool {
        matches!(self.act, Act::Stop | Act::Restart | Act::Certify)
    }

    /// How many requests of so many clients may fail for each that is struck. A node that dies takes what it was answering with it, which is one
    /// request of each client at most. One that falls silent is noticed by its silence, and each client may meet it once
    /// more before that.
    pub fn failures_max(self, clients: usize) -> usize {
        match self.act {
            Act::Stop | Act::Restart | Act::Certify => 0,
            Act::Kill => clients,
            Act::Freeze | Act::Cut => 2 * clients,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let target = TARGETS.iter().find(|(target, _)| *target == self.target);
        let act = ACTS.iter().find(|(act, _)| *act == self.act);
        write!(f, "{}/{}", target.map_or("", |(_, name)| name), act.map_or("", |(_, name)| name))
    }
}

impl FromStr for Event {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Event> {
        let (target, act) = text.split_once('/').context("an event is written target/act")?;
        let target = TARGETS.iter().find(|(_, name)| *name == target);
        let act = ACTS.iter().find(|(_, name)| *name == act);
        match (target, act) {
            (Some((target, _)), Some((act, _))) => Ok(Event { target: *target, act: *act }),
            _ => bail!("no event {text}"),
        }
    }
}

/// A quiet time, the event, and a quiet time again.
pub(super) fn run(
    plan: &Plan,
    cluster: &Cluster,
    load: &Load,
    certificates: &Certificates,
    event: Event,
) -> Result<Row> {
    matrix::whole(cluster)?;
    let role = match event.target {
        Target::Web | Target::EveryWeb => Role::Web,
        Target::Balancer => Role::Balancer,
        Target::Edge | Target::EveryEdge => Role::Edge,
    };
    let mut nodes = cluster.of(role);
    if !matches!(event.target, Target::EveryWeb | Target::EveryEdge) {
        nodes.truncate(1);
    }
    let names: Vec<&str> = nodes.iter().map(|node| node.name()).collect();
    let mut row = Row::new(event, &names);
    row.wait(load, plan, "before");
    row.fault = Instant::now();
    match event.act {
        // They all look at the same files.
        Act::Certify => {
            certificates.renew(&nodes)?;
            row.wait(load, plan, "with another certificate");
            certificates.spoil(&nodes)?;
            row.wait(load, plan, "while a certificate is broken");
        }
        act => {
            for node in &nodes {
                strike(cluster, node, act)?;
                row.wait(load, plan, "meanwhile");
            }
        }
    }
    std::thread::sleep(plan.lasts.saturating_sub(row.fault.elapsed()));
    row.mended = Instant::now();
    match event.act {
        Act::Certify => certificates.renew(&nodes)?,
        act => nodes.iter().try_for_each(|node| mend(node, act))?,
    }
    row.wait(load, plan, "afterwards");
    row.end = Instant::now();
    Ok(row)
}

fn strike(cluster: &Cluster, node: &Arc<Node>, act: Act) -> Result<()> {
    match act {
        Act::Kill => node.kill()?,
        Act::Freeze => node.freeze()?,
        Act::Cut => node.cut()?,
        Act::Stop => node.stop()?,
        Act::Restart => cluster.restart(node.name())?,
        Act::Certify => {}
    }
    Ok(())
}

fn mend(node: &Arc<Node>, act: Act) -> Result<()> {
    match act {
        Act::Kill | Act::Stop => node.restart()?,
        Act::Freeze => node.thaw()?,
        Act::Cut => node.heal()?,
        Act::Restart | Act::Certify => {}
    }
    Ok(())
}
