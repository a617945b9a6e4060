//! Edges that ask an edge: what the origin sees of them, what a purge takes away, and what becomes of them without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::front::Front;
use testkit::fuzz::Random;
use testkit::sink::{Received, Reply, Sink};
use testkit::{Answer, Client, Request, tools};

use crate::candidate::BINARY;

const WAIT: Duration = Duration::from_secs(60);
const SECRET: &str = "a secret of doors";

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + WAIT;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An origin whose answers say which version they show.
struct Origin {
    node: Sink,
    version: Arc<AtomicU64>,
}

impl Origin {
    fn start() -> Origin {
        let version = Arc::new(AtomicU64::new(1));
        let current = version.clone();
        let node = Sink::answering(0, move |request| {
            let version = current.load(Ordering::SeqCst);
            let etag = format!("\"{version}\"");
            let is_known = request.headers.to_ascii_lowercase().contains(&format!("if-none-match: {etag}"));
            let own = if request.line.contains("/own") { "private, " } else { "public, " };
            Reply {
                status: if is_known { 304 } else { 200 },
                headers: format!("Cache-Control: {own}max-age=600\r\nETag: {etag}\r\nSurrogate-Key: a b\r\n"),
                body: if is_known { Vec::new() } else { version.to_string().into() },
                after: Duration::from_millis(5),
            }
        })
        .unwrap();
        Origin { node, version }
    }

    /// The questions for what is under that path.
    fn asked(&self, path: &str) -> Vec<Received> {
        self.node.received().into_iter().filter(|request| request.line.contains(path)).collect()
    }

    fn write(&self) -> u64 {
        self.version.fetch_add(1, Ordering::SeqCst) + 1
    }
}

struct Edge {
    front: Front,
    control: u16,
}

impl Edge {
    fn start(dir: &std::path::Path, nodes: &str, more: &[(&str, &str)]) -> Edge {
        Edge::start_on(tools::free_port(), dir, nodes, more)
    }

    fn start_on(port: u16, dir: &std::path::Path, nodes: &str, more: &[(&str, &str)]) -> Edge {
        let control = tools::free_port();
        let address = format!("127.0.0.1:{control}");
        let mut variables = vec![("PANDO_FRONT_CONTROL", address.as_str()), ("PANDO_FRONT_SECRET", SECRET)];
        variables.extend_from_slice(more);
        let front = Front::start_on(port, BINARY.as_ref(), dir, "edge", nodes, &variables).unwrap();
        Edge { front, control }
    }

    fn get(&self, path: &str) -> Answer {
        let answer = self.front.client().send(&Request::get(path)).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer
    }

    fn control(&self, method: &str, path: &str, body: &Value) -> Answer {
        let request = match body {
            Value::Null => Request::new(method, path),
            body => Request::json(method, path, body),
        };
        let request = request.header("Authorization", &format!("Bearer {SECRET}"));
        Client::new(self.control).send(&request).unwrap()
    }

    fn figure(&self, name: &str) -> f64 {
        let text = self.control("GET", "/metrics", &Value::Null).text();
        let of = text.lines().filter(|line| line.starts_with(name));
        of.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    fn shield(&self) -> String {
        let status = self.control("GET", "/status", &Value::Null).json();
        status["shields"][0]["state"].as_str().unwrap_or_default().to_owned()
    }
}

/// A shield and two edges that ask it.
struct Site {
    origin: Origin,
    shield: Edge,
    outer: Vec<Edge>,
    dir: tempfile::TempDir,
}

impl Site {
    fn start() -> Site {
        let (origin, dir) = (Origin::start(), tempfile::tempdir().unwrap());
        let shield = Edge::start(dir.path(), &origin.node.url(""), &[]);
        let address = shield.front.address();
        let start =
            |_| Edge::start(dir.path(), &origin.node.url(""), &[("PANDO_EDGE_SHIELD", address.as_str())]);
        let outer = (0..2).map(start).collect();
        Site { origin, shield, outer, dir }
    }
}

/// A process that only writes, and tells doors of it as the test wants.
struct Writer {
    life: String,
    position: u64,
}

/// What one door was told of it.
#[derive(Default)]
struct Told {
    /// One connection for all: that it ends would mean that the process has.
    client: Option<Client>,
    sequence: u64,
    position: u64,
}

impl Writer {
    fn new(life: &str) -> Writer {
        Writer { life: life.to_owned(), position: 0 }
    }

    fn write(&mut self) {
        self.position += 1;
    }

    fn tell(&self, edge: &Edge, told: &mut Told) {
        told.sequence += 1;
        let tags: &[&str] = if self.position > told.position { &["a"] } else { &[] };
        let said = json!({"life": self.life, "way": "test", "name": self.life, "sequence": told.sequence,
            "position": self.position, "purge": {"tags": tags}});
        let client = told.client.get_or_insert_with(|| Client::new(edge.control));
        let request = Request::json("POST", "/announce", &said);
        let answer = client.send(&request.header("Authorization", &format!("Bearer {SECRET}"))).unwrap();
        assert_eq!(answer.status, 204, "{}", answer.text());
        told.position = self.position;
    }
}

#[test]
fn the_origin_sees_one_question_for_all_edges() {
    let site = Site::start();
    std::thread::scope(|scope| {
        for edge in site.outer.iter().cycle().take(20) {
            scope.spawn(|| assert_eq!(edge.get("/a").text(), "1"));
        }
    });
    let asked = site.origin.asked("/a");
    assert_eq!(asked.len(), 1, "{asked:?}");
    let headers = asked[0].headers.to_ascii_lowercase();
    assert!(!headers.contains("pando-heard") && !headers.contains("pando-edge"), "{headers}");
    assert_eq!(headers.matches("cdn-loop: pando-").count(), 2, "{headers}");
    for edge in &site.outer {
        let kept = edge.get("/a");
        assert!(kept.header("cache-status").unwrap().starts_with("pando; hit"), "{:?}", kept.headers);
        assert!(kept.header("age").is_some());
    }
    // One that has it from the shield, which had it already.
    assert_eq!(site.outer[0].get("/b").text(), "1");
    let second = site.outer[1].get("/b");
    let told: Vec<&str> = second
        .headers
        .iter()
        .filter(|(name, _)| name == "cache-status")
        .map(|(_, value)| value.as_str())
        .collect();
    let told = told.join(", ");
    assert!(told.starts_with("pando-shield; hit") && told.contains(", pando; fwd=uri-miss"), "{told}");
    for name in ["surrogate-key", "pando-edge", "pando-heard"] {
        assert_eq!(second.header(name), None, "{name} is not for clients");
    }
    assert_eq!(site.origin.asked("/b").len(), 1);
    assert_eq!(site.shield.figure("pando_edge_shield_behind_total"), 0.0);
    // What is one caller's own is asked for each time, and given to nobody else.
    for edge in site.outer.iter().chain(&site.outer) {
        assert!(edge.get("/own").header("cache-status").unwrap().contains("private"));
    }
    assert_eq!(site.origin.asked("/own").len(), 4);
}

#[test]
fn a_purge_reaches_through_both() {
    let site = Site::start();
    let mut writer = Writer::new("writer");
    let mut told: [Told; 3] = Default::default();
    for _ in 0..10 {
        let version = site.origin.write().to_string();
        writer.write();
        for (edge, told) in [&site.shield, &site.outer[0], &site.outer[1]].into_iter().zip(&mut told) {
            writer.tell(edge, told);
        }
        let before = site.origin.asked("/a").len();
        for edge in &site.outer {
            assert_eq!(edge.get("/a").text(), version);
            assert!(edge.get("/a").header("cache-status").unwrap().contains("pando; hit"));
        }
        assert_eq!(site.origin.asked("/a").len(), before + 1);
    }
    assert_eq!(site.shield.figure("pando_edge_shield_behind_total"), 0.0);
}

#[test]
fn a_deaf_shield_makes_nobody_see_what_is_old() {
    let site = Site::start();
    let mut writer = Writer::new("writer");
    let mut told: [Told; 2] = Default::default();
    for round in 0..10 {
        let version = site.origin.write().to_string();
        writer.write();
        for (edge, told) in site.outer.iter().zip(&mut told) {
            writer.tell(edge, told);
        }
        for edge in &site.outer {
            assert_eq!(edge.get("/a").text(), version, "round {round}");
        }
    }
    assert!(site.shield.figure("pando_edge_shield_behind_total") >= 10.0);
    assert_eq!(site.outer[0].figure("pando_edge_shield_fallbacks_total"), 0.0);
    // An operator's purge at one edge, of which no other door is told.
    let version = site.origin.write().to_string();
    assert_eq!(site.outer[0].control("POST", "/purge", &json!({"tags": ["b"]})).status, 200);
    assert_eq!(site.outer[0].get("/a").text(), version);
}

#[test]
fn a_shield_that_hears_late_is_waited_for() {
    let site = Site::start();
    assert_eq!(site.outer[0].get("/a").text(), "1");
    let (mut writer, mut told, mut late) = (Writer::new("writer"), Told::default(), Told::default());
    site.origin.write();
    writer.write();
    writer.tell(&site.outer[0], &mut told);
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| site.outer[0].get("/a").text());
        writer.tell(&site.shield, &mut late);
        assert_eq!(answer.join().unwrap(), "2");
    });
}

#[test]
fn without_its_shield_an_edge_asks_the_nodes() {
    let mut site = Site::start();
    assert_eq!(site.outer[0].get("/a").text(), "1");
    site.shield.front.daemon.kill();
    for path in ["/b", "/c", "/d"] {
        assert_eq!(site.outer[0].get(path).text(), "1");
    }
    assert!(site.outer[0].figure("pando_edge_shield_fallbacks_total") >= 3.0);
    until("the edge knows", || site.outer[0].shield() == "away");
    assert_eq!(site.outer[0].front.daemon.said().matches("a shield does not answer").count(), 1);
    site.shield.front.daemon.restart().unwrap();
    until("the edge asks it again", || site.outer[0].shield() == "up");
    site.outer[0].get("/e");
    let answer = site.outer[1].get("/e");
    assert!(answer.header("cache-status").is_some());
    // One that hangs is left, too, also by those who wait for it already.
    site.shield.front.daemon.freeze();
    let answers = site.outer[0].get("/f").text();
    site.shield.front.daemon.thaw();
    assert_eq!(answers, "1");
}

#[test]
fn nothing_stale_passes_a_shield() {
    let (origin, dir) = (Origin::start(), tempfile::tempdir().unwrap());
    let mut middle = Front::start(BINARY.as_ref(), dir.path(), "balance", &origin.node.url(""), &[]).unwrap();
    let shield = Edge::start(dir.path(), &middle.address(), &[]);
    let address = shield.front.address();
    let outer = Edge::start(dir.path(), &middle.address(), &[("PANDO_EDGE_SHIELD", &address)]);
    assert_eq!(outer.get("/a").text(), "1");
    assert_eq!(shield.front.client().send(&Request::get("/a")).unwrap().text(), "1");
    let purge = json!({"tags": ["a"], "soft": true});
    for edge in [&outer, &shield] {
        assert_eq!(edge.control("POST", "/purge", &purge).status, 200);
    }
    middle.daemon.kill();
    // The shield's own clients get what it has. The edge is told that nobody answers, and uses its own.
    assert_eq!(shield.get("/a").text(), "1");
    let stale = outer.get("/a");
    assert_eq!(stale.text(), "1");
    assert!(stale.header("cache-status").unwrap().contains("fwd-status=50"), "{:?}", stale.headers);
    let another = Edge::start(dir.path(), &middle.address(), &[("PANDO_EDGE_SHIELD", &address)]);
    let refused = another.front.client().send(&Request::get("/a")).unwrap();
    assert!(refused.status >= 502, "{}: {}", refused.status, refused.text());
}

#[test]
fn only_who_knows_the_secret_is_an_edge() {
    let site = Site::start();
    assert_eq!(site.outer[0].get("/a").text(), "1");
    let spoofed = Request::get("/a")
        .header("Pando-Heard", "anybody=7,~nobody=9")
        .header("Pando-Edge", "c3Bvb2ZlZA")
        .header("X-Forwarded-For", "1.2.3.4");
    for edge in [&site.shield, &site.outer[0]] {
        let answer = edge.front.client().send(&spoofed).unwrap();
        assert!(answer.header("cache-status").unwrap().contains("pando; hit"), "{:?}", answer.headers);
        for name in ["surrogate-key", "pando-edge"] {
            assert_eq!(answer.header(name), None);
        }
    }
    let mut passed = spoofed.clone();
    passed.target = "/own".into();
    site.shield.front.client().send(&passed).unwrap();
    let seen = site.origin.asked("/own")[0].headers.to_ascii_lowercase();
    assert!(
        !seen.contains("pando-")
            || seen.matches("pando-").count() == seen.matches("cdn-loop: pando-").count()
    );
    assert!(!seen.contains("1.2.3.4"));
    assert_eq!(site.shield.figure("pando_edge_shield_behind_total"), 0.0);

    let address = site.shield.front.address();
    let other = [("PANDO_EDGE_SHIELD", address.as_str()), ("PANDO_FRONT_SECRET", "another one")];
    let stranger =
        Front::start(BINARY.as_ref(), site.dir.path(), "edge", &site.origin.node.url(""), &other).unwrap();
    for _ in 0..2 {
        let answer = stranger.client().send(&Request::get("/a")).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "1"));
    }
    until("it says so", || stranger.daemon.said().contains("a shield refuses this edge"));
    assert_eq!(site.origin.asked("/a").len(), 2, "it asked the node by itself");
}

#[test]
fn nobody_asks_in_a_circle() {
    let (origin, dir) = (Origin::start(), tempfile::tempdir().unwrap());
    let ports = [tools::free_port(), tools::free_port()];
    let shields = ports.map(|port| format!("127.0.0.1:{port}"));
    let edges: Vec<Edge> = (0..2)
        .map(|at| {
            let more = [("PANDO_EDGE_SHIELD", shields[1 - at].as_str())];
            Edge::start_on(ports[at], dir.path(), &origin.node.url(""), &more)
        })
        .collect();
    assert_eq!(edges[0].get("/a").text(), "1");
    let asked = origin.asked("/a");
    assert_eq!(asked.len(), 1);
    let headers = asked[0].headers.to_ascii_lowercase();
    for id in headers.lines().filter_map(|line| line.strip_prefix("cdn-loop: ")) {
        let again = Request::get("/b").header("CDN-Loop", &format!("other, {id}; v=1"));
        let answers = edges.iter().map(|edge| edge.front.client().send(&again).unwrap().status);
        assert_eq!(answers.filter(|status| *status == 508).count(), 1, "{id}");
    }
}

#[test]
fn what_cannot_be_a_shield_is_said_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let port = tools::free_port();
    let own = format!("127.0.0.1:{port}");
    for (shield, secret, says) in [
        ("127.0.0.1:1", "", "front.secret"),
        ("nobody", SECRET, "HOST:PORT"),
        ("http://a:1/x", SECRET, "HOST:PORT"),
        ("https://127.0.0.1:1", SECRET, "front.nodes_ca"),
        (own.as_str(), SECRET, "itself"),
    ] {
        let more = [("PANDO_EDGE_SHIELD", shield), ("PANDO_FRONT_SECRET", secret)];
        let refused = Front::start_on(port, BINARY.as_ref(), dir.path(), "edge", "127.0.0.1:9", &more);
        let refused = refused.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains(says), "{shield}: {refused}");
    }
}

#[test]
fn no_history_shows_what_an_edge_has_heard_to_be_old() {
    let mut site = Site::start();
    let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let mut random = Random(seed);
    let mut writers = [Writer::new("one"), Writer::new("two")];
    let mut told: [[Told; 3]; 2] = Default::default();
    // The version that each writer's last purge is about, and the oldest that each edge may show.
    let (mut written, mut least) = ([0; 2], [0; 2]);
    let mut restarts = 0;
    for step in 0..400 {
        let (writer, door) = (random.below(2), random.below(3));
        match random.below(12) {
            0..3 => {
                written[writer] = site.origin.write();
                writers[writer].write();
            }
            3..6 => {
                let told = &mut told[writer][door];
                let edge = site.outer.get(door).unwrap_or(&site.shield);
                // Before it, one is lost now and then.
                told.sequence += u64::from(random.below(10) == 0);
                writers[writer].tell(edge, told);
                if let Some(least) = least.get_mut(door) {
                    *least = (*least).max(written[writer]);
                }
            }
            6 if restarts < 4 && random.below(5) == 0 => {
                restarts += 1;
                site.shield.front.daemon.restart().unwrap();
            }
            7 if door < 2 => {
                let version = site.origin.version.load(Ordering::SeqCst);
                let purge = json!({"tags": ["b"], "soft": random.below(2) == 0});
                assert_eq!(site.outer[door].control("POST", "/purge", &purge).status, 200);
                least[door] = version;
            }
            _ if door == 2 => {}
            _ => {
                let path = format!("/{}", random.below(3));
                let shown: u64 = site.outer[door].get(&path).text().parse().unwrap();
                assert!(
                    shown >= least[door],
                    "seed {seed}, step {step}: edge {door} shows {shown} at {path}, and has heard of {least:?}"
                );
            }
        }
    }
}
