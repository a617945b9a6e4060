//! Pando's own answers behind edges: who is given what is kept, and what a write takes away.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::front::Front;
use testkit::nats::Nats;
use testkit::pando::Engine;
use testkit::server::Server;
use testkit::{Answer, Request, tools};

use crate::candidate::{BINARY, Candidate, as_superuser};

const WAIT: Duration = Duration::from_secs(60);
const SECRET: &str = "a secret of doors";
const PASSWORD: &str = "1234567890";
const POSTS: &str = "/api/collections/posts/records";
const NOTES: &str = "/api/collections/notes/records";

/// Edges that are told of every write by the nodes behind them.
struct Site {
    edges: Vec<Front>,
    nodes: Vec<Server>,
    _candidate: Candidate,
    _nats: Option<Nats>,
    _dir: tempfile::TempDir,
}

impl Site {
    /// One `pando serve` and edges that it reaches over HTTP.
    fn alone(edges: usize) -> Site {
        let mut candidate = Candidate::new(Engine::Sqlite);
        let dir = tempfile::tempdir().unwrap();
        let controls: Vec<String> = (0..edges).map(|_| format!("127.0.0.1:{}", tools::free_port())).collect();
        let to: Vec<String> = controls.iter().map(|control| format!("http://{control}")).collect();
        candidate.program.variables.push(("PANDO_ANNOUNCE_TO".into(), to.join(",")));
        candidate.program.variables.push(("PANDO_ANNOUNCE_SECRET".into(), SECRET.into()));
        let node = candidate.program.start(&dir.path().join("data")).unwrap();
        let edge = |control: &String| {
            let variables = [("PANDO_FRONT_CONTROL", control.as_str()), ("PANDO_FRONT_SECRET", SECRET)];
            Front::start(BINARY.as_ref(), dir.path(), "edge", "", &variables).unwrap()
        };
        let edges = controls.iter().map(edge).collect();
        let site = Site { edges, nodes: vec![node], _candidate: candidate, _nats: None, _dir: dir };
        site.fill();
        site
    }

    /// Two `pando web` and an edge, which all meet on a bus.
    fn together() -> Site {
        let mut candidate = Candidate::new(Engine::Postgres);
        let dir = tempfile::tempdir().unwrap();
        let nats = Nats::start(&dir.path().join("nats")).unwrap();
        candidate.program.variables.push(("PANDO_BUS_URL".into(), nats.url()));
        candidate.program = candidate.program.role("web");
        let first = candidate.program.start(&dir.path().join("first")).unwrap();
        let second = candidate.program.serve(&dir.path().join("second")).unwrap();
        let url = nats.url();
        let edge = Front::start(BINARY.as_ref(), dir.path(), "edge", "", &[("PANDO_BUS_URL", &url)]).unwrap();
        let site = Site {
            edges: vec![edge],
            nodes: vec![first, second],
            _candidate: candidate,
            _nats: Some(nats),
            _dir: dir,
        };
        site.fill();
        site
    }

    fn fill(&self) {
        let make = |body: &Value| self.write("POST", "/api/collections", body).at("/id").unwrap();
        self.write("PATCH", "/api/collections/users", &json!({"viewRule": "", "listRule": ""}));
        let users = self.write("GET", "/api/collections/users", &Value::Null).at("/id").unwrap();
        for id in ["ann000000000000", "bob000000000000"] {
            let body = json!({"id": id, "email": format!("{id}@example.com"), "name": id, "emailVisibility": true,
                "password": PASSWORD, "passwordConfirm": PASSWORD});
            self.write("POST", "/api/collections/users/records", &body);
        }
        make(&json!({"name": "posts", "type": "base", "listRule": "", "viewRule": "",
        "cache": {"ttl": 3600, "scope": "public"},
        "fields": [
            {"name": "title", "type": "text"},
            {"name": "author", "type": "relation", "collectionId": users, "maxSelect": 1},
            {"name": "file", "type": "file", "maxSelect": 1},
        ]}));
        make(&json!({"name": "notes", "type": "base", "cache": {"ttl": 3600, "scope": "user"},
            "listRule": "owner = @request.auth.id || owner = ''", "viewRule": "owner = @request.auth.id",
            "fields": [{"name": "owner", "type": "text"}]}));
        for (id, owner) in [("note00000000001", "ann000000000000"), ("note00000000002", "")] {
            self.write("POST", NOTES, &json!({"id": id, "owner": owner}));
        }
        let post = json!({"id": "post00000000001", "title": "old", "author": "ann000000000000"});
        self.write("POST", POSTS, &post);
        for edge in 0..self.edges.len() {
            self.until("the nodes are known", || self.get(edge, "/api/health", "").status == 200);
        }
    }

    fn write(&self, method: &str, path: &str, body: &Value) -> Answer {
        as_superuser(&self.nodes[0], method, path, body)
    }

    fn login(&self, id: &str) -> String {
        self.nodes[0].login("users", &format!("{id}@example.com"), PASSWORD).unwrap()
    }

    fn get(&self, edge: usize, path: &str, token: &str) -> Answer {
        self.edges[edge].client().send(&Request::get(path).token(token)).unwrap()
    }

    fn until(&self, what: &str, mut is: impl FnMut() -> bool) {
        let until = Instant::now() + WAIT;
        while !is() {
            assert!(Instant::now() < until, "not {what} within {WAIT:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks until the answer comes out of the cache.
    fn kept(&self, edge: usize, path: &str, token: &str) -> Answer {
        let mut answer = self.get(edge, path, token);
        self.until(&format!("{path} is kept"), || {
            answer = self.get(edge, path, token);
            is_hit(&answer)
        });
        answer
    }

    /// Asks until the edge says so.
    fn sees(&self, edge: usize, path: &str, token: &str, is: impl Fn(&Answer) -> bool) {
        self.until(&format!("{path} is new"), || is(&self.get(edge, path, token)));
    }
}

fn is_hit(answer: &Answer) -> bool {
    answer.header("cache-status").unwrap_or_default().contains("; hit")
}

fn count(answer: &Answer) -> String {
    answer.at("/totalItems").unwrap_or_else(|| answer.text())
}

#[test]
fn public_answers_are_shared_and_superusers_pass() {
    let site = Site::alone(1);
    let kept = site.kept(0, POSTS, "");
    assert_eq!(kept.header("surrogate-key"), None, "tags are for edges");
    let user = site.login("ann000000000000");
    let shared = site.get(0, POSTS, &user);
    assert!(is_hit(&shared), "{:?}", shared.headers);
    assert_eq!(shared.body, kept.body);
    let superuser = site.nodes[0].superuser_token().unwrap();
    for _ in 0..3 {
        let own = site.get(0, POSTS, &superuser);
        assert!(!is_hit(&own), "{:?}", own.headers);
        assert_eq!(own.header("cache-control"), Some("no-store"));
    }
    assert!(is_hit(&site.get(0, POSTS, "")));
    // What says nothing of caches is asked for each time.
    for _ in 0..3 {
        assert!(!is_hit(&site.get(0, "/api/collections/users/records", "")));
    }
}

#[test]
fn a_write_takes_away_what_shows_it_on_every_edge() {
    let site = Site::alone(2);
    let one = format!("{POSTS}/post00000000001");
    let (expanding, filtered) =
        (format!("{POSTS}?expand=author"), format!("{POSTS}?filter=author.name='ann'"));
    let keep = || {
        for edge in 0..2 {
            for path in [&one, POSTS, &expanding, &filtered] {
                site.kept(edge, path, "");
            }
        }
    };
    keep();
    site.write("PATCH", &one, &json!({"title": "new"}));
    for edge in 0..2 {
        site.sees(edge, &one, "", |answer| answer.at("/title").as_deref() == Some("new"));
        site.sees(edge, POSTS, "", |answer| answer.at("/items/0/title").as_deref() == Some("new"));
    }
    keep();
    site.write("PATCH", "/api/collections/users/records/ann000000000000", &json!({"name": "ann"}));
    for edge in 0..2 {
        let name = "/items/0/expand/author/name";
        site.sees(edge, &expanding, "", |answer| answer.at(name).as_deref() == Some("ann"));
        site.sees(edge, &filtered, "", |answer| count(answer) == "1");
        // Who does not show the account is left alone.
        assert!(is_hit(&site.get(edge, &one, "")));
        assert!(is_hit(&site.get(edge, POSTS, "")));
    }
    site.write("POST", POSTS, &json!({"title": "second"}));
    for edge in 0..2 {
        site.sees(edge, POSTS, "", |answer| count(answer) == "2");
        assert!(is_hit(&site.get(edge, &one, "")), "another record's view");
    }
    site.write("DELETE", &one, &Value::Null);
    for edge in 0..2 {
        site.sees(edge, &one, "", |answer| answer.status == 404);
        site.sees(edge, POSTS, "", |answer| count(answer) == "1");
    }
}

#[test]
fn what_is_one_callers_own_is_given_to_nobody_else() {
    let site = Site::alone(1);
    let (ann, bob) = (site.login("ann000000000000"), site.login("bob000000000000"));
    let own = format!("{NOTES}/note00000000001");
    for _ in 0..3 {
        for (token, expected) in [(&ann[..], "2"), (&bob[..], "1"), ("", "1"), ("not.a.token", "1")] {
            assert_eq!(count(&site.get(0, NOTES, token)), expected);
        }
        for (token, expected) in [(&ann[..], 200), (&bob[..], 404), ("", 404), ("not.a.token", 404)] {
            assert_eq!(site.get(0, &own, token).status, expected);
        }
    }
    site.kept(0, NOTES, &ann);
    site.kept(0, &own, &ann);
    // A new password ends every token, and with it what was kept under it.
    let body = json!({"password": "another password", "passwordConfirm": "another password"});
    site.write("PATCH", "/api/collections/users/records/ann000000000000", &body);
    site.sees(0, &own, &ann, |answer| answer.status == 404);
    site.sees(0, NOTES, &ann, |answer| count(answer) == "1");
    site.write("DELETE", "/api/collections/users/records/bob000000000000", &Value::Null);
    site.sees(0, NOTES, &bob, |answer| count(answer) == "1");
}

#[test]
fn a_change_of_rules_takes_everything_away() {
    let site = Site::alone(1);
    site.kept(0, POSTS, "");
    site.write("PATCH", "/api/collections/posts", &json!({"listRule": null}));
    site.sees(0, POSTS, "", |answer| answer.status == 403);
    assert_eq!(site.get(0, POSTS, "").status, 403);
    site.write("PATCH", "/api/collections/posts", &json!({"listRule": "", "cache": null}));
    for _ in 0..3 {
        let answer = site.get(0, POSTS, "");
        assert!(!is_hit(&answer) && answer.status == 200, "{:?}", answer.headers);
    }
}

#[test]
fn files_are_kept_until_their_record_changes() {
    let site = Site::alone(1);
    let token = site.nodes[0].superuser_token().unwrap();
    let form =
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nhello\r\n--x--\r\n";
    let upload = Request::new("PATCH", &format!("{POSTS}/post00000000001"))
        .body("multipart/form-data; boundary=x", form)
        .token(&token);
    let answer = site.nodes[0].client().send(&upload).unwrap();
    let file = format!("/api/files/posts/post00000000001/{}", answer.at("/file").unwrap());
    assert_eq!(site.kept(0, &file, "").text(), "hello");
    site.write("PATCH", &format!("{POSTS}/post00000000001"), &json!({"file": ""}));
    site.sees(0, &file, "", |answer| answer.status == 404);
}

#[test]
fn another_process_that_writes_takes_everything_away() {
    let site = Site::alone(1);
    site.kept(0, POSTS, "");
    let node = &site.nodes[0];
    node.program().upsert_superuser(node.dir(), "another@example.com", PASSWORD).unwrap();
    site.sees(0, POSTS, "", |answer| !is_hit(answer));
}

#[test]
fn several_nodes_purge_over_the_bus() {
    let site = Site::together();
    let one = format!("{POSTS}/post00000000001");
    for (index, node) in site.nodes.iter().enumerate() {
        site.kept(0, &one, "");
        site.kept(0, POSTS, "");
        let title = format!("by node {index}");
        as_superuser(node, "PATCH", &one, &json!({"title": title}));
        site.sees(0, &one, "", |answer| answer.at("/title").as_deref() == Some(&title));
        site.sees(0, POSTS, "", |answer| answer.at("/items/0/title").as_deref() == Some(&title));
        site.kept(0, POSTS, "");
        as_superuser(node, "PATCH", "/api/collections/posts", &json!({"listRule": null}));
        site.sees(0, POSTS, "", |answer| answer.status == 403);
        as_superuser(node, "PATCH", "/api/collections/posts", &json!({"listRule": ""}));
    }
}
