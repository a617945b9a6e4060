//! Conditions as SQL. What is rendered is true exactly when the condition holds; when it does not, it is false
//! or null, and `NOT` is written so that both become true.

use base::Value;
use query::eval::{self, Pull, Seen, strict};
use query::{ColumnType, Expr, Join, Operand, Operator, ValueType};

use super::operand::Class;
use super::{Dialect, Renderer};

/// Up to this many values stand in the statement; more come as one JSON array.
const IN_VALUES_MAX: usize = 64;

impl Renderer<'_> {
    /// A condition that stands beside others joined by AND.
    pub(super) fn grouped(&mut self, expr: &Expr) {
        match expr {
            Expr::Or(_) => {
                self.sql.push('(');
                self.expr(expr);
                self.sql.push(')');
            }
            other => self.expr(other),
        }
    }

    pub(super) fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Const(value) => self.sql.push_str(self.dialect.constant(*value)),
            Expr::And(parts) => self.list(parts, " AND ", true),
            Expr::Or(parts) => self.list(parts, " OR ", false),
            Expr::Not(inner) => {
                self.sql.push_str("((");
                self.expr(inner);
                self.sql.push_str(") IS NOT TRUE)");
            }
            Expr::Same(left, right) => {
                self.text(left);
                self.sql.push('=');
                self.text(right);
            }
            Expr::Missing(operand) => self.missing(operand, false),
            Expr::Compare { left, op, right } => self.compare(left, *op, right),
            Expr::In { left, values } => self.within(left, values),
            Expr::All { joins, test } => {
                let mark = self.nullable.len();
                self.sql.push_str("NOT EXISTS (SELECT 1 FROM (SELECT 1) AS z");
                for join in joins {
                    self.join(join, true);
                }
                self.sql.push_str(" WHERE (");
                self.expr(test);
                self.sql.push_str(") IS NOT TRUE)");
                self.nullable.truncate(mark);
            }
            Expr::Exists { joins, test } => self.exists_joined(joins, test),
        }
    }

    fn list(&mut self, parts: &[Expr], glue: &str, and: bool) {
        if parts.is_empty() {
            self.sql.push_str(self.dialect.constant(and));
            return;
        }
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.sql.push_str(glue);
            }
            match part {
                Expr::And(_) if !and => {
                    self.sql.push('(');
                    self.expr(part);
                    self.sql.push(')');
                }
                part => self.grouped(part),
            }
        }
    }

    fn exists_joined(&mut self, joins: &[Join], test: &Expr) {
        let Some((first, rest)) = joins.split_first() else {
            self.sql.push('(');
            self.expr(test);
            self.sql.push(')');
            return;
        };
        let mark = self.nullable.len();
        self.sql.push_str("EXISTS (SELECT 1 FROM ");
        self.source(&first.source, first.alias);
        for join in rest {
            self.join(join, false);
        }
        self.sql.push_str(" WHERE ");
        self.grouped(&first.on);
        self.sql.push_str(" AND ");
        self.grouped(test);
        self.sql.push(')');
        self.nullable.truncate(mark);
    }

    /// The number of placeholders is rounded up, so that few statements serve all lengths.
    fn within(&mut self, left: &Operand, values: &[Value]) {
        match values {
            [] => self.sql.push_str(self.dialect.constant(false)),
            [value] => {
                self.text(left);
                self.sql.push('=');
                self.literal(value);
            }
            values if values.len() <= IN_VALUES_MAX => {
                self.text(left);
                self.sql.push_str(" IN (");
                for index in 0..values.len().next_power_of_two() {
                    if index > 0 {
                        self.sql.push(',');
                    }
                    self.literal(&values[index.min(values.len() - 1)]);
                }
                self.sql.push(')');
            }
            values => {
                self.text(left);
                let texts: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
                let (before, after) = match self.dialect {
                    Dialect::Sqlite => (" IN (SELECT value FROM json_each(", "))"),
                    Dialect::Postgres => (" IN (SELECT jsonb_array_elements_text(", "::jsonb))"),
                };
                self.sql.push_str(before);
                self.param(Value::list(&texts));
                self.sql.push_str(after);
            }
        }
    }

    fn compare(&mut self, left: &Operand, op: Operator, right: &Operand) {
        if let (Operand::Literal(a), Operand::Literal(b)) = (left, right) {
            let (a, b) = (Seen::literal(a), Seen::literal(b));
            let strict = strict(left) || strict(right);
            let held = eval::compare(a, Pull::None, op, b, Pull::None, strict);
            return self.sql.push_str(self.dialect.constant(held));
        }
        if let Operator::Like | Operator::NotLike = op {
            return self.like(left, op == Operator::NotLike, right);
        }
        let (left, op, right) = match left {
            Operand::Literal(_) => (right, flipped(op), left),
            _ => (left, op, right),
        };
        let strict = strict(left) || strict(right);
        if *right == Operand::Literal(Value::Null) {
            match op {
                Operator::Eq | Operator::Ne if strict => self.missing(left, op == Operator::Ne),
                Operator::Eq | Operator::Ne => self.compare(left, op, &Operand::from("")),
                // A missing value is not less or greater than anything.
                _ => self.sql.push_str(self.dialect.constant(false)),
            }
            return;
        }
        match self.dialect {
            Dialect::Sqlite => self.compare_sqlite(left, op, right, strict),
            Dialect::Postgres => self.compare_postgres(left, op, right, strict),
        }
    }

    /// Has the operand no value (or, negated, has it one)?
    fn missing(&mut self, operand: &Operand, negated: bool) {
        match operand {
            // A stored date without a value is no missing one, but PostgreSQL keeps it as null.
            Operand::Column { .. } if self.class(operand) == Class::Date => self.text(operand),
            other => self.value(other),
        }
        self.sql.push_str(if negated { " IS NOT NULL" } else { " IS NULL" });
    }

    fn compare_sqlite(&mut self, left: &Operand, op: Operator, right: &Operand, strict: bool) {
        let (pull_left, pull_right) = pulled(left, right);
        let literal = matches!(right, Operand::Literal(_));
        let empty = matches!(right, Operand::Literal(Value::Text(text)) if text.is_empty());
        let (null_left, null_right) = (self.may_be_null(left), self.may_be_null(right));
        let nullable = null_left || null_right;
        let sign = match op {
            Operator::Eq if null_left && null_right && strict => " IS ",
            Operator::Ne if nullable && (strict || (literal && !empty)) => " IS NOT ",
            op => sign(op),
        };
        let equality = matches!(op, Operator::Eq | Operator::Ne);
        if op == Operator::Eq && empty && nullable && !strict {
            // Not COALESCE, so that an index on the column serves.
            self.sql.push('(');
            self.side(left, pull_left);
            self.sql.push_str("='' OR ");
            self.value(left);
            self.sql.push_str(" IS NULL)");
            return;
        }
        let coalesce = equality && !strict && !literal;
        for (operand, pull, nullable) in [(left, pull_left, null_left), (right, pull_right, null_right)] {
            let coalesce = coalesce && nullable;
            self.sql.push_str(if coalesce { "COALESCE(" } else { "" });
            self.side(operand, pull);
            self.sql.push_str(if coalesce { ",'')" } else { "" });
            if std::ptr::eq(operand, left) {
                self.sql.push_str(sign);
            }
        }
    }

    /// One side of a comparison, brought to what the other side wants. SQLite would do so by the affinities of
    /// columns, but not in all places, and with a text form of its own for numbers.
    fn side(&mut self, operand: &Operand, pull: Pull) {
        match (operand, pull, operand.ty()) {
            (Operand::Literal(Value::Text(text)), Pull::Number, _) => match eval::number_of(text) {
                Some(number) => self.param(Value::Number(number)),
                None => self.param(Value::Text(text.clone())),
            },
            (_, Pull::Number, ValueType::Text | ValueType::Any) => {
                self.sql.push_str("pando_pulled(");
                self.value(operand);
                self.sql.push(')');
            }
            (_, Pull::Text, ValueType::Number | ValueType::Any) => self.text(operand),
            // Declared as JSON, which has the affinity of numbers.
            (Operand::Column { column, .. }, ..)
                if matches!(column.ty, ColumnType::List | ColumnType::Point) =>
            {
                self.sql.push('+');
                self.value(operand);
            }
            _ => self.value(operand),
        }
    }

    fn like(&mut self, left: &Operand, negated: bool, right: &Operand) {
        let (verb, escape) = self.dialect.like(negated);
        match right {
            Operand::Literal(value) => {
                let seen = Seen::literal(value);
                let Some(pattern) = seen.to_text() else {
                    return self.sql.push_str(self.dialect.constant(false));
                };
                if pattern.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1 {
                    // An error on one engine. Nothing is like it; what is missing is not unlike it either.
                    return match negated {
                        true => self.missing(left, true),
                        false => self.sql.push_str(self.dialect.constant(false)),
                    };
                }
                self.matched(left);
                self.sql.push_str(verb);
                self.param(Value::Text(pattern.as_ref().into()));
                self.sql.push_str(if self.dialect == Dialect::Postgres { "::text" } else { "" });
            }
            other => {
                self.matched(left);
                self.sql.push_str(verb);
                self.sql.push_str("('%'||");
                self.text(other);
                self.sql.push_str("||'%')");
            }
        }
        self.sql.push_str(escape);
    }

    /// The left side of LIKE. PostgreSQL folds the letters of a text by its collation, which only columns carry.
    fn matched(&mut self, operand: &Operand) {
        self.sql.push_str(if self.dialect == Dialect::Postgres { "(" } else { "" });
        self.text(operand);
        self.sql.push_str(if self.dialect == Dialect::Postgres { ") COLLATE \"C\"" } else { "" });
    }
}

/// What each side is brought to by the other.
pub(super) fn pulled(left: &Operand, right: &Operand) -> (Pull, Pull) {
    match (Pull::of(left), Pull::of(right)) {
        (Pull::Number, Pull::Number) | (Pull::Text, Pull::Text) => (Pull::None, Pull::None),
        (Pull::Number, _) => (Pull::None, Pull::Number),
        (_, Pull::Number) => (Pull::Number, Pull::None),
        (left, right) => (right, left),
    }
}

pub(super) fn sign(op: Operator) -> &'static str {
    match op {
        Operator::Eq => "=",
        Operator::Ne => "<>",
        Operator::Gt => ">",
        Operator::Ge => ">=",
        Operator::Lt => "<",
        Operator::Le => "<=",
        Operator::Like => " LIKE ",
        Operator::NotLike => " NOT LIKE ",
    }
}

fn flipped(op: Operator) -> Operator {
    match op {
        Operator::Gt => Operator::Lt,
        Operator::Ge => Operator::Le,
        Operator::Lt => Operator::Gt,
        Operator::Le => Operator::Ge,
        same => same,
    }
}
