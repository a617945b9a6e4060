//! The joins that paths need: shared by all paths that lead the same way, copied where every row must be looked
//! at, and dropped when nothing refers to them.

use base::Name;
use base::limits::JOINS_MAX;
use query::{Alias, Expr, Join, Operand, Source};

use super::compare::Side;
use super::error::{Cause, ResolveError};
use super::resolve::{Guard, Resolver};

/// Where a join comes from. Two equal links are one join.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Link {
    /// The alias that the path came from; `None` for what does not depend on the row.
    pub from: Option<Alias>,
    pub step: Step,
    /// The list rules of joined collections have joins of their own: a number for each.
    pub scope: u16,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// The record of a single relation field, or of the element of a list.
    Relation(Name),
    /// The elements of a field.
    Each(Name),
    /// Records of a collection that refer back by a field.
    Back(Name, Name),
    /// `@collection.name:alias`
    Collection(Name, Name),
    /// The records or elements that a field of the caller names.
    Auth(Name),
    /// The same of the request body.
    Body(Name),
    BodyEach(Name),
    AuthEach(Name),
    /// Records that refer back to the caller.
    AuthBack(Name, Name),
    /// The record itself, if its email is visible.
    Visible,
}

/// How many rows a join makes of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    One,
    Many,
    /// Perhaps several, but any of them is enough for every operator.
    Any,
}

impl Rows {
    pub(super) fn many(many: bool) -> Self {
        if many { Rows::Many } else { Rows::One }
    }
}

impl<'a> Resolver<'a> {
    /// The join of this link, made by `make` if there is none yet.
    pub(super) fn join(
        &mut self,
        from: Option<Alias>,
        step: Step,
        rows: Rows,
        make: impl FnOnce(Alias) -> (Source, Expr),
    ) -> Result<Alias, Cause> {
        let link = Link { from, step, scope: self.scope };
        if let Some(index) = self.links.iter().position(|(known, _)| *known == link) {
            return Ok(self.joins[index].alias);
        }
        if self.joins.len() >= JOINS_MAX {
            return Err(Cause::Joins);
        }
        let alias = self.alias();
        let (source, on) = make(alias);
        self.joins.push(Join { alias, source, on, many: rows != Rows::One });
        self.links.push((link, rows == Rows::Many));
        Ok(alias)
    }

    pub(super) fn alias(&mut self) -> Alias {
        self.last_alias += 1;
        Alias(self.last_alias)
    }

    fn index_of(&self, alias: Alias) -> Option<usize> {
        self.joins.iter().position(|join| join.alias == alias)
    }

    /// Adds copies of the side's joins from its first many-valued one on, and returns the side over the copies;
    /// `None` when its path has one value for each row. `guarded` gets those copies whose records the caller must
    /// be allowed to list.
    pub(super) fn copy_many(
        &mut self,
        side: &Side,
        out: &mut Vec<Join>,
        guarded: &mut Vec<Guard<'a>>,
    ) -> Result<Option<Side>, ResolveError> {
        let Some(mut at) = side.leaf else { return Ok(None) };
        // From the leaf back to the row that the scope is about.
        let mut chain = Vec::new();
        let mut needed = 0;
        while at != self.root
            && let Some(index) = self.index_of(at)
        {
            chain.push(index);
            if self.links[index].1 {
                needed = chain.len();
            }
            match self.links[index].0.from {
                Some(from) => at = from,
                None => break,
            }
        }
        if needed == 0 {
            return Ok(None);
        }
        if self.joins.len() + out.len() + needed > JOINS_MAX {
            return Err(ResolveError::Joins);
        }
        let mut renamed = Vec::with_capacity(needed);
        for &index in chain[..needed].iter().rev() {
            let fresh = self.alias();
            let original = self.joins[index].alias;
            renamed.push((original, fresh));
            let guard = self.guards.iter().find(|(alias, _)| *alias == original);
            guarded.extend(guard.map(|(_, collection)| (fresh, *collection)));
            let mut copy = self.joins[index].clone();
            copy.alias = fresh;
            if let Source::Each(list) = &mut copy.source {
                rename_operand(list, &renamed);
            }
            rename(&mut copy.on, &renamed);
            out.push(copy);
        }
        let mut operand = side.operand.clone();
        rename_operand(&mut operand, &renamed);
        // Among all values, nothing is the empty text even in a list of the body.
        let strict = query::eval::strict(&operand);
        Ok(Some(Side { operand, strict, ..side.clone() }))
    }
}

fn rename(expr: &mut Expr, renamed: &[(Alias, Alias)]) {
    match expr {
        Expr::Const(_) => {}
        Expr::And(parts) | Expr::Or(parts) => parts.iter_mut().for_each(|part| rename(part, renamed)),
        Expr::Not(inner) => rename(inner, renamed),
        Expr::Missing(operand) => rename_operand(operand, renamed),
        Expr::Same(left, right) | Expr::Compare { left, right, .. } => {
            rename_operand(left, renamed);
            rename_operand(right, renamed);
        }
        Expr::In { left, .. } => rename_operand(left, renamed),
        Expr::All { joins, test } | Expr::Exists { joins, test } => {
            for join in joins {
                if let Source::Each(list) = &mut join.source {
                    rename_operand(list, renamed);
                }
                rename(&mut join.on, renamed);
            }
            rename(test, renamed);
        }
    }
}

pub(super) fn rename_operand(operand: &mut Operand, renamed: &[(Alias, Alias)]) {
    match operand {
        Operand::Column { alias, .. } | Operand::Element(alias) => {
            if let Some((_, fresh)) = renamed.iter().find(|(old, _)| old == alias) {
                *alias = *fresh;
            }
        }
        Operand::Literal(_) => {}
        Operand::Path { of, .. } => rename_operand(of, renamed),
        Operand::Length(inner) | Operand::Lower(inner) => rename_operand(inner, renamed),
        Operand::GeoDistance(points) => points.iter_mut().for_each(|point| rename_operand(point, renamed)),
        Operand::Strftime { value, .. } => rename_operand(value, renamed),
    }
}

/// Calls `see` with every alias that the expression refers to.
pub(super) fn aliases(expr: &Expr, see: &mut impl FnMut(Alias)) {
    expr.visit(&mut |part| match part {
        Expr::Missing(operand) | Expr::In { left: operand, .. } => operand_aliases(operand, see),
        Expr::Same(left, right) | Expr::Compare { left, right, .. } => {
            operand_aliases(left, see);
            operand_aliases(right, see);
        }
        Expr::All { joins, .. } | Expr::Exists { joins, .. } => {
            for join in joins {
                if let Source::Each(list) = &join.source {
                    operand_aliases(list, see);
                }
            }
        }
        Expr::Const(_) | Expr::And(_) | Expr::Or(_) | Expr::Not(_) => {}
    });
}

pub(super) fn operand_aliases(operand: &Operand, see: &mut impl FnMut(Alias)) {
    match operand {
        Operand::Column { alias, .. } | Operand::Element(alias) => see(*alias),
        Operand::Literal(_) => {}
        Operand::Path { of, .. } => operand_aliases(of, see),
        Operand::Length(inner) | Operand::Lower(inner) => operand_aliases(inner, see),
        Operand::GeoDistance(points) => points.iter().for_each(|point| operand_aliases(point, see)),
        Operand::Strftime { value, .. } => operand_aliases(value, see),
    }
}

/// Keeps the joins that something refers to, directly or through a later join. A left join that nothing refers
/// to changes no answer.
pub(super) fn prune(joins: Vec<Join>, mut used: Vec<Alias>) -> Vec<Join> {
    let mut kept: Vec<Join> = Vec::with_capacity(joins.len());
    for join in joins.into_iter().rev() {
        if !used.contains(&join.alias) {
            continue;
        }
        if let Source::Each(list) = &join.source {
            operand_aliases(list, &mut |alias| used.push(alias));
        }
        aliases(&join.on, &mut |alias| used.push(alias));
        kept.push(join);
    }
    kept.reverse();
    kept
}
