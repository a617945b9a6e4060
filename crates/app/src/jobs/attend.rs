//! Jobs as people look at them: what waits, what runs, and what was given up, to be tried again or dropped.

use backing::queue::{DEAD, TABLE};
use base::limits::{JOB_DEAD_MS, JOBS_RETRIED_MAX};
use base::{Kind, Name, Value};
use query::select::SortKey;
use query::{
    Action, Assign, Batch, Claim, Column, ColumnType, Expr, Op, Operand, Operator, Row, Select, Sort,
};

use super::{DEFAULT, QUEUES};
use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::records::{ListQuery, Page};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// To be done as soon as somebody has room.
    Waiting,
    /// To be done at a later time, for the first time or again.
    Delayed,
    /// Held by a process, or on its way to one.
    Running,
    /// Given up.
    Dead,
}

impl State {
    pub const ALL: [(&'static str, State); 4] = [
        ("waiting", State::Waiting),
        ("delayed", State::Delayed),
        ("running", State::Running),
        ("dead", State::Dead),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, state)| *state == self).map_or("", |(name, _)| name)
    }
}

pub struct Seen {
    pub id: String,
    /// That it came from, if it was given up.
    pub queue: String,
    pub state: State,
    pub priority: f64,
    pub attempts: f64,
    /// When it is to be done, when its lease ends, or when it was given up (ms).
    pub due: i64,
    pub created: String,
    /// Of its last run, if that failed.
    pub error: String,
    /// JSON, unless somebody wrote something else there.
    pub payload: String,
}

/// Those of a queue and in a state, where asked for, in the order in which they come.
pub async fn list(parts: &Parts, queue: &str, state: &str, query: &ListQuery) -> Result<Page<Seen>> {
    let now = parts.clock.now().0;
    let mut filter = Vec::new();
    if !queue.is_empty() {
        let was_there = Expr::and([is("queue", DEAD), is("origin", queue)]);
        filter.push(Expr::or([is("queue", queue), was_there]));
    }
    if !state.is_empty() {
        let known = State::ALL.iter().find(|(name, _)| *name == state);
        let (_, state) = known.ok_or_else(|| {
            Error::new(Kind::Invalid, "The state is one of waiting, delayed, running and dead.")
        })?;
        filter.push(in_state(*state, now));
    }
    let mut select = Select::table(TABLE, columns()).filter(Expr::and(filter));
    select.sort = vec![Sort { by: SortKey::Operand(due()), descending: false }];
    query.find(&parts.store, select, |row| seen(row, now)).await
}

pub async fn view(parts: &Parts, id: &str) -> Result<Seen> {
    let select = Select::by_ids(TABLE, columns(), vec![id.into()]);
    let row = parts.store.first(&select).await?.ok_or_else(missing)?;
    Ok(seen(&row, parts.clock.now().0))
}

/// Has it done now, as if it had never been tried.
pub async fn retry(parts: &Parts, id: &str) -> Result<()> {
    let job = view(parts, id).await?;
    let again = Claim {
        filter: Expr::and([by_id(id), not_running(parts)]),
        ..revived(&job.queue, parts.clock.now().0)
    };
    changed(parts, &again).await
}

/// Every one that was given up, of one queue or of all. Returns how many.
pub async fn retry_dead(parts: &Parts, queue: &str) -> Result<u64> {
    let mut origins: Vec<&str> = match queue {
        "" => QUEUES.to_vec(),
        one => vec![one],
    };
    // Older versions did not note it.
    if queue.is_empty() || queue == DEFAULT {
        origins.push("");
    }
    let mut count = 0;
    for origin in origins {
        loop {
            let to = if origin.is_empty() { DEFAULT } else { origin };
            let again = Claim {
                filter: Expr::and([is("queue", DEAD), is("origin", origin)]),
                limit: Some(JOBS_RETRIED_MAX),
                ..revived(to, parts.clock.now().0)
            };
            let some = parts.store.claim(&again).await?.len() as u64;
            count += some;
            if some < JOBS_RETRIED_MAX {
                break;
            }
        }
    }
    Ok(count)
}

/// Drops it undone.
pub async fn remove(parts: &Parts, id: &str) -> Result<()> {
    view(parts, id).await?;
    let filter = Expr::and([by_id(id), not_running(parts)]);
    changed(parts, &Claim { filter, action: Action::Delete, ..revived("", 0) }).await
}

/// Deletes those that were given up long ago.
pub async fn forget_dead(parts: &Parts) -> Result<()> {
    let before = parts.clock.now().0 - JOB_DEAD_MS;
    let filter = Expr::and([is("queue", DEAD), compared(Operator::Lt, before)]);
    parts.store.commit(Batch::op(Op::DeleteWhere { table: TABLE.into(), filter })).await?;
    Ok(())
}

async fn changed(parts: &Parts, claim: &Claim) -> Result<()> {
    match parts.store.claim(claim).await?.is_empty() {
        true => Err(Error::new(Kind::Invalid, "The job is running.")),
        false => Ok(()),
    }
}

fn revived(queue: &str, now: i64) -> Claim {
    let set = |name: &str, value: Value| -> (Name, Assign) { (name.into(), Assign::Set(value)) };
    Claim {
        table: TABLE.into(),
        columns: vec![Column::new("id", ColumnType::Id)],
        filter: Expr::Const(false),
        sort: Vec::new(),
        limit: None,
        action: Action::Set(vec![
            set("queue", queue.into()),
            set("origin", "".into()),
            set("holder", "".into()),
            set("attempts", 0.0.into()),
            set("due", (now as f64).into()),
        ]),
    }
}

pub(super) fn in_state(state: State, now: i64) -> Expr {
    let dead = is("queue", DEAD);
    let alive = Expr::Not(Box::new(is("queue", DEAD)));
    let later = compared(Operator::Gt, now);
    match state {
        State::Dead => dead,
        State::Waiting => Expr::and([alive, compared(Operator::Le, now)]),
        State::Delayed => Expr::and([alive, later, is("holder", "")]),
        State::Running => Expr::and([alive, later, Expr::Not(Box::new(is("holder", "")))]),
    }
}

fn not_running(parts: &Parts) -> Expr {
    Expr::Not(Box::new(in_state(State::Running, parts.clock.now().0)))
}

fn columns() -> Vec<Column> {
    use ColumnType::{Date, Id, Number, Text};
    let columns = [
        ("id", Id),
        ("queue", Text),
        ("origin", Text),
        ("holder", Text),
        ("priority", Number),
        ("attempts", Number),
        ("due", Number),
        ("created", Date),
        ("error", Text),
        ("payload", Text),
    ];
    columns.into_iter().map(|(name, ty)| Column::new(name, ty)).collect()
}

fn seen(row: &Row, now: i64) -> Seen {
    let text = |index: usize| row.get(index).text_or_empty().to_owned();
    let (due, is_dead) = (row.get(6).as_number() as i64, row.get(1).text_or_empty() == DEAD);
    let state = match (is_dead, due > now, row.get(3).text_or_empty().is_empty()) {
        (true, ..) => State::Dead,
        (false, false, _) => State::Waiting,
        (false, true, true) => State::Delayed,
        (false, true, false) => State::Running,
    };
    let queue = match (is_dead, text(2)) {
        (false, _) => text(1),
        (true, origin) if origin.is_empty() => DEFAULT.to_owned(),
        (true, origin) => origin,
    };
    Seen {
        id: text(0),
        queue,
        state,
        priority: row.get(4).as_number(),
        attempts: row.get(5).as_number(),
        due,
        created: text(7),
        error: text(8),
        payload: text(9),
    }
}

fn missing() -> Error {
    Error::new(Kind::NotFound, "There is no such job.")
}

fn by_id(id: &str) -> Expr {
    Expr::In { left: Operand::base("id", ColumnType::Id), values: vec![id.into()] }
}

pub(super) fn is(column: &str, value: &str) -> Expr {
    Expr::eq(Operand::base(column, ColumnType::Text), Value::from(value))
}

fn due() -> Operand {
    Operand::base("due", ColumnType::Number)
}

fn compared(op: Operator, at: i64) -> Expr {
    Expr::Compare { left: due(), op, right: Value::Number(at as f64).into() }
}
