//! An open transaction: alone with what it wrote until it commits, bounded in time, undone in every other case.

use std::time::Duration;

use base::Value;
use query::batch::Assign;
use query::{Batch, ChangeKind, ColumnType, Ddl, Guard, Op, Select, Table};

use super::fixture::{T, answer, cmp, ids, insert, table};
use crate::{Error, Store};

/// Longer than any test runs.
const LONG: Duration = Duration::from_secs(60);

fn entry(id: &str, title: &str) -> Op {
    insert("ledger", &[("id", id.into()), ("title", title.into())])
}

fn ledger() -> Table {
    use ColumnType::{Id, Number, Text};
    table("ledger", &[("id", Id), ("title", Text), ("n", Number)])
}

async fn seen(store: &Store) -> String {
    answer(store, &ids(&ledger())).await
}

pub async fn check(store: &Store) {
    let column = query::ddl::IndexColumn { expr: "title".into(), collate: "".into(), descending: false };
    let index = query::ddl::Index {
        name: "idx_ledger".into(),
        table: "ledger".into(),
        unique: true,
        columns: vec![column],
        filter: "".into(),
    };
    let ddl = vec![Ddl::CreateTable(ledger()), Ddl::CreateIndex(index)];
    store.commit(Batch { ddl, ..Batch::default() }).await.expect("create");

    alone_until_the_end(store).await;
    failures_leave_earlier_steps(store).await;
    undone(store).await;
    changes_of_the_schema(store).await;
    many_steps(store).await;
    beside_others(store).await;
}

async fn alone_until_the_end(store: &Store) {
    let open = store.begin(LONG).await.expect("begin");
    let inside = open.store();
    assert!(inside.is_transaction() && !store.is_transaction());
    let committed = inside.commit(Batch::op(entry("a", "one"))).await.expect("a step");
    assert!(committed.change.is_none(), "nothing is announced before the end");
    let set = vec![("n".into(), Assign::Add(2.0))];
    let update = Op::Update { table: "ledger".into(), id: "a".into(), set };
    inside.commit(Batch::op(update)).await.expect("a second step");
    let gone = Op::Delete { table: "ledger".into(), id: "nobody".into(), row: None };
    assert_eq!(inside.commit(Batch::op(gone)).await.expect("a third").missing, [0]);
    assert_eq!(seen(inside).await, "a");
    assert_eq!(inside.count(&ids(&ledger())).await.expect("count"), 1);
    assert_eq!(seen(store).await, "", "others do not see it");
    assert!(inside.begin(LONG).await.is_err(), "one inside of another");
    let change = open.commit().await.expect("commit").expect("a change");
    let kinds: Vec<ChangeKind> = change.items.iter().map(|item| item.kind).collect();
    assert_eq!(kinds, [ChangeKind::Insert, ChangeKind::Update]);
    assert_eq!(seen(store).await, "a");
    let select = Select::by_ids("ledger", ledger().columns, vec!["a".into()]);
    let row = store.first(&select).await.expect("select").expect("the row");
    assert_eq!(*row.0, ["a".into(), "one".into(), Value::Number(2.0)]);
    let nothing = store.begin(LONG).await.expect("begin");
    assert!(nothing.commit().await.expect("an empty one").is_none());
}

async fn failures_leave_earlier_steps(store: &Store) {
    let open = store.begin(LONG).await.expect("begin");
    let inside = open.store();
    inside.commit(Batch::op(entry("b", "two"))).await.expect("a step");
    let ops = vec![entry("c", "three"), entry("d", "one")];
    match inside.commit(Batch { ops, ..Batch::default() }).await {
        Err(Error::Taken { table, columns }) => {
            assert_eq!((&*table, columns), ("ledger", vec!["title".to_owned()]));
        }
        other => panic!("taken title: {other:?}"),
    }
    match inside.commit(Batch::op(entry("b", "other"))).await {
        Err(Error::Taken { columns, .. }) => assert_eq!(columns, ["id"]),
        other => panic!("taken id: {other:?}"),
    }
    let none = ids(&ledger()).filter(cmp(super::fixture::at(T, "title"), "=", "nothing"));
    let guards = vec![Guard::Exists(ids(&ledger())), Guard::Exists(none)];
    match inside.commit(Batch { guards, ops: vec![entry("e", "five")], ..Batch::default() }).await {
        Err(Error::Guard(index)) => assert_eq!(index, 1),
        other => panic!("guard: {other:?}"),
    }
    let nowhere = Select::table("nowhere", vec![ledger().columns[0].clone()]);
    assert!(
        matches!(inside.select(&nowhere).await, Err(Error::Refused(_) | Error::Outdated(_))),
        "no such table"
    );
    inside.commit(Batch::op(entry("f", "six"))).await.expect("a step after failed ones");
    assert_eq!(seen(inside).await, "a b f");
    open.commit().await.expect("commit");
    assert_eq!(seen(store).await, "a b f");
}

async fn undone(store: &Store) {
    let open = store.begin(LONG).await.expect("begin");
    open.store().commit(Batch::op(entry("g", "seven"))).await.expect("a step");
    open.rollback().await.expect("rollback");
    assert_eq!(seen(store).await, "a b f");

    let dropped = store.begin(LONG).await.expect("begin");
    dropped.store().commit(Batch::op(entry("g", "seven"))).await.expect("a step");
    drop(dropped);
    // Nothing of it is in the way of the next.
    store.commit(Batch::op(entry("h", "seven"))).await.expect("a write after a dropped transaction");
    assert_eq!(seen(store).await, "a b f h");

    let late = store.begin(Duration::from_millis(100)).await.expect("begin");
    let written = late.store().commit(Batch::op(entry("i", "nine"))).await;
    // Whoever holds it does nothing more: the others wait no longer than the limit.
    store.commit(Batch::op(entry("j", "nine"))).await.expect("a write after an expired transaction");
    assert!(written.is_ok() || matches!(written, Err(Error::Expired)), "{written:?}");
    let more = late.store().commit(Batch::op(entry("k", "eleven"))).await;
    assert!(matches!(more, Err(Error::Expired)), "{more:?}");
    assert!(matches!(late.commit().await, Err(Error::Expired)));
    assert_eq!(seen(store).await, "a b f h j");
}

async fn changes_of_the_schema(store: &Store) {
    let extra = table("extra", &[("id", ColumnType::Id)]);
    for commit in [false, true] {
        let open = store.begin(LONG).await.expect("begin");
        let ddl = vec![
            Ddl::CreateTable(extra.clone()),
            Ddl::CreateView { name: "extras".into(), query: "select id from extra".into() },
        ];
        open.store().commit(Batch { ddl, ..Batch::default() }).await.expect("tables inside");
        let op = insert("extra", &[("id", "x".into())]);
        open.store().commit(Batch::op(op)).await.expect("a row of a new table");
        let view = Select::table("extras", extra.columns.clone());
        assert_eq!(answer(open.store(), &view).await, "x");
        if commit {
            let change = open.commit().await.expect("commit").expect("a change");
            assert!(change.schema);
            assert_eq!(answer(store, &view).await, "x");
        } else {
            open.rollback().await.expect("rollback");
            assert!(store.select(&view).await.is_err(), "the view is gone with its transaction");
        }
    }
}

async fn many_steps(store: &Store) {
    let open = store.begin(LONG).await.expect("begin");
    for step in 0..1000 {
        let op = entry(&format!("s{step}"), &format!("step {step}"));
        open.store().commit(Batch::op(op)).await.expect("a step of many");
    }
    let change = open.commit().await.expect("commit").expect("a change");
    assert_eq!(change.items.len(), 1000);
    assert_eq!(store.count(&ids(&ledger())).await.expect("count"), 1005);
}

/// Transactions and ordinary writes at once, all adding to one number: none is lost and none counts twice.
async fn beside_others(store: &Store) {
    let add = || {
        let set = vec![("n".into(), Assign::Add(1.0))];
        Batch::op(Op::Update { table: "ledger".into(), id: "b".into(), set })
    };
    let tasks: Vec<_> = (0..40)
        .map(|index| {
            let store = store.clone();
            tokio::spawn(async move {
                if index % 4 != 0 {
                    store.commit(add()).await.expect("a write beside transactions");
                    return 1.0;
                }
                loop {
                    let open = store.begin(LONG).await.expect("begin");
                    let steps = async {
                        open.store().commit(add()).await?;
                        open.store().commit(add()).await
                    };
                    let done = match steps.await {
                        Ok(_) => open.commit().await.map(drop),
                        Err(error) => Err(error),
                    };
                    match done {
                        Ok(()) => return 2.0,
                        Err(Error::Aborted(_)) => continue,
                        Err(error) => panic!("a transaction beside writes: {error}"),
                    }
                }
            })
        })
        .collect();
    let mut sum = 0.0;
    for task in tasks {
        sum += task.await.expect("task");
    }
    let select = Select::by_ids("ledger", ledger().columns, vec!["b".into()]);
    let row = store.first(&select).await.expect("select").expect("the row");
    assert_eq!(row.get(2), &Value::Number(sum));
}
