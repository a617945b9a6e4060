//! `@request.*`. What is in the request is folded to literals; only records that it refers to need joins.

use base::Value;
use query::eval::{self, Pull};
use query::{ColumnType, Expr, Operand, Operator, Source};
use serde_json::Value as Json;

use super::compare::Side;
use super::error::Cause;
use super::joins::{Rows, Step};
use super::path::{Modifier, id_of, is_list_kind, is_many, json_path, modifier};
use super::resolve::Resolver;
use crate::field::{Field, FieldKind, RelationField};
use crate::record::Record;

impl<'a> Resolver<'a> {
    /// `path` is the whole path, `rest` what comes after `@request.`.
    pub(super) fn request_path(&mut self, path: &str, rest: &str) -> Result<Side, Cause> {
        let request = self.request;
        match rest {
            "method" => return Ok(text(request.method)),
            "context" => return Ok(text(request.context)),
            _ => {}
        }
        match rest.split_once('.') {
            Some(("auth", rest)) => self.auth_path(rest),
            Some(("query", rest)) => plain_value(rest, request.query.get(key(rest)).map(String::as_str)),
            Some(("headers", rest)) => plain_value(rest, request.headers.get(key(rest)).map(String::as_str)),
            Some(("body", rest)) => self.body_path(rest),
            _ => Err(Cause::Unresolved(path.to_owned())),
        }
    }

    fn auth_path(&mut self, path: &str) -> Result<Side, Cause> {
        let Some(auth) = &self.request.auth else { return Ok(Side::null()) };
        lenient(match path.split_once('.') {
            None => self.auth_last(auth, path),
            Some((name, rest)) => self.auth_walk(auth, name, rest),
        })
    }

    fn auth_last(&mut self, auth: &'a Record, last: &str) -> Result<Side, Cause> {
        match last {
            "collectionId" => return Ok(text(&auth.collection.id)),
            "collectionName" => return Ok(text(&auth.collection.name)),
            _ => {}
        }
        let (name, modifier) = modifier(last)?;
        let position = auth.collection.position(name).ok_or_else(|| Cause::Unknown(name.to_owned()))?;
        let field = &auth.collection.fields[position];
        let value = auth.row.get(position);
        let folded = stands_for(value, auth.collection.table.columns[position].ty);
        Ok(match modifier {
            Some(Modifier::Lower) => lower(folded),
            Some(Modifier::Length) if is_list_kind(field) => Side::integer(value.to_list().len() as i64),
            Some(Modifier::Each) if is_list_kind(field) => {
                let list = Value::list(&value.to_list());
                self.each_of(Step::AuthEach(field.name.clone()), list, is_many(field))?
            }
            _ => folded,
        })
    }

    fn auth_walk(&mut self, auth: &'a Record, name: &str, rest: &str) -> Result<Side, Cause> {
        let collection = &auth.collection;
        let Some(position) = collection.position(name) else {
            let (alias, collection) =
                self.step_back(None, query::Alias::BASE, collection, name, Some(auth.id()))?;
            return self.walk(alias, collection, rest);
        };
        let field = &collection.fields[position];
        let value = auth.row.get(position);
        match &field.kind {
            FieldKind::Json(_) | FieldKind::GeoPoint(_) => {
                let path = json_path(rest)?;
                let found = value.as_str().map_or(Value::Null, |json| eval::at_path(json, &path));
                Ok(stands_for(&found, ColumnType::Json))
            }
            FieldKind::Relation(_) if rest == "id" && !is_many(field) => {
                Ok(stands_for(value, ColumnType::Text))
            }
            FieldKind::Relation(relation) => {
                let step = Step::Auth(field.name.clone());
                self.follow(step, field, relation, &value.to_list(), rest)
            }
            _ => Err(Cause::NoRelation(name.to_owned())),
        }
    }

    /// On through the records of known ids.
    fn follow(
        &mut self,
        step: Step,
        field: &Field,
        relation: &RelationField,
        ids: &[String],
        rest: &str,
    ) -> Result<Side, Cause> {
        let target = self.related(relation, &field.name)?;
        if ids.is_empty() {
            return Ok(Side::null());
        }
        let rows = Rows::many(is_many(field));
        let alias = self.join(None, step, rows, |alias| {
            let on = match ids {
                [id] => Expr::same(id_of(alias), id.as_str()),
                ids => Expr::In {
                    left: id_of(alias),
                    values: ids.iter().map(|id| Value::from(id.as_str())).collect(),
                },
            };
            (Source::Table(target.name.clone()), on)
        })?;
        self.walk(alias, target, rest)
    }

    fn each_of(&mut self, step: Step, list: Value, many: bool) -> Result<Side, Cause> {
        let source = Source::Each(Operand::Literal(list));
        let alias = self.join(None, step, Rows::many(many), |_| (source, Expr::Const(true)))?;
        Ok(Side { leaf: Some(alias), ..Side::new(Operand::Element(alias)) })
    }

    fn body_path(&mut self, path: &str) -> Result<Side, Cause> {
        let body = &self.request.body;
        let base = self.base;
        let Some((name, rest)) = path.split_once('.') else { return self.body_last(path) };
        let value = body.get(name);
        if let Some(field) = base.field(name)
            && let FieldKind::Relation(relation) = &field.kind
        {
            let ids = value.map(ids).unwrap_or_default();
            return lenient(self.follow(Step::Body(field.name.clone()), field, relation, &ids, rest));
        }
        let Some(value) = value else { return Ok(Side::null()) };
        let found = rest.split('.').try_fold(value, |value, segment| match value {
            Json::Array(items) => segment.parse::<usize>().ok().and_then(|index| items.get(index)),
            Json::Object(fields) => fields.get(segment),
            _ => None,
        });
        Ok(found.map_or_else(Side::null, json_side))
    }

    fn body_last(&mut self, last: &str) -> Result<Side, Cause> {
        let body = &self.request.body;
        // More than one modifier is no name of anything.
        if last.bytes().filter(|byte| *byte == b':').count() > 1 {
            return Ok(Side::null());
        }
        let (name, modifier) = modifier(last)?;
        let base = self.base;
        let field = base.position(name).map(|position| (&base.fields[position], position));
        let value = body.get(name);
        let plain = || match (value, field) {
            (None, _) => Side::null(),
            // The reference keeps JSON fields as their text.
            (Some(value), Some((field, _))) if matches!(field.kind, FieldKind::Json(_)) => {
                text(&sorted(value).to_string())
            }
            (Some(value), _) => json_side(value),
        };
        match modifier {
            None => Ok(plain()),
            Some(Modifier::IsSet) => Ok(Side::constant(Value::Bool(self.is_set(name)))),
            Some(Modifier::Lower) => Ok(lower(plain())),
            Some(Modifier::Changed) => {
                let (_, position) = field.ok_or_else(|| Cause::ModifierSequence(last.to_owned()))?;
                let condition = match value {
                    None => Expr::Const(false),
                    Some(_) => {
                        let column = Operand::column(self.root, &base.table.columns[position]);
                        self.compare(plain(), Operator::Ne, true, Side::new(column))
                            .map_err(|_| Cause::Joins)?
                    }
                };
                Ok(Side { condition: Some(Box::new(condition)), ..Side::null() })
            }
            Some(list @ (Modifier::Each | Modifier::Length)) => {
                let (field, _) = field.ok_or_else(|| Cause::ModifierSequence(last.to_owned()))?;
                if !is_list_kind(field) {
                    return Err(Cause::SingleValue(name.to_owned()));
                }
                let items = value.map(ids).unwrap_or_default();
                if list == Modifier::Length {
                    return Ok(Side::integer(items.len() as i64));
                }
                let step = Step::BodyEach(field.name.clone());
                let side = self.each_of(step, Value::list(&items), is_many(field))?;
                Ok(Side { strict: true, ..side })
            }
        }
    }

    /// Was the key sent, in whatever form?
    fn is_set(&self, name: &str) -> bool {
        let body = &self.request.body;
        body.contains_key(name)
            || body.keys().any(|key| {
                let plain = key.strip_prefix('+').or_else(|| key.strip_suffix(['+', '-']));
                plain == Some(name)
            })
    }
}

/// What a path of the caller or the body does not find is missing, not wrong.
fn lenient(side: Result<Side, Cause>) -> Result<Side, Cause> {
    match side {
        Err(cause @ (Cause::Joins | Cause::Depth | Cause::Modifier(_))) => Err(cause),
        Err(_) => Ok(Side::null()),
        found => found,
    }
}

fn text(text: &str) -> Side {
    Side::constant(Value::Text(text.into()))
}

/// A known value in the place of a column of this type.
fn stands_for(value: &Value, ty: ColumnType) -> Side {
    let strict = matches!(ty, ColumnType::Json | ColumnType::Dynamic);
    let value = match value {
        Value::Json(json) if strict => eval::at_path(json, &[]),
        Value::Json(json) => Value::Text(json.clone()),
        other => other.clone(),
    };
    Side { pull: Pull::of_column(ty), strict, verbatim: true, ..Side::constant(value) }
}

fn lower(side: Side) -> Side {
    let lowered = match &side.operand {
        Operand::Literal(value) => match eval::Seen::literal(value).to_text() {
            Some(text) => Value::Text(text.to_ascii_lowercase().into()),
            None => Value::Null,
        },
        _ => return side,
    };
    Side { pull: Pull::None, operand: Operand::Literal(lowered), ..side }
}

/// The name before a modifier.
fn key(rest: &str) -> &str {
    rest.split_once(':').map_or(rest, |(name, _)| name)
}

/// A query parameter or header.
fn plain_value(last: &str, value: Option<&str>) -> Result<Side, Cause> {
    // Texts have no inside.
    if last.contains('.') {
        return Ok(Side::null());
    }
    let found = || value.map_or_else(Side::null, text);
    match modifier(last)?.1 {
        None => Ok(found()),
        Some(Modifier::IsSet) => Ok(Side::constant(Value::Bool(value.is_some()))),
        Some(Modifier::Lower) => Ok(lower(found())),
        Some(_) => Err(Cause::ModifierSequence(last.to_owned())),
    }
}

/// A value of the body. Lists and objects are their JSON text, keys in order.
fn json_side(value: &Json) -> Side {
    Side::constant(match value {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => Value::Number(number.as_f64().unwrap_or_default()),
        Json::String(text) => Value::Text(text.as_str().into()),
        other => Value::Text(sorted(other).to_string().into()),
    })
}

fn sorted(value: &Json) -> Json {
    match value {
        Json::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort();
            keys.into_iter().map(|key| (key.clone(), sorted(&fields[key]))).collect()
        }
        Json::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// The items of a list field's input: one text, or several.
fn ids(value: &Json) -> Vec<String> {
    match value {
        Json::String(text) if text.is_empty() => Vec::new(),
        Json::String(text) => vec![text.clone()],
        Json::Array(items) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}
