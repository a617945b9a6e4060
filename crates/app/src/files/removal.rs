//! Removing files that no record names any more: jobs of the batch that took the names away.

use backing::blob::Blobs;
use base::Timestamp;
use model::{Collection, FieldKind, Record};
use query::{Alias, ColumnType, Expr, Guard, Job, Operand, Select};

use super::{has_files, key, names, thumbs_folder};
use crate::error::{Error, Result};
use crate::jobs::Work;
use crate::parts::Parts;

/// The job for what a record held and does not hold any more; `now` is `None` when the record goes.
pub fn removed(before: &Record, now: Option<&Record>) -> Option<Job> {
    let kept: Vec<String> = now.map(|now| names(now).collect()).unwrap_or_default();
    let names: Vec<String> = names(before).filter(|name| !kept.contains(name)).collect();
    if names.is_empty() {
        return None;
    }
    let (collection, record) = (before.collection.id.to_string(), before.id().to_string());
    Some(Work::RemoveFiles { collection, record, names }.job())
}

/// The job for a collection that goes.
pub fn dropped_collection(collection: &Collection, now: Timestamp) -> Option<Job> {
    let collection_id = collection.id.to_string();
    has_files(collection).then(|| Work::RemoveFolder { collection: collection_id, before: now.0 }.job())
}

/// The job for file fields that a changed collection lost, or that hold fewer names than before.
pub fn dropped_fields(old: &Collection, new: &Collection) -> Option<Job> {
    let survives = |id: &base::Name, many: bool| {
        let same = new.fields.iter().find(|field| field.id == *id);
        same.is_some_and(|field| matches!(field.kind, FieldKind::File(_)) && (field.is_multiple() || !many))
    };
    let lost = old
        .fields
        .iter()
        .any(|field| matches!(field.kind, FieldKind::File(_)) && !survives(&field.id, field.is_multiple()));
    lost.then(|| Work::SweepFiles { collection: old.id.to_string() }.job())
}

/// Does the job of [`removed`]. A name that the record holds again is kept.
pub async fn remove(parts: &Parts, collection: &str, record: &str, gone: &[String]) -> Result<()> {
    let Some(blobs) = parts.blobs_if_any()? else { return Ok(()) };
    let held: Vec<String> = held(parts, collection, record).await?.iter().flat_map(names).collect();
    for name in gone.iter().filter(|name| !held.contains(name)) {
        remove_one(&blobs, collection, record, name).await?;
    }
    Ok(())
}

/// The record as it is now, asked of the database and not of a cache.
pub(super) async fn held(parts: &Parts, collection: &str, record: &str) -> Result<Option<Record>> {
    let schema = parts.catalog.schema();
    let Some(collection) = schema.by_id(collection) else { return Ok(None) };
    let table = &collection.table;
    let select = Select::by_ids(table.name.clone(), table.columns.clone(), vec![record.into()]);
    let row = parts.store.first(&select).await?;
    Ok(row.map(|row| Record { collection: collection.clone(), row: row.into() }))
}

/// Deletes a file and what was made of it.
pub(super) async fn remove_one(blobs: &Blobs, collection: &str, record: &str, name: &str) -> Result<()> {
    blobs.delete(&key(collection, record, name)?).await?;
    blobs.delete_prefix(&thumbs_folder(collection, record, name)?, Timestamp(i64::MAX)).await?;
    Ok(())
}

/// Does the job of [`dropped_collection`]. A new collection may have the same id: what was written after the old one
/// went is its.
pub async fn remove_folder(parts: &Parts, collection: &str, before: Timestamp) -> Result<()> {
    if collection.is_empty() || collection.contains('/') {
        return Err(Error::not_found());
    }
    if let Some(blobs) = parts.blobs_if_any()? {
        blobs.delete_prefix(collection, before).await?;
    }
    Ok(())
}

/// Guards that a record's file fields, and the `others`, where they are about to change, still hold what was read: of
/// two changes at once, each would otherwise undo the other's, and a file would be removed that a record names.
pub fn unchanged(record: &Record, old: &Record, others: impl Fn(usize) -> bool) -> Vec<Guard> {
    let collection = &record.collection;
    let mut guards = Vec::new();
    for (position, field) in collection.fields.iter().enumerate() {
        let before = old.row.get(position);
        let counts = matches!(field.kind, FieldKind::File(_)) || others(position);
        if !counts || record.row.get(position) == before {
            continue;
        }
        let column = &collection.table.columns[position];
        let own = || Operand::column(Alias::BASE, column);
        let same = match column.ty {
            ColumnType::List => {
                let names = before.to_list();
                let another = Expr::any_element(own(), Alias(1), |element| {
                    let values = names.iter().map(|name| name.as_str().into()).collect();
                    match names.is_empty() {
                        true => Expr::Const(true),
                        false => Expr::Not(Box::new(Expr::In { left: element, values })),
                    }
                });
                let held = names.iter().map(|name| any_is(own(), name));
                Expr::and(held.chain([Expr::Not(Box::new(another))]))
            }
            _ => Expr::eq(own(), before.clone()),
        };
        let select = Select::by_ids(collection.name.clone(), Vec::new(), vec![old.id().into()]);
        guards.push(Guard::Exists(select.filter(same).limit(1)));
    }
    guards
}

/// Whether a list holds the text.
pub(super) fn any_is(list: Operand, text: &str) -> Expr {
    Expr::any_element(list, Alias(1), |element| Expr::eq(element, base::Value::from(text)))
}
