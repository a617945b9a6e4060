//! Removes what is kept no longer, in bounded steps. What a group still waits for, and dead letters, outlive a stream's
//! limits of count and bytes, but not its age.

use base::Name;
use base::limits::{QUEUE_DEAD_MS, QUEUE_REMAINS_MS, QUEUE_SUBSCRIBER_MS};
use query::{Alias, Batch, Column, ColumnType, Expr, Job, Join, Op, Operand, Operator, Source};

use super::define::remains;
use super::meters;
use super::order::{first_where, numbered, order};
use super::stream::Stream;
use super::table::{DELIVERIES, MESSAGES, QUEUES, SUBSCRIBERS, compare, dead, id, is, purge, queues, text};
use crate::crons::SWEEP_QUEUES;
use crate::error::Result;
use crate::jobs::Work;
use crate::parts::Parts;

/// For a change that leaves something to remove.
pub(super) fn job() -> Job {
    Work::Cron { id: SWEEP_QUEUES.into() }.job()
}

pub async fn sweep(parts: &Parts) -> Result<()> {
    for stream in &parts.queues.streams().all {
        stream_limits(parts, stream).await?;
    }
    for left in remains(&parts.store).await? {
        if let Some(stream) = &left.stream {
            purge(&parts.store, MESSAGES, is("stream", stream)).await?;
            purge(&parts.store, SUBSCRIBERS, is("stream", stream)).await?;
        }
        for group in &left.groups {
            purge(&parts.store, DELIVERIES, in_group(group)).await?;
            purge(&parts.store, DELIVERIES, is("queue", &dead(group))).await?;
        }
        if parts.clock.now().0 - left.at > QUEUE_REMAINS_MS {
            let op = Op::Delete { table: QUEUES.into(), id: left.id, row: None };
            parts.store.commit(Batch::op(op)).await?;
        }
    }
    Ok(())
}

fn in_group(group: &str) -> Expr {
    Expr::In { left: text("queue"), values: queues(group) }
}

async fn stream_limits(parts: &Parts, stream: &Stream) -> Result<()> {
    let head = order(parts, &stream.id).await?;
    let now = parts.clock.now().0;
    let before = |name, age_ms: i64| compare(name, Operator::Lt, (now - age_ms) as f64);
    let mut expired = 0;
    for group in &stream.groups {
        let old = Expr::and([in_group(&group.id), before("time", stream.max_age_ms)]);
        expired += purge(&parts.store, DELIVERIES, old).await?;
        let letters =
            Expr::and([is("queue", &dead(&group.id)), before("due", stream.max_age_ms.max(QUEUE_DEAD_MS))]);
        purge(&parts.store, DELIVERIES, letters).await?;
    }
    if expired > 0 {
        meters::expired(&stream.name, expired);
        tracing::warn!(
            stream = stream.name,
            count = expired,
            "messages that nobody consumed were too old and are gone"
        );
    }
    let unclaimed = Expr::Not(Box::new(waits_in_a_group()));
    let old = [numbered(&stream.id), before("time", stream.max_age_ms), unclaimed.clone()];
    purge(&parts.store, MESSAGES, Expr::and(old)).await?;

    let by_count = (head.seq + 1).saturating_sub(stream.max_messages);
    let beyond = compare("total", Operator::Gt, head.total - stream.max_bytes as f64);
    let by_bytes = match head.total > stream.max_bytes as f64 {
        // The first whose end is within the limit begins before it; the last one is kept whatever it takes.
        true => first_where(parts, &stream.id, beyond).await?.map_or(0, |seq| (seq + 1).min(head.seq)),
        false => 0,
    };
    let kept = by_count.max(by_bytes);
    if kept > 1 {
        let surplus = [numbered(&stream.id), compare("seq", Operator::Lt, kept as f64), unclaimed];
        purge(&parts.store, MESSAGES, Expr::and(surplus)).await?;
    }
    let idle = Expr::and([is("stream", &stream.id), before("seen", QUEUE_SUBSCRIBER_MS)]);
    purge(&parts.store, SUBSCRIBERS, idle).await?;
    Ok(())
}

/// That any group has something to do with the message.
fn waits_in_a_group() -> Expr {
    let alias = Alias(1);
    let message: Name = "message".into();
    let column = Operand::column(alias, &Column::new(message, ColumnType::Text));
    let join =
        Join { alias, source: Source::Table(DELIVERIES.into()), on: Expr::same(column, id()), many: true };
    Expr::Exists { joins: vec![join], test: Box::new(Expr::Const(true)) }
}
