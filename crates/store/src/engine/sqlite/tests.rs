//! The contract, and what only this engine does.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use base::SystemClock;
use base::topology::Node;
use query::{Batch, Column, ColumnType, Op, Select};

use crate::{Error, Options, Store, Target, open};

async fn store(dir: &std::path::Path, exclusive: bool) -> crate::Result<Store> {
    open(Options {
        target: Target::Sqlite { dir: dir.to_owned(), file: "data.db" },
        node: Node::local(),
        clock: Arc::new(SystemClock),
        listener: Arc::new(|_| {}),
        exclusive,
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let opened = store(dir.path(), true).await.unwrap();
    crate::contract::check(&opened).await;
    opened.close().await;
    assert!(matches!(opened.ping().await, Err(Error::Unavailable(_))));
    let log = std::fs::metadata(dir.path().join("data.db-wal")).map_or(0, |meta| meta.len());
    assert_eq!(log, 0, "closing empties the log");
}

#[tokio::test]
async fn one_server_for_each_directory() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(dir.path(), true).await.unwrap();
    match store(dir.path(), true).await {
        Err(Error::Locked(text)) => {
            assert!(text.contains(&std::process::id().to_string()), "{text}");
        }
        _ => panic!("two servers"),
    }
    // A command beside it is welcome, and is noticed.
    let before = first.external_version();
    let command = store(dir.path(), false).await.unwrap();
    let values = vec![("id".into(), "p".into()), ("value".into(), base::Value::Json("1".into()))];
    command.commit(Batch::op(Op::Insert { table: "_params".into(), values })).await.unwrap();
    let columns = vec![Column::new("id", ColumnType::Id)];
    assert_eq!(first.count(&Select::table("_params", columns)).await.unwrap(), 1);
    for _ in 0..40 {
        if first.external_version() > before {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(first.external_version() > before);
    // Its own commits are nobody else's.
    command.close().await;
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    let after = first.external_version();
    let op = Op::Delete { table: "_params".into(), id: "p".into() };
    first.commit(Batch::op(op)).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1700)).await;
    assert_eq!(first.external_version(), after);
    first.close().await;
    drop(first);
    store(dir.path(), true).await.unwrap();
}

async fn fill(store: &Store, rows: usize) {
    let table = crate::contract::table("rows", &[("id", ColumnType::Id), ("title", ColumnType::Text)]);
    store.commit(Batch { ddl: vec![query::Ddl::CreateTable(table)], ..Batch::default() }).await.unwrap();
    let title = "some text to match against ".repeat(10);
    let ops = (0..rows).map(|index| {
        let values =
            vec![("id".into(), format!("id{index}").into()), ("title".into(), title.as_str().into())];
        Op::Insert { table: "rows".into(), values }
    });
    store.commit(Batch { ops: ops.collect(), ..Batch::default() }).await.unwrap();
}

fn scan(text: &str) -> Select {
    let select = Select::table("rows", vec![Column::new("id", ColumnType::Id)]);
    select.filter(query::Expr::Compare {
        left: query::Operand::base("title", ColumnType::Text),
        op: query::Operator::Like,
        right: text.into(),
    })
}

#[tokio::test]
async fn a_long_scan_leaves_the_async_thread() {
    let dir = tempfile::tempdir().unwrap();
    let opened = store(dir.path(), false).await.unwrap();
    fill(&opened, 50_000).await;
    let scans: Vec<_> = (0..4)
        .map(|_| {
            let opened = opened.clone();
            tokio::spawn(async move { opened.select(&scan("nothing")).await.map(|rows| rows.len()) })
        })
        .collect();
    let started = std::time::Instant::now();
    let mut slowest = std::time::Duration::ZERO;
    while scans.iter().any(|scan| !scan.is_finished()) {
        let begun = std::time::Instant::now();
        tokio::task::yield_now().await;
        slowest = slowest.max(begun.elapsed());
    }
    for scan in scans {
        assert_eq!(scan.await.unwrap().unwrap(), 0);
    }
    assert!(slowest * 2 < started.elapsed(), "one turn took {slowest:?} of {:?}", started.elapsed());
    assert_eq!(opened.count(&scan("match")).await.unwrap(), 50_000);
    // Nobody waits for this one any more.
    let unwanted = scan("nothing");
    let given_up = tokio::time::timeout(std::time::Duration::from_millis(1), opened.select(&unwanted));
    assert!(given_up.await.is_err());
    opened.close().await;
}

#[test]
fn a_full_disk_takes_nothing_half() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.db");
    let connection = super::connection::open_writer(&path).unwrap();
    connection.execute_batch("CREATE TABLE t (x TEXT); PRAGMA max_page_count=20").unwrap();
    let (queue, work) = crossbeam_channel::unbounded();
    let places = Arc::new(tokio::sync::Semaphore::new(8));
    let send = |size: usize, count: usize| {
        let insert = crate::sql::Statement {
            sql: "INSERT INTO t VALUES (?)".into(),
            params: vec![base::Value::text("x".repeat(size))],
        };
        let (reply, answer) = tokio::sync::oneshot::channel();
        let ops = vec![(insert, false); count];
        let permit = places.clone().try_acquire_owned().unwrap();
        let work = super::Work { guards: vec![], ddl: vec![], ops, jobs: vec![], reply, permit };
        queue.send(work).unwrap();
        answer
    };
    let writer = super::Writer::new(connection, Arc::new(super::Shared::default()));
    let thread = std::thread::spawn(move || writer.run(&work));
    assert!(send(10, 1).blocking_recv().unwrap().is_ok());
    let full = send(8_000, 30).blocking_recv().unwrap();
    assert!(matches!(full, Err(Error::Full(_))), "{full:?}");
    assert!(send(10, 2).blocking_recv().unwrap().is_ok(), "the writer goes on");
    drop(queue);
    thread.join().unwrap();
    let rows: i64 = super::connection::open_reader(&path)
        .unwrap()
        .query_row("SELECT COUNT(*) FROM t", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 3);
}
