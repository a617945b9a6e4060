//! View collections: their fields come from their query, and follow the tables that it reads.

use std::sync::Arc;

use base::Kind;
use base::limits::{CHANGE_TRIES_MAX, VIEW_PREVIEW_ROWS_MAX};
use model::collection::invalid_query;
use model::violation::sentence;
use model::{Collection, CollectionKind, Field, Record, Schema, Violation};
use query::Batch;
use serde_json::Value as Json;

use crate::catalog;
use crate::changing::is_overtaken;
use crate::error::{Error, Result};
use crate::rules::Context;

/// Random characters in the name of a view that is only tried.
const SUFFIX_LEN: usize = 5;

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

/// A view that is not there yet: its fields, and the first of its records. Only what could be a view's query is run, so
/// that nothing is written.
pub async fn dry_run(cx: &Context<'_>, query: &str) -> Result<(Arc<Collection>, Vec<Record>)> {
    let refused =
        |why: &str| Error::new(Kind::Invalid, format!("Invalid view query. Raw error: \n{}", sentence(why)));
    if query.trim().is_empty() {
        return Err(Error::form("query", Violation::required()));
    }
    let mut view = Collection::blank(CollectionKind::View { query: query.to_owned() });
    view.name = format!("temp_view_{}", base::id::random(SUFFIX_LEN, base::id::ALPHANUMERIC)).into();
    view.id = view.default_id().into();
    let asked = async {
        cx.store().describe_view(query).await?;
        let query = query.trim().trim_end_matches(';');
        let first = format!("SELECT * FROM ({query}\n) AS preview LIMIT {VIEW_PREVIEW_ROWS_MAX}");
        cx.parts.store.console(&first).await
    };
    let found = asked.await.map_err(|error| match error {
        store::Error::Refused(why) => refused(&why),
        other => other.into(),
    })?;
    view.derive_view(&cx.schema).map_err(|why| refused(&why))?;
    let view = Arc::new(view);
    let records = found.rows.into_iter().map(|row| {
        let mut record = Record::blank(view.clone());
        for (column, value) in found.columns.iter().zip(row) {
            let Some(position) = view.position(&column.name) else { continue };
            let value = value.map_or(Json::Null, Json::String);
            record.set_at(position, view.fields[position].prepare(&value));
        }
        record
    });
    let records = records.collect();
    Ok((view, records))
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
