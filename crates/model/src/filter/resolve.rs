//! Syntax trees to conditions over the columns and joins of one query.

use std::sync::Arc;

use base::limits::JOINS_MAX;
use base::{Timestamp, Value};
use query::select::SortKey;
use query::{Alias, Column, ColumnType, Expr, Join, Operand, Sort};

use super::compare::Side;
use super::error::{Cause, ResolveError};
use super::joins::{self, Link};
use super::parser::{Filter, Term, Test, parse};
use super::{functions, macros};
use crate::collection::Collection;
use crate::request::Request;
use crate::schema::Schema;

/// Whose words a filter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A collection's rule, or a superuser's filter: may use every field.
    Full,
    /// Anyone else's filter or sort: no hidden fields, no `@request` and `@collection`, emails only where they are
    /// visible, and related records only as far as their collection's list rule lets the caller see them.
    Client,
}

/// Resolves what belongs to one query: its rule, filter and sort share their joins, so that a `?` comparison of
/// each is about the same related record.
pub struct Resolver<'a> {
    pub(super) schema: &'a Schema,
    /// The collection of the query, whose fields `@request.body` speaks of.
    pub(super) base: &'a Arc<Collection>,
    pub(super) request: &'a Request,
    pub(super) now: Timestamp,
    pub(super) trust: Trust,
    /// Whether the base is a record that is not stored yet.
    pub(super) creating: bool,
    pub(super) joins: Vec<Join>,
    /// One for each of `joins`: where it comes from, and whether comparisons that want all values look at each of
    /// its rows.
    pub(super) links: Vec<(Link, bool)>,
    pub(super) last_alias: u16,
    /// What plain field names refer to: the base, or a joined record while its collection's list rule is resolved.
    pub(super) root: Alias,
    pub(super) collection: &'a Arc<Collection>,
    pub(super) scope: u16,
    /// Joined records that the caller must be allowed to list.
    pub(super) guards: Vec<Guard<'a>>,
    /// The last number that was given to a list rule's own joins.
    last_scope: u16,
}

/// A join, and the collection that its records are of.
pub(super) type Guard<'a> = (Alias, &'a Arc<Collection>);

/// What a query needs besides its columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    pub filter: Expr,
    pub sort: Vec<Sort>,
    /// In dependency order; only those that filter and sort refer to.
    pub joins: Vec<Join>,
}

impl Resolved {
    /// Must stored rows other than the base row be read to answer?
    pub fn needs_database(&self) -> bool {
        query::eval::needs_database(&self.filter, &self.joins)
    }
}

impl<'a> Resolver<'a> {
    pub fn new(
        schema: &'a Schema,
        collection: &'a Arc<Collection>,
        request: &'a Request,
        now: Timestamp,
        trust: Trust,
    ) -> Self {
        Resolver {
            schema,
            base: collection,
            request,
            now,
            trust,
            creating: false,
            joins: Vec::new(),
            links: Vec::new(),
            last_alias: 0,
            root: Alias::BASE,
            collection,
            scope: 0,
            guards: Vec::new(),
            last_scope: 0,
        }
    }

    /// For create rules: the base is a record that is not stored yet. Nothing can refer back to it, which the
    /// reference treats as an error, and its values are compared as they are.
    pub fn creating(mut self) -> Self {
        self.creating = true;
        self
    }

    /// For what is resolved from here on.
    pub fn trust(&mut self, trust: Trust) {
        self.trust = trust;
    }

    /// The filter as a condition. Not complete before [`Resolver::finish`], which may add to it.
    pub fn condition(&mut self, filter: &Filter) -> Result<Expr, ResolveError> {
        match filter {
            Filter::Test(test) => self.test(test),
            Filter::And(parts) => {
                let mut all = Vec::with_capacity(parts.len());
                for part in parts {
                    let part = self.condition(part)?;
                    // A rule was checked when it was saved: what follows cannot make it true.
                    if part == Expr::Const(false) && self.trust == Trust::Full {
                        return Ok(part);
                    }
                    all.push(part);
                }
                Ok(Expr::and(all))
            }
            Filter::Or(parts) => {
                let mut any = Vec::with_capacity(parts.len());
                for part in parts {
                    any.push(self.condition(part)?);
                }
                Ok(Expr::or(any))
            }
        }
    }

    /// Adds what the caller may see of joined records, and drops the joins that came to nothing.
    pub fn finish(mut self, filter: Expr, sort: Vec<Sort>) -> Result<Resolved, ResolveError> {
        let mut all = vec![filter];
        for guard in std::mem::take(&mut self.guards) {
            all.push(self.listable(guard)?);
        }
        let filter = Expr::and(all);
        if self.joins.is_empty() {
            return Ok(Resolved { filter, sort, joins: Vec::new() });
        }
        let mut used = Vec::new();
        joins::aliases(&filter, &mut |alias| used.push(alias));
        for sort in &sort {
            if let SortKey::Operand(operand) = &sort.by {
                joins::operand_aliases(operand, &mut |alias| used.push(alias));
            }
        }
        Ok(Resolved { filter, sort, joins: joins::prune(self.joins, used) })
    }

    /// That the caller may list the joined record, if there is one.
    fn listable(&mut self, (alias, collection): Guard<'a>) -> Result<Expr, ResolveError> {
        let rule = collection.list_rule.as_deref().unwrap_or_default();
        if rule.is_empty() {
            return Ok(Expr::Const(true));
        }
        let rule = parse(rule).map_err(|error| ResolveError::Rule(collection.name.to_string(), error))?;
        self.last_scope += 1;
        let before = (self.root, self.collection, self.scope, self.trust);
        (self.root, self.collection, self.scope, self.trust) =
            (alias, collection, self.last_scope, Trust::Full);
        let rule = self.condition(&rule);
        (self.root, self.collection, self.scope, self.trust) = before;
        let id = Operand::Column { alias, column: Collection::id_column() };
        Ok(Expr::or([Expr::eq(id, ""), rule?]))
    }

    /// The same of a join that is not one of the query's own: what the rule joins is added to `out`.
    pub(super) fn listable_apart(
        &mut self,
        guard: Guard<'a>,
        out: &mut Vec<Join>,
    ) -> Result<Expr, ResolveError> {
        let (joins, links) = (std::mem::take(&mut self.joins), std::mem::take(&mut self.links));
        let rule = self.listable(guard);
        out.append(&mut self.joins);
        (self.joins, self.links) = (joins, links);
        if self.joins.len() + out.len() > JOINS_MAX {
            return Err(ResolveError::Joins);
        }
        rule
    }

    fn test(&mut self, test: &Test) -> Result<Expr, ResolveError> {
        let left = self.side(&test.left).map_err(|cause| ResolveError::Left(name(&test.left), cause))?;
        let right = self.side(&test.right).map_err(|cause| ResolveError::Right(name(&test.right), cause))?;
        self.compare(left, test.op, test.any, right)
    }

    pub(super) fn side(&mut self, term: &Term) -> Result<Side, Cause> {
        Ok(match term {
            Term::Text(text) => Side::constant(Value::Text(text.clone())),
            Term::Number(number) => Side::constant(Value::Number(*number)),
            Term::Bool(value) => Side::constant(Value::Bool(*value)),
            Term::Null => Side::null(),
            Term::Path(path) => self.path(path)?,
            Term::Call { name, arguments } => functions::call(self, name, arguments)?,
        })
    }

    fn path(&mut self, path: &str) -> Result<Side, Cause> {
        if !path.starts_with('@') {
            return self.field(path);
        }
        if let Some(rest) = path.strip_prefix("@request.") {
            self.superusers_only("@request.")?;
            return self.request_path(path, rest);
        }
        if let Some(rest) = path.strip_prefix("@collection.") {
            self.superusers_only("@collection.")?;
            return self.collection_path(path, rest);
        }
        macros::value(path, self.now).ok_or_else(|| Cause::Unresolved(path.to_owned()))
    }

    fn superusers_only(&self, prefix: &str) -> Result<(), Cause> {
        match self.trust {
            Trust::Full => Ok(()),
            Trust::Client => Err(Cause::SuperusersOnly(prefix.to_owned())),
        }
    }

    pub(super) fn visibility_column(&self) -> Column {
        Column::new("emailVisibility", ColumnType::Bool)
    }
}

fn name(term: &Term) -> String {
    match term {
        Term::Call { name, .. } => name.to_string(),
        other => other.to_string(),
    }
}
