//! Evaluates an expression in memory, for rules that need no database. Means exactly what [`crate::expr`] says;
//! what it cannot know (rows of tables, formats that only an engine knows) it reports instead of guessing.

use std::borrow::Cow;

use base::{Name, Value};

use crate::column::Column;
use crate::expr::{Alias, Expr, Join, Operand, Operator, Source};

mod geo;
mod json;
mod like;
mod strftime;
mod value;

pub use like::like;
pub use value::{Pull, Seen, compare, number_of, strict};

/// The answer depends on stored rows, or on something that only an engine can compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the condition needs the database")]
pub struct NeedsDatabase;

type Result<T> = std::result::Result<T, NeedsDatabase>;

/// Does the expression hold for the base row that `lookup` gives the columns of? The joins are the query's own;
/// those of tables stay unknown, which is an error only if the answer depends on them.
pub fn eval<'v>(expr: &Expr, joins: &[Join], lookup: impl Fn(&Column) -> &'v Value) -> Result<bool> {
    let mut scope = Scope { lookup: &lookup, tables: &|_| None, bound: Vec::new() };
    scope.any_row(joins, expr)
}

/// A table's rows, for [`eval_over`].
pub type Rows = [Vec<(Column, Value)>];

/// The same with whole tables at hand: joins are tried row by row. Meant for tests, where it says what the
/// engines should.
pub fn eval_over<'v>(
    expr: &Expr,
    joins: &[Join],
    lookup: impl Fn(&Column) -> &'v Value,
    tables: &dyn Fn(&str) -> Option<&'v Rows>,
) -> Result<bool> {
    let mut scope = Scope { lookup: &lookup, tables, bound: Vec::new() };
    scope.any_row(joins, expr)
}

/// Is a table read by the expression, or by a join that it refers to? Columns of the base row do not count.
pub fn needs_database(expr: &Expr, joins: &[Join]) -> bool {
    let mut needs = joins.iter().any(|join| matches!(join.source, Source::Table(_)));
    expr.visit(&mut |part| {
        if let Expr::All { joins, .. } | Expr::Exists { joins, .. } = part {
            needs |= joins.iter().any(|join| matches!(join.source, Source::Table(_)));
        }
    });
    needs
}

/// The value at a path of a JSON text, as comparisons see it.
pub fn at_path(text: &str, path: &[Name]) -> Value {
    match json::at(text, path).map_or(Seen::Missing, json::seen) {
        Seen::Missing => Value::Null,
        Seen::Number(number) => Value::Number(number),
        Seen::Text(text) => Value::Text(text.into()),
    }
}

struct Scope<'q, 'v> {
    lookup: &'q dyn Fn(&Column) -> &'v Value,
    tables: &'q dyn Fn(&str) -> Option<&'v Rows>,
    bound: Vec<(Alias, Bound<'q>)>,
}

#[derive(Clone)]
enum Bound<'q> {
    /// A row of a table.
    Unknown,
    Element(Seen<'static>),
    Row(&'q [(Column, Value)]),
    /// The nulls of a left join that found nothing.
    Nothing,
}

impl<'q, 'v: 'q> Scope<'q, 'v> {
    /// Does the test hold for some row of the left joins?
    fn any_row(&mut self, joins: &'q [Join], test: &'q Expr) -> Result<bool> {
        let Some((join, rest)) = joins.split_first() else { return self.holds(test) };
        let mut unknown = false;
        for row in self.rows(join) {
            self.bound.push((join.alias, row));
            let held = self.any_row(rest, test);
            self.bound.pop();
            match held {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(NeedsDatabase) => unknown = true,
            }
        }
        if unknown { Err(NeedsDatabase) } else { Ok(false) }
    }

    /// Does the test hold for every row of the left joins?
    fn every_row(&mut self, joins: &'q [Join], test: &'q Expr) -> Result<bool> {
        let Some((join, rest)) = joins.split_first() else { return self.holds(test) };
        let mut unknown = false;
        for row in self.rows(join) {
            self.bound.push((join.alias, row));
            let held = self.every_row(rest, test);
            self.bound.pop();
            match held {
                Ok(true) => {}
                Ok(false) if !unknown => return Ok(false),
                Ok(false) | Err(NeedsDatabase) => unknown = true,
            }
        }
        if unknown { Err(NeedsDatabase) } else { Ok(true) }
    }

    /// Does the test hold for some row of the inner joins?
    fn some_match(&mut self, joins: &'q [Join], test: &'q Expr) -> Result<bool> {
        let Some((join, rest)) = joins.split_first() else { return self.holds(test) };
        for row in self.rows(join) {
            match row {
                Bound::Unknown => return Err(NeedsDatabase),
                Bound::Nothing => continue,
                _ => {}
            }
            self.bound.push((join.alias, row));
            let held = self.some_match(rest, test);
            self.bound.pop();
            if held? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The rows of one left join.
    fn rows(&mut self, join: &'q Join) -> Vec<Bound<'q>> {
        let rows = match &join.source {
            Source::Table(name) => match (self.tables)(name) {
                None => return vec![Bound::Unknown],
                Some(rows) => rows.iter().map(|row| Bound::Row(row)).collect(),
            },
            Source::Literal(row) => vec![Bound::Row(row)],
            Source::Each(list) => match self.value(list) {
                Err(NeedsDatabase) => return vec![Bound::Unknown],
                Ok(Seen::Missing) => Vec::new(),
                Ok(seen) => elements(&seen).into_iter().map(|item| Bound::Element(owned(item))).collect(),
            },
        };
        let mut kept = Vec::with_capacity(rows.len().max(1));
        for row in rows {
            self.bound.push((join.alias, row));
            let on = self.holds(&join.on);
            let row = self.bound.pop().map(|(_, row)| row);
            match on {
                Ok(true) => kept.extend(row),
                Ok(false) => {}
                Err(NeedsDatabase) => return vec![Bound::Unknown],
            }
        }
        if kept.is_empty() {
            kept.push(Bound::Nothing);
        }
        kept
    }

    fn holds(&mut self, expr: &'q Expr) -> Result<bool> {
        match expr {
            Expr::Const(value) => Ok(*value),
            Expr::And(parts) => {
                let mut unknown = false;
                for part in parts {
                    match self.holds(part) {
                        Ok(true) => {}
                        Ok(false) => return Ok(false),
                        Err(NeedsDatabase) => unknown = true,
                    }
                }
                if unknown { Err(NeedsDatabase) } else { Ok(true) }
            }
            Expr::Or(parts) => {
                let mut unknown = false;
                for part in parts {
                    match self.holds(part) {
                        Ok(true) => return Ok(true),
                        Ok(false) => {}
                        Err(NeedsDatabase) => unknown = true,
                    }
                }
                if unknown { Err(NeedsDatabase) } else { Ok(false) }
            }
            Expr::Not(inner) => self.holds(inner).map(|held| !held),
            Expr::Missing(operand) => Ok(self.value(operand)? == Seen::Missing),
            Expr::Same(left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                Ok(matches!((left.to_text(), right.to_text()), (Some(left), Some(right)) if left == right))
            }
            Expr::Compare { left, op, right } => self.compare(left, *op, right),
            Expr::In { left, values } => {
                let left = self.value(left)?;
                let Some(left) = left.to_text() else { return Ok(false) };
                Ok(values.iter().any(|value| value.as_str() == Some(&left)))
            }
            Expr::All { joins, test } => self.every_row(joins, test),
            Expr::Exists { joins, test } => self.some_match(joins, test),
        }
    }

    fn compare(&self, left: &Operand, op: Operator, right: &Operand) -> Result<bool> {
        let mut pattern = self.value(right)?;
        if matches!(op, Operator::Like | Operator::NotLike)
            && !matches!(right, Operand::Literal(_))
            && let Some(text) = pattern.to_text()
        {
            pattern = Seen::text(format!("%{text}%"));
        }
        let strict = strict(left) || strict(right);
        Ok(compare(self.value(left)?, Pull::of(left), op, pattern, Pull::of(right), strict))
    }

    fn bound(&self, alias: Alias) -> Result<&Bound<'q>> {
        let found = self.bound.iter().rev().find(|(bound, _)| *bound == alias);
        found.map(|(_, bound)| bound).ok_or(NeedsDatabase)
    }

    fn stored(&self, alias: Alias, column: &Column) -> Result<Option<&Value>> {
        if alias == Alias::BASE {
            return Ok(Some((self.lookup)(column)));
        }
        match self.bound(alias)? {
            Bound::Row(row) => {
                Ok(row.iter().find(|(known, _)| known.name == column.name).map(|(_, value)| value))
            }
            Bound::Nothing => Ok(None),
            Bound::Unknown | Bound::Element(_) => Err(NeedsDatabase),
        }
    }

    fn value<'a>(&'a self, operand: &'a Operand) -> Result<Seen<'a>> {
        Ok(match operand {
            Operand::Literal(value) => Seen::literal(value),
            Operand::Column { alias, column } => match self.stored(*alias, column)? {
                Some(value) => Seen::stored(value, column.ty),
                None => Seen::Missing,
            },
            Operand::Path { of, path } => match self.raw(of)? {
                Some(raw) => json::at(&raw, path).map_or(Seen::Missing, |found| owned(json::seen(found))),
                None => Seen::Missing,
            },
            Operand::Length(list) => Seen::Number(length(&self.value(list)?)),
            Operand::Lower(inner) => match self.value(inner)?.to_text() {
                Some(text) => Seen::text(text.to_ascii_lowercase()),
                None => Seen::Missing,
            },
            Operand::Element(alias) => match self.bound(*alias)? {
                Bound::Element(seen) => seen.clone(),
                Bound::Nothing => Seen::Missing,
                Bound::Unknown | Bound::Row(_) => return Err(NeedsDatabase),
            },
            Operand::GeoDistance(points) => {
                let [lon_a, lat_a, lon_b, lat_b] = &**points;
                let points = [self.value(lon_a)?, self.value(lat_a)?, self.value(lon_b)?, self.value(lat_b)?];
                geo_distance(&points).map_or(Seen::Missing, Seen::Number)
            }
            Operand::Strftime { format, value, modifiers } => {
                strftime::strftime(format, &self.value(value)?, modifiers)?.map_or(Seen::Missing, Seen::text)
            }
        })
    }

    /// The JSON text that a path leads into.
    fn raw<'a>(&'a self, operand: &'a Operand) -> Result<Option<Cow<'a, str>>> {
        let value = match operand {
            Operand::Literal(value) => Some(value),
            Operand::Column { alias, column } => self.stored(*alias, column)?,
            other => {
                return Ok(match self.value(other)? {
                    Seen::Text(text) => Some(text.into_owned().into()),
                    _ => None,
                });
            }
        };
        Ok(value.and_then(Value::as_str).map(Into::into))
    }
}

/// What [`Source::Each`] yields of a value: texts, and missing ones for JSON's `null`.
pub fn elements<'a>(of: &'a Seen<'_>) -> Vec<Seen<'a>> {
    match of {
        Seen::Missing => Vec::new(),
        Seen::Number(_) => of.to_text().map(Seen::Text).into_iter().collect(),
        Seen::Text(text) => match json::elements(text) {
            Some(items) => items.into_iter().map(element).collect(),
            None => vec![Seen::text(&**text)],
        },
    }
}

/// What [`Operand::Length`] counts.
pub fn length(of: &Seen<'_>) -> f64 {
    match of {
        Seen::Missing => 0.0,
        Seen::Number(_) => 1.0,
        Seen::Text(text) => match json::elements(text) {
            Some(items) => items.len() as f64,
            None => f64::from(u8::from(!text.is_empty())),
        },
    }
}

/// What [`Operand::GeoDistance`] measures; `None` when it is missing.
pub fn geo_distance(points: &[Seen<'_>; 4]) -> Option<f64> {
    let mut degrees = [0.0; 4];
    for (slot, point) in degrees.iter_mut().zip(points) {
        *slot = match point {
            Seen::Number(number) => *number,
            Seen::Text(text) => number_of(text)?,
            Seen::Missing => return None,
        };
    }
    Some(geo::distance(degrees))
}

/// Strings by their content, everything else as JSON text.
fn element(raw: &str) -> Seen<'_> {
    match raw.as_bytes().first() {
        Some(b'n') => Seen::Missing,
        Some(b'"') => json::seen(raw),
        _ => Seen::text(raw),
    }
}

fn owned(seen: Seen<'_>) -> Seen<'static> {
    match seen {
        Seen::Missing => Seen::Missing,
        Seen::Number(number) => Seen::Number(number),
        Seen::Text(text) => Seen::text(text.into_owned()),
    }
}

#[cfg(test)]
mod tests;
