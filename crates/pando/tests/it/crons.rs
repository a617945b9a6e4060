//! Schedules of the configuration, which the reference does not have.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::pando::{self, Engine};
use testkit::server::Program;
use testkit::sink::{Received, Sink};
use testkit::{Answer, Request, Server};

use crate::candidate::Candidate;

const WAIT: Duration = Duration::from_secs(60);

/// The program with this configuration file.
fn configured(program: &Program, dir: &Path, text: &str) -> Program {
    let file = dir.join("pando.toml");
    std::fs::write(&file, text).unwrap();
    let options = vec!["--config".into(), file.display().to_string()];
    Program { options, ..program.clone() }
}

fn cron(id: &str, schedule: &str, url: &str) -> String {
    format!("[[crons]]\nid = '{id}'\nschedule = '{schedule}'\nurl = '{url}'\n")
}

fn run(server: &Server, token: &str, id: &str) -> Answer {
    let request = Request::new("POST", &format!("/api/crons/{id}")).token(token);
    server.client().send(&request).unwrap()
}

/// Waits until that many calls came to `path`.
fn calls(sink: &Sink, server: &Server, path: &str, count: usize) -> Vec<Received> {
    let until = Instant::now() + WAIT;
    loop {
        let found: Vec<Received> =
            sink.received().into_iter().filter(|call| call.line == format!("POST {path}")).collect();
        if found.len() >= count {
            return found;
        }
        assert!(Instant::now() < until, "{} of {count} calls: {found:?}\n{}", found.len(), server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn are_called(engine: Engine) {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(engine);
    let sink = Sink::start(&[503, 404]).unwrap();
    // They run when they are told to: their own times are far away.
    let text = [
        cron("first", "0 0 29 2 *", &sink.url("/first")),
        cron("report.daily", "@yearly", &sink.url("/report?x=1")),
    ];
    let program = configured(&candidate.program, dir.path(), &text.concat());
    let server = program.start(&dir.path().join("data")).unwrap();
    let token = server.superuser_token().unwrap();

    let listed = server.client().send(&Request::get("/api/crons").token(&token)).unwrap().json();
    let own: Vec<&Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .filter(|cron| !cron["id"].as_str().unwrap().starts_with("__"))
        .collect();
    let wanted = json!([
        {"id": "first", "expression": "0 0 29 2 *"},
        {"id": "report.daily", "expression": "@yearly"},
    ]);
    assert_eq!(json!(own), wanted);

    // Two answers that are no success, then one that is: it is called until then, and not again.
    assert_eq!(run(&server, &token, "first").status, 204);
    for call in calls(&sink, &server, "/first", 3) {
        let body: Value = serde_json::from_str(&call.body).unwrap();
        assert_eq!(body["cron"], "first");
        let at = body["at"].as_str().unwrap();
        assert!(at.len() == 24 && at.ends_with('Z'), "{at}");
        assert!(body["id"].as_str().is_some_and(|id| !id.is_empty()), "{body}");
        assert_eq!(body.as_object().unwrap().len(), 3);
        assert!(
            call.headers.to_ascii_lowercase().contains("content-type: application/json"),
            "{}",
            call.headers
        );
    }
    assert_eq!(run(&server, &token, "report.daily").status, 204);
    let body: Value = serde_json::from_str(&calls(&sink, &server, "/report?x=1", 1)[0].body).unwrap();
    assert_eq!(body["cron"], "report.daily");
    assert_eq!(calls(&sink, &server, "/first", 3).len(), 3, "called again after it succeeded");

    // Nobody else may.
    assert_eq!(run(&server, "", "first").status, 401);
    assert_eq!(run(&server, &token, "missing").status, 404);
    assert_eq!(sink.received().len(), 4);
}

#[test]
fn own_schedules_call_their_addresses_on_sqlite() {
    are_called(Engine::Sqlite);
}

#[test]
fn own_schedules_call_their_addresses_on_postgres() {
    are_called(Engine::Postgres);
}

#[test]
fn a_bad_schedule_stops_the_start_and_is_named() {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = Candidate::new(Engine::Sqlite).program;
    let good = cron("a", "@daily", "http://x.test/");
    for (text, said) in [
        (cron("a", "every day", "http://x.test/"), "the cron \"a\" has no schedule"),
        (cron("a", "@daily", "ftp://x.test/"), "the cron \"a\" needs a url"),
        (cron("", "@daily", "http://x.test/"), "the cron \"\" needs an id"),
        (cron("__pbOTPCleanup__", "@daily", "http://x.test/"), "needs an id"),
        (format!("{good}{good}"), "the cron \"a\" is there twice"),
        ("[[crons]]\nid = 'a'\n".into(), "schedule"),
        (format!("{good}body = 'x'\n"), "body"),
    ] {
        let program = configured(&program, dir.path(), &text);
        let (code, log) = program.serve_to_end(&dir.path().join("data"), WAIT).unwrap();
        assert!(code.is_some_and(|code| code != 0), "{text}: {code:?}\n{log}");
        assert!(log.contains(said) && !log.contains("panicked"), "{text}: {log}");
    }
}
