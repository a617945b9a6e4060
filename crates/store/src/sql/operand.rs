//! Values as SQL: columns, literals, JSON paths, list elements and functions.

use base::{Name, Value};
use query::{Alias, Column, ColumnType, Operand, ValueType};

use super::{Dialect, Renderer};

/// What a rendered operand is to its engine. SQLite knows three; PostgreSQL has native dates and booleans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Text,
    Number,
    /// JSON, typed when it is seen: on PostgreSQL a `jsonb` scalar as `_pando.value` makes it.
    Any,
    /// `timestamptz`, null for the empty text.
    Date,
    Bool,
}

impl Renderer<'_> {
    pub(super) fn class(&self, operand: &Operand) -> Class {
        match (self.dialect, operand.ty()) {
            (Dialect::Postgres, _) if column_type(operand) == Some(ColumnType::Date) => Class::Date,
            (Dialect::Postgres, _) if column_type(operand) == Some(ColumnType::Bool) => Class::Bool,
            // A view's column has whatever type it has; through JSON every type can be read.
            (_, ValueType::Text) => Class::Text,
            (_, ValueType::Number) => Class::Number,
            (_, ValueType::Any) => Class::Any,
        }
    }

    /// The value in the form of its class.
    pub(super) fn value(&mut self, operand: &Operand) {
        match operand {
            Operand::Column { alias, column } => self.column_value(*alias, column),
            Operand::Literal(value) => self.literal(value),
            Operand::Path { of, path } => self.path(of, path, true),
            Operand::Length(of) => self.length(of),
            Operand::Lower(of) => {
                self.sql.push_str("lower((");
                self.text(of);
                // Only columns carry the collation that keeps PostgreSQL to ASCII.
                self.sql.push_str(if self.dialect == Dialect::Postgres { ") COLLATE \"C\")" } else { "))" });
            }
            Operand::Element(alias) => self.element(*alias),
            Operand::GeoDistance(parts) => {
                self.sql.push_str(match self.dialect {
                    Dialect::Sqlite => "pando_geo_distance(",
                    Dialect::Postgres => "_pando.geo_distance(",
                });
                for (index, part) in parts.iter().enumerate() {
                    if index > 0 {
                        self.sql.push(',');
                    }
                    match self.dialect {
                        Dialect::Sqlite => self.value(part),
                        Dialect::Postgres => self.number(part),
                    }
                }
                self.sql.push(')');
            }
            Operand::Strftime { format, value, modifiers } => self.strftime(format, value, modifiers),
        }
    }

    fn column_value(&mut self, alias: Alias, column: &Column) {
        match (self.dialect, column.ty) {
            // What is no JSON (another program's text) is a text.
            (Dialect::Sqlite, ColumnType::Json | ColumnType::Dynamic) => {
                self.sql.push_str("iif(json_valid(");
                self.column(alias, &column.name);
                self.sql.push_str("),json_extract(");
                self.column(alias, &column.name);
                self.sql.push_str(",'$'),");
                self.column(alias, &column.name);
                self.sql.push(')');
            }
            (Dialect::Sqlite, _) => self.column(alias, &column.name),
            (Dialect::Postgres, ty) => {
                let (before, after) = match ty {
                    ColumnType::Json => ("_pando.value(", ")"),
                    ColumnType::Dynamic => ("_pando.value(to_json(", "))"),
                    ColumnType::List => ("_pando.list_text(", ")"),
                    ColumnType::Point => ("_pando.point_text(", ")"),
                    // Declared so, whatever the view yields.
                    ColumnType::Id | ColumnType::Text if self.views_at(alias) => ("(", ")::text"),
                    _ => ("", ""),
                };
                self.sql.push_str(before);
                self.column(alias, &column.name);
                self.sql.push_str(after);
            }
        }
    }

    pub(super) fn literal(&mut self, value: &Value) {
        match (self.dialect, value) {
            (Dialect::Sqlite, Value::Json(_)) => {
                self.sql.push_str("json_extract(");
                self.param(value.clone());
                self.sql.push_str(",'$')");
            }
            (Dialect::Sqlite, _) => self.param(value.clone()),
            (Dialect::Postgres, Value::Json(_)) => {
                self.sql.push_str("_pando.value(");
                self.param(value.clone());
                self.sql.push_str("::json)");
            }
            (Dialect::Postgres, Value::Number(_) | Value::Bool(_)) => {
                self.param(Value::Number(value.as_number()));
                self.sql.push_str("::float8");
            }
            (Dialect::Postgres, _) => {
                self.param(value.clone());
                self.sql.push_str("::text");
            }
        }
    }

    fn length(&mut self, of: &Operand) {
        match self.dialect {
            Dialect::Sqlite => {
                self.sql.push_str("pando_length(");
                self.value(of);
            }
            Dialect::Postgres if column_type(of) == Some(ColumnType::List) => {
                self.sql.push_str("_pando.length(");
                self.document(of);
            }
            Dialect::Postgres => {
                self.sql.push_str("_pando.length(");
                self.text(of);
            }
        }
        self.sql.push(')');
    }

    fn element(&mut self, alias: Alias) {
        self.column(alias, "value");
        if self.dialect == Dialect::Postgres {
            self.sql.push_str(" COLLATE \"C\"");
        }
    }

    fn strftime(&mut self, format: &Name, value: &Operand, modifiers: &[Name]) {
        match self.dialect {
            Dialect::Sqlite => {
                self.sql.push_str("strftime(");
                self.param(Value::text(&**format));
                self.sql.push(',');
                self.value(value);
                for modifier in modifiers {
                    self.sql.push(',');
                    self.param(Value::text(&**modifier));
                }
                self.sql.push(')');
            }
            Dialect::Postgres => {
                self.sql.push_str("_pando.strftime(");
                self.param(Value::text(&**format));
                self.sql.push_str("::text,");
                self.text(value);
                self.sql.push_str(",ARRAY[");
                for (index, modifier) in modifiers.iter().enumerate() {
                    if index > 0 {
                        self.sql.push(',');
                    }
                    self.param(Value::text(&**modifier));
                    self.sql.push_str("::text");
                }
                self.sql.push_str("]::text[])");
            }
        }
    }

    /// The value as text, for matching.
    pub(super) fn text(&mut self, operand: &Operand) {
        let class = self.class(operand);
        let (before, after) = match (self.dialect, class) {
            (_, Class::Text) => ("", ""),
            (Dialect::Sqlite, _) => ("pando_text(", ")"),
            (Dialect::Postgres, Class::Number) => ("_pando.number_text(", ")"),
            (Dialect::Postgres, Class::Bool) => ("(", ")::int::text"),
            (Dialect::Postgres, Class::Any) => ("_pando.scalar_text(", ")"),
            (Dialect::Postgres, Class::Date) => {
                let Operand::Column { alias, .. } = operand else { return };
                let missing = self.nullable.contains(*alias);
                if missing {
                    self.sql.push_str("CASE WHEN ");
                    self.column(*alias, "id");
                    self.sql.push_str(" IS NOT NULL THEN ");
                }
                self.sql.push_str("_pando.date_text(");
                self.value(operand);
                self.sql.push_str(if missing { ") END" } else { ")" });
                return;
            }
        };
        self.sql.push_str(before);
        self.value(operand);
        self.sql.push_str(after);
    }

    /// PostgreSQL: the value as `float8`, null when it is no number.
    pub(super) fn number(&mut self, operand: &Operand) {
        let (before, after) = match self.class(operand) {
            Class::Number => ("", ""),
            Class::Bool => ("(", ")::int::float8"),
            Class::Any => ("_pando.number(", ")"),
            Class::Text | Class::Date => ("_pando.text_number(", ")"),
        };
        self.sql.push_str(before);
        if self.class(operand) == Class::Date {
            self.text(operand);
        } else {
            self.value(operand);
        }
        self.sql.push_str(after);
    }

    /// The value as a JSON document, to look into.
    pub(super) fn document(&mut self, operand: &Operand) {
        match (self.dialect, operand) {
            (_, Operand::Path { of, path }) => self.path(of, path, false),
            (_, Operand::Column { alias, column }) => {
                let plain = match column.ty {
                    ColumnType::Json | ColumnType::List | ColumnType::Point => true,
                    _ => self.dialect == Dialect::Sqlite,
                };
                if plain {
                    self.column(*alias, &column.name);
                } else if column.ty == ColumnType::Dynamic {
                    self.sql.push_str("to_json(");
                    self.column(*alias, &column.name);
                    self.sql.push(')');
                } else {
                    self.sql.push_str("_pando.to_json(");
                    self.text(operand);
                    self.sql.push(')');
                }
            }
            (Dialect::Sqlite, Operand::Literal(value)) => self.param(value.clone()),
            (Dialect::Postgres, Operand::Literal(value @ Value::Json(_))) => {
                self.param(value.clone());
                self.sql.push_str("::json");
            }
            (Dialect::Sqlite, _) => self.value(operand),
            (Dialect::Postgres, _) => {
                self.sql.push_str("_pando.to_json(");
                self.text(operand);
                self.sql.push(')');
            }
        }
    }

    /// The value at a path, as a scalar or as a document of its own.
    fn path(&mut self, of: &Operand, path: &[Name], scalar: bool) {
        match self.dialect {
            Dialect::Sqlite => {
                let variants = sqlite_paths(path);
                self.sql.push_str("iif(json_valid(");
                self.document(of);
                self.sql.push_str("),");
                let several = variants.len() > 1;
                if several {
                    self.sql.push_str("COALESCE(");
                }
                for (index, variant) in variants.into_iter().enumerate() {
                    if index > 0 {
                        self.sql.push(',');
                    }
                    self.sql.push_str(if scalar { "json_extract(" } else { "(" });
                    self.document(of);
                    self.sql.push_str(if scalar { "," } else { "->" });
                    self.param(Value::text(variant));
                    self.sql.push(')');
                }
                if several {
                    self.sql.push(')');
                }
                self.sql.push_str(",NULL)");
            }
            Dialect::Postgres => {
                self.sql.push_str(if scalar { "_pando.value(" } else { "(" });
                self.document(of);
                self.sql.push_str("#>ARRAY[");
                for (index, part) in path.iter().enumerate() {
                    if index > 0 {
                        self.sql.push(',');
                    }
                    self.param(Value::text(&**part));
                    self.sql.push_str("::text");
                }
                self.sql.push_str("]::text[])");
            }
        }
    }

    /// The source of [`query::Source::Each`].
    pub(super) fn each(&mut self, of: &Operand, alias: Alias) {
        let list = column_type(of) == Some(ColumnType::List);
        if list {
            self.lists.insert(alias);
        }
        match self.dialect {
            Dialect::Sqlite => {
                self.sql.push_str("json_each(pando_elements(");
                self.value(of);
                self.sql.push_str(")) AS ");
                self.dialect.alias(&mut self.sql, alias);
            }
            Dialect::Postgres => {
                if list {
                    self.sql.push_str("jsonb_array_elements_text(");
                    self.document(of);
                } else {
                    self.sql.push_str("_pando.each(");
                    self.text(of);
                }
                self.sql.push_str(if self.numbered { ") WITH ORDINALITY AS " } else { ") AS " });
                self.dialect.alias(&mut self.sql, alias);
                self.sql.push_str(if self.numbered { "(\"value\",\"n\")" } else { "(\"value\")" });
            }
        }
    }

    /// Can the rendered value be null?
    pub(super) fn may_be_null(&self, operand: &Operand) -> bool {
        match operand {
            Operand::Column { alias, column } => {
                self.nullable.contains(*alias)
                    || matches!(column.ty, ColumnType::Json | ColumnType::Dynamic)
                    || (self.dialect == Dialect::Postgres && column.ty == ColumnType::Date)
            }
            Operand::Literal(value) => !matches!(value, Value::Text(_) | Value::Number(_) | Value::Bool(_)),
            Operand::Length(_) => false,
            Operand::Lower(of) => self.may_be_null(of),
            // Outside of lists, JSON's null may be an element.
            Operand::Element(alias) => self.nullable.contains(*alias) || !self.lists.contains(*alias),
            Operand::Path { .. } | Operand::GeoDistance(_) | Operand::Strftime { .. } => true,
        }
    }

    /// Is it the column of a table, as it stands?
    pub(super) fn stored(&self, operand: &Operand) -> bool {
        matches!(operand, Operand::Column { alias, column }
            if matches!(column.ty, ColumnType::Id | ColumnType::Text) && !self.views_at(*alias))
    }

    fn joined_date(&self, operand: &Operand) -> bool {
        matches!(operand, Operand::Column { alias, .. }
            if self.nullable.contains(*alias) && !self.views_at(*alias))
    }

    /// How many sort keys an operand makes.
    pub(super) fn sort_keys(&self, operand: &Operand) -> usize {
        if self.dialect == Dialect::Postgres && self.class(operand) == Class::Any { 2 } else { 1 }
    }

    /// JSON values sort as on SQLite, numbers before texts; jsonb's own order is another.
    pub(super) fn sort_key(&mut self, operand: &Operand, key: usize) {
        match self.class(operand) {
            Class::Any if self.dialect == Dialect::Postgres => {
                self.sql.push_str(["_pando.sort_number(", "_pando.sort_text("][key.min(1)]);
                self.value(operand);
                self.sql.push_str([")", ") COLLATE \"C\""][key.min(1)]);
            }
            // An unset date of a joined row comes after a missing row; both are null.
            Class::Date if self.joined_date(operand) => {
                self.text(operand);
                self.sql.push_str(" COLLATE \"C\"");
            }
            // A table's columns carry the collation.
            Class::Text if self.dialect == Dialect::Postgres && !self.stored(operand) => {
                self.value(operand);
                self.sql.push_str(" COLLATE \"C\"");
            }
            _ => self.value(operand),
        }
    }
}

pub(super) fn column_type(operand: &Operand) -> Option<ColumnType> {
    match operand {
        Operand::Column { column, .. } => Some(column.ty),
        _ => None,
    }
}

fn digits(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

/// SQLite's paths: an all-digit segment may be an index or a key, so there are two paths for each of the first
/// three, and further ones are indexes.
fn sqlite_paths(path: &[Name]) -> Vec<String> {
    let mut out = vec![String::from("$")];
    let mut doubled = 0;
    for part in path {
        let mut key = String::from(".");
        base::json::write_string(&mut key, part);
        if !digits(part) {
            out.iter_mut().for_each(|path| path.push_str(&key));
            continue;
        }
        doubled += 1;
        let keys: Vec<String> = match doubled {
            1..=3 => out.iter().map(|path| format!("{path}{key}")).collect(),
            _ => Vec::new(),
        };
        out.iter_mut().for_each(|path| path.extend(["[", part, "]"]));
        out.extend(keys);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn paths() {
        let path = |parts: &[&str]| {
            super::sqlite_paths(&parts.iter().map(|part| (*part).into()).collect::<Vec<_>>())
        };
        assert_eq!(path(&["a", "b\"c"]), [r#"$."a"."b\"c""#]);
        assert_eq!(path(&["a", "0"]), [r#"$."a"[0]"#, r#"$."a"."0""#]);
        assert_eq!(path(&["0", "1"]).len(), 4);
    }
}
