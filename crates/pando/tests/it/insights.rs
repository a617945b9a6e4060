//! Business figures: who comes is noted once a day, counted by the database, and forgotten with the account.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use testkit::pando::{self, Engine};
use testkit::{Request, Server};

use crate::candidate::{Candidate, as_superuser};

const WAIT: Duration = Duration::from_secs(60);

fn figures(server: &Server, token: &str, days: u32) -> Json {
    let path = format!("/api/insights?collection=users&days={days}");
    let answer = server.client().send(&Request::get(&path).token(token)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_str(&answer.text()).unwrap()
}

fn rows(server: &Server, token: &str) -> Vec<Json> {
    let query = json!({"query": "SELECT collection, record, day FROM _pando_active ORDER BY id"});
    let answer = server.client().send(&Request::json("POST", "/api/sql", &query).token(token)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_str::<Json>(&answer.text()).unwrap()["rows"].as_array().unwrap().clone()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + WAIT;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn who_comes_is_counted(engine: Engine) {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(engine);
    let server = candidate.program.start(&dir.path().join("data")).unwrap();
    let token = server.superuser_token().unwrap();
    let mut users = Vec::new();
    for n in 0..3 {
        let account = json!({"email": format!("u{n}@test.test"), "password": "12345678", "passwordConfirm": "12345678"});
        let made = server
            .client()
            .send(&Request::json("POST", "/api/collections/users/records", &account).token(&token));
        users.push(made.unwrap().at("/id").unwrap().trim_matches('"').to_owned());
    }
    for (n, id) in users.iter().enumerate().take(2) {
        let user = server.login("users", &format!("u{n}@test.test"), "12345678").unwrap();
        for _ in 0..3 {
            let own = Request::get(&format!("/api/collections/users/records/{id}")).token(&user);
            assert_eq!(server.client().send(&own).unwrap().status, 200);
        }
    }
    let of_users = || {
        let all = rows(&server, &token);
        all.into_iter()
            .filter(|row| users.iter().any(|id| row.to_string().contains(id.as_str())))
            .collect::<Vec<_>>()
    };
    until("both are noted", || of_users().len() == 2);

    // Days that lie behind: u0 also came 8 days and 40 days ago, u2 three days ago.
    let today: i64 =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64 / 86_400;
    let schema = server.client().send(&Request::get("/api/collections/users").token(&token)).unwrap();
    let collection = schema.at("/id").unwrap().trim_matches('"').to_owned();
    for (user, ago) in [(0, 8), (0, 40), (2, 3)] {
        let (user, day) = (&users[user], today - ago);
        let query = format!(
            "INSERT INTO _pando_active (id, collection, record, day) VALUES ('{day}:{collection}:{user}', '{collection}', '{user}', {day})"
        );
        as_superuser(&server, "POST", "/api/sql", &json!({"query": query}));
    }
    let told = figures(&server, &token, 50);
    assert_eq!(told["total"], 3);
    assert_eq!(told["active"], json!({"day": 2, "week": 3, "month": 3}), "{told}");
    let days = told["days"].as_array().unwrap();
    assert_eq!(days.len(), 50);
    let on = |ago: usize| {
        let day = &days[49 - ago];
        [&day["active"], &day["week"], &day["month"]].map(|number| number.as_u64().unwrap())
    };
    assert_eq!(on(3), [1, 2, 2], "{told}");
    assert_eq!(on(8), [1, 1, 1]);
    assert_eq!(on(10), [0, 0, 0]);
    assert_eq!(on(11), [0, 0, 1]);
    assert_eq!(on(40), [1, 1, 1]);
    assert_eq!(days[49]["new"], 3);
    let cohorts = told["cohorts"].as_array().unwrap();
    let sizes: u64 = cohorts.iter().map(|cohort| cohort["size"].as_u64().unwrap()).sum();
    assert_eq!(sizes, 3);
    let first = cohorts[0]["back"].as_array().unwrap();
    assert_eq!(first.iter().map(|n| n.as_u64().unwrap()).sum::<u64>(), 3, "{told}");

    // Who is deleted leaves nothing.
    as_superuser(&server, "DELETE", &format!("/api/collections/users/records/{}", users[0]), &json!({}));
    assert_eq!(of_users().len(), 2);
    // Switched off, all goes and nothing comes.
    as_superuser(&server, "PATCH", "/api/settings/insight", &json!({"insights": {"enabled": false}}));
    assert!(rows(&server, &token).is_empty());
    assert_eq!(figures(&server, &token, 7)["enabled"], false);
    for bad in ["?collection=nowhere", "?days=0", "?days=400", "?days=x"] {
        let bad = Request::get(&format!("/api/insights{bad}")).token(&token);
        assert_eq!(server.client().send(&bad).unwrap().status, 400);
    }
}

#[test]
fn who_comes_is_counted_on_sqlite() {
    who_comes_is_counted(Engine::Sqlite);
}

#[test]
fn who_comes_is_counted_on_postgres() {
    who_comes_is_counted(Engine::Postgres);
}
