//! Alerts: told once to everybody, by mail and signed webhook, also when the process is killed meanwhile.

use serde_json::{Value, json};
use testkit::Request;
use testkit::pando::Engine;
use testkit::server::Server;
use testkit::sink::Sink;

use super::{events, get, wait_for};
use crate::candidate::Candidate;

fn send(server: &Server, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let answer = server.client().send(&Request::json(method, path, body).token(token)).unwrap();
    (answer.status, answer.json())
}

/// What the sink was told of the kind.
fn told(sink: &Sink, kind: &str) -> Vec<Value> {
    let bodies =
        sink.received().into_iter().filter_map(|received| serde_json::from_str::<Value>(&received.body).ok());
    bodies.filter(|body| body["type"] == kind).collect()
}

#[test]
fn what_fires_is_told_once_and_outlives_a_kill() {
    let sink = Sink::start(&[]).unwrap();
    let mut candidate = Candidate::new(Engine::Sqlite);
    candidate.program.variables.push(("PANDO_OUTBOUND_ALLOW_PRIVATE".into(), "true".into()));
    let dir = tempfile::tempdir().unwrap();
    let mut server = candidate.program.start(&dir.path().join("data")).unwrap();
    let token = server.superuser_token().unwrap();

    let shipped = get(&server, &token, "/api/alerts");
    let rules = shipped["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 8);
    assert!(rules.iter().all(|rule| rule["builtin"] == true && rule["state"]["status"] == "ok"));
    assert_eq!(
        send(&server, &token, "POST", "/api/alerts/test", &json!({})).0,
        400,
        "there is nobody to tell"
    );

    let receivers =
        json!({"superusers": true, "emails": ["ops@example.com"], "webhooks": [{"url": sink.url("/hook")}]});
    let (status, kept) = send(&server, &token, "PATCH", "/api/alerts/receivers", &receivers);
    assert_eq!(status, 200, "{kept}");
    assert!(kept["webhooks"][0]["secret"].as_str().unwrap().starts_with("whsec_"));
    assert!(get(&server, &token, "/api/alerts")["receivers"]["webhooks"][0]["secret"].is_null());
    for bad in [json!({"emails": ["x"]}), json!({"webhooks": [{"url": "ftp://x"}]}), json!({"superusers": 1})]
    {
        assert_eq!(send(&server, &token, "PATCH", "/api/alerts/receivers", &bad).0, 400, "{bad}");
    }
    let (status, count) = send(&server, &token, "POST", "/api/alerts/test", &json!({}));
    assert_eq!((status, &count["count"]), (202, &json!(3)), "{count}");

    for bad in
        [json!({}), json!({"kind": "x", "threshold": 1}), json!({"kind": "queue_age", "threshold": -1})]
    {
        assert_eq!(send(&server, &token, "POST", "/api/alerts", &bad).0, 400, "{bad}");
    }
    // No disk is as free as that.
    let rule = json!({"kind": "disk_free", "threshold": 0.9999, "forSeconds": 0, "severity": "critical", "name": "disk"});
    let (status, made) = send(&server, &token, "POST", "/api/alerts", &rule);
    assert_eq!(status, 200, "{made}");
    let path = format!("/api/alerts/{}", made["id"].as_str().unwrap());
    let firing = wait_for(&server, &token, &path, |rule| {
        (rule["state"]["status"] == "firing").then(|| rule["state"].clone())
    });
    assert_eq!(firing["elements"].as_array().unwrap().len(), 1, "{firing}");
    server.kill();
    server.restart().unwrap();
    let token = server.superuser_token().unwrap();
    wait_for(&server, &token, &path, |_| (!told(&sink, "alert.fired").is_empty()).then_some(()));
    assert_eq!(get(&server, &token, &path)["state"]["since"], firing["since"], "it is the same alert");
    // Long enough to be judged again.
    wait_for(&server, &token, "/api/system", |picture| {
        picture["elements"][0]["figures"]["host.diskFree"].as_f64()
    });
    let fired = told(&sink, "alert.fired");
    let ids: Vec<_> = sink
        .received()
        .iter()
        .filter_map(|received| {
            let is_fired = received.body.contains("alert.fired");
            is_fired.then(|| {
                received
                    .headers
                    .to_ascii_lowercase()
                    .lines()
                    .find(|line| line.starts_with("webhook-id"))
                    .map(str::to_owned)
            })
        })
        .collect();
    assert!(
        ids.iter().all(|id| id.is_some() && *id == ids[0]),
        "an attempt may be repeated, an alert not: {ids:?}"
    );
    assert_eq!(
        (&fired[0]["data"]["name"], &fired[0]["data"]["severity"]),
        (&json!("disk"), &json!("critical"))
    );
    assert_eq!(told(&sink, "alert.test").len(), 1);
    assert!(
        sink.received()
            .iter()
            .all(|received| received.headers.to_ascii_lowercase().contains("webhook-signature: v1,"))
    );
    wait_for(&server, &token, "/api/system/events?kinds=alert.fired", |answer| {
        (events(answer, "alert.fired").len() == 1).then_some(())
    });
    // Both addresses got the test and the alert.
    let outbox = dir.path().join("data/outbox");
    wait_for(&server, &token, &path, |_| (std::fs::read_dir(&outbox).ok()?.count() >= 4).then_some(()));

    let (status, changed) = send(&server, &token, "PATCH", &path, &json!({"threshold": 0.000001}));
    assert_eq!((status, &changed["state"]["status"]), (200, &json!("ok")));
    let gone = Request::new("DELETE", &path).token(&token);
    assert_eq!(server.client().send(&gone).unwrap().status, 204);
    assert_eq!(server.client().send(&Request::get(&path).token(&token)).unwrap().status, 404);
}
