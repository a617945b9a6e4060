//! Deletes of records on which more depends than one commit can hold: the rest follows as a job, or nothing goes.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::Request;
use testkit::pando::Engine;

use crate::candidate::{Candidate, as_superuser};

const MANY: usize = 10_100;

#[test]
fn large_ones_are_followed_or_refused() {
    let candidate = Candidate::new(Engine::Postgres);
    let Some(postgres) = &candidate.postgres else { return };
    let database = candidate.program.data.as_deref().and_then(|url| url.rsplit('/').next()).unwrap();
    let sql = |sql: &str| postgres.sql(database, sql).expect("psql").trim().to_owned();
    let dir = tempfile::tempdir().unwrap();
    let server = candidate.program.start(dir.path()).unwrap();
    let token = server.superuser_token().unwrap();
    let collection = |name: &str, fields: serde_json::Value| {
        let body = json!({"name": name, "type": "base", "fields": fields});
        as_superuser(&server, "POST", "/api/collections", &body).json()["id"].as_str().unwrap().to_owned()
    };
    let relation = |name: &str, to: &str, cascade: bool, required: bool| {
        json!([{"type": "relation", "name": name, "collectionId": to, "cascadeDelete": cascade,
                "required": required, "maxSelect": 1}])
    };
    let parents = collection("parents", json!([]));
    let children = collection("children", relation("parent", &parents, true, true));
    collection("grandchildren", relation("child", &children, true, false));
    let parent = |id: &str| {
        as_superuser(&server, "POST", "/api/collections/parents/records", &json!({"id": id}));
        sql(&format!(
            "INSERT INTO children (id, parent) SELECT 'c' || lpad(n::text, 14, '0'), '{id}' \
             FROM generate_series(1, {MANY}) AS n; \
             INSERT INTO grandchildren (id, child) SELECT 'g' || substr(id, 2), id FROM children LIMIT 100"
        ));
    };
    let delete = |id: &str| {
        let request = Request::new("DELETE", &format!("/api/collections/parents/records/{id}"));
        server.client().send(&request.token(&token)).unwrap()
    };
    let left = || sql("SELECT (SELECT count(*) FROM children) + (SELECT count(*) FROM grandchildren)");

    parent("parent000000001");
    let answer = delete("parent000000001");
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(sql("SELECT count(*) FROM parents"), "0");
    let until = Instant::now() + Duration::from_secs(240);
    while left() != "0" {
        assert!(Instant::now() < until, "{} are left: {}", left(), sql("SELECT * FROM _pando_jobs"));
        std::thread::sleep(Duration::from_millis(200));
    }

    // Where something may refuse to go, nothing does.
    collection("holders", relation("child", &children, false, true));
    parent("parent000000002");
    let answer = delete("parent000000002");
    assert!((400..500).contains(&answer.status), "{}: {}", answer.status, answer.text());
    assert_eq!(left(), (MANY + 100).to_string());
    assert_eq!(sql("SELECT count(*) FROM parents"), "1");
}
