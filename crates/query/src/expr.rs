//! Conditions and the values they compare.
//!
//! The meaning of a comparison, for all readers alike (it is what the reference's filters do on SQLite, found
//! by asking it):
//!
//! - It is true or false, never unknown. A missing value (`Null`: a left join that found nothing, a JSON path
//!   that leads nowhere, JSON `null`) equals another missing value. It also equals the empty text, unless one
//!   of the operands is *strict*: `Json` and `Dynamic` columns, `Path`, `GeoDistance`, a `Json` literal, and
//!   `Lower` of these, tell `null` from `''`. A missing value is unequal to everything else, and not less,
//!   greater, like or unlike anything.
//! - Two numbers (booleans are 1 and 0) compare as doubles, two texts by their bytes. A number is never equal to
//!   a text, and is below every text. `Any` values (JSON) are typed one by one when they are seen; objects and
//!   arrays among them are their compact JSON text.
//! - Columns pull the other side: when one operand is a plain `Number` or `Bool` column and the other is not,
//!   a text there that reads as a number in full is that number. Else, when one is a plain column of a text type
//!   (`Id`, `Text`, `Date`, `List`, `Point`) and the other is no column of a fixed type, a number there is its
//!   shortest text. Literals arrive already converted, and a number column is never tested for (in)equality
//!   with a text column, so this matters only for order between columns and for `Any` against a column.
//! - `Like` and `NotLike` match text with `%` and `_`, escaped by a backslash, ASCII letters of either case being
//!   equal. Numbers are matched by their shortest text, booleans as `1` and `0`. A literal right operand is the
//!   pattern as it stands; any other stands for `%value%`, the wildcards inside the value working as such. A
//!   pattern whose last backslash escapes nothing matches nothing.

use base::{Name, Value};

use crate::column::{Column, ColumnType};

/// Which row source of a query an operand belongs to. 0 is the table the query starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Alias(pub u16);

impl Alias {
    pub const BASE: Alias = Alias(0);
}

#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Const(bool),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Compare {
        left: Operand,
        op: Operator,
        right: Operand,
    },
    /// The operand has no value. Unlike a comparison with `Null`, the empty text is a value here.
    Missing(Operand),
    /// Both have a value, and it is the same text: plain equality, by which joins follow ids. Unlike `Compare`,
    /// two missing values do not match.
    Same(Operand, Operand),
    /// Is the left text (an id) one of these? Used for ids known beforehand and for expansion; an empty list
    /// is false.
    In {
        left: Operand,
        values: Vec<Value>,
    },
    /// Holds for every row that the joins (left joins, so at least one row of nulls) yield. The joins may
    /// refer to the aliases of the query around them.
    All {
        joins: Vec<Join>,
        test: Box<Expr>,
    },
    /// Holds for at least one row of the joins; with inner joins, so that no match is false.
    Exists {
        joins: Vec<Join>,
        test: Box<Expr>,
    },
}

impl Expr {
    /// All of these, flattened; constants are folded.
    pub fn and(parts: impl IntoIterator<Item = Expr>) -> Expr {
        let mut all = Vec::new();
        for part in parts {
            match part {
                Expr::Const(true) => {}
                Expr::Const(false) => return Expr::Const(false),
                Expr::And(inner) => all.extend(inner),
                other => all.push(other),
            }
        }
        match all.len() {
            0 => Expr::Const(true),
            1 => all.swap_remove(0),
            _ => Expr::And(all),
        }
    }

    /// Any of these, flattened; constants are folded.
    pub fn or(parts: impl IntoIterator<Item = Expr>) -> Expr {
        let mut any = Vec::new();
        for part in parts {
            match part {
                Expr::Const(false) => {}
                Expr::Const(true) => return Expr::Const(true),
                Expr::Or(inner) => any.extend(inner),
                other => any.push(other),
            }
        }
        match any.len() {
            0 => Expr::Const(false),
            1 => any.swap_remove(0),
            _ => Expr::Or(any),
        }
    }

    /// Calls `see` with this expression and all inside it, the joins' conditions included.
    pub fn visit<'e>(&'e self, see: &mut impl FnMut(&'e Expr)) {
        see(self);
        match self {
            Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| part.visit(see)),
            Expr::Not(inner) => inner.visit(see),
            Expr::All { joins, test } | Expr::Exists { joins, test } => {
                joins.iter().for_each(|join| join.on.visit(see));
                test.visit(see);
            }
            Expr::Const(_) | Expr::Missing(_) | Expr::Same(..) | Expr::Compare { .. } | Expr::In { .. } => {}
        }
    }

    pub fn same(left: Operand, right: impl Into<Operand>) -> Expr {
        Expr::Same(left, right.into())
    }

    /// That the test holds for an element of a list. The alias is one that the query does not use otherwise.
    pub fn any_element(list: Operand, alias: Alias, test: impl FnOnce(Operand) -> Expr) -> Expr {
        Expr::Exists {
            joins: vec![Join { alias, source: Source::Each(list), on: Expr::Const(true), many: true }],
            test: Box::new(test(Operand::Element(alias))),
        }
    }

    pub fn eq(left: Operand, right: impl Into<Operand>) -> Expr {
        Expr::Compare { left, op: Operator::Eq, right: right.into() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
    Like,
    NotLike,
}

/// The type that a comparison sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    Text,
    Number,
    /// Known only when the value is seen.
    Any,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    Column {
        alias: Alias,
        column: Column,
    },
    Literal(Value),
    /// The value inside a JSON column (or a `Point`, or a list) at a path; an all-digit segment is an array index
    /// in an array and a key in an object.
    Path {
        of: Box<Operand>,
        path: Vec<Name>,
    },
    /// The number of elements of a list column. Any other text counts 1, the empty text and a missing value 0.
    Length(Box<Operand>),
    /// Lower-cased text, ASCII letters only.
    Lower(Box<Operand>),
    /// The value of the current row of a [`Source::Each`] join.
    Element(Alias),
    /// Kilometres along a sphere of radius 6371 between (lon, lat) and (lon, lat). Missing when one of the four is
    /// missing or reads as no number.
    GeoDistance(Box<[Operand; 4]>),
    /// SQLite's `strftime(format, value, modifiers…)`. Missing when the value is no time, or the format or a
    /// modifier is unknown.
    Strftime {
        format: Name,
        value: Box<Operand>,
        modifiers: Vec<Name>,
    },
}

impl Operand {
    pub fn column(alias: Alias, column: &Column) -> Operand {
        Operand::Column { alias, column: column.clone() }
    }

    pub fn base(name: impl Into<Name>, ty: ColumnType) -> Operand {
        Operand::Column { alias: Alias::BASE, column: Column::new(name, ty) }
    }

    pub fn ty(&self) -> ValueType {
        match self {
            Operand::Column { column, .. } => match column.ty {
                ColumnType::Id
                | ColumnType::Text
                | ColumnType::Date
                | ColumnType::List
                | ColumnType::Point => ValueType::Text,
                ColumnType::Number | ColumnType::Bool => ValueType::Number,
                ColumnType::Json | ColumnType::Dynamic => ValueType::Any,
            },
            Operand::Literal(value) => match value {
                Value::Number(_) | Value::Bool(_) => ValueType::Number,
                Value::Text(_) | Value::Null => ValueType::Text,
                Value::Json(_) => ValueType::Any,
            },
            Operand::Path { .. } => ValueType::Any,
            Operand::Length(_) | Operand::GeoDistance(_) => ValueType::Number,
            Operand::Lower(_) | Operand::Element(_) | Operand::Strftime { .. } => ValueType::Text,
        }
    }
}

impl<V: Into<Value>> From<V> for Operand {
    fn from(value: V) -> Self {
        Operand::Literal(value.into())
    }
}

/// One more row source, joined left: rows that find no match go on with nulls.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    pub alias: Alias,
    pub source: Source,
    /// May refer to this alias and to earlier ones.
    pub on: Expr,
    /// Whether one row before the join can become several after it.
    pub many: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    Table(Name),
    /// One row for each element of a list, or of a JSON value that is an array (its texts; other elements as
    /// JSON text; its nulls are missing values); a text that is no array, the empty text included, is its own
    /// only element, and so is the text of a number. A missing value yields none.
    Each(Operand),
    /// A row that is not stored (yet): the record about to be created.
    Literal(Vec<(Column, Value)>),
}
