//! What superusers do is written down: with the write, whole, and without secrets.

use serde_json::{Value as Json, json};
use testkit::pando::{self, Engine};
use testkit::{Request, Server};

use crate::candidate::{Candidate, as_superuser};

/// Entries that the filter is for, the oldest first.
fn entries(server: &Server, token: &str, filter: &str) -> Vec<Json> {
    let filter: String = filter.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let path = format!("/api/audit?perPage=500&sort=created,id&filter={filter}");
    let answer = server.client().send(&Request::get(&path).token(token)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_str::<Json>(&answer.text()).unwrap()["items"].as_array().unwrap().clone()
}

fn what_superusers_do_is_written_down(engine: Engine) {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(engine);
    let server = candidate.program.start(&dir.path().join("data")).unwrap();
    let token = server.superuser_token().unwrap();
    let ask = |request: Request| server.client().send(&request.token(&token)).unwrap();

    let notes = json!({
        "name": "notes", "type": "base", "createRule": "", "updateRule": "",
        "fields": [{"name": "title", "type": "text"}, {"name": "hush", "type": "text", "hidden": true}],
    });
    as_superuser(&server, "POST", "/api/collections", &notes);
    let made = ask(Request::json(
        "POST",
        "/api/collections/notes/records",
        &json!({"title": "a", "hush": "SECRET1"}),
    )
    .header("x-request-id", "audit-1"));
    assert_eq!(made.status, 200, "{}", made.text());
    let id = made.at("/id").unwrap();
    let id = id.trim_matches('"');
    let path = format!("/api/collections/notes/records/{id}");
    assert_eq!(ask(Request::json("PATCH", &path, &json!({"title": "b", "hush": "SECRET2"}))).status, 200);
    // Nobody's write, and one that is refused.
    let guest = Request::json("PATCH", &path, &json!({"title": "guest"}));
    assert_eq!(server.client().send(&guest).unwrap().status, 200);
    assert_eq!(ask(Request::json("PATCH", "/api/collections/notes/records/nobody", &json!({}))).status, 404);
    assert_eq!(ask(Request::json("DELETE", &path, &json!({}))).status, 204);

    let all = entries(&server, &token, "collection = 'notes'");
    let actions: Vec<&str> = all.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["collection.create", "record.create", "record.update", "record.delete"]);
    let created = &all[1];
    assert_eq!(created["request"], "audit-1");
    assert_eq!(created["target"], id);
    assert_eq!(created["ip"], "127.0.0.1");
    assert!(created["email"].as_str().unwrap().contains('@') && created["node"] != "", "{created}");
    assert_eq!(created["changes"]["title"], json!({"after": "a"}));
    assert_eq!(created["changes"]["hush"], json!({"after": "******"}));
    assert_eq!(all[2]["changes"]["title"], json!({"before": "a", "after": "b"}));
    assert_eq!(all[3]["changes"]["title"], json!({"before": "guest"}));
    let failed = entries(&server, &token, "outcome = 'failed' && action = 'request'");
    assert_eq!(failed.last().unwrap()["status"], 404);
    assert_eq!(failed.last().unwrap()["target"], "PATCH /api/collections/notes/records/nobody");

    // Settings: what changed alone, and no password.
    as_superuser(
        &server,
        "PATCH",
        "/api/settings",
        &json!({"smtp": {"host": "mail.test", "password": "SECRET3"}}),
    );
    let settings = entries(&server, &token, "action = 'settings.update'");
    let changes = &settings.last().unwrap()["changes"];
    assert_eq!(changes["smtp.host"]["after"], "mail.test");
    assert_eq!(changes["smtp.password"]["after"], "******");
    assert_eq!(changes.as_object().unwrap().len(), 2, "{changes}");

    // A collection: the field that came.
    let fields = json!({"fields": [
        {"name": "title", "type": "text"}, {"name": "hush", "type": "text", "hidden": true}, {"name": "n", "type": "number"},
    ]});
    as_superuser(&server, "PATCH", "/api/collections/notes", &fields);
    let updated = entries(&server, &token, "action = 'collection.update'").pop().unwrap();
    assert_eq!(updated["changes"]["fields.n"]["after"]["type"], "number", "{updated}");

    // What commits nothing: before and after.
    let query = json!({"query": "SELECT 1 AS one"});
    assert_eq!(ask(Request::json("POST", "/api/sql", &query)).status, 200);
    let bad = json!({"query": "SELECT nonsense FROM nowhere"});
    assert_eq!(ask(Request::json("POST", "/api/sql", &bad)).status, 400);
    let ran = entries(&server, &token, "action = 'sql.run'");
    let told: Vec<(&str, &str)> =
        ran.iter().map(|e| (e["outcome"].as_str().unwrap(), e["detail"].as_str().unwrap())).collect();
    assert_eq!(
        told[..3],
        [
            ("begun", "SELECT 1 AS one"),
            ("done", "SELECT 1 AS one"),
            ("begun", "SELECT nonsense FROM nowhere")
        ]
    );
    assert_eq!(told[3].0, "failed");

    // Logins, good and bad.
    let bad = json!({"identity": "who@test.test", "password": "SECRET4"});
    let login = Request::json("POST", "/api/collections/_superusers/auth-with-password", &bad);
    assert_eq!(server.client().send(&login).unwrap().status, 400);
    let logins = entries(&server, &token, "action = 'login'");
    assert!(logins.iter().any(|entry| entry["outcome"] == "done" && entry["detail"] == "password"));
    let failed = logins.last().unwrap();
    assert_eq!(
        (&failed["outcome"], &failed["email"], &failed["actor"]),
        (&json!("failed"), &json!("who@test.test"), &json!(""))
    );

    // Impersonation.
    as_superuser(
        &server,
        "POST",
        "/api/collections/users/records",
        &json!({"email": "u@test.test", "password": "12345678", "passwordConfirm": "12345678"}),
    );
    let user = entries(&server, &token, "action = 'record.create' && collection = 'users'").pop().unwrap();
    assert_eq!(user["changes"]["password"]["after"], "******");
    let user = user["target"].as_str().unwrap().to_owned();
    let done = ask(Request::json("POST", &format!("/api/collections/users/impersonate/{user}"), &json!({})));
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(entries(&server, &token, "action = 'impersonate'")[0]["target"], user);

    // A batch that fails leaves no entry of what it undid.
    as_superuser(&server, "PATCH", "/api/settings", &json!({"batch": {"enabled": true, "maxRequests": 10}}));
    let before = entries(&server, &token, "collection = 'notes'").len();
    let batch = |last: &str| {
        json!({"requests": [
            {"method": "POST", "url": "/api/collections/notes/records", "body": {"title": "batched"}},
            {"method": "POST", "url": format!("/api/collections/{last}/records"), "body": {"title": "batched"}},
        ]})
    };
    assert_eq!(ask(Request::json("POST", "/api/batch", &batch("nowhere"))).status, 400);
    assert_eq!(entries(&server, &token, "collection = 'notes'").len(), before);
    assert_eq!(ask(Request::json("POST", "/api/batch", &batch("notes"))).status, 200);
    assert_eq!(entries(&server, &token, "collection = 'notes'").len(), before + 2);

    // Nobody else reads it, and nothing in it is secret.
    assert_eq!(server.client().send(&Request::get("/api/audit")).unwrap().status, 401);
    let whole = format!("{:?}", entries(&server, &token, ""));
    assert!(!whole.contains("SECRET") && !whole.contains("$2a$"), "{whole}");
}

#[test]
fn what_superusers_do_is_written_down_on_sqlite() {
    what_superusers_do_is_written_down(Engine::Sqlite);
}

#[test]
fn what_superusers_do_is_written_down_on_postgres() {
    what_superusers_do_is_written_down(Engine::Postgres);
}
