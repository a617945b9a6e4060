//! Changes that are relative to what a record holds (`n+`, `list+`) all count when many are made at once: those that
//! were acknowledged are there, and bounds hold.

use serde_json::json;
use testkit::pando::Engine;
use testkit::{Request, Server};

use crate::candidate::{Candidate, as_superuser};

const CALLERS: usize = 6;
const CHANGES: usize = 10;
const ACCOUNTS: usize = 6;
/// Fewer than are asked for.
const STOCK: usize = CALLERS * CHANGES / 2;
const RECORD: &str = "/api/collections/m/records/onerecord000001";

#[test]
fn at_once_on_sqlite() {
    run(Engine::Sqlite);
}

#[test]
fn at_once_on_postgres() {
    run(Engine::Postgres);
}

#[test]
fn batches_that_meet_on_sqlite() {
    batches(Engine::Sqlite);
}

#[test]
fn batches_that_meet_on_postgres() {
    batches(Engine::Postgres);
}

/// Batches that change the same few records wait for each other; none is refused for it.
fn batches(engine: Engine) {
    let candidate = Candidate::new(engine);
    let dir = tempfile::tempdir().unwrap();
    let server = candidate.program.start(&dir.path().join("data")).unwrap();
    let settings = json!({"batch": {"enabled": true, "maxRequests": 50, "timeout": 30}});
    as_superuser(&server, "PATCH", "/api/settings", &settings);
    let collection = json!({
        "name": "m", "type": "base", "listRule": "", "viewRule": "", "createRule": "", "updateRule": "",
        "fields": [{"name": "balance", "type": "number"}],
    });
    as_superuser(&server, "POST", "/api/collections", &collection);
    let account = |n: usize| format!("account{n:08}");
    for n in 0..ACCOUNTS {
        as_superuser(&server, "POST", "/api/collections/m/records", &json!({"id": account(n)}));
    }
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let server = &server;
            scope.spawn(move || {
                let client = server.client();
                for n in 0..CHANGES {
                    let one = |n: usize| format!("/api/collections/m/records/{}", account(n % ACCOUNTS));
                    let (from, to) = (one(caller + n), one(caller + n * 2 + 1));
                    let body = json!({"requests": [
                        {"method": "PATCH", "url": from, "body": {"balance-": 1}},
                        {"method": "POST", "url": "/api/collections/m/records", "body": {}},
                        {"method": "PATCH", "url": to, "body": {"balance+": 1}},
                    ]});
                    let answer = client.send(&Request::json("POST", "/api/batch", &body)).unwrap();
                    assert_eq!(answer.status, 200, "{}", answer.text());
                }
            });
        }
    });
    let found = server.client().send(&Request::get("/api/collections/m/records?perPage=500")).unwrap().json();
    let items = found["items"].as_array().unwrap();
    assert_eq!(items.len(), ACCOUNTS + CALLERS * CHANGES);
    assert_eq!(items.iter().map(|item| item["balance"].as_f64().unwrap()).sum::<f64>(), 0.0);
}

fn run(engine: Engine) {
    let candidate = Candidate::new(engine);
    let dir = tempfile::tempdir().unwrap();
    let server = candidate.program.start(&dir.path().join("data")).unwrap();
    let values: Vec<String> = (0..CALLERS * CHANGES).map(|n| format!("v{n}")).collect();
    let collection = json!({
        "name": "m", "type": "base", "viewRule": "", "createRule": "", "updateRule": "", "fields": [
            {"name": "count", "type": "number"},
            {"name": "stock", "type": "number", "min": 0},
            {"name": "list", "type": "select", "values": values, "maxSelect": values.len()},
        ],
    });
    as_superuser(&server, "POST", "/api/collections", &collection);
    let record = json!({"id": "onerecord000001", "stock": STOCK});
    as_superuser(&server, "POST", "/api/collections/m/records", &record);
    let done: Vec<[usize; 3]> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|n| {
                scope.spawn({
                    let server = &server;
                    move || change(server, n)
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    let sum = |at: usize| done.iter().map(|done| done[at]).sum::<usize>();
    let found = server.client().send(&Request::get(RECORD)).unwrap().json();
    assert_eq!(sum(0), CALLERS * CHANGES, "a number without bounds takes all");
    assert_eq!(found["count"], json!(CALLERS * CHANGES));
    assert_eq!(found["stock"], json!(STOCK - sum(1)), "{} were taken", sum(1));
    assert_eq!(found["list"].as_array().unwrap().len(), sum(2));
    assert!(sum(1) > 0 && sum(2) > 0);
}

/// How many of each change were acknowledged. Those that meet too many others are refused.
fn change(server: &Server, caller: usize) -> [usize; 3] {
    let client = server.client();
    let mut done = [0; 3];
    for n in 0..CHANGES {
        let value = format!("v{}", caller * CHANGES + n);
        let changes = [json!({"count+": 1}), json!({"stock-": 1}), json!({"list+": value})];
        for (done, body) in done.iter_mut().zip(changes) {
            let answer = client.send(&Request::json("PATCH", RECORD, &body)).unwrap();
            match answer.status {
                200 => *done += 1,
                400 | 409 => {}
                other => panic!("{other}: {}", answer.text()),
            }
        }
    }
    done
}
