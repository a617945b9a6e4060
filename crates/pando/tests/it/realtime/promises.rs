//! What only Pando promises of event streams: who does not read holds up nobody, who leaves is forgotten, tokens
//! end when they end, and a server that stops or dies leaves no client behind.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::pando::Engine;
use testkit::sse::{self, Event, Stream};
use testkit::{Request, Server, corpus};

use crate::candidate::Candidate;

const WAIT: Duration = Duration::from_secs(60);
const RECORDS: &str = "/api/collections/pub/records";

struct World {
    // Before the candidate, so that the server goes before its database does.
    server: Server,
    _dir: tempfile::TempDir,
    candidate: Candidate,
    token: String,
}

fn world(engine: Engine) -> World {
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(engine);
    let server = candidate.program.start(&dir.path().join("data")).unwrap();
    let token = server.superuser_token().unwrap();
    let fields = json!([{"name": "n", "type": "number"}, {"name": "text", "type": "text", "max": 1_000_000}]);
    for (name, rule) in [("pub", ""), ("own", "@request.auth.id != ''")] {
        let body =
            json!({"name": name, "type": "base", "listRule": rule, "viewRule": rule, "fields": fields});
        let made = server.client().send(&Request::json("POST", "/api/collections", &body).token(&token));
        assert_eq!(made.unwrap().status, 200);
    }
    World { server, _dir: dir, candidate, token }
}

impl World {
    fn post(&self, path: &str, body: &Value) -> Value {
        let answer =
            self.server.client().send(&Request::json("POST", path, body).token(&self.token)).unwrap();
        assert!(answer.status < 300, "{path}: {} {}", answer.status, answer.text());
        answer.json()
    }

    fn subscribe(&self, id: &str, topics: &[&str], token: &str) -> u16 {
        let body = json!({"clientId": id, "subscriptions": topics});
        let request = Request::json("POST", "/api/realtime", &body).token(token);
        self.server.client().send(&request).unwrap().status
    }

    fn stream(&self, topics: &[&str], token: &str) -> Stream {
        let stream = Stream::open(self.server.port()).unwrap();
        assert_eq!(self.subscribe(&stream.id, topics, token), 204);
        stream
    }
}

fn is_number(n: usize) -> impl Fn(&Event) -> bool {
    move |event| event.json()["record"]["n"] == json!(n)
}

/// A stream that is subscribed and then never read again.
fn stalled(world: &World, topic: &str) -> TcpStream {
    let mut stream = sse::ask(world.server.port()).unwrap();
    let mut parser = sse::Parser::default();
    let mut chunk = [0; 1024];
    while parser.events.is_empty() {
        let n = stream.read(&mut chunk).unwrap();
        assert!(n > 0 && parser.feed(&chunk[..n]));
    }
    let id = parser.events[0].json()["clientId"].as_str().unwrap().to_owned();
    assert_eq!(world.subscribe(&id, &[topic], ""), 204);
    stream
}

#[test]
fn clients_that_do_not_read_hold_up_nobody() {
    const READERS: usize = 950;
    const STALLED: usize = 50;
    const WRITES: usize = 40;
    let world = world(Engine::Sqlite);
    // What is read is small, and what is not is large: more than the kernel keeps for a connection.
    let small = format!("pub/*?options={}", corpus::encode(r#"{"query":{"fields":"n"}}"#));
    let readers: Vec<Stream> = (0..READERS).map(|_| world.stream(&[&small], "")).collect();
    let stuck: Vec<TcpStream> = (0..STALLED).map(|_| stalled(&world, "pub/*")).collect();
    let text = "x".repeat(250_000);
    for n in 1..=WRITES {
        world.post(RECORDS, &json!({"n": n, "text": text}));
    }
    for reader in &readers {
        assert!(reader.wait_for(WAIT, is_number(WRITES)).is_some());
        let heard: Vec<Value> =
            reader.take().iter().map(|event| event.json()["record"]["n"].clone()).collect();
        assert_eq!(heard, (1..=WRITES).map(|n| json!(n)).collect::<Vec<_>>(), "every event, in order");
    }
    for mut stream in stuck {
        stream.set_read_timeout(Some(WAIT)).unwrap();
        let mut chunk = vec![0; 1 << 20];
        let mut bytes = 0;
        // What the kernel had is still there; then the connection ends.
        loop {
            match stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(n) => bytes += n,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
                Err(error) => panic!("a client that does not read stays connected: {error}"),
            }
        }
        assert!(bytes < WRITES * text.len());
    }
    assert_eq!(world.server.client().send(&Request::get("/api/health")).unwrap().status, 200);
}

#[test]
fn a_subscription_begins_when_it_is_answered() {
    const WRITES: usize = 50;
    let world = world(Engine::Sqlite);
    // So many kinds of subscriptions that events are behind what is written.
    let of_kind = |n| format!("pub/*?options={}", corpus::encode(&format!(r#"{{"query":{{"n":"{n}"}}}}"#)));
    let topics: Vec<String> = (0..200).map(of_kind).collect();
    let _behind = world.stream(&topics.iter().map(String::as_str).collect::<Vec<_>>(), "");
    let kept = world.stream(&["pub/*"], "");
    let anew = Stream::open(world.server.port()).unwrap();
    let enable = json!({"batch": {"enabled": true}});
    let enable = Request::json("PATCH", "/api/settings", &enable).token(&world.token);
    assert_eq!(world.server.client().send(&enable).unwrap().status, 200);
    let requests: Vec<Value> =
        (1..=WRITES).map(|n| json!({"method": "POST", "url": RECORDS, "body": {"n": n}})).collect();
    world.post("/api/batch", &json!({"requests": requests}));
    assert_eq!(world.subscribe(&anew.id, &["pub/*"], ""), 204);
    // What it was subscribed to before goes on.
    assert_eq!(world.subscribe(&kept.id, &["pub/*", "own/*"], ""), 204);
    world.post(RECORDS, &json!({"n": WRITES + 1}));
    let numbers = |stream: &Stream| -> Vec<Value> {
        assert!(stream.wait_for(WAIT, is_number(WRITES + 1)).is_some());
        stream.take().iter().map(|event| event.json()["record"]["n"].clone()).collect()
    };
    assert_eq!(numbers(&anew), [json!(WRITES + 1)]);
    assert_eq!(numbers(&kept), (1..=WRITES + 1).map(|n| json!(n)).collect::<Vec<_>>());
}

#[test]
fn who_leaves_is_forgotten() {
    let world = world(Engine::Sqlite);
    let stream = world.stream(&["pub/*"], "");
    let id = stream.id.clone();
    drop(stream);
    let until = Instant::now() + WAIT;
    while world.subscribe(&id, &["pub/*"], "") != 404 {
        assert!(Instant::now() < until, "a client that left is still known");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_ended_token_ends_what_it_could_see() {
    let world = world(Engine::Sqlite);
    let body = json!({"email": "a@example.com", "password": "password1", "passwordConfirm": "password1"});
    let user = world.post("/api/collections/users/records", &body);
    let path = format!("/api/collections/users/impersonate/{}", user["id"].as_str().unwrap());
    let token = world.post(&path, &json!({"duration": 3}))["token"].as_str().unwrap().to_owned();
    let asked = Instant::now();
    let stream = world.stream(&["own/*", "pub/*"], &token);
    world.post("/api/collections/own/records", &json!({"n": 1}));
    assert!(stream.wait_for(WAIT, is_number(1)).is_some());
    // The token counts in whole seconds.
    std::thread::sleep(Duration::from_millis(3100).saturating_sub(asked.elapsed()));
    world.post("/api/collections/own/records", &json!({"n": 2}));
    world.post(RECORDS, &json!({"n": 3}));
    assert!(stream.wait_for(WAIT, is_number(3)).is_some(), "the stream itself goes on");
    assert!(!stream.take().iter().any(is_number(2)));
    // Nobody may become somebody else, and this client is nobody again.
    assert_eq!(world.subscribe(&stream.id, &["pub/*"], ""), 204);
}

#[test]
fn a_write_by_another_process_starts_clients_anew() {
    let world = world(Engine::Sqlite);
    let stream = world.stream(&["pub/*"], "");
    world
        .candidate
        .program
        .upsert_superuser(world.server.dir(), "other@example.com", "a-long-password")
        .unwrap();
    assert!(stream.wait_closed(WAIT), "nobody says that events may be missing");
    assert_eq!(stream.take().last().map(|event| event.name.clone()), Some("PB_RESYNC".into()));
}

#[test]
fn streams_do_not_hold_up_the_end() {
    let mut world = world(Engine::Sqlite);
    let streams: Vec<Stream> = (0..20).map(|_| world.stream(&["pub/*"], "")).collect();
    let stuck = stalled(&world, "pub/*");
    let text = "x".repeat(250_000);
    for n in 0..20 {
        world.post(RECORDS, &json!({"n": n, "text": text}));
    }
    assert_eq!(world.server.terminate(WAIT), Some(0), "{}", world.server.log());
    assert!(!world.server.log().contains("were cut off"), "{}", world.server.log());
    assert!(streams.iter().all(|stream| stream.wait_closed(WAIT)));
    drop(stuck);
}

/// The SDK's own reconnection, over a kill.
fn reconnects(engine: Engine) {
    let mut world = world(engine);
    let mut node = crate::sdk::node("reconnect.mjs");
    node.arg(format!("http://127.0.0.1:{}", world.server.port())).args(["", ""]);
    let mut node = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
    let mut next = || lines.next().expect("the script goes on").unwrap();
    assert_eq!(next(), "connected");
    assert_eq!(next(), "subscribed");
    world.post(RECORDS, &json!({"n": 1}));
    assert_eq!(next(), "heard 1");
    world.server.kill();
    world.server.restart_in_place().unwrap();
    world.token = world.server.superuser_token().unwrap();
    assert_eq!(next(), "connected");
    // The SDK subscribes again after it is connected, which it does not tell: write until it hears.
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let until = Instant::now() + WAIT;
            while !done.load(std::sync::atomic::Ordering::Relaxed) && Instant::now() < until {
                world.post(RECORDS, &json!({"n": 2}));
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        assert_eq!(next(), "heard 2");
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    node.stdin.take().unwrap().write_all(b"end\n").unwrap();
    assert!(node.wait().unwrap().success());
}

#[test]
fn sdks_connect_again_after_a_crash() {
    reconnects(Engine::Sqlite);
}

#[test]
fn sdks_connect_again_after_a_crash_on_postgres() {
    reconnects(Engine::Postgres);
}
