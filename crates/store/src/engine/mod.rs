//! The seam between the façade and the engines. Each engine, and later each wrapper, passes `contract`.

pub mod decode;
pub mod postgres;
pub mod shared;
pub mod sqlite;
pub mod transfer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::Name;
use query::{Batch, Claim, ColumnType, Op, Row, Select, Visits};

use crate::error::{Error, Result};
use shared::Shared;

/// A database that can run the query language. Everything is cancel safe: a dropped `commit` may or may not
/// take effect, but never half.
#[async_trait]
pub trait Engine: Send + Sync {
    /// `"sqlite"` or `"postgres"`, for messages.
    fn name(&self) -> &'static str;

    /// Every acknowledged commit is visible, of whatever process where several share a database.
    async fn select(&self, select: &Select) -> Result<Vec<Row>>;

    /// How many rows the query has, its limit, offset and sort aside.
    async fn count(&self, select: &Select) -> Result<u64>;

    /// The same by the hour (UTC, as `2026-01-02 03:00:00`) that a date column lies in, in order of time. Not asked of
    /// an open transaction.
    async fn count_by_hour(&self, _select: &Select, _column: &Name) -> Result<Vec<(String, u64)>> {
        Err(Error::Internal("a transaction does not count by the hour".into()))
    }

    /// Visits, counted. Not asked of an open transaction.
    async fn visits(&self, _visits: &Visits) -> Result<Vec<[i64; 3]>> {
        Err(Error::Internal("a transaction does not count visits".into()))
    }

    /// Commits or fails whole. Returns once the commit is durable. The result is the indexes of updates and
    /// deletes whose record was gone.
    async fn commit(&self, batch: Batch) -> Result<Vec<usize>>;

    /// As [`Engine::commit`], but it may return before the commit is durable. Every later read finds what it wrote
    /// nonetheless, as long as the process lives.
    async fn commit_later(&self, batch: Batch, _later: &Later) -> Result<Vec<usize>> {
        self.commit(batch).await
    }

    /// Whether from here on every commit is durable when it returns; then all that were before it are.
    async fn directly(&self, _directly: bool) -> Result<()> {
        Ok(())
    }

    /// What was acknowledged and is not durable.
    fn left(&self) -> Vec<Op> {
        Vec::new()
    }

    /// Takes rows. When the answer is lost, rows may have been taken that nobody knows of: they must come back by
    /// themselves, as what is held by lease does.
    async fn claim(&self, claim: &Claim) -> Result<Vec<Row>>;

    /// Opens a transaction. It is undone when it is still open after `limit`, or when its last handle goes away.
    async fn begin(&self, limit: Duration) -> Result<Arc<dyn Transaction>>;

    /// A number that grows with every schema change that any process commits. Cheap enough to ask for often.
    async fn schema_version(&self) -> Result<u64>;

    /// A number that grows when another process is seen to have written to a database that is otherwise this
    /// process's alone, so that what is cached of it can be dropped. Costs nothing to ask for. Engines whose
    /// other writers announce their changes themselves stay at 0.
    fn external_version(&self) -> u64 {
        0
    }

    /// What the processes on this database know of each other; `None` when there is one process only, or inside of a
    /// transaction.
    fn shared(&self) -> Option<&dyn Shared>;

    /// Names the result columns of a view's query without keeping the view. For a column that is a plain
    /// reference to a table's column, `origin` says which.
    async fn describe_view(&self, query: &str) -> Result<Vec<ViewColumn>>;

    /// Runs statements in the engine's own language, on a connection of its own that is gone afterwards, within the
    /// limits of `base::limits::SQL_*`. Several are one transaction. The answer is the last one's.
    async fn console(&self, _sql: &str) -> Result<Console> {
        Err(crate::Error::Refused("not inside of a transaction".into()))
    }

    /// Copies the database as it is now into a new file, while reads and writes go on. Every acknowledged commit is in
    /// it. Dropping the future gives the copy up.
    async fn snapshot(&self, _to: &Path) -> Result<()> {
        Err(crate::Error::Refused("this database cannot be copied into a file".into()))
    }

    /// For a move of all data to another engine: this is where it comes from.
    async fn depart(&self) -> Result<Box<dyn transfer::Departure>> {
        Err(Error::Refused("the data cannot be moved from here".into()))
    }

    /// For a move of all data to this engine.
    async fn arrive(&self) -> Result<Box<dyn transfer::Arrival>> {
        Err(Error::Refused("data cannot be moved here".into()))
    }

    /// Whether the database answers at all.
    async fn ping(&self) -> Result<()>;

    /// Lets the database refresh what it knows of its own tables, for better query plans, some time soon. Databases
    /// that do so by themselves need not be asked.
    async fn optimize(&self) -> Result<()> {
        Ok(())
    }

    /// What can be told of the engine's inside without asking the database: metrics and their values.
    fn gauges(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// The same database, whose commits are durable when they return but may be seen by reads that begin a little later
    /// only. `None` where that would spare nothing.
    fn unwaited(&self) -> Option<Arc<dyn Engine>> {
        None
    }

    /// Finishes what is queued and closes files and connections.
    async fn close(&self);
}

/// What allows a commit to be acknowledged before it is durable.
#[derive(Clone, Debug)]
pub struct Later {
    /// The schema version that the batch was made by.
    pub schema: u64,
    /// The views there are in it.
    pub views: Vec<Name>,
    /// How long it may take until it is durable.
    pub within: Duration,
}

/// An open transaction is an engine of its own: what it reads holds what it wrote, and each `commit` is a step that
/// takes effect, or fails, whole, and that nobody else sees before the end.
#[async_trait]
pub trait Transaction: Engine {
    /// Makes all steps durable at once, or undoes them. Afterwards nothing more can be asked of it. One that was undone
    /// already says why.
    async fn finish(&self, commit: bool) -> Result<()>;
}

/// What a transaction answers that is asked for another one.
fn nested() -> crate::Error {
    crate::Error::Refused("a transaction cannot be opened inside of another".into())
}

/// The first word, comments aside, in lower case.
fn first_word(sql: &str) -> String {
    let mut rest = sql.trim_start();
    loop {
        rest = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, rest)| rest).trim_start()
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, rest)| rest).trim_start()
        } else {
            break;
        };
    }
    rest.chars().take_while(|letter| letter.is_ascii_alphabetic()).collect::<String>().to_ascii_lowercase()
}

/// What came of statements that a person wrote.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Console {
    pub columns: Vec<ConsoleColumn>,
    /// Values in the engine's own spelling.
    pub rows: Vec<Vec<Option<String>>>,
    /// Rows that were written, when the first statement writes.
    pub affected: u64,
    /// Whether anything may have been written.
    pub wrote: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ConsoleColumn {
    pub name: String,
    /// As declared; empty when it is not a table's column.
    pub ty: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ViewColumn {
    pub name: String,
    pub origin: Option<(String, String)>,
    /// What the engine can tell of the column's type, when the origin is unknown.
    pub ty: ColumnType,
}
