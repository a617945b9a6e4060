//! The seam of a cache that processes share, behind each one's own. Records only: what lists answer stays where it was made.
//!
//! A reader looks before it reads the database. Who finds nothing is given a lease, reads, and fills; the lease is void
//! once somebody hides the record, so that nothing read before a commit is kept after it. A writer hides what it
//! is about to write, commits, and lifts before anybody is told of the change.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::Name;
use query::Row;

/// A record, and the form in which its row is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    pub table: &'a str,
    pub id: &'a str,
    /// Changes with the columns of the table, their order and types. A row kept in another form is not found.
    pub form: u64,
}

/// What was found. Whoever is given no lease keeps what it reads for itself.
#[derive(Clone, Debug)]
pub enum Look {
    Found(Arc<Row>),
    /// There is no such record.
    Absent,
    /// Nothing is known: the one who asked is the one of all processes that shall read the record and fill it.
    Load(Lease),
    /// Somebody else reads it, for longer than it was waited for.
    Busy,
    /// Somebody writes it.
    Hidden,
    /// It could not be asked.
    Away,
}

/// Good for one [`Tier::fill`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease(pub Box<str>);

#[async_trait]
pub trait Tier: Send + Sync {
    /// Whether it is worth asking now. Cheap.
    fn is_open(&self) -> bool;

    /// Answers in the order of the keys, within a bounded time. Waits a moment for those who read what is asked for. A
    /// number for [`crate::Stamps`] must have been noted before.
    async fn look(&self, keys: &[Key<'_>]) -> Vec<Look>;

    /// Keeps what was read under the lease, if that still holds. `None`: there is no such record. With no lifetime the lease
    /// is given back.
    async fn fill(&self, key: Key<'_>, lease: Lease, row: Option<&Row>, lifetime: Duration);

    /// Before a commit. From here on nobody finds these records or keeps what it reads of them. That it failed shows when
    /// they are lifted. A commit that fails leaves them hidden for some seconds.
    async fn hide(&self, records: Vec<(Name, Name)>);

    /// After the commit of what was hidden, and before any stamp moves or any other process hears of it: when it returns, no
    /// process finds any more what these records were before.
    async fn lift(&self, records: Vec<(Name, Name)>);

    /// The same for everything, after a change that names no records.
    async fn forget(&self);

    /// Who keeps it, and how each does; nobody when they do not answer.
    async fn servers(&self) -> Vec<Server> {
        Vec::new()
    }
}

/// One of the servers of a shared cache.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Server {
    /// What it is: `redis` or `valkey`.
    pub name: &'static str,
    pub address: String,
    pub version: String,
    pub figures: Vec<(&'static str, f64)>,
}

/// Whether records of this table are shared at all. The program's own tables and the system's collections are not.
pub fn is_shared(table: &str) -> bool {
    !table.starts_with('_')
}
