//! Keeping the log within a number of bytes. Neither engine tells cheaply what a table takes without what it will use again,
//! so the size is the number of entries, by what the newest of them take.

use std::sync::atomic::Ordering;

use base::Value;
use base::limits::{LOG_ROW_BYTES, LOG_SIZE_LOOK_MS, LOG_SIZE_SAMPLE_ROWS};
use query::select::SortKey;
use query::{Batch, Column, ColumnType, Expr, Op, Operand, Operator, Select, Sort};

use super::{Logs, TABLE};
use crate::error::Result;

/// Of the bound, what stays when it is passed.
const KEPT: f64 = 0.9;

/// The newest first: ids are in the order of time.
fn newest(columns: Vec<Column>) -> Select {
    let id = Operand::base("id", ColumnType::Id);
    let sort = vec![Sort { by: SortKey::Operand(id), descending: true }];
    Select { sort, ..Select::table(TABLE, columns) }
}

/// Deletes the oldest entries when there are too many, now and then.
pub(super) async fn bound(logs: &Logs, bytes_max: i64) -> Result<()> {
    let now = logs.clock.now().0;
    let is_due = (now - logs.sized.load(Ordering::Relaxed)).abs() >= LOG_SIZE_LOOK_MS;
    if bytes_max <= 0 || !is_due {
        return Ok(());
    }
    logs.sized.store(now, Ordering::Relaxed);
    let columns = vec![Column::new("message", ColumnType::Text), Column::new("data", ColumnType::Json)];
    let sample = logs.store.select(&newest(columns).limit(LOG_SIZE_SAMPLE_ROWS)).await?;
    let Some(rows) = u64::try_from(sample.len()).ok().filter(|rows| *rows > 0) else { return Ok(()) };
    let length = |value: &Value| value.as_str().map_or(0, str::len) as u64;
    let bytes: u64 = sample.iter().map(|row| length(row.get(0)) + length(row.get(1)) + LOG_ROW_BYTES).sum();
    let each = (bytes / rows).max(1);
    let count = logs.store.count(&Select::table(TABLE, Vec::new())).await?;
    if count.saturating_mul(each) <= bytes_max as u64 {
        return Ok(());
    }
    let kept = (bytes_max as f64 * KEPT / each as f64) as u64;
    let mut last = newest(vec![Column::new("id", ColumnType::Id)]).limit(1);
    last.offset = kept;
    let Some(last) = logs.store.first(&last).await? else { return Ok(()) };
    let filter = Expr::Compare {
        left: Operand::base("id", ColumnType::Id),
        op: Operator::Le,
        right: last.get(0).clone().into(),
    };
    logs.store.commit(Batch::op(Op::DeleteWhere { table: TABLE.into(), filter })).await?;
    tracing::info!(
        entries = count.saturating_sub(kept),
        "the oldest entries of the log went, as it is as large as it may be"
    );
    Ok(())
}
