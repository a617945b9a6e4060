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
        witness: Arc::new(()),
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
    let op = Op::Delete { table: "_params".into(), id: "p".into(), row: None };
    first.commit(Batch::op(op)).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1700)).await;
    assert_eq!(first.external_version(), after);
    first.close().await;
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
            tokio::spawn(async move { opened.select(&scan("%nothing%")).await.map(|rows| rows.len()) })
        })
        .collect();
    // Scans that ran where they are would leave no more turns than there are scans.
    let mut turns = 0;
    while scans.iter().any(|scan| !scan.is_finished()) {
        tokio::task::yield_now().await;
        turns += 1;
    }
    assert!(turns > 100, "{turns} turns");
    for scan in scans {
        assert_eq!(scan.await.unwrap().unwrap(), 0);
    }
    assert_eq!(opened.count(&scan("%match%")).await.unwrap(), 50_000);
    // Nobody waits for this one any more.
    let unwanted = scan("%nothing%");
    let given_up = tokio::time::timeout(std::time::Duration::from_millis(1), opened.select(&unwanted));
    assert!(given_up.await.is_err());
    opened.close().await;
}

#[test]
fn a_full_disk_takes_nothing_half() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.db");
    let connection = super::connection::open_writer(&path, super::Flush::Commit).unwrap();
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
        let batch = super::Rendered { guards: vec![], ddl: vec![], ops, jobs: vec![], claim: None };
        let work = super::Work { batch, reply, claimed: Arc::default(), permit };
        let work = super::Task::Commit(work);
        queue.send(work).unwrap();
        answer
    };
    let writer = super::Writer::new(connection, Arc::new(super::Shared::default()), "data.db");
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

#[tokio::test]
async fn reads_what_others_stored_oddly() {
    use base::Value;
    let dir = tempfile::tempdir().unwrap();
    let opened = store(dir.path(), false).await.unwrap();
    let other = rusqlite::Connection::open(dir.path().join("data.db")).unwrap();
    other
        .execute_batch(
            "CREATE TABLE odd (id TEXT, n, ok, born, data JSON, tags JSON, place JSON);
             INSERT INTO odd VALUES
                (7, '1.5', 'true', '2022-01-02', 'plain', 'one', 'nowhere'),
                ('b', 'abc', 2, 1640995200, '{\"a\": 1}', '[\"x\", \"y\"]', '{\"lat\":2}'),
                ('c', NULL, NULL, NULL, '', NULL, NULL),
                (x'ff', 9007199254740993, 0.0, 'x', 9007199254740993, 5, 5)",
        )
        .unwrap();
    use ColumnType::{Bool, Date, Dynamic, Id, Json, List, Number, Point};
    let columns = [("id", Id), ("n", Number), ("ok", Bool), ("born", Date), ("data", Json), ("tags", List)];
    let columns = columns.into_iter().chain([("place", Point), ("data", Dynamic)]);
    let select = Select::table("odd", columns.map(|(name, ty)| Column::new(name, ty)).collect());
    let json = |text: &str| Value::Json(text.into());
    let zero = r#"{"lon":0,"lat":0}"#;
    let expected: [[Value; 8]; 4] = [
        [
            "7".into(),
            1.5.into(),
            true.into(),
            "2022-01-02 00:00:00.000Z".into(),
            json("\"plain\""),
            json("[\"one\"]"),
            json(zero),
            "plain".into(),
        ],
        [
            "b".into(),
            0.0.into(),
            true.into(),
            "2022-01-01 00:00:00.000Z".into(),
            json("{\"a\":1}"),
            json("[\"x\",\"y\"]"),
            json(r#"{"lon":0,"lat":2}"#),
            json("{\"a\":1}"),
        ],
        ["c".into(), 0.0.into(), false.into(), "".into(), Value::Null, json("[]"), json(zero), "".into()],
        [
            "\u{fffd}".into(),
            9_007_199_254_740_992.0.into(),
            false.into(),
            "".into(),
            json("9007199254740993"),
            json("[\"5\"]"),
            json(zero),
            json("9007199254740993"),
        ],
    ];
    let rows = opened.select(&select).await.unwrap();
    for (row, expected) in rows.iter().zip(&expected) {
        assert_eq!(*row.0, *expected);
    }
    assert_eq!(rows.len(), expected.len());
}
