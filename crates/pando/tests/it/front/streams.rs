//! Event streams through an edge and a balancer, with the official client's way to come back: a new connection, its
//! subscriptions once more, and what there is read anew.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::front::Front;
use testkit::nats::Nats;
use testkit::pando::Engine;
use testkit::server::Server;
use testkit::sse::Stream;
use testkit::{Client, Request};

use crate::candidate::{BINARY, Candidate, as_superuser};

const WAIT: Duration = Duration::from_secs(60);
const NOTES: &str = "/api/collections/notes/records";
const SUBSCRIBERS: usize = 3;

struct Site {
    edge: Front,
    nodes: Vec<Server>,
    _balancer: Front,
    _nats: Nats,
    _candidate: Candidate,
    _dir: tempfile::TempDir,
}

impl Site {
    fn start() -> Site {
        let dir = tempfile::tempdir().unwrap();
        let mut candidate = Candidate::new(Engine::Postgres);
        let nats = Nats::start(&dir.path().join("nats")).unwrap();
        let url = nats.url();
        candidate.program.variables.push(("PANDO_BUS_URL".into(), url.clone()));
        candidate.program = candidate.program.role("web");
        let first = candidate.program.start(&dir.path().join("first")).unwrap();
        let second = candidate.program.serve(&dir.path().join("second")).unwrap();
        let bus = ("PANDO_BUS_URL", url.as_str());
        let balancer = Front::start(BINARY.as_ref(), dir.path(), "balance", "", &[bus]).unwrap();
        let socket = dir.path().join("handover");
        let variables = [
            bus,
            ("PANDO_FRONT_ANNOUNCED_NODES", "false"),
            ("PANDO_FRONT_HANDOVER", socket.to_str().unwrap()),
            ("PANDO_FRONT_DRAIN_MS", "500"),
        ];
        let edge =
            Front::start(BINARY.as_ref(), dir.path(), "edge", &balancer.address(), &variables).unwrap();
        let collection = json!({"name": "notes", "type": "base", "listRule": "", "viewRule": "", "createRule": "",
            "fields": [{"name": "n", "type": "number"}]});
        as_superuser(&first, "POST", "/api/collections", &collection);
        Site {
            edge,
            nodes: vec![first, second],
            _balancer: balancer,
            _nats: nats,
            _candidate: candidate,
            _dir: dir,
        }
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + WAIT;
    while !is_so() {
        assert!(Instant::now() < end, "not {what} within {WAIT:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Somebody who writes one record after the other, and knows which were acknowledged.
struct Writer {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<BTreeSet<u64>>>,
    thread: JoinHandle<()>,
}

impl Writer {
    fn start(port: u16) -> Writer {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(BTreeSet::new())));
        let (stopped, noted) = (stop.clone(), acknowledged.clone());
        let thread = std::thread::spawn(move || {
            let client = Client::new(port).sending_once();
            for n in 1_u64.. {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                if client
                    .send(&Request::json("POST", NOTES, &json!({"n": n})))
                    .is_ok_and(|answer| answer.status == 200)
                {
                    noted.lock().unwrap().insert(n);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Writer { stop, acknowledged, thread }
    }

    fn acknowledged(&self) -> BTreeSet<u64> {
        self.acknowledged.lock().unwrap().clone()
    }
}

/// What one stream brought, from its subscription to its end.
#[derive(Clone, Default)]
struct Life {
    events: Vec<u64>,
    ended: bool,
    /// It ended as an answer does, and was not cut off.
    whole: bool,
}

#[derive(Default)]
struct Heard {
    /// By events, or read after a reconnection.
    seen: BTreeSet<u64>,
    lives: Vec<Life>,
}

struct Subscriber {
    stop: Arc<AtomicBool>,
    heard: Arc<Mutex<Heard>>,
    thread: JoinHandle<()>,
}

impl Subscriber {
    fn start(port: u16) -> Subscriber {
        let (stop, heard) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Heard::default())));
        let (stopped, noted) = (stop.clone(), heard.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if follow(port, &stopped, &noted).is_none() {
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
        });
        Subscriber { stop, heard, thread }
    }

    fn seen(&self) -> BTreeSet<u64> {
        self.heard.lock().unwrap().seen.clone()
    }

    fn lives(&self) -> Vec<Life> {
        self.heard.lock().unwrap().lives.clone()
    }
}

/// One connection, to its end. None when it did not come about.
fn follow(port: u16, stop: &AtomicBool, heard: &Mutex<Heard>) -> Option<()> {
    let stream = Stream::open(port).ok()?;
    let client = Client::new(port);
    let wanted = json!({"clientId": stream.id, "subscriptions": ["notes/*"]});
    let subscribed = client.send(&Request::json("POST", "/api/realtime", &wanted)).ok()?;
    if subscribed.status != 204 {
        return None;
    }
    let life = {
        let mut heard = heard.lock().unwrap();
        heard.lives.push(Life::default());
        heard.lives.len() - 1
    };
    // The newest, which are more than anybody misses between two connections.
    let there =
        client.send(&Request::get(&format!("{NOTES}?perPage=1000&sort=-n&skipTotal=1&fields=n"))).ok();
    let there = there.filter(|answer| answer.status == 200).map(|answer| answer.json());
    let items = there.as_ref().and_then(|there| there["items"].as_array()).into_iter().flatten();
    heard.lock().unwrap().seen.extend(items.filter_map(|item| item["n"].as_u64()));
    loop {
        let ends = stream.wait_closed(Duration::from_millis(20)) || stop.load(Ordering::Relaxed);
        let mut heard = heard.lock().unwrap();
        for event in stream.take().iter().filter(|event| event.name == "notes/*") {
            let n = event.json()["record"]["n"].as_u64().unwrap();
            heard.seen.insert(n);
            heard.lives[life].events.push(n);
        }
        if ends {
            heard.lives[life].ended = stream.is_closed();
            heard.lives[life].whole = stream.is_whole();
            return there.map(drop);
        }
    }
}

#[test]
fn a_client_that_comes_back_misses_nothing() {
    let mut site = Site::start();
    let port = site.edge.port();
    until("the nodes are known", || {
        site.edge.client().send(&Request::get("/api/health")).is_ok_and(|answer| answer.status == 200)
    });
    let subscribers: Vec<Subscriber> = (0..SUBSCRIBERS).map(|_| Subscriber::start(port)).collect();
    let writer = Writer::start(port);
    // Until everybody has a stream that brings what is written now.
    let all_hear = || {
        let from = writer.acknowledged().last().copied().unwrap_or(0);
        until("events come", || {
            subscribers.iter().all(|subscriber| {
                let lives = subscriber.lives();
                let last = lives.last().and_then(|life| life.events.last().copied());
                last.is_some_and(|last| last > from)
            })
        });
    };
    all_hear();

    // What is planned: a successor of the edge, and each node in turn.
    let successor = site.edge.successor().unwrap();
    assert!(site.edge.daemon.ended(WAIT), "{}", site.edge.daemon.said());
    site.edge = successor;
    all_hear();
    // A front door that ends cannot say that an answer was whole; a node whose own answer it is can.
    let of_nodes: Vec<usize> = subscribers.iter().map(|subscriber| subscriber.lives().len() - 1).collect();
    for node in &mut site.nodes {
        assert_eq!(node.terminate(WAIT), Some(0), "{}", node.log());
        node.restart_in_place().unwrap();
        all_hear();
    }
    let acknowledged = writer.acknowledged();
    for (subscriber, of_nodes) in subscribers.iter().zip(of_nodes) {
        let lives = subscriber.lives();
        assert!(lives.iter().filter(|life| life.ended).count() > 1, "streams end with who carried them");
        for (number, life) in lives.into_iter().enumerate() {
            let is_whole = life.whole || !life.ended;
            assert!(is_whole || number < of_nodes, "a stream was cut off, and did not end");
            assert!(life.events.is_sorted());
            let (Some(first), Some(last)) = (life.events.first(), life.events.last()) else { continue };
            let missed: Vec<&u64> =
                acknowledged.range(first..last).filter(|n| !life.events.contains(n)).collect();
            assert!(missed.is_empty(), "a stream passed over {missed:?}");
        }
    }

    // What nobody planned.
    site.nodes[0].kill();
    all_hear();
    site.nodes[0].restart_in_place().unwrap();
    all_hear();
    writer.stop.store(true, Ordering::Relaxed);
    let acknowledged = writer.acknowledged.clone();
    writer.thread.join().unwrap();
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(acknowledged.len() > 20);
    for subscriber in subscribers {
        until("all is seen", || subscriber.seen().is_superset(&acknowledged));
        subscriber.stop.store(true, Ordering::Relaxed);
        subscriber.thread.join().unwrap();
    }
}
