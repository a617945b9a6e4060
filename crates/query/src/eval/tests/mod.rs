//! The meaning of comparisons, as data. Every row here is what the reference does.

use super::*;
use crate::column::ColumnType as Ty;

fn column(ty: Ty) -> Operand {
    Operand::base("x", ty)
}

fn holds(value: Value, expr: &Expr, joins: &[Join]) -> Result<bool> {
    eval(expr, joins, |_| &value)
}

fn json(text: &str) -> Value {
    Value::Json(text.into())
}

#[test]
fn comparisons() {
    use Operator::{Eq, Ge, Gt, Le, Like, Lt, Ne, NotLike};
    let null = Value::Null;
    let text = |text: &str| Value::from(text);
    let number = |number: f64| Value::Number(number);
    for (ty, value, op, literal, expected) in [
        (Ty::Text, text("a"), Eq, text("a"), true),
        (Ty::Text, text(""), Eq, null.clone(), true),
        (Ty::Text, null.clone(), Eq, text(""), true),
        (Ty::Text, null.clone(), Ne, text("a"), true),
        (Ty::Text, null.clone(), Ge, text(""), false),
        (Ty::Text, text("b"), Gt, text("a"), true),
        (Ty::Text, text("Z"), Lt, text("a"), true),
        (Ty::Text, text("é"), Gt, text("z"), true),
        (Ty::Text, text("a"), Like, text("A%"), true),
        (Ty::Text, text("a"), NotLike, text("%b%"), true),
        (Ty::Text, null.clone(), NotLike, text("%b%"), false),
        (Ty::Text, text("a"), Like, null.clone(), false),
        (Ty::Number, number(5.0), Eq, number(5.0), true),
        (Ty::Number, number(5.0), Eq, text("5.0"), true),
        (Ty::Number, number(5.0), Eq, text("x"), false),
        (Ty::Number, number(5.0), Lt, text("x"), true),
        (Ty::Number, number(0.0), Eq, text(""), false),
        (Ty::Number, number(0.0), Eq, null.clone(), false),
        (Ty::Number, null.clone(), Eq, null.clone(), true),
        (Ty::Number, number(10.5), Like, text("%0.5%"), true),
        (Ty::Bool, Value::Bool(true), Eq, number(1.0), true),
        (Ty::Bool, Value::Bool(true), Eq, Value::Bool(true), true),
        (Ty::Bool, Value::Bool(true), Eq, text("true"), false),
        (Ty::Bool, Value::Bool(false), Like, text("%0%"), true),
        (Ty::Json, null.clone(), Eq, null.clone(), true),
        (Ty::Json, json("null"), Eq, null.clone(), true),
        (Ty::Json, null.clone(), Eq, text(""), false),
        (Ty::Json, json("\"\""), Eq, text(""), true),
        (Ty::Json, json("\"\""), Eq, null.clone(), false),
        (Ty::Json, json("5"), Eq, number(5.0), true),
        (Ty::Json, json("5"), Eq, text("5"), false),
        (Ty::Json, json("5"), Lt, text("1"), true),
        (Ty::Json, json("\"x\""), Gt, number(1e9), true),
        (Ty::Json, json("true"), Eq, Value::Bool(true), true),
        (Ty::Json, json("true"), Eq, text("true"), false),
        (Ty::Json, json("{\"a\": 1}"), Eq, text("{\"a\":1}"), true),
        (Ty::Json, json("[1,2]"), Like, text("%1,2%"), true),
        (Ty::Json, json("null"), NotLike, text("%1%"), false),
        (Ty::Json, json("3"), Le, number(3.0), true),
        (Ty::List, json("[\"a\"]"), Eq, text("[\"a\"]"), true),
        (Ty::List, json("[]"), Eq, text(""), false),
        (Ty::List, json("[\"a\"]"), Eq, text("a"), false),
        (Ty::Point, json("{\"lon\":0,\"lat\":0}"), Eq, text("{\"lon\":0,\"lat\":0}"), true),
    ] {
        let right = Operand::Literal(literal.clone());
        let expr = Expr::Compare { left: column(ty), op, right };
        assert_eq!(holds(value.clone(), &expr, &[]), Ok(expected), "{ty:?} {value:?} {op:?} {literal:?}");
    }
}

#[test]
fn between_columns() {
    let row = [
        ("five", Value::Number(5.0)),
        ("text5", Value::from("5")),
        ("text", Value::from("x")),
        ("wild", Value::from("%")),
        ("json5", json("5")),
        ("jsontext5", json("\"5\"")),
        ("gone", Value::Null),
        ("empty", Value::from("")),
    ];
    let lookup = |column: &Column| &row.iter().find(|(name, _)| *name == &*column.name).unwrap().1;
    for (left, left_ty, op, right, right_ty, expected) in [
        ("five", Ty::Number, Operator::Ge, "text5", Ty::Text, true),
        ("five", Ty::Number, Operator::Lt, "text", Ty::Text, true),
        ("five", Ty::Number, Operator::Eq, "json5", Ty::Json, true),
        ("five", Ty::Number, Operator::Eq, "jsontext5", Ty::Json, true),
        ("text5", Ty::Text, Operator::Eq, "json5", Ty::Json, true),
        ("json5", Ty::Json, Operator::Eq, "jsontext5", Ty::Json, false),
        ("gone", Ty::Text, Operator::Eq, "empty", Ty::Text, true),
        ("gone", Ty::Json, Operator::Eq, "empty", Ty::Text, false),
        ("gone", Ty::Text, Operator::Eq, "gone", Ty::Text, true),
        ("text", Ty::Text, Operator::Like, "wild", Ty::Text, true),
        ("text", Ty::Text, Operator::Like, "empty", Ty::Text, true),
        ("text", Ty::Text, Operator::NotLike, "gone", Ty::Text, false),
    ] {
        let expr =
            Expr::Compare { left: Operand::base(left, left_ty), op, right: Operand::base(right, right_ty) };
        assert_eq!(eval(&expr, &[], lookup), Ok(expected), "{left} {op:?} {right}");
    }
}

#[test]
fn elements() {
    let alias = Alias(1);
    let list = Join { alias, source: Source::Each(column(Ty::List)), on: Expr::Const(true), many: true };
    let is_a = Expr::eq(Operand::Element(alias), "a");
    let missing = Expr::Missing(Operand::Element(alias));
    let all = Expr::All { joins: vec![list.clone()], test: Box::new(is_a.clone()) };
    let some = Expr::Exists { joins: vec![list.clone()], test: Box::new(Expr::Const(true)) };
    let length = Expr::eq(Operand::Length(Box::new(column(Ty::List))), 1.0);
    let joins = [list];
    for (value, any_a, all_a, any_missing, any, one) in [
        (json("[\"a\",\"b\"]"), true, false, false, true, false),
        (json("[\"a\"]"), true, true, false, true, true),
        (json("[]"), false, false, true, false, false),
        (Value::from("a"), true, true, false, true, true),
        (Value::from(""), false, false, false, true, false),
        (Value::Null, false, false, true, false, false),
    ] {
        assert_eq!(holds(value.clone(), &is_a, &joins), Ok(any_a), "{value:?}");
        assert_eq!(holds(value.clone(), &all, &[]), Ok(all_a), "{value:?}");
        assert_eq!(holds(value.clone(), &missing, &joins), Ok(any_missing), "{value:?}");
        assert_eq!(holds(value.clone(), &some, &[]), Ok(any), "{value:?}");
        assert_eq!(holds(value.clone(), &length, &[]), Ok(one), "{value:?}");
    }
}

/// What a table holds is not guessed, and not asked for when it does not matter.
#[test]
fn tables() {
    let alias = Alias(1);
    let joins = [Join {
        alias,
        source: Source::Table("other".into()),
        on: Expr::same(Operand::Column { alias, column: Column::new("id", Ty::Id) }, "o"),
        many: false,
    }];
    let related = Expr::eq(Operand::Column { alias, column: Column::new("name", Ty::Text) }, "n");
    let own = Expr::eq(column(Ty::Text), "a");
    let both = Expr::And(vec![related.clone(), own.clone()]);
    let either = Expr::Or(vec![related.clone(), own.clone()]);
    assert_eq!(holds("a".into(), &both, &joins), Err(NeedsDatabase));
    assert_eq!(holds("b".into(), &both, &joins), Ok(false));
    assert_eq!(holds("a".into(), &either, &joins), Ok(true));
    assert_eq!(holds("b".into(), &either, &joins), Err(NeedsDatabase));
    assert_eq!(holds("b".into(), &Expr::Not(Box::new(related.clone())), &joins), Err(NeedsDatabase));
    assert!(needs_database(&related, &joins));
    assert!(!needs_database(&own, &[]));
    let rows = [vec![
        (Column::new("id", Ty::Id), Value::from("o")),
        (Column::new("name", Ty::Text), Value::from("n")),
    ]];
    let own_value = Value::from("a");
    let tables = |_: &str| -> Option<&Rows> { Some(&rows) };
    assert_eq!(eval_over(&both, &joins, |_| &own_value, &tables), Ok(true));
}

#[test]
fn times() {
    let at = Operand::Literal(Value::from("2024-01-31 10:20:30.456Z"));
    for (format, value, modifiers, expected) in [
        ("%Y-%m-%d %H:%M:%f", at.clone(), vec![], Ok(Some("2024-01-31 10:20:30.456"))),
        ("%F", at.clone(), vec!["+1 month"], Ok(Some("2024-03-02"))),
        ("%F", at.clone(), vec!["start of year", "-1 day"], Ok(Some("2023-12-31"))),
        ("%F", at.clone(), vec!["weekday 0"], Ok(Some("2024-02-04"))),
        ("%s", at.clone(), vec![], Ok(Some("1706696430"))),
        ("%F", Operand::from(1706696430.0), vec!["unixepoch"], Ok(Some("2024-01-31"))),
        ("%F", Operand::from(2460341.5), vec![], Ok(Some("2024-02-01"))),
        ("%F", Operand::from(1e20), vec!["unixepoch"], Ok(None)),
        ("%F", at.clone(), vec!["+400000000000 years"], Ok(None)),
        ("%F", at.clone(), vec!["-400000000000 days"], Ok(None)),
        ("%F", Operand::from("nothing"), vec![], Ok(None)),
        ("%F", Operand::from(""), vec![], Ok(None)),
        ("%Q", at.clone(), vec![], Ok(None)),
        ("%F", at.clone(), vec!["bogus"], Ok(None)),
        ("%F", at.clone(), vec!["localtime"], Err(NeedsDatabase)),
        ("%F", Operand::from("now"), vec![], Err(NeedsDatabase)),
    ] {
        let shown = format!("{format} {value:?} {modifiers:?}");
        let of = Operand::Strftime {
            format: format.into(),
            value: Box::new(value),
            modifiers: modifiers.into_iter().map(Into::into).collect(),
        };
        let none = holds(Value::Null, &Expr::Missing(of.clone()), &[]);
        assert_eq!(none, expected.map(|text| text.is_none()), "{shown}");
        if let Ok(Some(text)) = expected {
            assert_eq!(holds(Value::Null, &Expr::eq(of, text), &[]), Ok(true), "{shown}");
        }
    }
}

#[test]
fn distances() {
    let from = |points: [f64; 4]| Operand::GeoDistance(Box::new(points.map(Operand::from)));
    let near = |points, low: f64, high: f64| {
        let of = from(points);
        let above = Expr::Compare { left: of.clone(), op: Operator::Ge, right: low.into() };
        let below = Expr::Compare { left: of, op: Operator::Le, right: high.into() };
        holds(Value::Null, &Expr::And(vec![above, below]), &[])
    };
    assert_eq!(near([23.0, 42.0, 23.0, 42.0], 0.0, 0.0), Ok(true));
    assert_eq!(near([0.0, 0.0, 1.0, 0.0], 111.19, 111.20), Ok(true));
    assert_eq!(near([23.3219, 42.6977, 2.3522, 48.8566], 1757.24, 1757.25), Ok(true));
}
