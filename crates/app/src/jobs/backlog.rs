//! What waits in the queue, of all processes together.

use base::{Timestamp, Value, limits};
use query::select::SortKey;
use query::{Column, ColumnType, Expr, Operand, Select, Sort};

use super::runner::{DEAD, TABLE, due, less, number};
use super::{KINDS, Payload, QUEUE, UNKNOWN};
use crate::error::Result;
use crate::parts::Parts;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Due jobs of every kind, together at most [`limits::JOBS_COUNTED_MAX`].
    pub due: Vec<(&'static str, u64)>,
    /// How long the oldest of them waits.
    pub oldest_ms: i64,
    /// Given up.
    pub dead: u64,
}

/// Jobs that are due, those that somebody works on aside: a lease moves their time.
pub async fn backlog(parts: &Parts) -> Result<Backlog> {
    let now = parts.clock.now().0;
    let queue = |name: &str| Expr::eq(Operand::base("queue", ColumnType::Text), Value::from(name));
    let columns = [("due", ColumnType::Number), ("created", ColumnType::Date), ("payload", ColumnType::Text)];
    let columns = columns.into_iter().map(|(name, ty)| Column::new(name, ty)).collect();
    let mut waiting = Select::table(TABLE, columns)
        .filter(queue(QUEUE))
        .filter(less(due(), number(now + 1)))
        .limit(limits::JOBS_COUNTED_MAX);
    waiting.sort = vec![Sort { by: SortKey::Operand(due()), descending: false }];
    let mut backlog = Backlog { due: KINDS.map(|kind| (kind, 0)).into(), ..Backlog::default() };
    for row in parts.store.select(&waiting).await? {
        // One that was never tried is due since it was made, and says 0.
        let since = match row.get(0).as_number() as i64 {
            0 => Timestamp::parse(row.get(1).text_or_empty()).map_or(now, |created| created.0),
            due => due,
        };
        backlog.oldest_ms = backlog.oldest_ms.max(now - since);
        let kind = Payload::read(row.get(2).text_or_empty()).map_or(UNKNOWN, |payload| payload.work.kind());
        if let Some((_, count)) = backlog.due.iter_mut().find(|(known, _)| *known == kind) {
            *count += 1;
        }
    }
    let dead = Select::table(TABLE, Vec::new()).filter(queue(DEAD));
    backlog.dead = parts.store.count(&dead).await?;
    Ok(backlog)
}
