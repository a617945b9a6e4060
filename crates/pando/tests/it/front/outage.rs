//! What is left when the origin is gone, and when all edges are.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::doors::{self, Plan};
use testkit::front::Front;
use testkit::pando::Engine;
use testkit::{Answer, Request, tools};

use crate::candidate::{BINARY, Candidate, as_superuser};

const WAIT: Duration = Duration::from_secs(60);
const POSTS: &str = "/api/collections/posts/records";
const NEVER_ASKED: &str = "/api/collections/posts/records?perPage=7";

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + WAIT;
    while !is_so() {
        assert!(Instant::now() < end, "not {what} within {WAIT:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn get(front: &Front, path: &str) -> Answer {
    front.client().send(&Request::get(path)).unwrap()
}

fn said(answer: &Answer) -> &str {
    answer.header("cache-status").unwrap_or_default()
}

#[test]
fn while_no_node_answers_edges_serve_what_they_have() {
    let dir = tempfile::tempdir().unwrap();
    let mut candidate = Candidate::new(Engine::Sqlite);
    let control = || format!("127.0.0.1:{}", tools::free_port());
    let controls = [control(), control(), control()];
    let to: Vec<String> = controls.iter().map(|control| format!("http://{control}")).collect();
    candidate.program.variables.push(("PANDO_ANNOUNCE_TO".into(), to.join(",")));
    let mut node = candidate.program.start(&dir.path().join("data")).unwrap();
    let doors: Vec<Front> = ["balance", "edge", "edge"]
        .into_iter()
        .zip(&controls)
        .map(|(role, control)| {
            let variables = [("PANDO_FRONT_CONTROL", control.as_str())];
            Front::start(BINARY.as_ref(), dir.path(), role, "", &variables).unwrap()
        })
        .collect();
    let (balancer, edges) = (&doors[0], &doors[1..]);
    let collection = json!({"name": "posts", "type": "base", "listRule": "", "viewRule": "",
        "fields": [{"name": "title", "type": "text"}],
        "cache": {"ttl": 1, "scope": "public", "staleIfError": 600}});
    as_superuser(&node, "POST", "/api/collections", &collection);
    as_superuser(&node, "POST", POSTS, &json!({"id": "post00000000001", "title": "old"}));
    for edge in edges {
        until("it is kept", || said(&get(edge, POSTS)).contains("; hit"));
    }
    let kept = get(&edges[0], POSTS).body;

    node.kill();
    for edge in edges {
        // Its time of one second is over sooner or later, and then nobody can be asked.
        until("it is stale", || {
            let answer = get(edge, POSTS);
            assert_eq!((answer.status, &answer.body), (200, &kept), "{}", said(&answer));
            said(&answer).contains("; ttl=-")
        });
        let stale = get(edge, POSTS);
        assert!(said(&stale).starts_with("pando; hit; fwd-status=50"), "{}", said(&stale));
        assert!(stale.header("age").is_some_and(|age| age.parse::<u32>().is_ok_and(|age| age >= 1)));
        let unknown = get(edge, NEVER_ASKED);
        assert!((502..=504).contains(&unknown.status), "{}", unknown.status);
        assert!(!said(&unknown).contains("hit") && unknown.header("age").is_none(), "{}", said(&unknown));
    }
    assert!((502..=504).contains(&get(balancer, POSTS).status), "a balancer keeps nothing");

    node.restart_in_place().unwrap();
    as_superuser(&node, "PATCH", &format!("{POSTS}/post00000000001"), &json!({"title": "new"}));
    until("the node is asked", || get(balancer, POSTS).text().contains("new"));
    for edge in edges {
        until("it is new", || get(edge, POSTS).text().contains("new"));
        until("it is kept again", || said(&get(edge, POSTS)).starts_with("pando; hit; ttl="));
        assert_eq!(get(edge, NEVER_ASKED).status, 200);
    }
}

#[test]
fn when_all_edges_are_gone_balancers_are_asked() {
    let findings = doors::run(&Plan::short(BINARY, &["every-edge/stop", "every-edge/kill"])).unwrap();
    println!("{}", doors::table(&findings));
    findings.check().unwrap();
    for row in &findings.rows {
        // Between the end of the last edge and the start of the next they have nobody else.
        assert!(row.bypassed() > 0 && row.failed_again() == 0, "{}: {}", row.event, row.why());
    }
}
