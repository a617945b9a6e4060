//! What an editor of collections asks before anything is saved: what stands against a definition, what a view would yield,
//! and what an import would do. None of it leaves a trace.

use serde_json::{Value, json};
use testkit::pando::{self, Engine};
use testkit::{Request, Server};

use crate::candidate::{Candidate, as_superuser};

const CHECK: &str = "/api/collections/meta/check";
const PLAN: &str = "/api/collections/meta/plan";
const DRY_RUN: &str = "/api/collections/meta/dry-run-view";

fn asked(server: &Server, path: &str, body: &Value) -> Value {
    as_superuser(server, "POST", path, body).json()
}

/// The status and the message of what is refused.
fn refused(server: &Server, path: &str, body: &Value) -> (u16, String) {
    let token = server.superuser_token().unwrap();
    let answer = server.client().send(&Request::json("POST", path, body).token(&token)).unwrap();
    (answer.status, answer.text())
}

fn collections(server: &Server) -> Value {
    as_superuser(server, "GET", "/api/collections?perPage=500", &json!({})).json()["items"].clone()
}

fn nothing_is_written_on(engine: Engine) {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(engine);
    let server = candidate.program.start(&dir.path().join("data")).unwrap();
    let fields = json!([
        {"name": "title", "type": "text"},
        {"name": "score", "type": "number"},
        {"name": "live", "type": "bool"},
        {"name": "meta", "type": "json"},
    ]);
    as_superuser(&server, "POST", "/api/collections", &json!({"name": "trees", "fields": fields}));
    let record = json!({"title": "a", "score": 2.5, "live": true, "meta": {"of": ["x"]}});
    as_superuser(&server, "POST", "/api/collections/trees/records", &record);
    let before = collections(&server);

    // A definition: the rules of the one that is there, the fields of a new one.
    let change = json!({"id": "trees", "collection": {"listRule": "nothing = 1", "viewRule": "title != ''"}});
    let found = asked(&server, CHECK, &change);
    assert_eq!(found["data"]["listRule"]["code"], "validation_invalid_rule", "{found}");
    assert!(found["data"].get("viewRule").is_none(), "{found}");
    let fields = json!([{"name": "b", "type": "select"}, {"name": "", "type": "text"}]);
    let new = json!({"collection": {"name": "trees", "type": "auth", "fields": fields}});
    let found = asked(&server, CHECK, &new);
    assert_eq!(found["data"]["name"]["code"], "validation_collection_name_exists", "{found}");
    let at = |name: &str| {
        let fields = found["collection"]["fields"].as_array().unwrap();
        fields.iter().position(|field| field["name"] == name).unwrap().to_string()
    };
    assert_eq!(found["data"]["fields"][at("b")]["values"]["code"], "validation_required", "{found}");
    assert_eq!(found["data"]["fields"][at("")]["name"]["code"], "validation_required", "{found}");
    assert!(found["collection"]["authToken"].get("secret").is_none(), "secrets stay: {found}");
    let reserved = json!({"collection": {"name": "sqlite_x", "fields": []}});
    assert!(asked(&server, CHECK, &reserved)["data"]["name"].is_object());

    // A view: its fields and its first rows, in the types that they will have.
    let query = "SELECT id, title, score, live, meta, (1 + 1) AS two FROM trees;";
    let tried = asked(&server, DRY_RUN, &json!({"query": query}));
    let row = &tried["sample"][0];
    assert_eq!(row["score"], 2.5, "{tried}");
    assert_eq!(row["live"], true, "{tried}");
    assert_eq!(row["meta"], json!({"of": ["x"]}), "{tried}");
    assert_eq!(row["two"], 2, "{tried}");
    let types: Vec<&str> =
        tried["fields"].as_array().unwrap().iter().filter_map(|field| field["type"].as_str()).collect();
    assert_eq!(types, ["text", "text", "number", "bool", "json", "json"]);
    for hostile in [
        "",
        "SELECT id FROM nowhere",
        "SELECT id FROM trees; DROP TABLE trees",
        "SELECT id FROM trees) AS a; DELETE FROM trees; SELECT * FROM (SELECT id FROM trees",
        "DELETE FROM trees RETURNING id",
        "SELECT id FROM trees) --",
    ] {
        let (status, text) = refused(&server, DRY_RUN, &json!({"query": hostile}));
        assert_eq!(status, 400, "{hostile}: {text}");
    }

    // An import: what comes, what changes, what goes.
    let wanted = json!([
        {"name": "trees", "fields": [{"name": "title", "type": "text", "max": 9}]},
        {"name": "leaves", "fields": [{"name": "n", "type": "number"}]},
    ]);
    let plan = asked(&server, PLAN, &json!({"collections": wanted, "deleteMissing": true}));
    let items = plan["items"].as_array().unwrap();
    let named = |name: &str| {
        let is = |side: &Value| side["name"] == name;
        items.iter().find(|item| is(&item["before"]) || is(&item["after"])).unwrap()
    };
    assert!(named("leaves")["before"].is_null(), "{plan}");
    assert!(named("users")["after"].is_null(), "{plan}");
    let fields = |side: &Value| side["fields"].as_array().unwrap().len();
    assert!(fields(&named("trees")["after"]) < fields(&named("trees")["before"]), "{plan}");
    let broken = json!([{"name": "trees", "listRule": "nothing = 1"}]);
    let (status, text) = refused(&server, PLAN, &json!({"collections": broken}));
    assert!(status == 400 && text.contains("listRule"), "{text}");

    assert_eq!(collections(&server), before);
    let records = as_superuser(&server, "GET", "/api/collections/trees/records", &json!({})).json();
    assert_eq!(records["totalItems"], 1);
    // Asking is no deed.
    let deeds = as_superuser(&server, "GET", "/api/audit?filter=request~'meta/'", &json!({})).json();
    assert_eq!(deeds["totalItems"], 0, "{deeds}");
}

#[test]
fn nothing_is_written_by_asking_on_sqlite() {
    nothing_is_written_on(Engine::Sqlite);
}

#[test]
fn nothing_is_written_by_asking_on_postgres() {
    nothing_is_written_on(Engine::Postgres);
}

#[test]
fn providers_are_known_by_name() {
    if pando::is_oracle() {
        return;
    }
    let (candidate, dir) = (Candidate::new(Engine::Sqlite), tempfile::tempdir().unwrap());
    let server = candidate.program.start(dir.path()).unwrap();
    let path = "/api/collections/meta/oauth2-providers";
    let all = as_superuser(&server, "GET", path, &json!({})).json();
    let google = all.as_array().unwrap().iter().find(|one| one["name"] == "google").unwrap();
    assert_eq!(google["displayName"], "Google");
    assert_eq!(server.client().send(&Request::get(path)).unwrap().status, 401);
}
