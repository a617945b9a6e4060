//! What was acknowledged is there after a crash. Writers create, change and delete records while the server is
//! killed; after the restart every acknowledged state must be found. A write whose answer never came may have
//! happened or not, but nothing else.
//!
//! `PANDO_DURABILITY_ROUNDS` sets the number of kills.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::fuzz::Random;
use testkit::pando::Engine;
use testkit::postgres::{Options, Postgres};
use testkit::{Client, Request, Server, fault};

use crate::candidate::Candidate;

const WRITERS: usize = 4;
const RECORDS: &str = "/api/collections/w/records";

/// The value of each living record.
type State = HashMap<String, i64>;

/// What one writer knows for certain, and the one write that it does not know of: an id, and the value that the
/// record would have, or none if it would be gone.
#[derive(Default)]
struct Knowledge {
    certain: State,
    doubt: Option<(String, Option<i64>)>,
    acknowledged: usize,
}

fn rounds() -> usize {
    std::env::var("PANDO_DURABILITY_ROUNDS").ok().and_then(|v| v.parse().ok()).unwrap_or(20)
}

#[test]
fn sqlite() {
    let candidate = Candidate::new(Engine::Sqlite);
    run(candidate, |_, server, _| server.kill());
}

#[test]
fn postgres() {
    let candidate = Candidate::with(Engine::Postgres, Options { fsync: true });
    run(candidate, |round, server, postgres| {
        let Some(postgres) = postgres else { return server.kill() };
        match round % 3 {
            0 => {
                server.kill();
                finished(postgres);
            }
            // The database goes and comes back under a running server, which must recover by itself.
            1 => postgres.restart().expect("PostgreSQL recovers"),
            _ => {
                fault::kill_9(postgres.pid());
                server.kill();
                postgres.restart().expect("PostgreSQL recovers");
            }
        }
    });
}

/// Waits until the database is done with what a killed server had sent it. Until then a write in doubt has neither
/// happened nor failed, and could still happen after the check that settles it.
pub(crate) fn finished(postgres: &Postgres) {
    let open = "select count(*) from pg_stat_activity where application_name = 'pando'";
    let until = Instant::now() + Duration::from_secs(20);
    while postgres.sql("postgres", open).unwrap().trim() != "0" {
        assert!(Instant::now() < until, "connections of a killed server stay open");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn run(mut candidate: Candidate, crash: impl Fn(usize, &mut Server, Option<&mut Postgres>)) {
    let dir = tempfile::tempdir().unwrap();
    let mut server = candidate.program.start(&dir.path().join("data")).unwrap();
    prepare(&server);
    let mut writers: Vec<Knowledge> = (0..WRITERS).map(|_| Knowledge::default()).collect();
    let mut random = Random(42);
    for round in 0..rounds() {
        let stop = AtomicBool::new(false);
        let port = server.port();
        let pause = Duration::from_millis(50 + random.below(250) as u64);
        std::thread::scope(|scope| {
            for (n, writer) in writers.iter_mut().enumerate() {
                let (stop, seed) = (&stop, random.number());
                scope.spawn(move || write(writer, n, round, Random(seed), port, stop));
            }
            std::thread::sleep(pause);
            // What the writers send while the server goes down is part of the test: they stop by failing.
            crash(round, &mut server, candidate.postgres.as_mut());
            stop.store(true, Ordering::Relaxed);
        });
        if !server.is_alive() {
            server.restart().unwrap();
        }
        let found = read_all(&server);
        for writer in &mut writers {
            check(round, writer, &found);
        }
        let known: usize = writers.iter().map(|w| w.certain.len()).sum();
        assert_eq!(found.len(), known, "round {round}: records that nobody wrote");
    }
    let acknowledged: usize = writers.iter().map(|w| w.acknowledged).sum();
    println!("durability: {acknowledged} acknowledged writes over {} kills, all found", rounds());
    assert!(acknowledged > rounds(), "too few writes to prove anything");
}

fn prepare(server: &Server) {
    let token = server.superuser_token().unwrap();
    let body = json!({
        "name": "w", "type": "base", "listRule": "", "viewRule": "", "createRule": "", "updateRule": "",
        "deleteRule": "", "fields": [{"name": "v", "type": "number"}],
    });
    let answer =
        server.client().send(&Request::json("POST", "/api/collections", &body).token(&token)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Writes until the server fails or the round is over.
fn write(known: &mut Knowledge, n: usize, round: usize, mut random: Random, port: u16, stop: &AtomicBool) {
    let client = Client::new(port).with_timeout(Duration::from_secs(10));
    for i in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let value = (random.number() % 1_000_000) as i64;
        let ids: Vec<&String> = known.certain.keys().take(16).collect();
        let (request, id, after) = match random.below(4) {
            0 | 1 => {
                let id = format!("w{n}r{round:03}i{i:08}");
                (Request::json("POST", RECORDS, &json!({"id": id, "v": value})), id, Some(value))
            }
            _ if ids.is_empty() => continue,
            2 => {
                let id = (*random.pick(&ids)).clone();
                (Request::json("PATCH", &format!("{RECORDS}/{id}"), &json!({"v": value})), id, Some(value))
            }
            _ => {
                let id = (*random.pick(&ids)).clone();
                (Request::new("DELETE", &format!("{RECORDS}/{id}")), id, None)
            }
        };
        match client.send(&request) {
            Ok(answer) if answer.status < 300 => {
                known.acknowledged += 1;
                match after {
                    Some(value) => known.certain.insert(id, value),
                    None => known.certain.remove(&id),
                };
            }
            // A refusal is an answer: it must not have been written. A failure leaves the write in doubt.
            Ok(answer) if answer.status < 500 => panic!("{request:?}: {} {}", answer.status, answer.text()),
            Ok(_) | Err(_) => {
                known.doubt = Some((id, after));
                return;
            }
        }
    }
}

fn check(round: usize, known: &mut Knowledge, found: &State) {
    if let Some((id, after)) = known.doubt.take() {
        let now = found.get(&id).copied();
        let before = known.certain.get(&id).copied();
        assert!(
            now == after || now == before,
            "round {round}: {id} is {now:?}, was {before:?}, asked {after:?}"
        );
        match now {
            Some(value) => known.certain.insert(id, value),
            None => known.certain.remove(&id),
        };
    }
    for (id, value) in &known.certain {
        assert_eq!(found.get(id), Some(value), "round {round}: the acknowledged state of {id} is lost");
    }
}

/// All records. A server whose database just came back may need a moment.
fn read_all(server: &Server) -> State {
    let client = server.client();
    let until = Instant::now() + Duration::from_secs(20);
    let mut state = State::new();
    let mut page = 1;
    loop {
        let path = format!("{RECORDS}?perPage=1000&page={page}&skipTotal=1&sort=id");
        let answer = client.send(&Request::get(&path));
        let items = match &answer {
            Ok(answer) if answer.status == 200 => answer.json()["items"].as_array().cloned(),
            _ => None,
        };
        let Some(items) = items else {
            assert!(Instant::now() < until, "no list after the restart: {answer:?}\n{}", server.log());
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        if items.is_empty() {
            return state;
        }
        for item in items {
            let id = item["id"].as_str().unwrap_or_default().to_owned();
            state.insert(id, item["v"].as_f64().map_or(-1, |v| v as i64));
        }
        page += 1;
    }
}

#[test]
fn a_lost_write_would_be_found() {
    let state = |value: Value| -> State {
        let pairs = value.as_object().cloned().unwrap_or_default();
        pairs.into_iter().map(|(id, v)| (id, v.as_i64().unwrap())).collect()
    };
    let lost = |doubt, found: Value| {
        let mut known = Knowledge { certain: state(json!({"a": 1, "b": 2})), doubt, acknowledged: 2 };
        std::panic::catch_unwind(move || check(0, &mut known, &state(found))).is_err()
    };
    assert!(!lost(None, json!({"a": 1, "b": 2})));
    assert!(lost(None, json!({"a": 1})));
    assert!(lost(None, json!({"a": 1, "b": 3})));
    assert!(!lost(Some(("b".into(), Some(3))), json!({"a": 1, "b": 3})));
    assert!(!lost(Some(("b".into(), None)), json!({"a": 1})));
    assert!(lost(Some(("b".into(), None)), json!({"a": 1, "b": 3})));
}
