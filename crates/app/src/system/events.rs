//! What happened to the system: written down by whoever knows it, told by any process, kept for a while.

use std::time::Duration;

use base::limits::{PULSE_WRITE_MS, SYSTEM_EVENTS_MAX, SYSTEM_EVENTS_MS, SYSTEM_EVENTS_PAGE_MAX};
use base::{Kind, Value};
use query::select::SortKey;
use query::{Batch, Column, ColumnType, Expr, Op, Operator, Select, Sort};
use serde_json::Value as Json;

use super::{EVENTS, column, compare, first, number};
use crate::error::Result;
use crate::parts::Parts;

/// One of them. The kinds are a closed set, which clients put in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: String,
    /// Milliseconds since 1970.
    pub at: i64,
    pub kind: String,
    /// The element that it is about; empty for the whole.
    pub element: String,
    /// What else is known: an object.
    pub detail: Json,
}

pub const NODE_CAME: &str = "node.came";
pub const NODE_LEFT: &str = "node.left";
pub const NODE_LOST: &str = "node.lost";
pub const NODE_DRAINED: &str = "node.drained";
pub const NODE_UNDRAINED: &str = "node.undrained";
pub const EDGE_PURGED: &str = "edge.purged";
pub const FAILOVER: &str = "database.failover";
pub const REPLICA_OUT: &str = "replica.out";
pub const REPLICA_IN: &str = "replica.in";
pub const SCHEMA_CHANGED: &str = "schema.changed";
pub const SETTINGS_CHANGED: &str = "settings.changed";
pub const BACKUP_DONE: &str = "backup.done";
pub const BACKUP_FAILED: &str = "backup.failed";
pub const DATA_MOVED: &str = "data.moved";
pub const ALERT_FIRED: &str = "alert.fired";
pub const ALERT_RESOLVED: &str = "alert.resolved";

/// Notes what happened. That it cannot be noted changes nothing of what did.
pub async fn tell(parts: &Parts, kind: &str, element: &str, detail: Json) {
    let id = base::id::ordered(parts.clock.now());
    tell_once(parts, &id, kind, element, detail).await;
}

/// The same, for what several processes, or one twice, may come to know: the first who tells is heard.
pub(super) async fn tell_once(parts: &Parts, id: &str, kind: &str, element: &str, detail: Json) {
    let values = vec![
        ("at".into(), number(parts.clock.now().0)),
        ("kind".into(), Value::from(kind)),
        ("element".into(), Value::from(element)),
        ("detail".into(), Value::from(detail.to_string())),
    ];
    let written = parts.system.store.commit(first(EVENTS, id, values));
    match tokio::time::timeout(Duration::from_millis(PULSE_WRITE_MS), written).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) if error.kind() == Kind::Conflict => {}
        Ok(Err(error)) => tracing::warn!(kind, element, %error, "an event of the system was not noted"),
        Err(_) => tracing::warn!(kind, element, "an event of the system was not noted in time"),
    }
}

/// The newest first, after that time (ms), of these kinds (all when there are none).
pub async fn list(parts: &Parts, since: i64, kinds: &[&str], limit: u64) -> Result<Vec<Event>> {
    let columns = [
        ("id", ColumnType::Id),
        ("at", ColumnType::Number),
        ("kind", ColumnType::Text),
        ("element", ColumnType::Text),
        ("detail", ColumnType::Text),
    ];
    let columns = columns.into_iter().map(|(name, ty)| Column::new(name, ty)).collect();
    let mut select = Select::table(EVENTS, columns).limit(limit.min(SYSTEM_EVENTS_PAGE_MAX));
    select = select.filter(compare("at", Operator::Gt, since));
    if !kinds.is_empty() {
        let values = kinds.iter().map(|kind| Value::from(*kind)).collect();
        select = select.filter(Expr::In { left: column("kind", ColumnType::Text), values });
    }
    let by = |name, ty| Sort { by: SortKey::Operand(column(name, ty)), descending: true };
    select.sort = vec![by("at", ColumnType::Number), by("id", ColumnType::Id)];
    let rows = parts.system.store.select(&select).await?;
    let event = |row: &query::Row| Event {
        id: row.get(0).text_or_empty().into(),
        at: row.get(1).as_number() as i64,
        kind: row.get(2).text_or_empty().into(),
        element: row.get(3).text_or_empty().into(),
        detail: serde_json::from_str(row.get(4).text_or_empty()).unwrap_or_default(),
    };
    Ok(rows.iter().map(event).collect())
}

/// Deletes those past their time, and the oldest of too many.
pub(super) async fn sweep(parts: &Parts) -> Result<()> {
    let store = &parts.system.store;
    let old = compare("at", Operator::Lt, parts.clock.now().0 - SYSTEM_EVENTS_MS);
    store.commit(Batch::op(Op::DeleteWhere { table: EVENTS.into(), filter: old })).await?;
    super::history::drop_oldest(store, EVENTS, Expr::Const(true), SYSTEM_EVENTS_MAX).await
}
