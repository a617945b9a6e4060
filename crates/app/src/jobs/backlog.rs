//! What waits in the queues, of all processes together.

use backing::queue::{DEAD, TABLE};
use base::{Timestamp, Value, limits};
use query::select::SortKey;
use query::{Column, ColumnType, Expr, Operand, Operator, Select, Sort};

use super::{KINDS, Payload, QUEUES, UNKNOWN};
use crate::error::Result;
use crate::parts::Parts;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Of every queue.
    pub queues: Vec<Depth>,
    /// Due jobs of every kind, together at most [`limits::JOBS_COUNTED_MAX`] of each queue.
    pub due: Vec<(&'static str, u64)>,
    /// Given up.
    pub dead: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    pub queue: &'static str,
    /// Due, those that somebody works on aside: a lease moves their time.
    pub due: u64,
    /// How long the oldest of them waits.
    pub oldest_ms: i64,
    /// To be done later, or under way.
    pub later: u64,
}

impl Backlog {
    pub fn oldest_ms(&self) -> i64 {
        self.queues.iter().map(|depth| depth.oldest_ms).max().unwrap_or(0)
    }
}

pub async fn backlog(parts: &Parts) -> Result<Backlog> {
    let now = parts.clock.now().0;
    let is = |name: &str| Expr::eq(Operand::base("queue", ColumnType::Text), Value::from(name));
    let due = || Operand::base("due", ColumnType::Number);
    let compared = |op| Expr::Compare { left: due(), op, right: Value::Number(now as f64).into() };
    let mut backlog = Backlog { due: KINDS.map(|kind| (kind, 0)).into(), ..Backlog::default() };
    for queue in QUEUES {
        let columns =
            [("due", ColumnType::Number), ("created", ColumnType::Date), ("payload", ColumnType::Text)];
        let columns = columns.into_iter().map(|(name, ty)| Column::new(name, ty)).collect();
        let mut waiting = Select::table(TABLE, columns)
            .filter(is(queue))
            .filter(compared(Operator::Le))
            .limit(limits::JOBS_COUNTED_MAX);
        waiting.sort = vec![Sort { by: SortKey::Operand(due()), descending: false }];
        let mut depth = Depth { queue, ..Depth::default() };
        let rows = parts.store.select(&waiting).await?;
        for row in &rows {
            // One that was never tried goes by when it was made, whatever its head start.
            let created = Timestamp::parse(row.get(1).text_or_empty()).map_or(0, |created| created.0);
            let since = created.max(row.get(0).as_number() as i64);
            depth.oldest_ms = depth.oldest_ms.max(now - since);
            let kind =
                Payload::read(row.get(2).text_or_empty()).map_or(UNKNOWN, |payload| payload.work.kind());
            if let Some((_, count)) = backlog.due.iter_mut().find(|(known, _)| *known == kind) {
                *count += 1;
            }
        }
        depth.due = match rows.len() as u64 {
            few if few < limits::JOBS_COUNTED_MAX => few,
            _ => parts.store.count(&waiting).await?,
        };
        let later = Select::table(TABLE, Vec::new()).filter(is(queue)).filter(compared(Operator::Gt));
        depth.later = parts.store.count(&later).await?;
        backlog.queues.push(depth);
    }
    backlog.dead = parts.store.count(&Select::table(TABLE, Vec::new()).filter(is(DEAD))).await?;
    Ok(backlog)
}
