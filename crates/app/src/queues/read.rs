//! Reading a stream by position: every subscriber sees every message, from wherever it likes.

use std::time::Duration;

use base::limits::{
    QUEUE_ANSWER_BYTES_MAX, QUEUE_MESSAGES_MAX, QUEUE_SCAN_ROWS_MAX, QUEUE_STEP_ROWS, QUEUE_SUBSCRIBERS_MAX,
    QUEUE_WAIT_MS_MAX,
};
use base::{Kind, Name, Value};
use model::Violation;
use query::{Batch, Op, Operator, Select};
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::order::{Head, first_where, numbered, order};
use super::pull::{MESSAGE, Message};
use super::rules::Judge;
use super::stream::{Seen, Stream, is_name};
use super::subject::{is_pattern, matches};
use super::table::{MESSAGES, SUBSCRIBERS, by, columns, compare, ids, is, number, put, set};
use super::{find, meters};
use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::rules::Context;

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum From {
    /// With what is published from now on.
    New,
    /// With the oldest that is kept.
    First,
    /// With this number.
    Seq(u64),
    /// With the first message of that time (ms) or later.
    Time(i64),
}

#[derive(Clone, Debug)]
pub struct Ask {
    pub from: From,
    /// A pattern.
    pub filter: String,
    pub max: usize,
    pub wait_ms: u64,
    /// Its position is kept, and `from` counts the first time only.
    pub subscriber: Option<String>,
    /// The subscriber has seen everything up to this number.
    pub ack: Option<u64>,
}

/// Messages in order, and the number to go on with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Read {
    pub messages: Vec<Message>,
    pub next: u64,
}

pub async fn read(cx: &Context<'_>, stream: &str, ask: &Ask) -> Result<Read> {
    let parts = cx.parts;
    let stream = find(parts, stream)?;
    if !is_pattern(&ask.filter) {
        return Err(Error::form("filter", Violation::format()));
    }
    if !(1..=QUEUE_MESSAGES_MAX).contains(&ask.max) {
        return Err(Error::form("max", Violation::length(1, QUEUE_MESSAGES_MAX)));
    }
    let subscriber = ask.subscriber.as_deref().unwrap_or_default();
    if ask.subscriber.is_some() && !is_name(subscriber) {
        return Err(Error::form("subscriber", Violation::format()));
    }
    let seen = Seen { subject: &ask.filter, group: "", subscriber, data: "null" };
    Judge::consuming(cx, &stream)?.pass(seen).await?;

    let deadline = Instant::now() + Duration::from_millis(ask.wait_ms.min(QUEUE_WAIT_MS_MAX));
    let head = order(parts, &stream.id).await?;
    let mut from = match &ask.subscriber {
        Some(name) => kept(cx, &stream, name, ask, head).await?,
        None => start(parts, &stream, ask.from, head).await?,
    };
    let mut known = head.seq;
    loop {
        let page = window(parts, &stream, from, ask.max, |subject| matches(&ask.filter, subject)).await?;
        let is_over = Instant::now() >= deadline;
        if !page.messages.is_empty() || is_over {
            meters::delivered(&stream.name, page.messages.len(), 0);
            return Ok(page);
        }
        if page.next > from {
            from = page.next;
            continue;
        }
        // What is gone already was counted as well.
        known = known.max(from.saturating_sub(1));
        let look = || async { Ok(order(parts, &stream.id).await?.seq) };
        match parts.queues.waits.grown(&stream.id, known, deadline, look).await? {
            Some(head) => known = head,
            None => return Ok(page),
        }
    }
}

async fn start(parts: &Parts, stream: &Stream, from: From, head: Head) -> Result<u64> {
    match from {
        From::New => Ok(head.seq + 1),
        From::First => Ok(1),
        From::Seq(seq) => Ok(seq.max(1)),
        From::Time(time) => {
            let later = compare("time", Operator::Ge, time as f64);
            Ok(first_where(parts, &stream.id, later).await?.unwrap_or(head.seq + 1))
        }
    }
}

/// The messages from a number on whose subjects are wanted. Looks at a bounded number of others.
pub async fn window(
    parts: &Parts,
    stream: &Stream,
    from: u64,
    max: usize,
    wanted: impl Fn(&str) -> bool,
) -> Result<Read> {
    let (mut next, mut scanned, mut bytes) = (from, 0, 0.0);
    let mut found: Vec<Name> = Vec::new();
    'scan: while scanned < QUEUE_SCAN_ROWS_MAX {
        let mut select = Select::table(MESSAGES, columns(&["id", "subject", "seq", "bytes"]))
            .filter(numbered(&stream.id))
            .filter(compare("seq", Operator::Ge, next as f64))
            .limit(QUEUE_STEP_ROWS as u64);
        select.sort = vec![by(number("seq"))];
        let rows = parts.store.select(&select).await?;
        for row in &rows {
            if wanted(row.get(1).text_or_empty()) {
                bytes += row.get(3).as_number();
                if found.len() >= max || (bytes > QUEUE_ANSWER_BYTES_MAX as f64 && !found.is_empty()) {
                    break 'scan;
                }
                found.push(row.get(0).text_or_empty().into());
            }
            next = row.get(2).as_number() as u64 + 1;
        }
        scanned += rows.len();
        if rows.len() < QUEUE_STEP_ROWS {
            break;
        }
    }
    if found.is_empty() {
        return Ok(Read { messages: Vec::new(), next });
    }
    let rows = parts.store.select(&Select::table(MESSAGES, columns(&MESSAGE)).filter(ids(&found))).await?;
    let mut bodies: FxHashMap<Name, Message> =
        rows.iter().map(|row| (row.get(0).text_or_empty().into(), Message::of(row))).collect();
    let messages = found.iter().filter_map(|id| bodies.remove(id)).collect();
    Ok(Read { messages, next })
}

/// The number that a named subscriber goes on with. The name is its caller's own.
async fn kept(cx: &Context<'_>, stream: &Stream, name: &str, ask: &Ask, head: Head) -> Result<u64> {
    let parts = cx.parts;
    let caller = cx.request.auth.as_ref().map_or("", |auth| auth.id());
    let key: Name = format!("{}/{caller}/{name}", stream.id).into();
    let now = parts.clock.now().0 as f64;
    if let Some(ack) = ask.ack {
        let ack = ack.min(head.seq) as f64;
        let filter =
            query::Expr::and([ids(std::slice::from_ref(&key)), compare("position", Operator::Lt, ack)]);
        let to = vec![("position", put(ack)), ("seen", put(now))];
        parts.store.claim(&set(SUBSCRIBERS, &["id"], filter, to)).await?;
    }
    let select = Select::by_ids(SUBSCRIBERS, columns(&["id", "position", "seen"]), vec![key.clone()]);
    if let Some(row) = parts.store.first(&select).await? {
        if row.get(2).as_number() + SEEN_MS < now {
            let again = set(SUBSCRIBERS, &["id"], ids(std::slice::from_ref(&key)), vec![("seen", put(now))]);
            parts.store.claim(&again).await?;
        }
        return Ok(row.get(1).as_number() as u64 + 1);
    }
    let all = Select::table(SUBSCRIBERS, Vec::new()).filter(is("stream", &stream.id));
    if parts.store.count(&all).await? >= QUEUE_SUBSCRIBERS_MAX {
        return Err(Error::new(Kind::TooMany, "The stream has too many named subscribers."));
    }
    let from = start(parts, stream, ask.from, head).await?;
    let values = vec![
        ("id".into(), Value::from(&*key)),
        ("stream".into(), Value::from(stream.id.as_str())),
        ("position".into(), Value::Number(from.saturating_sub(1) as f64)),
        ("seen".into(), Value::Number(now)),
    ];
    match parts.store.commit(Batch::op(Op::Insert { table: SUBSCRIBERS.into(), values })).await {
        Ok(_) => Ok(from),
        // Another request of the same subscriber was faster.
        Err(store::Error::Taken { .. }) => {
            let row = parts.store.first(&select).await?;
            Ok(row.map_or(from, |row| row.get(1).as_number() as u64 + 1))
        }
        Err(error) => Err(error.into()),
    }
}

/// How exactly it is noted when a subscriber was there last.
const SEEN_MS: f64 = 3_600_000.0;
