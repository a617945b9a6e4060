//! Several `pando web` on one PostgreSQL with a bus: caches that are never stale, and events that cross nodes, whatever
//! happens to the bus or to a node.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::nats::Nats;
use testkit::pando::Engine;
use testkit::server::Server;
use testkit::sse::Stream;
use testkit::{Answer, Client, Request, exposition, fault};

use crate::candidate::Candidate;

const WAIT: Duration = Duration::from_secs(60);

struct Nodes {
    nodes: Vec<Server>,
    token: String,
    nats: Nats,
    candidate: Candidate,
    dir: tempfile::TempDir,
}

impl Nodes {
    fn start(count: usize) -> Nodes {
        let mut candidate = Candidate::new(Engine::Postgres);
        candidate.program = candidate.program.role("web");
        let dir = tempfile::tempdir().unwrap();
        let nats = Nats::start(&dir.path().join("nats")).unwrap();
        candidate.program.variables.push(("PANDO_BUS_URL".into(), nats.url()));
        let node = |n: usize| dir.path().join(format!("node{n}"));
        let mut nodes = vec![candidate.program.start(&node(0)).unwrap()];
        for n in 1..count {
            nodes.push(candidate.program.serve(&node(n)).unwrap());
        }
        let token = nodes[0].superuser_token().unwrap();
        let nodes = Nodes { nodes, token, nats, candidate, dir };
        nodes.wait_cached();
        nodes
    }

    /// Waits until every node uses its caches.
    fn wait_cached(&self) {
        for node in 0..self.nodes.len() {
            let before = self.figure(node, "pando_bus_looks_total", "good");
            let cached = || self.figure(node, "pando_bus_looks_total", "good") > before + 2.0;
            wait_for(&format!("caches of node {node}"), cached);
        }
    }

    fn ask(&self, node: usize, method: &str, path: &str, body: &Value) -> Answer {
        self.nodes[node].client().send(&Request::json(method, path, body).token(&self.token)).unwrap()
    }

    /// The same, which must succeed.
    fn done(&self, node: usize, method: &str, path: &str, body: &Value) -> Answer {
        let answer = self.ask(node, method, path, body);
        assert!(answer.status < 300, "{path}: {} {}", answer.status, answer.text());
        answer
    }

    fn collection(&self, body: Value) {
        self.done(0, "POST", "/api/collections", &body);
    }

    /// A public collection of numbered notes.
    fn notes(&self) {
        let fields = json!([{"name": "n", "type": "number"}, {"name": "owner", "type": "text"}]);
        self.collection(
            json!({"name": "notes", "type": "base", "fields": fields, "listRule": "", "viewRule": "",
            "createRule": "", "updateRule": "", "deleteRule": ""}),
        );
    }

    fn create(&self, node: usize, n: u64) -> String {
        let body = json!({"n": n});
        self.done(node, "POST", "/api/collections/notes/records", &body).at("/id").unwrap()
    }

    fn write(&self, node: usize, id: &str, n: u64) {
        self.done(node, "PATCH", &format!("/api/collections/notes/records/{id}"), &json!({"n": n}));
    }

    fn read(&self, node: usize, id: &str) -> u64 {
        read(&self.nodes[node].client(), id).expect("an answer")
    }

    /// The sum of a metric's series that have this label's value.
    fn figure(&self, node: usize, name: &str, label: &str) -> f64 {
        let answer = self.nodes[node].client().send(&Request::get("/metrics").token(&self.token)).unwrap();
        let families = exposition::parse(&answer.text()).unwrap();
        let Some(family) = families.get(name) else { return 0.0 };
        let of = family.series.iter().filter(|((suffix, labels), _)| {
            suffix.is_empty() && (label.is_empty() || labels.iter().any(|(_, value)| value == label))
        });
        of.map(|(_, value)| value).sum()
    }

    fn hits(&self, node: usize) -> f64 {
        self.figure(node, "pando_cache_hits_total", "")
    }

    /// A client of that node, subscribed to these topics.
    fn follow(&self, node: usize, token: &str, topics: &[&str]) -> Stream {
        let stream = Stream::open(self.nodes[node].port()).unwrap();
        let body = json!({"clientId": stream.id, "subscriptions": topics});
        let request = Request::json("POST", "/api/realtime", &body).token(token);
        let answer = self.nodes[node].client().send(&request).unwrap();
        assert_eq!(answer.status, 204, "{}", answer.text());
        stream
    }
}

/// What a record's number is; nothing when the node does not answer.
fn read(client: &Client, id: &str) -> Option<u64> {
    let answer = client.send(&Request::get(&format!("/api/collections/notes/records/{id}"))).ok()?;
    (answer.status == 200).then(|| answer.json()["n"].as_u64()).flatten()
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + WAIT;
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An event of that action about a record.
fn hears(stream: &Stream, action: &str, id: &str) {
    let is_it = |data: &Value| data["action"] == action && data["record"]["id"] == id;
    let heard = stream.wait_for(WAIT, |event| is_it(&event.json()));
    assert!(heard.is_some(), "no {action} of {id}: {:?}", stream.take());
}

fn is_told_to_resync(stream: &Stream) {
    let heard = stream.wait_for(WAIT, |event| event.name == "PB_RESYNC");
    assert!(heard.is_some() && stream.wait_closed(WAIT), "{:?}", stream.take());
}

#[test]
fn caches_of_other_nodes_are_never_stale() {
    let nodes = Nodes::start(3);
    nodes.notes();
    let id = nodes.create(0, 0);
    let before: f64 = (0..3).map(|node| nodes.hits(node)).sum();
    for n in 1..=300 {
        let (by, at) = (n as usize % 3, (n as usize + 1) % 3);
        nodes.write(by, &id, n);
        assert_eq!(nodes.read(at, &id), n, "of node {by} at node {at}");
        // Once more, from the cache.
        assert_eq!(nodes.read(at, &id), n);
        let list = nodes.ask(at, "GET", "/api/collections/notes/records", &json!({}));
        assert_eq!(list.json()["items"][0]["n"], n);
    }
    let hits = (0..3).map(|node| nodes.hits(node)).sum::<f64>() - before;
    assert!(hits > 100.0, "{hits} looks at caches found something");
}

#[test]
fn writers_and_readers_at_once_agree() {
    let nodes = Nodes::start(3);
    nodes.notes();
    let ids: Vec<String> = (0..4).map(|_| nodes.create(0, 0)).collect();
    agree(&nodes, &ids, |_| {});
    assert!((0..3).all(|node| nodes.hits(node) > 0.0));
}

/// Writes and reads everywhere while something happens: what was acknowledged is read, also by nodes that were frozen.
fn agree(nodes: &Nodes, ids: &[String], happens: impl FnOnce(&Nodes)) {
    let acknowledged: Vec<AtomicU64> = ids.iter().map(|id| nodes.read(0, id).into()).collect();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (index, id) in ids.iter().enumerate() {
            let (acknowledged, over) = (&acknowledged[index], &over);
            scope.spawn(move || {
                // Each record has one writer, which takes turns at the nodes.
                let path = format!("/api/collections/notes/records/{id}");
                let clients: Vec<Client> = nodes.nodes.iter().map(Server::client).collect();
                let mut n = acknowledged.load(Ordering::SeqCst);
                while !over.load(Ordering::Relaxed) {
                    n += 1;
                    let client = &clients[n as usize % clients.len()];
                    if client
                        .send(&Request::json("PATCH", &path, &json!({"n": n})))
                        .is_ok_and(|a| a.status == 200)
                    {
                        acknowledged.store(n, Ordering::SeqCst);
                    }
                }
            });
            for node in &nodes.nodes {
                scope.spawn(move || {
                    let client = node.client();
                    while !over.load(Ordering::Relaxed) {
                        let least = acknowledged.load(Ordering::SeqCst);
                        if let Some(found) = read(&client, id) {
                            assert!(
                                found >= least,
                                "{found} at {} when {least} was acknowledged",
                                node.port()
                            );
                        }
                    }
                });
            }
        }
        happens(nodes);
        std::thread::sleep(Duration::from_secs(2));
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn events_cross_nodes_under_rules() {
    let nodes = Nodes::start(2);
    let fields = json!([{"name": "n", "type": "number"}, {"name": "owner", "type": "text"}]);
    let rule = "owner = @request.auth.id";
    nodes.collection(
        json!({"name": "own", "type": "base", "fields": fields, "listRule": rule, "viewRule": rule}),
    );
    let account = |name: &str| {
        let email = format!("{name}@example.com");
        let body = json!({"email": email, "password": "12345678", "passwordConfirm": "12345678"});
        let id = nodes.done(0, "POST", "/api/collections/users/records", &body).at("/id").unwrap();
        (id, nodes.nodes[1].login("users", &email, "12345678").unwrap())
    };
    let ((one, one_token), (other, other_token)) = (account("one"), account("other"));
    let streams = [nodes.follow(1, &one_token, &["own/*"]), nodes.follow(1, &other_token, &["own/*"])];
    let path = "/api/collections/own/records";
    let make = |owner: &str| nodes.done(0, "POST", path, &json!({"owner": owner, "n": 1})).at("/id").unwrap();
    let (of_one, of_other) = (make(&one), make(&other));
    for (stream, id) in [(&streams[0], &of_one), (&streams[1], &of_other)] {
        hears(stream, "create", id);
        nodes.done(0, "PATCH", &format!("{path}/{id}"), &json!({"n": 2}));
        hears(stream, "update", id);
        nodes.done(0, "DELETE", &format!("{path}/{id}"), &json!({}));
        hears(stream, "delete", id);
    }
    for (stream, foreign) in streams.iter().zip([&of_other, &of_one]) {
        let heard = stream.take();
        assert!(heard.iter().all(|event| event.json()["record"]["id"] != **foreign), "{heard:?}");
        assert_eq!(heard.len(), 3, "{heard:?}");
    }
    // A new password on one node makes nobody of who is connected to the other.
    let body = json!({"password": "87654321", "passwordConfirm": "87654321"});
    nodes.done(0, "PATCH", &format!("/api/collections/users/records/{one}"), &body);
    let (hidden, seen) = (make(&one), make(&other));
    hears(&streams[1], "create", &seen);
    assert!(streams[0].take().is_empty(), "{hidden}");
}

#[test]
fn a_delete_is_judged_on_what_was_there() {
    let nodes = Nodes::start(2);
    let text = json!({"name": "text", "type": "text"});
    nodes.collection(json!({"name": "posts", "type": "base", "fields": [text]}));
    let posts = nodes.done(0, "GET", "/api/collections/posts", &json!({})).at("/id").unwrap();
    let post = json!({"name": "post", "type": "relation", "collectionId": posts, "cascadeDelete": true, "maxSelect": 1});
    nodes.collection(json!({"name": "comments", "type": "base", "fields": [text, post], "viewRule": ""}));
    let rule = json!({"listRule": "comments_via_post.text ?= 'shown'"});
    nodes.done(0, "PATCH", "/api/collections/posts", &rule);
    let stream = nodes.follow(1, "", &["posts/*"]);
    let make = |text: &str| {
        let post = nodes.done(0, "POST", "/api/collections/posts/records", &json!({"text": text}));
        let post = post.at("/id").unwrap();
        let comment = json!({"text": text, "post": post});
        nodes.done(1, "POST", "/api/collections/comments/records", &comment);
        post
    };
    let posts = ["hidden", "shown", "hidden", "shown"].map(make);
    for post in &posts {
        nodes.done(0, "DELETE", &format!("/api/collections/posts/records/{post}"), &json!({}));
    }
    hears(&stream, "delete", &posts[1]);
    hears(&stream, "delete", &posts[3]);
    // A create may be judged when its comment is there already.
    let heard = stream.take();
    let deletes = heard.iter().filter(|event| event.json()["action"] == "delete").count();
    assert_eq!(deletes, 2, "{heard:?}");
    // A collection that is emptied at once: nobody here follows it, but somebody there does.
    nodes.notes();
    let stream = nodes.follow(1, "", &["notes/*"]);
    let notes = [nodes.create(0, 1), nodes.create(0, 2)];
    nodes.done(0, "DELETE", "/api/collections/notes/truncate", &json!({}));
    notes.iter().for_each(|note| hears(&stream, "delete", note));
}

#[test]
fn a_login_by_a_provider_finds_its_client_on_another_node() {
    let nodes = Nodes::start(3);
    let stream = nodes.follow(2, "", &["@oauth2"]);
    let back = |state: &str| {
        let path = format!("/api/oauth2-redirect?state={state}&code=c");
        nodes.nodes[0].client().send(&Request::get(&path)).unwrap().header("location").unwrap().to_owned()
    };
    assert_eq!(back("nobody"), "../_/#/auth/oauth2-redirect-failure");
    assert_eq!(back(&stream.id), "../_/#/auth/oauth2-redirect-success");
    let heard = stream.wait_for(WAIT, |event| event.name == "@oauth2").unwrap();
    assert_eq!(heard.json(), json!({"state": stream.id, "code": "c"}));
    assert_eq!(back(&stream.id), "../_/#/auth/oauth2-redirect-failure", "once");
}

#[test]
fn a_bus_that_goes_and_comes() {
    let mut nodes = Nodes::start(2);
    nodes.notes();
    let id = nodes.create(0, 0);
    let stream = nodes.follow(1, "", &["notes/*"]);
    let check = |nodes: &Nodes, from: u64| {
        for n in from..from + 10 {
            nodes.write(n as usize % 2, &id, n);
            assert_eq!(nodes.read((n as usize + 1) % 2, &id), n);
        }
    };
    check(&nodes, 1);
    nodes.nats.daemon.freeze();
    check(&nodes, 20);
    nodes.nats.daemon.thaw();
    nodes.wait_cached();
    check(&nodes, 40);
    nodes.nats.daemon.kill();
    check(&nodes, 60);
    // What happens now nobody hears of who is connected elsewhere.
    let unheard = nodes.create(0, 1);
    assert_eq!(nodes.read(1, &unheard), 1);
    nodes.nats.daemon.restart().unwrap();
    nodes.wait_cached();
    check(&nodes, 80);
    let knows =
        |event: &testkit::sse::Event| event.name == "PB_RESYNC" || event.json()["record"]["id"] == *unheard;
    assert!(stream.wait_for(WAIT, knows).is_some(), "{:?}", stream.take());
    let stream = nodes.follow(1, "", &["notes/*"]);
    let heard = nodes.create(0, 2);
    hears(&stream, "create", &heard);
}

#[test]
fn starts_without_a_bus_and_finds_it_later() {
    let mut nodes = Nodes::start(1);
    nodes.notes();
    nodes.nats.daemon.kill();
    let late = nodes.candidate.program.serve(&nodes.dir.path().join("late")).unwrap();
    nodes.nodes.push(late);
    let id = nodes.create(1, 0);
    for n in 1..10 {
        nodes.write(n as usize % 2, &id, n);
        assert_eq!(nodes.read((n as usize + 1) % 2, &id), n);
    }
    wait_for("a word about it", || nodes.nodes[1].log().contains("the bus cannot be reached"));
    nodes.nats.daemon.restart().unwrap();
    nodes.wait_cached();
    let stream = nodes.follow(1, "", &["notes/*"]);
    let heard = nodes.create(0, 2);
    hears(&stream, "create", &heard);
}

#[test]
fn a_killed_node_is_missed_and_gone_on_without() {
    let mut nodes = Nodes::start(3);
    nodes.notes();
    let id = nodes.create(0, 0);
    let stream = nodes.follow(1, "", &["notes/*"]);
    nodes.nodes[2].kill();
    for n in 1..10 {
        nodes.write(0, &id, n);
        assert_eq!(nodes.read(1, &id), n);
    }
    is_told_to_resync(&stream);
    nodes.nodes.pop();
    nodes.wait_cached();
    nodes.write(0, &id, 100);
    assert_eq!(nodes.read(1, &id), 100);
}

#[test]
fn a_node_that_leaves_is_not_missed() {
    let mut nodes = Nodes::start(3);
    nodes.notes();
    let stream = nodes.follow(1, "", &["notes/*"]);
    let before = nodes.figure(1, "pando_bus_missed_total", "");
    assert_eq!(nodes.nodes[2].terminate(Duration::from_secs(30)), Some(0));
    nodes.nodes.pop();
    nodes.wait_cached();
    let heard = nodes.create(0, 2);
    hears(&stream, "create", &heard);
    assert_eq!(nodes.figure(1, "pando_bus_missed_total", ""), before);
}

#[test]
fn a_frozen_node_reads_nothing_old() {
    let nodes = Nodes::start(2);
    nodes.notes();
    let id = nodes.create(0, 0);
    for n in 1..=10 {
        assert_eq!(nodes.read(1, &id), n - 1);
        fault::freeze(nodes.nodes[1].pid());
        nodes.write(0, &id, n);
        fault::thaw(nodes.nodes[1].pid());
        assert_eq!(nodes.read(1, &id), n);
    }
    let ids = [id];
    agree(&nodes, &ids, |nodes| {
        for _ in 0..4 {
            std::thread::sleep(Duration::from_millis(200));
            fault::freeze(nodes.nodes[1].pid());
            std::thread::sleep(Duration::from_millis(700));
            fault::thaw(nodes.nodes[1].pid());
        }
    });
}

#[test]
fn a_command_is_heard_of() {
    let nodes = Nodes::start(2);
    let me = |token: &str| {
        let path = "/api/collections/_superusers/records";
        nodes.nodes[1].client().send(&Request::get(path).token(token)).unwrap().status
    };
    assert_eq!(me(&nodes.token), 200);
    let (email, _) = testkit::server::SUPERUSER;
    nodes.candidate.program.upsert_superuser(nodes.dir.path(), email, "another-secret").unwrap();
    assert_eq!(me(&nodes.token), 403, "a token of the old password");
}
