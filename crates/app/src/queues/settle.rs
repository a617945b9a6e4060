//! What a member says of messages that it holds: done, not done, not done yet. Each receipt is told whether it was still
//! good: one whose lease has ended is, until somebody else gets the message.

use base::limits::{QUEUE_LEASE_MS_MAX, QUEUE_MESSAGES_MAX};
use base::{Name, Value};
use model::Violation;
use query::{Action, Assign, Claim, Expr, Operator};
use rustc_hash::{FxHashMap, FxHashSet};

use super::publish::{delivery, key};
use super::pull::{bury, lease, may_consume};
use super::stream::{Group, Stream};
use super::table::{DELIVERIES, compare, ids, is, put, set};
use super::{find, find_group, meters};
use crate::error::{Error, Result};
use crate::rules::Context;

#[derive(Clone, Debug)]
pub enum Verdict {
    Done,
    /// To be delivered again after a while; the group's when it is not given.
    Again {
        delay_ms: Option<i64>,
    },
    /// Goes on, for so long from now.
    Longer {
        lease_ms: Option<u64>,
    },
}

/// Whether each receipt was good, in the order given.
pub async fn settle(
    cx: &Context<'_>,
    stream: &str,
    group: &str,
    receipts: &[String],
    verdict: &Verdict,
) -> Result<Vec<bool>> {
    let stream = find(cx.parts, stream)?;
    let group = find_group(&stream, group)?;
    may_consume(cx, &stream, group).await?;
    if receipts.is_empty() || receipts.len() > QUEUE_MESSAGES_MAX {
        return Err(Error::form("receipts", Violation::length(1, QUEUE_MESSAGES_MAX)));
    }
    let mut by_token: FxHashMap<&str, Vec<Name>> = FxHashMap::default();
    let mut named = Vec::with_capacity(receipts.len());
    for receipt in receipts {
        let (id, token) = receipt.rsplit_once('.').unwrap_or(("", ""));
        let id = delivery(&key(&stream.id, id), &group.id);
        if !token.is_empty() {
            by_token.entry(token).or_default().push(id.clone());
        }
        named.push((id, token));
    }
    let mut good: FxHashSet<(Name, &str)> = FxHashSet::default();
    for (token, held) in &by_token {
        let settled = one(cx, &stream, group, held, token, verdict).await?;
        good.extend(settled.into_iter().map(|id| (id, *token)));
    }
    Ok(named.iter().map(|named| good.contains(named)).collect())
}

/// What one pull gave; returns which of it was still held.
async fn one(
    cx: &Context<'_>,
    stream: &Stream,
    group: &Group,
    held: &[Name],
    token: &str,
    verdict: &Verdict,
) -> Result<Vec<Name>> {
    let parts = cx.parts;
    let now = parts.clock.now().0;
    let filter = Expr::and([ids(held), is("holder", token)]);
    let claim = match verdict {
        Verdict::Done => Claim { action: Action::Delete, ..set(DELIVERIES, &["id"], filter, Vec::new()) },
        Verdict::Longer { lease_ms } => {
            let until = now + lease(*lease_ms, group)? as i64;
            set(DELIVERIES, &["id"], filter, vec![("due", put(until as f64))])
        }
        Verdict::Again { delay_ms } => {
            let delay_ms = delay_ms.unwrap_or(group.retry_ms);
            if !(0..=QUEUE_LEASE_MS_MAX as i64).contains(&delay_ms) {
                return Err(Error::form("delayMs", Violation::at_most(QUEUE_LEASE_MS_MAX as i64)));
            }
            let most = compare("attempts", Operator::Lt, f64::from(group.max_deliveries));
            let to = vec![("due", put((now + delay_ms) as f64)), ("holder", Assign::Set(Value::from("")))];
            set(DELIVERIES, &["id"], Expr::and([filter, most]), to)
        }
    };
    let rows = parts.store.claim(&claim).await?;
    let mut settled: Vec<Name> = rows.iter().map(|row| row.get(0).text_or_empty().into()).collect();
    match verdict {
        Verdict::Done => meters::acked(&stream.name, settled.len()),
        Verdict::Longer { .. } => {}
        Verdict::Again { .. } => {
            let spent: Vec<Name> = held.iter().filter(|id| !settled.contains(id)).cloned().collect();
            settled.extend(bury(parts, stream, group, spent, token, 0.0).await?);
            parts.queues.waits.wake(&stream.id);
        }
    }
    Ok(settled)
}
