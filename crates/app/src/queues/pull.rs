//! A group's member asks for messages. What it gets is its own until the lease ends.

use std::time::Duration;

use base::limits::{
    QUEUE_ANSWER_BYTES_MAX, QUEUE_LEASE_MS_MAX, QUEUE_LEASE_MS_MIN, QUEUE_MESSAGES_MAX, QUEUE_WAIT_MS_MAX,
};
use base::{Name, Value};
use model::Violation;
use query::{Assign, Claim, Expr, Operator, Select};
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::rules::Judge;
use super::stream::{Group, Seen, Stream};
use super::table::{
    DELIVERIES, MESSAGES, RANKS, by, columns, compare, dead, ids, insertion, is, number, put, queue, queues,
    set, text,
};
use super::{find, find_group, meters};
use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::rules::Context;

#[derive(Clone, Debug)]
pub struct Pull {
    pub max: usize,
    /// The group's, unless it is given.
    pub lease_ms: Option<u64>,
    /// How long to wait when there is nothing.
    pub wait_ms: u64,
}

/// A message as it is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    pub id: String,
    pub subject: String,
    /// JSON.
    pub data: String,
    /// A JSON object; empty when there are none.
    pub headers: String,
    pub time: i64,
    /// The place in the stream; 0 as long as nobody has looked.
    pub seq: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Delivered {
    pub message: Message,
    /// Names this delivery to whoever settles it.
    pub receipt: String,
    /// This one included.
    pub deliveries: u32,
}

pub(super) const MESSAGE: [&str; 6] = ["id", "subject", "data", "headers", "time", "seq"];

impl Message {
    pub(super) fn of(row: &query::Row) -> Message {
        let text = |index: usize| row.get(index).text_or_empty().to_owned();
        let key = row.get(0).text_or_empty();
        Message {
            id: key.split_once('.').map_or(key, |(_, id)| id).to_owned(),
            subject: text(1),
            data: text(2),
            headers: text(3),
            time: row.get(4).as_number() as i64,
            seq: row.get(5).as_number().max(0.0) as u64,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.data.len() + self.headers.len()
    }
}

pub async fn pull(cx: &Context<'_>, stream: &str, group: &str, ask: &Pull) -> Result<Vec<Delivered>> {
    let parts = cx.parts;
    let stream = find(parts, stream)?;
    let group = find_group(&stream, group)?;
    may_consume(cx, &stream, group).await?;
    if !(1..=QUEUE_MESSAGES_MAX).contains(&ask.max) {
        return Err(Error::form("max", Violation::length(1, QUEUE_MESSAGES_MAX)));
    }
    let lease_ms = lease(ask.lease_ms, group)?;
    let first = take(parts, &stream, group, ask.max, lease_ms).await?;
    if !first.is_empty() || ask.wait_ms == 0 {
        return Ok(first);
    }
    let deadline = Instant::now() + Duration::from_millis(ask.wait_ms.min(QUEUE_WAIT_MS_MAX));
    let found = parts.queues.waits.until(&stream.id, &group.id, deadline, || async {
        // It may have been changed or deleted while we wait.
        let stream = find(parts, &stream.id)?;
        let taken = take(parts, &stream, find_group(&stream, &group.id)?, ask.max, lease_ms).await?;
        Ok((!taken.is_empty()).then_some(taken))
    });
    Ok(found.await?.unwrap_or_default())
}

pub(super) async fn may_consume(cx: &Context<'_>, stream: &Stream, group: &Group) -> Result<()> {
    let seen = Seen { subject: &group.filter, group: &group.name, subscriber: "", data: "null" };
    Judge::consuming(cx, stream)?.pass(seen).await
}

pub(super) fn lease(asked: Option<u64>, group: &Group) -> Result<u64> {
    let lease_ms = asked.unwrap_or(group.lease_ms);
    if lease_ms < QUEUE_LEASE_MS_MIN {
        return Err(Error::form("leaseMs", Violation::at_least(QUEUE_LEASE_MS_MIN as i64)));
    }
    if lease_ms > QUEUE_LEASE_MS_MAX {
        return Err(Error::form("leaseMs", Violation::at_most(QUEUE_LEASE_MS_MAX as i64)));
    }
    Ok(lease_ms)
}

/// The length of what tells one delivery from another.
const TOKEN_LEN: usize = 16;

struct Taken {
    id: Name,
    message: Name,
    attempts: u32,
    rank: u8,
    time: f64,
}

async fn take(
    parts: &Parts,
    stream: &Stream,
    group: &Group,
    max: usize,
    lease_ms: u64,
) -> Result<Vec<Delivered>> {
    let now = parts.clock.now().0;
    loop {
        let in_group = Expr::In { left: text("queue"), values: queues(&group.id) };
        let any = Select::table(DELIVERIES, Vec::new()).filter(in_group).filter(is_due(now)).limit(1);
        if parts.store.first(&any).await?.is_none() {
            return Ok(Vec::new());
        }
        let token = base::id::random(TOKEN_LEN, base::id::ALPHANUMERIC);
        let mut taken = Vec::new();
        for rank in 0..RANKS {
            if taken.len() < max {
                let until = now + lease_ms as i64;
                taken.extend(
                    claim(parts, &queue(&group.id, rank), max - taken.len(), &token, now, until).await?,
                );
            }
        }
        if taken.is_empty() {
            return Ok(Vec::new());
        }
        let (good, spent): (Vec<Taken>, Vec<Taken>) =
            taken.into_iter().partition(|one| one.attempts <= group.max_deliveries);
        // They were taken only to be found spent, which is no delivery.
        let spent = spent.iter().map(|one| one.id.clone()).collect();
        bury(parts, stream, group, spent, &token, -1.0).await?;
        if !good.is_empty() {
            return deliver(parts, stream, good, &token).await;
        }
    }
}

fn is_due(now: i64) -> Expr {
    compare("due", Operator::Le, now as f64)
}

async fn claim(
    parts: &Parts,
    queue: &str,
    max: usize,
    token: &str,
    now: i64,
    until: i64,
) -> Result<Vec<Taken>> {
    let to = vec![
        ("due", put(until as f64)),
        ("attempts", Assign::Add(1.0)),
        ("holder", Assign::Set(Value::from(token))),
    ];
    let filter = Expr::and([is("queue", queue), is_due(now)]);
    let claim = set(DELIVERIES, &["id", "message", "attempts", "rank", "time"], filter, to);
    let sort = vec![by(number("due")), insertion()];
    let rows = parts.store.claim(&Claim { sort, limit: Some(max as u64), ..claim }).await?;
    Ok(rows
        .iter()
        .map(|row| Taken {
            id: row.get(0).text_or_empty().into(),
            message: row.get(1).text_or_empty().into(),
            attempts: row.get(2).as_number() as u32,
            rank: row.get(3).as_number() as u8,
            time: row.get(4).as_number(),
        })
        .collect())
}

/// Makes dead letters of what the holder holds.
pub(super) async fn bury(
    parts: &Parts,
    stream: &Stream,
    group: &Group,
    found: Vec<Name>,
    token: &str,
    attempts: f64,
) -> Result<Vec<Name>> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let to = vec![
        ("queue", Assign::Set(Value::from(&*dead(&group.id)))),
        ("attempts", Assign::Add(attempts)),
        ("due", put(parts.clock.now().0 as f64)),
        ("holder", Assign::Set(Value::from(""))),
    ];
    let filter = Expr::and([ids(&found), is("holder", token)]);
    let buried = parts.store.claim(&set(DELIVERIES, &["id"], filter, to)).await?;
    meters::dead(&stream.name, buried.len());
    if !buried.is_empty() {
        tracing::warn!(
            stream = stream.name,
            group = group.name,
            count = buried.len(),
            "messages were delivered too often and are dead letters now"
        );
    }
    Ok(buried.iter().map(|row| row.get(0).text_or_empty().into()).collect())
}

/// Reads what was taken. What does not fit into one answer is given back.
async fn deliver(
    parts: &Parts,
    stream: &Stream,
    mut taken: Vec<Taken>,
    token: &str,
) -> Result<Vec<Delivered>> {
    let keys: Vec<Name> = taken.iter().map(|one| one.message.clone()).collect();
    let mut select = Select::table(MESSAGES, columns(&MESSAGE)).filter(ids(&keys));
    select.sort = vec![insertion()];
    let rows = parts.store.select(&select).await?;
    let mut messages: FxHashMap<Name, (usize, Message)> = rows
        .iter()
        .enumerate()
        .map(|(at, row)| (row.get(0).text_or_empty().into(), (at, Message::of(row))))
        .collect();
    // Rows that are taken come in no order; those of one moment were inserted in theirs.
    let place = |one: &Taken| messages.get(&one.message).map_or(0, |(at, _)| *at);
    taken.sort_by(|a, b| a.rank.cmp(&b.rank).then(a.time.total_cmp(&b.time)).then(place(a).cmp(&place(b))));
    let (mut out, mut lost, mut rest) = (Vec::with_capacity(taken.len()), Vec::new(), Vec::new());
    let (mut bytes, mut again) = (0, 0);
    for one in taken {
        // One that somebody removed by hand, or whose stream was deleted.
        let Some((_, message)) = messages.remove(&one.message) else {
            lost.push(one.id);
            continue;
        };
        bytes += message.bytes();
        if bytes > QUEUE_ANSWER_BYTES_MAX && !out.is_empty() {
            rest.push(one.id);
            continue;
        }
        again += usize::from(one.attempts > 1);
        let receipt = format!("{}.{token}", message.id);
        out.push(Delivered { message, receipt, deliveries: one.attempts });
    }
    if !lost.is_empty() {
        let gone = set(DELIVERIES, &[], Expr::and([ids(&lost), is("holder", token)]), Vec::new());
        parts.store.claim(&Claim { action: query::Action::Delete, ..gone }).await?;
    }
    if !rest.is_empty() {
        let to = vec![
            ("due", put(parts.clock.now().0 as f64)),
            ("attempts", Assign::Add(-1.0)),
            ("holder", Assign::Set(Value::from(""))),
        ];
        parts.store.claim(&set(DELIVERIES, &[], Expr::and([ids(&rest), is("holder", token)]), to)).await?;
    }
    meters::delivered(&stream.name, out.len(), again);
    Ok(out)
}
