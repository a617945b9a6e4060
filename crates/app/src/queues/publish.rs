//! Publishing: the messages and what each group has to do with them, in one commit. Inside of a transaction it is part of
//! it.

use base::limits::{
    QUEUE_DATA_BYTES_MAX, QUEUE_DELAY_MS_MAX, QUEUE_HEADERS_BYTES_MAX, QUEUE_ID_CHARS_MAX,
    QUEUE_MESSAGES_MAX, QUEUE_TRIES_MAX,
};
use base::{Kind, Name, Timestamp, Value};
use model::Violation;
use query::{Batch, Op, Select};
use rustc_hash::FxHashSet;

use super::rules::Judge;
use super::stream::{Seen, Stream};
use super::subject::{is_subject, matches};
use super::table::{DELAYED, DELIVERIES, MESSAGES, RANKS, UNNUMBERED, columns, ids, queue};
use super::{find, full, meters};
use crate::error::{Error, Result};
use crate::rules::Context;

/// A message as its publisher sends it.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub subject: String,
    /// JSON.
    pub data: String,
    /// A JSON object; empty when there are none.
    pub headers: String,
    /// A second message of the same id in the stream is dropped, for as long as the first is kept.
    pub id: Option<String>,
    /// When it becomes due, if not at once.
    pub due: Option<i64>,
    /// 0 is the most urgent.
    pub rank: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    pub id: String,
    /// There was one with this id already; this one was dropped.
    pub duplicate: bool,
}

pub async fn publish(cx: &Context<'_>, stream: &str, messages: Vec<Outgoing>) -> Result<Vec<Published>> {
    let stream = find(cx.parts, stream)?;
    let judge = Judge::publishing(cx, &stream)?;
    if messages.is_empty() || messages.len() > QUEUE_MESSAGES_MAX {
        return Err(Error::form("messages", Violation::length(1, QUEUE_MESSAGES_MAX)));
    }
    let now = cx.parts.clock.now();
    for message in &messages {
        check(&stream, message, now)?;
        let seen = Seen { subject: &message.subject, group: "", subscriber: "", data: &message.data };
        judge.pass(seen).await?;
    }
    full::refuse(cx.parts, &stream).await?;
    let made = messages.iter().map(|message| Made::of(&stream, message, now)).collect();
    let published = write(cx, &stream, made).await?;
    meters::published(&stream.name, published.iter().filter(|one| !one.duplicate).count());
    Ok(published)
}

fn check(stream: &Stream, message: &Outgoing, now: Timestamp) -> Result<()> {
    if !is_subject(&message.subject) {
        let message = "Must be tokens of letters, digits and -_:@=+ with dots between them.";
        return Err(Error::form("subject", Violation::new("validation_invalid_subject", message)));
    }
    if !stream.takes(&message.subject) {
        let message = format!("The stream {:?} takes no messages to {:?}.", stream.name, message.subject);
        return Err(Error::new(Kind::NotFound, message));
    }
    for (field, bytes, max) in [
        ("data", message.data.len(), QUEUE_DATA_BYTES_MAX),
        ("headers", message.headers.len(), QUEUE_HEADERS_BYTES_MAX),
    ] {
        if bytes > max {
            return Err(Error::form(field, Violation::at_most(i64::try_from(max).unwrap_or(i64::MAX))));
        }
    }
    if message.id.as_deref().is_some_and(|id| !is_id(id)) {
        return Err(Error::form("id", Violation::format()));
    }
    if message.rank >= RANKS {
        return Err(Error::form("priority", Violation::unknown_choice()));
    }
    if message.due.is_some_and(|due| due > now.0 + QUEUE_DELAY_MS_MAX) {
        return Err(Error::form("delayMs", Violation::at_most(QUEUE_DELAY_MS_MAX)));
    }
    Ok(())
}

/// What a receipt and a key of a row can hold.
fn is_id(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':');
    (1..=QUEUE_ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(fits)
}

/// A message with what is to be written of it.
struct Made {
    id: String,
    key: Name,
    message: Op,
    deliveries: Vec<Op>,
    own_id: bool,
}

/// The key of a message's row: its id is the stream's.
pub(super) fn key(stream: &str, id: &str) -> Name {
    format!("{stream}.{id}").into()
}

impl Made {
    fn of(stream: &Stream, message: &Outgoing, now: Timestamp) -> Made {
        let id = message.id.clone().unwrap_or_else(|| base::id::ordered(now));
        let key = key(&stream.id, &id);
        let due = message.due.filter(|due| *due > now.0);
        let time = Value::Number(due.unwrap_or(now.0) as f64);
        let bytes = message.subject.len() + message.data.len() + message.headers.len();
        let values = vec![
            ("id", Value::from(&*key)),
            ("stream", Value::from(stream.id.as_str())),
            ("subject", Value::from(message.subject.as_str())),
            ("data", Value::from(message.data.as_str())),
            ("headers", Value::from(message.headers.as_str())),
            ("bytes", Value::Number(bytes as f64)),
            ("time", time.clone()),
            ("due", Value::Number(due.unwrap_or(0) as f64)),
            ("seq", Value::Number(if due.is_some() { DELAYED } else { UNNUMBERED })),
        ];
        let groups = stream.groups.iter().filter(|group| matches(&group.filter, &message.subject));
        let deliveries = groups.map(|group| {
            let values = vec![
                ("id", Value::from(&*delivery(&key, &group.id))),
                ("queue", Value::from(&*queue(&group.id, message.rank))),
                ("message", Value::from(&*key)),
                ("rank", Value::Number(f64::from(message.rank))),
                ("due", time.clone()),
                ("time", time.clone()),
            ];
            insert(DELIVERIES, values)
        });
        let deliveries = deliveries.collect();
        Made { id, key, message: insert(MESSAGES, values), deliveries, own_id: message.id.is_some() }
    }
}

/// The key of what a group has to do with a message.
pub(super) fn delivery(message: &str, group: &str) -> Name {
    format!("{message}/{group}").into()
}

fn insert(table: &str, values: Vec<(&str, Value)>) -> Op {
    let values = values.into_iter().map(|(name, value)| (name.into(), value)).collect();
    Op::Insert { table: table.into(), values }
}

async fn write(cx: &Context<'_>, stream: &Stream, made: Vec<Made>) -> Result<Vec<Published>> {
    for _ in 0..QUEUE_TRIES_MAX {
        let mut known = known(cx, &made).await?;
        let mut published = Vec::with_capacity(made.len());
        let (mut messages, mut deliveries) = (Vec::new(), Vec::new());
        for one in &made {
            let duplicate = one.own_id && !known.insert(one.key.clone());
            published.push(Published { id: one.id.clone(), duplicate });
            if !duplicate {
                messages.push(one.message.clone());
                deliveries.extend(one.deliveries.iter().cloned());
            }
        }
        if messages.is_empty() {
            return Ok(published);
        }
        // Rows of one table come together, so that they can share statements.
        messages.extend(deliveries);
        match cx.store().commit(Batch { ops: messages, ..Batch::default() }).await {
            Ok(_) => return Ok(published),
            // Somebody published one of the ids meanwhile.
            Err(store::Error::Taken { .. }) if made.iter().any(|one| one.own_id) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let message = format!("Others publish the same ids to {:?}. Try again.", stream.name);
    Err(Error::new(Kind::Conflict, message))
}

/// Which of the ids that publishers chose are there already.
async fn known(cx: &Context<'_>, made: &[Made]) -> Result<FxHashSet<Name>> {
    let own: Vec<Name> = made.iter().filter(|one| one.own_id).map(|one| one.key.clone()).collect();
    if own.is_empty() {
        return Ok(FxHashSet::default());
    }
    let rows = cx.store().select(&Select::table(MESSAGES, columns(&["id"])).filter(ids(&own))).await?;
    Ok(rows.iter().map(|row| row.get(0).text_or_empty().into()).collect())
}
