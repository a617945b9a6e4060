//! Rows that are taken: chosen and changed by one statement, so that of several who take at once no two get the same.

use base::Name;

use crate::batch::Assign;
use crate::column::Column;
use crate::expr::Expr;
use crate::select::Sort;

/// For tables of bookkeeping: it is announced to nobody.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    pub table: Name,
    /// What comes back of each row that was taken, in no particular order: its values afterwards, or, of rows that are
    /// deleted, before.
    pub columns: Vec<Column>,
    /// Over the table as the base alias, without joins. Rows that somebody else is changing at the moment are passed
    /// over when there is a limit, and waited for when there is none.
    pub filter: Expr,
    /// Which come first, where there is a limit.
    pub sort: Vec<Sort>,
    pub limit: Option<u64>,
    pub action: Action,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Set(Vec<(Name, Assign)>),
    Delete,
}
