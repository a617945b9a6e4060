//! The rows that queues are made of, and what is asked of them again and again.

use base::limits::QUEUE_STEP_ROWS;
use base::{Name, Value};
use query::select::SortKey;
use query::{Action, Assign, Claim, Column, ColumnType, Expr, Operand, Operator, Sort};
use store::Store;

use crate::error::Result;

/// Definitions of streams, and what is left of those that were deleted.
pub const QUEUES: &str = "_pando_queues";
/// The last number given in each stream, and the bytes of all messages up to it.
pub const HEADS: &str = "_pando_queue_heads";
pub use backing::bus::MESSAGES;
/// What a group still has to do: one row for a message until it is acknowledged.
pub const DELIVERIES: &str = "_pando_queue_deliveries";
/// The positions of named subscribers.
pub const SUBSCRIBERS: &str = "_pando_queue_subscribers";

type Columns<const N: usize> = [(&'static str, ColumnType); N];

/// `seq` is the place in the stream: positive once it is given, [`UNNUMBERED`] or [`DELAYED`] before. `total` is the
/// sum of all bytes up to the message.
pub const MESSAGE_COLUMNS: Columns<9> = [
    ("stream", ColumnType::Text),
    ("subject", ColumnType::Text),
    ("data", ColumnType::Text),
    ("headers", ColumnType::Text),
    ("bytes", ColumnType::Number),
    ("time", ColumnType::Number),
    ("due", ColumnType::Number),
    ("seq", ColumnType::Number),
    ("total", ColumnType::Number),
];

/// `queue` is a group's queue of one rank, or its dead letters. `due` is when it may be taken: who takes it moves it
/// on by the lease.
pub const DELIVERY_COLUMNS: Columns<7> = [
    ("queue", ColumnType::Text),
    ("message", ColumnType::Text),
    ("rank", ColumnType::Number),
    ("attempts", ColumnType::Number),
    ("due", ColumnType::Number),
    ("holder", ColumnType::Text),
    ("time", ColumnType::Number),
];

pub const SUBSCRIBER_COLUMNS: Columns<3> =
    [("stream", ColumnType::Text), ("position", ColumnType::Number), ("seen", ColumnType::Number)];

pub const UNNUMBERED: f64 = 0.0;
pub const DELAYED: f64 = -1.0;

/// Ranks of messages in a group, the most urgent first. Each is a queue of its own, so that none is searched for
/// among many of another rank.
pub const RANKS: u8 = 3;

pub fn queue(group: &str, rank: u8) -> Name {
    format!("{group}/{rank}").into()
}

pub fn dead(group: &str) -> Name {
    format!("{group}/dead").into()
}

/// All queues of a group, its dead letters aside.
pub fn queues(group: &str) -> Vec<Value> {
    (0..RANKS).map(|rank| Value::from(&*queue(group, rank))).collect()
}

pub fn columns(names: &[&'static str]) -> Vec<Column> {
    let number = |name: &str| {
        matches!(name, "bytes" | "time" | "due" | "seq" | "total" | "rank" | "attempts" | "position" | "seen")
    };
    let ty = |name: &str| match name {
        "id" => ColumnType::Id,
        name if number(name) => ColumnType::Number,
        _ => ColumnType::Text,
    };
    names.iter().map(|name| Column::new(*name, ty(name))).collect()
}

pub fn id() -> Operand {
    Operand::base("id", ColumnType::Id)
}

pub fn text(name: &'static str) -> Operand {
    Operand::base(name, ColumnType::Text)
}

pub fn number(name: &'static str) -> Operand {
    Operand::base(name, ColumnType::Number)
}

pub fn is(name: &'static str, value: &str) -> Expr {
    Expr::same(text(name), Value::from(value))
}

pub fn equals(name: &'static str, value: f64) -> Expr {
    compare(name, Operator::Eq, value)
}

pub fn compare(name: &'static str, op: Operator, value: f64) -> Expr {
    Expr::Compare { left: number(name), op, right: Value::Number(value).into() }
}

pub fn ids(ids: &[Name]) -> Expr {
    Expr::In { left: id(), values: ids.iter().map(|id| Value::from(&**id)).collect() }
}

pub fn by(operand: Operand) -> Sort {
    Sort { by: SortKey::Operand(operand), descending: false }
}

pub fn insertion() -> Sort {
    Sort { by: SortKey::Insertion, descending: false }
}

/// Rows that are changed, and what comes back of them.
pub fn set(table: &'static str, returned: &[&'static str], filter: Expr, set: Vec<(&str, Assign)>) -> Claim {
    let set = set.into_iter().map(|(name, assign)| (name.into(), assign)).collect();
    Claim {
        table: table.into(),
        columns: columns(returned),
        filter,
        sort: Vec::new(),
        limit: None,
        action: Action::Set(set),
    }
}

pub fn put(number: f64) -> Assign {
    Assign::Set(Value::Number(number))
}

/// Deletes what the filter holds for, in bounded steps, and returns how many there were.
pub async fn purge(store: &Store, table: &'static str, filter: Expr) -> Result<u64> {
    let mut count = 0;
    loop {
        let claim = Claim { action: Action::Delete, ..set(table, &["id"], filter.clone(), Vec::new()) };
        let rows = store.claim(&Claim { limit: Some(QUEUE_STEP_ROWS as u64), ..claim }).await?;
        count += rows.len() as u64;
        if rows.len() < QUEUE_STEP_ROWS {
            return Ok(count);
        }
    }
}
