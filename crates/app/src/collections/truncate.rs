//! Emptying a collection.

use base::Kind;
use model::Collection;
use query::{Batch, Expr, Op, Operand, Select};

use crate::error::{Error, Result};
use crate::records;
use crate::rules::Context;

/// Records whose references have to be looked at are deleted one by one; a collection that nothing refers to
/// and that is no auth collection is emptied in one step.
pub async fn truncate(cx: &Context<'_>, name_or_id: &str) -> Result<()> {
    let collection = cx.collection(name_or_id).ok_or_else(Error::not_found)?;
    if collection.is_view() {
        return Err(Error::new(
            Kind::Invalid,
            "View collections cannot be truncated since they don't store their own records.",
        ));
    }
    if cx.schema.references(&collection).is_empty() && !collection.is_auth() {
        let op = Op::DeleteWhere { table: collection.name.clone(), filter: Expr::Const(true) };
        cx.parts.store.commit(Batch::op(op)).await?;
        return Ok(());
    }
    const PAGE: u64 = 500;
    let mut after = String::new();
    loop {
        let id = Operand::base("id", query::ColumnType::Id);
        let later = Expr::Compare {
            left: id,
            op: query::Operator::Gt,
            right: base::Value::from(after.as_str()).into(),
        };
        let mut select = Select::table(collection.name.clone(), vec![Collection::id_column()]);
        select.filter = later;
        select.sort = records::list::id_order();
        select.limit = Some(PAGE);
        let rows = cx.parts.store.select(&select).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.get(0).text_or_empty().to_string();
        for row in &rows {
            match records::delete::delete(cx, &collection, row.get(0).text_or_empty()).await {
                // Gone already, by the cascade of one before it.
                Err(error) if error.kind == Kind::NotFound => {}
                Err(error) => {
                    return Err(Error::new(
                        error.kind,
                        "Failed to truncate collection (most likely due to required cascade delete record references).",
                    )
                    .details(error.details.unwrap_or(error.message)));
                }
                Ok(()) => {}
            }
        }
    }
}
