//! Webhooks, judged by the specification's own library: what is told, by whom it is signed, and what becomes of it when
//! the receiver, the network or the server fails.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::pando::{self, Engine};
use testkit::server::{Program, Server};
use testkit::sink::{Received, Reply, Sink};
use testkit::{Answer, Request, tools};

use crate::candidate::Candidate;

const WAIT: Duration = Duration::from_secs(90);
const LIBRARY: &str = "1.0.1";

/// Reads lines of secret, headers and body, and prints what the official library makes of them.
const JUDGE: &str = r#"
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("webhooks", sys.argv[1] + "/standardwebhooks/webhooks.py")
library = importlib.util.module_from_spec(spec)
spec.loader.exec_module(library)
for line in open(sys.argv[2]):
    call = json.loads(line)
    library.Webhook(call["secret"]).verify(call["body"], call["headers"])
"#;

struct Bench {
    server: Server,
    token: String,
    dir: tempfile::TempDir,
    candidate: Candidate,
}

fn program(candidate: &Candidate, dir: &Path, config: &str) -> Program {
    let file = dir.join("pando.toml");
    std::fs::write(&file, config).unwrap();
    let options = vec!["--config".into(), file.display().to_string()];
    Program { options, ..candidate.program.clone() }
}

const PRIVATE: &str = "[outbound]\nallow_private = true\n";

impl Bench {
    fn start(engine: Engine, config: &str) -> Option<Bench> {
        if pando::is_oracle() {
            return None;
        }
        let (candidate, dir) = (Candidate::new(engine), tempfile::tempdir().unwrap());
        let server = program(&candidate, dir.path(), config).start(&dir.path().join("data")).unwrap();
        let token = server.superuser_token().unwrap();
        let bench = Bench { server, token, dir, candidate };
        bench.ok(
            "POST",
            "/api/collections",
            &json!({"name": "posts", "type": "base", "fields": [
                {"name": "title", "type": "text"}, {"name": "score", "type": "number"},
                {"name": "secret", "type": "text", "hidden": true},
            ]}),
        );
        let posts = bench.ok("GET", "/api/collections/posts", &Value::Null).at("/id").unwrap();
        bench.ok("POST", "/api/collections", &json!({"name": "comments", "type": "base", "fields": [
            {"name": "post", "type": "relation", "collectionId": posts, "cascadeDelete": true, "maxSelect": 1},
        ]}));
        Some(bench)
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let request = match body {
            Value::Null => Request::new(method, path),
            body => Request::json(method, path, body),
        };
        self.server.client().send(&request.token(&self.token)).unwrap()
    }

    fn ok(&self, method: &str, path: &str, body: &Value) -> Answer {
        let answer = self.send(method, path, body);
        assert!(answer.status < 300, "{method} {path}: {}", answer.text());
        answer
    }

    fn create(&self, collection: &str, body: Value) -> String {
        self.ok("POST", &format!("/api/collections/{collection}/records"), &body).at("/id").unwrap()
    }

    /// Its path and its secret.
    fn webhook(&self, url: &str, more: Value) -> (String, String) {
        let mut body = json!({"name": "test", "url": url, "collections": ["posts"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.ok("POST", "/api/webhooks", &body);
        (format!("/api/webhooks/{}", made.at("/id").unwrap()), made.at("/secret").unwrap())
    }

    /// Waits for a delivery in that state with at least so many attempts.
    fn delivery(&self, webhook: &str, state: &str, attempts: u64) -> Value {
        let path = format!("{webhook}/deliveries?filter=state%3D%22{state}%22%26%26attempts%3E%3D{attempts}");
        let until = Instant::now() + WAIT;
        loop {
            let found = self.ok("GET", &path, &Value::Null).json();
            // The first attempt may still be going on.
            let tried = |one: &&Value| one["tried"] != json!("");
            if let Some(first) = found["items"].as_array().and_then(|items| items.iter().find(tried)) {
                let id = first["id"].as_str().unwrap();
                return self.ok("GET", &format!("{webhook}/deliveries/{id}"), &Value::Null).json();
            }
            if Instant::now() > until {
                let all = self.ok("GET", &format!("{webhook}/deliveries"), &Value::Null).text();
                panic!("no {state} delivery: {all}\n{}", self.server.log());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Waits until the sink has been told so much that `enough` is content.
fn wait(sink: &Sink, server: &Server, enough: impl Fn(&[Received]) -> bool) -> Vec<Received> {
    let until = Instant::now() + WAIT;
    loop {
        let all = sink.received();
        if enough(&all) {
            return all;
        }
        assert!(Instant::now() < until, "{all:#?}\n{}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn body(call: &Received) -> Value {
    serde_json::from_str(&call.body).unwrap()
}

fn header<'a>(call: &'a Received, name: &str) -> &'a str {
    let mut headers = call.headers.lines().filter_map(|line| line.split_once(':'));
    headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.trim())
}

/// Type and id of the record, of each.
fn events(calls: &[Received]) -> Vec<(String, String)> {
    let one = |call: &Received| {
        let body = body(call);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&body["type"]), text(&body["data"]["record"]["id"]))
    };
    calls.iter().map(one).collect()
}

fn has(calls: &[Received], kind: &str, id: &str) -> bool {
    events(calls).iter().any(|(known, of)| known == kind && of == id)
}

/// Whether the official library takes them all for genuine.
fn judge(dir: &Path, secret: &str, calls: &[Received]) -> anyhow::Result<()> {
    let library = tools::pip("standardwebhooks", LIBRARY, "standardwebhooks")?;
    let (script, lines) = (dir.join("judge.py"), dir.join("calls"));
    std::fs::write(&script, JUDGE)?;
    let text: String = calls
        .iter()
        .map(|call| {
            let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
            let headers = names.map(|name| (name.to_owned(), Value::from(header(call, name))));
            let headers = serde_json::Map::from_iter(headers);
            json!({"secret": secret, "headers": headers, "body": call.body}).to_string() + "\n"
        })
        .collect();
    std::fs::write(&lines, text)?;
    let mut python = Command::new("python3");
    tools::run(python.arg(script).arg(library).arg(lines)).map(drop)
}

fn tells_what_happens(engine: Engine) {
    let Some(bench) = Bench::start(engine, PRIVATE) else { return };
    let sink = Sink::start(&[]).unwrap();
    let (webhook, secret) = bench.webhook(
        &sink.url("/hook"),
        json!({"collections": ["posts", "comments", "users"], "headers": {"Authorization": "Bearer x"}}),
    );
    let post = bench.create("posts", json!({"title": "a \"b\" ö", "score": 0.1, "secret": "hush"}));
    let calls = wait(&sink, &bench.server, |calls| has(calls, "record.created", &post));
    let told = body(&calls[0]);
    let known = bench.ok("GET", &format!("/api/collections/posts/records/{post}"), &Value::Null).json();
    let mut expected = known.clone();
    expected.as_object_mut().unwrap().remove("secret");
    assert_eq!(told["data"], json!({"action": "create", "record": expected}));
    assert_eq!(calls[0].line, "POST /hook");
    assert_eq!(header(&calls[0], "authorization"), "Bearer x");
    assert_eq!(header(&calls[0], "content-type"), "application/json");
    assert!(!header(&calls[0], "x-request-id").is_empty());

    // Updates are whole records although only a part is written; a rename does not lose the collection.
    bench.ok("PATCH", &format!("/api/collections/posts/records/{post}"), &json!({"score+": 2}));
    bench.ok("PATCH", "/api/collections/posts", &json!({"name": "articles"}));
    let user = bench.create(
        "users",
        json!({
            "email": "a@example.com", "password": "1234567890", "passwordConfirm": "1234567890",
        }),
    );
    let comment = bench.create("comments", json!({"post": post}));
    let calls = wait(&sink, &bench.server, |calls| {
        has(calls, "record.updated", &post)
            && has(calls, "record.created", &user)
            && has(calls, "record.created", &comment)
    });
    let update = calls.iter().find(|call| call.body.contains("record.updated")).unwrap();
    assert_eq!(body(update)["data"]["record"]["score"], json!(2.1));
    assert_eq!(body(update)["data"]["record"]["title"], json!("a \"b\" ö"));
    let account = calls.iter().find(|call| call.body.contains(&user)).unwrap();
    assert_eq!(body(account)["data"]["record"]["email"], json!("a@example.com"));
    assert!(!account.body.contains("tokenKey") && !account.body.contains("$2"), "{}", account.body);

    // Batches: whole or not at all.
    bench.ok("PATCH", "/api/settings", &json!({"batch": {"enabled": true}}));
    let create = |title: &str| json!({"method": "POST", "url": "/api/collections/articles/records", "body": {"title": title}});
    let made = bench.ok("POST", "/api/batch", &json!({"requests": [create("one"), create("two")]})).json();
    let failing =
        json!({"method": "POST", "url": "/api/collections/comments/records", "body": {"post": "nobody"}});
    let undone = bench.send("POST", "/api/batch", &json!({"requests": [create("undone"), failing]}));
    assert_eq!(undone.status, 400, "{}", undone.text());
    // A cascade, and a truncation, tell how what went was.
    bench.ok("DELETE", &format!("/api/collections/articles/records/{post}"), &Value::Null);
    bench.ok("DELETE", "/api/collections/articles/truncate", &Value::Null);
    let ids: Vec<&str> = [0, 1].map(|at| made[at]["body"]["id"].as_str().unwrap()).into();
    let calls = wait(&sink, &bench.server, |calls| {
        ["record.created", "record.deleted"].iter().all(|kind| ids.iter().all(|id| has(calls, kind, id)))
            && has(calls, "record.deleted", &post)
            && has(calls, "record.deleted", &comment)
    });
    let gone = calls.iter().find(|call| call.body.contains("record.deleted") && call.body.contains(&comment));
    assert_eq!(body(gone.unwrap())["data"]["record"]["post"], json!(post));
    assert!(!calls.iter().any(|call| call.body.contains("undone")), "{:?}", events(&calls));
    let mut seen: Vec<&str> = calls.iter().map(|call| header(call, "webhook-id")).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), calls.len(), "nothing was told twice");

    judge(bench.dir.path(), &secret, &calls).unwrap();
    let mut forged = calls[0].clone();
    forged.body = forged.body.replace("create", "delete");
    assert!(judge(bench.dir.path(), &secret, &[forged]).is_err());

    // During a rotation both secrets are good; afterwards only the new one.
    let rotated = bench.ok("POST", &format!("{webhook}/rotate-secret"), &json!({"overlapHours": 1}));
    let second = rotated.at("/secret").unwrap();
    assert_eq!(bench.ok("POST", &format!("{webhook}/test"), &Value::Null).at("/state").unwrap(), "delivered");
    let trial = sink.received().pop().unwrap();
    assert_eq!(body(&trial)["type"], json!("webhook.test"));
    for secret in [&secret, &second] {
        judge(bench.dir.path(), secret, std::slice::from_ref(&trial)).unwrap();
    }
    let shown = bench.ok("GET", &format!("{webhook}/secret"), &Value::Null);
    assert_eq!(
        (shown.at("/secrets/0/secret"), shown.at("/secrets/1/secret")),
        (Some(second), Some(secret.clone()))
    );
    bench.ok("POST", &format!("{webhook}/rotate-secret"), &json!({"overlapHours": 0}));
    bench.ok("POST", &format!("{webhook}/test"), &Value::Null);
    assert!(judge(bench.dir.path(), &secret, &[sink.received().pop().unwrap()]).is_err());

    // A filter, chosen events, and one that is switched off.
    let (_, _) = bench.webhook(
        &sink.url("/few"),
        json!({
            "collections": ["articles"], "events": ["update"], "filter": "score > 5 && title != 'no'",
        }),
    );
    bench.ok("PATCH", &webhook, &json!({"enabled": false}));
    let low = bench.create("articles", json!({"title": "yes", "score": 1}));
    for score in [2, 9] {
        bench.ok("PATCH", &format!("/api/collections/articles/records/{low}"), &json!({"score": score}));
    }
    let calls = wait(&sink, &bench.server, |calls| calls.iter().any(|call| call.line == "POST /few"));
    let few: Vec<_> = calls.iter().filter(|call| call.line == "POST /few").collect();
    assert_eq!(few.len(), 1);
    assert_eq!(body(few[0])["data"]["record"]["score"], json!(9));
    assert!(!has(&calls, "record.created", &low));
    bench.ok("DELETE", &webhook, &Value::Null);
    assert_eq!(bench.send("GET", &webhook, &Value::Null).status, 404);
}

#[test]
fn tell_what_happens_on_sqlite() {
    tells_what_happens(Engine::Sqlite);
}

#[test]
fn tell_what_happens_on_postgres() {
    tells_what_happens(Engine::Postgres);
}

fn survives_failures(engine: Engine) {
    let Some(bench) = Bench::start(engine, PRIVATE) else { return };
    // Nobody listens there yet.
    let port = tools::free_port();
    let (webhook, secret) = bench.webhook(&format!("http://127.0.0.1:{port}/late"), json!({}));
    // One that never answers in time must not hold the others up.
    let slow =
        Sink::answering(0, |_| Reply { after: Duration::from_secs(60), ..Reply::status(204) }).unwrap();
    let (slow_hook, _) = bench.webhook(&slow.url("/slow"), json!({}));
    let elsewhere = Sink::start(&[]).unwrap();
    let location = format!("Location: {}\r\n", elsewhere.url("/moved"));
    let moved = move |_: &Received| Reply { headers: location.clone(), ..Reply::status(307) };
    let moved = Sink::answering(0, moved).unwrap();
    let (moved_hook, _) = bench.webhook(&moved.url("/"), json!({}));
    let huge = |_: &Received| Reply { body: vec![b'x'; 8 << 20], ..Reply::status(200) };
    let huge = Sink::answering(0, huge).unwrap();
    let (huge_hook, _) = bench.webhook(&huge.url("/"), json!({}));
    let gone = Sink::start(&[410]).unwrap();
    let (gone_hook, _) = bench.webhook(&gone.url("/"), json!({}));

    let post = bench.create("posts", json!({"title": "x"}));
    let failed = bench.delivery(&webhook, "pending", 1);
    assert_eq!((failed["status"].as_u64(), failed["error"] != json!("")), (Some(0), true), "{failed}");

    let told = bench.delivery(&moved_hook, "pending", 1);
    assert_eq!(told["status"], json!(307));
    assert!(told["error"].as_str().unwrap().contains("not followed"), "{told}");
    assert!(elsewhere.received().is_empty());
    let told = bench.delivery(&huge_hook, "delivered", 1);
    assert_eq!(told["response"].as_str().unwrap().len(), 1_000);
    bench.delivery(&gone_hook, "failed", 1);
    let until = Instant::now() + WAIT;
    let off = loop {
        let shown = bench.ok("GET", &gone_hook, &Value::Null).json();
        if shown["enabled"] == json!(false) || Instant::now() > until {
            break shown;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(off["disabledReason"].as_str().unwrap().contains("410"), "{off}");
    assert_eq!(bench.ok("PATCH", &gone_hook, &json!({"enabled": true})).at("/disabledReason").unwrap(), "");

    // It comes up, and is told after all.
    let late = Sink::answering(port, |_| Reply::status(204)).unwrap();
    let calls = wait(&late, &bench.server, |calls| has(calls, "record.created", &post));
    judge(bench.dir.path(), &secret, &calls).unwrap();
    let done = bench.delivery(&webhook, "delivered", 2);
    assert_eq!(done["body"], json!(calls[0].body));
    assert_eq!(bench.ok("GET", &webhook, &Value::Null).at("/failingSince").unwrap(), "");
    let told = bench.delivery(&slow_hook, "pending", 1);
    let told = if told["error"] == json!("") { bench.delivery(&slow_hook, "pending", 2) } else { told };
    assert!(told["error"].as_str().unwrap().contains("15000 ms"), "{told}");

    // Again, with the same id and bytes, also when the record is another by now.
    bench.ok("PATCH", &format!("/api/collections/posts/records/{post}"), &json!({"title": "y"}));
    let id = done["id"].as_str().unwrap();
    assert_eq!(bench.ok("POST", &format!("{webhook}/deliveries/{id}/redeliver"), &Value::Null).status, 202);
    let event = header(&calls[0], "webhook-id");
    let again =
        |calls: &[Received]| calls.iter().filter(|call| header(call, "webhook-id") == event).count() > 1;
    let calls = wait(&late, &bench.server, again);
    let same: Vec<_> = calls.iter().filter(|call| header(call, "webhook-id") == event).collect();
    assert_eq!(same[0].body, same[1].body);
    judge(bench.dir.path(), &secret, &calls).unwrap();

    let since = json!({"since": "2020-01-01 00:00:00.000Z"});
    let counted = bench.ok("POST", &format!("{gone_hook}/redeliver"), &since);
    assert_eq!(counted.at("/count").unwrap(), "1");
    wait(&gone, &bench.server, |calls| calls.len() > 1);
    bench.delivery(&gone_hook, "delivered", 1);
}

#[test]
fn survive_failures_on_sqlite() {
    survives_failures(Engine::Sqlite);
}

#[test]
fn survive_failures_on_postgres() {
    survives_failures(Engine::Postgres);
}

/// An event is as durable as the write that is acknowledged.
fn survives_a_kill(engine: Engine) {
    let Some(mut bench) = Bench::start(engine, PRIVATE) else { return };
    let sink = Sink::start(&[]).unwrap();
    let (_, secret) = bench.webhook(&sink.url("/"), json!({}));
    let mut posts = Vec::new();
    for _ in 0..3 {
        posts.push(bench.create("posts", json!({"title": "x"})));
        bench.server.kill();
        bench.server.restart_in_place().unwrap();
        bench.token = bench.server.superuser_token().unwrap();
    }
    let calls = wait(&sink, &bench.server, |calls| posts.iter().all(|id| has(calls, "record.created", id)));
    judge(bench.dir.path(), &secret, &calls).unwrap();
}

#[test]
fn survive_a_kill_on_sqlite() {
    survives_a_kill(Engine::Sqlite);
}

#[test]
fn survive_a_kill_on_postgres() {
    survives_a_kill(Engine::Postgres);
}

#[test]
fn refuse_the_own_network_and_what_is_no_webhook() {
    let Some(bench) = Bench::start(Engine::Sqlite, "") else { return };
    let wrong = |body: Value, field: &str| {
        let answer = bench.send("POST", "/api/webhooks", &body);
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert!(!answer.json()["data"][field].is_null(), "{field}: {}", answer.text());
    };
    let with = |key: &str, value: Value| {
        let mut body = json!({"url": "https://example.com/", "collections": ["posts"]});
        body[key] = value;
        body
    };
    wrong(json!({}), "url");
    wrong(json!({}), "collections");
    wrong(with("url", json!("http://example.com")), "url");
    wrong(with("url", json!(5)), "url");
    wrong(with("collections", json!(["nothing"])), "collections");
    wrong(with("events", json!(["created"])), "events");
    wrong(with("filter", json!("nothing = 1")), "filter");
    wrong(with("filter", json!("title = (")), "filter");
    wrong(with("headers", json!({"webhook-id": "x"})), "headers");
    wrong(with("secret", json!("whsec_c2hvcnQ=")), "secret");
    let guest = bench.server.client().send(&Request::get("/api/webhooks")).unwrap();
    assert_eq!(guest.status, 401, "{}", guest.text());

    for url in ["https://127.0.0.1:1/", "https://localhost:1/", "https://[::1]:1/"] {
        let (webhook, _) = bench.webhook(url, json!({}));
        bench.create("posts", json!({"title": url}));
        let refused = bench.delivery(&webhook, "failed", 1);
        assert_eq!(refused["attempts"], json!(1));
        assert!(refused["error"].as_str().unwrap().contains("outbound.allow_private"), "{refused}");
        bench.ok("DELETE", &webhook, &Value::Null);
    }
    let listed = bench.ok("GET", "/api/webhooks?perPage=5", &Value::Null).json();
    assert_eq!((&listed["totalItems"], &listed["perPage"]), (&json!(0), &json!(5)));
}

/// A process that ends with the test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn are_told_by_any_node_and_by_workers() {
    let Some(mut bench) = Bench::start(Engine::Postgres, PRIVATE) else { return };
    let web = |name: &str, config: &str| {
        let dir = bench.dir.path().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        program(&bench.candidate, &dir, &format!("{PRIVATE}{config}"))
            .role("web")
            .serve(&dir.join("data"))
            .unwrap()
    };
    let (other, idle) = (web("other", ""), web("idle", "[jobs]\nrun = false\n"));
    let sink = Sink::start(&[]).unwrap();
    let (webhook, secret) = bench.webhook(&sink.url("/"), json!({}));
    let token = bench.token.clone();
    let create = |server: &Server| {
        let request = Request::json("POST", "/api/collections/posts/records", &json!({"title": "x"}));
        let answer = server.client().send(&request.token(&token)).unwrap();
        answer.at("/id").unwrap_or_else(|| panic!("{}", answer.text()))
    };
    // Acknowledged, so every node knows of it.
    let posts: Vec<String> = (0..45).map(|n| create([&bench.server, &other, &idle][n % 3])).collect();
    let calls = wait(&sink, &other, |calls| posts.iter().all(|id| has(calls, "record.created", id)));
    judge(bench.dir.path(), &secret, &calls).unwrap();
    bench.delivery(&webhook, "delivered", 1);
    println!("{} deliveries of {} events", sink.received().len(), posts.len());

    // Where nobody does jobs, a worker does what they left.
    bench.server.kill();
    drop(other);
    let last = create(&idle);
    let config = bench.dir.path().join("worker.toml");
    let address = format!("127.0.0.1:{}", tools::free_port());
    std::fs::write(&config, format!("{PRIVATE}[observe]\nhttp = '{address}'\n")).unwrap();
    let mut worker = Command::new(crate::candidate::BINARY);
    worker
        .arg("worker")
        .arg("--config")
        .arg(&config)
        .args(["--data", bench.candidate.program.data.as_deref().unwrap()]);
    let worker = Ended(worker.spawn().unwrap());
    let calls = wait(&sink, &idle, |calls| has(calls, "record.created", &last));
    judge(bench.dir.path(), &secret, &calls).unwrap();
    drop(worker);
    bench.server.restart_in_place().unwrap();
    bench.token = bench.server.superuser_token().unwrap();

    // One that did nothing but fail for days is switched off by its next failure.
    let refusing = Sink::answering(0, |_| Reply::status(500)).unwrap();
    let (failing, _) = bench.webhook(&refusing.url("/"), json!({}));
    let (postgres, id) = (bench.candidate.postgres.as_ref().unwrap(), failing.rsplit('/').next().unwrap());
    let database = bench.candidate.program.data.as_deref().and_then(|url| url.rsplit('/').next()).unwrap();
    let long_ago = format!(
        "UPDATE _pando_webhooks SET failing = (extract(epoch from now()) - 6 * 86400)::bigint * 1000 WHERE id = '{id}'"
    );
    postgres.sql(database, &long_ago).unwrap();
    bench.create("posts", json!({"title": "y"}));
    let until = Instant::now() + WAIT;
    loop {
        let shown = bench.ok("GET", &failing, &Value::Null).json();
        if shown["enabled"] == json!(false) {
            assert!(shown["disabledReason"].as_str().unwrap().contains("failed since"), "{shown}");
            break;
        }
        assert!(Instant::now() < until, "{shown}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
