//! The schema changes that lead from one form of a collection to another.

use std::collections::HashMap;

use base::Name;
use query::{Column, Ddl, Table};

use super::{Collection, CollectionKind, index};
use crate::field::Field;

/// What creates the collection's table or view (`old` is `None`), or turns the old one into the new one. Columns
/// are matched by field id.
pub fn plan(old: Option<&Collection>, new: &Collection) -> Vec<Ddl> {
    match (old, &new.kind) {
        (None, CollectionKind::View { query }) => vec![create_view(new, query)],
        (None, _) => create(new),
        (Some(old), CollectionKind::View { query }) => {
            if old.name == new.name && old.kind == new.kind {
                return Vec::new();
            }
            vec![Ddl::DropView(old.name.clone()), create_view(new, query)]
        }
        (Some(old), _) => alter(old, new),
    }
}

/// What drops the collection's table or view, indexes included.
pub fn plan_drop(collection: &Collection) -> Vec<Ddl> {
    let name = collection.name.clone();
    vec![if collection.is_view() { Ddl::DropView(name) } else { Ddl::DropTable(name) }]
}

fn create_view(collection: &Collection, query: &str) -> Ddl {
    let query = query.trim().trim_end_matches(';');
    Ddl::CreateView { name: collection.name.clone(), query: query.into() }
}

fn column(field: &Field) -> Column {
    Column { name: field.name.clone(), ty: field.column_type() }
}

fn create(new: &Collection) -> Vec<Ddl> {
    let mut columns: Vec<Column> = new.fields.iter().map(column).collect();
    columns.sort_by(|left, right| left.name.cmp(&right.name));
    let mut plan = vec![Ddl::CreateTable(Table { name: new.name.clone(), columns })];
    plan.extend(
        new.indexes.iter().filter_map(|text| index::parse(text)).map(|parsed| Ddl::CreateIndex(parsed.index)),
    );
    plan
}

fn alter(old: &Collection, new: &Collection) -> Vec<Ddl> {
    let mut plan = Vec::new();
    let table = &new.name;
    let in_new = |field: &Field| new.fields.iter().find(|other| other.id == field.id);
    let in_old = |field: &Field| old.fields.iter().find(|other| other.id == field.id);

    // Old names of columns to new ones; what is gone or changes its type is missing.
    let kept: HashMap<&str, &str> = old
        .fields
        .iter()
        .filter_map(|field| Some((field, in_new(field)?)))
        .filter(|(before, after)| before.column_type() == after.column_type())
        .map(|(before, after)| (&*before.name, &*after.name))
        .collect();
    let (dropped, created) = index_changes(old, new, &kept);
    plan.extend(dropped.into_iter().map(|name| Ddl::DropIndex { name }));

    if old.name != new.name {
        plan.push(Ddl::RenameTable { from: old.name.clone(), to: new.name.clone() });
    }
    for field in old.fields.iter().filter(|field| in_new(field).is_none()) {
        plan.push(Ddl::DropColumn { table: table.clone(), column: field.name.clone() });
    }
    let renames: Vec<(Name, Name)> = old
        .fields
        .iter()
        .filter_map(|field| Some((field.name.clone(), in_new(field)?.name.clone())))
        .filter(|(from, to)| from != to)
        .collect();
    plan.extend(rename_columns(table, renames));
    for field in &new.fields {
        match in_old(field) {
            None => plan.push(Ddl::AddColumn { table: table.clone(), column: column(field) }),
            Some(before) if before.column_type() != field.column_type() => plan.push(Ddl::RetypeColumn {
                table: table.clone(),
                column: column(field),
                from: before.column_type(),
            }),
            Some(_) => {}
        }
    }
    plan.extend(created.into_iter().map(Ddl::CreateIndex));
    plan
}

/// Goes by way of free names when a column takes the name of another that is renamed too.
fn rename_columns(table: &Name, renames: Vec<(Name, Name)>) -> Vec<Ddl> {
    let rename = |from: &Name, to: &Name| Ddl::RenameColumn {
        table: table.clone(),
        from: from.clone(),
        to: to.clone(),
    };
    let taken = |to: &Name| renames.iter().any(|(from, _)| from.eq_ignore_ascii_case(to));
    if !renames.iter().any(|(_, to)| taken(to)) {
        return renames.iter().map(|(from, to)| rename(from, to)).collect();
    }
    let passing: Vec<Name> = (0..renames.len()).map(|index| format!("_renamed_{index}_").into()).collect();
    let first = renames.iter().zip(&passing).map(|((from, _), passing)| rename(from, passing));
    let second = renames.iter().zip(&passing).map(|((_, to), passing)| rename(passing, to));
    first.chain(second).collect()
}

/// Which indexes go and which come. One stays when it covers the same columns under their new names; expressions
/// and conditions are not read, so that they only stay when no column of the table changes its name or type.
fn index_changes(
    old: &Collection,
    new: &Collection,
    kept: &HashMap<&str, &str>,
) -> (Vec<Name>, Vec<query::ddl::Index>) {
    let parse = |collection: &Collection| -> Vec<index::ParsedIndex> {
        collection.indexes.iter().filter_map(|text| index::parse(text)).collect()
    };
    let untouched = kept.len() == old.fields.len() && kept.iter().all(|(from, to)| from == to);
    let mut wanted = parse(new);
    let mut dropped = Vec::new();
    for mut before in parse(old) {
        let name = before.index.name.clone();
        let plain = before.index.filter.is_empty()
            && before.index.columns.iter().all(|column| kept.contains_key(&*column.expr));
        for column in &mut before.index.columns {
            if let Some(renamed) = kept.get(&*column.expr) {
                column.expr = (*renamed).into();
            }
        }
        let same = wanted.iter().position(|after| after.index.name == name && after.same_definition(&before));
        match same {
            Some(position) if plain || untouched => {
                wanted.remove(position);
            }
            _ => dropped.push(name),
        }
    }
    (dropped, wanted.into_iter().map(|parsed| parsed.index).collect())
}
