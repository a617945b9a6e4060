//! What depends on a record whose dependents were too many for one commit: they go after it, some at a time.

use std::sync::Arc;

use base::Kind;
use base::limits::CASCADE_CHUNK_ROWS;
use model::{Collection, Record, Request};
use query::Select;

use super::delete::{Plan, delete_all, holds};
use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::realtime::foresight;
use crate::rules::Context;

/// Releases all that still refers to the record. What is done stays done when it is cut off.
pub(crate) async fn follow(parts: &Parts, collection: &str, id: &str) -> Result<()> {
    let request = Request::default();
    let cx = Context::new(parts, &request);
    // A collection that is gone has no references either.
    let Some(target) = cx.schema.by_id(collection).cloned() else { return Ok(()) };
    let exists = Select::by_ids(target.name.clone(), Vec::new(), vec![id.into()]);
    if parts.store.first(&exists).await?.is_some() {
        // Somebody made one of the same id since.
        return Ok(());
    }
    let schema = cx.schema.clone();
    for (source, position) in schema.references(&target) {
        while release_some(&cx, source, position, id).await? {}
    }
    Ok(())
}

/// Whether there were any.
async fn release_some(cx: &Context<'_>, source: &Arc<Collection>, position: usize, id: &str) -> Result<bool> {
    let select = |rows| {
        Select::table(source.name.clone(), source.table.columns.clone())
            .filter(holds(source, position, id))
            .limit(rows)
    };
    let referring = cx.select(source, &select(CASCADE_CHUNK_ROWS)).await?;
    if referring.is_empty() {
        return Ok(false);
    }
    match release(cx, referring, position, id).await {
        Err(error) if error.kind == Kind::TooLarge => {}
        other => return other.map(|()| true),
    }
    // Each of them has many of its own.
    for one in cx.select(source, &select(CASCADE_CHUNK_ROWS)).await? {
        match release(cx, vec![one.clone()], position, id).await {
            Err(error) if error.kind == Kind::TooLarge => delete_all(cx, &[one]).await?,
            other => other?,
        }
    }
    Ok(true)
}

async fn release(cx: &Context<'_>, referring: Vec<Record>, position: usize, id: &str) -> Result<()> {
    let (batch, deletes) = Plan::released(cx, referring, position, id).await?;
    let foresight = foresight::foresee(cx.parts, &deletes).await;
    let committed = cx.store().commit(batch).await.map_err(Error::from)?;
    if committed.missing.is_empty() {
        foresight.comes_true();
    }
    Ok(())
}
