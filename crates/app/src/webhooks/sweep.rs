//! Keeps the log of deliveries within its bounds.

use base::limits::{WEBHOOK_LOG_MS, WEBHOOK_LOG_ROWS_MAX, WEBHOOK_WAITING_MAX};
use base::{Timestamp, Value};
use query::select::SortKey;
use query::{Batch, Column, ColumnType, Expr, Op, Operand, Operator, Select, Sort};

use super::DELIVERIES;
use super::log::{State, in_state, is};
use super::{attempt, change};
use crate::error::Result;
use crate::parts::Parts;

/// Deletes what is old, what is too much, and what is of webhooks that are gone. Switches those off for which too much
/// waits.
pub(crate) async fn sweep(parts: &Parts) -> Result<()> {
    let webhooks = super::all(parts).await?;
    delete(parts, change::orphans(&webhooks)).await?;
    delete(parts, older(&Timestamp(parts.clock.now().0 - WEBHOOK_LOG_MS).to_string())).await?;
    for webhook in &webhooks {
        let done =
            Expr::and([is("webhook", &webhook.id), Expr::Not(Box::new(is("state", State::Pending.name())))]);
        let created = Column::new("created", ColumnType::Date);
        let mut last = Select::table(DELIVERIES, vec![created]).filter(done.clone());
        let by = SortKey::Operand(Operand::base("created", ColumnType::Date));
        last.sort = vec![Sort { by, descending: true }];
        (last.limit, last.offset) = (Some(1), WEBHOOK_LOG_ROWS_MAX - 1);
        if let Some(row) = parts.store.first(&last).await? {
            delete(parts, Expr::and([done, older(row.get(0).text_or_empty())])).await?;
        }
        let waiting = parts.store.count(&in_state(State::Pending).filter(is("webhook", &webhook.id))).await?;
        if webhook.enabled && waiting > WEBHOOK_WAITING_MAX {
            let reason = format!("More than {WEBHOOK_WAITING_MAX} deliveries wait.");
            attempt::switch_off(parts, webhook, &reason).await?;
        }
    }
    Ok(())
}

fn older(than: &str) -> Expr {
    let left = Operand::base("created", ColumnType::Date);
    Expr::Compare { left, op: Operator::Lt, right: Value::from(than).into() }
}

async fn delete(parts: &Parts, filter: Expr) -> Result<()> {
    parts.store.commit(Batch::op(Op::DeleteWhere { table: DELIVERIES.into(), filter })).await?;
    Ok(())
}
