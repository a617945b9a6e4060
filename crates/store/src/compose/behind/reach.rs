//! What a statement touches of the tables whose updates may be behind.

use base::Name;
use query::{Alias, Assign, Batch, Expr, Guard, Op, Operand, Route, Select, Source};
use rustc_hash::FxHashSet;

/// A record: its table and its id.
pub type Key = (Name, Name);

#[derive(Debug, PartialEq)]
pub enum Reach {
    Nothing,
    Records(Vec<Key>),
    Anything,
}

pub fn of_select(select: &Select, tables: &FxHashSet<Name>, views: &[Name]) -> Reach {
    let Source::Table(table) = &select.from else {
        return if reads_others(select) { Reach::Anything } else { Reach::Nothing };
    };
    if reads_others(select) || views.contains(table) {
        return Reach::Anything;
    }
    if !tables.contains(table) {
        return Reach::Nothing;
    }
    match ids(select) {
        Some(ids) => Reach::Records(ids.iter().map(|id| (table.clone(), id.clone())).collect()),
        None => Reach::Anything,
    }
}

pub fn of_batch(batch: &Batch, tables: &FxHashSet<Name>, views: &[Name]) -> Reach {
    if !batch.ddl.is_empty() {
        return Reach::Anything;
    }
    for guard in &batch.guards {
        let (Guard::Exists(select) | Guard::Absent(select)) = guard else { continue };
        if of_select(select, tables, views) != Reach::Nothing {
            return Reach::Anything;
        }
    }
    let mut records = Vec::new();
    for op in &batch.ops {
        let (table, id) = match op {
            Op::Insert { table, values } => {
                let id = values.iter().find(|(name, _)| &**name == "id");
                (table, id.and_then(|(_, value)| value.as_str()).map(Name::from))
            }
            Op::Update { table, id, .. } | Op::Delete { table, id, .. } => (table, Some(id.clone())),
            Op::DeleteWhere { table, filter } => {
                if nests(filter) {
                    return Reach::Anything;
                }
                (table, None)
            }
        };
        match id {
            _ if !tables.contains(table) => {}
            Some(id) => records.push((table.clone(), id)),
            None => return Reach::Anything,
        }
    }
    if records.is_empty() { Reach::Nothing } else { Reach::Records(records) }
}

/// An update of one record to values that are known.
pub struct Update<'a> {
    pub table: &'a Name,
    pub id: &'a Name,
    pub set: &'a [(Name, Assign)],
}

/// The update that is all that the batch does, when it depends on nothing that is stored.
pub fn only_update(batch: &Batch) -> Option<Update<'_>> {
    match (&batch.ops[..], batch.guards.is_empty(), batch.ddl.is_empty(), batch.jobs.is_empty()) {
        ([Op::Update { table, id, set }], true, true, true)
            if set.iter().all(|(_, assign)| matches!(assign, Assign::Set(_))) =>
        {
            Some(Update { table, id, set })
        }
        _ => None,
    }
}

/// The ids, when the select is about these records and nothing else, and says of each row which it is.
fn ids(select: &Select) -> Option<&[Name]> {
    let (Expr::In { left: Operand::Column { alias: Alias::BASE, column }, values }, Route::Keys(ids)) =
        (&select.filter, &select.route)
    else {
        return None;
    };
    let is_whole = select.offset == 0
        && select.sort.is_empty()
        && select.limit.is_none_or(|limit| limit >= ids.len() as u64)
        && select.columns.iter().any(|column| &*column.name == "id");
    let same = values.len() == ids.len() && values.iter().zip(ids).all(|(v, id)| v.as_str() == Some(id));
    (is_whole && same && &*column.name == "id").then_some(ids)
}

fn reads_others(select: &Select) -> bool {
    !select.joins.is_empty() || nests(&select.filter)
}

fn nests(filter: &Expr) -> bool {
    let mut nests = false;
    filter.visit(&mut |expr| {
        if let Expr::All { joins, .. } | Expr::Exists { joins, .. } = expr {
            nests |= joins.iter().any(|join| matches!(join.source, Source::Table(_)));
        }
    });
    nests
}
