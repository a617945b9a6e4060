//! How much waits where.

use query::{Expr, Operator, Select};

use super::find;
use super::order::{first_where, numbered, order};
use super::stream::{Group, Stream};
use super::table::{DELIVERIES, MESSAGES, by, columns, compare, dead, is, number, queues, text};
use crate::error::Result;
use crate::parts::Parts;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Messages that are kept, those that are not due yet aside.
    pub messages: u64,
    /// The oldest and the last number.
    pub first: u64,
    pub last: u64,
    pub groups: Vec<GroupStats>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupStats {
    pub name: String,
    /// To be delivered, now or later.
    pub waiting: u64,
    /// Held by members.
    pub in_flight: u64,
    pub dead: u64,
    /// How long the oldest that may be delivered waits.
    pub oldest_ms: i64,
}

pub async fn stats(parts: &Parts, stream: &str) -> Result<Stats> {
    let stream = find(parts, stream)?;
    let head = order(parts, &stream.id).await?;
    let mut groups = Vec::with_capacity(stream.groups.len());
    for group in &stream.groups {
        groups.push(of_group(parts, group).await?);
    }
    Ok(Stats {
        messages: parts
            .store
            .count(&Select::table(MESSAGES, Vec::new()).filter(numbered(&stream.id)))
            .await?,
        first: first_where(parts, &stream.id, Expr::Const(true)).await?.unwrap_or(head.seq + 1),
        last: head.seq,
        groups,
    })
}

pub(super) async fn of_group(parts: &Parts, group: &Group) -> Result<GroupStats> {
    let now = parts.clock.now().0;
    let live = || {
        let in_group = Expr::In { left: text("queue"), values: queues(&group.id) };
        Select::table(DELIVERIES, columns(&["due", "time"])).filter(in_group)
    };
    let held = Expr::and([Expr::Not(Box::new(is("holder", ""))), compare("due", Operator::Gt, now as f64)]);
    let in_flight = parts.store.count(&live().filter(held)).await?;
    let all = parts.store.count(&live()).await?;
    let mut oldest = live().filter(compare("due", Operator::Le, now as f64)).limit(1);
    oldest.sort = vec![by(number("due"))];
    let oldest = parts.store.first(&oldest).await?.map_or(now, |row| row.get(1).as_number() as i64);
    let letters = Select::table(DELIVERIES, Vec::new()).filter(is("queue", &dead(&group.id)));
    Ok(GroupStats {
        name: group.name.clone(),
        waiting: all.saturating_sub(in_flight),
        in_flight,
        dead: parts.store.count(&letters).await?,
        oldest_ms: (now - oldest).max(0),
    })
}

/// Groups and their streams, the first so many.
pub(super) fn sampled(
    streams: &[std::sync::Arc<Stream>],
    max: usize,
) -> impl Iterator<Item = (&Stream, &Group)> {
    streams.iter().flat_map(|stream| stream.groups.iter().map(move |group| (&**stream, group))).take(max)
}
