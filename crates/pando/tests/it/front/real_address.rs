//! What Pando takes for the client behind a front door, and that nobody can make it take another.

use serde_json::json;
use testkit::front::Front;
use testkit::pando::Engine;
use testkit::{Client, Request};

use crate::candidate::{BINARY, Candidate, as_superuser};

/// The client, as superusers are told of it.
fn real_address(client: &Client, token: &str, claimed: &str) -> String {
    let request = Request::get("/api/health").token(token).header("X-Forwarded-For", claimed);
    client.send(&request).unwrap().at("/data/realIP").unwrap()
}

#[test]
fn a_front_door_is_believed_by_its_address() {
    let dir = tempfile::tempdir().unwrap();
    let started = |networks: &str, name: &str| {
        let mut program = Candidate::new(Engine::Sqlite).program;
        program.variables.push(("PANDO_TRUSTED_PROXIES".into(), networks.into()));
        program.start(&dir.path().join(name)).unwrap()
    };
    let (apart, behind) = (started("", "apart"), started("127.0.0.0/8", "behind"));
    let token = apart.superuser_token().unwrap();
    assert_eq!(real_address(&apart.client(), &token, "1.1.1.1"), "127.0.0.1", "nobody is believed");
    let token = behind.superuser_token().unwrap();
    assert_eq!(real_address(&behind.client(), &token, "6.6.6.6, 1.1.1.1"), "1.1.1.1");
    // A front door says what it sees, whatever a client claims.
    let node = format!("127.0.0.1:{}", behind.port());
    for role in ["balance", "edge"] {
        let front = Front::start(BINARY.as_ref(), dir.path(), role, &node, &[]).unwrap();
        assert_eq!(real_address(&front.client(), &token, "6.6.6.6"), "127.0.0.1", "{role}");
        let trusting = [("PANDO_FRONT_TRUSTED", "127.0.0.1")];
        let front = Front::start(BINARY.as_ref(), dir.path(), role, &node, &trusting).unwrap();
        assert_eq!(real_address(&front.client(), &token, "6.6.6.6, 1.1.1.1"), "1.1.1.1", "{role}");
    }
    // What the settings name counts before.
    let named = json!({"trustedProxy": {"headers": ["X-Mine"], "useLeftmostIP": false}});
    as_superuser(&behind, "PATCH", "/api/settings", &named);
    let request = Request::get("/api/health").token(&token).header("X-Mine", "9.9.9.9");
    let answer = behind.client().send(&request.header("X-Forwarded-For", "1.1.1.1")).unwrap();
    assert_eq!(answer.at("/data/realIP").as_deref(), Some("9.9.9.9"));
}
