//! Field paths: `title:lower`, `author.company.name`, `comments_via_post.text`, `data.list.0`.

use std::sync::Arc;

use base::limits::PATH_DEPTH_MAX;
use base::{Name, Value};
use query::eval::Pull;
use query::{Alias, Expr, Join, Operand, Source};

use super::compare::Side;
use super::error::Cause;
use super::joins::{self, Rows, Step};
use super::resolve::{Resolver, Trust};
use crate::collection::Collection;
use crate::field::{Field, FieldKind, RelationField};

/// What a path may end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Modifier {
    Lower,
    Each,
    Length,
    /// Means something in a request's body only, nothing elsewhere.
    IsSet,
    Changed,
}

/// `name:modifier` to its parts.
pub(super) fn modifier(last: &str) -> Result<(&str, Option<Modifier>), Cause> {
    let Some((name, modifier)) = last.split_once(':') else { return Ok((last, None)) };
    let modifier = match modifier {
        "lower" => Modifier::Lower,
        "each" => Modifier::Each,
        "length" => Modifier::Length,
        "isset" => Modifier::IsSet,
        "changed" => Modifier::Changed,
        _ => return Err(Cause::Modifier(last.to_owned())),
    };
    Ok((name, Some(modifier)))
}

/// Can the field hold a list (even if it is set to hold one value)?
pub(super) fn is_list_kind(field: &Field) -> bool {
    matches!(field.kind, FieldKind::Select(_) | FieldKind::File(_) | FieldKind::Relation(_))
}

pub(super) fn is_many(field: &Field) -> bool {
    field.column_type() == query::ColumnType::List
}

/// The segments after a JSON field. Colons mean nothing there and are dropped, as the reference does.
pub(super) fn json_path(rest: &str) -> Result<Vec<Name>, Cause> {
    rest.split('.')
        .map(|segment| {
            let segment: Name =
                if segment.contains(':') { segment.replace(':', "").into() } else { segment.into() };
            if segment.is_empty() { Err(Cause::JsonPath(rest.to_owned())) } else { Ok(segment) }
        })
        .collect()
}

impl<'a> Resolver<'a> {
    /// A path that starts at the record itself.
    pub(super) fn field(&mut self, path: &str) -> Result<Side, Cause> {
        self.walk(self.root, self.collection, path)
    }

    /// A sort key: a field path, or one of another collection.
    pub(super) fn sort_path(&mut self, path: &str) -> Result<Operand, Cause> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'@');
        if !path.bytes().all(plain) {
            return Err(Cause::Unresolved(path.to_owned()));
        }
        let side = match path.strip_prefix("@collection.") {
            Some(rest) if self.trust == Trust::Full => self.collection_path(path, rest)?,
            Some(_) => return Err(Cause::SuperusersOnly("@collection.".to_owned())),
            None => self.field(path)?,
        };
        match side.email {
            Some(alias) => self.visible_email(alias, side.operand),
            None => Ok(side.operand),
        }
    }

    /// Among the emails that a caller sees, the place of one that is not visible would tell it letter by letter.
    fn visible_email(&mut self, of: Alias, mut email: Operand) -> Result<Operand, Cause> {
        let join = self.joins.iter().find(|join| join.alias == of);
        let table = match join.map(|join| &join.source) {
            Some(Source::Table(name)) => name.clone(),
            _ => self.collection.name.clone(),
        };
        let visible = self.visibility_column();
        let alias = self.join(Some(of), Step::Visible, Rows::One, |alias| {
            let is_visible = Expr::eq(Operand::Column { alias, column: visible }, true);
            (Source::Table(table), Expr::and([Expr::same(id_of(alias), id_of(of)), is_visible]))
        })?;
        joins::rename_operand(&mut email, &[(of, alias)]);
        Ok(email)
    }

    /// `@collection.name.path` and `@collection.name:alias.path`: any record of the collection.
    pub(super) fn collection_path(&mut self, path: &str, rest: &str) -> Result<Side, Cause> {
        let unresolved = || Cause::Unresolved(path.to_owned());
        let (head, rest) = rest.split_once('.').ok_or_else(unresolved)?;
        let (name, alias) = head.split_once(':').unwrap_or((head, ""));
        if name.is_empty() || alias.contains(':') || (alias.is_empty() && head.contains(':')) {
            return Err(unresolved());
        }
        let collection =
            self.schema.find(name).ok_or_else(|| Cause::NoCollection(name.to_owned(), path.to_owned()))?;
        // An alias stands for the same rows whatever the collection is called beside it.
        let step = if alias.is_empty() {
            Step::Collection(collection.name.clone(), "".into())
        } else {
            Step::Collection(collection.name.clone(), alias.into())
        };
        let joined = self
            .join(None, step, Rows::Many, |_| (Source::Table(collection.name.clone()), Expr::Const(true)))?;
        self.walk(joined, collection, rest)
    }

    pub(super) fn walk(
        &mut self,
        mut alias: Alias,
        mut collection: &'a Arc<Collection>,
        path: &str,
    ) -> Result<Side, Cause> {
        let mut rest = path;
        let mut depth = 0;
        while let Some((name, after)) = rest.split_once('.') {
            depth += 1;
            if depth > PATH_DEPTH_MAX {
                return Err(Cause::Depth);
            }
            let Some(position) = collection.position(name) else {
                (alias, collection) = self.step_back(Some(alias), alias, collection, name, None)?;
                rest = after;
                continue;
            };
            let field = &collection.fields[position];
            self.visible(field)?;
            let column = &collection.table.columns[position];
            let operand = Operand::column(alias, column);
            match &field.kind {
                FieldKind::Json(_) | FieldKind::GeoPoint(_) => {
                    let operand = Operand::Path { of: Box::new(operand), path: json_path(after)? };
                    return Ok(self.at(alias, Side::new(operand)));
                }
                // The id of a single related record is in the field itself.
                FieldKind::Relation(_) if after == "id" && !is_many(field) => {
                    return Ok(self.at(alias, Side::new(operand)));
                }
                FieldKind::Relation(relation) => {
                    (alias, collection) = self.step_forward(alias, field, relation, operand)?;
                }
                _ => return Err(Cause::NoRelation(name.to_owned())),
            }
            rest = after;
        }
        self.last(alias, collection, rest)
    }

    fn last(&mut self, alias: Alias, collection: &Arc<Collection>, last: &str) -> Result<Side, Cause> {
        let (name, modifier) = modifier(last)?;
        let position = collection.position(name).ok_or_else(|| Cause::Unknown(name.to_owned()))?;
        let field = &collection.fields[position];
        self.visible(field)?;
        let column = Operand::column(alias, &collection.table.columns[position]);
        let mut side = match modifier {
            Some(Modifier::Lower) => Side::new(Operand::Lower(Box::new(column))),
            Some(Modifier::Length) if is_list_kind(field) => Side::new(Operand::Length(Box::new(column))),
            Some(Modifier::Each) if is_list_kind(field) => {
                let many = is_many(field);
                let each = self.each(alias, field, column, many)?;
                return Ok(self.at(each, Side::new(Operand::Element(each))));
            }
            _ => Side::new(column),
        };
        if self.creating && alias == Alias::BASE {
            side.pull = Pull::None;
        }
        if self.trust == Trust::Client && name == "email" && collection.is_auth() {
            side.email = Some(alias);
        }
        Ok(self.at(alias, side))
    }

    fn at(&self, alias: Alias, side: Side) -> Side {
        Side { leaf: (alias != self.root).then_some(alias), ..side }
    }

    fn visible(&self, field: &Field) -> Result<(), Cause> {
        if field.hidden && self.trust == Trust::Client {
            return Err(Cause::Hidden(field.name.to_string()));
        }
        Ok(())
    }

    fn each(&mut self, alias: Alias, field: &Field, list: Operand, many: bool) -> Result<Alias, Cause> {
        let step = Step::Each(field.name.clone());
        self.join(Some(alias), step, Rows::many(many), |_| (Source::Each(list), Expr::Const(true)))
    }

    fn step_forward(
        &mut self,
        alias: Alias,
        field: &Field,
        relation: &RelationField,
        value: Operand,
    ) -> Result<(Alias, &'a Arc<Collection>), Cause> {
        let target = self.related(relation, &field.name)?;
        let (from, id) = if is_many(field) {
            let each = self.each(alias, field, value, true)?;
            (each, Operand::Element(each))
        } else {
            (alias, value)
        };
        let joined = self.join(Some(from), Step::Relation(field.name.clone()), Rows::One, |joined| {
            (Source::Table(target.name.clone()), Expr::same(id_of(joined), id))
        })?;
        self.guard(joined, target)?;
        Ok((joined, target))
    }

    /// The collection that a relation leads to.
    pub(super) fn related(&self, relation: &RelationField, name: &str) -> Result<&'a Arc<Collection>, Cause> {
        self.schema.find(&relation.collection_id).ok_or_else(|| Cause::NoRelation(name.to_owned()))
    }

    /// `name_via_field`: the records of a collection that refer to this one. With `known` the record is not a
    /// row of the query: its id is given.
    pub(super) fn step_back(
        &mut self,
        from: Option<Alias>,
        alias: Alias,
        to: &Collection,
        segment: &str,
        known: Option<&str>,
    ) -> Result<(Alias, &'a Arc<Collection>), Cause> {
        let Some((name, back)) = segment.split_once("_via_") else {
            return Err(Cause::Unresolved(segment.to_owned()));
        };
        let source = self.schema.find(name).ok_or_else(|| Cause::NoBackCollection(segment.to_owned()))?;
        let no_field = || Cause::NoBackField(back.to_owned());
        let position = source.position(back).ok_or_else(no_field)?;
        let field = &source.fields[position];
        match &field.kind {
            FieldKind::Relation(relation) if relation.collection_id == *to.id => {}
            _ => return Err(no_field()),
        }
        self.visible(field)?;
        if self.creating && known.is_none() && alias == Alias::BASE {
            return Err(Cause::NewRecord(back.to_owned()));
        }
        let own_id = match known {
            Some(id) => Operand::Literal(Value::from(id)),
            None => id_of(alias),
        };
        let step = match known {
            Some(_) => Step::AuthBack(source.name.clone(), field.name.clone()),
            None => Step::Back(source.name.clone(), field.name.clone()),
        };
        let column = &source.table.columns[position];
        let joined = if is_many(field) {
            let element = self.alias();
            self.join(from, step, Rows::Many, |joined| {
                let list = Join {
                    alias: element,
                    source: Source::Each(Operand::column(joined, column)),
                    on: Expr::Const(true),
                    many: true,
                };
                let test = Box::new(Expr::same(Operand::Element(element), own_id));
                (Source::Table(source.name.clone()), Expr::Exists { joins: vec![list], test })
            })?
        } else {
            self.join(from, step, back_rows(source, back), |joined| {
                (Source::Table(source.name.clone()), Expr::same(Operand::column(joined, column), own_id))
            })?
        };
        self.guard(joined, source)?;
        Ok((joined, source))
    }

    /// Others than superusers learn nothing through a relation that they could not list.
    fn guard(&mut self, alias: Alias, collection: &'a Arc<Collection>) -> Result<(), Cause> {
        if self.trust == Trust::Full {
            return Ok(());
        }
        match collection.list_rule.as_deref() {
            None => Err(Cause::Hidden(collection.name.to_string())),
            Some("") => Ok(()),
            Some(_) => {
                if !self.guards.iter().any(|(known, _)| *known == alias) {
                    self.guards.push((alias, collection));
                }
                Ok(())
            }
        }
    }
}

pub(super) fn id_of(alias: Alias) -> Operand {
    Operand::Column { alias, column: Collection::id_column() }
}

/// How many records can refer back by this column, going by the unique indexes on it alone.
fn back_rows(collection: &Collection, column: &str) -> Rows {
    let mut rows = Rows::Many;
    for index in &collection.indexes {
        let mut words = index.split_ascii_whitespace();
        let unique = words.next().is_some_and(|word| word.eq_ignore_ascii_case("create"))
            && words.next().is_some_and(|word| word.eq_ignore_ascii_case("unique"));
        let Some((_, rest)) = index.split_once('(') else { continue };
        let Some((columns, rest)) = rest.split_once(')') else { continue };
        let quotes = ['`', '"', '[', ']', '\''];
        let first = columns.split_ascii_whitespace().next().unwrap_or_default();
        if !unique || columns.contains(',') || first.trim_matches(quotes) != column {
            continue;
        }
        if rest.trim().is_empty() {
            return Rows::One;
        }
        // A partial index says nothing of the rows that it leaves out, but the reference reads it the same.
        rows = Rows::Any;
    }
    rows
}
