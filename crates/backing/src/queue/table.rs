//! The rows. A job is held by lease: `due` is moved into the future when it is taken, so that a job whose holder died is
//! due again by itself. What many jobs need is done by one statement.

use std::sync::Arc;

use base::limits::{JOB_ERROR_CHARS_MAX, JOB_LEASE_MS, JOB_RETRY_MS_MAX};
use base::{Clock, Name, Value};
use futures_util::future::try_join_all;
use query::select::SortKey;
use query::{Action, Assign, Claim, Column, ColumnType, Expr, Operand, Operator, Row, Select, Sort};
use store::Store;

use super::{Outcome, Result, Taken, Ticket};

pub const TABLE: &str = "_pando_jobs";
/// The queue of jobs that were given up.
pub const DEAD: &str = "dead";

pub struct Table {
    store: Store,
    clock: Arc<dyn Clock>,
}

/// Those with these ids that this one holds.
#[derive(Clone)]
pub struct Held<'h> {
    pub holder: &'h str,
    pub ids: Vec<Name>,
}

impl Table {
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Table {
        Table { store, clock }
    }

    pub fn now(&self) -> i64 {
        self.clock.now().0
    }

    /// Of these queues those that have due jobs. One look for each, as one for all would have to sort what it finds.
    pub async fn busy(&self, queues: &[Name]) -> Result<Vec<Name>> {
        let looks = queues.iter().map(|queue| async move {
            let select = Select::table(TABLE, Vec::new()).filter(is("queue", queue)).filter(self.is_due());
            let sort = vec![Sort { by: SortKey::Operand(due()), descending: false }];
            self.store.first(&Select { sort, limit: Some(1), ..select }).await
        });
        let found = try_join_all(looks).await?;
        let busy = queues.iter().zip(found).filter(|(_, first)| first.is_some());
        Ok(busy.map(|(queue, _)| queue.clone()).collect())
    }

    /// Takes due jobs, the longest due first.
    pub async fn take(&self, queue: &Name, most: usize, holder: &str, lease_ms: i64) -> Result<Vec<Taken>> {
        let until = self.now() + lease_ms;
        let claim = Claim {
            table: TABLE.into(),
            columns: vec![
                Column::new("id", ColumnType::Id),
                Column::new("payload", ColumnType::Text),
                Column::new("attempts", ColumnType::Number),
                Column::new("priority", ColumnType::Number),
                Column::new("created", ColumnType::Date),
            ],
            filter: Expr::and([is("queue", queue), self.is_due()]),
            sort: vec![
                Sort { by: SortKey::Operand(due()), descending: false },
                Sort { by: SortKey::Insertion, descending: false },
            ],
            limit: Some(most as u64),
            action: Action::Set(vec![
                set("due", number(until)),
                ("attempts".into(), Assign::Add(1.0)),
                set("holder", Value::from(holder)),
            ]),
        };
        let mut rows = self.claim(&claim).await?;
        rows.sort_by(|a, b| {
            let (higher, lower) = (b.get(3).as_number(), a.get(3).as_number());
            higher.total_cmp(&lower).then_with(|| a.get(4).text_or_empty().cmp(b.get(4).text_or_empty()))
        });
        Ok(rows
            .iter()
            .map(|row| Taken {
                id: row.get(0).text_or_empty().into(),
                queue: queue.clone(),
                payload: row.get(1).text_or_empty().into(),
                attempts: row.get(2).as_number() as u32,
                noted: row.get(2).as_number() as u32,
                ticket: Ticket::Row,
            })
            .collect())
    }

    /// Which of them are still held, and so are for the whole lease again.
    pub async fn renew(&self, held: &Held<'_>, lease_ms: i64) -> Result<Vec<Name>> {
        self.change(held, vec![set("due", number(self.now() + lease_ms))]).await
    }

    /// They are over. Returns how many were held.
    pub async fn done(&self, held: &Held<'_>) -> Result<usize> {
        let claim = Claim { action: Action::Delete, ..among(held) };
        Ok(self.claim(&claim).await?.len())
    }

    /// The same, whoever holds them by now.
    pub async fn over(&self, ids: Vec<Name>) -> Result<usize> {
        let claim = Claim { filter: by_ids(&ids), ..among(&Held { holder: "", ids: Vec::new() }) };
        Ok(self.claim(&claim).await?.len())
    }

    /// Whether the row is still held for this very attempt, and so is for the whole lease again.
    pub async fn confirm(&self, job: &Taken, holder: &str, lease_ms: i64) -> Result<bool> {
        let mut claim = among(&Held { holder, ids: vec![job.id.clone()] });
        claim.filter = Expr::and([claim.filter, Expr::eq(attempts(), number(job.noted.into()))]);
        claim.action = Action::Set(vec![set("due", number(self.now() + lease_ms))]);
        Ok(!self.claim(&claim).await?.is_empty())
    }

    /// Frees what is held by others whose names begin alike. Returns how many.
    pub async fn free_others(&self, queues: &[Name], alike: &str, but: &str) -> Result<usize> {
        let compare = |op, text: &str| Expr::Compare { left: holder(), op, right: Value::from(text).into() };
        let values = queues.iter().map(|queue| Value::from(&**queue)).collect();
        let filter = Expr::and([
            Expr::In { left: text("queue"), values },
            compare(Operator::Like, &format!("{alike}%")),
            compare(Operator::Ne, but),
        ]);
        let action = Action::Set(vec![set("due", number(self.now())), set("holder", Value::from(""))]);
        let claim = Claim { filter, action, ..among(&Held { holder: "", ids: Vec::new() }) };
        Ok(self.claim(&claim).await?.len())
    }

    /// Settles one that is not done. Returns whether it was held.
    pub async fn leave(&self, job: &Taken, holder: &str, outcome: &Outcome) -> Result<bool> {
        let free = set("holder", Value::from(""));
        let said = |error: &String| {
            let short: String = error.chars().take(JOB_ERROR_CHARS_MAX).collect();
            set("error", Value::from(short))
        };
        let values = match outcome {
            Outcome::Done => return Ok(self.done(&Held { holder, ids: vec![job.id.clone()] }).await? > 0),
            Outcome::Again(at, error) => vec![free, set("due", number(*at)), said(error)],
            Outcome::Back => {
                vec![free, set("due", number(self.now())), ("attempts".into(), Assign::Add(-1.0))]
            }
            Outcome::Dead(error) => vec![
                free,
                set("due", number(self.now())),
                set("queue", Value::from(DEAD)),
                set("origin", Value::from(&*job.queue)),
                said(error),
            ],
        };
        let mut claim = among(&Held { holder, ids: vec![job.id.clone()] });
        claim.filter = Expr::and([claim.filter, Expr::eq(attempts(), number(job.noted.into()))]);
        claim.action = Action::Set(values);
        Ok(!self.claim(&claim).await?.is_empty())
    }

    /// Frees what is held for longer than any lease lasts: the clock was set back.
    pub async fn free_astray(&self, queues: &[Name]) -> Result<()> {
        let absurd = self.now() + (JOB_RETRY_MS_MAX + JOB_LEASE_MS) as i64 * 2;
        let values = queues.iter().map(|queue| Value::from(&**queue)).collect();
        let filter = Expr::and([
            Expr::In { left: text("queue"), values },
            less(number(absurd), due()),
            Expr::Compare { left: holder(), op: Operator::Ne, right: Value::from("").into() },
        ]);
        let found = Select::table(TABLE, Vec::new()).filter(filter.clone()).limit(1);
        if self.store.select(&found).await?.is_empty() {
            return Ok(());
        }
        let values = vec![set("due", number(self.now())), set("holder", Value::from(""))];
        let claim =
            Claim { filter, action: Action::Set(values), ..among(&Held { holder: "", ids: Vec::new() }) };
        self.claim(&claim).await.map(drop)
    }

    async fn change(&self, held: &Held<'_>, values: Vec<(Name, Assign)>) -> Result<Vec<Name>> {
        let rows = self.claim(&Claim { action: Action::Set(values), ..among(held) }).await?;
        Ok(rows.iter().map(|row| row.get(0).text_or_empty().into()).collect())
    }

    /// Nobody reads at once what this writes: whoever takes a job asks the same host.
    async fn claim(&self, claim: &Claim) -> Result<Vec<Row>> {
        self.store.unwaited().claim(claim).await
    }

    fn is_due(&self) -> Expr {
        less(due(), number(self.now() + 1))
    }
}

fn among(held: &Held<'_>) -> Claim {
    Claim {
        table: TABLE.into(),
        columns: vec![Column::new("id", ColumnType::Id)],
        filter: Expr::and([by_ids(&held.ids), is("holder", held.holder)]),
        sort: Vec::new(),
        limit: None,
        action: Action::Delete,
    }
}

fn by_ids(ids: &[Name]) -> Expr {
    let values = ids.iter().map(|id| Value::from(&**id)).collect();
    Expr::In { left: Operand::base("id", ColumnType::Id), values }
}

fn holder() -> Operand {
    text("holder")
}

fn is(column: &str, value: &str) -> Expr {
    Expr::eq(text(column), Value::from(value))
}

fn text(column: &str) -> Operand {
    Operand::base(column, ColumnType::Text)
}

fn due() -> Operand {
    Operand::base("due", ColumnType::Number)
}

fn attempts() -> Operand {
    Operand::base("attempts", ColumnType::Number)
}

fn less(left: impl Into<Operand>, right: impl Into<Operand>) -> Expr {
    Expr::Compare { left: left.into(), op: Operator::Lt, right: right.into() }
}

pub fn set(column: &str, value: Value) -> (Name, Assign) {
    (column.into(), Assign::Set(value))
}

pub fn number(number: i64) -> Value {
    Value::Number(number as f64)
}
