//! On a real server, with more requests at once than are let through one by one.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use base::topology::Node;
use base::{SystemClock, Value};
use query::batch::Assign;
use query::{Batch, Column, ColumnType, Ddl, Op, Select};
use testkit::postgres::{Options, Postgres};

use crate::{Error, Store, Target};

fn columns() -> Vec<Column> {
    vec![Column::new("id", ColumnType::Id), Column::new("n", ColumnType::Number)]
}

fn insert(id: &str, n: f64) -> Op {
    Op::Insert {
        table: "rows".into(),
        values: vec![("id".into(), id.into()), ("n".into(), Value::Number(n))],
    }
}

fn update(id: &str, n: f64) -> Op {
    let set = vec![("n".into(), Assign::Set(Value::Number(n)))];
    Op::Update { table: "rows".into(), id: id.into(), set }
}

fn one(id: &str) -> Select {
    Select::by_ids("rows", columns(), vec![id.into()])
}

async fn with_rows(postgres: &Postgres) -> Store {
    let options = crate::Options {
        target: Target::Postgres { url: postgres.database().unwrap() },
        node: Node::local(),
        clock: Arc::new(SystemClock),
        witness: Arc::new(()),
        exclusive: false,
    };
    let store = crate::open(options).await.unwrap();
    let table = crate::contract::table("rows", &[("id", ColumnType::Id), ("n", ColumnType::Number)]);
    store.commit(Batch { ddl: vec![Ddl::CreateTable(table)], ..Batch::default() }).await.unwrap();
    store
}

/// Each is answered as if it were alone, and never from before it was asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_by_id() {
    let postgres = Postgres::start(Options::default()).unwrap();
    let store = with_rows(&postgres).await;
    // More inserts than one statement holds, and a rest.
    let ops = (0..100).map(|n| insert(&format!("r{n}"), 0.0));
    let ops = ops.chain([update("r500", 1.0), update("r0", 1.0)]).collect();
    assert_eq!(store.commit(Batch { ops, ..Batch::default() }).await.unwrap().missing, [100]);

    let readers: Vec<_> = (0..400)
        .map(|n| {
            let (store, n) = (store.clone(), n % 200);
            tokio::spawn(async move { (n, store.select(&one(&format!("r{n}"))).await.unwrap()) })
        })
        .collect();
    // Some of those who ask go away.
    readers.iter().skip(1).step_by(7).for_each(|reader| reader.abort());
    for reader in readers {
        let Ok((n, rows)) = reader.await else { continue };
        assert_eq!(rows.len(), usize::from(n < 100), "r{n}");
        assert!(rows.iter().all(|row| row.get(0).as_str() == Some(&format!("r{n}"))));
    }
    // Nobody who went away is in another's way.
    assert_eq!(store.select(&one("r0")).await.unwrap().len(), 1);

    // A text that PostgreSQL cannot take fails nobody else's read.
    let (bad, good) = (one("r\0"), one("r1"));
    let (bad, good) = tokio::join!(store.select(&bad), store.select(&good));
    assert!(matches!(bad, Err(Error::Refused(_))) && good.unwrap().len() == 1);

    // Each writer sees what it wrote, while others read and write beside it.
    let writers: Vec<_> = (0..16)
        .map(|n| {
            let (store, id) = (store.clone(), format!("r{n}"));
            tokio::spawn(async move {
                for round in 0..20 {
                    let to = f64::from(round);
                    store.commit(Batch::op(update(&id, to))).await.unwrap();
                    assert_eq!(store.select(&one(&id)).await.unwrap()[0].get(1).as_number(), to);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }

    // Several rows of a view may have one id, and all of them are found.
    let query = "SELECT id, n FROM rows UNION ALL SELECT id, n FROM rows".to_owned();
    let view = Ddl::CreateView { name: "twice".into(), query: query.into() };
    store.commit(Batch { ddl: vec![view], ..Batch::default() }).await.unwrap();
    let readers: Vec<_> = (0..40)
        .map(|n| {
            let store = store.clone();
            let select = Select::by_ids("twice", columns(), vec![format!("r{n}").into()]);
            tokio::spawn(async move { store.select(&select).await.unwrap().len() })
        })
        .collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), 2);
    }
}

/// Each is there when its writer is told so, and one that cannot be takes no other with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inserts() {
    let postgres = Postgres::start(Options::default()).unwrap();
    let store = with_rows(&postgres).await;
    // Every tenth id comes twice.
    let writers: Vec<_> = (0..300)
        .map(|n| {
            let (store, id) = (store.clone(), format!("r{}", if n % 10 == 9 { n - 1 } else { n }));
            tokio::spawn(async move {
                match store.commit(Batch::op(insert(&id, 1.0))).await {
                    Ok(committed) => {
                        assert_eq!(committed.missing, [0; 0]);
                        assert_eq!(store.select(&one(&id)).await.unwrap().len(), 1);
                        true
                    }
                    Err(Error::Taken { table, columns }) => {
                        assert_eq!((&*table, &columns[..]), ("rows", &["id".to_owned()][..]));
                        false
                    }
                    Err(other) => panic!("{other}"),
                }
            })
        })
        .collect();
    let mut taken = 0;
    for writer in writers {
        taken += usize::from(!writer.await.unwrap());
    }
    assert_eq!(taken, 30);
    assert_eq!(store.count(&Select::table("rows", columns())).await.unwrap(), 270);

    // A value that is refused fails its own writer only.
    let writers: Vec<_> = (0..60)
        .map(|n| {
            let (store, id) = (store.clone(), format!("s{n}{}", if n % 7 == 0 { "\0" } else { "" }));
            tokio::spawn(async move { (n, store.commit(Batch::op(insert(&id, 1.0))).await) })
        })
        .collect();
    for writer in writers {
        let (n, result) = writer.await.unwrap();
        assert_eq!(n % 7 == 0, matches!(result, Err(Error::Refused(_))), "{n}");
    }
}
