//! Conditions as SQL. What is rendered is true exactly when the condition holds; when it does not, it is false
//! or null, and `NOT` is written so that both become true.

use base::{Value, json};
use query::{Expr, Join, Operand, Operator, ValueType};

use super::operand::column_type;
use super::pattern::pattern;
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
            Expr::Missing(operand) => {
                self.text(operand);
                self.sql.push_str(" IS NULL");
            }
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
        if let Operator::Like | Operator::NotLike = op {
            return self.like(left, op == Operator::NotLike, right);
        }
        let literal = |operand: &Operand| matches!(operand, Operand::Literal(_));
        let (left, op, right) = match literal(left) && !literal(right) {
            true => (right, flipped(op), left),
            false => (left, op, right),
        };
        if let Operand::Literal(value) = right {
            let null = *value == Value::Null;
            if null && !matches!(op, Operator::Eq | Operator::Ne) {
                // A missing value is not less or greater than anything.
                return self.sql.push_str(self.dialect.constant(false));
            }
            if null {
                return self.compare(left, op, &Operand::from(""));
            }
        }
        match self.dialect {
            Dialect::Sqlite => self.compare_sqlite(left, op, right),
            Dialect::Postgres => self.compare_postgres(left, op, right),
        }
    }

    fn compare_sqlite(&mut self, left: &Operand, op: Operator, right: &Operand) {
        let literal = matches!(right, Operand::Literal(_));
        let empty = matches!(right, Operand::Literal(Value::Text(text)) if text.is_empty());
        let nullable = self.may_be_null(left) || self.may_be_null(right);
        match op {
            Operator::Eq if empty && nullable => {
                self.sql.push('(');
                self.sides(left, "=", right);
                self.sql.push_str(" OR ");
                self.value(left);
                self.sql.push_str(" IS NULL)");
            }
            Operator::Ne if literal && nullable && !empty => self.sides(left, " IS NOT ", right),
            Operator::Eq | Operator::Ne if nullable && !literal => {
                let ne = op == Operator::Ne;
                self.sql.push_str(if ne { "((" } else { "(" });
                self.sides(left, "=", right);
                self.sql.push_str(" OR (COALESCE(");
                self.value(left);
                self.sql.push_str(",'')='' AND COALESCE(");
                self.value(right);
                self.sql.push_str(if ne { ",'')='')) IS NOT TRUE)" } else { ",'')=''))" });
            }
            op => self.sides(left, sign(op), right),
        }
    }

    /// SQLite compares by the affinities of its two sides. A number beside a text must have that of numbers, so
    /// that a text which reads as one becomes one; beside JSON nothing may be converted.
    fn sides(&mut self, left: &Operand, sign: &str, right: &Operand) {
        let (lt, rt) = (left.ty(), right.ty());
        self.side(left, lt, rt);
        self.sql.push_str(sign);
        self.side(right, rt, lt);
    }

    fn side(&mut self, operand: &Operand, own: ValueType, other: ValueType) {
        let column = column_type(operand);
        let stored = matches!(operand, Operand::Column { alias, .. } if !self.views_at(*alias));
        if own == ValueType::Number && other == ValueType::Text && !stored {
            self.sql.push_str("CAST(");
            self.value(operand);
            self.sql.push_str(" AS NUMERIC)");
            return;
        }
        let json = matches!(column, Some(query::ColumnType::List | query::ColumnType::Point));
        if json || (column.is_some() && other == ValueType::Any && own != ValueType::Any) {
            self.sql.push('+');
        }
        self.value(operand);
    }

    fn like(&mut self, left: &Operand, negated: bool, right: &Operand) {
        // A missing value is like nothing, so it is unlike everything.
        let guarded = negated && (self.may_be_null(left) || !matches!(right, Operand::Literal(_)));
        let (verb, escape) = self.dialect.like(negated && !guarded);
        if guarded {
            self.sql.push_str("((");
        }
        self.text(left);
        self.sql.push_str(verb);
        match right {
            Operand::Literal(value) => {
                let text = match value {
                    Value::Text(text) | Value::Json(text) => pattern(text),
                    Value::Number(_) | Value::Bool(_) => pattern(&json::number_text(value.as_number())),
                    Value::Null => pattern(""),
                };
                self.param(Value::text(text));
                if self.dialect == Dialect::Postgres {
                    self.sql.push_str("::text");
                }
            }
            other => {
                self.sql.push_str(match self.dialect {
                    Dialect::Sqlite => "pando_pattern(",
                    Dialect::Postgres => "pando.pattern(",
                });
                self.text(other);
                self.sql.push(')');
            }
        }
        self.sql.push_str(escape);
        if guarded {
            self.sql.push_str(") IS NOT TRUE)");
        }
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
