//! Over SQLite: nobody can tell the difference but by a crash and by the number of writes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::topology::Node;
use base::{SystemClock, Value};
use query::{Assign, Batch, Column, ColumnType, Ddl, Expr, Guard, Op, Operand, Row, Select};

use crate::engine::transfer::FENCE;
use crate::{Later, Options, Store, Target};

const LONG: Duration = Duration::from_secs(3_600);

fn columns() -> Vec<Column> {
    vec![Column::new("id", ColumnType::Id), Column::new("n", ColumnType::Number)]
}

fn insert(id: &str, n: f64) -> Batch {
    let values = vec![("id".into(), id.into()), ("n".into(), Value::Number(n))];
    Batch::op(Op::Insert { table: "rows".into(), values })
}

fn update(id: &str, n: f64) -> Batch {
    let set = vec![("n".into(), Assign::Set(Value::Number(n)))];
    Batch::op(Op::Update { table: "rows".into(), id: id.into(), set })
}

fn delete(id: &str) -> Batch {
    Batch::op(Op::Delete { table: "rows".into(), id: id.into(), row: None })
}

async fn open(dir: &Path) -> Store {
    let target = Target::Sqlite { dir: dir.to_owned(), file: "data.db" };
    let (node, clock, witness) = (Node::local(), Arc::new(SystemClock), Arc::new(()));
    crate::open(Options { target, node, clock, witness, exclusive: false }).await.unwrap()
}

/// One store that writes behind, and one that sees what is in the database.
async fn start(dir: &Path) -> (Store, Store) {
    let store = open(dir).await;
    let table = crate::contract::table("rows", &[("id", ColumnType::Id), ("n", ColumnType::Number)]);
    store.commit(Batch { ddl: vec![Ddl::CreateTable(table)], ..Batch::default() }).await.unwrap();
    store.write_behind(["rows".into()]);
    (store, open(dir).await)
}

async fn later(store: &Store, batch: Batch, within: Duration) {
    let schema = store.schema_version().await.unwrap();
    store.commit_later(batch, Later { schema, views: vec!["shown".into()], within }).await.unwrap();
}

fn numbers(rows: &[Row]) -> Vec<f64> {
    rows.iter().map(|row| row.get(1).as_number()).collect()
}

async fn one(store: &Store, id: &str) -> Option<f64> {
    let select = Select::by_ids("rows", columns(), vec![id.into()]);
    numbers(&store.select(&select).await.unwrap()).first().copied()
}

async fn all(store: &Store) -> Vec<f64> {
    numbers(&store.select(&Select::table("rows", columns())).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    store.write_behind(["authors".into(), "posts".into()]);
    crate::contract::check(&store).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_read_by_id_before_it_is_written_and_written_before_all_else() {
    let dir = tempfile::tempdir().unwrap();
    let (store, stored) = start(dir.path()).await;
    for id in ["a", "b"] {
        store.commit(insert(id, 0.0)).await.unwrap();
    }
    for n in 1..=100 {
        later(&store, update("a", f64::from(n)), LONG).await;
    }
    assert_eq!((one(&store, "a").await, one(&stored, "a").await), (Some(100.0), Some(0.0)));
    // Another record's write does not need it, and other tables' are apart.
    store.commit(update("b", 5.0)).await.unwrap();
    store.count(&Select::table("_pando_jobs", Vec::new())).await.unwrap();
    assert_eq!(all(&stored).await, [0.0, 5.0]);
    // A list does.
    assert_eq!(all(&store).await, [100.0, 5.0]);
    assert_eq!(all(&stored).await, [100.0, 5.0]);

    let absent = Select::table("rows", columns())
        .filter(Expr::eq(Operand::base("n", ColumnType::Number), Value::Number(7.0)));
    later(&store, update("a", 7.0), LONG).await;
    let guarded = Batch { guards: vec![Guard::Absent(absent)], ..delete("b") };
    assert!(matches!(store.commit(guarded).await, Err(crate::Error::Guard(0))));

    later(&store, update("b", 8.0), LONG).await;
    let transaction = store.begin(LONG).await.unwrap();
    assert_eq!(all(transaction.store()).await, [7.0, 8.0]);
    let noting = {
        let store = store.clone();
        tokio::spawn(async move { later(&store, update("a", 9.0), LONG).await })
    };
    transaction.store().commit(update("a", 1.0)).await.unwrap();
    assert_eq!(one(transaction.store(), "a").await, Some(1.0));
    assert!(!noting.is_finished());
    transaction.commit().await.unwrap();
    noting.await.unwrap();
    assert_eq!((one(&store, "a").await, one(&stored, "a").await), (Some(9.0), Some(1.0)));

    store.commit(delete("a")).await.unwrap();
    assert_eq!((one(&store, "a").await, one(&stored, "a").await), (None, None));
    later(&store, update("b", 10.0), LONG).await;
    let copy = dir.path().join("copy.db");
    store.snapshot(&copy).await.unwrap();
    assert_eq!(one(&stored, "b").await, Some(10.0));
    later(&store, update("b", 11.0), LONG).await;
    store.console("select 1").await.unwrap();
    assert_eq!(one(&stored, "b").await, Some(11.0));
    later(&store, update("b", 12.0), LONG).await;
    store.close().await;
    assert_eq!(one(&stored, "b").await, Some(12.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_written_in_time_and_at_once_where_the_schema_is_another() {
    let dir = tempfile::tempdir().unwrap();
    let (store, stored) = start(dir.path()).await;
    for id in ["a", "b"] {
        store.commit(insert(id, 0.0)).await.unwrap();
    }
    later(&store, update("a", 1.0), LONG).await;
    // Another that is due earlier does not wait for the first.
    later(&store, update("b", 2.0), Duration::from_millis(20)).await;
    let until = Instant::now() + Duration::from_secs(30);
    while all(&stored).await != [1.0, 2.0] {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let schema = store.schema_version().await.unwrap() + 1;
    let other = Later { schema, views: Vec::new(), within: LONG };
    store.commit_later(update("a", 3.0), other).await.unwrap();
    assert_eq!(one(&stored, "a").await, Some(3.0));
    store.directly(true).await.unwrap();
    later(&store, update("a", 4.0), LONG).await;
    assert_eq!(one(&stored, "a").await, Some(4.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_written_any_more_is_handed_over() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (store, _) = start(dirs[0].path()).await;
    let (next, _) = start(dirs[1].path()).await;
    for store in [&store, &next] {
        store.commit(insert("a", 0.0)).await.unwrap();
    }
    // As a move leaves it.
    let fence =
        format!("CREATE TRIGGER fence BEFORE UPDATE ON rows BEGIN SELECT RAISE(ABORT, '{FENCE}'); END");
    store.console(&fence).await.unwrap();
    later(&store, update("a", 1.0), LONG).await;
    store.hand_over(&next).await.unwrap();
    store.switch_to(&next);
    assert_eq!(one(&store, "a").await, Some(1.0));
}

/// Each task has records of its own and does anything to them, while others' writes and a short interval make it flush at
/// any moment. What it reads must be what it wrote last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_reads_what_they_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let (store, stored) = start(dir.path()).await;
    let tasks: Vec<_> = (0..8u64)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut known: [Option<f64>; 2] = [None, None];
                let mut random = task.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
                for step in 1..=300 {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    let (which, n) = ((random >> 8) as usize % 2, f64::from(step));
                    let id = format!("r{task}-{which}");
                    match (random >> 16) % 16 {
                        0 if known[which].is_some() => {
                            store.commit(delete(&id)).await.unwrap();
                            known[which] = None;
                        }
                        1 if known[which].is_some() => {
                            store.commit(update(&id, n)).await.unwrap();
                            known[which] = Some(n);
                        }
                        2 if known[which].is_some() => {
                            let transaction = store.begin(LONG).await.unwrap();
                            assert_eq!(one(transaction.store(), &id).await, known[which], "{id}");
                            transaction.store().commit(update(&id, n)).await.unwrap();
                            transaction.commit().await.unwrap();
                            known[which] = Some(n);
                        }
                        3 => {
                            let own = format!("r{task}-");
                            let rows = store.select(&Select::table("rows", columns())).await.unwrap();
                            let mut found: Vec<(&str, f64)> = rows
                                .iter()
                                .map(|row| (row.get(0).text_or_empty(), row.get(1).as_number()))
                                .filter(|(id, _)| id.starts_with(&own))
                                .collect();
                            found.sort_by(|a, b| a.0.cmp(b.0));
                            let found: Vec<f64> = found.into_iter().map(|(_, n)| n).collect();
                            let wanted: Vec<f64> = known.into_iter().flatten().collect();
                            assert_eq!(found, wanted, "{own}");
                        }
                        _ => {
                            match known[which] {
                                Some(_) => later(&store, update(&id, n), Duration::from_millis(3)).await,
                                None => drop(store.commit(insert(&id, n)).await.unwrap()),
                            }
                            known[which] = Some(n);
                        }
                    }
                    assert_eq!(one(&store, &id).await, known[which], "{id} at {step}");
                }
                known
            })
        })
        .collect();
    let mut wanted = Vec::new();
    for task in tasks {
        wanted.extend(task.await.unwrap().into_iter().flatten());
    }
    store.close().await;
    let mut found = all(&stored).await;
    found.sort_by(f64::total_cmp);
    wanted.sort_by(f64::total_cmp);
    assert_eq!(found, wanted);
}
