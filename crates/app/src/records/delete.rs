//! Deleting a record, and what refers to it.

use std::sync::Arc;

use base::limits::{CASCADE_DEPTH_MAX, CASCADE_ROWS_MAX};
use base::{Kind, Name, Value};
use model::{Collection, FieldKind, Record, Schema};
use query::{Alias, Assign, Batch, ColumnType, Expr, Guard, Op, Operand, Select};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::audit;
use crate::auth::{owned, passkeys};
use crate::error::{Error, Result};
use crate::files;
use crate::jobs::Work;
use crate::realtime::foresight;
use crate::rules::Context;

/// How often a delete starts over because others added references meanwhile.
const TRIES_MAX: usize = 5;
/// What the system keeps about an auth record and nobody needs after it.
const LEFTOVERS: [&str; 4] = ["_mfas", "_otps", "_externalAuths", "_authOrigins"];

pub async fn delete(cx: &Context<'_>, collection: &Arc<Collection>, id: &str) -> Result<()> {
    if collection.is_view() {
        return Err(Error::new(Kind::Invalid, "Unsupported collection type."));
    }
    let rule = cx.required_rule(collection, &collection.delete_rule)?;
    let record = cx.fetch(collection, id).await?.ok_or_else(Error::not_found)?;
    if !cx.passes(&record, &rule).await? {
        return Err(Error::not_found());
    }
    delete_all(cx, &[record]).await
}

/// Deletes these records and what depends on them, all or nothing. The caller may do so whatever the rules say.
pub(crate) async fn delete_all(cx: &Context<'_>, records: &[Record]) -> Result<()> {
    records.iter().for_each(audit::knew);
    for _ in 0..TRIES_MAX {
        let plan = match Plan::whole(cx, records).await {
            // What depends on them follows later, where nothing there can refuse it.
            Err(error) if error.kind == Kind::TooLarge && follows(&cx.schema, records) => {
                Plan::alone(cx, records).await?
            }
            plan => plan?,
        };
        let foresight = foresight::foresee(cx.parts, &plan.deletes).await;
        match cx.store().commit(plan.into_batch()).await {
            // Somebody referred to one of the records after it was looked at.
            Err(store::Error::Guard(_)) => continue,
            Err(error) => return Err(error.into()),
            Ok(committed) => {
                if committed.missing.is_empty() {
                    foresight.comes_true();
                }
                return Ok(());
            }
        }
    }
    Err(Error::new(Kind::Conflict, "The record keeps being referred to. Try again.")
        .details("delete guards failed"))
}

/// That a field holds the id.
pub(super) fn holds(source: &Collection, position: usize, id: &str) -> Expr {
    let column = &source.table.columns[position];
    let own = Operand::column(Alias::BASE, column);
    match column.ty {
        ColumnType::List => Expr::any_element(own, Alias(1), |element| Expr::eq(element, Value::from(id))),
        _ => Expr::eq(own, Value::from(id)),
    }
}

/// Whether nothing that depends on them, however far off, could refuse to go or to change: a required relation that
/// does not cascade does.
fn follows(schema: &Schema, records: &[Record]) -> bool {
    let mut reached: Vec<Arc<Collection>> = Vec::new();
    let mut open: Vec<Arc<Collection>> = records.iter().map(|record| record.collection.clone()).collect();
    while let Some(target) = open.pop() {
        if target.is_superusers() {
            return false;
        }
        if reached.iter().any(|known| known.id == target.id) {
            continue;
        }
        for (source, position) in schema.references(&target) {
            let FieldKind::Relation(relation) = &source.fields[position].kind else { continue };
            if relation.cascade_delete {
                open.push(source.clone());
            } else if relation.required {
                return false;
            }
        }
        reached.push(target);
    }
    true
}

/// Everything that goes or changes with a record.
#[derive(Default)]
pub(super) struct Plan {
    deletes: Vec<Record>,
    doomed: FxHashSet<(Name, String)>,
    /// References to take out, by the record that holds them and the field.
    changed: FxHashMap<(Name, String), (Record, Vec<usize>)>,
    guards: Vec<Guard>,
    system: Vec<Op>,
    /// Records whose dependents go later.
    followed: Vec<Work>,
}

impl Plan {
    async fn whole(cx: &Context<'_>, records: &[Record]) -> Result<Plan> {
        let mut plan = Plan::default();
        for record in records {
            plan.add(cx, record.clone(), 0).await?;
        }
        Ok(plan)
    }

    /// The records and nothing that refers to them.
    async fn alone(cx: &Context<'_>, records: &[Record]) -> Result<Plan> {
        let mut plan = Plan::default();
        for record in records {
            plan.doomed.insert((record.collection.name.clone(), record.id().to_string()));
            plan.add_alone(cx, record.clone()).await?;
            let (collection, id) = (record.collection.id.to_string(), record.id().to_string());
            plan.followed.push(Work::Cascade { collection, record: id });
        }
        Ok(plan)
    }

    /// What becomes of some that refer to a record which is gone.
    pub(super) async fn released(
        cx: &Context<'_>,
        referring: Vec<Record>,
        position: usize,
        id: &str,
    ) -> Result<(Batch, Vec<Record>)> {
        let mut plan = Plan::default();
        for other in referring {
            plan.release(cx, other, position, id, 0).await?;
        }
        let deletes = plan.deletes.clone();
        Ok((plan.into_batch(), deletes))
    }

    async fn add(&mut self, cx: &Context<'_>, record: Record, depth: usize) -> Result<()> {
        let key = (record.collection.name.clone(), record.id().to_string());
        if !self.doomed.insert(key) {
            return Ok(());
        }
        if depth > CASCADE_DEPTH_MAX || self.doomed.len() > CASCADE_ROWS_MAX {
            return Err(Error::new(
                Kind::TooLarge,
                "Failed to delete record: too many records depend on it.",
            ));
        }
        let target = record.collection.clone();
        let id = record.id().to_string();
        self.add_alone(cx, record).await?;
        let schema = cx.schema.clone();
        for (source, position) in schema.references(&target) {
            let referring = self.referring(cx, source, position, &id).await?;
            for other in referring {
                self.release(cx, other, position, &id, depth).await?;
            }
        }
        Ok(())
    }

    async fn add_alone(&mut self, cx: &Context<'_>, record: Record) -> Result<()> {
        if record.collection.is_superusers() {
            // One must be left, also when several are deleted at once.
            let own = Expr::eq(Operand::base("id", ColumnType::Id), Value::from(record.id()));
            let others = Select::table(record.collection.name.clone(), vec![Collection::id_column()])
                .filter(Expr::Not(Box::new(own)))
                .limit(1);
            if cx.store().select(&others).await?.is_empty() {
                return Err(Error::new(Kind::Invalid, "You can't delete the only existing superuser."));
            }
            self.guards.push(Guard::Exists(others));
        }
        if record.collection.is_auth() {
            self.system.extend(owned::delete_all(cx, &LEFTOVERS, &record).await?);
            self.system.push(passkeys::forget(&record));
        }
        self.deletes.push(record);
        Ok(())
    }

    /// The records whose field holds the id, guarded against more of them until the commit.
    async fn referring(
        &mut self,
        cx: &Context<'_>,
        source: &Arc<Collection>,
        position: usize,
        id: &str,
    ) -> Result<Vec<Record>> {
        let holds = holds(source, position, id);
        let select = Select::table(source.name.clone(), source.table.columns.clone())
            .filter(holds.clone())
            .limit(CASCADE_ROWS_MAX as u64 + 1);
        let found = cx.select(source, &select).await?;
        if found.len() > CASCADE_ROWS_MAX {
            return Err(Error::new(
                Kind::TooLarge,
                "Failed to delete record: too many records depend on it.",
            ));
        }
        let known = found.iter().map(|record| Value::from(record.id())).collect();
        let unknown =
            Expr::Not(Box::new(Expr::In { left: Operand::base("id", ColumnType::Id), values: known }));
        self.guards.push(Guard::Absent(
            Select::table(source.name.clone(), vec![Collection::id_column()])
                .filter(holds)
                .filter(unknown)
                .limit(1),
        ));
        Ok(found)
    }

    async fn release(
        &mut self,
        cx: &Context<'_>,
        other: Record,
        position: usize,
        id: &str,
        depth: usize,
    ) -> Result<()> {
        let key = (other.collection.name.clone(), other.id().to_string());
        if self.doomed.contains(&key) {
            return Ok(());
        }
        let FieldKind::Relation(relation) = &other.collection.fields[position].kind else { return Ok(()) };
        let (cascade, required) = (relation.cascade_delete, relation.required);
        let current = match self.changed.get(&key) {
            Some((record, _)) => record.row.get(position).to_list(),
            None => other.row.get(position).to_list(),
        };
        let rest: Vec<String> = current.into_iter().filter(|item| item != id).collect();
        if rest.is_empty() && cascade {
            self.changed.remove(&key);
            return Box::pin(self.add(cx, other, depth + 1)).await;
        }
        if rest.is_empty() && required {
            return Err(Error::new(
                Kind::Invalid,
                "Failed to delete record. Make sure that the record is not part of a required relation reference.",
            ));
        }
        let many = other.collection.fields[position].is_multiple();
        let value = if many { Value::list(&rest) } else { Value::text("") };
        let entry = self.changed.entry(key).or_insert_with(|| (other, Vec::new()));
        entry.0.set_at(position, value);
        if !entry.1.contains(&position) {
            entry.1.push(position);
        }
        Ok(())
    }

    fn into_batch(self) -> Batch {
        let doomed = self.doomed;
        let mut ops = self.system;
        for (key, (record, positions)) in self.changed {
            if doomed.contains(&key) {
                continue;
            }
            let columns = &record.collection.table.columns;
            let set = positions
                .iter()
                .map(|position| {
                    (columns[*position].name.clone(), Assign::Set(record.row.get(*position).clone()))
                })
                .collect();
            ops.push(Op::Update { table: record.collection.name.clone(), id: record.id().into(), set });
        }
        // Those that refer go before what they refer to.
        for record in self.deletes.iter().rev() {
            ops.push(owned::delete(record));
        }
        let files = self.deletes.iter().filter_map(|record| files::removed(record, None));
        let jobs = files.chain(self.followed.iter().map(Work::job)).collect();
        Batch { guards: self.guards, ops, jobs, ..Batch::default() }
    }
}
