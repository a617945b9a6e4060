//! Comparisons as PostgreSQL needs them: it has types, and no comparison crosses them.

use base::{Timestamp, Value};
use query::eval::{self, Pull, Seen};
use query::{Operand, Operator};

use super::Renderer;
use super::compare::{pulled, sign};
use super::operand::Class;

/// The first and last instants with a text form.
const DATE_MIN: i64 = Timestamp::MIN.0;
const DATE_MAX: i64 = Timestamp::MAX.0;

impl Renderer<'_> {
    pub(super) fn compare_postgres(&mut self, left: &Operand, op: Operator, right: &Operand, strict: bool) {
        let (lc, rc) = (self.class(left), self.class(right));
        let (pull_left, pull_right) = pulled(left, right);
        let numeric = |class| matches!(class, Class::Number | Class::Bool);
        let textual = |class| matches!(class, Class::Text | Class::Date);
        match (lc, rc, right) {
            // Their text form is compared; that of a number would be made of the literal.
            (Class::Date, _, Operand::Literal(value)) if !strict => match Seen::literal(value).to_text() {
                Some(text) => self.compare_date(left, op, &text),
                None => self.compare_date(left, op, ""),
            },
            (Class::Date, Class::Date, _) => self.compare_dates(left, op, right),
            (Class::Bool, _, Operand::Literal(value))
                if matches!(op, Operator::Eq | Operator::Ne)
                    && matches!(value, Value::Bool(_) | Value::Number(0.0 | 1.0)) =>
            {
                // The column itself, so that an index on it serves.
                let ne = op == Operator::Ne;
                self.sql.push('(');
                self.value(left);
                self.sql.push_str(if ne { " IS DISTINCT FROM " } else { "=" });
                self.sql.push_str(self.dialect.constant(value.as_bool()));
                self.sql.push(')');
            }
            _ if numeric(lc) && numeric(rc) => {
                self.number(left);
                let sign = self.sign(left, op, right);
                self.sql.push_str(sign);
                self.number(right);
            }
            (_, Class::Text, Operand::Literal(Value::Text(text))) if numeric(lc) => {
                let number = eval::number_of(text).filter(|_| pull_right == Pull::Number);
                match number {
                    Some(number) => self.compare_postgres(left, op, &Operand::from(number), strict),
                    None => self.compare_number_text(left, op, text, strict),
                }
            }
            _ if (textual(lc) || pull_left == Pull::Text) && (textual(rc) || pull_right == Pull::Text) => {
                self.compare_texts(left, op, right, strict);
            }
            _ => self.compare_any((left, pull_left), op, (right, pull_right), strict),
        }
    }

    /// The sign where a null is a value that equals nulls alone.
    fn sign(&self, left: &Operand, op: Operator, right: &Operand) -> &'static str {
        match op {
            Operator::Eq if self.may_be_null(left) && self.may_be_null(right) => " IS NOT DISTINCT FROM ",
            Operator::Ne if self.may_be_null(left) || self.may_be_null(right) => " IS DISTINCT FROM ",
            op => sign(op),
        }
    }

    fn compare_texts(&mut self, left: &Operand, op: Operator, right: &Operand, strict: bool) {
        let literal = matches!(right, Operand::Literal(_));
        let empty = matches!(right, Operand::Literal(Value::Text(text)) if text.is_empty());
        match op {
            Operator::Eq | Operator::Ne if strict || (literal && !empty) => {
                self.text(left);
                let sign = self.sign(left, op, right);
                self.sql.push_str(sign);
                self.text(right);
            }
            Operator::Eq | Operator::Ne if !literal || op == Operator::Eq => {
                self.text_or_empty(left);
                self.sql.push_str(sign(op));
                self.text_or_empty(right);
            }
            op => {
                self.text(left);
                self.sql.push_str(sign(op));
                self.text(right);
            }
        }
        // Only columns carry the collation; beside a computed text the order would be the database's.
        if !self.stored(left) && !matches!(op, Operator::Eq | Operator::Ne) {
            self.sql.push_str(" COLLATE \"C\"");
        }
    }

    fn text_or_empty(&mut self, operand: &Operand) {
        let nullable = self.may_be_null(operand);
        self.sql.push_str(if nullable { "COALESCE(" } else { "" });
        self.text(operand);
        self.sql.push_str(if nullable { ",'')" } else { "" });
    }

    /// A number beside a text that is none: every number is below it.
    fn compare_number_text(&mut self, left: &Operand, op: Operator, text: &str, strict: bool) {
        let missing_equals = text.is_empty() && !strict;
        match op {
            Operator::Eq if missing_equals => {
                self.value(left);
                self.sql.push_str(" IS NULL");
            }
            Operator::Ne if !missing_equals => self.sql.push_str("TRUE"),
            Operator::Ne | Operator::Lt | Operator::Le => {
                self.value(left);
                self.sql.push_str(" IS NOT NULL");
            }
            _ => self.sql.push_str("FALSE"),
        }
    }

    fn compare_any(
        &mut self,
        (left, pull_left): (&Operand, Pull),
        op: Operator,
        (right, pull_right): (&Operand, Pull),
        strict: bool,
    ) {
        if let Operator::Eq | Operator::Ne = op {
            let sign = if strict { self.sign(left, op, right) } else { sign(op) };
            for (index, (side, pull)) in [(left, pull_left), (right, pull_right)].into_iter().enumerate() {
                let coalesce = !strict && self.may_be_null(side);
                self.sql.push_str(if coalesce { "COALESCE(" } else { "" });
                self.any(side, pull);
                self.sql.push_str(if coalesce { ",'\"\"'::jsonb)" } else { "" });
                if index == 0 {
                    self.sql.push_str(sign);
                }
            }
            return;
        }
        self.sql.push_str("_pando.compare(");
        self.any(left, pull_left);
        self.sql.push(',');
        self.any(right, pull_right);
        self.sql.push(')');
        self.sql.push_str(sign(op));
        self.sql.push('0');
    }

    /// The value as a `jsonb` scalar: number, text, or null.
    fn any(&mut self, operand: &Operand, pull: Pull) {
        let after = match (self.class(operand), pull) {
            (Class::Text | Class::Date, Pull::Number) => {
                self.sql.push_str("_pando.number_or_text(");
                ")"
            }
            (Class::Any, Pull::Number) => {
                self.sql.push_str("_pando.pulled(");
                self.value(operand);
                return self.sql.push(')');
            }
            (Class::Any, Pull::None) => return self.value(operand),
            (Class::Number | Class::Bool, Pull::None | Pull::Number) => {
                self.sql.push_str("to_jsonb(");
                self.number(operand);
                return self.sql.push(')');
            }
            _ => {
                self.sql.push_str("to_jsonb((");
                ")::text)"
            }
        };
        self.text(operand);
        self.sql.push_str(after);
    }

    /// Two dates, unset ones before all others as the empty text is.
    fn compare_dates(&mut self, left: &Operand, op: Operator, right: &Operand) {
        if !matches!(op, Operator::Eq | Operator::Ne) {
            self.rows_of(left);
            self.rows_of(right);
        }
        for (index, side) in [left, right].into_iter().enumerate() {
            self.sql.push_str("COALESCE(");
            self.value(side);
            self.sql.push_str(",'-infinity'::timestamptz)");
            if index == 0 {
                self.sql.push_str(sign(op));
            }
        }
    }

    /// A null date of a row that is there is the empty text; of a row that is missing it is missing, and not
    /// less or greater than anything.
    fn rows_of(&mut self, operand: &Operand) {
        if let Operand::Column { alias, .. } = operand
            && self.nullable.contains(*alias)
            && !self.views_at(*alias)
        {
            self.column(*alias, "id");
            self.sql.push_str(" IS NOT NULL AND ");
        }
    }

    /// A date beside a text. The API compares dates by their text form, which has a fixed width, so its order is
    /// the order of time: any text has a first instant whose form is not below it, and the native column is
    /// compared with that.
    fn compare_date(&mut self, left: &Operand, op: Operator, text: &str) {
        let first = if text.is_empty() { Some(Timestamp(DATE_MIN)) } else { first_not_below(text) };
        let exact = first.is_some_and(|stamp| stamp.to_string() == text);
        // Does the empty text, an unset date, satisfy the comparison?
        let unset = match op {
            Operator::Eq | Operator::Ge => text.is_empty(),
            Operator::Ne | Operator::Lt => !text.is_empty(),
            Operator::Le => true,
            _ => false,
        };
        // How a date that is set compares with the instant; `None`: all of them do, or none.
        let set: Result<&str, bool> = match (op, first) {
            (Operator::Eq, Some(_)) if exact => Ok("="),
            (Operator::Ne, Some(_)) if exact => Ok("<>"),
            (Operator::Eq, _) => Err(false),
            (Operator::Ne, _) => Err(true),
            (Operator::Lt, Some(_)) | (Operator::Le, Some(_)) if text.is_empty() => Err(false),
            (Operator::Le, Some(_)) if exact => Ok("<="),
            (Operator::Lt | Operator::Le, Some(_)) => Ok("<"),
            (Operator::Lt | Operator::Le, None) => Err(true),
            (Operator::Gt | Operator::Ge, Some(_)) if text.is_empty() => Err(true),
            (Operator::Gt, Some(_)) if exact => Ok(">"),
            (_, Some(_)) => Ok(">="),
            (_, None) => Err(false),
        };
        self.sql.push('(');
        let ordering = !matches!(op, Operator::Eq | Operator::Ne);
        // Missing rows are equal to the empty text and unequal to every other one.
        if unset && ordering {
            self.rows_of(left);
        }
        match (set, unset) {
            (Err(true), true) => self.sql.push_str("TRUE"),
            (Err(false), false) => self.sql.push_str("FALSE"),
            (Err(wanted), _) => {
                self.value(left);
                self.sql.push_str(if wanted { " IS NOT NULL" } else { " IS NULL" });
            }
            (Ok(sign), unset) => {
                if unset {
                    self.sql.push('(');
                    self.value(left);
                    self.sql.push_str(" IS NULL OR ");
                }
                self.value(left);
                self.sql.push_str(sign);
                let stamp = first.unwrap_or(Timestamp(DATE_MIN)).to_string();
                self.param(Value::text(stamp));
                self.sql.push_str("::timestamptz");
                if unset {
                    self.sql.push(')');
                }
            }
        }
        self.sql.push(')');
    }
}

/// The first instant whose text form is not below `text`; `None` when all are.
fn first_not_below(text: &str) -> Option<Timestamp> {
    // The usual case by far: a timestamp's own form.
    if text.len() == base::time::TIMESTAMP_LEN
        && let Some(stamp) = Timestamp::parse(text)
        && stamp.to_string() == text
    {
        return Some(stamp);
    }
    let (mut low, mut high) = (DATE_MIN, DATE_MAX);
    if Timestamp(high).to_string().as_str() < text {
        return None;
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if Timestamp(middle).to_string().as_str() < text { low = middle + 1 } else { high = middle }
    }
    Some(Timestamp(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds() {
        for (text, expected) in [
            ("2026-11-21", Some("2026-11-21 00:00:00.000Z")),
            ("2026-11-3", Some("2026-11-30 00:00:00.000Z")),
            ("2026-13", Some("2027-01-01 00:00:00.000Z")),
            ("2026-11-21 10:00:00.000Z", Some("2026-11-21 10:00:00.000Z")),
            ("2026-11-21T10", Some("2026-11-22 00:00:00.000Z")),
            ("0", Some("0000-01-01 00:00:00.000Z")),
            ("9999-12-31 23:59:59.99", Some("9999-12-31 23:59:59.990Z")),
            ("abc", None),
        ] {
            assert_eq!(first_not_below(text).map(|stamp| stamp.to_string()).as_deref(), expected, "{text}");
        }
    }
}
