//! Writing behind: which updates may be acknowledged before they are in the database.

use base::Name;
use model::collection::index;
use model::{Collection, FieldKind, Record};
use query::{Assign, Batch, Op};
use store::Later;

use crate::rules::Context;

impl Context<'_> {
    /// `None` when the batch must be in the database before it is acknowledged: as it can fail, or as more than the record
    /// itself hangs on it.
    pub(crate) fn later(&self, record: &Record, batch: &Batch) -> Option<Later> {
        let collection = &record.collection;
        let within = *self.parts.keeping.behind.get(&collection.name)?;
        if !may_wait(collection, batch) || self.store().is_transaction() {
            return None;
        }
        let views = self.schema.collections.iter().filter(|other| other.is_view());
        let views = views.map(|view| view.table.name.clone()).collect();
        Some(Later { schema: self.schema.version, views, within })
    }
}

fn may_wait(collection: &Collection, batch: &Batch) -> bool {
    let ([Op::Update { set, .. }], true, true) =
        (&batch.ops[..], batch.guards.is_empty(), batch.jobs.is_empty())
    else {
        return false;
    };
    let is_plain = |(name, assign): &(Name, Assign)| {
        let is_file = |field: &model::Field| matches!(field.kind, FieldKind::File(_));
        matches!(assign, Assign::Set(_)) && !collection.field(name).is_some_and(is_file)
    };
    !collection.is_auth()
        && !collection.is_view()
        && !collection.system
        && set.iter().all(is_plain)
        && !collection.indexes.iter().any(|text| concerns(text, set))
}

/// Whether an index may refuse new values of these columns. One that is not of columns alone may be about any.
fn concerns(index: &str, set: &[(Name, Assign)]) -> bool {
    let Some(parsed) = index::parse(index) else { return true };
    let is_set = |column: &str| set.iter().any(|(name, _)| name.eq_ignore_ascii_case(column));
    let has_expressions = parsed.column_names().count() != parsed.index.columns.len();
    // Any index may fail to be computed of a value, where it is of expressions.
    has_expressions
        || !parsed.index.filter.is_empty()
        || (parsed.index.unique && parsed.column_names().any(is_set))
}
