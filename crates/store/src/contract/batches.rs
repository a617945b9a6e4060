//! A batch commits or fails whole.

use base::Value;
use query::batch::Assign;
use query::ddl::{Index, IndexColumn};
use query::select::{Sort, SortKey};
use query::{Batch, Column, ColumnType, Ddl, Guard, Job, Op, Priority, Select};

use super::fixture::{T, answer, at, cmp, ids, insert, table};
use crate::{Error, Store};

fn item(id: &str, title: &str) -> Op {
    insert("items", &[("id", id.into()), ("title", title.into())])
}

pub async fn check(store: &Store) {
    use ColumnType::{Id, Number, Text};
    let items = table("items", &[("id", Id), ("title", Text), ("views", Number)]);
    let column = IndexColumn { expr: "title".into(), collate: "".into(), descending: false };
    let index = Index {
        name: "idx items".into(),
        table: "items".into(),
        unique: true,
        columns: vec![column],
        filter: "`title` != ''".into(),
    };
    let create = vec![Ddl::CreateTable(items.clone()), Ddl::CreateIndex(index)];
    store.commit(Batch { ddl: create, ..Batch::default() }).await.expect("create");
    let all = || ids(&items);

    let ops = vec![item("1", "one"), item("2", ""), item("3", "")];
    let committed = store.commit(Batch { ops, ..Batch::default() }).await.expect("insert");
    assert!(committed.missing.is_empty());
    assert_eq!(committed.change.map(|change| change.items.len()), Some(3));

    // A taken value undoes what came before it in the batch.
    let ops = vec![item("4", "four"), item("5", "one")];
    match store.commit(Batch { ops, ..Batch::default() }).await {
        Err(Error::Taken { table, columns }) => {
            assert_eq!((&*table, columns), ("items", vec!["title".to_owned()]));
        }
        other => panic!("taken title: {other:?}"),
    }
    match store.commit(Batch::op(item("1", "other"))).await {
        Err(Error::Taken { table, columns }) => {
            assert_eq!((&*table, columns), ("items", vec!["id".to_owned()]));
        }
        other => panic!("taken id: {other:?}"),
    }
    assert_eq!(answer(store, &all()).await, "1 2 3");

    // Guards, and which of them failed.
    let one = all().filter(cmp(at(T, "title"), "=", "one"));
    let none = all().filter(cmp(at(T, "title"), "=", "nothing"));
    let guards = vec![Guard::Exists(one.clone()), Guard::Absent(none.clone())];
    let op = item("6", "six");
    store.commit(Batch { guards, ops: vec![op], ..Batch::default() }).await.expect("guards hold");
    for (guards, failing) in [
        (vec![Guard::Exists(one.clone()), Guard::Exists(none.clone())], 1),
        (vec![Guard::Absent(one), Guard::Exists(none)], 0),
    ] {
        let batch = Batch { guards, ops: vec![item("7", "seven")], ..Batch::default() };
        match store.commit(batch).await {
            Err(Error::Guard(index)) => assert_eq!(index, failing),
            other => panic!("guard {failing}: {other:?}"),
        }
    }
    assert_eq!(answer(store, &all()).await, "1 2 3 6");
    let version = store.schema_version().await.expect("a version");
    for (version, holds) in [(version, true), (version + 1, false)] {
        let batch = Batch { guards: vec![Guard::Version(version)], ..Batch::default() };
        assert_eq!(store.commit(batch).await.is_ok(), holds, "version {version}");
    }

    // Updates, additions, and records that are gone.
    let update = |id: &str, set: Vec<(&str, Assign)>| Op::Update {
        table: "items".into(),
        id: id.into(),
        set: set.into_iter().map(|(name, assign)| (name.into(), assign)).collect(),
    };
    let ops = vec![
        update("1", vec![("views", Assign::Add(2.5)), ("title", Assign::Set("uno".into()))]),
        update("gone", vec![("views", Assign::Add(1.0))]),
        update("1", vec![("views", Assign::Add(-1.0))]),
        update("2", vec![]),
        Op::Delete { table: "items".into(), id: "3".into(), row: None },
        Op::Delete { table: "items".into(), id: "3".into(), row: None },
    ];
    let committed = store.commit(Batch { ops, ..Batch::default() }).await.expect("update");
    assert_eq!(committed.missing, [1, 5]);
    assert_eq!(committed.change.map(|change| change.items.len()), Some(4));
    let select = Select::by_ids("items", items.columns.clone(), vec!["1".into()]);
    let row = store.first(&select).await.expect("select").expect("the row");
    assert_eq!(*row.0, ["1".into(), "uno".into(), Value::Number(1.5)]);

    // Jobs exist if and only if the write does.
    let jobs = || vec![Job::new("mail", "{\"to\":1}").priority(Priority::High)];
    let job = |ops| Batch { ops, jobs: jobs(), ..Batch::default() };
    store.commit(job(vec![item("8", "eight")])).await.expect("job");
    store.commit(job(vec![item("8", "again")])).await.expect_err("taken");
    let columns =
        vec![Column::new("queue", Text), Column::new("payload", Text), Column::new("attempts", Number)];
    let rows = store.select(&Select::table("_pando_jobs", columns)).await.expect("jobs");
    assert_eq!(rows.len(), 1);
    assert_eq!(*rows[0].0, ["mail".into(), "{\"to\":1}".into(), Value::Number(0.0)]);
    // In the order in which they are to be done: those of a high priority as if they had waited already.
    let low = Job::new("mail", "low").priority(Priority::Low);
    let jobs = vec![low, Job::new("mail", "later").at(i64::MAX / 1_000), Job::new("mail", "normal")];
    store.commit(Batch { jobs, ..Batch::default() }).await.expect("jobs");
    let payload = Column::new("payload", Text);
    let mut in_order = Select::table("_pando_jobs", vec![payload]);
    let due = SortKey::Operand(query::Operand::base("due", Number));
    in_order.sort = vec![Sort { by: due, descending: false }];
    assert_eq!(answer(store, &in_order).await, "{\"to\":1} normal low later");

    let delete = Op::DeleteWhere { table: "items".into(), filter: cmp(at(T, "title"), "~", "%i%") };
    let committed = store.commit(Batch::op(delete)).await.expect("delete where");
    assert!(committed.missing.is_empty());
    assert_eq!(answer(store, &all()).await, "1 2");

    // Many writers at once: each is answered by its own outcome.
    let tasks: Vec<_> = (0..200)
        .map(|index| {
            let store = store.clone();
            let title = format!("same {}", index % 100);
            tokio::spawn(
                async move { store.commit(Batch::op(item(&format!("m{index}"), &title))).await.is_ok() },
            )
        })
        .collect();
    let mut kept = 0;
    for task in tasks {
        kept += usize::from(task.await.expect("task"));
    }
    assert_eq!(kept, 100);
    assert_eq!(store.count(&all()).await.expect("count"), 102);
    match store.commit(Batch::op(insert("nowhere", &[("id", "x".into())]))).await {
        Err(Error::Refused(text) | Error::Outdated(text)) => assert!(text.contains("nowhere"), "{text}"),
        other => panic!("no such table: {other:?}"),
    }
}
