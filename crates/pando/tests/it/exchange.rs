//! Exports and imports of records: what goes out comes back, what is wrong is told by its line, and a server that is
//! killed half way imports every row once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::pando::{self, Engine};
use testkit::{Answer, Request, Server, fixtures};

use crate::candidate::Candidate;
use crate::files::form;

const WAIT: Duration = Duration::from_secs(120);

struct Bench {
    server: Server,
    token: String,
    _candidate: Candidate,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn start(engine: Engine) -> Option<Bench> {
        if pando::is_oracle() {
            return None;
        }
        let (candidate, dir) = (Candidate::new(engine), tempfile::tempdir().unwrap());
        let server = candidate.program.start(&dir.path().join("data")).unwrap();
        let token = server.superuser_token().unwrap();
        Some(Bench { server, token, _candidate: candidate, _dir: dir })
    }

    fn send(&self, request: Request) -> Answer {
        self.server.client().send(&request.token(&self.token)).unwrap()
    }

    fn get(&self, path: &str) -> Answer {
        let answer = self.send(Request::get(path));
        assert!(answer.status < 300, "{path}: {}", answer.text());
        answer
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        let answer = self.send(Request::json("POST", path, body));
        assert!(answer.status < 300, "{path}: {}", answer.text());
        answer
    }

    fn ended(&self, path: &str) -> Value {
        let until = Instant::now() + WAIT;
        loop {
            let found = self.get(path).json();
            if found["state"] == json!("done") || found["state"] == json!("failed") {
                return found;
            }
            assert!(Instant::now() < until, "{found}\n{}", self.server.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn export(&self, body: &Value) -> (Value, String) {
        let begun = self.post("/api/exports", body);
        assert_eq!(begun.status, 202);
        let path = format!("/api/exports/{}", begun.at("/id").unwrap());
        let done = self.ended(&path);
        assert_eq!(done["state"], json!("done"), "{done}");
        let text = self.get(&format!("{path}/file")).text();
        assert_eq!(done["size"], json!(text.len()));
        (done, text)
    }

    fn begin_import(&self, collection: &str, format: &str, mode: &str, text: &str) -> Answer {
        let parts: [(&str, Option<&str>, &[u8]); 4] = [
            ("collection", None, collection.as_bytes()),
            ("format", None, format.as_bytes()),
            ("mode", None, mode.as_bytes()),
            ("file", Some("rows.txt"), text.as_bytes()),
        ];
        let (kind, body) = form(&parts);
        self.send(Request::new("POST", "/api/imports").body(&kind, body))
    }

    fn import(&self, collection: &str, format: &str, mode: &str, text: &str) -> Value {
        let begun = self.begin_import(collection, format, mode, text);
        assert_eq!(begun.status, 202, "{}", begun.text());
        self.ended(&format!("/api/imports/{}", begun.at("/id").unwrap()))
    }

    /// Every record without what belongs to its collection or to the moment.
    fn records(&self, collection: &str) -> BTreeMap<String, Value> {
        let found = self.get(&format!("/api/collections/{collection}/records?perPage=1000")).json();
        let items = found["items"].as_array().unwrap().iter().map(|item| {
            let mut item = item.clone();
            for key in ["collectionId", "collectionName", "made", "file"] {
                item.as_object_mut().unwrap().remove(key);
            }
            (item["id"].as_str().unwrap().to_owned(), item)
        });
        items.collect()
    }
}

fn fields(tags: &str) -> Value {
    json!([
        {"name": "title", "type": "text"}, {"name": "html", "type": "editor"},
        {"name": "count", "type": "number"}, {"name": "on", "type": "bool"},
        {"name": "mail", "type": "email"}, {"name": "link", "type": "url"},
        {"name": "day", "type": "date"}, {"name": "made", "type": "autodate", "onCreate": true},
        {"name": "one", "type": "select", "values": ["a", "b"]},
        {"name": "many", "type": "select", "values": ["a", "b", "c"], "maxSelect": 3},
        {"name": "file", "type": "file"}, {"name": "any", "type": "json"}, {"name": "place", "type": "geoPoint"},
        {"name": "tag", "type": "relation", "collectionId": tags, "maxSelect": 1},
        {"name": "tags", "type": "relation", "collectionId": tags, "maxSelect": 9},
        {"name": "secret", "type": "text", "hidden": true},
    ])
}

fn goes_round(engine: Engine) {
    let Some(bench) = Bench::start(engine) else { return };
    let base = |name: &str, fields: Value| {
        let body = json!({"name": name, "type": "base", "fields": fields});
        bench.post("/api/collections", &body).at("/id").unwrap()
    };
    let tags = base("tags", json!([{"name": "name", "type": "text"}]));
    for name in ["things", "by_jsonl", "by_csv"] {
        base(name, fields(&tags));
    }
    let tag =
        |name: &str| bench.post("/api/collections/tags/records", &json!({"name": name})).at("/id").unwrap();
    let (first, second) = (tag("one"), tag("two"));
    let things = "/api/collections/things/records";
    let full = json!({
        "title": "a \"quoted\", longer\r\ntext; ünï 🦀", "html": "<p>x, y</p>", "count": -12.5, "on": true,
        "mail": "a@example.com", "link": "https://example.com/?a=1,2", "day": "2024-02-29 12:30:00.000Z",
        "one": "b", "many": ["c", "a"], "any": {"deep": [1, "two", null], "text": "a,\"b"},
        "place": {"lon": 12.5, "lat": -3}, "tag": first, "tags": [second, first], "secret": " hidden",
    });
    bench.post(things, &full);
    bench.post(things, &json!({}));
    bench.post(things, &json!({"title": " true", "any": [true], "count": 1e300}));
    // More than one page of them.
    let many: Vec<String> =
        (0..450).map(|n| json!({"title": format!("n{n}"), "count": n}).to_string()).collect();
    let report = bench.import("things", "", "", &many.join("\n"));
    assert_eq!(
        report["report"],
        json!({"created": 450, "updated": 0, "failed": 0, "errors": []}),
        "{report}"
    );
    let (kind, body) =
        form(&[("title", None, b"with a file"), ("file", Some("x.png"), &fixtures::bytes("png-4x3"))]);
    assert_eq!(bench.send(Request::new("POST", things).body(&kind, body)).status, 200);

    let wanted = bench.records("things");
    assert_eq!(wanted.len(), 454);
    for (format, copy) in [("jsonl", "by_jsonl"), ("csv", "by_csv")] {
        let (done, text) = bench.export(&json!({"collection": "things", "format": format}));
        assert_eq!((&done["rows"], &done["total"]), (&json!(454), &json!(454)), "{done}");
        let report = bench.import(copy, format, "create", &text);
        assert_eq!((&report["report"]["created"], &report["rows"]), (&json!(454), &json!(454)), "{report}");
        assert_eq!(bench.records(copy), wanted, "{format}");
    }
    let (done, text) = bench.export(&json!({"collection": "things", "filter": "tag.name = 'one'"}));
    assert_eq!((&done["total"], text.lines().count()), (&json!(1), 1), "{text}");
    let listed = bench.get("/api/exports").json();
    assert_eq!(listed["totalItems"], json!(3));
    assert_eq!(listed["items"][0]["id"], done["id"]);
    let path = format!("/api/exports/{}", done["id"].as_str().unwrap());
    assert_eq!(bench.send(Request::new("DELETE", &path)).status, 204);
    assert_eq!(bench.send(Request::get(&format!("{path}/file"))).status, 404);

    // Accounts come with their passwords, and never go out with them.
    let accounts = "{\"email\":\"a@example.com\",\"password\":\"1234567890\",\"verified\":true}\n{\"email\":\"b@example.com\"}";
    let report = bench.import("users", "jsonl", "create", accounts);
    assert_eq!(
        (&report["report"]["created"], &report["report"]["failed"]),
        (&json!(1), &json!(1)),
        "{report}"
    );
    bench.server.login("users", "a@example.com", "1234567890").unwrap();
    let (_, text) = bench.export(&json!({"collection": "users"}));
    assert!(
        text.contains("a@example.com") && !text.contains("password") && !text.contains("tokenKey"),
        "{text}"
    );
}

#[test]
fn what_goes_out_comes_back_on_sqlite() {
    goes_round(Engine::Sqlite);
}

#[test]
fn what_goes_out_comes_back_on_postgres() {
    goes_round(Engine::Postgres);
}

fn tells_what_is_wrong(engine: Engine) {
    let Some(bench) = Bench::start(engine) else { return };
    let fields = json!([
        {"name": "title", "type": "text", "required": true, "max": 10}, {"name": "count", "type": "number", "max": 5},
    ]);
    let index = "CREATE UNIQUE INDEX idx_strict_title ON strict (title)";
    bench.post(
        "/api/collections",
        &json!({"name": "strict", "type": "base", "fields": fields, "indexes": [index]}),
    );

    let id = "abcdefghijklmno";
    let rows = format!(
        "id,count,title,unknown\n{id},1,one,x\n,2,\"two\nlines\",x\n,9,three,x\n,1,one,x\n\n,1\n,1,\"\",x\n,1,last,x"
    );
    let told = bench.import("strict", "csv", "create", &rows);
    let report = &told["report"];
    assert_eq!((&report["created"], &report["failed"]), (&json!(3), &json!(4)), "{told}");
    let errors: Vec<(u64, &str)> = report["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (error["line"].as_u64().unwrap(), error["message"].as_str().unwrap()))
        .collect();
    let lines: Vec<u64> = errors.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [5, 6, 8, 9], "{told}");
    assert!(errors[0].1.starts_with("count: ") && errors[1].1.starts_with("title: "), "{told}");

    // By id some are there already.
    let rows = format!("{{\"id\":\"{id}\",\"count\":3}}\n{{\"title\":\"new\"}}\n[1]\n");
    let told = bench.import("strict", "jsonl", "upsert", &rows);
    let report = &told["report"];
    let counts = (&report["created"], &report["updated"], &report["failed"]);
    assert_eq!(counts, (&json!(1), &json!(1), &json!(1)), "{told}");
    let seen = &bench.records("strict")[id];
    assert_eq!((&seen["count"], &seen["title"]), (&json!(3), &json!("one")));
    let told = bench.import("strict", "jsonl", "create", &rows);
    assert_eq!(told["report"]["failed"], json!(3), "{told}");

    // An end that is none.
    let told = bench.import("strict", "csv", "create", "title\n\"open");
    assert_eq!((&told["state"], &told["report"]["failed"]), (&json!("done"), &json!(1)), "{told}");
    let gone = bench.import("strict", "csv", "create", "\"title");
    assert_eq!(gone["state"], json!("failed"), "{gone}");

    for (body, field) in [
        (json!({}), "collection"),
        (json!({"collection": "nowhere"}), "collection"),
        (json!({"collection": "strict", "format": "xml"}), "format"),
    ] {
        let refused = bench.send(Request::json("POST", "/api/exports", &body));
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert!(!refused.json()["data"][field].is_null(), "{}", refused.text());
    }
    let wrong = json!({"collection": "strict", "filter": "no.such ="});
    assert_eq!(bench.send(Request::json("POST", "/api/exports", &wrong)).status, 400);
    assert_eq!(bench.begin_import("strict", "csv", "other", "x").status, 400);

    bench.post(
        "/api/collections/users/records",
        &json!({
            "email": "u@example.com", "password": "1234567890", "passwordConfirm": "1234567890",
        }),
    );
    let user = bench.server.login("users", "u@example.com", "1234567890").unwrap();
    let id = told["id"].as_str().unwrap();
    for (token, status) in [("", 401), (&*user, 403)] {
        for (method, path) in [
            ("GET", "/api/exports".to_owned()),
            ("POST", "/api/exports".to_owned()),
            ("GET", "/api/imports".to_owned()),
            ("POST", "/api/imports".to_owned()),
            ("GET", format!("/api/imports/{id}")),
            ("DELETE", format!("/api/imports/{id}")),
            ("GET", format!("/api/exports/{id}")),
            ("DELETE", format!("/api/exports/{id}")),
        ] {
            let answer = bench.server.client().send(&Request::new(method, &path).token(token)).unwrap();
            assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        }
        let answer = bench.server.client().send(&Request::get("/api/exports/x/file").token(token)).unwrap();
        assert_eq!(answer.status, 403);
    }
    assert_eq!(bench.send(Request::new("DELETE", &format!("/api/imports/{id}"))).status, 204);
    assert_eq!(bench.send(Request::get(&format!("/api/imports/{id}"))).status, 404);
}

#[test]
fn what_is_wrong_is_told_on_sqlite() {
    tells_what_is_wrong(Engine::Sqlite);
}

#[test]
fn what_is_wrong_is_told_on_postgres() {
    tells_what_is_wrong(Engine::Postgres);
}

fn survives_a_kill(engine: Engine) {
    let Some(mut bench) = Bench::start(engine) else { return };
    let fields = json!([{"name": "n", "type": "number"}]);
    bench.post("/api/collections", &json!({"name": "rows", "type": "base", "fields": fields}));
    const ROWS: u64 = 3_000;
    // Without ids: only the position tells which are there.
    let rows: String = (0..ROWS).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let begun = bench.begin_import("rows", "jsonl", "create", &rows);
    let path = format!("/api/imports/{}", begun.at("/id").unwrap());
    let until = Instant::now() + WAIT;
    loop {
        let found = bench.get(&path).json();
        assert!(Instant::now() < until, "{found}");
        if found["rows"].as_u64().unwrap() > 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    bench.server.kill();
    bench.server.restart_in_place().unwrap();
    bench.token = bench.server.superuser_token().unwrap();
    let done = bench.ended(&path);
    assert_eq!(done["state"], json!("done"), "{done}");
    assert_eq!(done["report"]["created"], json!(ROWS), "{done}");
    let mut seen = Vec::new();
    for page in 1..=4 {
        let found =
            bench.get(&format!("/api/collections/rows/records?perPage=1000&sort=n&page={page}")).json();
        seen.extend(found["items"].as_array().unwrap().iter().map(|item| item["n"].as_u64().unwrap()));
    }
    assert_eq!(seen, (0..ROWS).collect::<Vec<_>>());
}

#[test]
fn every_row_is_imported_once_though_killed_on_sqlite() {
    survives_a_kill(Engine::Sqlite);
}

#[test]
fn every_row_is_imported_once_though_killed_on_postgres() {
    survives_a_kill(Engine::Postgres);
}
