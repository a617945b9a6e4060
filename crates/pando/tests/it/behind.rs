//! Updates that are acknowledged before they are written: nobody can tell but by the number of writes, and by what a
//! crash loses.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::pando::Engine;
use testkit::server::Server;
use testkit::{Answer, Request, exposition};

use crate::candidate::Candidate;

const WAIT: Duration = Duration::from_secs(60);
const RECORDS: &str = "/api/collections/posts/records";
const UPDATES: &str = "pando_store_behind_updates_total";
const WRITES: &str = "pando_store_behind_writes_total";

struct Behind {
    server: Server,
    token: String,
    /// What superusers write is written at once, with its entry in the audit log.
    user: String,
}

impl Behind {
    /// `posts` are written behind, `others` are not.
    fn start(dir: &Path, ms: u64) -> Behind {
        let mut candidate = Candidate::new(Engine::Sqlite);
        let collections = format!("{{ posts = {{ strategy = 'write-behind', write_behind_ms = {ms} }} }}");
        candidate.program.variables.push(("PANDO_CACHE_COLLECTIONS".into(), collections));
        let server = candidate.program.start(&dir.join("data")).unwrap();
        assert!(server.log().contains(&format!("the last {ms} ms")), "{}", server.log());
        let token = server.superuser_token().unwrap();
        let mut behind = Behind { server, token, user: String::new() };
        let account = json!({"email": "u@test.test", "password": "12345678", "passwordConfirm": "12345678"});
        behind.done("POST", "/api/collections/users/records", &account);
        behind.user = behind.server.login("users", "u@test.test", "12345678").unwrap();
        behind.done("PATCH", "/api/settings", &json!({"batch": {"enabled": true}}));
        let fields = json!([
            {"name": "n", "type": "number"}, {"name": "m", "type": "number"}, {"name": "key", "type": "text"},
            {"name": "open", "type": "bool"}, {"name": "tags", "type": "json"}, {"name": "doc", "type": "file"},
        ]);
        let open = json!({
            "name": "posts", "type": "base", "fields": fields, "viewRule": "", "updateRule": "open = true || @request.auth.id != ''",
            "indexes": ["CREATE UNIQUE INDEX `idx_key` ON `posts` (`key`)", "CREATE INDEX `idx_n` ON `posts` (`n`)"],
        });
        let id = behind.done("POST", "/api/collections", &open).at("/id").unwrap();
        let fields = json!([{"name": "post", "type": "relation", "collectionId": id, "maxSelect": 1, "cascadeDelete": true}]);
        let others = json!({"name": "others", "type": "base", "fields": fields});
        behind.done("POST", "/api/collections", &others);
        let shown = json!({"name": "shown", "type": "view", "viewQuery": "SELECT id, n FROM posts"});
        behind.done("POST", "/api/collections", &shown);
        behind
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        let request = match method {
            "GET" => Request::get(path),
            _ => Request::json(method, path, body),
        };
        let by_user = method == "PATCH" && path.starts_with(RECORDS);
        let token = if by_user { &self.user } else { &self.token };
        self.server.client().send(&request.token(token)).unwrap()
    }

    fn done(&self, method: &str, path: &str, body: &Value) -> Answer {
        let answer = self.ask(method, path, body);
        assert!(answer.status < 300, "{method} {path}: {} {}", answer.status, answer.text());
        answer
    }

    fn create(&self, body: &Value) -> String {
        let id = self.done("POST", RECORDS, body).at("/id").unwrap();
        format!("{RECORDS}/{id}")
    }

    fn n(&self, path: &str) -> f64 {
        self.done("GET", path, &Value::Null).json()["n"].as_f64().unwrap()
    }

    fn figure(&self, name: &str) -> f64 {
        let answer = self.done("GET", "/metrics", &Value::Null);
        let families = exposition::parse(&answer.text()).unwrap();
        families.get(name).map_or(0.0, |family| family.series.values().sum())
    }

    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let until = Instant::now() + WAIT;
        while !is_so() {
            assert!(Instant::now() < until, "{what}: {}", self.server.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether an update is acknowledged before it is written.
    fn is_behind(&self, path: &str, n: u32) -> bool {
        let before = self.figure(UPDATES);
        self.done("PATCH", path, &json!({"n": n}));
        self.figure(UPDATES) > before
    }
}

#[test]
fn many_updates_are_one_write_and_read_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let behind = Behind::start(dir.path(), 60_000);
    let path = behind.create(&json!({"n": 0, "key": "a", "tags": {"z": [1, 2.50], "a": null}}));
    let writes = behind.figure(WRITES);
    for n in 1..=100 {
        let answered = behind.done("PATCH", &path, &json!({"n": n, "m": -n})).json();
        assert_eq!(behind.done("GET", &path, &Value::Null).json(), answered);
    }
    assert_eq!((behind.figure(UPDATES), behind.figure(WRITES) - writes), (100.0, 0.0));
    behind.until("one record waits", || behind.figure("pando_store_behind_records") == 1.0);

    let expanded = json!({"post": path.rsplit('/').next().unwrap()});
    let other = behind.done("POST", "/api/collections/others/records", &expanded).at("/id").unwrap();
    let other = format!("/api/collections/others/records/{other}?expand=post");
    assert_eq!(behind.done("GET", &other, &Value::Null).json()["expand"]["post"]["n"], 100);
    assert_eq!(behind.figure(WRITES) - writes, 0.0);

    let listed = behind.done("GET", &format!("{RECORDS}?filter=n=100"), &Value::Null).json();
    assert_eq!(listed["items"][0]["m"], -100);
    assert_eq!(behind.figure(WRITES) - writes, 1.0);

    assert!(behind.is_behind(&path, 101));
    let shown = behind.done("GET", "/api/collections/shown/records", &Value::Null).json();
    assert_eq!(shown["items"][0]["n"], 101);
    assert!(behind.is_behind(&path, 102));
    let shown = path.replace("posts", "shown");
    assert_eq!(behind.n(&shown), 102.0);
    assert!(behind.is_behind(&path, 103));
    let filter = "/api/collections/others/records?filter=post.n=103";
    assert_eq!(behind.done("GET", filter, &Value::Null).json()["totalItems"], 1);
    assert!(behind.is_behind(&path, 104));
    let asked = json!({"query": "select n from posts"});
    assert!(behind.done("POST", "/api/sql", &asked).text().contains("104"));
}

#[test]
fn what_else_writes_comes_after_what_is_noted() {
    let dir = tempfile::tempdir().unwrap();
    let behind = Behind::start(dir.path(), 60_000);
    let (path, second) = (behind.create(&json!({"key": "a"})), behind.create(&json!({"key": "b"})));

    // What is added to is the database's number.
    assert!(behind.is_behind(&path, 5));
    assert_eq!(behind.done("PATCH", &path, &json!({"n+": 2})).json()["n"], 7);
    assert_eq!(behind.n(&path), 7.0);

    // A unique value is refused at once, and with it all that came along.
    assert!(behind.is_behind(&path, 8));
    let updates = behind.figure(UPDATES);
    let taken = behind.ask("PATCH", &path, &json!({"key": "b", "n": 1}));
    assert_eq!(taken.status, 400, "{}", taken.text());
    behind.done("PATCH", &path, &json!({"key": "c", "m": 3}));
    assert_eq!(behind.figure(UPDATES), updates);
    let found = behind.done("GET", &path, &Value::Null).json();
    assert_eq!((&found["key"], &found["n"], &found["m"]), (&json!("c"), &json!(8), &json!(3)));

    assert!(behind.is_behind(&path, 10));
    assert!(behind.is_behind(&second, 20));
    let requests = json!({"requests": [
        {"method": "PATCH", "url": path, "body": {"n+": 1}},
        {"method": "PATCH", "url": second, "body": {"m": 1}},
    ]});
    let answered = behind.done("POST", "/api/batch", &requests).json();
    assert_eq!((&answered[0]["body"]["n"], &answered[1]["body"]["n"]), (&json!(11), &json!(20)));
    assert_eq!((behind.n(&path), behind.n(&second)), (11.0, 20.0));

    assert!(behind.is_behind(&second, 30));
    behind.done("DELETE", &second, &Value::Null);
    assert_eq!(behind.ask("GET", &second, &Value::Null).status, 404);
    let id = second.rsplit('/').next().unwrap();
    behind.done("POST", RECORDS, &json!({"id": id, "key": "b"}));
    assert_eq!(behind.n(&second), 0.0);

    // A rule is judged on what is noted.
    let guest =
        |body: &Value| behind.server.client().send(&Request::json("PATCH", &path, body)).unwrap().status;
    behind.done("PATCH", &path, &json!({"open": true}));
    assert_eq!(guest(&json!({"n": 40, "open": false})), 200);
    assert_eq!(guest(&json!({"n": 41})), 404);
    assert_eq!(behind.n(&path), 40.0);

    // A collection that becomes another takes along what is noted, and goes on so.
    assert!(behind.is_behind(&path, 50));
    let definition = behind.done("GET", "/api/collections/posts", &Value::Null).json();
    let fields = definition["fields"].as_array().unwrap().iter().map(|field| {
        let mut field = field.clone();
        if field["name"] == "n" {
            field["name"] = json!("number");
        }
        field
    });
    let changed = json!({
        "fields": fields.collect::<Vec<_>>(),
        "indexes": ["CREATE UNIQUE INDEX `idx_key` ON `posts` (`key`)"],
    });
    behind.done("DELETE", "/api/collections/shown", &Value::Null);
    behind.done("PATCH", "/api/collections/posts", &changed);
    assert_eq!(behind.done("GET", &path, &Value::Null).json()["number"], 50);
    let updates = behind.figure(UPDATES);
    behind.done("PATCH", &path, &json!({"number": 51}));
    assert_eq!(behind.figure(UPDATES), updates + 1.0);
    behind.done("DELETE", "/api/collections/posts/truncate", &Value::Null);
    assert_eq!(behind.ask("GET", &path, &Value::Null).status, 404);
}

#[test]
fn an_end_in_order_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut behind = Behind::start(dir.path(), 60_000);
    let path = behind.create(&json!({"key": "a"}));
    assert!(behind.is_behind(&path, 1));
    assert!(behind.is_behind(&path, 2));
    assert_eq!(behind.server.terminate(WAIT), Some(0), "{}", behind.server.log());
    behind.server.restart().unwrap();
    assert_eq!(behind.n(&path), 2.0);
}

#[test]
fn a_crash_loses_only_what_was_not_written_and_tears_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut behind = Behind::start(dir.path(), 50);
    let paths: Vec<String> = (0..20).map(|n| behind.create(&json!({"key": format!("k{n}")}))).collect();
    let mut base = 0;
    for round in 0..4 {
        let update = |n: i64| {
            for path in &paths {
                behind.done("PATCH", path, &json!({"n": n, "m": -n}));
            }
        };
        let written = behind.figure(WRITES) + paths.len() as f64;
        update(base + 1);
        // Each was updated once.
        behind.until("all is written", || behind.figure(WRITES) >= written);
        for n in 2..=4 + round {
            update(base + n);
        }
        behind.server.kill();
        behind.server.restart().unwrap();
        for path in &paths {
            let found = behind.done("GET", path, &Value::Null).json();
            let (n, m) = (found["n"].as_i64().unwrap(), found["m"].as_i64().unwrap());
            assert_eq!(n, -m, "{path}");
            assert!((base + 1..=base + 4 + round).contains(&n), "{path} {n}, round {round}");
        }
        base += 10;
    }
}

#[test]
fn it_is_refused_where_others_could_not_see_it() {
    for (engine, variable) in
        [(Engine::Postgres, None), (Engine::Sqlite, Some(("PANDO_CACHE_REDIS_URL", "redis://127.0.0.1:1")))]
    {
        let mut candidate = Candidate::new(engine);
        let dir = tempfile::tempdir().unwrap();
        let collections = "{ posts = { strategy = 'write-behind' } }".to_owned();
        candidate.program.variables.push(("PANDO_CACHE_COLLECTIONS".into(), collections));
        candidate.program.variables.extend(variable.map(|(name, value)| (name.into(), value.into())));
        let (code, said) = candidate.program.serve_to_end(&dir.path().join("data"), WAIT).unwrap();
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("write-behind") && said.contains("posts"), "{said}");
        assert_eq!(said.contains("write-through"), engine == Engine::Postgres, "{said}");
    }
}
