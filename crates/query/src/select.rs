//! What to read.

use base::Name;

use crate::column::Column;
use crate::expr::{Expr, Join, Operand, Source};
use crate::route::Route;

/// Rows of one source. A row of the source is returned at most once however many joined rows match it:
/// the filter holds if it holds for some combination of joined rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    pub from: Source,
    /// The columns of each [`crate::Row`], in this order. May be empty when only existence or a count matters.
    pub columns: Vec<Column>,
    /// Left joins in dependency order, shared by filter and sort.
    pub joins: Vec<Join>,
    pub filter: Expr,
    /// Without a sort, rows come in the engine's insertion order.
    pub sort: Vec<Sort>,
    pub limit: Option<u64>,
    pub offset: u64,
    pub route: Route,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sort {
    pub by: SortKey,
    pub descending: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum SortKey {
    /// The value; where joins yield several, the smallest.
    Operand(Operand),
    Random,
    /// Insertion order: SQLite's rowid, a hidden sequence on PostgreSQL.
    Insertion,
}

impl Select {
    pub fn table(name: impl Into<Name>, columns: Vec<Column>) -> Self {
        Select {
            from: Source::Table(name.into()),
            columns,
            joins: Vec::new(),
            filter: Expr::Const(true),
            sort: Vec::new(),
            limit: None,
            offset: 0,
            route: Route::All,
        }
    }

    pub fn filter(mut self, filter: Expr) -> Self {
        self.filter = Expr::and([std::mem::replace(&mut self.filter, Expr::Const(true)), filter]);
        self
    }

    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Rows with one of these ids, in no particular order.
    pub fn by_ids(name: impl Into<Name>, columns: Vec<Column>, ids: Vec<Name>) -> Self {
        let values = ids.iter().map(|id| base::Value::from(&**id)).collect();
        let mut select = Select::table(name, columns);
        let id = Operand::base("id", crate::ColumnType::Id);
        select.filter = Expr::In { left: id, values };
        select.route = Route::Keys(ids);
        select
    }

    /// The id, when this reads exactly one record by its id and nothing else.
    pub fn point(&self) -> Option<&str> {
        match (&self.filter, &self.route) {
            (Expr::In { values, .. }, Route::Keys(ids)) if values.len() == 1 && ids.len() == 1 => {
                self.joins.is_empty().then(|| &*ids[0])
            }
            _ => None,
        }
    }
}
