//! Listing collections. They are few and in memory, so the filter language is evaluated over their rows here.

use std::sync::Arc;

use base::Value;
use model::field::{BoolField, TextField};
use model::filter::{Filter, Resolved, Term, superusers_only};
use model::{Collection, Field, FieldKind, Record};
use query::select::SortKey;

use crate::error::{Error, Result};
use crate::records::{ListQuery, Page};
use crate::rules::Context;

pub fn list(cx: &Context<'_>, query: &ListQuery) -> Result<Page<Arc<Collection>>> {
    let shape = Arc::new(shape());
    let mut resolver = cx.resolver(&shape, cx.trust());
    let filter = match query.filter.is_empty() {
        true => query::Expr::Const(true),
        false => {
            let filter = cx.parts.filters.parse(&query.filter)?;
            if !plain(&filter) {
                return Err(Error::bad_request().details("only plain fields can be filtered by"));
            }
            resolver.condition(&filter)?
        }
    };
    if query.sort.contains(':') || query.sort.contains("@collection.") {
        return Err(Error::bad_request().details("only plain fields can be sorted by"));
    }
    let sort = resolver.sort(&query.sort)?;
    let Resolved { filter, sort, joins } = resolver.finish(filter, sort)?;

    let mut rows: Vec<(Record, Arc<Collection>)> = Vec::new();
    for collection in &cx.schema.collections {
        let record = row(&shape, collection);
        let holds = query::eval::eval(&filter, &joins, |column| record.get(&column.name))
            .map_err(|error| Error::bad_request().details(error))?;
        if holds {
            rows.push((record, collection.clone()));
        }
    }
    for key in sort.iter().rev() {
        match &key.by {
            SortKey::Operand(query::Operand::Column { column, .. }) => {
                rows.sort_by(|(left, _), (right, _)| {
                    let order = order(left.get(&column.name), right.get(&column.name));
                    if key.descending { order.reverse() } else { order }
                });
            }
            SortKey::Insertion if key.descending => rows.reverse(),
            SortKey::Insertion => {}
            _ => rows.sort_by_key(|_| base::id::record()),
        }
    }
    Ok(query.cut(rows.into_iter().map(|(_, collection)| collection).collect()))
}

/// Whether the filter is only about what the rows themselves hold, as it stands.
pub(crate) fn plain(filter: &Filter) -> bool {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => parts.iter().all(plain),
        Filter::Test(test) => plain_term(&test.left) && plain_term(&test.right),
    }
}

fn plain_term(term: &Term) -> bool {
    match term {
        Term::Path(path) => !path.contains(':') && superusers_only(path).is_none(),
        Term::Call { arguments, .. } => arguments.iter().all(plain_term),
        _ => true,
    }
}

/// The fields of a collection that may be filtered and sorted by.
fn shape() -> Collection {
    let mut shape = Collection::blank(model::CollectionKind::Base);
    shape.name = crate::catalog::TABLE.into();
    shape.fields = ["id", "name", "type", "created", "updated"]
        .into_iter()
        .map(|name| Field::new(name, FieldKind::Text(TextField::default())))
        .collect();
    shape.fields.push(Field::new("system", FieldKind::Bool(BoolField::default())));
    shape.seal();
    shape
}

fn row(shape: &Arc<Collection>, collection: &Collection) -> Record {
    let mut record = Record::blank(shape.clone());
    for (name, value) in [
        ("id", Value::from(&*collection.id)),
        ("name", Value::from(&*collection.name)),
        ("type", Value::from(collection.kind.name())),
        ("created", Value::from(collection.created.as_str())),
        ("updated", Value::from(collection.updated.as_str())),
        ("system", Value::Bool(collection.system)),
    ] {
        record.set(name, value);
    }
    record
}

/// Texts by their bytes; the only other type among the columns is a boolean.
fn order(left: &Value, right: &Value) -> std::cmp::Ordering {
    left.as_bool().cmp(&right.as_bool()).then_with(|| left.text_or_empty().cmp(right.text_or_empty()))
}
