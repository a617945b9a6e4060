//! Commits of one insert and nothing else. Those that wait become one commit, which stands or falls whole; when it was
//! refused, nothing of it was written, and each of them is committed alone.

use std::sync::Arc;

use base::limits::{
    GATHERED_INSERT_BYTES_MAX, GATHERED_INSERT_TURNS_MAX, GATHERED_INSERTS_MAX, GATHERED_INSERTS_WAITING_MAX,
};
use base::{Name, Value};
use query::{Batch, Op};
use tokio::sync::oneshot;

use super::lanes::{Gathering, Lanes, Place, Turn};
use crate::engine::Engine;
use crate::error::{Error, Result};

pub struct Inserts {
    engine: Arc<dyn Engine>,
    /// By the columns' names.
    lanes: Lanes<Vec<Name>, Waiting>,
}

pub struct Insert {
    table: Name,
    values: Vec<(Name, Value)>,
}

pub struct Waiting {
    insert: Insert,
    answer: oneshot::Sender<Outcome>,
}

enum Outcome {
    Done(Result<()>),
    Alone(Insert),
}

/// The insert, if the batch is nothing but a small one.
pub fn only(mut batch: Batch) -> Result<Insert, Box<Batch>> {
    let plain = batch.guards.is_empty() && batch.ddl.is_empty() && batch.jobs.is_empty();
    match (batch.ops.pop(), batch.ops.is_empty() && plain) {
        (Some(Op::Insert { table, values }), true)
            if values.iter().map(|(_, value)| value.size_bytes()).sum::<usize>()
                <= GATHERED_INSERT_BYTES_MAX =>
        {
            Ok(Insert { table, values })
        }
        (op, _) => {
            batch.ops.extend(op);
            Err(Box::new(batch))
        }
    }
}

impl Insert {
    fn batch(self) -> Batch {
        Batch::op(Op::Insert { table: self.table, values: self.values })
    }

    fn op(&self) -> Op {
        Op::Insert { table: self.table.clone(), values: self.values.clone() }
    }

    fn names(&self) -> Vec<Name> {
        self.values.iter().map(|(name, _)| name.clone()).collect()
    }
}

impl Inserts {
    pub fn new(engine: Arc<dyn Engine>) -> Inserts {
        let lanes = Lanes::new(GATHERED_INSERT_TURNS_MAX, GATHERED_INSERTS_MAX, GATHERED_INSERTS_WAITING_MAX);
        Inserts { engine, lanes }
    }

    pub async fn commit(self: &Arc<Self>, insert: Insert) -> Result<Vec<usize>> {
        let (table, names) = (insert.table.clone(), insert.names());
        let wait = |insert| {
            let (answer, waits) = oneshot::channel();
            (Waiting { insert, answer }, waits)
        };
        match self.lanes.place((&table, &names), insert, wait) {
            Place::First(insert) => {
                let turn = Turn::new(self, &table, &names);
                let result = self.engine.commit(insert.batch()).await;
                drop(turn);
                result
            }
            Place::Full(insert) => self.engine.commit(insert.batch()).await,
            Place::Waits(answer) => match answer.await {
                Ok(Outcome::Done(result)) => result.map(|()| Vec::new()),
                Ok(Outcome::Alone(insert)) => self.engine.commit(insert.batch()).await,
                Err(_) => Err(Error::Uncertain("a commit that was to be shared was given up".into())),
            },
        }
    }
}

impl Gathering for Inserts {
    type Shape = Vec<Name>;
    type Waiting = Waiting;

    fn lanes(&self) -> &Lanes<Vec<Name>, Waiting> {
        &self.lanes
    }

    async fn together(&self, _table: &Name, _names: &Vec<Name>, waiting: Vec<Waiting>) {
        let ops = waiting.iter().map(|waiting| waiting.insert.op()).collect();
        let result = self.engine.commit(Batch { ops, ..Batch::default() }).await;
        for Waiting { insert, answer } in waiting {
            let outcome = match &result {
                Ok(_) => Outcome::Done(Ok(())),
                // Nothing more can be known of any of them, and each alone would fare no better.
                Err(error @ (Error::Away(_) | Error::Uncertain(_))) => Outcome::Done(Err(error.again())),
                Err(_) => Outcome::Alone(insert),
            };
            // Whoever went away is not committed alone.
            let _ = answer.send(outcome);
        }
    }
}
