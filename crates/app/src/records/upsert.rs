//! Creating a record unless it is there already.

use std::sync::Arc;

use model::Collection;
use serde_json::Value as Json;

use crate::error::Result;
use crate::rules::Context;

/// The id that the body names, if there is a record of it: then it is to be updated, else one is to be created.
/// Whether the caller may see it is judged by the update.
pub async fn existing(cx: &Context<'_>, collection: &Arc<Collection>) -> Result<Option<String>> {
    let id = match cx.request.body.get("id") {
        Some(Json::String(id)) if !id.is_empty() && !collection.is_view() => id,
        _ => return Ok(None),
    };
    Ok(cx.fetch(collection, id).await?.map(|record| record.id().to_string()))
}
