//! Schema changes as data. A batch's changes are applied in order and in one transaction.

use base::Name;

use crate::column::{Column, ColumnType, Table};

#[derive(Clone, Debug, PartialEq)]
pub enum Ddl {
    CreateTable(Table),
    RenameTable {
        from: Name,
        to: Name,
    },
    DropTable(Name),
    AddColumn {
        table: Name,
        column: Column,
    },
    RenameColumn {
        table: Name,
        from: Name,
        to: Name,
    },
    /// Keeps the values as far as the new type can hold them: a single value becomes a list of one, a list its
    /// last item, text that reads as a number the number.
    RetypeColumn {
        table: Name,
        column: Column,
        from: ColumnType,
    },
    DropColumn {
        table: Name,
        column: Name,
    },
    CreateIndex(Index),
    DropIndex {
        name: Name,
    },
    /// `query` is the superuser's own SELECT in the reference's dialect (SQLite's); an engine that cannot run
    /// it says so.
    CreateView {
        name: Name,
        query: Box<str>,
    },
    DropView(Name),
    /// No table changes, but what other processes know of them does: the schema version grows.
    Announce,
}

/// An index in its parsed form, the way the collection's `indexes` declare it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    pub name: Name,
    pub table: Name,
    pub unique: bool,
    pub columns: Vec<IndexColumn>,
    /// The text after `WHERE`, in SQLite's dialect; empty when the index covers every row.
    pub filter: Box<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexColumn {
    /// A column name, or an expression in SQLite's dialect.
    pub expr: Box<str>,
    pub collate: Box<str>,
    pub descending: bool,
}
