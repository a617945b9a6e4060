//! One record by its id.

use std::sync::Arc;

use model::{Collection, Record};

use super::shown::Shown;
use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::rules::Context;

/// A record that was read while it was not yet known who asks for it.
pub struct Ahead {
    collection: Arc<Collection>,
    record: Option<Record>,
}

/// Reads the record that a caller will ask for, so that the caller can be looked up meanwhile: neither depends on the
/// other, and each is a round trip where nothing is cached. `None` when that is not worth it.
pub async fn ahead(parts: &Parts, name: &str, id: &str) -> Option<Ahead> {
    if parts.caches() {
        return None;
    }
    let collection = parts.catalog.schema().find(name).filter(|found| found.view_rule.is_some()).cloned()?;
    // What went wrong is told to whoever asks again.
    let record = parts.fetch(&collection, id).await.ok()?;
    Some(Ahead { collection, record })
}

pub async fn view(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    id: &str,
    expand: &[String],
    ahead: Option<Ahead>,
) -> Result<Shown> {
    let rule = cx.required_rule(collection, &collection.view_rule)?;
    let record = match ahead {
        // Under the same definition; another one may have come since.
        Some(ahead) if Arc::ptr_eq(&ahead.collection, collection) => ahead.record,
        _ => cx.fetch(collection, id).await?,
    };
    let record = record.ok_or_else(Error::not_found)?;
    if !cx.passes(&record, &rule).await? {
        return Err(Error::not_found());
    }
    cx.depends_on_records(&collection.name, std::slice::from_ref(&id.to_owned()));
    let mut shown = cx.show(record).await?;
    if !expand.is_empty() {
        cx.expand(std::slice::from_mut(&mut shown), expand).await?;
    }
    Ok(shown)
}
