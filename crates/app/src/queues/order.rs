//! The order of a stream. Publishers insert their messages without a number: several at once would otherwise have to wait
//! for each other, or commit in another order than that of their numbers, and a reader would pass a number that is filled
//! after it looked. Whoever reads by position first gives numbers to what is there, in one commit that also moves the
//! head and holds only if nobody else has moved it since. So numbers become visible in their order, a reader that has
//! seen one has seen all below it, and a transaction that stays open for long holds up nobody. Who publishes one message
//! after the other's acknowledgement finds them in that order. A delayed message gets its place when it is due.

use base::limits::{QUEUE_STEP_ROWS, QUEUE_TRIES_MAX};
use query::{Assign, Batch, Expr, Guard, Op, Operator, Select};

use super::table::{
    DELAYED, HEADS, MESSAGES, UNNUMBERED, by, columns, compare, equals, ids, insertion, is, number, put,
};
use crate::error::{Error, Result};
use crate::parts::Parts;

/// The head of a stream: the last number, and the bytes up to it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Head {
    pub seq: u64,
    pub total: f64,
}

pub(super) async fn head(parts: &Parts, stream: &str) -> Result<Head> {
    let select = Select::by_ids(HEADS, columns(&["id", "seq", "total"]), vec![stream.into()]);
    let Some(row) = parts.store.first(&select).await? else { return Ok(Head::default()) };
    Ok(Head { seq: row.get(1).as_number() as u64, total: row.get(2).as_number() })
}

/// Numbers everything that is published and due, and returns the head. What was acknowledged to its publisher before is
/// numbered afterwards.
pub async fn order(parts: &Parts, stream: &str) -> Result<Head> {
    let mut tries = 0;
    loop {
        // The head is read first: whoever numbers what we find meanwhile moves it, and our commit fails.
        let head = head(parts, stream).await?;
        let rows = unnumbered(parts, stream).await?;
        if rows.is_empty() {
            return Ok(head);
        }
        let whole = rows.len() >= QUEUE_STEP_ROWS;
        match number_all(parts, stream, head, rows).await {
            Ok(head) if !whole => return Ok(head),
            Ok(_) => tries = 0,
            Err(store::Error::Guard(_)) if tries < QUEUE_TRIES_MAX => tries += 1,
            Err(store::Error::Guard(_)) => {
                return Err(Error::new(base::Kind::Conflict, "Others order the stream. Try again."));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Keys and bytes of what has no number and is due, in the order in which it is to get one: as it was published, delayed
/// messages in between by their times.
async fn unnumbered(parts: &Parts, stream: &str) -> Result<Vec<(base::Name, f64)>> {
    let all = Select::table(MESSAGES, columns(&["id", "bytes", "time"])).filter(is("stream", stream));
    let all = all.limit(QUEUE_STEP_ROWS as u64);
    let mut delayed = all.clone().filter(equals("seq", DELAYED));
    delayed = delayed.filter(compare("due", Operator::Le, parts.clock.now().0 as f64));
    delayed.sort = vec![by(number("due")), insertion()];
    let mut new = all.filter(equals("seq", UNNUMBERED)).filter(equals("due", 0.0));
    new.sort = vec![insertion()];
    let mut delayed = parts.store.select(&delayed).await?.into_iter().peekable();
    let new = parts.store.select(&new).await?;
    let mut rows = Vec::with_capacity(new.len());
    let is_whole = new.len() < QUEUE_STEP_ROWS;
    for row in new {
        while let Some(earlier) = delayed.next_if(|other| other.get(2).as_number() <= row.get(2).as_number())
        {
            rows.push(earlier);
        }
        rows.push(row);
    }
    if is_whole {
        rows.extend(delayed);
    }
    Ok(rows.iter().map(|row| (row.get(0).text_or_empty().into(), row.get(1).as_number())).collect())
}

async fn number_all(
    parts: &Parts,
    stream: &str,
    head: Head,
    rows: Vec<(base::Name, f64)>,
) -> store::Result<Head> {
    let found: Vec<base::Name> = rows.iter().map(|(id, _)| id.clone()).collect();
    let unmoved =
        Select::by_ids(HEADS, Vec::new(), vec![stream.into()]).filter(equals("seq", head.seq as f64));
    // What was read of a replica may show the head moved and not yet what it was moved for.
    let numbered =
        Select::table(MESSAGES, Vec::new()).filter(ids(&found)).filter(compare("seq", Operator::Gt, 0.0));
    let mut now = head;
    let mut ops = Vec::with_capacity(rows.len() + 1);
    for (id, bytes) in rows {
        now = Head { seq: now.seq + 1, total: now.total + bytes };
        ops.push(update(MESSAGES, id, now));
    }
    ops.push(update(HEADS, stream.into(), now));
    let guards = vec![Guard::Exists(unmoved), Guard::Absent(numbered)];
    parts.store.commit(Batch { guards, ops, ..Batch::default() }).await?;
    Ok(now)
}

fn update(table: &str, id: base::Name, head: Head) -> Op {
    let set: Vec<(base::Name, Assign)> =
        vec![("seq".into(), put(head.seq as f64)), ("total".into(), put(head.total))];
    Op::Update { table: table.into(), id, set }
}

/// Those of a stream that have a number.
pub(super) fn numbered(stream: &str) -> Expr {
    Expr::and([is("stream", stream), compare("seq", Operator::Gt, 0.0)])
}

/// The first number of those that the filter holds for.
pub(super) async fn first_where(parts: &Parts, stream: &str, filter: Expr) -> Result<Option<u64>> {
    let mut select =
        Select::table(MESSAGES, columns(&["seq"])).filter(numbered(stream)).filter(filter).limit(1);
    select.sort = vec![by(number("seq"))];
    Ok(parts.store.first(&select).await?.map(|row| row.get(0).as_number() as u64))
}
