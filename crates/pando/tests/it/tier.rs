//! Several `pando web` that share records in Redis: nothing old is read, and no client is told, whatever happens to the
//! servers of the cache.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::nats::Nats;
use testkit::pando::Engine;
use testkit::redis::{Redis, Sentinels};
use testkit::server::Server;
use testkit::{Answer, Client, Request, exposition};

use crate::candidate::Candidate;

const WAIT: Duration = Duration::from_secs(60);

struct Nodes {
    nodes: Vec<Server>,
    token: String,
    _nats: Nats,
    candidate: Candidate,
    _dir: tempfile::TempDir,
}

impl Nodes {
    /// Two nodes that keep next to nothing themselves.
    fn start(redis: &str) -> Nodes {
        let mut candidate = Candidate::new(Engine::Postgres);
        candidate.program = candidate.program.role("web");
        let dir = tempfile::tempdir().unwrap();
        let nats = Nats::start(&dir.path().join("nats")).unwrap();
        let variables = [
            ("PANDO_BUS_URL", nats.url()),
            ("PANDO_CACHE_REDIS_URL", redis.to_owned()),
            ("PANDO_CACHE_RECORD_BYTES", "1".into()),
        ];
        for (name, value) in variables {
            candidate.program.variables.push((name.into(), value));
        }
        let nodes = vec![
            candidate.program.start(&dir.path().join("node0")).unwrap(),
            candidate.program.serve(&dir.path().join("node1")).unwrap(),
        ];
        let token = nodes[0].superuser_token().unwrap();
        let nodes = Nodes { nodes, token, _nats: nats, candidate, _dir: dir };
        let fields = json!([{"name": "n", "type": "number"}]);
        nodes.done(
            "POST",
            "/api/collections",
            &json!({"name": "notes", "type": "base", "fields": fields, "listRule": "", "viewRule": "",
                "createRule": "", "updateRule": "", "deleteRule": ""}),
        );
        nodes
    }

    fn done(&self, method: &str, path: &str, body: &Value) -> Answer {
        let request = Request::json(method, path, body).token(&self.token);
        let answer = self.nodes[0].client().send(&request).unwrap();
        assert!(answer.status < 300, "{path}: {} {}", answer.status, answer.text());
        answer
    }

    fn create(&self, n: u64) -> String {
        self.done("POST", "/api/collections/notes/records", &json!({"n": n})).at("/id").unwrap()
    }

    /// The sum of a metric's series, on all nodes, that have this label's value.
    fn figure(&self, name: &str, label: &str) -> f64 {
        let of = |node: &Server| {
            let answer = node.client().send(&Request::get("/metrics").token(&self.token)).unwrap();
            let families = exposition::parse(&answer.text()).unwrap();
            let series = families.get(name).map(|family| family.series.clone()).unwrap_or_default();
            let of = series.iter().filter(|((suffix, labels), _)| {
                suffix.is_empty() && (label.is_empty() || labels.iter().any(|(_, value)| value == label))
            });
            of.map(|(_, value)| value).sum::<f64>()
        };
        self.nodes.iter().map(of).sum()
    }

    fn hits(&self) -> f64 {
        self.figure("pando_cache_tier_looks_total", "hit")
    }

    /// Until records come from Redis again.
    fn wait_served(&self) {
        let before = self.hits();
        wait_for("records from Redis", || self.hits() > before + 20.0);
    }

    /// Writes at one node and reads at the other and at the same, while something else happens.
    fn under_load(&self, happens: impl FnOnce()) {
        let ids: Vec<String> = (0..3).map(|_| self.create(0)).collect();
        let acknowledged: Vec<AtomicU64> = ids.iter().map(|_| AtomicU64::new(0)).collect();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for (index, id) in ids.iter().enumerate() {
                let (acknowledged, over) = (&acknowledged, &over);
                scope.spawn(move || {
                    let clients = self.nodes.iter().map(Server::client).collect::<Vec<_>>();
                    let path = format!("/api/collections/notes/records/{id}");
                    let mut n = 0;
                    while !over.load(Ordering::Relaxed) {
                        n += 1;
                        let request = Request::json("PATCH", &path, &json!({"n": n}));
                        let answer = clients[n as usize % 2].send(&request).unwrap();
                        assert_eq!(answer.status, 200, "{}", answer.text());
                        acknowledged[index].store(n, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(n % 40));
                    }
                });
                for node in &self.nodes {
                    scope.spawn(move || {
                        let client = node.client();
                        while !over.load(Ordering::Relaxed) {
                            let known = acknowledged[index].load(Ordering::SeqCst);
                            let found = read(&client, id);
                            assert!(found >= known, "{found} is read after {known} was acknowledged");
                        }
                    });
                }
            }
            let stopped = StopAtEnd(&over);
            self.wait_served();
            happens();
            self.wait_served();
            drop(stopped);
        });
    }
}

/// Also when what happens fails, so that the threads end.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a record's number is. There is always an answer.
fn read(client: &Client, id: &str) -> u64 {
    let answer = client.send(&Request::get(&format!("/api/collections/notes/records/{id}"))).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["n"].as_u64().unwrap()
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + WAIT;
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn nothing_old_is_read_whatever_happens_to_redis() {
    let dir = tempfile::tempdir().unwrap();
    let mut redis = Redis::start(&dir.path().join("redis")).unwrap();
    let nodes = Nodes::start(&redis.url());
    nodes.under_load(|| {
        redis.ask(&["FLUSHALL"]).unwrap();
        nodes.wait_served();
        redis.daemon.freeze();
        std::thread::sleep(Duration::from_millis(500));
        redis.daemon.thaw();
        nodes.wait_served();
        redis.daemon.restart().unwrap();
    });
    assert!(nodes.figure("pando_cache_tier_generations_total", "") > 2.0);
}

#[test]
fn a_failover_of_redis_is_not_noticed_by_clients() {
    let dir = tempfile::tempdir().unwrap();
    let mut servers = Sentinels::start(dir.path()).unwrap();
    let nodes = Nodes::start(&servers.url());
    nodes.under_load(|| {
        let primary = servers.primary().unwrap();
        servers.servers[primary].daemon.kill();
    });
}

#[test]
fn a_schema_change_and_a_truncation_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let redis = Redis::start(&dir.path().join("redis")).unwrap();
    let nodes = Nodes::start(&redis.url());
    let id = nodes.create(7);
    let clients: Vec<Client> = nodes.nodes.iter().map(Server::client).collect();
    let before = nodes.hits();
    wait_for("hits", || {
        clients.iter().for_each(|client| assert_eq!(read(client, &id), 7));
        nodes.hits() > before
    });
    // The same column again, and empty.
    for fields in [json!([{"name": "m", "type": "number"}]), json!([{"name": "n", "type": "number"}])] {
        nodes.done("PATCH", "/api/collections/notes", &json!({"fields": fields}));
    }
    clients.iter().for_each(|client| assert_eq!(read(client, &id), 0));
    nodes.done("DELETE", "/api/collections/notes/truncate", &json!({}));
    let path = format!("/api/collections/notes/records/{id}");
    for client in &clients {
        assert_eq!(client.send(&Request::get(&path)).unwrap().status, 404);
    }
    // One who was known not to be there, and is.
    nodes.done("POST", "/api/collections/notes/records", &json!({"id": id, "n": 8}));
    clients.iter().for_each(|client| assert_eq!(read(client, &id), 8));
}

#[test]
fn a_thousand_who_miss_one_record_load_it_once() {
    let dir = tempfile::tempdir().unwrap();
    let redis = Redis::start(&dir.path().join("redis")).unwrap();
    let nodes = Nodes::start(&redis.url());
    let (warm, id) = (nodes.create(0), nodes.create(5));
    let warm_client = nodes.nodes[1].client();
    let before = nodes.hits();
    wait_for("hits", || read(&warm_client, &warm) == 0 && nodes.hits() > before);
    let misses = || nodes.figure("pando_cache_tier_looks_total", "miss");
    let before = misses();
    std::thread::scope(|scope| {
        for part in 0..20 {
            let (node, id) = (&nodes.nodes[part % 2], &id);
            scope.spawn(move || {
                let client = node.client();
                (0..50).for_each(|_| assert_eq!(read(&client, id), 5));
            });
        }
    });
    assert_eq!(misses(), before + 1.0);
}

#[test]
fn redis_may_be_missing_at_the_start_and_come_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut redis = Redis::start(&dir.path().join("redis")).unwrap();
    redis.daemon.kill();
    let nodes = Nodes::start(&redis.url());
    let id = nodes.create(3);
    let client = nodes.nodes[1].client();
    assert_eq!(read(&client, &id), 3);
    redis.daemon.restart().unwrap();
    let before = nodes.hits();
    wait_for("hits", || read(&client, &id) == 3 && nodes.hits() > before);
    drop(nodes.candidate);
}
