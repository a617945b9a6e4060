//! Writing: with write-through, what was written is in the cache before the writer is answered.

use std::sync::Arc;

use backing::cache::{Keep, Strategy};
use backing::stamps::Watched;
use base::Value;
use model::{Collection, Record};
use query::Row;

use super::asked;
use crate::rules::Context;

/// A write of one record that is to go through the cache, noted before the writer reads what it is about to change.
pub(crate) struct Writing {
    keep: Keep,
    watched: Watched,
}

/// Whether every engine gives back these very values. SQLite keeps a zero without its sign.
fn is_stored_so(row: &Row) -> bool {
    let is_negative_zero = |number: f64| number == 0.0 && number.is_sign_negative();
    !row.0.iter().any(|value| matches!(value, Value::Number(number) if is_negative_zero(*number)))
}

impl Context<'_> {
    /// `None` when what is written is not put into the cache.
    pub(crate) fn writing(&self, collection: &Arc<Collection>, id: &str) -> Option<Writing> {
        let parts = self.parts;
        let keep = parts.keeping.keeps.of(&collection.name);
        if !matches!(keep.strategy, Strategy::WriteThrough | Strategy::WriteBehind)
            || !parts.caches()
            || self.store().is_transaction()
        {
            return None;
        }
        Some(Writing { keep, watched: parts.stamps.watch(&collection.table.name, id) })
    }

    /// The record as the database has it now, whole.
    pub(crate) fn written(&self, writing: Option<Writing>, record: &Record) {
        let collection = &record.collection;
        if let Some(Writing { keep, watched }) = writing
            && self.parts.catalog.holds(collection)
            && is_stored_so(&record.row)
        {
            let row = record.row.clone();
            self.parts.records.put_written(asked(collection, record.id()), &keep, watched, row);
        }
    }
}
