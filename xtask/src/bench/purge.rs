//! How soon a write is seen through edges that keep answers: from its acknowledgement to the last of four edges that serves
//! the new version.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;
use tempfile::TempDir;
use testkit::front::Front;
use testkit::nats::Nats;
use testkit::pando;
use testkit::postgres::{self, Postgres};
use testkit::{Client, Request, Server, tools};

use super::{Options, built, report};

const EDGES: usize = 4;
const WRITES: u64 = 300;
/// Between writes, so that each is seen on its own.
const PAUSE: Duration = Duration::from_millis(20);
/// Between two looks at an edge: the times are this coarse.
const LOOK: Duration = Duration::from_micros(500);
const LATE: Duration = Duration::from_secs(20);
const SECRET: &str = "a secret of doors";
const RECORDS: &str = "/api/collections/posts/records";
const ID: &str = "post00000000001";
/// Others that are written and read meanwhile.
const OTHERS: usize = 50;

/// How front doors are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Http,
    Bus,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Way::Http => "HTTP, one `pando serve` on SQLite",
            Way::Bus => "NATS, two `pando web` on PostgreSQL",
        }
    }
}

struct Site {
    edges: Vec<Front>,
    nodes: Vec<Server>,
    token: String,
    _nats: Option<Nats>,
    _postgres: Option<Postgres>,
    // Last, so that the directory goes after the processes.
    _dir: TempDir,
}

pub fn run(options: &Options) -> Result<()> {
    let mut text = report::conditions(&format!(
        "{EDGES} edges and everything else on one machine; {WRITES} writes of one record, one after another, at one node after \
         the other; an edge is asked every {} µs, and has seen a write when it serves the new version. Under load two more \
         clients write other records of the collection, and one at each edge reads them, as fast as they are answered",
        LOOK.as_micros()
    ));
    text +=
        "| announced over | beside it | p50 ms | p99 ms | longest ms |\n| --- | --- | ---: | ---: | ---: |\n";
    for way in [Way::Http, Way::Bus] {
        let site = Site::start(way)?;
        for loaded in [false, true] {
            let times = site.measure(loaded)?;
            let at = |share: f64| {
                let index = (share * (times.len() - 1) as f64).round() as usize;
                times.get(index).copied().unwrap_or_default().as_secs_f64() * 1000.0
            };
            let beside = if loaded { "load" } else { "nothing" };
            let line = format!(
                "| {} | {beside} | {:.1} | {:.1} | {:.1} |\n",
                way.name(),
                at(0.5),
                at(0.99),
                at(1.0)
            );
            eprint!("{line}");
            text += &line;
        }
    }
    println!("{text}");
    match options.dry {
        true => Ok(()),
        false => report::section(&super::document(), "Purging edges", &text),
    }
}

impl Site {
    fn start(way: Way) -> Result<Site> {
        let dir = TempDir::with_prefix("pando-purge-")?;
        let binary: PathBuf = built("pando")?;
        let controls: Vec<String> = (0..EDGES).map(|_| format!("127.0.0.1:{}", tools::free_port())).collect();
        let (nats, postgres) = match way {
            Way::Http => (None, None),
            Way::Bus => {
                let postgres = Postgres::start(postgres::Options { fsync: true })?;
                (Some(Nats::start(&dir.path().join("nats"))?), Some(postgres))
            }
        };
        let url = postgres.as_ref().map(Postgres::database).transpose()?;
        let mut program = pando::program(&binary.to_string_lossy(), url)?;
        let bus = nats.as_ref().map(Nats::url).unwrap_or_default();
        let mut set = |name: &str, value: String| program.variables.push((name.to_owned(), value));
        if way == Way::Http {
            let to: Vec<String> = controls.iter().map(|control| format!("http://{control}")).collect();
            set("PANDO_ANNOUNCE_TO", to.join(","));
            set("PANDO_ANNOUNCE_SECRET", SECRET.to_owned());
        } else {
            set("PANDO_BUS_URL", bus.clone());
            program = program.role("web");
        }
        let mut nodes = vec![program.start(&dir.path().join("first"))?];
        if way == Way::Bus {
            nodes.push(program.serve(&dir.path().join("second"))?);
        }
        let mut edges = Vec::new();
        for control in &controls {
            let variables: Vec<(&str, &str)> = match way {
                Way::Http => vec![("PANDO_FRONT_CONTROL", control), ("PANDO_FRONT_SECRET", SECRET)],
                Way::Bus => vec![("PANDO_BUS_URL", &bus)],
            };
            edges.push(Front::start(&binary, dir.path(), "edge", "", &variables)?);
        }
        let token = nodes.first().context("no node")?.superuser_token()?;
        let site = Site { edges, nodes, token, _nats: nats, _postgres: postgres, _dir: dir };
        site.fill()?;
        Ok(site)
    }

    fn fill(&self) -> Result<()> {
        let collection = json!({"name": "posts", "type": "base", "listRule": "", "viewRule": "",
            "cache": {"ttl": 3600, "scope": "public"}, "fields": [{"name": "version", "type": "number"}]});
        send(&self.nodes[0].client(), "POST", "/api/collections", &collection, &self.token)?;
        for id in std::iter::once(ID.to_owned()).chain((0..OTHERS).map(other)) {
            send(&self.nodes[0].client(), "POST", RECORDS, &json!({"id": id, "version": 0}), &self.token)?;
        }
        let until = Instant::now() + LATE;
        let path = format!("{RECORDS}/{ID}");
        for edge in &self.edges {
            let is_hit =
                |answer: &testkit::Answer| answer.header("cache-status").is_some_and(|s| s.contains("; hit"));
            while !edge.client().send(&Request::get(&path)).is_ok_and(|answer| is_hit(&answer)) {
                if Instant::now() > until {
                    bail!("an edge keeps nothing");
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    /// From each acknowledgement to the last edge, the shortest first.
    fn measure(&self, loaded: bool) -> Result<Vec<Duration>> {
        let stop = Stop(Arc::default());
        let seen: Vec<Arc<AtomicU64>> = self.edges.iter().map(|_| Arc::default()).collect();
        let mut tasks = Vec::new();
        for (edge, seen) in self.edges.iter().zip(&seen) {
            tasks.push(stop.looks(edge.port(), seen.clone()));
            if loaded {
                tasks.push(stop.reads(edge.port()));
            }
        }
        if loaded {
            for node in 0..2 {
                tasks.push(stop.writes(self.nodes[node % self.nodes.len()].port(), self.token.clone()));
            }
        }
        let began = Instant::now();
        let mut times = Vec::new();
        for version in 1..=WRITES {
            let node = &self.nodes[version as usize % self.nodes.len()];
            // What was measured before is another number.
            let version = version + if loaded { WRITES } else { 0 };
            send(
                &node.client(),
                "PATCH",
                &format!("{RECORDS}/{ID}"),
                &json!({"version": version}),
                &self.token,
            )?;
            let acknowledged = Instant::now();
            while seen.iter().any(|seen| seen.load(Ordering::Acquire) < version) {
                if acknowledged.elapsed() > LATE {
                    bail!("an edge still serves what was before {:?} ago", LATE);
                }
                std::thread::sleep(Duration::from_micros(100));
            }
            times.push(acknowledged.elapsed());
            std::thread::sleep(PAUSE);
        }
        eprintln!("{} writes in {:?}", times.len(), began.elapsed());
        drop(stop);
        for task in tasks {
            let _ = task.join();
        }
        times.sort_unstable();
        Ok(times)
    }
}

/// Ends what goes on beside the writes.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Stop {
    fn spawn(&self, mut step: impl FnMut() + Send + 'static) -> JoinHandle<()> {
        let stop = self.0.clone();
        std::thread::spawn(move || {
            while !stop.load(Ordering::Acquire) {
                step();
            }
        })
    }

    fn looks(&self, port: u16, seen: Arc<AtomicU64>) -> JoinHandle<()> {
        let client = Client::new(port);
        self.spawn(move || {
            let answer = client.send(&Request::get(&format!("{RECORDS}/{ID}")));
            if let Ok(Some(version)) = answer.map(|answer| answer.json()["version"].as_u64()) {
                seen.fetch_max(version, Ordering::AcqRel);
            }
            std::thread::sleep(LOOK);
        })
    }

    fn reads(&self, port: u16) -> JoinHandle<()> {
        let client = Client::new(port);
        let mut next = 0;
        self.spawn(move || {
            next = (next + 1) % OTHERS;
            let path = if next == 0 { RECORDS.to_owned() } else { format!("{RECORDS}/{}", other(next)) };
            let _ = client.send(&Request::get(&path));
        })
    }

    fn writes(&self, port: u16, token: String) -> JoinHandle<()> {
        let client = Client::new(port);
        let mut count = 0;
        self.spawn(move || {
            count += 1;
            let path = format!("{RECORDS}/{}", other(count % OTHERS));
            let _ = client.send(&Request::json("PATCH", &path, &json!({"version": count})).token(&token));
        })
    }
}

fn other(index: usize) -> String {
    format!("other{index:010}")
}

fn send(client: &Client, method: &str, path: &str, body: &serde_json::Value, token: &str) -> Result<()> {
    let answer = client.send(&Request::json(method, path, body).token(token))?;
    if answer.status >= 300 {
        bail!("{method} {path}: {} {}", answer.status, answer.text());
    }
    Ok(())
}
