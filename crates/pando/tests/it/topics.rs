//! The application's own queues: streams, groups and subscribers, over HTTP, on both engines.

mod defined;
mod faults;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::pando::Engine;
use testkit::server::{SUPERUSER, Server};
use testkit::{Answer, Request, sse, tools};

use crate::candidate::Candidate;
use crate::sdk::node;

const WAIT: Duration = Duration::from_secs(60);

struct World {
    // Before the candidate, so that the server goes before its database does.
    server: Server,
    _dir: tempfile::TempDir,
    _candidate: Candidate,
    root: String,
}

fn world(engine: Engine) -> World {
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(engine);
    let server = candidate.program.start(&dir.path().join("data")).unwrap();
    let root = server.superuser_token().unwrap();
    World { server, _dir: dir, _candidate: candidate, root }
}

fn send(server: &Server, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    server.client().send(&Request::json(method, path, body).token(token)).unwrap()
}

impl World {
    fn asked(&self, token: &str, method: &str, path: &str, body: &Value) -> Answer {
        send(&self.server, token, method, path, body)
    }

    fn root(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.asked(&self.root, method, path, body);
        assert!(answer.status < 300, "{path}: {} {}", answer.status, answer.text());
        answer.json()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.root("POST", path, body)
    }

    /// A stream with groups.
    fn stream(&self, definition: &Value, groups: &[Value]) {
        self.post("/api/queues", definition);
        let name = definition["name"].as_str().unwrap();
        for group in groups {
            self.post(&format!("/api/queues/{name}/groups"), group);
        }
    }

    fn pull(&self, group: &str, body: &Value) -> Vec<Value> {
        self.post(&format!("{group}/pull"), body)["messages"].as_array().unwrap().clone()
    }

    fn stats(&self, stream: &str, pointer: &str) -> i64 {
        self.root("GET", &format!("/api/queues/{stream}/stats"), &Value::Null)
            .pointer(pointer)
            .unwrap()
            .as_i64()
            .unwrap()
    }
}

fn ids(messages: &[Value]) -> Vec<String> {
    messages.iter().map(|message| message["id"].as_str().unwrap().to_owned()).collect()
}

fn receipts(messages: &[Value]) -> Value {
    json!({"receipts": messages.iter().map(|message| message["receipt"].clone()).collect::<Vec<_>>()})
}

fn numbers(messages: &[Value]) -> Vec<i64> {
    messages.iter().map(|message| message["data"]["n"].as_i64().unwrap()).collect()
}

macro_rules! on_both {
    ($($name:ident)*) => {$(
        mod $name {
            #[test]
            fn sqlite() {
                super::check::$name(super::Engine::Sqlite);
            }

            #[test]
            fn postgres() {
                super::check::$name(super::Engine::Postgres);
            }
        }
    )*};
}
use on_both;

on_both! {
    groups_share_messages
    dead_letters
    delays_priorities_and_ids
    subscribers_read_everything
    retention
    part_of_a_batch
    waits
    events
    sdk
}

mod check {
    use super::*;

    pub fn groups_share_messages(engine: Engine) {
        let world = world(engine);
        let groups =
            [json!({"name": "eu", "filter": "orders.eu.*", "leaseMs": 60_000}), json!({"name": "all"})];
        world.stream(&json!({"name": "orders", "subjects": ["orders.>"]}), &groups);
        let (eu, all) = ("/api/queues/orders/groups/eu", "/api/queues/orders/groups/all");
        let answer =
            world.asked(&world.root, "POST", "/api/queues/orders/publish", &json!({"subject": "other.a"}));
        assert_eq!(answer.status, 404);
        let messages: Vec<Value> = (0..20)
            .map(|n| json!({"subject": if n % 2 == 0 { "orders.eu.a" } else { "orders.us.a" }, "data": {"n": n}}))
            .collect();
        let made = world.post("/api/queues/orders/publish", &json!({"messages": messages}));
        assert_eq!(made["messages"].as_array().unwrap().len(), 20);

        let first = world.pull(eu, &json!({"max": 4}));
        let second = world.pull(eu, &json!({"max": 100}));
        assert_eq!((numbers(&first), numbers(&second)), (vec![0, 2, 4, 6], vec![8, 10, 12, 14, 16, 18]));
        assert!(world.pull(eu, &json!({"max": 100})).is_empty());
        assert_eq!(world.pull(all, &json!({"max": 100})).len(), 20);
        assert_eq!(
            (world.stats("orders", "/groups/0/inFlight"), world.stats("orders", "/groups/0/waiting")),
            (10, 0)
        );

        // Settled once; a second time the receipt is stale.
        assert_eq!(world.post(&format!("{eu}/ack"), &receipts(&first)), json!({"settled": 4, "stale": []}));
        assert_eq!(world.post(&format!("{eu}/ack"), &receipts(&first))["settled"], json!(0));
        // Another group's receipts are none of this one's.
        assert_eq!(world.post(&format!("{all}/ack"), &receipts(&second))["settled"], json!(0));
        // Given back, they come again, as often as it takes.
        assert_eq!(world.post(&format!("{eu}/nak"), &receipts(&second[..2]))["settled"], json!(2));
        let again = world.pull(eu, &json!({"max": 100, "leaseMs": 300}));
        assert_eq!(numbers(&again), [8, 10]);
        assert_eq!(again[0]["deliveries"], json!(2));
        assert_eq!(world.post(&format!("{eu}/ack"), &receipts(&second[..2]))["settled"], json!(0));
        // One lease is extended, the other ends.
        let mut longer = receipts(&again[..1]);
        longer["leaseMs"] = json!(60_000);
        assert_eq!(world.post(&format!("{eu}/extend"), &longer)["settled"], json!(1));
        let ended = world.pull(eu, &json!({"waitMs": 30_000}));
        assert_eq!(numbers(&ended), [10]);
        assert_eq!(
            world.post(&format!("{eu}/ack"), &receipts(&again))["stale"],
            json!([again[1]["receipt"]])
        );
        assert_eq!(world.post(&format!("{eu}/ack"), &receipts(&ended))["settled"], json!(1));
        assert_eq!(world.post(&format!("{eu}/ack"), &receipts(&second[2..]))["settled"], json!(4));
        assert_eq!(
            (world.stats("orders", "/groups/0/inFlight"), world.stats("orders", "/messages")),
            (0, 20)
        );
    }

    pub fn dead_letters(engine: Engine) {
        let world = world(engine);
        let group = json!({"name": "g", "maxDeliveries": 2});
        world.stream(&json!({"name": "s", "subjects": ["a"]}), &[group]);
        let group = "/api/queues/s/groups/g";
        for n in 0..2 {
            world.post("/api/queues/s/publish", &json!({"subject": "a", "data": {"n": n}}));
        }
        for _ in 0..2 {
            let taken = world.pull(group, &json!({"max": 2}));
            assert_eq!(numbers(&taken), [0, 1]);
            // One is given back, one is left to itself.
            world.post(&format!("{group}/nak"), &receipts(&taken[..1]));
            let mut short = receipts(&taken[1..]);
            short["leaseMs"] = json!(100);
            world.post(&format!("{group}/extend"), &short);
            let until = Instant::now() + WAIT;
            while world.stats("s", "/groups/0/inFlight") > 0 {
                assert!(Instant::now() < until, "a lease does not end");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        assert!(world.pull(group, &json!({"max": 10})).is_empty());
        let letters = world.root("GET", &format!("{group}/dead"), &Value::Null);
        let letters = letters.as_array().unwrap();
        assert_eq!(BTreeSet::from_iter(numbers(letters)), BTreeSet::from([0, 1]));
        assert_eq!(world.stats("s", "/groups/0/dead"), 2);
        assert_eq!(world.asked("", "GET", &format!("{group}/dead"), &Value::Null).status, 401);
        let one = letters.iter().find(|letter| letter["data"]["n"] == 0).unwrap();
        assert_eq!(
            world.post(&format!("{group}/dead/retry"), &json!({"ids": [one["id"]]})),
            json!({"retried": 1})
        );
        let again = world.pull(group, &json!({"max": 10}));
        assert_eq!((numbers(&again), &again[0]["deliveries"]), (vec![0], &json!(1)));
        assert_eq!(world.post(&format!("{group}/dead/drop"), &json!({"ids": "all"})), json!({"dropped": 1}));
        assert_eq!(world.stats("s", "/groups/0/dead"), 0);
    }

    pub fn delays_priorities_and_ids(engine: Engine) {
        let world = world(engine);
        world.stream(&json!({"name": "s", "subjects": ["a"]}), &[json!({"name": "g"})]);
        let group = "/api/queues/s/groups/g";
        let publish = |body: Value| world.post("/api/queues/s/publish", &body);
        publish(json!({"subject": "a", "data": {"n": 3}, "priority": "low"}));
        publish(json!({"subject": "a", "data": {"n": 2}}));
        publish(json!({"subject": "a", "data": {"n": 1}, "priority": "high", "headers": {"trace": "t"}}));
        publish(json!({"subject": "a", "data": {"n": 4}, "delayMs": 1500}));
        publish(
            json!({"subject": "a", "data": {"n": 5}, "at": "2999-01-01 00:00:00.000Z"})
                .as_object()
                .map(|body| {
                    // Too far away.
                    assert_eq!(
                        world.asked(&world.root, "POST", "/api/queues/s/publish", &json!(body)).status,
                        400
                    );
                    json!({"subject": "a", "data": {"n": 5}, "at": "2020-01-01 00:00:00.000Z"})
                })
                .unwrap(),
        );
        let taken = world.pull(group, &json!({"max": 10}));
        assert_eq!(numbers(&taken), [1, 2, 5, 3]);
        assert_eq!(taken[0]["headers"], json!({"trace": "t"}));
        // Not in the stream before it is due either.
        let read = world.post("/api/queues/s/read", &json!({"from": "first"}));
        assert_eq!(read["messages"].as_array().unwrap().len(), 4);
        assert_eq!(numbers(&world.pull(group, &json!({"max": 10, "waitMs": 30_000}))), [4]);
        let late = world.post("/api/queues/s/read", &json!({"from": read["next"], "waitMs": 30_000}));
        assert_eq!(numbers(late["messages"].as_array().unwrap()), [4]);

        // The same id is the same message.
        let one = |n: i64| json!({"subject": "a", "data": {"n": n}, "id": "order-1"});
        assert_eq!(publish(one(6)), json!({"id": "order-1", "duplicate": false}));
        assert_eq!(publish(one(7)), json!({"id": "order-1", "duplicate": true}));
        let both = publish(
            json!({"messages": [one(8), {"subject": "a", "id": "order-2"}, {"subject": "a", "id": "order-2"}]}),
        );
        let duplicates: Vec<bool> = both["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["duplicate"].as_bool().unwrap())
            .collect();
        assert_eq!(duplicates, [true, false, true]);
        assert_eq!(ids(&world.pull(group, &json!({"max": 10}))), ["order-1", "order-2"]);
    }

    pub fn subscribers_read_everything(engine: Engine) {
        let world = world(engine);
        world.stream(&json!({"name": "s", "subjects": ["a.>"]}), &[]);
        let read = |body: Value| {
            let answer = world.post("/api/queues/s/read", &body);
            (numbers(answer["messages"].as_array().unwrap()), answer["next"].as_i64().unwrap())
        };
        let (nothing, next) = read(json!({}));
        assert!(nothing.is_empty());
        let publish = |n: i64| {
            world.post("/api/queues/s/publish", &json!({"subject": format!("a.{}", n % 3), "data": {"n": n}}))
        };
        (0..10).for_each(|n| drop(publish(n)));
        // Everybody by a position of their own.
        assert_eq!(read(json!({"from": next})).0, Vec::from_iter(0..10));
        assert_eq!(read(json!({"from": "first", "max": 4})), (vec![0, 1, 2, 3], 5));
        assert_eq!(read(json!({"from": 5, "max": 100})).0, Vec::from_iter(4..10));
        assert_eq!(read(json!({"from": "first", "filter": "a.1"})).0, [1, 4, 7]);
        // Replay from a time.
        let stored = world.post("/api/queues/s/read", &json!({"from": "first"}));
        std::thread::sleep(Duration::from_millis(5));
        publish(10);
        let all = world.post("/api/queues/s/read", &json!({"from": "first"}));
        let time = all["messages"][10]["time"].clone();
        assert!(time.as_str() > stored["messages"][9]["time"].as_str());
        assert_eq!(read(json!({"from": time})).0, [10]);
        // By way of an address too.
        let answer = world.root("GET", "/api/queues/s/read?from=9&filter=a.*&max=2", &Value::Null);
        assert_eq!(numbers(answer["messages"].as_array().unwrap()), [8, 9]);

        // A named subscriber goes on where it acknowledged last.
        let named = |name: &str, ack: Option<i64>, from: &str| {
            let mut body = json!({"subscriber": name, "from": from, "max": 4});
            if let Some(ack) = ack {
                body["ack"] = json!(ack);
            }
            read(body)
        };
        assert_eq!(named("one", None, "first").0, [0, 1, 2, 3]);
        assert_eq!(named("one", None, "first").0, [0, 1, 2, 3]);
        assert_eq!(named("one", Some(4), "first").0, [4, 5, 6, 7]);
        assert_eq!(named("one", Some(2), "new").0, [4, 5, 6, 7]);
        assert!(named("two", None, "new").0.is_empty());
        // Beyond the end is the end.
        assert!(named("one", Some(1_000_000), "new").0.is_empty());
        publish(11);
        assert_eq!((named("one", None, "new").0, named("two", None, "new").0), (vec![11], vec![11]));
    }

    pub fn retention(engine: Engine) {
        let world = world(engine);
        let definition = json!({"name": "s", "subjects": ["a.*"], "maxMessages": 5, "maxAgeMs": 3_600_000});
        world.stream(&definition, &[json!({"name": "g", "filter": "a.kept"})]);
        for n in 0..20 {
            let subject = if n == 3 { "a.kept" } else { "a.log" };
            world.post("/api/queues/s/publish", &json!({"subject": subject, "data": {"n": n}}));
        }
        let kept = || {
            let all = world.post("/api/queues/s/read", &json!({"from": "first"}));
            numbers(all["messages"].as_array().unwrap())
        };
        assert_eq!(kept().len(), 20);
        let sweep = |done: &dyn Fn() -> bool| {
            world.post("/api/crons/__pandoQueuesCleanup__", &json!({}));
            let until = Instant::now() + WAIT;
            while !done() {
                assert!(Instant::now() < until, "{:?} are kept", kept());
                std::thread::sleep(Duration::from_millis(50));
            }
        };
        // A message that a group waits for stays.
        sweep(&|| kept() == [3, 15, 16, 17, 18, 19]);
        let taken = world.pull("/api/queues/s/groups/g", &json!({}));
        world.post("/api/queues/s/groups/g/ack", &receipts(&taken));
        sweep(&|| kept() == [15, 16, 17, 18, 19]);
        world.root("PATCH", "/api/queues/s", &json!({"maxBytes": 40}));
        sweep(&|| kept() == [17, 18, 19]);
        // Age takes what groups wait for as well.
        world.post("/api/queues/s/publish", &json!({"subject": "a.kept", "data": {"n": 20}}));
        std::thread::sleep(Duration::from_millis(1100));
        world.root("PATCH", "/api/queues/s", &json!({"maxAgeMs": 1000}));
        sweep(&|| kept().is_empty());
        assert_eq!(world.stats("s", "/groups/0/waiting"), 0);
        // Numbers go on.
        world.post("/api/queues/s/publish", &json!({"subject": "a.log", "data": {"n": 21}}));
        let all = world.post("/api/queues/s/read", &json!({"from": "first"}));
        assert_eq!(all["messages"][0]["seq"], json!(22));
        let metrics = world.asked(&world.root, "GET", "/metrics", &Value::Null);
        if metrics.status == 200 {
            assert!(
                metrics.text().contains("pando_stream_published_total{stream=\"s\"}"),
                "{}",
                metrics.text()
            );
        }
    }

    pub fn part_of_a_batch(engine: Engine) {
        let world = world(engine);
        world.root("PATCH", "/api/settings", &json!({"batch": {"enabled": true, "maxRequests": 10}}));
        let fields = json!([{"name": "n", "type": "number", "min": 0}]);
        world.post(
            "/api/collections",
            &json!({"name": "notes", "type": "base", "createRule": "", "listRule": "", "fields": fields}),
        );
        let definition = json!({"name": "s", "subjects": ["a"], "publishRule": "data.n > 0"});
        world.stream(&definition, &[json!({"name": "g"})]);
        let batch = |n: i64, published: i64| {
            let requests = json!([
                {"method": "POST", "url": "/api/collections/notes/records", "body": {"n": n}},
                {"method": "POST", "url": "/api/queues/s/publish", "body": {"subject": "a", "data": {"n": published}}},
            ]);
            world.asked("", "POST", "/api/batch", &json!({"requests": requests}))
        };
        let answer = batch(1, 1);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.at("/1/body/duplicate").unwrap(), "false");
        // The record is refused, or the message: neither is there.
        assert_eq!((batch(-1, 2).status, batch(2, -1).status), (400, 400));
        assert_eq!(world.root("GET", "/api/collections/notes/records", &Value::Null)["totalItems"], json!(1));
        assert_eq!(numbers(&world.pull("/api/queues/s/groups/g", &json!({}))), [1]);
        assert_eq!(world.stats("s", "/messages"), 1);
        // Many at once.
        std::thread::scope(|scope| {
            for n in 2..10 {
                let batch = &batch;
                scope.spawn(move || {
                    let answer = batch(n, n);
                    assert_eq!(answer.status, 200, "{}", answer.text());
                });
            }
        });
        assert_eq!(world.stats("s", "/messages"), 9);
    }

    pub fn waits(engine: Engine) {
        let world = world(engine);
        world.stream(&json!({"name": "s", "subjects": ["a"], "consumeRule": ""}), &[json!({"name": "g"})]);
        let group = "/api/queues/s/groups/g/pull";
        let began = Instant::now();
        assert!(world.post(group, &json!({"waitMs": 300}))["messages"].as_array().unwrap().is_empty());
        assert!(began.elapsed() >= Duration::from_millis(300));
        std::thread::scope(|scope| {
            let (world, wait) = (&world, json!({"waitMs": 60_000, "from": 1}));
            let waiting: Vec<_> = [group, group, "/api/queues/s/read", "/api/queues/s/read"]
                .map(|path| {
                    let wait = wait.clone();
                    scope.spawn(move || {
                        world.asked("", "POST", path, &wait).json()["messages"].as_array().unwrap().len()
                    })
                })
                .into();
            std::thread::sleep(Duration::from_millis(200));
            world.post("/api/queues/s/publish", &json!({"messages": [{"subject": "a"}]}));
            world.post("/api/queues/s/publish", &json!({"messages": [{"subject": "a"}]}));
            let counts: Vec<usize> = waiting.into_iter().map(|one| one.join().unwrap()).collect();
            assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
            assert_eq!(counts[0] + counts[1], 2);
        });
        // Who waits when the server stops is answered.
        let mut server = world.server;
        let port = server.port();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(move || {
                let request = Request::json("POST", group, &json!({"waitMs": 60_000}));
                testkit::Client::new(port).with_timeout(WAIT).send(&request).unwrap()
            });
            std::thread::sleep(Duration::from_millis(500));
            assert_eq!(server.terminate(Duration::from_secs(30)), Some(0));
            let answer = waiting.join().unwrap();
            assert_eq!((answer.status, answer.json()), (200, json!({"messages": []})));
        });
    }

    pub fn events(engine: Engine) {
        let world = world(engine);
        let rule = "subject ~ 'a.%' && (@request.context = 'default' || @request.context = 'realtime')";
        world.stream(&json!({"name": "s", "subjects": [">"], "consumeRule": rule}), &[]);
        let subscribe = |topics: &[&str]| {
            let stream = sse::Stream::open(world.server.port()).unwrap();
            let body = json!({"clientId": stream.id, "subscriptions": topics});
            assert_eq!(world.asked("", "POST", "/api/realtime", &body).status, 204);
            stream
        };
        let clients = [subscribe(&["queues/s/a.*", "queues/s/b.*"]), subscribe(&["queues/s/a.>"])];
        for n in 0..50 {
            let subject = ["a.x", "b.x", "a.x.y"][n % 3];
            world.post("/api/queues/s/publish", &json!({"subject": subject, "data": {"n": n}}));
        }
        world.post("/api/queues/s/publish", &json!({"subject": "a.x", "data": {"n": -1}}));
        for (client, kept) in clients.iter().zip([&[0][..], &[0, 2]]) {
            let last = client.wait_for(WAIT, |event| event.json()["message"]["data"]["n"] == -1);
            let last = last.expect("the last message");
            assert_eq!((&last.json()["action"], &last.json()["stream"]), (&json!("message"), &json!("s")));
            let seen: Vec<i64> = client
                .take()
                .iter()
                .map(|event| event.json()["message"]["data"]["n"].as_i64().unwrap())
                .collect();
            let expected = (0..50).filter(|n| kept.contains(&(n % 3))).chain([-1]);
            assert_eq!(seen, Vec::from_iter(expected));
        }
    }

    pub fn sdk(engine: Engine) {
        let world = world(engine);
        let definition =
            json!({"name": "orders", "subjects": ["orders.>"], "publishRule": "", "consumeRule": ""});
        world.stream(&definition, &[json!({"name": "mail", "filter": "orders.*.created"})]);
        let mut script = node("queues.mjs");
        script.arg(format!("http://127.0.0.1:{}", world.server.port())).args([SUPERUSER.0, SUPERUSER.1]);
        let printed =
            tools::run(&mut script).unwrap_or_else(|error| panic!("{error:#}\n{}", world.server.log()));
        let steps: BTreeMap<String, Value> = printed
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .map(|line| (line["step"].as_str().unwrap().to_owned(), line))
            .collect();
        let value = |step: &str| &steps[step]["result"];
        assert_eq!(value("pull and ack"), &json!([{"total": 1, "settled": 1}]), "{printed}");
        assert_eq!(value("read"), &json!(["orders.eu.created", "orders.eu.paid"]), "{printed}");
        assert_eq!(value("events"), &json!(["orders.us.created"]), "{printed}");
    }
}
