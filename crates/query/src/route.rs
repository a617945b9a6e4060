//! Which shards a query concerns. With one database every route leads there.

use base::Name;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Only records with these keys can answer.
    Keys(Vec<Name>),
    /// Every shard must be asked.
    All,
    /// A collection that every shard holds whole.
    Reference,
}
