//! One process looks after the whole: it counts what is everybody's, notes what happened to others, and keeps what is stored
//! small. Which one it is, a lease says; two at once do no harm.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::Value;
use base::limits::{PULSE_SILENT_MS, PULSE_STEPS_S, PULSE_SWEEP_MS, PULSE_WRITE_MS, SYSTEM_LEAD_MS};
use query::claim::Action;
use query::{Assign, Batch, Claim, Column, ColumnType, Expr, Op, Operator};
use serde_json::json;

use super::picture::State;
use super::{column, compare, events, first, history, number, present};
use crate::alerts::Evaluator;
use crate::error::Result;
use crate::figures;
use crate::parts::Parts;

#[derive(Default)]
pub(super) struct Watch {
    leads: bool,
    swept: Option<Instant>,
    /// What a process wrote last, and since when that is all it did.
    heard: HashMap<String, (i64, Instant)>,
    known: Option<Known>,
    /// What was told of what operators did.
    told: HashSet<String>,
    /// Front doors, and whether they do not answer.
    doors: HashMap<String, bool>,
    alerts: Evaluator,
}

/// What things were when they were looked at last.
#[derive(PartialEq, Default)]
struct Known {
    collections: BTreeMap<String, (String, String)>,
    schema: u64,
    primary: Option<String>,
    replicas: BTreeMap<String, bool>,
}

impl Watch {
    pub async fn tick(&mut self, parts: &Arc<Parts>) {
        let led = self.leads;
        self.leads = match lead(parts).await {
            Ok(leads) => leads,
            Err(error) => {
                tracing::debug!(
                    details = error.details,
                    "it cannot be told who looks after the system: {error}"
                );
                false
            }
        };
        if !self.leads {
            *self = Watch { swept: self.swept, ..Watch::default() };
            return;
        }
        if !led {
            self.heard.clear();
        }
        figures::sample_all(parts).await;
        self.note_changes(parts).await;
        if let Err(error) = self.note_lost(parts).await {
            tracing::debug!(details = error.details, "the other processes cannot be looked at: {error}");
        }
        self.keep_for_others(parts).await;
        self.alerts.tick(parts).await;
        if self.swept.is_none_or(|swept| swept.elapsed() > Duration::from_millis(PULSE_SWEEP_MS)) {
            self.swept = Some(Instant::now());
            for swept in [history::sweep(parts).await, events::sweep(parts).await] {
                if let Err(error) = swept {
                    tracing::warn!(
                        details = error.details,
                        "old figures and events were not deleted: {error}"
                    );
                }
            }
        }
    }

    /// Points of those who cannot keep them where others find them, and whether they are still there.
    async fn keep_for_others(&mut self, parts: &Parts) {
        if parts.system.probes.is_empty() {
            return;
        }
        let picture = super::picture(parts).await;
        let row = |pulse: &super::Pulse| {
            let known = PULSE_STEPS_S.contains(&pulse.step_s).then(|| pulse.text.clone());
            known.map(|text| history::row(&pulse.key, pulse.step_s, pulse.start_s, text))
        };
        let ops: Vec<Op> = picture.pulses.iter().filter_map(row).flatten().collect();
        if !ops.is_empty() {
            let written = parts.system.store.commit(Batch { ops, ..Batch::default() });
            match tokio::time::timeout(Duration::from_millis(PULSE_WRITE_MS), written).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::debug!(%error, "figures of front doors were not written"),
                Err(_) => tracing::debug!("figures of front doors were not written in time"),
            }
        }
        self.told.retain(|id| picture.deeds.iter().any(|deed| deed.id == *id));
        for deed in &picture.deeds {
            if self.told.insert(deed.id.clone()) {
                let id = format!("deed:{}", deed.id);
                events::tell_once(parts, &id, &deed.kind, &deed.element, deed.detail.clone()).await;
            }
        }
        for door in picture.elements.iter().filter(|element| matches!(element.kind, "edge" | "balancer")) {
            let is_gone = door.state == State::Down && door.why == "no_answer";
            let before = self.doors.insert(door.id.clone(), is_gone);
            let kind = match (before, is_gone) {
                (Some(false), true) => events::NODE_LOST,
                (Some(true), false) => events::NODE_CAME,
                _ => continue,
            };
            let detail = json!({"role": door.kind, "name": door.name, "version": door.version});
            events::tell(parts, kind, &door.id, detail).await;
        }
    }

    /// Who has not written for long did not say goodbye.
    async fn note_lost(&mut self, parts: &Parts) -> Result<()> {
        let all = present::nodes(parts).await?;
        self.heard.retain(|key, _| all.iter().any(|node| node.key == *key));
        for node in all.iter().filter(|node| node.key != parts.system.own.key) {
            let now = Instant::now();
            let heard = self.heard.entry(node.key.clone()).or_insert((node.at, now));
            if heard.0 != node.at {
                *heard = (node.at, now);
            }
            if heard.1.elapsed() > Duration::from_millis(PULSE_SILENT_MS) {
                let detail = json!({"role": node.role, "name": node.name, "version": node.version});
                let id = format!("lost:{}", node.life);
                events::tell_once(parts, &id, events::NODE_LOST, &node.key, detail).await;
            }
        }
        Ok(())
    }

    async fn note_changes(&mut self, parts: &Parts) {
        let schema = parts.catalog.schema();
        let text = parts.system.read();
        let hosts = |metric| observe::pulse::labelled(&text, metric, "host");
        let collections = schema.collections.iter().map(|collection| {
            (collection.id.to_string(), (collection.name.to_string(), collection.updated.to_string()))
        });
        let now = Known {
            collections: collections.collect(),
            schema: schema.version,
            primary: hosts("pando_database_primary")
                .into_iter()
                .find(|(_, is)| *is == 1.0)
                .map(|(host, _)| host),
            replicas: hosts("pando_replica_in")
                .into_iter()
                .map(|(host, is_in)| (host, is_in == 1.0))
                .collect(),
        };
        if let Some(before) = self.known.take() {
            for (id, kind, element, detail) in changes(&before, &now) {
                match id {
                    Some(id) => events::tell_once(parts, &id, kind, &element, detail).await,
                    None => events::tell(parts, kind, &element, detail).await,
                }
            }
        }
        self.known = Some(now);
    }
}

type Change = (Option<String>, &'static str, String, serde_json::Value);

/// What must have happened between two looks.
fn changes(before: &Known, now: &Known) -> Vec<Change> {
    let mut found = Vec::new();
    if before.schema != now.schema {
        let names = |all: &BTreeMap<String, (String, String)>, other: &BTreeMap<String, (String, String)>| {
            let new = all.iter().filter(|(id, _)| !other.contains_key(*id));
            new.map(|(_, (name, _))| name.clone()).collect::<Vec<_>>()
        };
        let added = names(&now.collections, &before.collections);
        let removed = names(&before.collections, &now.collections);
        let differs = |(id, now): &(&String, &(String, String))| {
            before.collections.get(*id).is_some_and(|before| before != *now)
        };
        let changed: Vec<&String> =
            now.collections.iter().filter(differs).map(|(_, (name, _))| name).collect();
        let nothing = added.is_empty() && removed.is_empty() && changed.is_empty();
        let kind = if nothing { events::SETTINGS_CHANGED } else { events::SCHEMA_CHANGED };
        let detail = json!({"version": now.schema, "added": added, "removed": removed, "changed": changed});
        found.push((
            Some(format!("schema:{}", now.schema)).filter(|_| now.primary.is_some()),
            kind,
            String::new(),
            detail,
        ));
    }
    if let (Some(from), Some(to)) = (&before.primary, &now.primary)
        && from != to
    {
        found.push((None, events::FAILOVER, format!("database:{to}"), json!({"from": from, "to": to})));
    }
    for (host, is_in) in &now.replicas {
        let is_primary = now.primary.as_ref() == Some(host) || before.primary.as_ref() == Some(host);
        if !is_primary && before.replicas.get(host).is_some_and(|was| was != is_in) {
            let kind = if *is_in { events::REPLICA_IN } else { events::REPLICA_OUT };
            found.push((None, kind, format!("database:{host}"), json!({})));
        }
    }
    found
}

/// The row that says who.
const LEAD: &str = "lead";

/// Whether this process looks after the system from now on, or goes on to.
async fn lead(parts: &Parts) -> Result<bool> {
    if parts.store.shared().is_none() {
        return Ok(true);
    }
    let (own, now) = (parts.nodes.id(), parts.clock.now().0);
    let is = |name: &str, value: &str, ty| Expr::eq(column(name, ty), Value::from(value));
    let free = Expr::or([
        is("holder", own, ColumnType::Text),
        compare("due", Operator::Lt, now),
        // A clock that was set back.
        compare("due", Operator::Gt, now + 2 * SYSTEM_LEAD_MS),
    ]);
    let set = vec![
        ("holder".into(), Assign::Set(Value::from(&**own))),
        ("due".into(), Assign::Set(number(now + SYSTEM_LEAD_MS))),
    ];
    let claim = Claim {
        table: super::ALERTS.into(),
        columns: vec![Column::new("id", ColumnType::Id)],
        filter: Expr::and([is("id", LEAD, ColumnType::Id), free]),
        sort: Vec::new(),
        limit: Some(1),
        action: Action::Set(set),
    };
    if !parts.store.claim(&claim).await?.is_empty() {
        return Ok(true);
    }
    let values = vec![("holder".into(), Value::from(&**own)), ("due".into(), number(now + SYSTEM_LEAD_MS))];
    match parts.store.commit(first(super::ALERTS, LEAD, values)).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == base::Kind::Conflict => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_told_from_two_looks() {
        let known =
            |collections: &[(&str, &str, &str)], schema, primary: &str, replicas: &[(&str, bool)]| Known {
                collections: collections
                    .iter()
                    .map(|(id, name, updated)| ((*id).into(), ((*name).into(), (*updated).into())))
                    .collect(),
                schema,
                primary: Some(primary.into()),
                replicas: replicas.iter().map(|(host, is_in)| ((*host).into(), *is_in)).collect(),
            };
        let before = known(&[("1", "a", "t"), ("2", "b", "t")], 5, "x", &[("y", true), ("z", true)]);
        assert!(changes(&before, &before).is_empty());
        let settings = Known {
            schema: 6,
            ..known(&[("1", "a", "t"), ("2", "b", "t")], 5, "x", &[("y", true), ("z", true)])
        };
        assert_eq!(changes(&before, &settings)[0].1, events::SETTINGS_CHANGED);
        let after = known(&[("1", "a", "u"), ("3", "c", "t")], 6, "y", &[("y", false), ("z", false)]);
        let found = changes(&before, &after);
        let kinds: Vec<&str> = found.iter().map(|change| change.1).collect();
        assert_eq!(kinds, [events::SCHEMA_CHANGED, events::FAILOVER, events::REPLICA_OUT]);
        assert_eq!(found[0].3["added"], json!(["c"]));
        assert_eq!(found[0].3["removed"], json!(["b"]));
        assert_eq!(found[0].3["changed"], json!(["a"]));
        assert_eq!(found[2].2, "database:z");
    }
}
