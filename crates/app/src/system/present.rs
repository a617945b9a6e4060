//! The processes on this database, as each tells of itself.

use std::collections::BTreeMap;

use base::Value;
use base::limits::PULSE_NODES_MAX;
use observe::pulse::chosen;
use query::{Batch, Column, ColumnType, Op, Operator, Select};
use serde::{Deserialize, Serialize};

use super::{PULSES, System, compare, number, put};
use crate::error::{Error, Result};
use crate::parts::Parts;

/// What a process writes of itself every few seconds where others may look. Fields that are missing are of an older version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Present {
    pub key: String,
    /// Another one at every start: by it others know it too.
    pub life: String,
    pub name: String,
    pub role: String,
    pub address: String,
    pub version: String,
    pub zone: String,
    pub region: String,
    /// When it began (ms).
    pub started: i64,
    /// When it wrote this (ms), by its own clock.
    pub at: i64,
    pub figures: BTreeMap<String, f64>,
}

/// This process, as of now.
pub(super) fn own(parts: &Parts) -> Present {
    let System { own, .. } = &parts.system;
    Present {
        key: own.key.clone(),
        life: parts.nodes.id().to_string(),
        name: own.name.clone(),
        role: own.role.into(),
        address: own.address.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        zone: own.zone.clone(),
        region: own.region.clone(),
        started: own.started,
        at: parts.clock.now().0,
        figures: parts.system.ring.lock().figures(),
    }
}

pub(super) fn row(present: &Present) -> [Op; 2] {
    let text = serde_json::to_string(present).unwrap_or_default();
    let values = vec![
        ("node".into(), Value::from(present.key.as_str())),
        ("step".into(), number(0)),
        ("at".into(), number(present.at)),
        ("value".into(), Value::from(text)),
    ];
    put(PULSES, &present.key, values)
}

/// All that are there or were lately, this one as it is now.
pub async fn nodes(parts: &Parts) -> Result<Vec<Present>> {
    let own = own(parts);
    let mut all = vec![own.clone()];
    if parts.store.shared().is_none() {
        return Ok(all);
    }
    let columns = vec![Column::new("value", ColumnType::Text)];
    let select =
        Select::table(PULSES, columns).filter(compare("step", Operator::Eq, 0)).limit(PULSE_NODES_MAX as u64);
    for row in parts.system.store.select(&select).await? {
        let Ok(mut other) = serde_json::from_str::<Present>(row.get(0).text_or_empty()) else { continue };
        other.figures.retain(|name, _| chosen::position(name).is_some());
        if other.key != own.key {
            all.push(other);
        }
    }
    all[1..].sort_by(|left, right| (&left.role, &left.name).cmp(&(&right.role, &right.name)));
    Ok(all)
}

/// Forgets a process that is gone for good. One that lives writes itself down again.
pub async fn forget(parts: &Parts, key: &str) -> Result<()> {
    let delete = Op::Delete { table: PULSES.into(), id: key.into(), row: None };
    let committed = parts.system.store.commit(Batch::op(delete)).await?;
    match committed.missing.is_empty() {
        true => Ok(()),
        false => Err(Error::not_found()),
    }
}
