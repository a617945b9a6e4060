//! Holes of the kinds that published advisories tell of, where the reference cannot judge the whole chain.

use serde_json::{Value, json};
use testkit::openid::OpenId;
use testkit::pando::{self, Engine};
use testkit::server::Server;
use testkit::{Answer, Request};

use crate::candidate::Candidate;

fn send(server: &Server, method: &str, path: &str, token: &str, body: &Value) -> Answer {
    server.client().send(&Request::json(method, path, body).token(token)).unwrap()
}

fn sign_in(server: &Server, provider: &str, user: &Value, create: &Value) -> Answer {
    let body = json!({"provider": provider, "code": json!({"user": user}).to_string(), "createData": create});
    send(server, "POST", "/api/collections/users/auth-with-oauth2", "", &body)
}

/// Somebody signs up with one provider, claims the address of another, and waits until its owner comes with
/// another provider: whatever the first one holds must be worth nothing then.
fn laid_in_wait(engine: Engine) {
    if pando::is_oracle() {
        return;
    }
    let (dir, openid) = (tempfile::tempdir().unwrap(), OpenId::start());
    let candidate = Candidate::new(engine);
    let server = candidate.program.start(&dir.path().join("data")).unwrap();
    let root = server.superuser_token().unwrap();
    let url = openid.url();
    let providers: Vec<Value> = ["oidc", "oidc2"]
        .map(|name| {
            json!({"name": name, "clientId": "cid", "clientSecret": "csec", "authURL": format!("{url}/authorize"),
            "tokenURL": format!("{url}/token"), "userInfoURL": format!("{url}/userinfo")})
        })
        .into();
    let body = json!({"createRule": "", "oauth2": {"enabled": true, "providers": providers}});
    let changed = send(&server, "PATCH", "/api/collections/users", &root, &body);
    assert_eq!(changed.status, 200, "{}", changed.text());

    // The first provider tells no address, or one that nobody proved; the form claims the owner's, with a password.
    let attacker = json!({"sub": "attacker"});
    let claims = json!({"email": "owner@x.io", "password": "secret1234", "passwordConfirm": "secret1234"});
    let waiting = sign_in(&server, "oidc", &attacker, &claims);
    assert_eq!(waiting.status, 200, "{}", waiting.text());
    assert_eq!(waiting.at("/record/verified").unwrap(), "false");
    let (id, token) = (waiting.at("/record/id").unwrap(), waiting.at("/token").unwrap());

    let owner = json!({"sub": "owner", "email": "owner@x.io", "email_verified": true});
    let entered = sign_in(&server, "oidc2", &owner, &json!({}));
    assert_eq!(entered.status, 200, "{}", entered.text());
    assert_eq!(entered.at("/record/id").unwrap(), id);
    assert_eq!(entered.at("/record/verified").unwrap(), "true");

    let path = format!("/api/collections/users/records/{id}");
    assert_eq!(send(&server, "PATCH", &path, &token, &json!({"name": "mine"})).status, 404);
    assert_eq!(send(&server, "POST", "/api/collections/users/auth-refresh", &token, &json!({})).status, 401);
    let body = json!({"identity": "owner@x.io", "password": "secret1234"});
    assert_eq!(send(&server, "POST", "/api/collections/users/auth-with-password", "", &body).status, 400);
    let again = sign_in(&server, "oidc", &attacker, &json!({}));
    assert_ne!(again.at("/record/id"), Some(id.clone()), "{}", again.text());
    let links = send(&server, "GET", "/api/collections/_externalAuths/records", &root, &json!({})).json();
    let of_owner: Vec<&Value> =
        links["items"].as_array().unwrap().iter().filter(|link| link["recordRef"] == id.as_str()).collect();
    assert_eq!(of_owner.len(), 1, "{links}");
    assert_eq!((&of_owner[0]["provider"], &of_owner[0]["providerId"]), (&json!("oidc2"), &json!("owner")));
}

#[test]
fn an_account_laid_in_wait_ends_on_sqlite() {
    laid_in_wait(Engine::Sqlite);
}

#[test]
fn an_account_laid_in_wait_ends_on_postgres() {
    laid_in_wait(Engine::Postgres);
}
