//! What superusers see of the system: its parts and figures now and over time, what happened, and alerts.

mod alerts;
mod deploy;
mod many;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::Request;
use testkit::pando::Engine;
use testkit::server::Server;

use crate::candidate::Candidate;

const WAIT: Duration = Duration::from_secs(240);

fn get(server: &Server, token: &str, path: &str) -> Value {
    let answer = server.client().send(&Request::get(path).token(token)).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

/// What `found` makes of an answer, as soon as it makes anything of it.
fn wait_for<T>(server: &Server, token: &str, path: &str, found: impl Fn(&Value) -> Option<T>) -> T {
    let until = Instant::now() + WAIT;
    loop {
        let answer = server.client().send(&Request::get(path).token(token));
        let seen = answer.map(|answer| answer.json()).unwrap_or_default();
        if let Some(found) = found(&seen) {
            return found;
        }
        assert!(Instant::now() < until, "{path}: {seen}\n{}", server.log());
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn elements<'a>(picture: &'a Value, kind: &str) -> Vec<&'a Value> {
    picture["elements"].as_array().into_iter().flatten().filter(|element| element["kind"] == kind).collect()
}

fn events(answer: &Value, kind: &str) -> Vec<Value> {
    let all = answer["items"].as_array().into_iter().flatten();
    all.filter(|event| event["kind"] == kind).cloned().collect()
}

#[test]
fn one_process_shows_its_parts_and_its_past() {
    let candidate = Candidate::new(Engine::Sqlite);
    let dir = tempfile::tempdir().unwrap();
    let mut server = candidate.program.start(&dir.path().join("data")).unwrap();
    let token = server.superuser_token().unwrap();
    for path in
        ["/api/system", "/api/system/series", "/api/system/events", "/api/system/nodes", "/api/alerts"]
    {
        let answer = server.client().send(&Request::get(path)).unwrap();
        assert_eq!(answer.status, 401, "{path}");
    }
    let picture = wait_for(&server, &token, "/api/system", |picture| {
        elements(picture, "serve").first()?["figures"]["host.memory"].as_f64().map(|_| picture.clone())
    });
    let own = elements(&picture, "serve")[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(picture["by"], own);
    for kind in ["primary", "cache", "queue", "bus", "files"] {
        let part = elements(&picture, kind);
        assert_eq!(part.len(), 1, "{kind}: {picture}");
        assert_eq!((&part[0]["within"], &part[0]["state"]), (&json!(own), &json!("up")), "{kind}");
    }
    assert_eq!(picture["links"].as_array().unwrap().len(), 5);
    assert!(picture["bottleneck"]["code"].is_string(), "{picture}");

    // What is asked for is in the series: these requests are.
    let path = "/api/system/series?names=http.requests,host.cpu";
    let series = wait_for(&server, &token, path, |found| {
        let all = found["series"].as_array()?;
        let requests = all.iter().find(|series| series["name"] == "http.requests")?;
        let any =
            requests["points"].as_array()?.iter().any(|point| point.as_f64().is_some_and(|rate| rate > 0.0));
        any.then(|| found.clone())
    });
    assert_eq!(series["step"], 10);
    let count = series["count"].as_u64().unwrap() as usize;
    assert!(
        series["series"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["points"].as_array().unwrap().len() == count)
    );

    let came = events(&get(&server, &token, "/api/system/events"), "node.came");
    assert_eq!(came.len(), 1);
    for bad in
        ["series?names=nothing", "series?from=x", "series?from=9&to=5", "series?step=x", "events?limit=x"]
    {
        let answer =
            server.client().send(&Request::get(&format!("/api/system/{bad}")).token(&token)).unwrap();
        assert_eq!(answer.status, 400, "{bad}: {}", answer.text());
    }

    // After a restart the past is still there, under the same name.
    assert_eq!(server.terminate(Duration::from_secs(30)), Some(0));
    server.restart().unwrap();
    let token = server.superuser_token().unwrap();
    let again = get(&server, &token, "/api/system/series?names=http.requests");
    let kept = again["series"].as_array().unwrap().iter().any(|series| {
        series["points"].as_array().unwrap().iter().any(|point| point.as_f64().is_some_and(|rate| rate > 0.0))
    });
    assert!(kept, "{again}");
    let nodes = get(&server, &token, "/api/system/nodes");
    assert_eq!(nodes["items"].as_array().unwrap().len(), 1);
    assert_eq!(nodes["items"][0]["element"], own);
    wait_for(&server, &token, "/api/system/events", |answer| {
        (events(answer, "node.came").len() == 2 && events(answer, "node.left").len() == 1).then_some(())
    });
}

#[test]
fn what_changes_is_told_as_an_event() {
    let candidate = Candidate::new(Engine::Sqlite);
    let dir = tempfile::tempdir().unwrap();
    let server = candidate.program.start(&dir.path().join("data")).unwrap();
    let token = server.superuser_token().unwrap();
    // Two looks are compared: the first must have been.
    wait_for(&server, &token, "/api/system", |picture| {
        elements(picture, "serve").first()?["figures"]["process.lag"].as_f64()
    });
    let collection = json!({"name": "things", "type": "base", "fields": [{"name": "title", "type": "text"}]});
    let made = Request::json("POST", "/api/collections", &collection).token(&token);
    assert_eq!(server.client().send(&made).unwrap().status, 200);
    let backup = Request::json("POST", "/api/backups", &json!({"name": "one.zip"})).token(&token);
    assert_eq!(server.client().send(&backup).unwrap().status, 204);
    wait_for(&server, &token, "/api/system/events?kinds=schema.changed", |answer| {
        let changed = events(answer, "schema.changed");
        changed.iter().any(|event| event["detail"]["added"] == json!(["things"])).then_some(())
    });
    let done = get(&server, &token, "/api/system/events?kinds=backup.done");
    assert_eq!(events(&done, "backup.done")[0]["detail"]["name"], "one.zip");
}

#[test]
fn a_killed_process_keeps_its_figures_of_minutes_before() {
    let candidate = Candidate::new(Engine::Sqlite);
    let dir = tempfile::tempdir().unwrap();
    let mut server = candidate.program.start(&dir.path().join("data")).unwrap();
    let token = server.superuser_token().unwrap();
    // A whole minute's row is written when its last point is made.
    let until = Instant::now() + WAIT;
    loop {
        let rows = server
            .client()
            .send(&Request::get("/api/system/series?names=process.memory&step=10").token(&token));
        let known = rows.unwrap().json()["series"][0]["points"]
            .as_array()
            .map_or(0, |points| points.iter().filter(|point| !point.is_null()).count());
        if known >= 7 {
            break;
        }
        assert!(Instant::now() < until, "{}", server.log());
        std::thread::sleep(Duration::from_secs(1));
    }
    server.kill();
    server.restart().unwrap();
    let token = server.superuser_token().unwrap();
    let again = get(&server, &token, "/api/system/series?names=process.memory&step=10");
    let kept =
        again["series"][0]["points"].as_array().unwrap().iter().filter(|point| !point.is_null()).count();
    assert!(kept >= 1, "{again}");
}
