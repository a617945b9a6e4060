//! A standby becomes the primary, and no acknowledged write is lost by it.
//!
//! A write counts as committed when k of the standbys have it. So the standbys stop listening to the old primary first:
//! from then on it can acknowledge nothing. When all of them but k - 1 have been reached, one of those has every
//! acknowledged write, and the most advanced one has them all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base::limits::NODE_START_MS;

use super::Databases;
use crate::Result;
use crate::error::Error;
use crate::node::Node;

/// The name that leaves the choice to the positions.
const ANY: &str = "any";
const POSITION: &str = "select greatest(coalesce(pg_last_wal_receive_lsn(), '0/0'), \
                        coalesce(pg_last_wal_replay_lsn(), '0/0')) - '0/0'::pg_lsn";
/// Two looks that far apart must agree before a position is believed to be the last one.
const SETTLE: Duration = Duration::from_millis(100);

impl Databases {
    /// Promotes `target`, or the most advanced one for `any`; returns who it is.
    pub fn promote(&self, target: &str, old: &str) -> Result<String> {
        if target != ANY && self.node(target)?.name() == old {
            return Err(Error::Refused(format!("{target} is the primary already")));
        }
        let standbys: Vec<&Arc<Node>> = self
            .others(old)
            .filter(|node| self.admin.is_true(node.address(), "select pg_is_in_recovery()"))
            .collect();
        let outcome = self.promote_one_of(&standbys, target, old);
        if outcome.is_err() {
            // As it was: they listen to the old primary again.
            let old = self.node(old)?;
            for node in standbys.iter().filter(|node| Self::is_standby(node)) {
                self.configure(node, Some(old))?;
                node.reload();
            }
        }
        outcome
    }

    fn promote_one_of(&self, standbys: &[&Arc<Node>], target: &str, old: &str) -> Result<String> {
        let needed = (self.nodes.len() - 1 + 1).saturating_sub(self.settings.synchronous.max(1) as usize);
        let needed = if self.settings.synchronous == 0 { 1 } else { needed };
        if standbys.len() < needed {
            let names: Vec<&str> = standbys.iter().map(|node| node.name()).collect();
            return Err(Error::Refused(format!(
                "only {} of the standbys answer ({}): a write that another one acknowledged could be lost, {needed} are needed",
                standbys.len(),
                names.join(", ")
            )));
        }
        for node in standbys {
            self.configure(node, None)?;
            node.reload();
        }
        for node in standbys {
            self.until(
                node,
                "to stop listening to the old primary",
                "select not exists (select from pg_stat_wal_receiver)",
            )?;
        }
        let mut positions = Vec::new();
        for node in standbys {
            positions.push((self.settled(node)?, *node));
        }
        let Some((best, leader)) = positions.iter().max_by_key(|(position, _)| *position) else {
            return Err(Error::Refused("no standby answers".into()));
        };
        let chosen = match target {
            ANY => leader,
            name => standbys
                .iter()
                .find(|node| node.name() == name)
                .ok_or_else(|| Error::Refused(format!("{name} does not answer, or is no standby")))?,
        };
        let own =
            positions.iter().find(|(_, node)| node.name() == chosen.name()).map(|(position, _)| *position);
        if own < Some(*best) {
            self.catch_up(chosen, leader, *best)?;
        }
        tracing::info!(node = chosen.name(), position = best, "promoting");
        self.ask_long(chosen, "select pg_promote(true, 50)")?;
        self.until(chosen, "the promotion", "select not pg_is_in_recovery()")?;
        self.make_slots(chosen)?;
        for node in self.others(chosen.name()) {
            self.configure(node, Some(chosen))?;
            // The old primary is asked for nothing: it may be anywhere, and comes back by a rejoin.
            if node.name() != old {
                node.reload();
            }
        }
        Ok(chosen.name().to_owned())
    }

    /// What one standby has received more than another, the other gets from it.
    fn catch_up(&self, node: &Node, leader: &Node, position: u64) -> Result<()> {
        self.ask(
            leader,
            &format!(
                "select pg_create_physical_replication_slot('{0}', true) \
                 where not exists (select from pg_replication_slots where slot_name = '{0}')",
                super::slot(node.name())
            ),
        )?;
        self.configure(node, Some(leader))?;
        node.reload();
        self.until(node, "to catch up", &format!("select ({POSITION}) >= {position}"))?;
        self.configure(node, None)?;
        node.reload();
        self.until(node, "to stop listening", "select not exists (select from pg_stat_wal_receiver)")?;
        let drop = format!("select pg_drop_replication_slot('{}')", super::slot(node.name()));
        self.ask(leader, &drop).map(std::mem::drop)
    }

    fn settled(&self, node: &Node) -> Result<u64> {
        let until = Instant::now() + Duration::from_millis(NODE_START_MS);
        let mut before = None;
        while Instant::now() < until {
            let text = self.ask(node, POSITION)?;
            let now: u64 =
                text.parse().map_err(|_| Error::Refused(format!("{} is at {text:?}", node.name())))?;
            if before == Some(now) {
                return Ok(now);
            }
            before = Some(now);
            std::thread::sleep(SETTLE);
        }
        Err(Error::Refused(format!("{} goes on replaying", node.name())))
    }

    fn ask_long(&self, node: &Node, sql: &str) -> Result<String> {
        self.admin.sql_within(node.address(), super::ADMIN, sql, Duration::from_millis(NODE_START_MS))
    }
}
