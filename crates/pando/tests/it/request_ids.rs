//! One name for a request everywhere: in its answer, the request log, the process's messages, the jobs that it causes
//! on whichever node, and the calls that are made on its behalf.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::pando::Engine;
use testkit::server::Server;
use testkit::{Request, fault};

use crate::candidate::{Candidate, as_superuser};

const WAIT: Duration = Duration::from_secs(60);
const HEADER: &str = "x-request-id";

fn json_lines(server: &Server) -> Vec<Value> {
    let log = server.log();
    log.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn wait_for(server: &Server, what: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + WAIT;
    loop {
        if let Some(found) = json_lines(server).into_iter().find(|line| what(line)) {
            return found;
        }
        assert!(Instant::now() < until, "not among\n{}", server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn with(candidate: &mut Candidate, variables: &[(&str, &str)]) {
    let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    candidate.program.variables.extend(variables);
}

#[test]
fn are_answered_and_logged() {
    let candidate = Candidate::new(Engine::Sqlite);
    let dir = tempfile::tempdir().unwrap();
    let server = candidate.program.start(&dir.path().join("data")).unwrap();
    let client = server.client();
    let ask = |given: &str| {
        let answer = client.send(&Request::get("/api/nothing").header(HEADER, given)).unwrap();
        answer.header(HEADER).unwrap().to_owned()
    };
    assert_eq!(ask("from-a-balancer.1"), "from-a-balancer.1");
    for bad in ["", "a b", "x\"y", "{}", &"x".repeat(200)] {
        let made = ask(bad);
        assert!(made != bad && made.len() >= 15, "{bad:?} was answered with {made:?}");
    }
    assert_ne!(ask(""), ask(""), "every request has its own");
    let token = server.superuser_token().unwrap();
    let path = "/api/logs?filter=(data.requestId='from-a-balancer.1')";
    let until = Instant::now() + WAIT;
    loop {
        let answer = client.send(&Request::get(path).token(&token)).unwrap();
        let found = answer.json();
        if found["totalItems"] == 1 {
            assert_eq!(found["items"][0]["data"]["url"], "/api/nothing");
            return;
        }
        assert!(Instant::now() < until, "{}", answer.text());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn are_told_with_what_fails() {
    let mut candidate = Candidate::new(Engine::Postgres);
    with(&mut candidate, &[("PANDO_LOG_FORMAT", "json"), ("PANDO_NODE_NAME", "node \"one\"")]);
    let dir = tempfile::tempdir().unwrap();
    let server = candidate.program.start(&dir.path().join("data")).unwrap();
    let Some(mut postgres) = candidate.postgres.take() else { return };
    postgres.kill();
    let path = "/api/collections/_superusers/auth-with-password?secret=1";
    let login = json!({"identity": "a@example.com", "password": "12345678"});
    let request = Request::json("POST", path, &login).header(HEADER, "who-reports-it");
    // Connections may outlive the server for a moment.
    let until = Instant::now() + WAIT;
    loop {
        let answer = server.client().send(&request).unwrap();
        assert_eq!(answer.header(HEADER), Some("who-reports-it"));
        if answer.status == 503 {
            break;
        }
        assert!(Instant::now() < until, "{} {}", answer.status, answer.text());
    }
    let line = wait_for(&server, |line| line["request"] == "who-reports-it" && line["level"] == "ERROR");
    assert_eq!((&line["node"], &line["role"]), (&json!("node \"one\""), &json!("serve")));
    assert_eq!((&line["status"], &line["method"]), (&json!(503), &json!("POST")));
    assert_eq!(line["path"], "/api/collections/_superusers/auth-with-password");
    assert!(!line.to_string().contains("secret"), "{line}");
    assert!(line["details"].as_str().is_some_and(|details| !details.is_empty()), "{line}");
}

/// An address that answers every request with 500, and the heads that it was sent.
fn refusing() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (heads, seen) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            let _ = heads.send(head.join("\n").to_lowercase());
            let _ = stream.write_all(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    (url, seen)
}

/// A job that a request causes on one node is done on another, which names the request in what it tells and whom it
/// calls.
#[test]
fn cross_nodes_with_jobs() {
    let mut candidate = Candidate::new(Engine::Postgres);
    if candidate.postgres.is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (url, heads) = refusing();
    let config = dir.path().join("pando.toml");
    let cron = format!("[[crons]]\nid = 'call'\nschedule = '0 0 1 1 *'\nurl = '{url}'\n");
    std::fs::write(&config, cron).unwrap();
    candidate.program.options.extend(["--config".into(), config.to_string_lossy().into_owned()]);
    with(&mut candidate, &[("PANDO_LOG_FORMAT", "json")]);
    let first = candidate.program.start(&dir.path().join("first")).unwrap();
    with(&mut candidate, &[("PANDO_NODE_NAME", "second")]);
    let mut second = candidate.program.serve(&dir.path().join("second")).unwrap();
    // Whichever takes the job: its name is the request's. Asked often, so that each takes some.
    as_superuser(&first, "GET", "/api/crons", &Value::Null);
    let token = first.superuser_token().unwrap();
    for count in 0..8 {
        let name = format!("asked-{count}");
        let request = Request::new("POST", "/api/crons/call").token(&token).header(HEADER, &name);
        assert_eq!(first.client().send(&request).unwrap().status, 204);
        let head = heads.recv_timeout(WAIT).expect("a call");
        assert!(head.contains(&format!("{HEADER}: asked-")), "{head}");
    }
    // Failed jobs are tried again: stopped here, the first leaves them to the second.
    fault::freeze(first.pid());
    let line = wait_for(&second, |line| {
        line["request"].as_str().is_some_and(|name| name.starts_with("asked-"))
            && line["message"].as_str().is_some_and(|text| text.contains("job failed"))
    });
    assert_eq!(line["node"], "second");
    fault::thaw(first.pid());
    second.kill();
}
