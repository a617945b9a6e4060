//! Two tables of a few rows, and short words to build queries over them.

use base::Value;
use query::{
    Alias, Batch, Column, ColumnType, Ddl, Expr, Join, Op, Operand, Operator, Select, Source, Table,
};

use crate::Store;

pub fn table(name: &str, columns: &[(&str, ColumnType)]) -> Table {
    Table { name: name.into(), columns: columns.iter().map(|(name, ty)| Column::new(*name, *ty)).collect() }
}

pub fn authors() -> Table {
    use ColumnType::*;
    table(
        "authors",
        &[
            ("id", Id),
            ("name", Text),
            ("n", Number),
            ("ok", Bool),
            ("born", Date),
            ("data", Json),
            ("tags", List),
            ("place", Point),
        ],
    )
}

pub fn posts() -> Table {
    use ColumnType::*;
    table("posts", &[("id", Id), ("title", Text), ("author", Text), ("labels", List), ("views", Number)])
}

pub fn insert(table: &str, values: &[(&str, Value)]) -> Op {
    Op::Insert {
        table: table.into(),
        values: values.iter().map(|(name, value)| ((*name).into(), value.clone())).collect(),
    }
}

pub fn json(text: &str) -> Value {
    Value::Json(text.into())
}

pub async fn fill(store: &Store) {
    let author =
        |id: &str, name: &str, n: f64, ok: bool, born: &str, data: Value, tags: &[&str], lon: f64| {
            insert(
                "authors",
                &[
                    ("id", id.into()),
                    ("name", name.into()),
                    ("n", n.into()),
                    ("ok", ok.into()),
                    ("born", born.into()),
                    ("data", data),
                    ("tags", Value::list(tags)),
                    ("place", json(&crate::engine::decode::point_json(lon, 42.5))),
                ],
            )
        };
    let post = |id: &str, title: &str, author: &str, labels: &[&str], views: f64| {
        insert(
            "posts",
            &[
                ("id", id.into()),
                ("title", title.into()),
                ("author", author.into()),
                ("labels", Value::list(labels)),
                ("views", views.into()),
            ],
        )
    };
    let data = json(r#"{"a":{"b":5},"list":[10,"x"],"0":"zero","s":"5"}"#);
    store
        .commit(Batch {
            ddl: vec![Ddl::CreateTable(authors()), Ddl::CreateTable(posts())],
            ops: vec![
                author("c", "Carol", 3.0, true, "2026-11-21 10:00:00.000Z", data, &["x", "y"], 23.25),
                author("a", "alice", 1.5, false, "2025-01-01 00:00:00.000Z", json("7"), &["x"], 0.0),
                author("b", "", 0.0, true, "", Value::Null, &[], 0.0),
                author(
                    "d",
                    "50%_\\",
                    -2.0,
                    false,
                    "2026-11-21 10:00:00.001Z",
                    json("\"Text\""),
                    &["y", "z"],
                    5.0,
                ),
                author("e", "5", 5.0, true, "2026-12-01 00:00:00.000Z", json("true"), &["5"], 5.0),
                post("p1", "one", "a", &["c", "b"], 1.0),
                post("p2", "two", "a", &["d"], 2.0),
                post("p3", "three", "c", &[], 3.0),
                post("p4", "four", "gone", &["gone"], 4.0),
            ],
            ..Batch::default()
        })
        .await
        .expect("fixture");
}

pub const T: Alias = Alias(0);
pub const J: Alias = Alias(1);
pub const K: Alias = Alias(2);

pub fn at(alias: Alias, name: &str) -> Operand {
    let column = authors().column(name).or(posts().column(name)).expect("a fixture's column").clone();
    Operand::Column { alias, column }
}

pub fn path(of: Operand, path: &[&str]) -> Operand {
    Operand::Path { of: Box::new(of), path: path.iter().map(|part| (*part).into()).collect() }
}

pub fn cmp(left: Operand, op: &str, right: impl Into<Operand>) -> Expr {
    let op = match op {
        "=" => Operator::Eq,
        "!=" => Operator::Ne,
        ">" => Operator::Gt,
        ">=" => Operator::Ge,
        "<" => Operator::Lt,
        "<=" => Operator::Le,
        "~" => Operator::Like,
        _ => Operator::NotLike,
    };
    Expr::Compare { left, op, right: right.into() }
}

pub fn join(alias: Alias, source: Source, on: Expr, many: bool) -> Join {
    Join { alias, source, on, many }
}

pub fn not(expr: Expr) -> Expr {
    Expr::Not(Box::new(expr))
}

pub fn ids(table: &Table) -> Select {
    Select::table(table.name.clone(), vec![table.columns[0].clone()])
}

/// The ids of the rows, in their order, joined by blanks.
pub async fn answer(store: &Store, select: &Select) -> String {
    match store.select(select).await {
        Ok(rows) => {
            let ids: Vec<&str> = rows.iter().map(|row| row.get(0).text_or_empty()).collect();
            ids.join(" ")
        }
        Err(error) => format!("error: {error}"),
    }
}
