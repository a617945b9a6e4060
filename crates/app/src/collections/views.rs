//! View collections: their fields come from their query, and follow the tables that it reads.

use base::Name;
use model::collection::ViewColumn;
use model::{Collection, CollectionKind, Schema, Violation, Violations};
use query::{Batch, Ddl};

use crate::catalog;
use crate::error::{Error, Result};
use crate::rules::Context;

/// Sets a view's fields from its query; other collections are left alone.
pub(super) async fn derive_fields(cx: &Context<'_>, collection: &mut Collection, failed: &str) -> Result<()> {
    let CollectionKind::View { query } = &collection.kind else { return Ok(()) };
    if query.trim().is_empty() {
        // Judged with the rest.
        return Ok(());
    }
    match describe(cx, query).await {
        Ok(columns) => {
            let schema = cx.parts.catalog.schema();
            collection.fields = model::collection::view_fields(&columns, &schema, &collection.fields);
            Ok(())
        }
        Err(store::Error::Refused(why)) => Err(Error::invalid(
            failed,
            Violations::one(
                "viewQuery",
                Violation::new("validation_invalid_view_query", format!("Invalid query - {why}.")),
            ),
        )),
        Err(error) => Err(error.into()),
    }
}

async fn describe(cx: &Context<'_>, query: &str) -> store::Result<Vec<ViewColumn>> {
    let columns = cx.parts.store.describe_view(query).await?;
    Ok(columns
        .into_iter()
        .map(|column| ViewColumn { name: column.name, origin: column.origin, ty: column.ty })
        .collect())
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
pub(super) async fn refresh(cx: &Context<'_>, changed: &Collection) -> Result<()> {
    let schema = cx.parts.catalog.schema();
    let mut batch = Batch::default();
    for view in schema.collections.iter().filter(|view| view.is_view() && view.id != changed.id) {
        let CollectionKind::View { query } = &view.kind else { continue };
        let columns = match describe(cx, query).await {
            Ok(columns) => columns,
            Err(error) => {
                tracing::warn!(view = %view.name, %error, "a view cannot be read any more");
                continue;
            }
        };
        let fields = model::collection::view_fields(&columns, &schema, &view.fields);
        if fields != view.fields {
            let mut view = (**view).clone();
            view.fields = fields;
            view.seal();
            batch.ops.push(catalog::update(&view));
        }
    }
    if batch.ops.is_empty() {
        return Ok(());
    }
    cx.parts.store.commit(batch).await?;
    cx.parts.stamps.expire_all();
    cx.parts.catalog.reload(&cx.parts.store).await
}
