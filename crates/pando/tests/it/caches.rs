//! How records come into the caches, by configuration: whatever the way, what is read is what was written.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::nats::Nats;
use testkit::pando::Engine;
use testkit::server::Server;
use testkit::{Answer, Request, exposition};

use crate::candidate::Candidate;

const WAIT: Duration = Duration::from_secs(60);
const STRATEGIES: [&str; 4] = ["read_through", "cache_aside", "write_through", "write_around"];

struct Cached {
    server: Server,
    token: String,
    candidate: Candidate,
    _nats: Option<Nats>,
    dir: tempfile::TempDir,
}

impl Cached {
    /// On PostgreSQL with a bus, without which there are no caches.
    fn start(engine: Engine, collections: &str) -> Cached {
        let mut candidate = Candidate::new(engine);
        let dir = tempfile::tempdir().unwrap();
        let mut set = |name: &str, value: String| candidate.program.variables.push((name.to_owned(), value));
        set("PANDO_CACHE_COLLECTIONS", collections.to_owned());
        set("PANDO_CACHE_POLICY", "s3-fifo".to_owned());
        let nats = (engine == Engine::Postgres).then(|| Nats::start(&dir.path().join("nats")).unwrap());
        if let Some(nats) = &nats {
            set("PANDO_BUS_URL", nats.url());
            candidate.program = candidate.program.role("web");
        }
        let server = candidate.program.start(&dir.path().join("data")).unwrap();
        let token = server.superuser_token().unwrap();
        let cached = Cached { server, token, candidate, _nats: nats, dir };
        let path = "/api/collections/_superusers/records?skipTotal=1";
        let id = cached.done("GET", path, &Value::Null).at("/items/0/id").unwrap();
        let until = Instant::now() + WAIT;
        while cached.figure("pando_cache_hits_total", "record") < 1.0 {
            cached.done("GET", &format!("/api/collections/_superusers/records/{id}"), &Value::Null);
            assert!(Instant::now() < until, "caches are not used");
        }
        cached
    }

    fn restart(&mut self, data: &Path) {
        self.server.terminate(Duration::from_secs(30));
        self.server = self.candidate.program.serve(data).unwrap();
        self.token = self.server.superuser_token().unwrap();
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        let request = match method {
            "GET" => Request::get(path),
            _ => Request::json(method, path, body),
        };
        self.server.client().send(&request.token(&self.token)).unwrap()
    }

    fn done(&self, method: &str, path: &str, body: &Value) -> Answer {
        let answer = self.ask(method, path, body);
        assert!(answer.status < 300, "{path}: {} {}", answer.status, answer.text());
        answer
    }

    /// A collection of that name with a field of each kind that keeps something.
    fn collection(&self, name: &str) {
        let fields = json!([
            {"name": "title", "type": "text"}, {"name": "n", "type": "number"}, {"name": "yes", "type": "bool"},
            {"name": "at", "type": "date"}, {"name": "any", "type": "json"}, {"name": "body", "type": "editor"},
            {"name": "one", "type": "select", "values": ["a", "b"], "maxSelect": 1},
            {"name": "some", "type": "select", "values": ["a", "b", "c"], "maxSelect": 3},
            {"name": "place", "type": "geoPoint"}, {"name": "site", "type": "url"}, {"name": "mail", "type": "email"},
            {"name": "made", "type": "autodate", "onCreate": true},
            {"name": "changed", "type": "autodate", "onCreate": true, "onUpdate": true},
        ]);
        self.done("POST", "/api/collections", &json!({"name": name, "type": "base", "fields": fields}));
    }

    fn figure(&self, name: &str, label: &str) -> f64 {
        let answer = self.done("GET", "/metrics", &Value::Null);
        let families = exposition::parse(&answer.text()).unwrap();
        let Some(family) = families.get(name) else { return 0.0 };
        let of = family.series.iter().filter(|((suffix, labels), _)| {
            suffix.is_empty() && labels.iter().any(|(_, value)| value == label)
        });
        of.map(|(_, value)| value).sum()
    }

    fn loads(&self) -> f64 {
        self.figure("pando_cache_loads_total", "record")
    }

    /// What a view shows, and what a list shows that was never asked for before and so comes from the database.
    fn agrees(&self, name: &str, id: &str, step: usize) -> Value {
        let viewed = self.done("GET", &format!("/api/collections/{name}/records/{id}"), &Value::Null).json();
        let path = format!("/api/collections/{name}/records?filter=id='{id}'%26%26{step}={step}");
        let listed = self.done("GET", &path, &Value::Null).json()["items"][0].clone();
        assert_eq!(viewed, listed, "{name}");
        viewed
    }
}

fn whatever_the_way(engine: Engine) {
    let collections: Vec<String> = STRATEGIES
        .iter()
        .map(|name| format!("{name} = {{ strategy = '{}', ttl_ms = 60000 }}", name.replace('_', "-")))
        .collect();
    let cached = Cached::start(engine, &format!("{{ {} }}", collections.join(", ")));
    for name in STRATEGIES {
        cached.collection(name);
        let records = format!("/api/collections/{name}/records");
        let body = json!({
            "title": "Ä \"title\"\u{1f600}", "n": 0.1, "yes": true, "at": "2024-02-29 10:00:00.1Z",
            "any": {"z": [1, 2.50, null], "a": "ü"}, "body": "<p>x</p>", "one": "a", "some": ["c", "a"],
            "place": {"lon": 1.5, "lat": -2}, "site": "https://example.com/a", "mail": "a@example.com",
        });
        let id = cached.done("POST", &records, &body).at("/id").unwrap();
        let before = cached.loads();
        cached.agrees(name, &id, 0);
        let loaded = cached.loads() - before;
        // On a busy machine nodes are now and then not sure of each other, and then ask the database.
        if engine == Engine::Sqlite {
            assert_eq!(loaded == 0.0, name == "write_through", "{name} loaded {loaded}");
        }
        let changes = [
            json!({"n": -1.5, "at": "", "any": "text", "some": []}),
            json!({"n": 1e21, "any": null, "one": "", "place": {"lon": 0, "lat": 0}}),
            json!({"n+": 5, "some+": "b"}),
            json!({"title": "", "yes": false, "at": "2024-01-01", "any": [1]}),
            json!({}),
        ];
        for (step, change) in changes.iter().enumerate() {
            let path = format!("{records}/{id}");
            let answered = cached.done("PATCH", &path, change).json();
            assert_eq!(cached.agrees(name, &id, step + 1), answered, "{name} {change}");
        }
        // SQLite keeps this without its sign.
        cached.done("PATCH", &format!("{records}/{id}"), &json!({"n": -0.0}));
        cached.agrees(name, &id, 9);
        cached.done("DELETE", &format!("{records}/{id}"), &Value::Null);
        assert_eq!(cached.ask("GET", &format!("{records}/{id}"), &Value::Null).status, 404);
        assert_eq!(
            cached.done("POST", &records, &json!({"id": id, "title": "again"})).at("/title").unwrap(),
            "again"
        );
        assert_eq!(cached.agrees(name, &id, 10)["title"], "again");
    }
}

#[test]
fn what_is_read_is_what_was_written_on_sqlite() {
    whatever_the_way(Engine::Sqlite);
}

#[test]
fn what_is_read_is_what_was_written_on_postgres() {
    whatever_the_way(Engine::Postgres);
}

#[test]
fn unknown_ids_are_looked_up_once_until_they_are_known() {
    let cached = Cached::start(Engine::Sqlite, "{ asked = { negative_ttl_ms = 0 } }");
    // What is known, and so the caller, expires once more when the process has looked at the new collection.
    for (name, loads) in [("posts", 1.0..=3.0), ("asked", 20.0..=23.0)] {
        cached.collection(name);
        let records = format!("/api/collections/{name}/records");
        let path = format!("{records}/unknown12345678");
        let before = cached.loads();
        for _ in 0..20 {
            assert_eq!(cached.ask("GET", &path, &Value::Null).status, 404);
        }
        let asked = cached.loads() - before;
        assert!(loads.contains(&asked), "{name}: {asked}");
        cached.done("POST", &records, &json!({"id": "unknown12345678"}));
        assert_eq!(cached.ask("GET", &path, &Value::Null).status, 200);
    }
    assert!(cached.figure("pando_cache_negative_hits_total", "record") >= 17.0);
}

#[test]
fn the_newest_records_are_loaded_at_the_start() {
    let mut cached = Cached::start(Engine::Sqlite, "{ posts = { warm = 10 }, poosts = { warm = 1 } }");
    assert!(cached.server.log().contains("cache.collections.poosts"), "{}", cached.server.log());
    cached.collection("posts");
    let ids: Vec<String> = (0..20)
        .map(|n| cached.done("POST", "/api/collections/posts/records", &json!({"n": n})).at("/id").unwrap())
        .collect();
    let data = cached.dir.path().join("data");
    cached.restart(&data);
    let until = Instant::now() + WAIT;
    while !cached.server.log().contains("10 records of posts") {
        assert!(Instant::now() < until, "{}", cached.server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    let before = cached.loads();
    for id in &ids[10..] {
        cached.done("GET", &format!("/api/collections/posts/records/{id}"), &Value::Null);
    }
    assert_eq!(cached.loads(), before);
    cached.done("GET", &format!("/api/collections/posts/records/{}", ids[0]), &Value::Null);
    assert_eq!(cached.loads(), before + 1.0);
}

#[test]
fn a_way_that_is_none_is_refused() {
    let mut candidate = Candidate::new(Engine::Sqlite);
    let dir = tempfile::tempdir().unwrap();
    let collections = "{ posts = { strategy = 'read-ahead' } }".to_owned();
    candidate.program.variables.push(("PANDO_CACHE_COLLECTIONS".into(), collections));
    let (code, said) = candidate.program.serve_to_end(&dir.path().join("data"), WAIT).unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("read-ahead") && said.contains("write-around") && said.contains("posts"), "{said}");
}
