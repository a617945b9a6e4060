//! Every schema change, and what becomes of the values.

use base::Value;
use query::ddl::{Index, IndexColumn};
use query::{Batch, Column, ColumnType, Ddl, Select};

use super::fixture::{answer, ids, insert, json, table};
use crate::{Error, Store};

async fn apply(store: &Store, ddl: Vec<Ddl>) -> Result<(), Error> {
    store.commit(Batch { ddl, ..Batch::default() }).await.map(drop)
}

async fn values(store: &Store, table: &str, column: Column) -> Vec<Value> {
    let rows = store.select(&Select::table(table, vec![column])).await.expect("select");
    rows.into_iter().map(|row| row.get(0).clone()).collect()
}

fn index(name: &str, unique: bool, expr: &str, collate: &str, filter: &str) -> Ddl {
    let column = IndexColumn { expr: expr.into(), collate: collate.into(), descending: true };
    Ddl::CreateIndex(Index {
        name: name.into(),
        table: "things".into(),
        unique,
        columns: vec![column],
        filter: filter.into(),
    })
}

pub async fn check(store: &Store) {
    use ColumnType::*;
    let before = store.schema_version().await.expect("version");
    let made = table("made", &[("id", Id), ("one", Text), ("many", List), ("n", Number), ("gone", Text)]);
    apply(store, vec![Ddl::CreateTable(made.clone())]).await.expect("create");
    let between = store.schema_version().await.expect("version");
    assert!(between > before, "the version grows");
    let row = |id: &str, one: &str, many: &str, n: f64| {
        insert("made", &[("id", id.into()), ("one", one.into()), ("many", json(many)), ("n", n.into())])
    };
    let ops =
        vec![row("1", "a", r#"["x","y"]"#, 1.5), row("2", "", "[]", 0.0), row("3", "12", r#"["z"]"#, 12.0)];
    store.commit(Batch { ops, ..Batch::default() }).await.expect("insert");
    assert_eq!(store.schema_version().await.expect("version"), between, "only schema changes count");

    apply(
        store,
        vec![
            Ddl::RenameTable { from: "made".into(), to: "things".into() },
            Ddl::AddColumn { table: "things".into(), column: Column::new("when", Date) },
            Ddl::RenameColumn { table: "things".into(), from: "n".into(), to: "size".into() },
            index("idx_one", false, "one", "NOCASE", ""),
            index("idx_gone", false, "gone", "", "gone != '' AND one != ''"),
            index("idx_lower", true, "lower(`id`)", "", "`id` != ''"),
            Ddl::CreateView {
                name: "seen".into(),
                query: "SELECT things.`id`, things.one AS name, size, count(posts.id) AS total \
                        FROM `things` LEFT JOIN posts ON posts.title = things.id GROUP BY things.id, things.one, size;"
                    .into(),
            },
            // With an index and a view over it.
            Ddl::DropColumn { table: "things".into(), column: "gone".into() },
        ],
    )
    .await
    .expect("changes");
    let view = table("seen", &[("id", Id), ("name", Text), ("size", Number), ("total", Dynamic)]);
    let mut ids_seen: Vec<String> = answer(store, &ids(&view)).await.split(' ').map(Into::into).collect();
    ids_seen.sort();
    assert_eq!(ids_seen, ["1", "2", "3"]);
    let by_id = query::Sort {
        by: query::select::SortKey::Operand(super::fixture::at(query::Alias::BASE, "id")),
        descending: false,
    };
    let total = Select { sort: vec![by_id], ..Select::table("seen", vec![Column::new("total", Dynamic)]) };
    let first = store.first(&total).await.expect("view").expect("a row");
    assert_eq!(*first.get(0), Value::Number(0.0));
    assert_eq!(
        values(store, "things", Column::new("when", Date)).await,
        [Value::from(""), "".into(), "".into()]
    );

    let retype = |name: &str, from, to| Ddl::RetypeColumn {
        table: "things".into(),
        column: Column::new(name, to),
        from,
    };
    for (name, from, to, expected) in [
        ("one", Text, List, [json(r#"["a"]"#), json("[]"), json(r#"["12"]"#)]),
        ("one", List, Text, ["a".into(), "".into(), "12".into()]),
        ("many", List, Text, ["y".into(), "".into(), "z".into()]),
        ("one", Text, Number, [0.0.into(), 0.0.into(), 12.0.into()]),
        ("one", Number, Text, ["0".into(), "0".into(), "12".into()]),
        ("size", Number, Bool, [true.into(), false.into(), true.into()]),
        ("many", Text, Json, [json("\"y\""), Value::Null, json("\"z\"")]),
        ("many", Json, List, [json(r#"["y"]"#), json("[]"), json(r#"["z"]"#)]),
    ] {
        // The index over `one` is in the way of types that have no case.
        let drop = vec![Ddl::DropIndex { name: "idx_one".into() }, retype(name, from, to)];
        apply(store, drop).await.unwrap_or_else(|error| panic!("{name} {from:?} -> {to:?}: {error}"));
        assert_eq!(
            values(store, "things", Column::new(name, to)).await,
            expected,
            "{name} {from:?} -> {to:?}"
        );
    }

    let described = store.describe_view("SELECT id, title AS t, count(*) AS n, CAST(views AS TEXT) x FROM posts GROUP BY id, title, views").await;
    let described = described.expect("describe");
    let names: Vec<&str> = described.iter().map(|column| &*column.name).collect();
    assert_eq!(names, ["id", "t", "n", "x"]);
    let origin = |index: usize| described[index].origin.as_ref().map(|(table, column)| (&**table, &**column));
    assert_eq!((origin(0), origin(1), origin(2)), (Some(("posts", "id")), Some(("posts", "title")), None));
    assert_eq!((described[2].ty, described[3].ty), (Number, Text));
    assert!(matches!(store.describe_view("SELECT nothing FROM posts").await, Err(Error::Refused(_))));
    assert!(matches!(store.describe_view("DELETE FROM posts").await, Err(Error::Refused(_))));
    assert!(matches!(
        apply(store, vec![Ddl::CreateView { name: "bad".into(), query: "SELECT nothing FROM posts".into() }])
            .await,
        Err(Error::Refused(_))
    ));

    // A view under another one is made anew.
    let view = |name: &str, query: &str| Ddl::CreateView { name: name.into(), query: query.into() };
    apply(store, vec![view("upper", "SELECT id, name FROM seen")]).await.expect("a view of a view");
    let anew = vec![Ddl::DropView("seen".into()), view("seen", "SELECT id, one AS name FROM things")];
    apply(store, anew).await.expect("anew");
    let upper = table("upper", &[("id", Id)]);
    assert_eq!(store.count(&ids(&upper)).await.expect("count"), 3);
    apply(store, vec![Ddl::DropView("upper".into())]).await.expect("drop");

    // A change that fails undoes those before it.
    let failing = vec![
        Ddl::CreateTable(table("never", &[("id", Id)])),
        Ddl::AddColumn { table: "nowhere".into(), column: Column::new("x", Text) },
    ];
    apply(store, failing).await.expect_err("no such table");
    assert!(answer(store, &ids(&table("never", &[("id", Id)]))).await.starts_with("error"));

    apply(store, vec![Ddl::DropView("seen".into()), Ddl::DropTable("things".into())]).await.expect("drop");
    assert!(answer(store, &ids(&table("things", &[("id", Id)]))).await.starts_with("error"));
}
