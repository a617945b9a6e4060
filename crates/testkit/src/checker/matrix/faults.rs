//! One fault of one process, or of all of a kind: a quiet time, the fault, the mending, and a quiet time again.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use anyhow::{Context, Result, bail};
use cluster::topology::Failover;
use cluster::{Cluster, Node, Role, Standing};

use super::{PHASE_MAX, Plan, Row, whole};
use crate::checker::load::Running;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Web,
    Replica,
    /// A standby takes its place.
    Primary,
    /// The primary comes back before anybody takes its place.
    SamePrimary,
    Worker,
    /// The Redis that is asked: alone, or the primary.
    Redis,
    /// One NATS server of several, the one that leads.
    Nats,
    /// All of NATS.
    Bus,
}

impl Target {
    /// Whether every request can be answered without it, also in the moment that it goes.
    pub fn is_beside(self) -> bool {
        matches!(self, Target::Worker | Target::Redis | Target::Nats | Target::Bus)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, and later a start.
    Kill,
    /// SIGSTOP, and later SIGCONT.
    Freeze,
    /// Nothing goes in or out of its network, and later it does again.
    Cut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub target: Target,
    pub fault: Fault,
}

const TARGETS: [(Target, &str); 8] = [
    (Target::Web, "web"),
    (Target::Replica, "replica"),
    (Target::Primary, "primary"),
    (Target::SamePrimary, "same-primary"),
    (Target::Worker, "worker"),
    (Target::Redis, "redis"),
    (Target::Nats, "nats"),
    (Target::Bus, "bus"),
];
const FAULTS: [(Fault, &str); 3] = [(Fault::Kill, "kill"), (Fault::Freeze, "freeze"), (Fault::Cut, "cut")];

impl Step {
    /// Each fault of each process that the topology has.
    pub fn all(topology: &cluster::Topology) -> Vec<Step> {
        let has_replicas = topology.database.replicas > 0;
        let targets = TARGETS.iter().map(|(target, _)| *target).filter(|target| match target {
            Target::Web => true,
            Target::Replica | Target::Primary => has_replicas,
            // Patroni does not wait for it.
            Target::SamePrimary => topology.database.failover == Failover::Manual,
            Target::Worker => topology.workers.nodes > 0,
            Target::Redis => topology.redis.nodes() > 0,
            Target::Nats => topology.nats.nodes > 1,
            Target::Bus => topology.nats.nodes > 0,
        });
        let steps = targets.flat_map(|target| FAULTS.map(|(fault, _)| Step { target, fault }));
        steps.filter(|step| step.fault != Fault::Cut || topology.network.namespaces).collect()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let target = TARGETS.iter().find(|(target, _)| *target == self.target);
        let fault = FAULTS.iter().find(|(fault, _)| *fault == self.fault);
        write!(f, "{}/{}", target.map_or("", |(_, name)| name), fault.map_or("", |(_, name)| name))
    }
}

impl FromStr for Step {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Step> {
        let (target, fault) = text.split_once('/').context("a step is written target/fault")?;
        let target = TARGETS.iter().find(|(_, name)| *name == target);
        let fault = FAULTS.iter().find(|(_, name)| *name == fault);
        match (target, fault) {
            (Some((target, _)), Some((fault, _))) => Ok(Step { target: *target, fault: *fault }),
            _ => bail!("no step {text}"),
        }
    }
}

pub fn run(plan: &Plan, cluster: &Cluster, running: &Running, step: Step) -> Result<Row> {
    whole(cluster)?;
    let nodes = choose(cluster, step.target)?;
    let names: Vec<&str> = nodes.iter().map(|node| node.name()).collect();
    let names = names.join(", ");
    let start = running.now();
    more(running, plan.reads, plan.writes, "before the fault")?;
    let fault = running.now();
    let began = Clock::now();
    each(&nodes, |node| strike(node, step.fault))?;
    let automatic = cluster.topology().database.failover == Failover::Patroni;
    match step.target {
        Target::Primary => {
            if automatic {
                another_primary(cluster, &names)?;
            } else {
                std::thread::sleep(plan.operator);
                cluster.promote("any")?;
            }
            more(running, plan.reads, plan.writes, "under the new primary")?;
        }
        // Writes wait for it, and so do reads where it is alone.
        Target::SamePrimary if cluster.topology().database.replicas == 0 => {}
        Target::SamePrimary => more(running, plan.reads, 0, "without a primary")?,
        _ => more(running, plan.reads, plan.writes, "during the fault")?,
    }
    std::thread::sleep(plan.lasts.saturating_sub(began.elapsed()));
    let healed = running.now();
    mend(cluster, &nodes, step, running, plan)?;
    more(running, plan.reads, plan.writes, "after the fault")?;
    let is_alone = step.target == Target::SamePrimary && cluster.topology().database.replicas == 0;
    Ok(Row { is_alone, ..Row::new(step, &names, [start, fault, healed, running.now()]) })
}

fn choose(cluster: &Cluster, target: Target) -> Result<Vec<Arc<Node>>> {
    let primary = || cluster.primary();
    let node = match target {
        Target::Web => cluster.web().into_iter().next(),
        Target::Worker => cluster.workers().into_iter().next(),
        Target::Primary | Target::SamePrimary => Some(cluster.node(&primary()?)?),
        Target::Replica => {
            let primary = primary()?;
            let is_standby = |node: &&Arc<Node>| node.role() == Role::Database && node.name() != primary;
            cluster.nodes().iter().find(is_standby).cloned()
        }
        Target::Redis => Some(cluster.node(&cluster.redis_primary()?)?),
        Target::Nats => {
            let leads = |node: &cluster::NodeStatus| node.standing == Some(Standing::Leader);
            let leader = cluster.status().nodes.into_iter().find(leads);
            Some(cluster.node(&leader.context("no NATS server leads")?.name)?)
        }
        Target::Bus => return Ok(cluster.of(Role::Nats)),
    };
    Ok(vec![node.context("the topology has no such node")?])
}

/// All at once, as far as one after the other is.
fn each(nodes: &[Arc<Node>], act: impl Fn(&Node) -> Result<()> + Sync) -> Result<()> {
    std::thread::scope(|scope| {
        let acts: Vec<_> = nodes.iter().map(|node| scope.spawn(|| act(node))).collect();
        acts.into_iter().try_for_each(|done| done.join().expect("an act runs to its end"))
    })
}

fn strike(node: &Node, fault: Fault) -> Result<()> {
    match fault {
        Fault::Kill => node.kill()?,
        Fault::Freeze => node.freeze()?,
        Fault::Cut => node.cut()?,
    }
    Ok(())
}

fn mend(cluster: &Cluster, nodes: &[Arc<Node>], step: Step, running: &Running, plan: &Plan) -> Result<()> {
    // Patroni lets an old primary follow by itself.
    let is_manual = cluster.topology().database.failover == Failover::Manual;
    let is_replaced = step.target == Target::Primary && is_manual;
    each(nodes, |node| {
        match step.fault {
            Fault::Kill if is_replaced => {}
            Fault::Kill => node.restart()?,
            Fault::Freeze => node.thaw()?,
            Fault::Cut => node.heal()?,
        }
        Ok(())
    })?;
    if is_replaced {
        if step.fault != Fault::Kill {
            // For a while there are two that take themselves for the primary. The old one may get nothing.
            more(running, plan.reads, plan.writes, "beside the old primary")?;
        }
        for node in nodes {
            cluster.rejoin(node.name())?;
        }
    }
    Ok(())
}

fn another_primary(cluster: &Cluster, old: &str) -> Result<()> {
    let until = Clock::now() + PHASE_MAX;
    loop {
        let status = cluster.status();
        let is_new = |node: &cluster::NodeStatus| {
            node.name != old && node.database.is_some_and(|database| database.is_primary)
        };
        if status.nodes.iter().any(is_new) {
            return Ok(());
        }
        if Clock::now() > until {
            bail!("no standby became the primary");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn more(running: &Running, reads: usize, writes: usize, when: &str) -> Result<()> {
    let (reads_before, writes_before) = running.counts();
    if running.more(reads, writes, PHASE_MAX) {
        return Ok(());
    }
    let (reads_now, writes_now) = running.counts();
    bail!(
        "{} reads and {} writes {when} within {PHASE_MAX:?}",
        reads_now - reads_before,
        writes_now - writes_before
    )
}
