//! Front doors and nodes find each other, and a front door is told what it must know.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::front::Front;
use testkit::nats::Nats;
use testkit::pando::Engine;
use testkit::server::{Program, Server};
use testkit::{Answer, Client, Request, tools};

use crate::candidate::{BINARY, Candidate, as_superuser};

const WAIT: Duration = Duration::from_secs(60);
const SECRET: &str = "a secret of doors";
const HEALTH: &str = "/api/health";

/// A front door with a control address, and a directory for its nodes.
struct Door {
    front: Front,
    control: u16,
}

impl Door {
    fn start(dir: &std::path::Path, role: &'static str, more: &[(&str, &str)]) -> Door {
        let control = tools::free_port();
        let address = format!("127.0.0.1:{control}");
        let mut variables = vec![("PANDO_FRONT_CONTROL", address.as_str()), ("PANDO_FRONT_SECRET", SECRET)];
        variables.extend_from_slice(more);
        let front = Front::start(BINARY.as_ref(), dir, role, "", &variables).unwrap();
        Door { front, control }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.control)
    }

    fn ask(&self, request: Request) -> Answer {
        let request = request.header("Authorization", &format!("Bearer {SECRET}"));
        Client::new(self.control).send(&request).unwrap()
    }

    fn status(&self) -> Value {
        self.ask(Request::get("/status")).json()
    }

    /// Addresses of the nodes in this state.
    fn nodes(&self, state: &str) -> Vec<String> {
        let status = self.status();
        let nodes = status["nodes"].as_array().unwrap().iter();
        let of = nodes.filter(|node| node["state"] == state);
        of.map(|node| node["address"].as_str().unwrap().to_owned()).collect()
    }

    /// How many nodes it has that are not about to go.
    fn listed(&self) -> Vec<String> {
        let mut listed = self.nodes("up");
        listed.extend(self.nodes("down"));
        listed
    }

    fn get(&self) -> u16 {
        self.front.client().send(&Request::get(HEALTH)).map_or(0, |answer| answer.status)
    }

    /// The sum of a metric's series that have this label's value.
    fn figure(&self, name: &str, label: &str) -> f64 {
        let answer = Client::new(self.control).send(&Request::get("/metrics")).unwrap();
        let text = answer.text();
        let of = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        of.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }
}

/// A program that tells these doors of itself.
fn announcing(doors: &[&Door], secret: &str) -> Program {
    let mut program = Candidate::new(Engine::Sqlite).program;
    let to: Vec<String> = doors.iter().map(|door| door.url()).collect();
    program.variables.push(("PANDO_ANNOUNCE_TO".into(), to.join(",")));
    program.variables.push(("PANDO_ANNOUNCE_SECRET".into(), secret.into()));
    program
}

fn address(server: &Server) -> String {
    format!("127.0.0.1:{}", server.port())
}

fn wait_for(what: &str, mut is: impl FnMut() -> bool) {
    let until = Instant::now() + WAIT;
    while !is() {
        assert!(Instant::now() < until, "no {what} within {WAIT:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn nodes_come_and_go_by_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let mut door = Door::start(dir.path(), "balance", &[]);
    let answer = door.front.client().send(&Request::get(HEALTH)).unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    let ready = || Client::new(door.control).send(&Request::get("/readyz")).unwrap();
    assert_eq!(ready().status, 503, "{}", ready().text());

    let program = announcing(&[&door], SECRET);
    let a = program.serve(&dir.path().join("a")).unwrap();
    let mut b = program.serve(&dir.path().join("b")).unwrap();
    wait_for("node is used", || door.get() == 200);
    wait_for("two nodes", || door.listed().len() == 2);

    b.kill();
    wait_for("loss of the killed node", || door.listed() == [address(&a)]);
    assert!((0..20).all(|_| door.get() == 200));
    b.restart_in_place().unwrap();
    wait_for("return of the node", || door.listed().len() == 2);

    door.front.daemon.restart().unwrap();
    wait_for("knowledge of all nodes after a restart", || door.listed().len() == 2);
    assert!((0..20).all(|_| door.get() == 200));
}

#[test]
fn a_node_that_leaves_fails_no_request() {
    let dir = tempfile::tempdir().unwrap();
    let door = Door::start(dir.path(), "balance", &[]);
    let program = announcing(&[&door], SECRET);
    let start = |name: &str| program.serve(&dir.path().join(name)).unwrap();
    let mut nodes = [start("a"), start("b")];
    wait_for("two nodes", || door.listed().len() == 2);

    let (stop, answered, began) = (AtomicBool::new(false), AtomicUsize::new(0), Instant::now());
    std::thread::scope(|scope| {
        let load = || {
            let client = door.front.client().sending_once();
            while !stop.load(Ordering::Relaxed) && began.elapsed() < 3 * WAIT {
                let answer = client.send(&Request::get(HEALTH)).unwrap();
                assert_eq!(answer.status, 200, "{}", answer.text());
                answered.fetch_add(1, Ordering::Relaxed);
            }
        };
        let loads: Vec<_> = (0..4).map(|_| scope.spawn(load)).collect();
        let more = |count: usize| {
            let before = answered.load(Ordering::Relaxed);
            wait_for("answers", || {
                answered.load(Ordering::Relaxed) > before + count
                    || loads.iter().any(|load| load.is_finished())
            });
        };
        for node in &mut nodes {
            more(200);
            assert_eq!(node.terminate(WAIT), Some(0), "{}", node.log());
            more(200);
            node.restart_in_place().unwrap();
            wait_for("two nodes again", || door.listed().len() == 2);
        }
        more(200);
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn nodes_announce_themselves_to_a_successor() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("handover");
    let handover = [("PANDO_FRONT_HANDOVER", socket.to_str().unwrap())];
    let mut door = Door::start(dir.path(), "balance", &handover);
    let node = announcing(&[&door], SECRET).serve(&dir.path().join("a")).unwrap();
    wait_for("a node", || door.get() == 200);
    let stop = AtomicBool::new(false);
    let (port, began) = (door.front.port(), Instant::now());
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) && began.elapsed() < 3 * WAIT {
                let answer = Client::new(port).sending_once().send(&Request::get(HEALTH)).unwrap();
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
        });
        for _ in 0..2 {
            let successor = door.front.successor().unwrap();
            assert!(door.front.daemon.ended(WAIT), "{}", door.front.daemon.said());
            door.front = successor;
            wait_for("the node at the successor", || door.listed() == [address(&node)]);
            assert!(!load.is_finished());
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn writes_are_told_to_every_door() {
    let dir = tempfile::tempdir().unwrap();
    let doors = [Door::start(dir.path(), "edge", &[]), Door::start(dir.path(), "edge", &[])];
    let node = announcing(&[&doors[0], &doors[1]], SECRET).start(&dir.path().join("a")).unwrap();
    // Of a collection that no answer is kept of, no front door is told.
    let collection = json!({"name": "posts", "type": "base", "createRule": "",
        "fields": [{"name": "n", "type": "number"}], "cache": {"ttl": 60, "scope": "public"}});
    as_superuser(&node, "POST", "/api/collections", &collection);
    let told = |door: &Door| door.figure("pando_front_purges_total", "node");
    wait_for("word of the collection", || doors.iter().all(|door| told(door) > 0.0));
    let before: Vec<f64> = doors.iter().map(told).collect();
    let record = Request::json("POST", "/api/collections/posts/records", &json!({"n": 1}));
    assert_eq!(node.client().send(&record).unwrap().status, 200);
    wait_for("word of the record", || doors.iter().zip(&before).all(|(door, before)| told(door) > *before));
}

#[test]
fn a_node_that_dies_behind_balancers_is_doubted_at_once_and_not_for_long() {
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(Engine::Postgres);
    let edge = Door::start(dir.path(), "edge", &[("PANDO_FRONT_ANNOUNCED_NODES", "false")]);
    let mut program = candidate.program.clone().role("web");
    program.variables.push(("PANDO_ANNOUNCE_TO".into(), edge.url()));
    program.variables.push(("PANDO_ANNOUNCE_SECRET".into(), SECRET.into()));
    let mut nodes = ["a", "b"].map(|name| program.serve(&dir.path().join(name)).unwrap());
    let states = || {
        let status = edge.status();
        let lives = status["lives"].as_array().unwrap().iter();
        let of = lives.map(|life| {
            let word = |name: &str| life[name].as_str().unwrap().to_owned();
            (word("address"), word("state"))
        });
        of.collect::<std::collections::BTreeMap<_, _>>()
    };
    wait_for("two processes", || states().len() == 2);
    let dead = address(&nodes[0]);
    // Each knows of the other by now: what they say next names both.
    wait_for("beats", || edge.figure("pando_front_announcements_total", "") > 20.0);
    let missed = || edge.figure("pando_front_announcements_missed_total", "");
    let (before, killed) = (missed(), Instant::now());
    nodes[0].kill();
    wait_for("its connection's end", || states().get(&dead).is_none_or(|state| state != "here"));
    assert!(missed() > before);
    // The other one hears from the database that it is gone.
    wait_for("its end", || !states().contains_key(&dead));
    let within = Duration::from_millis(base::limits::FRONT_NODE_UNHEARD_MS);
    assert!(killed.elapsed() < within, "it was only given up");
    let after = missed();
    let said = edge.figure("pando_front_announcements_total", "");
    wait_for("more beats", || edge.figure("pando_front_announcements_total", "") > said + 10.0);
    assert_eq!(missed(), after, "nothing is missed any more");
    assert_eq!(nodes[1].terminate(WAIT), Some(0));
    wait_for("its goodbye", || states().values().all(|state| state == "gone"));
    assert_eq!(missed(), after, "who says goodbye leaves nothing to doubt");
}

#[test]
fn a_wrong_secret_is_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let door = Door::start(dir.path(), "balance", &[]);
    let node = announcing(&[&door], "wrong-for-it").serve(&dir.path().join("a")).unwrap();
    let refused = || door.figure("pando_front_control_refused_total", "");
    wait_for("some refusals", || refused() >= 4.0);
    let log = node.log();
    assert_eq!(log.matches("refuses announcements").count(), 1, "{log}");
    assert!(log.contains("front.secret") && !log.contains("wrong-for-it"), "{log}");
    assert!(door.status()["lives"].as_array().unwrap().is_empty());
    assert_eq!(door.get(), 503);
}

#[test]
fn the_control_api_is_guarded_and_clear() {
    let dir = tempfile::tempdir().unwrap();
    let door = Door::start(dir.path(), "edge", &[]);
    let bare = Client::new(door.control);
    for (method, path) in [
        ("GET", "/status"),
        ("POST", "/purge"),
        ("POST", "/announce"),
        ("POST", "/nodes/a/drain"),
        ("GET", "/x"),
    ] {
        let asked = Request::json(method, path, &json!({"all": true}));
        for (header, status) in [("", 401), ("Bearer wrong", 401), (SECRET, 401)] {
            let answer = bare.send(&asked.clone().header("Authorization", header)).unwrap();
            assert_eq!(answer.status, status, "{path}");
            assert!(answer.header("www-authenticate").is_some());
        }
    }
    for path in ["/livez", "/metrics"] {
        assert_eq!(bare.send(&Request::get(path)).unwrap().status, 200);
    }
    let post = |path: &str, body: &str| door.ask(Request::new("POST", path).body("application/json", body));
    for (path, body, status, says) in [
        ("/purge", "{}", 400, "Name what"),
        ("/purge", "", 400, "JSON"),
        ("/purge", "[[[[", 400, "JSON"),
        ("/purge", r#"{"tag": ["a"]}"#, 400, "tag"),
        ("/purge", r#"{"tags": "a"}"#, 400, "JSON"),
        ("/purge", r#"{"tags": ["c:posts"], "soft": true}"#, 200, "everywhere"),
        ("/announce", r#"{"life": "x"}"#, 400, "sequence"),
        ("/announce", r#"{"life": "x", "sequence": 1, "address": "nowhere"}"#, 400, "HOST:PORT"),
        ("/announce", r#"{"life": "x", "sequence": 1, "address": "127.0.0.1:1", "later": 1}"#, 204, ""),
        ("/nodes/nobody/drain", "", 404, "nobody"),
        ("/nodes/127.0.0.1%3A1/drain", "", 200, "true"),
        ("/nodes/127.0.0.1:1/undrain", "", 200, "false"),
        ("/nothing", "", 404, "/purge"),
    ] {
        let answer = post(path, body);
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.text());
        assert!(answer.text().contains(says), "{path} {body}: {}", answer.text());
    }
    let deep = "[".repeat(100_000);
    assert_eq!(post("/purge", &deep).status, 400);
    assert_eq!(post("/purge", &format!("\"{}\"", "x".repeat(3 << 20))).status, 413);
    assert_eq!(door.status()["lives"].as_array().unwrap().len(), 1);
}

#[test]
fn an_operator_takes_a_node_out() {
    let dir = tempfile::tempdir().unwrap();
    let door = Door::start(dir.path(), "balance", &[]);
    let node = announcing(&[&door], SECRET).serve(&dir.path().join("a")).unwrap();
    wait_for("a node", || door.get() == 200);
    let turn = |verb: &str| door.ask(Request::new("POST", &format!("/nodes/{}/{verb}", address(&node))));
    assert_eq!(turn("drain").status, 200);
    assert_eq!(door.get(), 503);
    assert_eq!(door.nodes("drained"), [address(&node)]);
    assert_eq!(turn("undrain").status, 200);
    wait_for("the node again", || door.get() == 200);
}

#[test]
fn a_purge_reaches_all_doors_or_says_which_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut other = Door::start(dir.path(), "edge", &[]);
    let door = Door::start(dir.path(), "edge", &[("PANDO_EDGE_PEERS", &other.url())]);
    let purge = || door.ask(Request::json("POST", "/purge", &json!({"tags": ["c:posts"]})));
    let answer = purge();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["doors"][0]["confirmed"], true, "{}", answer.text());
    assert_eq!(other.figure("pando_front_purges_total", "door"), 1.0);
    other.front.daemon.kill();
    let answer = purge();
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(answer.text().contains(&other.control.to_string()), "{}", answer.text());
}

#[test]
fn nodes_and_doors_meet_on_the_bus() {
    let dir = tempfile::tempdir().unwrap();
    let mut nats = Nats::start(&dir.path().join("nats")).unwrap();
    let url = nats.url();
    let bus = [("PANDO_BUS_URL", url.as_str())];
    let doors = [Door::start(dir.path(), "edge", &bus), Door::start(dir.path(), "edge", &bus)];
    let mut program = Candidate::new(Engine::Sqlite).program;
    program.variables.push(("PANDO_BUS_URL".into(), url.clone()));
    let mut node = program.start(&dir.path().join("a")).unwrap();
    wait_for("a node at both doors", || doors.iter().all(|door| door.listed() == [address(&node)]));
    assert!(doors.iter().all(|door| door.get() == 200));

    let told = |door: &Door| door.figure("pando_front_purges_total", "node");
    let before: Vec<f64> = doors.iter().map(told).collect();
    as_superuser(&node, "POST", "/api/collections", &json!({"name": "posts", "type": "base"}));
    wait_for("word of the write", || doors.iter().zip(&before).all(|(door, before)| told(door) > *before));

    let purge = || doors[0].ask(Request::json("POST", "/purge", &json!({"all": true})));
    wait_for("a purge that the other door confirms", || {
        purge().json()["doors"]
            .as_array()
            .is_some_and(|doors| doors.len() == 1 && doors[0]["confirmed"] == true)
    });

    // Without the bus nobody is heard, and everybody stays; what is missed meanwhile is told afterwards.
    let missed = |door: &Door| door.figure("pando_front_announcements_missed_total", "");
    let before = missed(&doors[0]);
    nats.daemon.kill();
    wait_for("doubt", || missed(&doors[0]) > before);
    assert_eq!(doors[0].get(), 200);
    nats.daemon.restart().unwrap();
    wait_for("the node to be heard again", || doors[0].status()["lives"][0]["state"] == "here");
    assert_eq!(node.terminate(WAIT), Some(0), "{}", node.log());
    wait_for("its leave", || doors.iter().all(|door| door.listed().is_empty()));
}

#[test]
fn a_control_address_that_others_reach_needs_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let variables = [("PANDO_FRONT_CONTROL", "0.0.0.0:1")];
    let refused = Front::start(BINARY.as_ref(), dir.path(), "balance", "", &variables).err().unwrap();
    assert!(refused.to_string().contains("front.secret"), "{refused}");
    let refused = Front::start(BINARY.as_ref(), dir.path(), "balance", "", &[]).err().unwrap();
    assert!(refused.to_string().contains("front.control"), "{refused}");
}

#[test]
fn commands_ask_a_front_door() {
    let dir = tempfile::tempdir().unwrap();
    let door = Door::start(dir.path(), "edge", &[]);
    let run = |words: &[&str], secret: &str| {
        let mut command = std::process::Command::new(BINARY);
        command.args(words).args(["--at", &door.url()]).current_dir(dir.path());
        let done = command.env("PANDO_FRONT_SECRET", secret).output().unwrap();
        let text =
            String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        (done.status.success(), text)
    };
    let (done, text) = run(&["purge", "--tag", "c:posts", "--url", "/a", "--prefix", "/b", "--soft"], SECRET);
    assert!(done && text.contains("everywhere"), "{text}");
    assert_eq!(door.figure("pando_front_purges_total", "operator"), 1.0);
    let (done, text) = run(&["front-status"], SECRET);
    assert!(done && text.contains("\"draining\": false"), "{text}");
    for (words, secret, says) in [
        (&["purge"][..], SECRET, "--tag"),
        (&["purge", "--all"], "wrong", "401"),
        (&["front-status"], "", "401"),
    ] {
        let (done, text) = run(words, secret);
        assert!(!done && text.contains(says), "{words:?}: {text}");
    }
}

#[test]
fn names_lead_to_nodes() {
    let dir = tempfile::tempdir().unwrap();
    let node = Candidate::new(Engine::Sqlite).program.serve(&dir.path().join("a")).unwrap();
    let name = format!("localhost:{}", node.port());
    let door = Door::start(dir.path(), "balance", &[("PANDO_FRONT_DNS", &name)]);
    wait_for("a node that was looked up", || door.get() == 200);
}
