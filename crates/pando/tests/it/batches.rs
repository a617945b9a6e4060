//! Batches are wholly there or not at all: writers send them while the server is killed. Every acknowledged one must be
//! found, and of those whose answer never came no half.
//!
//! `PANDO_DURABILITY_ROUNDS` sets the number of kills.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::fuzz::Random;
use testkit::pando::Engine;
use testkit::{Client, Request, Server};

use crate::candidate::{Candidate, as_superuser};
use crate::durability::finished;

const WRITERS: usize = 4;
/// Records that each batch creates, beside the one that it changes and the one that it deletes.
const CREATED: usize = 20;
const RECORDS: &str = "/api/collections/w/records";
const WAIT: Duration = Duration::from_secs(30);

fn rounds() -> usize {
    std::env::var("PANDO_DURABILITY_ROUNDS").ok().and_then(|v| v.parse().ok()).unwrap_or(6)
}

/// What stands in the database of one writer's batches.
#[derive(Default)]
struct Found {
    /// Records of each batch.
    created: HashMap<u64, usize>,
    /// The number of the last batch, which each writes into one record.
    last: u64,
    /// The batch whose marker is there; each deletes the one before.
    markers: Vec<u64>,
}

#[test]
fn are_whole_after_a_kill_on_sqlite() {
    run(Engine::Sqlite);
}

#[test]
fn are_whole_after_a_kill_on_postgres() {
    run(Engine::Postgres);
}

fn run(engine: Engine) {
    let candidate = Candidate::new(engine);
    let dir = tempfile::tempdir().unwrap();
    let mut server = candidate.program.start(&dir.path().join("data")).unwrap();
    prepare(&server);
    let mut random = Random(7);
    let mut last = [0; WRITERS];
    let mut acknowledged = 0;
    for round in 0..rounds() {
        let port = server.port();
        // Others may work on PostgreSQL: who was killed counts as one of them for a while, and lets the first write wait.
        let unknown_ms = if candidate.postgres.is_some() { 1_100 } else { 0 };
        let pause = Duration::from_millis(unknown_ms + 100 + random.below(300) as u64);
        let before = last;
        let writers: Vec<_> = before
            .into_iter()
            .enumerate()
            .map(|(n, from)| std::thread::spawn(move || write(n, from, port)))
            .collect();
        std::thread::sleep(pause);
        server.kill();
        for (last, writer) in last.iter_mut().zip(writers) {
            *last = writer.join().unwrap();
        }
        if let Some(postgres) = &candidate.postgres {
            finished(postgres);
        }
        server.restart().unwrap();
        for (n, last) in last.iter_mut().enumerate() {
            acknowledged += *last - before[n];
            let found = read(&server, n);
            check(&found, *last, &format!("round {round}, writer {n}"));
            // The one in doubt was written or was not; the writer goes on after it.
            *last = found.last;
        }
    }
    println!("batches: {acknowledged} acknowledged over {} kills, all whole", rounds());
    assert!(acknowledged > rounds() as u64, "too few batches to prove anything");
}

fn check(found: &Found, acknowledged: u64, label: &str) {
    let Found { created, last, markers } = found;
    assert!(*last == acknowledged || *last == acknowledged + 1, "{label}: {last} after {acknowledged}");
    for batch in 1..=*last {
        assert_eq!(created.get(&batch), Some(&CREATED), "{label}: batch {batch} of {last}");
    }
    assert_eq!(created.len() as u64, *last, "{label}: records of a batch that is not there");
    assert_eq!(markers, &[*last], "{label}: what the batch deletes and creates does not fit");
}

fn prepare(server: &Server) {
    let settings = json!({"batch": {"enabled": true, "maxRequests": 50, "timeout": 10}});
    let fields = json!([
        {"name": "writer", "type": "number"},
        {"name": "batch", "type": "number"},
        {"name": "kind", "type": "text"},
    ]);
    let collection = json!({
        "name": "w", "type": "base", "listRule": "", "createRule": "", "updateRule": "", "deleteRule": "",
        "fields": fields,
    });
    for (method, path, body) in
        [("PATCH", "/api/settings", settings), ("POST", "/api/collections", collection)]
    {
        as_superuser(server, method, path, &body);
    }
    for n in 0..WRITERS {
        for kind in ["last", "marker"] {
            let body = json!({"id": id(n, kind, 0), "writer": n, "kind": kind});
            assert_eq!(server.client().send(&Request::json("POST", RECORDS, &body)).unwrap().status, 200);
        }
    }
}

/// Fifteen letters and digits.
fn id(writer: usize, kind: &str, batch: u64) -> String {
    format!("w{writer}{kind:x<6}{batch:07}")
}

/// Sends batches until one fails; the number of the last that was acknowledged.
fn write(n: usize, from: u64, port: u16) -> u64 {
    let client = Client::new(port).with_timeout(Duration::from_secs(15));
    for batch in from + 1.. {
        match client.send(&Request::json("POST", "/api/batch", &requests(n, batch))) {
            Ok(answer) if answer.status == 200 => {}
            Ok(answer) if answer.status < 500 => panic!("{} {}", answer.status, answer.text()),
            _ => return batch - 1,
        }
    }
    unreachable!("numbers do not end")
}

fn requests(n: usize, batch: u64) -> Value {
    let create = |kind: &str, id: Option<String>| {
        let mut body = json!({"writer": n, "batch": batch, "kind": kind});
        if let Some(id) = id {
            body["id"] = id.into();
        }
        json!({"method": "POST", "url": RECORDS, "body": body})
    };
    let one = |kind: &str, batch: u64| format!("{RECORDS}/{}", id(n, kind, batch));
    let mut all = vec![json!({"method": "PATCH", "url": one("last", 0), "body": {"batch": batch}})];
    all.extend((0..CREATED).map(|_| create("created", None)));
    all.push(create("marker", Some(id(n, "marker", batch))));
    all.push(json!({"method": "DELETE", "url": one("marker", batch - 1)}));
    json!({ "requests": all })
}

fn read(server: &Server, n: usize) -> Found {
    let mut found = Found::default();
    for page in 1.. {
        let path = format!("{RECORDS}?perPage=1000&page={page}&skipTotal=1&sort=id&filter=writer={n}");
        let until = Instant::now() + WAIT;
        // A server whose database just came back may need a moment.
        let items = loop {
            match server.client().send(&Request::get(&path)) {
                Ok(answer) if answer.status == 200 => {
                    break answer.json()["items"].as_array().cloned().unwrap();
                }
                other => assert!(Instant::now() < until, "no list after the restart: {other:?}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        if items.is_empty() {
            break;
        }
        for item in items {
            let batch = item["batch"].as_f64().unwrap() as u64;
            match item["kind"].as_str().unwrap() {
                "created" => *found.created.entry(batch).or_default() += 1,
                "last" => found.last = batch,
                _ => found.markers.push(batch),
            }
        }
    }
    found
}

#[test]
fn half_a_batch_would_be_found() {
    let whole = || Found { created: [(1, CREATED), (2, CREATED)].into(), last: 2, markers: vec![2] };
    let fails = |found: Found, acknowledged| {
        std::panic::catch_unwind(move || check(&found, acknowledged, "planted")).is_err()
    };
    assert!(!fails(whole(), 2));
    assert!(!fails(whole(), 1), "the one in doubt was written");
    assert!(fails(whole(), 3), "an acknowledged one is lost");
    assert!(fails(Found { created: [(1, CREATED), (2, CREATED - 1)].into(), ..whole() }, 2));
    assert!(fails(Found { last: 1, ..whole() }, 1));
    assert!(fails(Found { markers: vec![1, 2], ..whole() }, 2));
}
