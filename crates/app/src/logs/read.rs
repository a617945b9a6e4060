//! Reading the request log. Filters and sorts are resolved as for records, over a collection that has the log's
//! columns and is stored nowhere.

use std::sync::Arc;

use base::limits::FILTER_REQUEST_BYTES_MAX;
use base::{Kind, Name, Value};
use model::field::{DateField, JsonField, NumberField, TextField};
use model::filter::{Resolved, Trust};
use model::{Collection, CollectionKind, Field, FieldKind};
use query::{Batch, Expr, Op, Row, Select};

use super::{Logs, TABLE};
use crate::audit;
use crate::collections::list::plain;
use crate::error::{Error, Result};
use crate::records::{ListQuery, Page};
use crate::rules::Context;

/// One entry.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: String,
    pub created: String,
    /// JSON.
    pub data: String,
    pub message: String,
    pub level: f64,
}

/// The columns of an entry, in the order in which they are read.
pub(super) fn shape() -> Collection {
    let mut shape = Collection::blank(CollectionKind::Base);
    shape.name = TABLE.into();
    shape.fields = vec![
        Field::new("id", FieldKind::Text(TextField::default())),
        Field::new("created", FieldKind::Date(DateField::default())),
        Field::new("data", FieldKind::Json(JsonField::default())),
        Field::new("message", FieldKind::Text(TextField::default())),
        Field::new("level", FieldKind::Number(NumberField::default())),
    ];
    shape.seal();
    shape
}

/// The same with what can be asked for besides: `request`, which an index finds, is `data.requestId`.
fn filtered() -> Collection {
    let mut shape = shape();
    shape.fields.push(Field::new("request", FieldKind::Text(TextField::default())));
    shape.seal();
    shape
}

pub(super) fn entry(row: &Row) -> Entry {
    let text = |index| row.get(index).text_or_empty().to_string();
    let data = match row.get(2) {
        Value::Json(json) => json.to_string(),
        _ => "{}".into(),
    };
    Entry { id: text(0), created: text(1), data, message: text(3), level: row.get(4).as_number() }
}

pub async fn list(cx: &Context<'_>, query: &ListQuery) -> Result<Page<Entry>> {
    let shape = Arc::new(filtered());
    let mut select = selected(cx, &shape, &query.filter, &query.sort)?;
    select.columns = self::shape().table.columns.clone();
    query.find(&indexed(cx).await?.store, select, entry).await
}

pub async fn view(cx: &Context<'_>, id: &str) -> Result<Entry> {
    let logs = indexed(cx).await?;
    let select = Select::by_ids(TABLE, shape().table.columns.clone(), vec![id.into()]);
    let row = logs.store.first(&select).await?;
    row.as_ref().map(entry).ok_or_else(Error::not_found)
}

/// How many entries match, by the hour that they are of.
pub async fn stats(cx: &Context<'_>, filter: &str) -> Result<Vec<(String, u64)>> {
    let shape = Arc::new(filtered());
    let select = selected(cx, &shape, filter, "").map_err(|error| match error.kind {
        Kind::Invalid => Error { message: "Invalid filter format.".into(), ..error },
        _ => error,
    })?;
    Ok(indexed(cx).await?.store.count_by_hour(&select, &Name::from("created")).await?)
}

/// Deletes every entry.
pub async fn clear(cx: &Context<'_>) -> Result<()> {
    audit::begun(cx.parts, "logs.clear", "", "").await?;
    let logs = indexed(cx).await?;
    let all = Op::DeleteWhere { table: TABLE.into(), filter: Expr::Const(true) };
    logs.store.commit(Batch::op(all)).await?;
    Ok(())
}

/// The log, with what was spooled before now.
pub(super) async fn indexed<'a>(cx: &'a Context<'_>) -> Result<&'a Logs> {
    cx.parts.logs.drain(cx.parts.settings.load().logs.max_days).await?;
    Ok(&cx.parts.logs)
}

/// What a filter and a sort of a superuser mean over a table that is no collection.
pub(crate) fn selected(
    cx: &Context<'_>,
    shape: &Arc<Collection>,
    filter: &str,
    sort: &str,
) -> Result<Select> {
    if filter.len() > FILTER_REQUEST_BYTES_MAX {
        return Err(Error::bad_request().details("the filter is too long"));
    }
    let mut resolver = cx.resolver(shape, Trust::Full);
    let condition = match filter.is_empty() {
        true => Expr::Const(true),
        false => {
            let filter = cx.parts.filters.parse(filter)?;
            if !plain(&filter) {
                return Err(Error::bad_request().details("only plain columns can be filtered by"));
            }
            resolver.condition(&filter)?
        }
    };
    if sort.contains(':') || sort.contains("@collection.") {
        return Err(Error::bad_request().details("only plain columns can be sorted by"));
    }
    let sort = resolver.sort(sort)?;
    let Resolved { filter, sort, joins } = resolver.finish(condition, sort)?;
    let mut select = Select::table(shape.name.clone(), shape.table.columns.clone());
    select.joins = joins;
    select.filter = filter;
    select.sort = sort;
    Ok(select)
}
