//! On a real primary with streaming standbys.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use base::SystemClock;
use base::topology::Node;
use query::{Batch, Column, ColumnType, Ddl, Op, Select};
use testkit::postgres::{Options, Replicas};

use crate::{Store, Target};

pub async fn open(url: &str) -> crate::Result<Store> {
    crate::open(crate::Options {
        target: Target::Postgres { url: url.to_owned() },
        node: Node::local(),
        clock: Arc::new(SystemClock),
        listener: Arc::new(|_| {}),
        exclusive: false,
    })
    .await
}

pub async fn with_rows(url: &str) -> Store {
    let store = open(url).await.unwrap();
    let table = crate::contract::table("rows", &[("id", ColumnType::Id), ("n", ColumnType::Number)]);
    store.commit(Batch { ddl: vec![Ddl::CreateTable(table)], ..Batch::default() }).await.unwrap();
    store
}

pub fn insert(id: &str) -> Batch {
    Batch::op(Op::Insert { table: "rows".into(), values: vec![("id".into(), id.into())] })
}

pub fn all() -> Select {
    Select::table("rows", vec![Column::new("id", ColumnType::Id), Column::new("n", ColumnType::Number)])
}

pub fn row(id: &str) -> Select {
    Select::by_ids("rows", vec![Column::new("id", ColumnType::Id)], vec![id.into()])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_contract() {
    let replicas = Replicas::start(2, Options::default()).unwrap();
    let url = replicas.database().unwrap();
    let (store, second) = (open(&url).await.unwrap(), open(&url).await.unwrap());
    crate::contract::check(&store).await;
    second.ping().await.unwrap();
    store.close().await;
    assert_eq!(store.ping().await.unwrap_err().kind(), base::Kind::Unavailable);
}

/// Writes on one node, reads on the other, and the other way round.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_seen_by_all() {
    let replicas = Replicas::start(2, Options::default()).unwrap();
    let url = replicas.database().unwrap();
    let stores = [with_rows(&url).await, open(&url).await.unwrap()];
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let (one, other) = (stores[task % 2].clone(), stores[(task + 1) % 2].clone());
            tokio::spawn(async move {
                for n in 0..250 {
                    let id = format!("t{task}n{n}");
                    one.commit(insert(&id)).await.unwrap();
                    assert_eq!(other.select(&row(&id)).await.unwrap().len(), 1, "{id}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(stores[0].count(&all()).await.unwrap(), 2000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_is_followed() {
    let mut replicas = Replicas::start(2, Options::default()).unwrap();
    let url = replicas.database().unwrap();
    let store = with_rows(&url).await;
    store.commit(insert("before")).await.unwrap();
    replicas.hosts[0].crash();
    assert_eq!(store.select(&row("before")).await.unwrap().len(), 1);
    replicas.hosts[2].follow(&replicas.hosts[1]).unwrap();
    let (later, reading) = (store.clone(), store.clone());
    let write = tokio::spawn(async move { later.commit(insert("after")).await });
    let read = tokio::spawn(async move { reading.select(&row("before")).await });
    replicas.hosts[1].promote().unwrap();
    write.await.unwrap().unwrap();
    assert_eq!(read.await.unwrap().unwrap().len(), 1);
    assert_eq!(store.select(&row("after")).await.unwrap().len(), 1);
    // The old one comes back as it was, and can be written to.
    replicas.hosts[0].restart().unwrap();
    for n in 0..200 {
        let id = format!("later{n}");
        store.commit(insert(&id)).await.unwrap();
        assert_eq!(store.select(&row(&id)).await.unwrap().len(), 1);
    }
    let database = url.rsplit('/').next().unwrap();
    let count = replicas.hosts[0].sql(database, "select count(*) from rows").unwrap();
    assert_eq!(count.trim(), "1");
}
