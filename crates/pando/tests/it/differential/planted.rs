//! The judge is judged: two copies of the reference are equal, and a planted difference is found and named.

use testkit::oracle;
use testkit::{Request, judge};

const SOURCE: &str = r#"
scenario planted
as superuser
POST /api/collections {"name":"p","type":"base","listRule":"","fields":[{"name":"t","type":"text"}]}
GET /api/collections/p/records
GET /api/collections/users
GET /api/collections/p/records?filter=t = 'x'
"#;

#[test]
fn a_planted_record_and_a_planted_rule_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let program = oracle::program().unwrap();
    let reference = program.start(&dir.path().join("a")).unwrap();
    let candidate = program.start(&dir.path().join("b")).unwrap();
    let token = candidate.superuser_token().unwrap();
    let send = |method: &str, path: &str, body: serde_json::Value| {
        let answer = candidate.client().send(&Request::json(method, path, &body).token(&token)).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    send("PATCH", "/api/collections/users", serde_json::json!({"listRule": ""}));
    send("POST", "/api/collections", serde_json::json!({"name": "q", "type": "base"}));
    send("PATCH", "/api/collections/q", serde_json::json!({"name": "p"}));
    let outcome = judge::run("planted", SOURCE, &reference, &candidate);
    assert_eq!(outcome.steps, 4);
    // The collection exists already on one side; so its create, its filter and the rule differ.
    let found = outcome.failures.join("\n");
    assert_eq!(outcome.failures.len(), 3, "{found}");
    assert!(found.contains("/listRule") && found.contains("validation_collection_name_exists"), "{found}");
}
