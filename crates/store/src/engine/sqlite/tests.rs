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
