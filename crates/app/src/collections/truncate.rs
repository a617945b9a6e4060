//! Emptying a collection.

use base::Kind;
use model::Record;
use query::{Batch, Expr, Op, Operand, Select};

use crate::error::{Error, Result};
use crate::files;
use crate::records;
use crate::rules::Context;

const FAILED: &str =
    "Failed to truncate collection (most likely due to required cascade delete record references).";

/// Records that are deleted in one step with all that depends on them; more go page by page.
const PAGE_ROWS: u64 = 1000;

/// Records whose references have to be looked at are deleted with what depends on them; a collection that nothing
/// refers to, that is no auth collection and has no files is emptied at once.
pub async fn truncate(cx: &Context<'_>, name_or_id: &str) -> Result<()> {
    let collection = cx.collection(name_or_id).ok_or_else(Error::not_found)?;
    if collection.is_view() {
        return Err(Error::new(
            Kind::Invalid,
            "View collections cannot be truncated since they don't store their own records.",
        ));
    }
    if collection.is_superusers() {
        return Err(Error::new(Kind::Invalid, FAILED).details("the last superuser cannot be deleted"));
    }
    let is_alone = cx.schema.references(&collection).is_empty() && !collection.is_auth();
    if is_alone && !files::has_files(&collection) && !cx.parts.is_followed(&collection) {
        let op = Op::DeleteWhere { table: collection.name.clone(), filter: Expr::Const(true) };
        cx.store().commit(Batch::op(op)).await?;
        return Ok(());
    }
    let mut after = String::new();
    loop {
        let id = Operand::base("id", query::ColumnType::Id);
        let later = Expr::Compare {
            left: id,
            op: query::Operator::Gt,
            right: base::Value::from(after.as_str()).into(),
        };
        let mut select =
            Select::table(collection.name.clone(), collection.table.columns.clone()).filter(later);
        select.sort = records::list::id_order();
        select.limit = Some(PAGE_ROWS);
        let page: Vec<Record> = cx.select(&collection, &select).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id().to_string();
        delete(cx, &page).await?;
    }
}

async fn delete(cx: &Context<'_>, page: &[Record]) -> Result<()> {
    records::delete::delete_all(cx, page).await.map_err(|error| match error.kind {
        Kind::Invalid => Error::new(error.kind, FAILED).details(error.details.unwrap_or(error.message)),
        _ => error,
    })
}
