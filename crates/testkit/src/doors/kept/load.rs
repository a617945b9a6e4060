//! Callers who write at the nodes, each its own records, and callers who read all of them at one edge.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::Plan;
use super::judge::Versions;
use super::site::{Site, id, path};
use crate::fuzz::Random;
use crate::{Client, Request};

const RECORDS_OF_A_WRITER: usize = 6;
const READ_WAIT: Duration = Duration::from_secs(10);
const WRITE_WAIT: Duration = Duration::from_secs(3);
const WRITE_PACE: Duration = Duration::from_millis(40);
const READ_PACE: Duration = Duration::from_millis(8);

#[derive(Clone, Debug)]
pub struct Read {
    pub at: Instant,
    pub took: Duration,
    pub is_hit: bool,
    /// What the edge said of it.
    pub said: String,
    /// How old the oldest write is that it should have shown, if it was answered.
    pub late: Option<Duration>,
    /// It shows what nobody has written.
    pub is_phantom: bool,
    pub failure: Option<String>,
}

pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    stop: AtomicBool,
    versions: Vec<Versions>,
    reads: Mutex<Vec<Read>>,
    writes: AtomicUsize,
    /// Of each edge.
    hits: Vec<AtomicUsize>,
}

impl Load {
    pub fn start(plan: &Plan, site: &Site) -> Result<Load> {
        let count = plan.writers * RECORDS_OF_A_WRITER;
        site.fill(count)?;
        let edges = site.edges();
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            versions: std::iter::repeat_with(Versions::default).take(count).collect(),
            reads: Mutex::default(),
            writes: AtomicUsize::new(0),
            hits: edges.iter().map(|_| AtomicUsize::new(0)).collect(),
        });
        let mut threads = Vec::new();
        let nodes: Vec<SocketAddr> =
            site.nodes.iter().map(|node| ([127, 0, 0, 1], node.port()).into()).collect();
        for writer in 0..plan.writers {
            let (shared, nodes) = (shared.clone(), nodes.clone());
            let random = Random((plan.seed << 8) + writer as u64 + 1);
            threads.push(std::thread::spawn(move || write(&shared, writer, &nodes, random)));
        }
        for reader in 0..plan.readers * edges.len() {
            let (shared, edge) = (shared.clone(), reader % edges.len());
            let (address, random) = (edges[edge], Random((plan.seed << 16) + reader as u64 + 1));
            threads.push(std::thread::spawn(move || read(&shared, edge, address, random)));
        }
        Ok(Load { shared, threads })
    }

    /// Waits until each edge has answered so many more requests out of its cache, and tells how long that took.
    pub fn hits(&self, count: usize, wait: Duration) -> Option<Duration> {
        let began = Instant::now();
        let now = || self.shared.hits.iter().map(|hits| hits.load(Ordering::Relaxed)).collect::<Vec<_>>();
        let before = now();
        while began.elapsed() < wait {
            if now().iter().zip(&before).all(|(now, before)| *now >= before + count) {
                return Some(began.elapsed());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// Ends all callers, and tells what was read and how many writes were acknowledged.
    pub fn stop(mut self) -> (Vec<Read>, usize) {
        self.end();
        let reads = std::mem::take(&mut *self.shared.reads.lock().unwrap_or_else(PoisonError::into_inner));
        (reads, self.shared.writes.load(Ordering::Relaxed))
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

fn write(shared: &Shared, writer: usize, nodes: &[SocketAddr], mut random: Random) {
    let client = |address: &SocketAddr| Client::to(*address).with_timeout(WRITE_WAIT).sending_once();
    let clients: Vec<Client> = nodes.iter().map(client).collect();
    let mut node = writer;
    while !shared.stop.load(Ordering::Relaxed) {
        let record = writer * RECORDS_OF_A_WRITER + random.below(RECORDS_OF_A_WRITER);
        let version = shared.versions[record].send();
        let patch = Request::json("PATCH", &format!("{}/{}", path(), id(record)), &json!({"n": version}));
        // Whatever becomes of it otherwise, it may have happened.
        match clients[node % clients.len()].send(&patch) {
            Ok(answer) if answer.status == 200 => {
                shared.versions[record].acknowledge(version, Instant::now());
                shared.writes.fetch_add(1, Ordering::Relaxed);
            }
            _ => node += 1,
        }
        // Most of them at one node for a while, so that kept connections are used.
        if random.below(20) == 0 {
            node += 1;
        }
        std::thread::sleep(WRITE_PACE.mul_f64(0.5 + random.below(100) as f64 / 100.0));
    }
}

fn read(shared: &Shared, edge: usize, address: SocketAddr, mut random: Random) {
    let client = Client::to(address).with_timeout(READ_WAIT).sending_once();
    while !shared.stop.load(Ordering::Relaxed) {
        let target = match random.below(5) {
            0 => format!("{}?perPage=100", path()),
            _ => format!("{}/{}", path(), id(random.below(shared.versions.len()))),
        };
        let at = Instant::now();
        let mut read = Read {
            at,
            took: Duration::ZERO,
            is_hit: false,
            said: String::new(),
            late: None,
            is_phantom: false,
            failure: None,
        };
        // A connection that has been closed meanwhile is not used, as by any client that looks.
        let answered = client.connect().and_then(|()| client.send(&Request::get(&target)));
        match answered {
            Ok(answer) if answer.status == 200 => {
                read.said = answer.header("cache-status").unwrap_or_default().to_owned();
                read.is_hit = read.said.contains("; hit");
                shared.judge(&answer.json(), &mut read);
            }
            Ok(answer) => read.failure = Some(format!("{}: {}", answer.status, answer.text())),
            Err(error) => read.failure = Some(error.to_string()),
        }
        read.took = at.elapsed();
        if read.is_hit {
            shared.hits[edge].fetch_add(1, Ordering::Relaxed);
        }
        shared.reads.lock().unwrap_or_else(PoisonError::into_inner).push(read);
        std::thread::sleep(READ_PACE.mul_f64(0.5 + random.below(100) as f64 / 100.0));
    }
}

impl Shared {
    fn judge(&self, body: &Value, read: &mut Read) {
        let items = body["items"].as_array().cloned().unwrap_or_else(|| vec![body.clone()]);
        let mut late = Duration::ZERO;
        for item in &items {
            let record = item["id"].as_str().and_then(|id| id.strip_prefix("kept")?.parse::<usize>().ok());
            let versions = record.and_then(|record| self.versions.get(record));
            let shown = item["n"].as_u64().and_then(|n| u32::try_from(n).ok());
            match versions.zip(shown).and_then(|(versions, shown)| versions.late(shown, read.at)) {
                Some(by) => late = late.max(by),
                None => read.is_phantom = true,
            }
        }
        read.late = Some(late);
    }
}
