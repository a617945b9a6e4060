//! Writers and readers on two nodes, and what must never be seen.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base::Value;
use parking_lot::Mutex;
use query::Row;
use tokio::task::JoinHandle;

use crate::cache::redis::{Members, Options, Redis};
use crate::cache::tier::{Key, Look, Tier};

pub const TABLE: &str = "posts";
const IDS: [&str; 4] = ["a", "b", "c", "d"];
const LIFE: Duration = Duration::from_secs(60);
const SETTLE_MAX: Duration = Duration::from_secs(60);

/// What each member says; everybody hears it at once.
#[derive(Default)]
pub struct Meeting(Mutex<HashMap<usize, String>>);

struct Member(usize, Arc<Meeting>);

#[async_trait]
impl Members for Member {
    async fn declare(&self, text: &str) {
        tokio::time::sleep(Duration::from_millis(2)).await;
        self.1.0.lock().insert(self.0, text.into());
    }

    fn all_declare(&self, text: &str) -> bool {
        self.1.0.lock().values().all(|said| said == text)
    }
}

/// Nodes that share one cache and one database.
pub struct Nodes {
    pub tiers: Vec<Arc<Redis>>,
    pub database: Arc<Database>,
}

/// A number for each record.
#[derive(Default)]
pub struct Database {
    rows: Mutex<HashMap<String, u64>>,
    pub reads: AtomicU64,
}

impl Database {
    pub async fn read(&self, id: &str) -> u64 {
        self.reads.fetch_add(1, Ordering::Relaxed);
        pause(2).await;
        let row = *self.rows.lock().get(id).unwrap_or(&0);
        pause(2).await;
        row
    }

    pub async fn write(&self, id: &str, row: u64) {
        pause(3).await;
        self.rows.lock().insert(id.into(), row);
        pause(1).await;
    }
}

pub fn key(id: &str) -> Key<'_> {
    Key { table: TABLE, id, form: 7 }
}

pub fn row(number: u64) -> Row {
    Row::from(vec![Value::from("text"), Value::Number(number as f64)])
}

pub fn number(row: &Row) -> u64 {
    row.get(1).as_number() as u64
}

/// Up to so many milliseconds, unevenly.
async fn pause(most: u64) {
    let part = base::id::record().bytes().map(u64::from).sum::<u64>();
    tokio::time::sleep(Duration::from_micros(part * 7919 % (most * 1000))).await;
}

pub async fn settle(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + SETTLE_MAX;
    while !is_so() {
        assert!(Instant::now() < until, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Nodes {
    pub async fn open(url: &str) -> Nodes {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let meeting = Arc::new(Meeting::default());
        let open = |number| {
            let member = Member(number, meeting.clone());
            meeting.0.lock().insert(number, String::new());
            Arc::new(Redis::open(&Options::new(url), Arc::new(member)).unwrap())
        };
        let nodes = Nodes { tiers: vec![open(0), open(1)], database: Arc::default() };
        nodes.opened().await;
        nodes
    }

    pub async fn opened(&self) {
        settle("both nodes' use of the cache", || self.tiers.iter().all(|tier| tier.is_open())).await;
    }

    /// What a request on the node is answered.
    pub async fn read(&self, node: usize, id: &str) -> u64 {
        let tier = &self.tiers[node];
        match tier.look(&[key(id)]).await.remove(0) {
            Look::Found(row) => number(&row),
            Look::Load(lease) => {
                let read = self.database.read(id).await;
                tier.fill(key(id), lease, Some(&row(read)), LIFE).await;
                read
            }
            _ => self.database.read(id).await,
        }
    }

    pub async fn write(&self, node: usize, id: &str, value: u64) {
        let records = || vec![(TABLE.into(), id.into())];
        self.tiers[node].hide(records()).await;
        self.database.write(id, value).await;
        self.tiers[node].lift(records()).await;
    }
}

/// Writes and reads without end, until it is stopped.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<u64>>,
    pub hits: Arc<AtomicU64>,
}

impl Traffic {
    pub fn start(nodes: &Arc<Nodes>) -> Traffic {
        let (stop, hits) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let acknowledged: Arc<[AtomicU64; IDS.len()]> = Arc::default();
        let mut tasks = Vec::new();
        for (index, id) in IDS.iter().enumerate() {
            let (nodes, stop, acknowledged) = (nodes.clone(), stop.clone(), acknowledged.clone());
            tasks.push(tokio::spawn(async move {
                let mut value = 0;
                while !stop.load(Ordering::Relaxed) {
                    value += 1;
                    nodes.write((value % 2) as usize, id, value).await;
                    acknowledged[index].store(value, Ordering::SeqCst);
                    pause(20).await;
                }
                value
            }));
        }
        for reader in 0..8 {
            let (nodes, stop, acknowledged) = (nodes.clone(), stop.clone(), acknowledged.clone());
            let hits = hits.clone();
            tasks.push(tokio::spawn(async move {
                let mut reads = 0;
                while !stop.load(Ordering::Relaxed) {
                    let index = reads as usize / 3 % IDS.len();
                    let known = acknowledged[index].load(Ordering::SeqCst);
                    let loads = nodes.database.reads.load(Ordering::Relaxed);
                    let found = nodes.read(reader % 2, IDS[index]).await;
                    assert!(found >= known, "{} was {known}, and {found} is read", IDS[index]);
                    if nodes.database.reads.load(Ordering::Relaxed) == loads {
                        hits.fetch_add(1, Ordering::Relaxed);
                    }
                    reads += 1;
                    pause(1).await;
                }
                reads
            }));
        }
        Traffic { stop, tasks, hits }
    }

    /// Until rows were found in the cache again.
    pub async fn is_served(&self) {
        let before = self.hits.load(Ordering::Relaxed);
        settle("rows found in the cache", || self.hits.load(Ordering::Relaxed) > before + 50).await;
    }

    pub async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            assert!(task.await.expect("nothing old is read") > 0);
        }
    }
}
