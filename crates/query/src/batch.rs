//! What to write. A batch goes down once, and commits or fails whole.

use std::sync::Arc;

use base::{Name, Value};

use crate::change::Change;
use crate::ddl::Ddl;
use crate::expr::Expr;
use crate::row::Row;
use crate::select::Select;

/// A write as a value: guards are judged first, inside the same transaction, then the schema changes, then the
/// operations in order, and the jobs last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    pub guards: Vec<Guard>,
    pub ddl: Vec<Ddl>,
    pub ops: Vec<Op>,
    pub jobs: Vec<Job>,
}

/// A condition that must still hold when the batch commits. The index of the first that fails is reported.
#[derive(Clone, Debug, PartialEq)]
pub enum Guard {
    /// The query has a row.
    Exists(Select),
    /// The query has no row.
    Absent(Select),
    /// The schema version is still this one: nobody has changed collections or settings since.
    Version(u64),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Fails with a conflict when the id or a unique value is taken.
    Insert { table: Name, values: Vec<(Name, Value)> },
    /// Sets columns of one record. A record that is gone is a missing row, see [`Committed::missing`].
    Update { table: Name, id: Name, set: Vec<(Name, Assign)> },
    Delete {
        table: Name,
        id: Name,
        /// The record as it was read before, for those who follow what is deleted; `None` where nobody does.
        row: Option<Arc<Row>>,
    },
    /// Deletes every row that the condition (over the table as the base alias, no joins) holds for.
    DeleteWhere { table: Name, filter: Expr },
}

/// How a column gets its new value.
#[derive(Clone, Debug, PartialEq)]
pub enum Assign {
    Set(Value),
    /// Adds to what the number column holds at commit.
    Add(f64),
}

/// A background job, a row of the same transaction: it exists if and only if the write does.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub queue: Name,
    pub payload: Box<str>,
    pub priority: Priority,
    /// When it is to be done (ms); `None` for as soon as it can be.
    pub due: Option<i64>,
}

/// Who goes first of those that wait. It is a head start and no more, so that nobody waits for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
}

impl Priority {
    /// As it is stored.
    pub fn number(self) -> f64 {
        match self {
            Priority::Low => -1.0,
            Priority::Normal => 0.0,
            Priority::High => 1.0,
        }
    }
}

impl Job {
    pub fn new(queue: impl Into<Name>, payload: impl Into<Box<str>>) -> Job {
        Job { queue: queue.into(), payload: payload.into(), priority: Priority::default(), due: None }
    }

    /// Not before this time (ms).
    pub fn at(self, due: i64) -> Job {
        Job { due: Some(due), ..self }
    }

    pub fn priority(self, priority: Priority) -> Job {
        Job { priority, ..self }
    }
}

impl Batch {
    pub fn op(op: Op) -> Self {
        Batch { ops: vec![op], ..Batch::default() }
    }
}

/// What came of a batch.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// Indexes of updates and deletes whose record was gone. The rest was committed.
    pub missing: Vec<usize>,
    /// What is announced.
    pub change: Option<Arc<Change>>,
}
