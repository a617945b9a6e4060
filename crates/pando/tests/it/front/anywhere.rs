//! A realtime client's stream is at one node, and what it asks may arrive at another.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::front::Front;
use testkit::nats::Nats;
use testkit::pando::Engine;
use testkit::server::Server;
use testkit::sse::Stream;
use testkit::{Answer, Client, Request, server};

use crate::candidate::{BINARY, Candidate, as_superuser};

const WAIT: Duration = Duration::from_secs(60);

/// Tried again until the nodes have heard of each other.
fn subscribe(node: &Client, stream: &Stream, token: &str, status: u16) -> Answer {
    let body = json!({"clientId": stream.id, "subscriptions": ["notes/*"]});
    let request = Request::json("POST", "/api/realtime", &body).token(token);
    let until = Instant::now() + WAIT;
    loop {
        let answer = node.send(&request).unwrap();
        if answer.status == status || Instant::now() > until {
            assert_eq!(answer.status, status, "{}", answer.text());
            return answer;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn create(node: &Server, owner: &str, token: &str) -> String {
    let request = Request::json("POST", "/api/collections/notes/records", &json!({"owner": owner}));
    let answer = node.client().send(&request.token(token)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.at("/id").unwrap()
}

/// The record that the first event is about.
fn first(stream: &Stream) -> String {
    let event = stream.wait_for(WAIT, |event| event.name == "notes/*").expect("an event");
    event.json()["record"]["id"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_subscription_may_arrive_at_any_node() {
    let mut candidate = Candidate::new(Engine::Postgres);
    candidate.program = candidate.program.role("web");
    let dir = tempfile::tempdir().unwrap();
    let nats = Nats::start(&dir.path().join("nats")).unwrap();
    candidate.program.variables.push(("PANDO_BUS_URL".into(), nats.url()));
    let holder = candidate.program.start(&dir.path().join("holder")).unwrap();
    let other = candidate.program.serve(&dir.path().join("other")).unwrap();
    let fields = json!([{"name": "owner", "type": "text"}]);
    as_superuser(
        &holder,
        "POST",
        "/api/collections",
        &json!({"name": "notes", "type": "base", "fields": fields,
        "listRule": "owner = @request.auth.id", "viewRule": "owner = @request.auth.id", "createRule": ""}),
    );
    let sign_up = |email: &str| {
        let body = json!({"email": email, "password": "a-password", "passwordConfirm": "a-password"});
        let answer = as_superuser(&holder, "POST", "/api/collections/users/records", &body);
        let token = server::login(&holder.client(), "users", email, "a-password").unwrap();
        (answer.at("/id").unwrap(), token)
    };
    let (one, two) = (sign_up("one@example.com"), sign_up("two@example.com"));

    // As somebody, from the other node; then events come that only they may see.
    let stream = Stream::open(holder.port()).unwrap();
    subscribe(&other.client(), &stream, &one.1, 204);
    create(&other, &two.0, &one.1);
    let id = create(&other, &one.0, &one.1);
    assert_eq!(first(&stream), id);

    // What is refused is refused in the same words at either node.
    for token in [two.1.as_str(), ""] {
        let here = subscribe(&holder.client(), &stream, token, 403);
        let there = subscribe(&other.client(), &stream, token, 403);
        assert_eq!(here.text(), there.text());
    }
    let unknown = |node: &Server| {
        let body = json!({"clientId": "x".repeat(40), "subscriptions": []});
        node.client().send(&Request::json("POST", "/api/realtime", &body)).unwrap()
    };
    assert_eq!((unknown(&holder).status, unknown(&holder).text()), (404, unknown(&other).text()));

    // Through a front door that sends each request to another node, as an SDK does it.
    let nodes = format!("127.0.0.1:{},127.0.0.1:{}", holder.port(), other.port());
    let front = Front::start(BINARY.as_ref(), dir.path(), "balance", &nodes, &[]).unwrap();
    let streams: Vec<Stream> = (0..4).map(|_| Stream::open(front.port()).unwrap()).collect();
    for stream in &streams {
        subscribe(&front.client(), stream, &one.1, 204);
        subscribe(&front.client(), stream, &one.1, 204);
    }
    let id = create(&other, &one.0, &one.1);
    for stream in &streams {
        assert_eq!(first(stream), id);
    }
}
