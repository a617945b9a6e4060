//! What shows the system, its figures, its logs and who uses it.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::pando::{self, Engine};
use testkit::{Request, Server};

use super::{browse, with_posts};
use crate::candidate::{Candidate, as_superuser};

/// Two nodes on one PostgreSQL, of which the browser's script kills the second.
#[test]
fn system_while_a_node_is_killed() {
    if pando::is_oracle() {
        return;
    }
    let (mut candidate, dir) = (Candidate::new(Engine::Postgres), tempfile::tempdir().unwrap());
    candidate.program = candidate.program.role("web");
    let first = candidate.program.start(&dir.path().join("0")).unwrap();
    let second = candidate.program.serve(&dir.path().join("1")).unwrap();
    let other = format!("http://127.0.0.1:{}", second.port());
    browse("system.mjs", &first, &[("OTHER", &other), ("OTHER_PID", &second.pid().to_string())]);
}

/// Entries are written after the answers that they are of.
fn wait_logged(server: &Server, count: u64) {
    let until = Instant::now() + Duration::from_secs(60);
    let token = server.superuser_token().unwrap();
    let asked = Request::get("/api/logs?perPage=1&filter=data.url~'nowhere'").token(&token);
    while server.client().send(&asked).unwrap().json()["totalItems"] != count {
        assert!(Instant::now() < until, "not {count} entries are in the log");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Entries of the audit log, more than an export takes; many at the same time.
const MANY: &str = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 100002) \
    INSERT INTO _pando_audit (id, created, actor, email, ip, request, node, action, collection, target, outcome, status, detail, changes) \
    SELECT printf('many%010d', i), printf('2026-01-01 10:00:%02d.000Z', i / 2000), '', '', '', '', '', 'many', '', '', 'done', 0, '', '{}' FROM n";

#[test]
fn logs() {
    with_posts(|server| {
        for n in 0..30 {
            let missing = Request::get(&format!("/api/collections/nowhere/records?n={n}"));
            assert_eq!(server.client().send(&missing).unwrap().status, 404);
            assert_eq!(server.client().send(&Request::get("/api/health")).unwrap().status, 200);
        }
        wait_logged(server, 30);
        let record = json!({"id": "aaaaaaaaaaaaaaa", "title": "a red tree"});
        as_superuser(server, "POST", "/api/collections/posts/records", &record);
        let change = json!({"title": "a green tree"});
        as_superuser(server, "PATCH", "/api/collections/posts/records/aaaaaaaaaaaaaaa", &change);
        as_superuser(server, "POST", "/api/sql", &json!({"query": MANY}));
        browse("logs.mjs", server, &[]);
    });
}

#[test]
fn alerts_and_insights() {
    with_posts(|server| {
        let account =
            json!({"email": "a@example.com", "password": "12345678", "passwordConfirm": "12345678"});
        as_superuser(server, "POST", "/api/collections/users/records", &account);
        let login = json!({"identity": "a@example.com", "password": "12345678"});
        let path = "/api/collections/users/auth-with-password";
        let answer = server.client().send(&Request::json("POST", path, &login)).unwrap().json();
        let token = answer["token"].as_str().unwrap();
        let own = format!("/api/collections/users/records/{}", answer["record"]["id"].as_str().unwrap());
        assert_eq!(server.client().send(&Request::get(&own).token(token)).unwrap().status, 200);
        browse("watching.mjs", server, &[]);
    });
}
