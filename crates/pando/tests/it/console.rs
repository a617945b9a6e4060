//! The SQL console beside everything else: what never ends is ended, and nobody waits for it meanwhile.

use std::time::Duration;

use serde_json::json;
use testkit::pando::{self, Engine};
use testkit::{Client, Request};

use crate::candidate::{Candidate, as_superuser};

const RECORDS: &str = "/api/collections/w/records";
/// Far beyond what a statement is given.
const PATIENCE: Duration = Duration::from_secs(180);
const ENDLESS: &str = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT count(*) FROM n";

fn an_endless_query_ends(engine: Engine) {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(engine);
    let server = candidate.program.start(&dir.path().join("data")).unwrap();
    let token = server.superuser_token().unwrap();
    let collection = json!({
        "name": "w", "type": "base", "listRule": "", "viewRule": "", "createRule": "",
        "fields": [{"name": "n", "type": "number"}],
    });
    as_superuser(&server, "POST", "/api/collections", &collection);

    let query = Request::json("POST", "/api/sql", &json!({"query": ENDLESS})).token(&token);
    let port = server.port();
    let endless = std::thread::spawn(move || Client::new(port).with_timeout(PATIENCE).send(&query).unwrap());
    let mut meanwhile = 0;
    while !endless.is_finished() {
        let made = server.client().send(&Request::json("POST", RECORDS, &json!({"n": 1}))).unwrap();
        assert_eq!(made.status, 200, "{}", made.text());
        for path in [format!("{RECORDS}/{}", made.at("/id").unwrap()), format!("{RECORDS}?perPage=1")] {
            assert_eq!(server.client().send(&Request::get(&path)).unwrap().status, 200);
        }
        if !endless.is_finished() {
            meanwhile += 1;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let ended = endless.join().unwrap();
    assert_eq!(ended.status, 400, "{}", ended.text());
    assert!(meanwhile > 0, "nobody was answered while it ran");
    let next = Request::json("POST", "/api/sql", &json!({"query": "SELECT 1 AS one"})).token(&token);
    let next = server.client().send(&next).unwrap();
    assert_eq!(next.status, 200, "{}", next.text());
}

#[test]
fn an_endless_query_ends_on_sqlite() {
    an_endless_query_ends(Engine::Sqlite);
}

#[test]
fn an_endless_query_ends_on_postgres() {
    an_endless_query_ends(Engine::Postgres);
}
