//! View collections: their fields come from their query, and follow the tables that it reads.

use base::Name;
use model::collection::invalid_query;
use model::{Collection, CollectionKind, Field, Schema, Violation};
use query::{Batch, Ddl};

use crate::catalog;
use crate::error::Result;
use crate::rules::Context;

/// Sets a view's fields from its query, and says what is wrong with it; other collections are left alone.
pub(super) async fn derive_fields(
    cx: &Context<'_>,
    collection: &mut Collection,
    schema: &Schema,
) -> Result<Option<Violation>> {
    let CollectionKind::View { query } = &collection.kind else { return Ok(None) };
    if query.trim().is_empty() {
        // Judged with the rest.
        return Ok(None);
    }
    // Whether the query runs is the database's to say; what its columns are can be read off its text.
    match cx.parts.store.describe_view(query).await {
        Ok(_) => {}
        Err(store::Error::Refused(why)) => return Ok(Some(invalid_query(&why))),
        Err(error) => return Err(error.into()),
    }
    Ok(collection.derive_view(schema).err().map(|why| invalid_query(&why)))
}

/// Takes every view out of the way of a change of tables, and puts it back afterwards.
pub(super) fn around(schema: &Schema, ddl: Vec<Ddl>, changed: &[&Name]) -> Vec<Ddl> {
    let touches_tables = ddl.iter().any(|step| {
        !matches!(
            step,
            Ddl::CreateView { .. } | Ddl::DropView(_) | Ddl::CreateIndex(_) | Ddl::DropIndex { .. }
        )
    });
    let views: Vec<_> = schema
        .collections
        .iter()
        .filter(|view| !changed.contains(&&view.name))
        .filter_map(|view| match &view.kind {
            CollectionKind::View { query } => Some((view.name.clone(), query.clone())),
            _ => None,
        })
        .collect();
    if !touches_tables || views.is_empty() {
        return ddl;
    }
    let mut all: Vec<Ddl> = views.iter().rev().map(|(name, _)| Ddl::DropView(name.clone())).collect();
    all.extend(ddl);
    all.extend(views.into_iter().map(|(name, query)| Ddl::CreateView { name, query: query.into() }));
    all
}

/// After a change of tables: the fields of the views over them may be others now.
pub(super) async fn refresh(cx: &Context<'_>, changed: &str) -> Result<()> {
    let schema = cx.parts.catalog.schema();
    let mut batch = Batch::default();
    for view in schema.collections.iter().filter(|view| view.is_view() && *view.id != *changed) {
        let mut derived = (**view).clone();
        if let Err(why) = derived.derive_view(&schema) {
            tracing::warn!(view = %view.name, why, "a view cannot be read any more");
            continue;
        }
        // A field that is as it was keeps its id.
        for field in &mut derived.fields {
            let same = view.fields.iter().find(|before| before.name == field.name).filter(|before| {
                let renamed = Field { id: before.id.clone(), ..field.clone() };
                **before == renamed
            });
            if let Some(before) = same {
                field.id = before.id.clone();
            }
        }
        derived.seal();
        if derived.fields != view.fields {
            batch.ops.push(catalog::update(&derived));
        }
    }
    if batch.ops.is_empty() {
        return Ok(());
    }
    super::change::commit(cx, batch).await
}
