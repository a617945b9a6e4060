//! Dead letters: what was delivered too often. Superusers look at them, and have them tried again or dropped.

use base::limits::QUEUE_MESSAGES_MAX;
use base::{Name, Value};
use query::{Action, Assign, Claim, Expr, Select};
use rustc_hash::FxHashMap;

use super::publish::{delivery, key};
use super::pull::{MESSAGE, Message};
use super::table::{
    DELIVERIES, MESSAGES, RANKS, by, columns, dead, equals, ids, insertion, is, number, put, queue, set,
};
use super::{find, find_group};
use crate::error::Result;
use crate::parts::Parts;

#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    pub message: Message,
    pub deliveries: u32,
    /// When it was given up (ms).
    pub died: i64,
}

/// The oldest first.
pub async fn list(parts: &Parts, stream: &str, group: &str, offset: u64, max: u64) -> Result<Vec<Letter>> {
    let stream = find(parts, stream)?;
    let group = find_group(&stream, group)?;
    let mut select = Select::table(DELIVERIES, columns(&["message", "attempts", "due"]))
        .filter(is("queue", &dead(&group.id)))
        .limit(max.clamp(1, QUEUE_MESSAGES_MAX as u64));
    select.offset = offset;
    select.sort = vec![by(number("due")), insertion()];
    let rows = parts.store.select(&select).await?;
    let keys: Vec<Name> = rows.iter().map(|row| row.get(0).text_or_empty().into()).collect();
    let found = parts.store.select(&Select::table(MESSAGES, columns(&MESSAGE)).filter(ids(&keys))).await?;
    let mut messages: FxHashMap<&str, Message> =
        found.iter().map(|row| (row.get(0).text_or_empty(), Message::of(row))).collect();
    let letter = |row: &query::Row| {
        let message = messages.remove(row.get(0).text_or_empty())?;
        let deliveries = row.get(1).as_number() as u32;
        Some(Letter { message, deliveries, died: row.get(2).as_number() as i64 })
    };
    Ok(rows.iter().filter_map(letter).collect())
}

/// Whether all are meant, or those of these messages.
fn chosen(stream: &str, group: &str, messages: Option<&[String]>) -> Expr {
    let letters = is("queue", &dead(group));
    match messages {
        None => letters,
        Some(messages) => {
            let keys: Vec<Name> = messages.iter().map(|id| delivery(&key(stream, id), group)).collect();
            Expr::and([ids(&keys), letters])
        }
    }
}

/// Lets them be delivered as if they never had been, and returns how many there were.
pub async fn retry(parts: &Parts, stream: &str, group: &str, messages: Option<&[String]>) -> Result<u64> {
    let stream = find(parts, stream)?;
    let group = find_group(&stream, group)?;
    let mut count = 0;
    for rank in 0..RANKS {
        let to = vec![
            ("queue", Assign::Set(Value::from(&*queue(&group.id, rank)))),
            ("attempts", put(0.0)),
            ("due", put(parts.clock.now().0 as f64)),
            // Its age counts from here, so that it is not removed right away.
            ("time", put(parts.clock.now().0 as f64)),
        ];
        let of_rank = Expr::and([chosen(&stream.id, &group.id, messages), equals("rank", f64::from(rank))]);
        count += in_steps(parts, set(DELIVERIES, &["id"], of_rank, to)).await?;
    }
    parts.queues.waits.wake(&stream.id);
    Ok(count)
}

/// Returns how many there were.
pub async fn forget(parts: &Parts, stream: &str, group: &str, messages: Option<&[String]>) -> Result<u64> {
    let stream = find(parts, stream)?;
    let group = find_group(&stream, group)?;
    let letters = set(DELIVERIES, &["id"], chosen(&stream.id, &group.id, messages), Vec::new());
    in_steps(parts, Claim { action: Action::Delete, ..letters }).await
}

async fn in_steps(parts: &Parts, claim: Claim) -> Result<u64> {
    let claim = Claim { limit: Some(QUEUE_MESSAGES_MAX as u64), ..claim };
    let mut count = 0;
    loop {
        let done = parts.store.claim(&claim).await?.len();
        count += done as u64;
        if done < QUEUE_MESSAGES_MAX {
            return Ok(count);
        }
    }
}
