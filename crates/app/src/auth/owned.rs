//! Rows of the system's collections that belong to one auth record each.

use std::sync::Arc;

use base::limits::CASCADE_ROWS_MAX;
use base::{Kind, Value};
use model::{Collection, Record};
use query::select::SortKey;
use query::{ColumnType, Expr, Op, Operand, Select, Sort};

use crate::error::{Error, Result};
use crate::rules::Context;

pub(super) fn collection(cx: &Context<'_>, name: &str) -> Result<Arc<Collection>> {
    cx.collection(name)
        .ok_or_else(|| Error::new(Kind::Internal, format!("The collection {name} is missing.")))
}

/// That a text column holds the value.
pub(super) fn is(column: &str, value: &str) -> Expr {
    Expr::eq(Operand::base(column, ColumnType::Text), Value::from(value))
}

/// That a row belongs to the record.
pub(super) fn of(record: &Record) -> Expr {
    Expr::and([is("collectionRef", &record.collection.id), is("recordRef", record.id())])
}

/// A new row of that collection that belongs to `owner`.
pub(super) fn blank(cx: &Context<'_>, name: &str, owner: &Record) -> Result<Record> {
    let mut row = Record::blank(collection(cx, name)?);
    row.set("collectionRef", Value::from(&*owner.collection.id));
    row.set("recordRef", Value::from(owner.id()));
    cx.generate(&mut row, true);
    Ok(row)
}

/// Whether a row belongs to that record.
pub(super) fn is_of(row: &Record, owner: &Record) -> bool {
    row.text("recordRef") == owner.id() && row.text("collectionRef") == &*owner.collection.id
}

/// The rows that belong to `owner`, the oldest first.
pub(super) async fn all(cx: &Context<'_>, name: &str, owner: &Record, most: usize) -> Result<Vec<Record>> {
    let rows = collection(cx, name)?;
    let mut select = Select::table(rows.name.clone(), rows.table.columns.clone()).filter(of(owner));
    select.limit = Some(most as u64);
    let by = |by| Sort { by, descending: false };
    let created = SortKey::Operand(Operand::base("created", ColumnType::Date));
    select.sort = vec![by(created), by(SortKey::Insertion)];
    cx.select(&rows, &select).await
}

/// Deletes a row, which those who follow it are shown as it was.
pub(crate) fn delete(row: &Record) -> Op {
    Op::Delete { table: row.collection.name.clone(), id: row.id().into(), row: Some(row.row.clone()) }
}

/// Deletes what belongs to `owner` in these collections. Rows are read beforehand only where somebody follows them.
pub(crate) async fn delete_all(cx: &Context<'_>, names: &[&str], owner: &Record) -> Result<Vec<Op>> {
    let mut ops = Vec::new();
    for name in names {
        let Some(rows) = cx.schema.find(name) else { continue };
        if cx.parts.is_followed(rows) {
            ops.extend(all(cx, name, owner, CASCADE_ROWS_MAX).await?.iter().map(delete));
        }
        // Those made since as well.
        ops.push(Op::DeleteWhere { table: (*name).into(), filter: of(owner) });
    }
    Ok(ops)
}
