//! Sweeping orphans: files that no record names, left behind by writes that failed between the file and the record.

use backing::blob::{Blobs, Entry};
use base::Timestamp;
use base::limits::{ORPHAN_AGE_MS, ORPHAN_STEP_MAX};
use futures_util::StreamExt;
use model::{Collection, Record};
use query::Select;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

use super::{has_files, names};
use crate::error::Result;
use crate::parts::Parts;

/// What a sweep found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub seen: usize,
    pub deleted: usize,
}

/// Deletes the orphans of every collection, or of one by its id. Files outside of known collections' folders are not
/// ours to judge, and young ones may belong to a record that is about to be written.
pub async fn sweep_orphans(parts: &Parts, only: Option<&str>) -> Result<Swept> {
    let schema = parts.catalog.schema();
    let before = Timestamp(parts.clock.now().0 - ORPHAN_AGE_MS);
    let mut swept = Swept::default();
    let Some(blobs) = parts.blobs_if_any()? else { return Ok(swept) };
    for collection in &schema.collections {
        // A collection without file fields may have lost its last one.
        if collection.is_view() || only.is_some_and(|only| *collection.id != *only) {
            continue;
        }
        if only.is_none() && !has_files(collection) {
            continue;
        }
        let mut found = std::pin::pin!(blobs.list(&collection.id)?);
        let mut step = Vec::new();
        loop {
            let entry = found.next().await.transpose()?;
            let ended = entry.is_none();
            step.extend(entry.filter(|entry| entry.modified < before));
            if step.len() >= ORPHAN_STEP_MAX || ended {
                swept.seen += step.len();
                swept.deleted += sweep_step(parts, &blobs, collection, std::mem::take(&mut step)).await?;
            }
            if ended {
                break;
            }
        }
    }
    Ok(swept)
}

async fn sweep_step(
    parts: &Parts,
    blobs: &Blobs,
    collection: &Arc<Collection>,
    entries: Vec<Entry>,
) -> Result<usize> {
    let mut ids: FxHashSet<&str> = FxHashSet::default();
    let mut owned: Vec<(&Entry, &str, &str)> = Vec::with_capacity(entries.len());
    for entry in &entries {
        if let Some((record, name)) = owner(&entry.key) {
            ids.insert(record);
            owned.push((entry, record, name));
        }
    }
    let table = &collection.table;
    let ids = ids.into_iter().map(base::Name::from).collect();
    // By the database as it is now: what a cache holds could be older than a file.
    let rows = parts.store.select(&Select::by_ids(table.name.clone(), table.columns.clone(), ids)).await?;
    let mut held: FxHashMap<String, Vec<String>> = FxHashMap::default();
    for row in rows {
        let record = Record { collection: collection.clone(), row: row.into() };
        held.insert(record.id().to_string(), names(&record).collect());
    }
    let mut deleted = 0;
    for (entry, record, name) in owned {
        if held.get(record).is_some_and(|held| held.iter().any(|held| held == name)) {
            continue;
        }
        blobs.delete(&entry.key).await?;
        deleted += 1;
    }
    Ok(deleted)
}

/// The record and the name that a key belongs to; a thumbnail belongs to its original.
fn owner(key: &str) -> Option<(&str, &str)> {
    let parts: Vec<&str> = key.split('/').collect();
    match parts[..] {
        [_, record, name] => Some((record, name)),
        [_, record, folder, _] => Some((record, folder.strip_prefix("thumbs_")?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::owner;

    #[test]
    fn keys_tell_whom_they_belong_to() {
        assert_eq!(owner("c/r/a.png"), Some(("r", "a.png")));
        assert_eq!(owner("c/r/thumbs_a.png/10x10_a.png"), Some(("r", "a.png")));
        assert_eq!(owner("c/r/other/10x10_a.png"), None);
        assert_eq!(owner("c/r"), None);
        assert_eq!(owner("c/r/x/y/z"), None);
    }
}
