//! What can go wrong in the data tier.

use base::{Kind, Name};

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A unique index or primary key already holds the value.
    #[error("the value of {table}.{} is taken", columns.join(", "))]
    Taken { table: Name, columns: Vec<String> },
    /// The guard with this index did not hold; nothing was written.
    #[error("guard {0} did not hold")]
    Guard(usize),
    /// The engine refused what was asked: a view's query, an index over missing columns, a value out of range.
    /// The text is the engine's own and fit to show to a superuser.
    #[error("{0}")]
    Refused(String),
    /// An index could not be made: a column is missing, or values repeat. The text is the engine's own.
    #[error("failed to create index {name} - {why}")]
    Index { name: Name, why: String },
    /// A table or a column is not there any more: the caller went by a schema that another one has replaced meanwhile.
    #[error("the schema has changed: {0}")]
    Outdated(String),
    /// The database does not answer in time; nothing was written.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// There is no connection, or the server cannot do this as it stands; nothing was written. Another server of the
    /// same database may do it, or this one later.
    #[error("the database cannot be reached: {0}")]
    Away(String),
    /// The connection was lost before the answer came: the write happened whole or not at all.
    #[error("the database did not answer, so the write may have happened: {0}")]
    Uncertain(String),
    /// The query itself took longer than a query may.
    #[error("the database gave up: {0}")]
    Slow(String),
    /// The transaction was open for longer than it may be, and was undone.
    #[error("the transaction took too long and was undone")]
    Expired,
    /// Other transactions were in the way, and this one was undone: the same steps may go through the next time.
    #[error("the transaction was undone because of others: {0}")]
    Aborted(String),
    /// The data has moved to another database, which is not open yet; nothing was written.
    #[error("the data has moved to another database")]
    Moved,
    /// Another process holds the directory.
    #[error("{0}")]
    Locked(String),
    /// The disk is full.
    #[error("no space left for the database: {0}")]
    Full(String),
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// The same error for another who shared what failed.
    pub fn again(&self) -> Error {
        match self {
            Error::Taken { table, columns } => {
                Error::Taken { table: table.clone(), columns: columns.clone() }
            }
            Error::Guard(index) => Error::Guard(*index),
            Error::Refused(text) => Error::Refused(text.clone()),
            Error::Index { name, why } => Error::Index { name: name.clone(), why: why.clone() },
            Error::Outdated(text) => Error::Outdated(text.clone()),
            Error::Unavailable(text) => Error::Unavailable(text.clone()),
            Error::Away(text) => Error::Away(text.clone()),
            Error::Uncertain(text) => Error::Uncertain(text.clone()),
            Error::Slow(text) => Error::Slow(text.clone()),
            Error::Expired => Error::Expired,
            Error::Moved => Error::Moved,
            Error::Aborted(text) => Error::Aborted(text.clone()),
            Error::Locked(text) => Error::Locked(text.clone()),
            Error::Full(text) => Error::Full(text.clone()),
            Error::Internal(text) => Error::Internal(text.clone()),
        }
    }

    /// What a failed `CREATE INDEX` says: at fault is the index, unless the database itself was.
    pub(crate) fn of_index(self, name: &Name) -> Error {
        match self {
            Error::Refused(why) => Error::Index { name: name.clone(), why },
            taken @ Error::Taken { .. } => Error::Index { name: name.clone(), why: taken.to_string() },
            other => other,
        }
    }

    pub fn kind(&self) -> Kind {
        match self {
            Error::Taken { .. } | Error::Guard(_) => Kind::Conflict,
            Error::Refused(_) | Error::Index { .. } => Kind::Invalid,
            Error::Outdated(_)
            | Error::Unavailable(_)
            | Error::Away(_)
            | Error::Uncertain(_)
            | Error::Slow(_)
            | Error::Expired
            | Error::Aborted(_)
            | Error::Moved
            | Error::Locked(_)
            | Error::Full(_) => Kind::Unavailable,
            Error::Internal(_) => Kind::Internal,
        }
    }
}
