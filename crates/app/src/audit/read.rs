//! Reading the audit log. Filters and sorts are resolved as for records, over a collection that has the log's columns.

use std::sync::Arc;

use base::Value;
use model::field::{DateField, JsonField, NumberField, TextField};
use model::{Collection, CollectionKind, Field, FieldKind};
use query::{ColumnType, Row};

use super::{COLUMNS, Entry, TABLE};
use crate::error::Result;
use crate::logs::read::selected;
use crate::records::{ListQuery, Page};
use crate::rules::Context;

/// The newest first, unless asked otherwise.
const SORT: &str = "-created,-id";

fn shape() -> Collection {
    let mut shape = Collection::blank(CollectionKind::Base);
    shape.name = TABLE.into();
    let kind = |ty| match ty {
        ColumnType::Date => FieldKind::Date(DateField::default()),
        ColumnType::Number => FieldKind::Number(NumberField::default()),
        ColumnType::Json => FieldKind::Json(JsonField::default()),
        _ => FieldKind::Text(TextField::default()),
    };
    let id = Field::new("id", FieldKind::Text(TextField::default()));
    let others = COLUMNS.iter().map(|(name, ty)| Field::new(name, kind(*ty)));
    shape.fields = [id].into_iter().chain(others).collect();
    shape.seal();
    shape
}

fn entry(row: &Row) -> Entry {
    let text = |index: usize| row.get(index).text_or_empty().to_string();
    let changes = match row.get(13) {
        Value::Json(json) => json.to_string(),
        _ => "{}".into(),
    };
    Entry {
        id: text(0),
        created: text(1),
        actor: text(2),
        email: text(3),
        ip: text(4),
        request: text(5),
        node: text(6),
        action: text(7),
        collection: text(8),
        target: text(9),
        outcome: text(10),
        status: row.get(11).as_number(),
        detail: text(12),
        changes,
    }
}

pub async fn list(cx: &Context<'_>, query: &ListQuery) -> Result<Page<Entry>> {
    let shape = Arc::new(shape());
    let sort = if query.sort.is_empty() { SORT } else { &query.sort };
    query.find(&cx.parts.store, selected(cx, &shape, &query.filter, sort)?, entry).await
}
