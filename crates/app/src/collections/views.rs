//! View collections: their fields come from their query, and follow the tables that it reads.

use base::limits::CHANGE_TRIES_MAX;
use model::collection::invalid_query;
use model::{Collection, CollectionKind, Field, Schema, Violation};
use query::Batch;

use crate::catalog;
use crate::changing::is_overtaken;
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
        collection.fields.clear();
        return Ok(None);
    }
    // Whether the query runs is the database's to say; what its columns are can be read off its text.
    match cx.store().describe_view(query).await {
        Ok(_) => {}
        Err(store::Error::Refused(why)) => {
            collection.fields.clear();
            return Ok(Some(invalid_query(&why)));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(collection.derive_view(schema).err().map(|why| invalid_query(&why)))
}

/// After a change of tables: the fields of the views over them may be others now. What another node changes meanwhile
/// is no reason to make the change itself anew, which is committed.
pub(super) async fn refresh(cx: &Context<'_>, changed: &str) -> Result<()> {
    for _ in 0..CHANGE_TRIES_MAX {
        match try_refresh(cx, changed).await {
            Err(error) if is_overtaken(&error) => cx.parts.catalog.reload(&cx.parts.store).await?,
            other => return other,
        }
    }
    tracing::warn!("the fields of views are not told anew: others change collections all the time");
    Ok(())
}

async fn try_refresh(cx: &Context<'_>, changed: &str) -> Result<()> {
    let schema = cx.parts.catalog.schema();
    let mut batch = Batch::default();
    for view in schema.collections.iter().filter(|view| view.is_view() && *view.id != *changed) {
        let CollectionKind::View { query } = &view.kind else { continue };
        // Of a table that was renamed the query knows the old name only, while the view goes on; so do its fields.
        if let Err(store::Error::Refused(why)) = cx.store().describe_view(query).await {
            tracing::warn!(view = %view.name, why, "the query of a view does not fit the tables any more");
            continue;
        }
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
    super::change::commit(cx, &schema, batch, Into::into).await
}
