//! One log of all processes: found by request, with what processes say, within its bounds, and sent to a collector.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use testkit::front::Front;
use testkit::pando::{self, Engine};
use testkit::sink::Sink;
use testkit::{Request, Server, tools};

use crate::candidate::{BINARY, Candidate, as_superuser};

const WAIT: Duration = Duration::from_secs(60);
const SECRET: &str = "a secret of doors";

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + WAIT;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn get(server: &Server, token: &str, path: &str) -> Json {
    let answer = server.client().send(&Request::get(path).token(token)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_str(&answer.text()).unwrap()
}

fn count(server: &Server, token: &str, filter: &str) -> u64 {
    get(server, token, &format!("/api/logs?filter={filter}"))["totalItems"].as_u64().unwrap()
}

fn a_request_is_found(engine: Engine) {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(engine);
    let mut program = candidate.program.clone();
    program.variables.push(("PANDO_NODE_NAME".into(), "node-7".into()));
    let mut server = program.start(&dir.path().join("data")).unwrap();
    let token = server.superuser_token().unwrap();
    let traced = Request::get("/api/health?traced")
        .header("x-request-id", "trace-1")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    assert_eq!(server.client().send(&traced).unwrap().status, 200);
    let trace = || get(&server, &token, "/api/logs/trace/trace-1");
    until("the request is logged", || !trace()["items"].as_array().unwrap().is_empty());
    let told = trace();
    let item = &told["items"][0];
    assert_eq!((&item["source"], &item["node"]), (&json!("node"), &json!("node-7")), "{told}");
    assert_eq!(item["data"]["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(told["doors"], json!([]));
    for filter in ["request='trace-1'", "data.requestId='trace-1'"] {
        assert_eq!(count(&server, &token, filter), 1, "{filter}");
    }
    assert!(get(&server, &token, "/api/logs/trace/nobody")["items"].as_array().unwrap().is_empty());
    assert_eq!(server.client().send(&Request::get("/api/logs/trace/trace-1")).unwrap().status, 401);

    // What the process says is among it: light messages only where the settings want them.
    as_superuser(&server, "PATCH", "/api/settings/insight", &json!({"logs": {"messageLevel": 0}}));
    as_superuser(&server, "POST", "/api/backups", &json!({"name": "said.zip"}));
    until("messages are entries", || count(&server, &token, "data.type='message'") > 0);

    // Within its size: looked at once after a start.
    for n in 0..200 {
        server.client().send(&Request::get(&format!("/api/health?many={n}"))).unwrap();
    }
    until("all are logged", || count(&server, &token, "message~'many'") == 200);
    as_superuser(&server, "PATCH", "/api/settings/insight", &json!({"logs": {"maxBytes": 40_000}}));
    server.restart().unwrap();
    until("the oldest went", || count(&server, &token, "message~'many'") < 100);
    assert!(count(&server, &token, "id!=''") > 10);
}

#[test]
fn a_request_is_found_on_sqlite() {
    a_request_is_found(Engine::Sqlite);
}

#[test]
fn a_request_is_found_on_postgres() {
    a_request_is_found(Engine::Postgres);
}

#[test]
fn a_request_is_followed_from_the_door_to_the_node() {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (control, dead) = (tools::free_port(), tools::free_port());
    let (address, log) = (format!("127.0.0.1:{control}"), dir.path().join("access.log"));
    let variables = [
        ("PANDO_FRONT_CONTROL", address.as_str()),
        ("PANDO_FRONT_SECRET", SECRET),
        ("PANDO_FRONT_ACCESS_LOG", log.to_str().unwrap()),
        ("PANDO_NODE_NAME", "edge-1"),
    ];
    let door = Front::start(BINARY.as_ref(), dir.path(), "edge", "", &variables).unwrap();
    let mut program = Candidate::new(Engine::Sqlite).program;
    let to = format!("http://{address},http://127.0.0.1:{dead}");
    program.variables.push(("PANDO_ANNOUNCE_TO".into(), to));
    program.variables.push(("PANDO_ANNOUNCE_SECRET".into(), SECRET.into()));
    let server = program.start(&dir.path().join("data")).unwrap();
    let token = server.superuser_token().unwrap();
    until("the door has the node", || {
        door.client().send(&Request::get("/api/health")).is_ok_and(|answer| answer.status == 200)
    });
    let asked = Request::get("/api/collections/nowhere/records").header("x-request-id", "through-1");
    let answer = door.client().send(&asked).unwrap();
    let id = answer.header("x-request-id").unwrap().to_owned();
    let trace = || get(&server, &token, &format!("/api/logs/trace/{id}"));
    let sources = |told: &Json| -> Vec<String> {
        let items = told["items"].as_array().unwrap().iter();
        items.map(|item| item["source"].as_str().unwrap().to_owned()).collect()
    };
    until("door and node know it", || sources(&trace()).len() == 2);
    let told = trace();
    let door = told["items"].as_array().unwrap().iter().find(|item| item["source"] == "door").unwrap();
    assert_eq!((&door["node"], &door["data"]["status"]), (&json!("edge-1"), &json!(404)), "{told}");
    let mut states: Vec<&str> =
        told["doors"].as_array().unwrap().iter().map(|d| d["state"].as_str().unwrap()).collect();
    states.sort_unstable();
    assert_eq!(states, ["answered", "silent"], "{told}");
}

#[test]
fn a_collector_gets_the_log() {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // Away at first: what waits is sent again.
    let sink = Sink::start(&[503, 200]).unwrap();
    let mut program = Candidate::new(Engine::Sqlite).program;
    for (name, value) in [
        ("PANDO_OTLP_ENDPOINT", sink.url("")),
        ("PANDO_OTLP_HEADERS", "x-tenant=mine".into()),
        ("PANDO_OTLP_SERVICE", "shop".into()),
        ("PANDO_NODE_NAME", "node-7".into()),
    ] {
        program.variables.push((name.into(), value));
    }
    let mut server = program.start(&dir.path().join("data")).unwrap();
    let asked = Request::get("/api/health?sent").header("x-request-id", "sent-1");
    assert_eq!(server.client().send(&asked).unwrap().status, 200);
    until("the collector has it", || sink.received().iter().skip(1).any(|call| call.body.contains("sent-1")));
    let calls = sink.received();
    let first = &calls[0];
    assert!(first.line.starts_with("POST /v1/logs"), "{}", first.line);
    let headers = first.headers.to_lowercase();
    assert!(
        headers.contains("x-tenant: mine") && headers.contains("content-type: application/json"),
        "{headers}"
    );
    assert_eq!(calls[1].body, first.body, "what was refused for now is sent again");
    for call in &calls {
        well_formed(&serde_json::from_str(&call.body).unwrap());
    }
    assert!(
        first.body.contains(r#""stringValue":"shop""#) && first.body.contains(r#""stringValue":"node-7""#)
    );
    // The last entries go before the process does.
    let last = Request::get("/api/health?last").header("x-request-id", "last-1");
    assert_eq!(server.client().send(&last).unwrap().status, 200);
    server.terminate(Duration::from_secs(30));
    assert!(sink.received().iter().any(|call| call.body.contains("last-1")));
}

/// By the schema of `ExportLogsServiceRequest` in OTLP's JSON: no name that is not there, every value of its type.
fn well_formed(request: &Json) {
    let names = |value: &Json, allowed: &[&str]| {
        for name in value.as_object().unwrap().keys() {
            assert!(allowed.contains(&name.as_str()), "{name} in {value}");
        }
    };
    let attributes = |all: &Json| {
        for one in all.as_array().unwrap() {
            names(one, &["key", "value"]);
            let value = one["value"].as_object().unwrap();
            assert!(one["key"].is_string() && value.len() == 1, "{one}");
            let (kind, value) = value.iter().next().unwrap();
            assert!(
                match kind.as_str() {
                    "stringValue" => value.is_string(),
                    "boolValue" => value.is_boolean(),
                    "intValue" => value.as_str().is_some_and(|text| text.parse::<i64>().is_ok()),
                    "doubleValue" => value.is_number(),
                    _ => false,
                },
                "{one}"
            );
        }
    };
    names(request, &["resourceLogs"]);
    for of in request["resourceLogs"].as_array().unwrap() {
        names(of, &["resource", "scopeLogs", "schemaUrl"]);
        attributes(&of["resource"]["attributes"]);
        for scope in of["scopeLogs"].as_array().unwrap() {
            names(scope, &["scope", "logRecords", "schemaUrl"]);
            names(&scope["scope"], &["name", "version"]);
            for record in scope["logRecords"].as_array().unwrap() {
                names(
                    record,
                    &[
                        "timeUnixNano",
                        "observedTimeUnixNano",
                        "severityNumber",
                        "severityText",
                        "body",
                        "attributes",
                        "traceId",
                        "spanId",
                    ],
                );
                assert!(record["timeUnixNano"].as_str().is_some_and(|text| text.parse::<u64>().is_ok()));
                assert!((1..=24).contains(&record["severityNumber"].as_u64().unwrap()));
                assert!(record["body"]["stringValue"].is_string());
                attributes(&record["attributes"]);
            }
        }
    }
}
