//! What a commit announces. Realtime events, cache invalidation, purges and webhooks follow from it.

use std::sync::Arc;

use base::topology::Node;
use base::{Name, Timestamp};

use crate::row::Row;

/// One commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Counts commits of this node, without gaps.
    pub sequence: u64,
    pub origin: Node,
    pub at: Timestamp,
    pub items: Vec<ChangeItem>,
    /// Whether tables or views were created, changed or dropped.
    pub schema: bool,
    /// Whether jobs came with it.
    pub jobs: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ChangeItem {
    pub table: Name,
    pub kind: ChangeKind,
    /// `None` when the rows were given by a condition: everything known of the table is out of date.
    pub id: Option<Name>,
    /// A deleted record as it was, in the order of its collection's fields, where the writer knew it.
    pub row: Option<Arc<Row>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    Insert,
    Update,
    Delete,
}
