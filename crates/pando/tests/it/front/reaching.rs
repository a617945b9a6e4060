//! The way to nodes: encrypted, in the own zone first, and in a queue when all of them have enough to do.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::front::Front;
use testkit::sink::{Reply, Sink};
use testkit::tls::Issued;
use testkit::{Client, Request, tools};

use crate::candidate::BINARY;

const WAIT: Duration = Duration::from_secs(60);

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + WAIT;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn named(name: &'static str) -> Sink {
    Sink::answering(0, move |_| Reply { status: 200, body: name.into(), ..Reply::default() }).unwrap()
}

/// A balancer with a control address.
fn balancer(dir: &Path, nodes: &str, more: &[(&str, &str)]) -> (Front, Client) {
    let control = tools::free_port();
    let address = format!("127.0.0.1:{control}");
    let variables = [&[("PANDO_FRONT_CONTROL", address.as_str())][..], more].concat();
    let front = Front::start(BINARY.as_ref(), dir, "balance", nodes, &variables).unwrap();
    (front, Client::new(control))
}

fn status(control: &Client) -> Value {
    control.send(&Request::get("/status")).unwrap().json()
}

/// A node that speaks TLS: a front door before a node that does not.
fn encrypted(dir: &Path, behind: &Sink, issued: &Issued) -> (Front, String) {
    let port = tools::free_port();
    let https = format!("127.0.0.1:{port}");
    let certificates = issued.write(dir, "node").unwrap();
    let variables = [("PANDO_FRONT_HTTPS", https.as_str()), ("PANDO_FRONT_TLS_CERTIFICATES", &certificates)];
    let front = Front::start(BINARY.as_ref(), dir, "balance", &behind.url(""), &variables).unwrap();
    (front, format!("https://{https}"))
}

#[test]
fn encrypted_nodes_are_asked_if_somebody_vouches_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let behind =
        Sink::answering(0, |request| {
            let body = format!("{} {}", request.line, request.body)
                .repeat(if request.line.contains("long") { 9_999 } else { 1 });
            Reply { status: 200, body: body.into(), ..Reply::default() }
        })
        .unwrap();
    let [own, other] =
        [&["127.0.0.1"], &["elsewhere.example"]].map(|names| Issued::for_names(names).unwrap());
    let (_node, address) = encrypted(dir.path(), &behind, &own);
    let vouched = dir.path().join("node.pem").display().to_string();
    let (front, control) = balancer(dir.path(), &address, &[("PANDO_FRONT_NODES_CA", &vouched)]);
    until("it is up", || status(&control)["nodes"][0]["state"] == "up");
    let client = front.client();
    for number in 0..20 {
        let answer = client.send(&Request::get(&format!("/{number}"))).unwrap();
        assert_eq!((answer.status, answer.text()), (200, format!("GET /{number} ")));
    }
    let sent = "x".repeat(300_000);
    let answer = client.send(&Request::new("POST", "/body").body("text/plain", sent.clone())).unwrap();
    assert_eq!((answer.status, answer.text()), (200, format!("POST /body {sent}")));
    assert_eq!(client.send(&Request::get("/long")).unwrap().text(), "GET /long ".repeat(9_999));
    // They are few, as they are kept open between requests.
    let connections = &status(&control)["nodes"][0]["connections"];
    let (open, idle) = (connections["open"].as_u64().unwrap(), connections["idle"].as_u64().unwrap());
    assert!(open >= idle && (1..=4).contains(&idle), "{connections}");
    let metrics = control.send(&Request::get("/metrics")).unwrap().text();
    let gauge = metrics
        .lines()
        .find(|line| line.starts_with("pando_front_node_connections") && line.contains("idle"));
    assert!(gauge.is_some_and(|gauge| gauge.ends_with(&format!(" {idle}"))), "{gauge:?}, {connections}");

    // Another authority, a name that is not its own, and nobody at all: it is asked nothing.
    let before = behind.received().len();
    let named = address.replace("127.0.0.1", "localhost");
    let foreign = dir.path().join("foreign.pem");
    std::fs::write(&foreign, &other.certificate).unwrap();
    let foreign = foreign.display().to_string();
    for (address, authorities) in [(&address, foreign.as_str()), (&named, vouched.as_str()), (&address, "")] {
        let (front, control) = balancer(dir.path(), address, &[("PANDO_FRONT_NODES_CA", authorities)]);
        let answer = front.client().send(&Request::get("/secret")).unwrap();
        assert!([502, 503].contains(&answer.status), "{address} {authorities}: {}", answer.status);
        assert_ne!(status(&control)["nodes"][0]["state"], "up", "{address} {authorities}");
    }
    assert_eq!(behind.received().len(), before);
    // Without encryption nobody is understood there, and nothing is sent on.
    let plain = address.replace("https://", "");
    let (front, _control) = balancer(dir.path(), &plain, &[]);
    assert_eq!(front.client().send(&Request::get("/plain")).unwrap().status / 100, 5);
    assert_eq!(behind.received().len(), before);
}

#[test]
fn nodes_of_the_own_zone_come_first_and_others_stand_in() {
    let dir = tempfile::tempdir().unwrap();
    let (holds, held) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (waits, waiting) = (holds.clone(), held.clone());
    let near = Sink::answering(0, move |request| {
        if request.line.contains("hold") {
            waiting.fetch_add(1, Ordering::SeqCst);
            until("it may go on", || !waits.load(Ordering::SeqCst));
        }
        Reply { status: 200, body: "near".into(), ..Reply::default() }
    })
    .unwrap();
    let far = named("far");
    let variables = [("PANDO_FRONT_ZONE", "a"), ("PANDO_FRONT_NODE_REQUESTS_MAX", "1")];
    let (front, control) = balancer(dir.path(), "", &variables);
    for (life, zone, node) in [("near", "a", &near), ("far", "b", &far)] {
        let address = node.url("").replace("http://", "");
        let said = json!({"life": life, "name": life, "sequence": 1, "address": address, "zone": zone});
        let answer = control.send(&Request::json("POST", "/announce", &said)).unwrap();
        assert_eq!(answer.status, 204, "{}", answer.text());
    }
    let all_up = || {
        let status = status(&control);
        let nodes = status["nodes"].as_array().unwrap();
        nodes.len() == 2 && nodes.iter().all(|node| node["state"] == "up" && node["busy"] == 0)
    };
    until("both are up", all_up);
    let client = front.client();
    let who = || client.send(&Request::get("/")).unwrap().text();
    for _ in 0..20 {
        until("the one before is done", all_up);
        assert_eq!(who(), "near");
    }

    // Preferred is not insisted on: what is full does not make anybody wait while others are free.
    holds.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(front.client().send(&Request::get("/hold")).unwrap().text(), "near"));
        until("it is busy", || held.load(Ordering::SeqCst) == 1);
        for _ in 0..5 {
            assert_eq!(who(), "far");
            until("the other one is free", || {
                let status = status(&control);
                let nodes = status["nodes"].as_array().unwrap().iter();
                nodes.filter(|node| node["name"] == "far").all(|node| node["busy"] == 0)
            });
        }
        holds.store(false, Ordering::SeqCst);
    });
    until("both are free", all_up);
    assert_eq!(who(), "near");
    assert_eq!(control.send(&Request::new("POST", "/nodes/near/drain")).unwrap().status, 200);
    until("the other one stands in", || who() == "far");
    assert_eq!(control.send(&Request::new("POST", "/nodes/near/undrain")).unwrap().status, 200);
    until("the near one is back", || who() == "near");
}

#[test]
fn who_finds_no_room_waits_and_only_so_many_do() {
    const ALL: usize = 6;
    let dir = tempfile::tempdir().unwrap();
    let (go, at_once) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let most = Arc::new(AtomicUsize::new(0));
    let (gone, now, highest) = (go.clone(), at_once, most.clone());
    let node = Sink::answering(0, move |_| {
        highest.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        until("it may answer", || gone.load(Ordering::SeqCst));
        now.fetch_sub(1, Ordering::SeqCst);
        Reply { status: 200, ..Reply::default() }
    })
    .unwrap();
    let variables = [("PANDO_FRONT_NODE_REQUESTS_MAX", "1"), ("PANDO_FRONT_WAITING_MAX", "2")];
    let (front, control) = balancer(dir.path(), &node.url(""), &variables);
    until("it is up", || status(&control)["nodes"][0]["state"] == "up");
    // Who waits for too long is sent away too, so that on a machine that stands still a round may fail.
    let all_were_served = (0..20).any(|_| {
        go.store(false, Ordering::SeqCst);
        let refused = AtomicUsize::new(0);
        let answered = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..ALL {
                scope.spawn(|| {
                    let answer = front.client().send(&Request::new("POST", "/")).unwrap();
                    match answer.status {
                        200 => answered.fetch_add(1, Ordering::SeqCst),
                        503 => {
                            assert!(answer.header("retry-after").is_some());
                            refused.fetch_add(1, Ordering::SeqCst)
                        }
                        other => panic!("{other}"),
                    }
                });
            }
            until("those without a place are sent away", || refused.load(Ordering::SeqCst) >= ALL - 3);
            go.store(true, Ordering::SeqCst);
        });
        answered.load(Ordering::SeqCst) == 3
    });
    assert!(all_were_served);
    assert_eq!(most.load(Ordering::SeqCst), 1, "requests that a node had at the same time");
}
