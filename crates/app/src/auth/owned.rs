//! Rows of the system's collections that belong to one auth record each.

use std::sync::Arc;

use base::{Kind, Value};
use model::{Collection, Record};
use query::select::SortKey;
use query::{ColumnType, Expr, Op, Operand, Select, Sort};

use crate::error::{Error, Result};
use crate::rules::Context;

pub(super) fn collection(cx: &Context<'_>, name: &str) -> Result<Arc<Collection>> {
    cx.collection(name).ok_or_else(|| Error::new(Kind::Internal, format!("The collection {name} is missing.")))
}

fn of(record: &Record) -> Expr {
    let text = |name: &str| Operand::base(name, ColumnType::Text);
    Expr::and([
        Expr::eq(text("collectionRef"), Value::from(&*record.collection.id)),
        Expr::eq(text("recordRef"), Value::from(record.id())),
    ])
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

pub(super) fn delete(row: &Record) -> Op {
    Op::Delete { table: row.collection.name.clone(), id: row.id().into() }
}

/// Deletes what belongs to `owner` in these collections.
pub(crate) fn delete_all(cx: &Context<'_>, names: &[&str], owner: &Record) -> Vec<Op> {
    let there = names.iter().filter(|name| cx.schema.find(name).is_some());
    there.map(|name| Op::DeleteWhere { table: (*name).into(), filter: of(owner) }).collect()
}
