//! Several processes on one database, with front doors before them: any of them shows all.

use std::time::Duration;

use serde_json::json;
use testkit::front::Front;
use testkit::nats::Nats;
use testkit::pando::Engine;
use testkit::{Client, Request, tools};

use super::{elements, events, wait_for};
use crate::candidate::{BINARY, Candidate};

const SECRET: &str = "a secret of doors";

#[test]
fn any_node_shows_all_and_a_killed_one_is_seen() {
    let mut candidate = Candidate::new(Engine::Postgres);
    let dir = tempfile::tempdir().unwrap();
    let nats = Nats::start(&dir.path().join("nats")).unwrap();
    let control = format!("127.0.0.1:{}", tools::free_port());
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    candidate.program = candidate.program.role("web");
    candidate.program.variables.extend([
        set("PANDO_BUS_URL", &nats.url()),
        set("PANDO_ANNOUNCE_TO", &format!("http://{control}")),
        set("PANDO_ANNOUNCE_SECRET", SECRET),
    ]);
    let variables = [
        ("PANDO_FRONT_CONTROL", control.as_str()),
        ("PANDO_FRONT_SECRET", SECRET),
        ("PANDO_NODE_NAME", "door"),
    ];
    let _door = Front::start(BINARY.as_ref(), dir.path(), "edge", "", &variables).unwrap();
    let first = candidate.program.serve(&dir.path().join("first")).unwrap();
    let mut second = candidate.program.start(&dir.path().join("second")).unwrap();
    let token = first.superuser_token().unwrap();
    let picture = wait_for(&first, &token, "/api/system", |picture| {
        let webs = elements(picture, "web");
        let figures =
            webs.iter().filter(|web| web["state"] == "up" && web["figures"]["host.cpus"].is_number()).count();
        let requests = picture["links"].as_array()?.iter().filter(|link| link["kind"] == "requests").count();
        (webs.len() == 2 && figures == 2 && requests == 2).then(|| picture.clone())
    });
    assert_eq!(elements(&picture, "primary")[0]["state"], "up", "{picture}");
    assert_eq!(elements(&picture, "bus")[0]["state"], "up", "{picture}");
    assert_eq!(elements(&picture, "edge")[0]["id"], "edge:door", "{picture}");
    assert!(!picture.to_string().contains(SECRET));

    // The door keeps no data: its figures are kept for it.
    wait_for(&first, &token, "/api/system/series?nodes=door&names=process.memory", |found| {
        let mut points = found["series"].as_array()?.first()?["points"].as_array()?.iter();
        points.find(|point| !point.is_null()).map(|_| ())
    });
    // What an operator does there is written down for it.
    let operator = Client::to(control.parse().unwrap());
    let purge = Request::json("POST", "/purge", &json!({"tags": ["posts"]}));
    assert_eq!(operator.send(&purge.token(&format!("Bearer {SECRET}"))).unwrap().status, 200);
    wait_for(&first, &token, "/api/system/events?kinds=edge.purged", |answer| {
        let event = events(answer, "edge.purged").first().cloned()?;
        assert_eq!(event["element"], "edge:door");
        assert_eq!((&event["detail"]["named"], &event["detail"]["missing"]), (&json!(["posts"]), &json!([])));
        Some(())
    });
    let other = wait_for(&first, &token, "/api/system/nodes", |nodes| {
        let all = nodes["items"].as_array()?;
        all.iter().find(|node| node["address"] == format!("127.0.0.1:{}", second.port())).cloned()
    });
    let id = other["element"].as_str().unwrap().to_owned();
    second.kill();
    wait_for(&first, &token, "/api/system", |picture| {
        let element = elements(picture, "web").into_iter().find(|web| web["id"] == id)?;
        let is_gone = element["state"] == "silent" || element["state"] == "down";
        (is_gone && element["figures"] == json!({})).then_some(())
    });
    wait_for(&first, &token, "/api/system/events?kinds=node.lost", |answer| {
        events(answer, "node.lost").iter().any(|event| event["element"] == other["key"]).then_some(())
    });
    // It comes back under its name, and then leaves in order.
    second.restart_in_place().unwrap();
    wait_for(&first, &token, "/api/system", |picture| {
        elements(picture, "web").iter().any(|web| web["id"] == id && web["state"] == "up").then_some(())
    });
    assert_eq!(second.terminate(Duration::from_secs(60)), Some(0));
    wait_for(&first, &token, "/api/system", |picture| (elements(picture, "web").len() == 1).then_some(()));
}
