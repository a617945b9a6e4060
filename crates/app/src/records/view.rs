//! One record by its id.

use std::sync::Arc;

use model::Collection;

use super::shown::Shown;
use crate::error::{Error, Result};
use crate::rules::Context;

pub async fn view(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    id: &str,
    expand: &[String],
) -> Result<Shown> {
    let rule = cx.required_rule(collection, &collection.view_rule)?;
    let record = cx.fetch(collection, id).await?.ok_or_else(Error::not_found)?;
    if !cx.passes(&record, &rule).await? {
        return Err(Error::not_found());
    }
    let mut shown = cx.show(record).await?;
    if !expand.is_empty() {
        cx.expand(std::slice::from_mut(&mut shown), expand).await?;
    }
    Ok(shown)
}
