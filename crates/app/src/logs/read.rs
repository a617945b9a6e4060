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
use crate::collections::list::plain;
use crate::error::{Error, Result};
use crate::records::ListQuery;
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

pub struct LogPage {
    pub items: Vec<Entry>,
    pub page: u64,
    pub per_page: u64,
    pub total: Option<u64>,
}

/// The columns of an entry, in the order in which they are read.
fn shape() -> Collection {
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

fn entry(row: &Row) -> Entry {
    let text = |index| row.get(index).text_or_empty().to_string();
    let data = match row.get(2) {
        Value::Json(json) => json.to_string(),
        _ => "{}".into(),
    };
    Entry { id: text(0), created: text(1), data, message: text(3), level: row.get(4).as_number() }
}

pub async fn list(cx: &Context<'_>, query: &ListQuery) -> Result<LogPage> {
    let shape = Arc::new(shape());
    let (page, per_page) = query.window();
    let mut select = selected(cx, &shape, &query.filter, &query.sort)?;
    select.limit = Some(per_page);
    select.offset = (page - 1).saturating_mul(per_page);
    let logs = indexed(cx).await?;
    let rows = logs.store.select(&select).await?;
    let total = match query.skip_total {
        true => None,
        false if page == 1 && (rows.len() as u64) < per_page => Some(rows.len() as u64),
        false => Some(logs.store.count(&select).await?),
    };
    Ok(LogPage { items: rows.iter().map(entry).collect(), page, per_page, total })
}

pub async fn view(cx: &Context<'_>, id: &str) -> Result<Entry> {
    let logs = indexed(cx).await?;
    let select = Select::by_ids(TABLE, shape().table.columns.clone(), vec![id.into()]);
    let row = logs.store.first(&select).await?;
    row.as_ref().map(entry).ok_or_else(Error::not_found)
}

/// How many entries match, by the hour that they are of.
pub async fn stats(cx: &Context<'_>, filter: &str) -> Result<Vec<(String, u64)>> {
    let shape = Arc::new(shape());
    let select = selected(cx, &shape, filter, "").map_err(|error| match error.kind {
        Kind::Invalid => Error { message: "Invalid filter format.".into(), ..error },
        _ => error,
    })?;
    Ok(indexed(cx).await?.store.count_by_hour(&select, &Name::from("created")).await?)
}

/// Deletes every entry.
pub async fn clear(cx: &Context<'_>) -> Result<()> {
    let logs = indexed(cx).await?;
    let all = Op::DeleteWhere { table: TABLE.into(), filter: Expr::Const(true) };
    logs.store.commit(Batch::op(all)).await?;
    Ok(())
}

/// The log, with what was spooled before now.
async fn indexed<'a>(cx: &'a Context<'_>) -> Result<&'a Logs> {
    cx.parts.logs.drain(cx.parts.settings.load().logs.max_days).await?;
    Ok(&cx.parts.logs)
}

fn selected(cx: &Context<'_>, shape: &Arc<Collection>, filter: &str, sort: &str) -> Result<Select> {
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
    let mut select = Select::table(TABLE, shape.table.columns.clone());
    select.joins = joins;
    select.filter = filter;
    select.sort = sort;
    Ok(select)
}
