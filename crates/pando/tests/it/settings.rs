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

/// A superuser from elsewhere is refused before anything comes of the login: no place is remembered and nobody told.
fn barred(engine: Engine) {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(engine);
    let server = candidate.program.start(&dir.path().join("data")).unwrap();
    let token = server.superuser_token().unwrap();
    let (email, password) = testkit::server::SUPERUSER;
    let form = json!({"identity": email, "password": password});
    let login = |from: &str, agent: &str| {
        let request = Request::json("POST", "/api/collections/_superusers/auth-with-password", &form)
            .header("X-Forwarded-For", from)
            .header("User-Agent", agent);
        server.client().send(&request).unwrap()
    };
    let origins = || {
        let request = Request::get("/api/collections/_authOrigins/records").token(&token);
        server.client().send(&request.header("X-Forwarded-For", "192.0.2.1")).unwrap().at("/totalItems")
    };
    let mails = || -> Vec<String> {
        let found = std::fs::read_dir(dir.path().join("data/outbox")).into_iter().flatten().flatten();
        found.map(|mail| std::fs::read_to_string(mail.path()).unwrap_or_default()).collect()
    };
    let proxy = json!({"headers": ["X-Forwarded-For"]});
    set(&server, &json!({"trustedProxy": proxy, "superuserIPs": ["192.0.2.0/24"]}));
    let known = origins();
    assert!(known.is_some());

    let refused = login("198.51.100.7", "barred");
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert_eq!(refused.at("/message").unwrap(), "You are not allowed to perform this request.");
    assert_eq!(refused.at("/token"), None);
    assert_eq!(origins(), known);
    let wrong = Request::json(
        "POST",
        "/api/collections/_superusers/auth-with-password",
        &json!({"identity": email, "password": "wrong"}),
    );
    let wrong = server.client().send(&wrong.header("X-Forwarded-For", "198.51.100.7")).unwrap();
    assert_eq!(wrong.status, 400, "{}", wrong.text());

    assert_eq!(login("192.0.2.9", "admitted").status, 200);
    assert_ne!(origins(), known);
    until("the alert of the admitted one comes", || mails().iter().any(|mail| mail.contains("192.0.2.9")));
    assert!(mails().iter().all(|mail| !mail.contains("198.51.100.7")), "{:?}", mails());
}

#[test]
fn superusers_from_elsewhere_leave_nothing_behind_on_sqlite() {
    barred(Engine::Sqlite);
}

#[test]
fn superusers_from_elsewhere_leave_nothing_behind_on_postgres() {
    barred(Engine::Postgres);
}
