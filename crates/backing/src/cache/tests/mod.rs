//! The caches from outside.

mod bytes;
mod model;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base::{Name, Timestamp, Value};
use query::{Change, ChangeItem, ChangeKind, Row};
use tokio::sync::Notify;

use super::*;
use crate::stamps::Stamps;

struct Fixture {
    stamps: Arc<Stamps>,
    records: RecordCache,
    table: Name,
    shape: Shape,
    loads: AtomicUsize,
}

fn fixture(policy: Policy, bytes_max: u64) -> Fixture {
    let stamps = Arc::new(Stamps::default());
    let records = RecordCache::new(stamps.clone(), policy, bytes_max);
    let shape = Shape::of(&Arc::new(0_u64));
    Fixture { stamps, records, table: "posts".into(), shape, loads: AtomicUsize::new(0) }
}

fn keep(strategy: Strategy) -> Keep {
    Keep { strategy, ttl: Ttl::default(), absent: Some(Ttl::default()) }
}

fn row(number: u64) -> Arc<Row> {
    Arc::new(Row::from(vec![Value::Number(number as f64)]))
}

fn change(table: &str, id: &str) -> Change {
    Change {
        sequence: 1,
        origin: base::topology::Node::local(),
        at: Timestamp(0),
        items: vec![ChangeItem {
            table: table.into(),
            kind: ChangeKind::Update,
            id: Some(id.into()),
            row: None,
        }],
        schema: false,
        jobs: false,
    }
}

impl Fixture {
    fn asked<'a>(&'a self, id: &'a str) -> Asked<'a> {
        Asked { table: &self.table, id, shape: self.shape }
    }

    /// A look, and a load that waits for the gate if nothing is found.
    async fn read(
        &self,
        id: &str,
        keep: &Keep,
        gate: &Notify,
        found: Option<Arc<Row>>,
    ) -> store::Result<Option<Arc<Row>>> {
        let since = self.stamps.now();
        if let Some(known) = self.records.get(self.asked(id)) {
            return Ok(known);
        }
        let load = || async {
            self.loads.fetch_add(1, Ordering::SeqCst);
            gate.notified().await;
            Ok((found.clone(), true))
        };
        self.records.load(self.asked(id), keep, since, load).await
    }

    fn put(&self, id: &str, row: Option<Arc<Row>>) {
        self.records.put(self.asked(id), &keep(Strategy::ReadThrough), self.stamps.now(), row);
    }
}

fn open() -> Notify {
    let gate = Notify::new();
    gate.notify_one();
    gate
}

#[tokio::test]
async fn a_thousand_who_miss_share_a_load() {
    let fixture = fixture(Policy::Scan, 1 << 20);
    let (gate, keep) = (Notify::new(), keep(Strategy::ReadThrough));
    let readers = (0..1000).map(|_| fixture.read("a", &keep, &gate, Some(row(1))));
    let all = futures_util::future::join_all(readers);
    let opening = async {
        tokio::task::yield_now().await;
        gate.notify_one();
    };
    let (found, ()) = tokio::join!(all, opening);
    assert!(found.into_iter().all(|found| found.unwrap() == Some(row(1))));
    assert_eq!(fixture.loads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn whoever_asks_by_itself_waits_for_nobody() {
    let fixture = fixture(Policy::Scan, 1 << 20);
    let (shut, keep) = (Notify::new(), keep(Strategy::CacheAside));
    let mut first = Box::pin(fixture.read("a", &keep, &shut, Some(row(1))));
    assert!(futures_util::poll!(first.as_mut()).is_pending());
    assert_eq!(fixture.read("a", &keep, &open(), Some(row(1))).await.unwrap(), Some(row(1)));
    assert_eq!(fixture.loads.load(Ordering::SeqCst), 2);
    assert!(fixture.records.get(fixture.asked("a")).is_some());
}

#[tokio::test]
async fn those_who_wait_outlive_the_one_who_loads() {
    let fixture = fixture(Policy::Scan, 1 << 20);
    let (gate, keep) = (Notify::new(), keep(Strategy::ReadThrough));
    let mut first = Box::pin(fixture.read("a", &keep, &gate, Some(row(1))));
    let mut second = Box::pin(fixture.read("a", &keep, &gate, Some(row(1))));
    assert!(futures_util::poll!(first.as_mut()).is_pending());
    assert!(futures_util::poll!(second.as_mut()).is_pending());
    drop(first);
    gate.notify_one();
    assert_eq!(second.await.unwrap(), Some(row(1)));
    assert_eq!(fixture.loads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn errors_are_shared_and_not_kept() {
    let fixture = fixture(Policy::Scan, 1 << 20);
    let (gate, keep) = (Notify::new(), keep(Strategy::ReadThrough));
    let since = fixture.stamps.now();
    let failing = || async {
        gate.notified().await;
        Err(store::Error::Away("gone".into()))
    };
    let mut first = Box::pin(fixture.records.load(fixture.asked("a"), &keep, since, failing));
    let mut second = Box::pin(fixture.read("a", &keep, &gate, Some(row(1))));
    assert!(futures_util::poll!(first.as_mut()).is_pending());
    assert!(futures_util::poll!(second.as_mut()).is_pending());
    gate.notify_one();
    assert!(first.await.is_err() && matches!(second.await, Err(store::Error::Away(_))));
    assert_eq!(fixture.read("a", &keep, &open(), Some(row(1))).await.unwrap(), Some(row(1)));
}

#[tokio::test]
async fn nobody_gets_what_is_older_than_the_question() {
    let fixture = fixture(Policy::Scan, 1 << 20);
    let (gate, keep) = (Notify::new(), keep(Strategy::ReadThrough));
    let mut old = Box::pin(fixture.read("a", &keep, &gate, Some(row(1))));
    assert!(futures_util::poll!(old.as_mut()).is_pending());
    fixture.stamps.apply(&change("posts", "a"));
    let mut new = Box::pin(fixture.read("a", &keep, &gate, Some(row(2))));
    assert!(futures_util::poll!(new.as_mut()).is_pending());
    gate.notify_one();
    assert_eq!(old.await.unwrap(), Some(row(1)));
    gate.notify_one();
    assert_eq!(new.await.unwrap(), Some(row(2)));
    assert_eq!(fixture.records.get(fixture.asked("a")), Some(Some(row(2))));
}

#[test]
fn what_is_not_there_is_remembered_until_it_is() {
    let fixture = fixture(Policy::Scan, 1 << 20);
    fixture.put("a", None);
    assert_eq!(fixture.records.get(fixture.asked("a")), Some(None));
    fixture.stamps.apply(&change("posts", "a"));
    assert_eq!(fixture.records.get(fixture.asked("a")), None);
    let forgetful = Keep::default();
    fixture.records.put(fixture.asked("b"), &forgetful, fixture.stamps.now(), None);
    assert_eq!(fixture.records.get(fixture.asked("b")), None);
}

#[test]
fn unknown_ids_displace_no_records() {
    for policy in Policy::ALL {
        let fixture = fixture(policy, 1 << 20);
        let known: Vec<String> = (0..100).map(|number| format!("known{number}")).collect();
        known.iter().for_each(|id| fixture.put(id, Some(row(1))));
        (0..20_000).for_each(|number| fixture.put(&format!("unknown{number}"), None));
        let kept = known.iter().filter(|id| fixture.records.get(fixture.asked(id)).is_some()).count();
        assert_eq!(kept, 100, "{}", policy.name());
    }
}

#[test]
fn rows_of_another_shape_are_not_found() {
    let fixture = fixture(Policy::Scan, 1 << 20);
    fixture.put("a", Some(row(1)));
    let other = Arc::new(0_u64);
    assert_eq!(fixture.records.get(Asked { shape: Shape::of(&other), ..fixture.asked("a") }), None);
}

#[test]
fn time_ends_what_nothing_else_does() {
    let fixture = fixture(Policy::Scan, 1 << 20);
    let ttl = Ttl { ms: 20, jitter_percent: 50 };
    let brief = Keep { ttl, ..keep(Strategy::ReadThrough) };
    fixture.records.put(fixture.asked("a"), &brief, fixture.stamps.now(), Some(row(1)));
    let began = std::time::Instant::now();
    while fixture.records.get(fixture.asked("a")).is_some() {
        assert!(began.elapsed().as_secs() < 60);
        std::thread::yield_now();
    }
    let ends = keep::Ends::default();
    let ttl = Ttl { ms: 1_000_000, jitter_percent: 10 };
    let all: Vec<u64> = (0..100).map(|_| ends.of(ttl)).collect();
    assert!(all.iter().all(|end| (900_000..=1_200_000).contains(end)));
    assert!(all.iter().max().unwrap() - all.iter().min().unwrap() > 80_000);
    assert_eq!(ends.of(Ttl::default()), 0);
    assert!(!ends.is_over(0));
}

#[test]
fn with_write_around_a_record_comes_in_at_its_second_read() {
    let fixture = fixture(Policy::Scan, 1 << 20);
    let around = keep(Strategy::WriteAround);
    for is_kept in [false, true] {
        fixture.records.put(fixture.asked("a"), &around, fixture.stamps.now(), Some(row(1)));
        assert_eq!(fixture.records.get(fixture.asked("a")).is_some(), is_kept);
    }
}

#[test]
fn with_write_through_what_was_written_alone_is_kept() {
    let fixture = fixture(Policy::Scan, 1 << 20);
    let through = keep(Strategy::WriteThrough);
    let watched = fixture.stamps.watch("posts", "a");
    fixture.stamps.apply(&change("posts", "a"));
    fixture.records.put_written(fixture.asked("a"), &through, watched, row(2));
    assert_eq!(fixture.records.get(fixture.asked("a")), Some(Some(row(2))));
    let watched = fixture.stamps.watch("posts", "a");
    fixture.stamps.apply(&change("posts", "a"));
    fixture.stamps.apply(&change("posts", "a"));
    fixture.records.put_written(fixture.asked("a"), &through, watched, row(3));
    assert_eq!(fixture.records.get(fixture.asked("a")), None);
}

#[tokio::test(start_paused = true)]
async fn loads_wait_for_their_turn_and_not_for_ever() {
    let loads = Loads::at_most(1);
    let first = loads.list().await.unwrap();
    assert!(matches!(loads.list().await, Err(store::Error::Unavailable(_))));
    assert!(loads.record().await.is_ok());
    drop(first);
    assert!(loads.list().await.is_ok());
    assert!(Loads::default().list().await.is_ok());
}

#[test]
fn answers_hold_as_long_as_their_tables() {
    for policy in Policy::ALL {
        let stamps = Arc::new(Stamps::default());
        let answers = QueryCache::new(stamps.clone(), policy, 1 << 20, Ttl::default());
        answers.put(b"key", answers.begin(), vec!["posts".into()], ::bytes::Bytes::from("bytes").into());
        stamps.apply(&change("others", "a"));
        assert_eq!(
            answers.get(b"key").map(|kept| kept.bytes).as_deref(),
            Some(&b"bytes"[..]),
            "{}",
            policy.name()
        );
        stamps.apply(&change("posts", "a"));
        assert_eq!(answers.get(b"key"), None);
    }
}

#[test]
fn policies_are_known_by_name() {
    for policy in Policy::ALL {
        assert_eq!(policy.name().parse(), Ok(policy));
    }
    for strategy in Strategy::ALL {
        assert_eq!(strategy.name().parse(), Ok(strategy));
    }
    assert!("mru".parse::<Policy>().is_err() && "none".parse::<Strategy>().is_err());
}
