//! What holds when processes die, when several nodes serve one group, and when many publish at once.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::pando::Engine;
use testkit::{Client, Request, Server};

use super::{WAIT, World, numbers, on_both, receipts, send, world};
use crate::candidate::Candidate;

on_both! {
    killed_amid_publishes_and_pulls
    producers_and_consumers_apart
    readers_skip_nobody
}

const GROUP: &str = "/api/queues/s/groups/g";

fn prepare(world: &World, lease_ms: u64) {
    let definition = json!({"name": "s", "subjects": ["a"], "publishRule": "", "consumeRule": ""});
    let group = json!({"name": "g", "leaseMs": lease_ms, "maxDeliveries": 1000});
    world.stream(&definition, &[group]);
}

fn publish(client: &Client, n: u64) -> bool {
    let body = json!({"subject": "a", "data": {"n": n}});
    matches!(client.send(&Request::json("POST", "/api/queues/s/publish", &body)), Ok(answer) if answer.status == 200)
}

/// What was done, and how often.
type Effects = Mutex<BTreeMap<i64, u64>>;

/// Pulls, does, and acknowledges until it is told to end, or until nothing answers.
fn consume(port: u16, effects: &Effects, until: &AtomicBool) {
    let client = Client::new(port).with_timeout(Duration::from_secs(15)).sending_once();
    while !until.load(Ordering::Relaxed) {
        let pull = Request::json("POST", &format!("{GROUP}/pull"), &json!({"max": 5, "waitMs": 200}));
        let Ok(answer) = client.send(&pull) else { return };
        if answer.status != 200 {
            return;
        }
        let messages = answer.json()["messages"].as_array().unwrap().clone();
        for n in numbers(&messages) {
            *effects.lock().unwrap().entry(n).or_default() += 1;
        }
        if !messages.is_empty() {
            let ack = Request::json("POST", &format!("{GROUP}/ack"), &receipts(&messages));
            if client.send(&ack).is_err() {
                return;
            }
        }
    }
}

mod check {
    use super::*;

    pub fn killed_amid_publishes_and_pulls(engine: Engine) {
        let mut world = world(engine);
        prepare(&world, 1_000);
        let (acknowledged, effects) = (Mutex::new(Vec::new()), Effects::default());
        let next = AtomicU64::new(0);
        for _ in 0..4 {
            let (port, ended) = (world.server.port(), AtomicBool::new(false));
            let before = acknowledged.lock().unwrap().len();
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        let client = Client::new(port).with_timeout(Duration::from_secs(15)).sending_once();
                        loop {
                            let n = next.fetch_add(1, Ordering::Relaxed);
                            if !publish(&client, n) {
                                return;
                            }
                            acknowledged.lock().unwrap().push(n as i64);
                        }
                    });
                }
                for _ in 0..3 {
                    scope.spawn(|| consume(port, &effects, &ended));
                }
                let until = Instant::now() + WAIT;
                while acknowledged.lock().unwrap().len() < before + 100 && Instant::now() < until {
                    std::thread::sleep(Duration::from_millis(10));
                }
                world.server.kill();
                ended.store(true, Ordering::Relaxed);
            });
            world.server.restart().unwrap();
        }
        let acknowledged = acknowledged.into_inner().unwrap();
        assert!(acknowledged.len() >= 400, "too few to prove anything: {}", acknowledged.len());
        drain(world.server.port(), &effects, &acknowledged);
        let effects = effects.into_inner().unwrap();
        let doubled = effects.values().filter(|count| **count > 1).count();
        println!("{} acknowledged, {} consumed, {doubled} more than once", acknowledged.len(), effects.len());
        assert!(doubled < effects.len() / 2, "most were consumed twice");
        // Readers see each once, in one order.
        let token = world.server.superuser_token().unwrap();
        let (mut from, mut read, mut last) = (1, Vec::new(), 0);
        loop {
            let body = json!({"from": from, "max": 500});
            let page = send(&world.server, &token, "POST", "/api/queues/s/read", &body).json();
            let messages = page["messages"].as_array().unwrap();
            if messages.is_empty() {
                break;
            }
            for message in messages {
                let seq = message["seq"].as_i64().unwrap();
                assert!(seq > last, "{seq} after {last}");
                last = seq;
            }
            read.extend(numbers(messages));
            from = page["next"].as_i64().unwrap();
        }
        let count = read.len();
        read.sort_unstable();
        read.dedup();
        assert_eq!(read.len(), count, "a message is in the stream twice");
        assert!(
            acknowledged.iter().all(|n| read.binary_search(n).is_ok()),
            "an acknowledged one is not in the stream"
        );
        assert!(effects.keys().all(|n| read.binary_search(n).is_ok()));
    }

    /// Until everything acknowledged was consumed.
    fn drain(port: u16, effects: &Effects, acknowledged: &[i64]) {
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| consume(port, effects, &ended));
            let until = Instant::now() + WAIT;
            loop {
                let missing = {
                    let effects = effects.lock().unwrap();
                    acknowledged.iter().filter(|n| !effects.contains_key(n)).count()
                };
                if missing == 0 {
                    break;
                }
                if Instant::now() > until {
                    ended.store(true, Ordering::Relaxed);
                    panic!("{missing} of {} were acknowledged and never delivered", acknowledged.len());
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            ended.store(true, Ordering::Relaxed);
        });
    }

    pub fn producers_and_consumers_apart(engine: Engine) {
        let mut world = world(engine);
        prepare(&world, 1_000);
        let client = world.server.client();
        let published: Vec<i64> = (0..100).collect();
        assert!(published.iter().all(|n| publish(&client, *n as u64)));
        world.server.kill();
        world.server.restart().unwrap();
        let effects = Effects::default();
        drain(world.server.port(), &effects, &published);
        assert!(effects.into_inner().unwrap().values().all(|count| *count == 1));
    }

    /// Many publish, some of them in transactions that stay open for a while; whoever follows by position sees each
    /// message once and in the order of the numbers.
    pub fn readers_skip_nobody(engine: Engine) {
        let world = world(engine);
        prepare(&world, 1_000);
        world.root("PATCH", "/api/settings", &json!({"batch": {"enabled": true, "maxRequests": 50}}));
        world.post("/api/collections", &json!({"name": "notes", "type": "base", "createRule": ""}));
        const PUBLISHERS: u64 = 4;
        const EACH: u64 = 40;
        let port = world.server.port();
        let done = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for publisher in 0..PUBLISHERS {
                let done = &done;
                scope.spawn(move || {
                    let client = Client::new(port).with_timeout(WAIT);
                    for at in 0..EACH {
                        let n = publisher * EACH + at;
                        if at % 4 == 3 {
                            let mut requests =
                                vec![json!({"method": "POST", "url": "/api/queues/s/publish", "body": {"subject": "a", "data": {"n": n}}})];
                            // Keeps the transaction open behind the message.
                            requests.extend((0..20).map(|_| json!({"method": "POST", "url": "/api/collections/notes/records", "body": {}})));
                            let batch = Request::json("POST", "/api/batch", &json!({"requests": requests}));
                            let answer = client.send(&batch).unwrap();
                            assert_eq!(answer.status, 200, "{}", answer.text());
                        } else {
                            assert!(publish(&client, n));
                        }
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                });
            }
            for _ in 0..3 {
                let done = &done;
                scope.spawn(move || {
                    let client = Client::new(port).with_timeout(WAIT);
                    let (mut from, mut seen, mut last) = (1, Vec::new(), 0);
                    let until = Instant::now() + WAIT;
                    while seen.len() < (PUBLISHERS * EACH) as usize {
                        assert!(
                            Instant::now() < until,
                            "{} seen, {} publishers done",
                            seen.len(),
                            done.load(Ordering::Relaxed)
                        );
                        let body = json!({"from": from, "waitMs": 500, "max": 7});
                        let answer =
                            client.send(&Request::json("POST", "/api/queues/s/read", &body)).unwrap();
                        assert_eq!(answer.status, 200, "{}", answer.text());
                        let page = answer.json();
                        for message in page["messages"].as_array().unwrap() {
                            let seq = message["seq"].as_i64().unwrap();
                            assert!(seq > last, "{seq} after {last}");
                            last = seq;
                            seen.push(message["data"]["n"].as_u64().unwrap());
                        }
                        from = page["next"].as_i64().unwrap();
                    }
                    // Each publisher's own order is kept.
                    for publisher in 0..PUBLISHERS {
                        let own: Vec<u64> = seen.iter().copied().filter(|n| n / EACH == publisher).collect();
                        assert_eq!(own, Vec::from_iter(publisher * EACH..(publisher + 1) * EACH));
                    }
                });
            }
        });
    }
}

/// Two nodes on one database: members of one group on both, each message one member's; what a killed node held is
/// delivered again, by the other; definitions are the same everywhere at once.
#[test]
fn members_on_two_nodes() {
    let mut candidate = Candidate::new(Engine::Postgres);
    candidate.program = candidate.program.role("web");
    let dir = tempfile::tempdir().unwrap();
    let mut first = candidate.program.start(&dir.path().join("first")).unwrap();
    let second = candidate.program.serve(&dir.path().join("second")).unwrap();
    let root = first.superuser_token().unwrap();
    let definition = json!({"name": "s", "subjects": ["a"], "publishRule": "", "consumeRule": ""});
    assert_eq!(send(&first, &root, "POST", "/api/queues", &definition).status, 200);
    let group = json!({"name": "g", "leaseMs": 3_000, "maxDeliveries": 1000});
    assert_eq!(send(&second, &root, "POST", "/api/queues/s/groups", &group).status, 200);
    assert_eq!(send(&first, &root, "GET", GROUP, &Value::Null).status, 200);

    const COUNT: u64 = 300;
    let (effects, ended) = (Effects::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for port in [first.port(), second.port(), first.port(), second.port()] {
            let (effects, ended) = (&effects, &ended);
            scope.spawn(move || consume(port, effects, ended));
        }
        for (at, port) in [first.port(), second.port()].into_iter().enumerate() {
            scope.spawn(move || {
                let client = Client::new(port);
                (0..COUNT / 2).for_each(|n| assert!(publish(&client, n * 2 + at as u64)));
            });
        }
        let until = Instant::now() + WAIT;
        while effects.lock().unwrap().len() < COUNT as usize && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        ended.store(true, Ordering::Relaxed);
    });
    let done = effects.into_inner().unwrap();
    assert_eq!(done.len() as u64, COUNT);
    assert!(done.values().all(|count| *count == 1), "{done:?}");

    // A message that a node published wakes who waits on the other; the node that got it dies with its client.
    let pull = |server: &Server, body: Value| {
        let answer = send(server, "", "POST", &format!("{GROUP}/pull"), &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["messages"].as_array().unwrap().clone()
    };
    let held = std::thread::scope(|scope| {
        let held = scope.spawn(|| pull(&first, json!({"waitMs": 30_000})));
        std::thread::sleep(Duration::from_millis(200));
        assert!(publish(&second.client(), COUNT));
        held.join().unwrap()
    });
    assert_eq!(numbers(&held), [COUNT as i64]);
    first.kill();
    let again = pull(&second, json!({"waitMs": 30_000}));
    assert_eq!((numbers(&again), &again[0]["deliveries"]), (vec![COUNT as i64], &json!(2)));
    let settled = send(&second, "", "POST", &format!("{GROUP}/ack"), &receipts(&held)).json();
    assert_eq!(settled["settled"], json!(0), "the receipt of who died is stale");
    assert_eq!(
        send(&second, "", "POST", &format!("{GROUP}/ack"), &receipts(&again)).json()["settled"],
        json!(1)
    );
}
