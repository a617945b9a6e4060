//! Expansion of relations: one query for each level and relation, never one for each record.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::limits::{EXPAND_BACK_ROWS_MAX, EXPAND_DEPTH_MAX};
use model::{Collection, FieldKind, Record};
use query::{ColumnType, Expr, Operand, Select};
use rustc_hash::{FxHashMap, FxHashSet};

use super::list::insertion_order;
use super::shown::{Expanded, Shown};
use crate::error::Result;
use crate::rules::{Condition, Context, evaluate};

/// Paths as a tree, so that `a.b` and `a.c` expand `a` once.
#[derive(Default)]
struct Tree(BTreeMap<String, Tree>);

/// What one name expands to.
enum Link {
    /// The field's own ids.
    Forward { target: Arc<Collection>, position: usize, many: bool },
    /// The records of another collection whose relation points here.
    Back { source: Arc<Collection>, position: usize, many: bool },
}

/// What a path goes through before its end, as far as paths are followed.
fn beginnings(path: &str) -> impl Iterator<Item = &str> {
    let names = path.trim_start_matches('.');
    let skipped = path.len() - names.len();
    names.match_indices('.').take(EXPAND_DEPTH_MAX).map(move |(at, _)| &path[..skipped + at])
}

impl Context<'_> {
    /// Fills in the expansions that exist and that the caller may view; the rest is left out without an error.
    pub async fn expand(&self, items: &mut [Shown], paths: &[String]) -> Result<()> {
        let Some(first) = items.first() else { return Ok(()) };
        let collection = first.record.collection.clone();
        let mut tree = Tree::default();
        let begun: FxHashSet<&str> = paths.iter().flat_map(|path| beginnings(path)).collect();
        for path in paths {
            let names: Vec<&str> = path.trim_matches('.').split('.').take(EXPAND_DEPTH_MAX).collect();
            // A path that goes on includes its beginning, and one that goes wrong spoils it.
            if begun.contains(path.as_str()) || !self.leads_somewhere(&collection, &names) {
                continue;
            }
            let mut at = &mut tree;
            for name in names {
                at = at.0.entry(name.to_string()).or_default();
            }
        }
        let mut items: Vec<&mut Shown> = items.iter_mut().collect();
        self.expand_level(&mut items, &tree).await
    }

    /// Whether every name of a path is a relation of the collection before it, to a collection that others than
    /// superusers may view at all.
    fn leads_somewhere(&self, collection: &Arc<Collection>, names: &[&str]) -> bool {
        let mut at = collection.clone();
        names.iter().all(|name| match self.link(&at, name) {
            Some(Link::Forward { target: next, .. } | Link::Back { source: next, .. }) => {
                at = next;
                self.is_superuser() || at.view_rule.is_some()
            }
            None => false,
        })
    }

    async fn expand_level(&self, items: &mut [&mut Shown], tree: &Tree) -> Result<()> {
        let Some(first) = items.first() else { return Ok(()) };
        let collection = first.record.collection.clone();
        for (name, below) in &tree.0 {
            let Some(link) = self.link(&collection, name) else { continue };
            for item in items.iter_mut() {
                item.expand.get_or_insert_default();
            }
            let groups = match &link {
                Link::Forward { target, position, .. } => self.forward(items, target, *position).await?,
                Link::Back { source, position, .. } => self.back(items, source, *position).await?,
            };
            let Some(mut groups) = groups else { continue };
            if !below.0.is_empty() {
                let mut next: Vec<&mut Shown> = groups.records.values_mut().collect();
                Box::pin(self.expand_level(&mut next, below)).await?;
            }
            let many = match &link {
                Link::Forward { many, .. } | Link::Back { many, .. } => *many,
            };
            for (item, ids) in items.iter_mut().zip(&groups.ids) {
                let mut found: Vec<Shown> =
                    ids.iter().filter_map(|id| groups.records.get(id.as_str()).cloned()).collect();
                if found.is_empty() {
                    continue;
                }
                let expanded =
                    if many { Expanded::Many(found) } else { Expanded::One(Box::new(found.swap_remove(0))) };
                item.expand.get_or_insert_default().push((name.clone(), expanded));
            }
        }
        Ok(())
    }

    fn link(&self, collection: &Arc<Collection>, name: &str) -> Option<Link> {
        if let Some(position) = collection.position(name) {
            let FieldKind::Relation(relation) = &collection.fields[position].kind else { return None };
            let target = self.schema.find(&relation.collection_id)?.clone();
            return Some(Link::Forward { target, position, many: collection.fields[position].is_multiple() });
        }
        // `comments(post)` is the older spelling of `comments_via_post`.
        let older = name.strip_suffix(')').and_then(|name| name.split_once('('));
        let (source, field) = older.or_else(|| name.split_once("_via_"))?;
        let source = self.schema.find(source)?.clone();
        let position = source.position(field)?;
        let FieldKind::Relation(relation) = &source.fields[position].kind else { return None };
        if relation.collection_id != *collection.id {
            return None;
        }
        let single = !source.fields[position].is_multiple() && source.has_unique_index(field);
        Some(Link::Back { source, position, many: !single })
    }

    async fn forward(
        &self,
        items: &[&mut Shown],
        target: &Arc<Collection>,
        position: usize,
    ) -> Result<Option<Groups>> {
        let ids: Vec<Vec<String>> =
            items.iter().map(|item| item.record.row.get(position).to_list()).collect();
        let mut wanted: Vec<String> = ids.iter().flatten().cloned().collect();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            return Ok(None);
        }
        self.depends_on_records(&target.name, &wanted);
        let Ok(rule) = self.required_rule(target, &target.view_rule) else { return Ok(None) };
        let records = if in_memory(&rule) {
            let mut records = self.fetch_many(target, wanted).await?;
            records.retain(|record| evaluate(record, &rule).unwrap_or(false));
            records
        } else {
            self.select_passing(target, &Operand::base("id", ColumnType::Id), wanted, &rule).await?
        };
        Ok(Some(Groups { ids, records: self.by_id(records).await? }))
    }

    async fn back(
        &self,
        items: &[&mut Shown],
        source: &Arc<Collection>,
        position: usize,
    ) -> Result<Option<Groups>> {
        self.depends_on(&source.name);
        let Ok(rule) = self.required_rule(source, &source.view_rule) else { return Ok(None) };
        let parents: Vec<base::Value> = items.iter().map(|item| item.record.id().into()).collect();
        let column = &source.table.columns[position];
        let table = &source.table;
        let mut select = Select::table(table.name.clone(), table.columns.clone());
        select.joins = rule.joins.clone();
        let own = Operand::column(query::Alias::BASE, column);
        let points_here = if column.ty == ColumnType::List {
            let alias = query::Alias(rule.joins.iter().map(|join| join.alias.0).max().unwrap_or(0) + 1);
            Expr::any_element(own, alias, |element| Expr::In { left: element, values: parents })
        } else {
            Expr::In { left: own, values: parents }
        };
        select.filter = Expr::and([points_here, rule.expr.clone()]);
        select.sort = insertion_order();
        select.limit = Some((EXPAND_BACK_ROWS_MAX * items.len()) as u64);
        let records = self.select(source, &select).await?;
        let mut by_parent: FxHashMap<String, Vec<String>> = FxHashMap::default();
        for record in &records {
            for parent in record.row.get(position).to_list() {
                let children = by_parent.entry(parent).or_default();
                if children.len() < EXPAND_BACK_ROWS_MAX {
                    children.push(record.id().to_string());
                }
            }
        }
        let ids = items.iter().map(|item| by_parent.remove(item.record.id()).unwrap_or_default()).collect();
        Ok(Some(Groups { ids, records: self.by_id(records).await? }))
    }

    async fn by_id(&self, records: Vec<Record>) -> Result<FxHashMap<String, Shown>> {
        let shown = self.show_all(records).await?;
        Ok(shown.into_iter().map(|shown| (shown.record.id().to_string(), shown)).collect())
    }
}

struct Groups {
    /// For each item, the ids that it expands to, in order.
    ids: Vec<Vec<String>>,
    records: FxHashMap<String, Shown>,
}

/// Whether every record's verdict can be had without the database.
fn in_memory(rule: &Condition) -> bool {
    !query::eval::needs_database(&rule.expr, &rule.joins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_of_paths() {
        for (path, expected) in [
            ("a", &[][..]),
            ("a.b", &["a"]),
            ("a.b.c", &["a", "a.b"]),
            ("..a.b", &["..a"]),
            ("a..b.", &["a", "a.", "a..b"]),
            ("...", &[]),
        ] {
            assert_eq!(beginnings(path).collect::<Vec<_>>(), expected, "{path}");
        }
        assert_eq!(beginnings(&"a.".repeat(10_000)).count(), EXPAND_DEPTH_MAX);
    }
}
