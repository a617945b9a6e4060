//! From one definition of a collection to the next: the schema changes in between.

use base::Name;
use query::Ddl;

use super::index::Parsed;
use super::{Collection, CollectionKind};
use crate::field::Field;

/// The steps that turn the stored table or view of `old` into that of `new`. Fields are matched by their ids.
pub fn plan(old: Option<&Collection>, new: &Collection) -> Vec<Ddl> {
    let mut steps = Vec::new();
    if let CollectionKind::View { query } = &new.kind {
        if let Some(old) = old {
            let same = old.name == new.name && old.kind == new.kind;
            if same {
                return steps;
            }
            steps.push(Ddl::DropView(old.name.clone()));
        }
        steps.push(Ddl::CreateView { name: new.name.clone(), query: query.as_str().into() });
        return steps;
    }
    let Some(old) = old else {
        steps.push(Ddl::CreateTable(new.table.clone()));
        steps.extend(indexes(new).map(|index| Ddl::CreateIndex(index.to_ddl())));
        return steps;
    };

    let before: Vec<Parsed> = indexes(old).collect();
    let after: Vec<Parsed> = indexes(new).collect();
    let moved = old.name != new.name || columns_change(old, new);
    // An index that stays is left alone unless what it covers moves under it.
    let kept = |index: &Parsed, others: &[Parsed]| {
        !moved && others.iter().any(|other| other.to_ddl() == index.to_ddl())
    };
    for index in before.iter().filter(|index| !kept(index, &after)) {
        steps.push(Ddl::DropIndex { name: index.name.as_str().into() });
    }
    if old.name != new.name {
        steps.push(Ddl::RenameTable { from: old.name.clone(), to: new.name.clone() });
    }
    let table = new.name.clone();
    for field in &old.fields {
        if matching(new, field).is_none() {
            steps.push(Ddl::DropColumn { table: table.clone(), column: field.name.clone() });
        }
    }
    rename(&mut steps, &table, old, new);
    for (position, field) in new.fields.iter().enumerate() {
        let column = new.table.columns[position].clone();
        match matching(old, field) {
            None => steps.push(Ddl::AddColumn { table: table.clone(), column }),
            Some(before) if before.column_type() != field.column_type() => {
                steps.push(Ddl::RetypeColumn { table: table.clone(), column, from: before.column_type() });
            }
            Some(_) => {}
        }
    }
    for index in after.iter().filter(|index| !kept(index, &before)) {
        steps.push(Ddl::CreateIndex(index.to_ddl()));
    }
    steps
}

fn indexes(collection: &Collection) -> impl Iterator<Item = Parsed> + '_ {
    collection.indexes.iter().filter_map(|text| Parsed::read(text))
}

fn matching<'a>(collection: &'a Collection, field: &Field) -> Option<&'a Field> {
    collection.fields.iter().find(|other| other.id == field.id)
}

fn columns_change(old: &Collection, new: &Collection) -> bool {
    old.fields.iter().any(|field| {
        matching(new, field)
            .is_none_or(|after| after.name != field.name || after.column_type() != field.column_type())
    })
}

/// Names may be swapped or handed on between fields, so a rename whose target is still taken goes by a name in
/// between.
fn rename(steps: &mut Vec<Ddl>, table: &Name, old: &Collection, new: &Collection) {
    let pairs: Vec<(Name, Name)> = old
        .fields
        .iter()
        .filter_map(|field| {
            let after = matching(new, field)?;
            (after.name != field.name).then(|| (field.name.clone(), after.name.clone()))
        })
        .collect();
    let taken = |name: &str| pairs.iter().any(|(from, _)| **from == *name);
    let mut second = Vec::new();
    for (from, to) in &pairs {
        let step = |from: &Name, to: &Name| Ddl::RenameColumn {
            table: table.clone(),
            from: from.clone(),
            to: to.clone(),
        };
        if taken(to) {
            let between: Name = format!("_pando_{from}").into();
            steps.push(step(from, &between));
            second.push(step(&between, to));
        } else {
            second.push(step(from, to));
        }
    }
    steps.extend(second);
}
