//! What a move of an installation from one engine to another needs of both. Rows travel as values, each with its place
//! in the order of insertion, so that the same code reads any engine and fills any other.

use std::time::Duration;

use async_trait::async_trait;
use base::{Name, Value};
use query::{Ddl, Row, Table};

use crate::error::Result;

/// The bookkeeping table that holds the marks of a move.
pub const META: &str = "_pando_meta";
/// The mark of a database that was left: where its data is now.
pub const MOVED: &str = "moved";
/// The mark of a database that is being filled.
pub const ARRIVING: &str = "arriving";
/// What was written while a move was going on.
pub const CHANGES: &str = "_pando_changes";
/// What the refusal of a write to a database that was left begins with.
pub const FENCE: &str = "pando: the data has moved";

/// A row and its place in the order of insertion.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbered {
    pub place: i64,
    pub row: Row,
}

/// A record that was written, or written and deleted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Touched {
    pub table: Name,
    pub id: Name,
}

/// What became of the records of one table: those with these ids are now these rows.
#[derive(Clone, Debug)]
pub struct Delta {
    pub table: Table,
    pub ids: Vec<Name>,
    pub rows: Vec<Numbered>,
}

/// The database at one moment.
#[async_trait]
pub trait Stand: Send {
    async fn count(&mut self, table: &Name) -> Result<u64>;

    /// The rows behind a place, in the order of insertion.
    async fn rows(&mut self, table: &Table, after: i64, max: usize) -> Result<Vec<Numbered>>;

    async fn by_id(&mut self, table: &Table, ids: &[Name]) -> Result<Vec<Numbered>>;

    /// The bookkeeping entries: key and value.
    async fn meta(&mut self) -> Result<Vec<(String, String)>>;
}

/// A look at the database that is left, and what was written between the look before and this one.
pub struct Look {
    pub stand: Box<dyn Stand>,
    pub touched: Vec<Touched>,
}

/// The database that is left.
#[async_trait]
pub trait Departure: Send {
    /// From here on it is noted what is written to these tables, whoever writes.
    async fn follow(&mut self, tables: &[Name]) -> Result<()>;

    /// Ends the notes, and forgets them.
    async fn unfollow(&mut self) -> Result<()>;

    async fn look(&mut self) -> Result<Look>;

    /// A look that asks for no notes.
    async fn stand(&mut self) -> Result<Box<dyn Stand>>;

    /// Lets nobody write until the hold is dropped or the database is left. Who wants to write waits.
    async fn hold(&mut self, wait: Duration) -> Result<Box<dyn Hold>>;
}

/// Nobody writes.
#[async_trait]
pub trait Hold: Send {
    /// What was written since the last look.
    async fn touched(&mut self) -> Result<Vec<Touched>>;

    fn stand(&mut self) -> &mut dyn Stand;

    /// Leaves the mark and refuses every later write, at once and durably.
    async fn leave(self: Box<Self>, mark: &str) -> Result<()>;
}

/// The database that is filled. Nobody else uses it yet.
#[async_trait]
pub trait Arrival: Stand {
    /// Why a value could not be stored here, if so.
    fn objection(&self, value: &Value) -> Option<&'static str>;

    /// Leaves the mark. Fails when anything is there but what an earlier arrival left, which is removed.
    async fn prepare(&mut self, mark: &str) -> Result<()>;

    async fn change(&mut self, ddl: &[Ddl]) -> Result<()>;

    async fn append(&mut self, table: &Table, rows: &[Numbered]) -> Result<()>;

    /// All at once, and durably.
    async fn apply(&mut self, deltas: &[Delta], meta: &[(String, String)]) -> Result<()>;

    /// What is left to do when all rows are there: statistics, and where the order of insertion goes on.
    async fn settle(&mut self) -> Result<()>;

    /// The data is here now: the mark goes.
    async fn confirm(&mut self) -> Result<()>;
}

/// Pando's own tables whose rows travel; others belong to the database itself.
pub const OWN: [&str; 18] = [
    "_collections",
    "_params",
    "_logs",
    "_pando_log_spool",
    "_pando_jobs",
    "_pando_passkeys",
    "_pando_ceremonies",
    "_pando_webhooks",
    "_pando_deliveries",
    "_pando_alerts",
    "_pando_exchanges",
    "_pando_audit",
    "_pando_active",
    "_pando_queues",
    "_pando_queue_heads",
    "_pando_queue_messages",
    "_pando_queue_deliveries",
    "_pando_queue_subscribers",
];

/// Whether an entry of the bookkeeping table travels: the minutes in which schedules were due last.
pub fn travels(key: &str) -> bool {
    key.starts_with(TRAVELS)
}
pub const TRAVELS: &str = "cron:";
