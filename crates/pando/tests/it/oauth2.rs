//! What the reference does not show of signing in with a provider: where avatars may come from, and that accounts
//! and passkeys laid in wait end.

use serde_json::{Value, json};
use testkit::authenticator::Authenticator;
use testkit::openid::OpenId;
use testkit::pando::{self, Engine};
use testkit::server::Server;
use testkit::{Answer, Request};

use crate::candidate::Candidate;

fn configure(server: &Server, openid: &OpenId) -> String {
    let root = server.superuser_token().unwrap();
    let url = openid.url();
    let provider = json!({"name": "oidc", "clientId": "cid", "clientSecret": "csec", "authURL": format!("{url}/authorize"),
        "tokenURL": format!("{url}/token"), "userInfoURL": format!("{url}/userinfo")});
    let body = json!({"oauth2": {"enabled": true, "providers": [provider], "mappedFields": {"avatarURL": "avatar"}}});
    let answer =
        server.client().send(&Request::json("PATCH", "/api/collections/users", &body).token(&root)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    root
}

fn sign_in(server: &Server, user: Value) -> Answer {
    let body = json!({"provider": "oidc", "code": json!({"user": user}).to_string()});
    let path = "/api/collections/users/auth-with-oauth2";
    let answer = server.client().send(&Request::json("POST", path, &body)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

fn user(name: &str, picture: &str) -> Value {
    json!({"sub": name, "email": format!("{name}@x.io"), "email_verified": true, "picture": picture})
}

#[test]
fn avatars_do_not_reach_into_the_own_network() {
    if pando::is_oracle() {
        return;
    }
    let (dir, openid) = (tempfile::tempdir().unwrap(), OpenId::start());
    let mut program = Candidate::new(Engine::Sqlite).program;
    let server = program.start(&dir.path().join("closed")).unwrap();
    configure(&server, &openid);
    let file = format!("{}/file/avatar.png", openid.url());
    for (name, picture) in [
        ("plain", file.clone()),
        ("named", file.replace("127.0.0.1", "localhost")),
        ("mapped", file.replace("127.0.0.1", "[::ffff:127.0.0.1]")),
        ("number", file.replace("127.0.0.1", "2130706433")),
        ("file", "file:///etc/passwd".into()),
    ] {
        let done = sign_in(&server, user(name, &picture));
        assert_eq!(done.at("/record/avatar").unwrap(), "", "{name}");
    }
    assert!(!openid.asked().iter().any(|asked| asked.contains("/file/")), "{:?}", openid.asked());

    program.variables = vec![("PANDO_OUTBOUND_ALLOW_PRIVATE".into(), "true".into())];
    let server = program.start(&dir.path().join("open")).unwrap();
    configure(&server, &openid);
    let done = sign_in(&server, user("plain", &file));
    let (id, name) = (done.at("/record/id").unwrap(), done.at("/record/avatar").unwrap());
    assert!(name.starts_with("avatar_") && name.ends_with(".png"), "{name}");
    let served = server.client().send(&Request::get(&format!("/api/files/users/{id}/{name}"))).unwrap();
    assert_eq!((served.status, served.header("content-type")), (200, Some("image/png")));
    for (name, picture) in [
        ("text", format!("{}/file/a.txt", openid.url())),
        ("huge", format!("{}/bad/huge/a.png", openid.url())),
        ("missing", format!("{}/none.png", openid.url())),
    ] {
        assert_eq!(sign_in(&server, user(name, &picture)).at("/record/avatar").unwrap(), "", "{name}");
    }
}

/// Somebody signs up with another's address, adds a passkey and waits for its owner to sign in with a provider.
#[test]
fn a_passkey_laid_in_wait_ends() {
    if pando::is_oracle() {
        return;
    }
    let (dir, openid) = (tempfile::tempdir().unwrap(), OpenId::start());
    let server = Candidate::new(Engine::Sqlite).program.start(&dir.path().join("data")).unwrap();
    configure(&server, &openid);
    let send = |path: &str, token: &str, body: &Value| {
        server
            .client()
            .send(&Request::json("POST", &format!("/api/collections/users/{path}"), body).token(token))
            .unwrap()
    };
    let body = json!({"email": "owner@x.io", "password": "secret1234", "passwordConfirm": "secret1234"});
    assert_eq!(send("records", "", &body).status, 200);
    let token = server.login("users", "owner@x.io", "secret1234").unwrap();
    let mut key = Authenticator::new("http://localhost:8090", "localhost", "waiting");
    let begun = send("passkeys/register-begin", &token, &json!({})).json();
    let body = json!({"challengeId": begun["challengeId"], "credential": key.register(&begun["publicKey"])});
    assert_eq!(send("passkeys/register-finish", &token, &body).status, 200);
    let mut use_key = || {
        let begun = send("auth-with-passkey-begin", "", &json!({})).json();
        let body =
            json!({"challengeId": begun["challengeId"], "credential": key.sign_in(&begun["publicKey"])});
        send("auth-with-passkey", "", &body).status
    };
    assert_eq!(use_key(), 200);
    assert_eq!(sign_in(&server, user("owner", "")).at("/record/verified").unwrap(), "true");
    assert_eq!(use_key(), 400);
}

/// The page that a browser ends on names the outcome that the address asks for, and runs nothing.
#[test]
fn the_browser_ends_on_a_page() {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut program = Candidate::new(Engine::Sqlite).program;
    // The dashboard has a page of its own for it.
    program.variables.push(("PANDO_DASHBOARD".into(), "false".into()));
    let server = program.start(&dir.path().join("data")).unwrap();
    let page = server.client().send(&Request::get("/_/")).unwrap();
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    for outcome in ["success", "failure"] {
        let answer = server.client().send(&Request::get("/api/oauth2-redirect?state=nobody")).unwrap();
        assert_eq!(answer.header("location").unwrap(), "../_/#/auth/oauth2-redirect-failure");
        assert!(page.text().contains(&format!("id=\"/auth/oauth2-redirect-{outcome}\"")));
    }
    assert!(!page.text().contains("<script"));
}
