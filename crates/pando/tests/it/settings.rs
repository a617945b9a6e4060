//! Settings and the request log where the reference cannot judge: several processes, and load.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::pando::{self, Engine};
use testkit::{Request, Server};

use crate::candidate::{Candidate, as_superuser};

const WAIT: Duration = Duration::from_secs(20);

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + WAIT;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn set(server: &Server, change: &serde_json::Value) {
    as_superuser(server, "PATCH", "/api/settings", change);
}

#[test]
fn other_processes_follow() {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(Engine::Postgres);
    let one = candidate.program.start(&dir.path().join("one")).unwrap();
    let other = candidate.program.serve(&dir.path().join("other")).unwrap();
    let token = one.superuser_token().unwrap();
    let status = || other.client().send(&Request::get("/api/health")).unwrap().status;

    let rules = json!([{"label": "/api/health", "duration": 3600, "maxRequests": 1}]);
    set(&one, &json!({"rateLimits": {"enabled": true, "rules": rules}}));
    until("the other process limits", || status() == 429);
    set(&one, &json!({"rateLimits": {"enabled": false}}));
    until("the other process does not limit any more", || status() == 200);

    // A superuser may come from elsewhere only, of whichever process it is asked.
    set(&one, &json!({"superuserIPs": ["192.0.2.1"]}));
    let settings = Request::get("/api/settings").token(&token);
    until("the other process refuses", || other.client().send(&settings).unwrap().status == 403);
}

fn load(engine: Engine) {
    const CLIENTS: usize = 4;
    const REQUESTS: usize = 500;
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(engine);
    let server = candidate.program.start(&dir.path().join("data")).unwrap();
    let token = server.superuser_token().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let client = server.client();
                for _ in 0..REQUESTS {
                    assert_eq!(client.send(&Request::get("/api/health?mark=load")).unwrap().status, 200);
                }
            });
        }
    });
    // However it was kept meanwhile, whoever asks is shown all of it.
    let count = |path: &str, pointer: &str| {
        let request = Request::get(&format!("{path}?filter=data.url~'mark=load'")).token(&token);
        server.client().send(&request).unwrap().at(pointer)
    };
    let all = (CLIENTS * REQUESTS).to_string();
    until("every entry is shown", || count("/api/logs", "/totalItems").as_deref() == Some(&all));
    let hours = Request::get("/api/logs/stats?filter=data.url~'mark=load'").token(&token);
    let hours = server.client().send(&hours).unwrap().json();
    let total: u64 = hours.as_array().unwrap().iter().map(|hour| hour["total"].as_u64().unwrap()).sum();
    assert_eq!(total.to_string(), all);
    let empty = Request::new("DELETE", "/api/logs").token(&token);
    assert_eq!(server.client().send(&empty).unwrap().status, 204);
    assert_eq!(count("/api/logs", "/totalItems").as_deref(), Some("0"));
}

#[test]
fn the_log_under_load_on_sqlite() {
    load(Engine::Sqlite);
}

#[test]
fn the_log_under_load_on_postgres() {
    load(Engine::Postgres);
}
