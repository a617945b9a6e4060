//! Changes that are relative to what a record holds (`n+`, `list+`) all count when many are made at once: those that
//! were acknowledged are there, and bounds hold.

use serde_json::json;
use testkit::pando::Engine;
use testkit::{Request, Server};

use crate::candidate::{Candidate, as_superuser};

const CALLERS: usize = 6;
const CHANGES: usize = 10;
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
