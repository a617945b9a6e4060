//! What processes that work on one database must know of each other beside records. Times are the database's, so that
//! their clocks need not agree.

use async_trait::async_trait;

use crate::error::Result;

/// A count within a window of time, which begins with its first request.
#[derive(Clone, Debug)]
pub struct Take<'a> {
    pub key: &'a str,
    /// What may be taken in one window.
    pub most: u64,
    pub window_ms: u64,
    pub part: Part,
    /// Whether the count outlives a crash of the database. One that need not costs no log.
    pub durable: bool,
}

/// How much is taken at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    One,
    /// So much of what is left that others find enough, and at least one.
    Share,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// 0 when nothing is left in this window.
    pub granted: u64,
    /// Until the window ends.
    pub left_ms: u64,
}

/// A process that serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Another one at every start.
    pub id: String,
    pub address: String,
    /// The program's.
    pub release: String,
    /// The schema version that it works by.
    pub schema: u64,
    pub up_ms: u64,
    pub silent_ms: u64,
}

/// Every method is one round trip.
#[async_trait]
pub trait Shared: Send + Sync {
    /// Takes of a count. Never more is granted in a window than may be, however many ask.
    async fn take(&self, take: &Take<'_>) -> Result<Taken>;

    /// The count of a durable key begins anew.
    async fn forget(&self, key: &str) -> Result<()>;

    /// Drops counts whose windows are over, and the ones that end first when there are too many.
    async fn sweep(&self) -> Result<()>;

    /// Tells the others of this process, and returns how many there are. Those that were silent for long are forgotten.
    async fn beat(&self, member: &Member) -> Result<u64>;

    async fn leave(&self, id: &str) -> Result<()>;

    /// Those that were heard of lately, the longest running first.
    async fn members(&self) -> Result<Vec<Member>>;
}
