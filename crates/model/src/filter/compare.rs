//! Builds one comparison out of its two resolved sides: converts literals to what the other side holds, folds
//! what is constant, and adds the rest of the values when all of them must match.

use base::Value;
use base::json::number_text;
use query::eval::{self, Pull, Seen};
use query::{Alias, Expr, Operand, Operator, ValueType};

use super::error::ResolveError;
use super::resolve::Resolver;

/// One side of a comparison.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub operand: Operand,
    /// How a column (or what stands for one) pulls the other side.
    pub pull: Pull,
    /// Does it tell `null` from `''`? Derived from the operand except for values folded out of JSON fields.
    pub strict: bool,
    /// As a pattern: put between `%` without escaping. So are columns, and values that stand for one.
    pub verbatim: bool,
    /// A number that is written without a fraction where it becomes text.
    pub integer: bool,
    /// The last join of the operand's path.
    pub leaf: Option<Alias>,
    /// The auth record whose email this is: only visible ones may match.
    pub email: Option<Alias>,
    /// A condition as a value of 1 or 0; the operand is then without meaning.
    pub condition: Option<Box<Expr>>,
}

impl Side {
    pub(super) fn new(operand: Operand) -> Self {
        Side {
            pull: Pull::of(&operand),
            strict: eval::strict(&operand),
            verbatim: !matches!(operand, Operand::Literal(_)),
            operand,
            integer: false,
            leaf: None,
            email: None,
            condition: None,
        }
    }

    pub(super) fn constant(value: Value) -> Self {
        let integer = matches!(value, Value::Bool(_));
        Side { integer, ..Side::new(Operand::Literal(value)) }
    }

    pub(super) fn integer(number: i64) -> Self {
        Side { integer: true, ..Side::constant(Value::Number(number as f64)) }
    }

    /// What is missing, or not known by that name where that is no error.
    pub(super) fn null() -> Self {
        Side::constant(Value::Null)
    }

    fn literal(&self) -> Option<&Value> {
        match &self.operand {
            Operand::Literal(value) => Some(value),
            _ => None,
        }
    }
}

/// How the reference's engine writes a double as text: fifteen significant digits and always a fraction.
fn real_text(number: f64) -> String {
    if number == 0.0 {
        return "0.0".to_owned();
    }
    let scientific = format!("{number:.14e}");
    let (digits, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    if !(-4..15).contains(&power) {
        let digits = digits.trim_end_matches('0');
        let dot = if digits.ends_with('.') { "0" } else { "" };
        let sign = if power < 0 { '-' } else { '+' };
        return format!("{digits}{dot}e{sign}{:02}", power.abs());
    }
    let text = format!("{number:.*}", (14 - power).max(1) as usize);
    let text = text.trim_end_matches('0');
    if text.ends_with('.') { format!("{text}0") } else { text.to_owned() }
}

/// The pattern that a written text stands for: itself if it has a wildcard, else `%text%` with wildcards escaped.
fn pattern(text: &str) -> String {
    let mut escaped = false;
    for byte in text.bytes() {
        if byte == b'%' && !escaped {
            return text.to_owned();
        }
        escaped = byte == b'\\';
    }
    let mut out = String::with_capacity(text.len() + 4);
    out.push('%');
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            // Already an escape.
            '\\' if matches!(chars.peek(), Some('%' | '_')) => {
                out.push('\\');
                out.extend(chars.next());
            }
            '\\' | '_' => {
                out.push('\\');
                out.push(char);
            }
            _ => out.push(char),
        }
    }
    out.push('%');
    out
}

fn text_of(value: &Value) -> Option<String> {
    Seen::literal(value).to_text().map(|text| text.into_owned())
}

/// Makes the right side of `~` what the IR wants: a full pattern where it is known.
fn to_pattern(side: &mut Side) {
    if let Operand::Literal(value) = &side.operand
        && let Some(text) = text_of(value)
    {
        let text = if side.verbatim { format!("%{text}%") } else { pattern(&text) };
        side.operand = Operand::Literal(Value::Text(text.into()));
    }
}

/// A written number on the left of `~` is matched as a double.
fn to_matched(side: &mut Side) {
    if let Operand::Literal(Value::Number(number)) = &side.operand
        && !side.integer
    {
        side.operand = Operand::Literal(Value::Text(real_text(*number).into()));
    }
}

/// Brings a literal to the type of the column on the other side.
fn convert(literal: &mut Side, other: &Side) {
    let Operand::Literal(value) = &mut literal.operand else { return };
    match other.pull {
        Pull::Number => {
            if let Value::Text(text) = value {
                if text.is_empty() {
                    // An empty text equals nothing that a number column can hold but a missing value.
                    return;
                }
                if let Some(number) = eval::number_of(text) {
                    *value = Value::Number(number);
                }
            }
        }
        Pull::Text => match value {
            Value::Number(number) => {
                let text = if literal.integer { number_text(*number) } else { real_text(*number) };
                *value = Value::Text(text.into());
            }
            Value::Bool(flag) => *value = Value::Text(if *flag { "1" } else { "0" }.into()),
            _ => {}
        },
        Pull::None => {}
    }
}

impl Resolver<'_> {
    pub(super) fn compare(
        &mut self,
        mut left: Side,
        op: Operator,
        any: bool,
        mut right: Side,
    ) -> Result<Expr, ResolveError> {
        if let Some(condition) = left.condition.take() {
            return self.toggled(*condition, true, right, op, any);
        }
        if let Some(condition) = right.condition.take() {
            return self.toggled(*condition, false, left, op, any);
        }
        let pattern = matches!(op, Operator::Like | Operator::NotLike);
        if pattern {
            to_pattern(&mut right);
            to_matched(&mut left);
        } else {
            convert(&mut left, &right);
            convert(&mut right, &left);
        }
        if let (Some(a), Some(b)) = (left.literal(), right.literal()) {
            let strict = left.strict || right.strict;
            let held = eval::compare(Seen::literal(a), left.pull, op, Seen::literal(b), right.pull, strict);
            return Ok(Expr::Const(held));
        }
        let one = one(&left, op, &right);
        let mut all = one;
        if !any && all != Expr::Const(false) {
            let every = self.every(&left, op, &right)?;
            all = Expr::and([all, every]);
        }
        for alias in [left.email, right.email].into_iter().flatten() {
            let visible = Operand::Column { alias, column: self.visibility_column() };
            all = Expr::and([all, Expr::eq(visible, true)]);
        }
        Ok(all)
    }

    /// A condition compared with a value: what the comparison is when it holds, and when it does not.
    fn toggled(
        &mut self,
        condition: Expr,
        condition_is_left: bool,
        other: Side,
        op: Operator,
        any: bool,
    ) -> Result<Expr, ResolveError> {
        let mut judge = |value| {
            let (flag, other) = (Side::integer(value), other.clone());
            let (left, right) = if condition_is_left { (flag, other) } else { (other, flag) };
            self.compare(left, op, any, right)
        };
        let (on, off) = (judge(1)?, judge(0)?);
        Ok(match (on, off) {
            (Expr::Const(true), Expr::Const(true)) => Expr::Const(true),
            (Expr::Const(false), Expr::Const(false)) => Expr::Const(false),
            (Expr::Const(true), Expr::Const(false)) => condition,
            (Expr::Const(false), Expr::Const(true)) => negate(condition),
            (on, off) => Expr::or([Expr::and([condition.clone(), on]), Expr::and([negate(condition), off])]),
        })
    }

    /// That the comparison holds for every value of a many-valued side. Its own joins, since those of the query
    /// pick one row each.
    fn every(&mut self, left: &Side, op: Operator, right: &Side) -> Result<Expr, ResolveError> {
        let (mut joins, mut guarded) = (Vec::new(), Vec::new());
        let left_copy = self.copy_many(left, &mut joins, &mut guarded)?;
        let right_copy = self.copy_many(right, &mut joins, &mut guarded)?;
        if joins.is_empty() {
            return Ok(Expr::Const(true));
        }
        let left = left_copy.as_ref().unwrap_or(left);
        let right = right_copy.as_ref().unwrap_or(right);
        let test = match one(left, op, right) {
            Expr::Const(value) => Expr::Const(value),
            test => {
                let mut parts = vec![test];
                parts.extend(unknown(left, op, right));
                // What the caller may not list is no counterexample: the answer would tell of its values.
                for guard in guarded {
                    parts.push(negate(self.listable_apart(guard, &mut joins)?));
                }
                Expr::or(parts)
            }
        };
        Ok(match test {
            Expr::Const(true) => Expr::Const(true),
            test => Expr::All { joins, test: Box::new(test) },
        })
    }
}

pub(super) fn negate(expr: Expr) -> Expr {
    match expr {
        Expr::Const(value) => Expr::Const(!value),
        Expr::Not(inner) => *inner,
        other => Expr::Not(Box::new(other)),
    }
}

/// Where the reference's engine knows no answer, a row is no counterexample: the missing values that make it so.
fn unknown(left: &Side, op: Operator, right: &Side) -> Vec<Expr> {
    let missing = |side: &Side| match &side.operand {
        Operand::Literal(_) | Operand::Length(_) => None,
        operand => Some(Expr::Missing(operand.clone())),
    };
    match op {
        Operator::Ne => Vec::new(),
        Operator::Eq => {
            let (literal, other) = match (left.literal(), right.literal()) {
                (Some(literal), None) => (literal, right),
                (None, Some(literal)) => (literal, left),
                _ => return Vec::new(),
            };
            let empty = *literal == Value::Null || literal.as_str() == Some("");
            if empty || left.strict || right.strict {
                Vec::new()
            } else {
                missing(other).into_iter().collect()
            }
        }
        _ => missing(left).into_iter().chain(missing(right)).collect(),
    }
}

/// The comparison of one row.
fn one(left: &Side, op: Operator, right: &Side) -> Expr {
    let strict = left.strict || right.strict;
    if let Some(special) = mixed(left, op, right, strict) {
        return special;
    }
    // A `null` out of a JSON field is not the empty text, whatever the other side is.
    for (side, other) in [(left, right), (right, left)] {
        if side.strict && side.literal() == Some(&Value::Null) && !other.strict {
            match op {
                Operator::Eq => return Expr::Missing(other.operand.clone()),
                Operator::Ne => return negate(Expr::Missing(other.operand.clone())),
                _ => {}
            }
        }
    }
    // Nor is the nothing of an empty list in the body, which its operand does not tell.
    for (side, other) in [(left, right), (right, left)] {
        let empty = other.literal().is_some_and(|value| *value == Value::Null || value.as_str() == Some(""));
        if empty && side.strict && matches!(side.operand, Operand::Element(_)) {
            let equal = Expr::eq(side.operand.clone(), "");
            let equal = Expr::and([equal, negate(Expr::Missing(side.operand.clone()))]);
            match op {
                Operator::Eq => return equal,
                Operator::Ne => return negate(equal),
                _ => {}
            }
        }
    }
    let ordered = !matches!(op, Operator::Eq | Operator::Ne);
    if ordered && [left, right].iter().any(|side| side.literal() == Some(&Value::Null)) {
        return Expr::Const(false);
    }
    let plain = |side: &Side, other: &Side| match &side.operand {
        // One form for "empty" against text.
        Operand::Literal(Value::Null) if !strict && other.operand.ty() == ValueType::Text => {
            Operand::Literal(Value::Text("".into()))
        }
        operand => operand.clone(),
    };
    Expr::Compare { left: plain(left, right), op, right: plain(right, left) }
}

/// A number against a text that is none, which needs no comparison of values: they are never equal, and the
/// number is below. `None` when the sides can be compared as they are.
fn mixed(left: &Side, op: Operator, right: &Side, strict: bool) -> Option<Expr> {
    if matches!(op, Operator::Like | Operator::NotLike) {
        return None;
    }
    let (left_type, right_type) = (left.operand.ty(), right.operand.ty());
    let (number, text, number_is_left) = match (left_type, right_type) {
        (ValueType::Number, ValueType::Text) => (left, right, true),
        (ValueType::Text, ValueType::Number) => (right, left, false),
        _ => return None,
    };
    if text.literal() == Some(&Value::Null) {
        return None;
    }
    let written = number.literal().is_some() || text.literal().is_some();
    let present = |side: &Side| match &side.operand {
        Operand::Literal(_) | Operand::Length(_) => Expr::Const(true),
        operand => negate(Expr::Missing(operand.clone())),
    };
    match op {
        Operator::Eq | Operator::Ne => {
            let gone = negate(present(number));
            let equal = match text.literal() {
                Some(_) if strict => Expr::Const(false),
                Some(literal) if literal.as_str() == Some("") => gone,
                Some(_) => Expr::Const(false),
                None if strict => Expr::and([gone, Expr::Missing(text.operand.clone())]),
                None => Expr::and([gone, Expr::eq(text.operand.clone(), "")]),
            };
            Some(if op == Operator::Eq { equal } else { negate(equal) })
        }
        _ if written || (number.pull == Pull::None && text.pull == Pull::None) => {
            let below = matches!(op, Operator::Lt | Operator::Le);
            if below == number_is_left {
                Some(Expr::and([present(number), present(text)]))
            } else {
                Some(Expr::Const(false))
            }
        }
        // A column brings the other side to its type.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (text, expected) in [
            ("a", "%a%"),
            ("A%", "A%"),
            ("%b_c%", "%b_c%"),
            ("a\\%", "%a\\%%"),
            ("b_c", "%b\\_c%"),
            ("c\\d", "%c\\\\d%"),
            ("b\\_c", "%b\\_c%"),
            ("\\", "%\\\\%"),
            ("", "%%"),
            ("x\\%y%", "x\\%y%"),
        ] {
            assert_eq!(pattern(text), expected, "{text}");
        }
    }

    #[test]
    fn reals() {
        for (number, expected) in [
            (5.0, "5.0"),
            (10.5, "10.5"),
            (-1.0, "-1.0"),
            (0.0, "0.0"),
            (0.1, "0.1"),
            (1e10, "10000000000.0"),
            (1e15, "1.0e+15"),
            (0.00001, "1.0e-05"),
            (0.0001, "0.0001"),
            (1.2345678901234568e17, "1.23456789012346e+17"),
        ] {
            assert_eq!(real_text(number), expected);
        }
    }
}
