//! On a real primary with streaming standbys.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use base::topology::Node;
use base::{SystemClock, Value};
use query::batch::Assign;
use query::{Alias, Batch, Column, ColumnType, Ddl, Expr, Op, Operand, Select};
use testkit::postgres::{Options, Replicas};

use super::Replicated;
use crate::engine::Engine;
use crate::engine::postgres::Address;
use crate::{Error, Store, Target};

pub async fn open(url: &str) -> crate::Result<Store> {
    crate::open(crate::Options {
        target: Target::Postgres { url: url.to_owned() },
        node: Node::local(),
        clock: Arc::new(SystemClock),
        witness: Arc::new(()),
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

fn column(name: &str) -> Operand {
    Operand::column(Alias::BASE, all().columns.iter().find(|column| &*column.name == name).unwrap())
}

fn one(id: &str) -> Select {
    Select { filter: row(id).filter, ..all() }
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

/// How many reads each host answered.
async fn reads(url: &str, times: usize) -> Vec<u64> {
    let engine = Replicated::open(&Address::all(url).unwrap()).await.unwrap();
    for _ in 0..times {
        engine.select(&all()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let reads = engine.hosts.counts.reads.iter().map(|reads| reads.load(Ordering::Relaxed)).collect();
    engine.close().await;
    reads
}

/// What writes on one node and reads on the other, until it is told to end.
struct Load {
    running: Arc<AtomicBool>,
    pairs: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    async fn begin(url: &str) -> Load {
        let stores = [with_rows(url).await, open(url).await.unwrap()];
        stores[0].commit(insert("counter")).await.unwrap();
        let (running, pairs) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
        let tasks = (0..6).map(|task| {
            let (one, other) = (stores[task % 2].clone(), stores[(task + 1) % 2].clone());
            let (running, pairs) = (running.clone(), pairs.clone());
            tokio::spawn(async move {
                let mut n = 0;
                while running.load(Ordering::Relaxed) {
                    let id = format!("t{task}n{n}");
                    match n % 3 {
                        0 => drop(one.commit(insert(&id)).await.unwrap()),
                        1 => drop(one.commit(insert_and_count(&id)).await.unwrap()),
                        _ => in_transaction(&one, &id).await,
                    }
                    let seen = other.select(&row(&id)).await.unwrap();
                    if seen.is_empty() {
                        let again = other.select(&row(&id)).await.map(|rows| rows.len());
                        let own = one.select(&row(&id)).await.map(|rows| rows.len());
                        tokio::time::sleep(Duration::from_secs(2)).await;
                        let late = other.select(&row(&id)).await.map(|rows| rows.len());
                        panic!("{id} is not seen by the other node: {again:?}, own {own:?}, late {late:?}");
                    }
                    n += 1;
                    pairs.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        let tasks = tasks.collect();
        Load { running, pairs, tasks }
    }

    /// Until so many more were written and read, none of which may fail.
    async fn go_on(&self, pairs: u64) {
        let goal = self.pairs.load(Ordering::Relaxed) + pairs;
        let until = tokio::time::Instant::now() + Duration::from_secs(120);
        while self.pairs.load(Ordering::Relaxed) < goal {
            assert!(self.tasks.iter().all(|task| !task.is_finished()), "a request failed");
            assert!(tokio::time::Instant::now() < until, "it does not go on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// All that was acknowledged is there, once.
    async fn end(self, url: &str) {
        self.running.store(false, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        let store = open(url).await.unwrap();
        let pairs = self.pairs.load(Ordering::Relaxed);
        assert_eq!(store.count(&all()).await.unwrap(), pairs + 1);
        let counted = store.count(&all().filter(Expr::eq(column("n"), Value::Number(1.0)))).await.unwrap();
        let counter = store.first(&one("counter")).await.unwrap().unwrap();
        assert_eq!(counter.get(1).as_number() as u64, counted);
    }
}

/// A row, and one more on the counter: twice would show.
fn insert_and_count(id: &str) -> Batch {
    let values = vec![("id".into(), id.into()), ("n".into(), Value::Number(1.0))];
    let set = vec![("n".into(), Assign::Add(1.0))];
    let ops = vec![
        Op::Insert { table: "rows".into(), values },
        Op::Update { table: "rows".into(), id: "counter".into(), set },
    ];
    Batch { ops, ..Batch::default() }
}

async fn in_transaction(store: &Store, id: &str) {
    for _ in 0..50 {
        let transaction = match store.begin(Duration::from_secs(20)).await {
            Ok(transaction) => transaction,
            Err(Error::Aborted(_)) => continue,
            Err(error) => panic!("{error}"),
        };
        let done = match transaction.store().commit(insert(id)).await {
            Ok(_) => transaction.commit().await.map(drop),
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => return,
            Err(Error::Aborted(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("others were in the way all the time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_seen_by_all() {
    let replicas = Replicas::start(2, Options::default()).unwrap();
    let url = replicas.database().unwrap();
    let load = Load::begin(&url).await;
    load.go_on(2_000).await;
    load.end(&url).await;
    let reads = reads(&url, 1_000).await;
    assert!(reads[1] > 100 && reads[2] > 100, "by host: {reads:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standbys_that_fail_are_not_noticed() {
    let mut replicas = Replicas::start(2, Options::default()).unwrap();
    let url = replicas.database().unwrap();
    let load = Load::begin(&url).await;
    for round in 0..2 {
        let host = 1 + round;
        load.go_on(200).await;
        replicas.hosts[host].freeze();
        load.go_on(200).await;
        replicas.hosts[host].thaw();
        load.go_on(200).await;
        replicas.hosts[host].crash();
        load.go_on(100).await;
        // It comes back behind what it had shown before.
        replicas.hosts[host].restart().unwrap();
        load.go_on(200).await;
        replicas.hosts[host].sql("postgres", "select pg_wal_replay_pause()").unwrap();
        load.go_on(200).await;
        replicas.hosts[host].sql("postgres", "select pg_wal_replay_resume()").unwrap();
        load.go_on(200).await;
    }
    load.end(&url).await;
}

/// Whoever is asked for the most advanced one.
fn promote(replicas: &Replicas, one: usize, other: usize) -> usize {
    let position = |host: usize| {
        let sql = "select greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'::pg_lsn";
        replicas.hosts[host].sql("postgres", sql).unwrap().trim().parse::<u64>().unwrap()
    };
    let (ahead, behind) = if position(one) >= position(other) { (one, other) } else { (other, one) };
    replicas.hosts[behind].follow(&replicas.hosts[ahead]).unwrap();
    replicas.hosts[ahead].promote().unwrap();
    ahead
}

/// The primary is killed, cut short, or frozen and comes back later, each time under load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_commit_happens_once_whatever_happens_to_the_primary() {
    let mut replicas = Replicas::start(2, Options::default()).unwrap();
    let url = replicas.database().unwrap();
    let load = Load::begin(&url).await;
    load.go_on(200).await;
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pando'";
    for _ in 0..5 {
        replicas.hosts[0].sql("postgres", end).unwrap();
        load.go_on(50).await;
    }
    replicas.hosts[0].freeze();
    tokio::time::sleep(Duration::from_millis(700)).await;
    replicas.hosts[0].thaw();
    load.go_on(100).await;
    replicas.hosts[0].crash();
    replicas.hosts[0].restart().unwrap();
    load.go_on(100).await;
    replicas.wait_streaming(0, 2).unwrap();
    replicas.hosts[0].freeze();
    let first = promote(&replicas, 1, 2);
    load.go_on(100).await;
    // What it had under way goes on there, and nowhere else.
    replicas.hosts[0].thaw();
    load.go_on(200).await;
    load.end(&url).await;
    let database = url.rsplit('/').next().unwrap();
    let count = |host: usize| replicas.hosts[host].sql(database, "select count(*) from rows").unwrap();
    assert!(count(0).trim().parse::<u64>().unwrap() < count(first).trim().parse::<u64>().unwrap());
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
